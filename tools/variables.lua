-- SPDX-License-Identifier: MIT
-- Proves that ARCHITECTURE.md lists every variable of file scope in csrc, and that they are few.
-- usage: lua tools/variables.lua      (in the root of the tree)

local MOST = 24

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read("a")
end

-- Whether a declaration, up to its initial value, is of something that cannot change.
local function is_fixed(declaration)
  if not declaration:find("const", 1, true) then return false end
  local pointer = declaration:match("%*([^*]*)$")
  return not pointer or pointer:find("const", 1, true) ~= nil
end

-- The name in a line that begins at the margin, if it declares a variable: the formatter sees to it that nothing inside
-- a function begins there.
local function name_in(line)
  local declaration = line:match("^(%a[^=;]*)[=;]")
  if not declaration or declaration:find("[()]") and not declaration:find("^static _Atomic%(") then return nil end
  local first = declaration:match("^%a+")
  if first == "extern" or first == "typedef" or first == "enum" or is_fixed(declaration) then return nil end
  if declaration:find("^struct [%w_]+$") then return nil end
  return declaration:gsub("%s*%[.*", ""):match("([%a_][%w_]*)%s*$")
end

-- The names of a file's variables of file scope.
local function variables(file)
  local found, opening = {}, ""
  for line in read(file):gsub("/%*.-%*/", ""):gmatch("[^\n]+") do
    if line:find("^%a.*{%s*$") then opening = line end
    local name = name_in(line)
    local changes = not opening:find("^static const") and not opening:find("^typedef")
    if line:find("^}") and changes then name = line:match("^}%s*([%a_][%w_]*)") end
    if name then found[#found + 1] = name end
  end
  return found
end

local listed, failures, count = {}, 0, 0
for name, file in read("ARCHITECTURE.md"):gmatch("\n| `([%a_][%w_]*)` | `([%w_/]+%.c)` |") do
  listed[file .. " " .. name] = true
end

local files <close> = assert(io.popen("find csrc -name '*.c' | sort"))
for file in files:lines() do
  for _, name in ipairs(variables(file)) do
    local key = file:gsub("^csrc/", "") .. " " .. name
    count = count + 1
    if not listed[key] then
      failures = failures + 1
      print(("%s: the variable %s is not in ARCHITECTURE.md"):format(file, name))
    end
    listed[key] = nil
  end
end
for key in pairs(listed) do
  failures = failures + 1
  print(("ARCHITECTURE.md: there is no variable %s"):format(key))
end
if count > MOST then
  failures = failures + 1
  print(("csrc has %d variables of file scope, more than %d: give them to a struct with one owner"):format(count, MOST))
end
print(("variables: %d of file scope"):format(count))
os.exit(failures == 0)
