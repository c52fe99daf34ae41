-- SPDX-License-Identifier: MIT
-- Proves that the documentation is true: every public function has a comment with its parameters; every Lua block of
-- the README and the guides runs, and every example of the reference. A block behind a line `<!-- not run: why -->` is
-- only compiled.
-- usage: lua tools/docs.lua      (in the root of the tree, with the tree's paths)

local examples = require "tools.site.examples"
local manual = require "tools.manual"

local failures = 0

local function complain(format, ...)
  failures = failures + 1
  print(format:format(...))
end

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read("a")
end

local function files(command)
  local list = {}
  local output <close> = assert(io.popen(command))
  for file in output:lines() do list[#list + 1] = file end
  return list
end

-- ---- every public function ------------------------------------------------------------------------------------------

-- What a user can reach: functions of a module table (M) and methods of a class that has a name, unless theirs begins
-- with "_".
local function is_public(text, owner, name)
  local known = owner == "M" or text:find("%-%-%-@class braid[%w_.]*%." .. owner .. "%f[^%w_]")
  return known and not name:find("^_")
end

-- What stands behind the public names: files, and the makers that only other modules call.
local internal = { "/errors%.lua$", "/link%.lua$", "/address%.lua$", "/outcome%.lua$", "/copies%.lua$",
  "/postgres/transaction%.lua$", "/sync/view%.lua$", "/sync/npy%.lua$", "/http/cache%.lua$",
  "/kernels/compile/%l+%.lua$", "/worker%.lua$", "/executor%.lua$", "/command/", "/tutorial/lab%.lua$",
  "/luasocket/%l+%.lua$" } -- LuaSocket's manual describes these
local makers = { new = true, unpack = true, receive = true, restored = true, release = true, udp = true }

local function is_internal(file)
  for _, pattern in ipairs(internal) do
    if file:find(pattern) then return true end
  end
end

local function check_comments(file)
  local text, comment, parameters = read(file), false, {}
  for line in text:gmatch("([^\n]*)\n") do
    local owner, name, list = line:match("^function ([%w_]+)[.:]([%w_]+)%s*%(([^)]*)%)")
    if line:find("^%-%-%-") then
      comment = true
      local parameter = line:match("^%-%-%-@param%s+([%w_.]+)")
      if parameter then parameters[parameter] = true end
    else
      if name and is_public(text, owner, name) and not makers[name] and not is_internal(file) then
        if not comment then complain("%s: %s.%s has no comment", file, owner, name) end
        for parameter in list:gmatch("[%w_.]+") do
          if comment and not parameters[parameter] and not parameter:find("^_") then
            complain("%s: %s.%s does not tell of '%s'", file, owner, name, parameter)
          end
        end
      end
      comment, parameters = false, {}
    end
  end
end

-- ---- every block ----------------------------------------------------------------------------------------------------

local function run(file, number, text)
  local name = os.tmpname()
  do
    local handle <close> = assert(io.open(name, "w"))
    assert(handle:write(("\n"):rep(number), text)) -- so that errors name the guide's lines
  end
  local output = assert(io.popen(("timeout 60 '%s' '%s' 2>&1 </dev/null"):format(arg[-1], name)))
  local said = output:read("a")
  os.remove(name)
  if not output:close() then complain("%s:%d: this block fails:\n%s", file, number, said) end
end

local function check_blocks(file)
  local number, start, block, skipped = 0, nil, nil, false
  for line in read(file):gmatch("([^\n]*)\n") do
    number = number + 1
    if line:find("^<!%-%- not run:") then
      skipped = true
    elseif line:find("^```lua") and not block then
      start, block = number, {}
    elseif line:find("^```") and block then
      local text = table.concat(block, "\n") .. "\n"
      local _, why = load(text)
      if why then complain("%s:%d: %s", file, start, why) elseif not skipped then run(file, start, text) end
      block, skipped = nil, false
    elseif block then
      block[#block + 1] = line
    end
  end
end

-- ---- every example of the reference --------------------------------------------------------------------------------

local is_name = {}
for _, chapter in ipairs(manual.chapters) do
  for _, section in ipairs(chapter.sections) do
    for _, item in ipairs(section.items) do is_name[item.path] = true end
    for _, class in ipairs(section.classes) do
      is_name[class.name] = true
      for _, item in ipairs(class.items) do is_name[item.path] = true end
    end
  end
end

local function check_example(example)
  for _, name in ipairs(example.names) do
    if not is_name[name] then complain("%s:%d: there is no %s", example.file, example.line, name) end
  end
  run(example.file, example.line - 1, 'local braid = require "braid"\n' .. example.text .. "\n")
end

for _, file in ipairs(files "find lua -name '*.lua' | sort") do check_comments(file) end
local guides = files "ls README*.md docs/*.md docs/zh/*.md examples/README.md 2>/dev/null"
for _, file in ipairs(guides) do check_blocks(file) end
for _, example in ipairs(examples.list) do check_example(example) end
print(("docs: %d guides, %d examples, %d out of order"):format(#guides, #examples.list, failures))
os.exit(failures == 0)
