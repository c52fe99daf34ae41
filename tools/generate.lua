-- SPDX-License-Identifier: MIT
-- Writes what is made of the code and its comments and stands in the tree: the file for editors, manual pages,
-- completions. With --check it writes nothing: it fails when the file for editors lacks a public name, or has one that
-- is not there, and names the files whose text is older than the comments.
-- usage: lua tools/generate.lua [--check]      (in the root of the tree, with the tree's paths)
local completions = require "tools.completions"
local man = require "tools.man"

local FILES = {
  ["types/braid.lua"] = require "tools.types",
  ["man/braid.1"] = man.command(),
  ["man/braid.3"] = man.module(),
  ["completions/braid"] = completions.bash(),
  ["completions/_braid"] = completions.zsh(),
  ["completions/braid.fish"] = completions.fish(),
}

local function read(path)
  local handle <close> = io.open(path)
  return handle and handle:read "a"
end

local function write(path, text)
  local handle <close> = assert(io.open(path, "w"))
  assert(handle:write(text))
end

-- The functions and classes that a file for editors declares.
local function names_in(text)
  local names = {}
  for name in text:gmatch "\nfunction ([^(]+)%(" do names[name] = true end
  for name in text:gmatch "\n%-%-%-@class ([%w_.]+)" do names[name] = true end
  return names
end

local wrong = 0

local function complain(format, name)
  wrong = wrong + 1
  print(("types/braid.lua " .. format .. ": call `make generated`"):format(name))
end

local function check_names()
  local wanted, found = names_in(FILES["types/braid.lua"]), names_in(read "types/braid.lua" or "")
  for name in pairs(wanted) do
    if not found[name] then complain("lacks %s", name) end
  end
  for name in pairs(found) do
    if not wanted[name] then complain("has %s, which is not public", name) end
  end
end

local check, stale = arg[1] == "--check", {}
for path, text in pairs(FILES) do
  if read(path) ~= text then
    stale[#stale + 1] = path
    if not check then write(path, text) end
  end
end
table.sort(stale)
if check then check_names() end
print(("generated: %d names out of place; %s %s"):format(wrong, check and "older than the comments:" or "written anew:",
  #stale > 0 and table.concat(stale, " ") or "none"))
os.exit(wrong == 0)
