-- SPDX-License-Identifier: MIT
-- Writes what is made of the code and its comments and stands in the tree: the file for editors, manual pages,
-- completions. With --check it only says which of them are out of date.
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

local stale = 0
for path, text in pairs(FILES) do
  if read(path) ~= text then
    stale = stale + 1
    if arg[1] == "--check" then print(path .. ": out of date: call `make generated`") else write(path, text) end
  end
end
print(("generated: %d files, %d %s"):format(6, stale, arg[1] == "--check" and "out of date" or "written anew"))
os.exit(arg[1] ~= "--check" or stale == 0)
