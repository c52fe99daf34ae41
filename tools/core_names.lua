-- SPDX-License-Identifier: MIT
-- Proves that types/core.lua declares each name of the C module that lua/braid uses, and no other.
-- usage: lua tools/core_names.lua      (in the root of the tree)

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read "a"
end

local declared = {}
for name in read("types/core.lua"):gmatch "\nfunction core%.([%w_]+)" do declared[name] = true end
for name in read("types/core.lua"):match("%-%-%-@class braid%.core\n(.-)\nlocal core"):gmatch "@field ([%w_]+)" do
  declared[name] = true
end

local used, where = {}, {}
local files <close> = assert(io.popen "find lua -name '*.lua' | sort")
for file in files:lines() do
  local text = read(file):gsub("%-%-[^\n]*", "")
  if text:find('require "braid.core"', 1, true) or text:find('require("braid.core")', 1, true) then
    for name in text:gmatch "%f[%w_.]core%.([%a_][%w_]*)" do used[name], where[name] = true, file end
    for name in text:gmatch 'require%("braid%.core"%)%.([%a_][%w_]*)' do used[name], where[name] = true, file end
  end
end

local failures = {}
local function complain(...) failures[#failures + 1] = string.format(...) end

for name in pairs(used) do
  if not declared[name] then complain("types/core.lua lacks %s, which %s uses", name, where[name]) end
end
for name in pairs(declared) do
  if not used[name] then complain("types/core.lua declares %s, which nobody uses", name) end
end
table.sort(failures)
for _, failure in ipairs(failures) do print(failure) end
print(("core names: %d out of place"):format(#failures))
os.exit(#failures == 0)
