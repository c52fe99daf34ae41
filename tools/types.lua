-- SPDX-License-Identifier: MIT
-- The file for the editor: every public name with the comment that it has in the code, for the Lua language server.
local comments = require "tools.comments"
local manual = require "tools.manual"

local out = {}
local function say(...) out[#out + 1] = table.concat { ... } end

local function comment(lines)
  for _, line in ipairs(lines) do
    if not line:find "^@field private" then say("---", line) end
  end
end

local function arguments(item)
  local names = {}
  for i, parameter in ipairs(item.parameters) do names[i] = parameter.name end
  return table.concat(names, ", ")
end

local function write_function(path, item)
  comment(item.lines)
  say("function ", path, "(", arguments(item), ") end")
  say ""
end

-- A class is a local table: "braid.http.Session" is http_Session.
local function local_name(class) return (class:gsub("^braid%.", ""):gsub("%.", "_")) end

local function write_class(class)
  comment(class.lines)
  if #class.items == 0 then
    say ""
    return
  end
  local name = local_name(class.name)
  say("local ", name, " = {}")
  say ""
  for _, item in ipairs(class.items) do
    write_function(name .. (item.is_method and ":" or ".") .. item.name, item)
  end
end

-- "braid.http" for "braid.http.get"; nil for "braid.spawn".
local function part_of(path) return path:match "^(braid%.[%w_]+)%.[%w_]+$" end

local function for_each_item(fn)
  for _, chapter in ipairs(manual.chapters) do
    for _, section in ipairs(chapter.sections) do
      for _, item in ipairs(section.items) do fn(item) end
    end
  end
end

local parts, is_part = {}, {}
for_each_item(function(item)
  local part = part_of(item.path)
  if part and not is_part[part] then
    is_part[part] = true
    parts[#parts + 1] = part
  end
end)

say "---@meta braid"
say "-- SPDX-License-Identifier: MIT"
say "-- Written by `make generated` from the comments in lua/braid. .luarc.json tells the Lua language server of it."
say ""
say "---Tasks, threads, processes, shared objects, HTTP, web, databases and kernels behind one interface."
say "---@class braid"
say '---@field _VERSION string'
say '---@field null lightuserdata "nothing": equal to itself in every state and process, and to `cjson.null`'
for _, part in ipairs(parts) do say("---@field ", part:match "[%w_]+$", " ", part) end
say "local braid = {}"
say ""
-- A part that can be called, as braid.array: its arguments and results on one line.
local function write_call(item)
  comment({ (item.text:gsub("\n", "\n---")) })
  local words, results = {}, {}
  for i, parameter in ipairs(item.parameters) do words[i] = parameter.name .. ": " .. parameter.type end
  for i, result in ipairs(item.results) do results[i] = result.type end
  say("---@overload fun(", table.concat(words, ", "), "): ", table.concat(results, ", "))
end

for _, part in ipairs(parts) do
  say("---@class ", part)
  for_each_item(function(item)
    if item.path == part then write_call(item) end
  end)
  say(part, " = {}")
  say ""
end
for _, chapter in ipairs(manual.chapters) do
  for _, section in ipairs(chapter.sections) do
    for _, lines in ipairs(section.aliases) do
      comment(lines)
      say ""
    end
    for _, class in ipairs(section.classes) do
      if not is_part[class.name] then write_class(class) end
    end
    for _, item in ipairs(section.items) do
      if not is_part[item.path] then write_function(item.path, item) end
    end
  end
end

-- What these types name, and what those name in turn: types that no chapter of the manual has.
local function all_types()
  local list = {}
  local files <close> = assert(io.popen "find lua/braid -name '*.lua' | sort")
  for file in files:lines() do
    for name, lines in pairs(comments.types(file)) do list[name] = lines end
  end
  return list
end

local known, told, at = all_types(), {}, 1
for _, line in ipairs(out) do
  local name = line:match "^%-%-%-@class ([%w_.]+)" or line:match "^%-%-%-@alias ([%w_.]+)"
  if name then told[name] = true end
end
while at <= #out do
  local tag, words = out[at]:match "^%-%-%-@(%a+)%s+(.*)$"
  for name in (tag and words or ""):gmatch "braid%.[%w_.]*[%w_]" do
    if known[name] and not told[name] then
      told[name] = true
      comment(known[name])
      say ""
    end
  end
  at = at + 1
end

say "return braid"

return table.concat(out, "\n") .. "\n"
