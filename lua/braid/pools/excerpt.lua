-- SPDX-License-Identifier: MIT
-- A copy of an error that cannot be sent whole: its tables without the values that cannot be sent. The field `not_sent`
-- lists these values by their paths.
local errors = require "braid.errors"

local M = {}

---@class braid.Excerpt
---@field refusal fun(value: any): any returns why a value cannot be sent; nil: it can
---@field copies table<table, table>
---@field queue { table: table, way: table? }[] tables whose copies are not filled yet, with their paths
---@field named table<any, true> modules, which are sent by name
---@field lost table<string, string> the values left out: path -> reason

-- A path as text: "cause.list[3]". A path is a list from the inside out: its last step, and the path to that.
local function written(way)
  local steps = {}
  while way do
    table.insert(steps, way.step)
    way = way.outer
  end
  local text = {}
  for i = #steps, 1, -1 do text[#text + 1] = steps[i] end
  return (table.concat(text):gsub("^%.", ""))
end

local function step_of(key)
  if type(key) ~= "string" then return ("[%s]"):format(type(key) == "number" and tostring(key) or type(key)) end
  return key:find "^[%a_][%w_]*$" and "." .. key or ("[%q]"):format(key)
end

local copy

-- The value for the copy: the value itself, the copy of a table, or nil; for nil the reason is noted.
local function take(x, value, way)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then return value end
  local meta = debug.getmetatable(value)
  local whole = x.named[value] or (meta and rawget(meta, "__braid_pack") ~= nil)
  if kind == "table" and not whole then return copy(x, value, way) end
  local why = x.refusal(value)
  if why == nil then return value end
  x.lost[written(way)] = errors.text(why):gsub("^.-error 1", "", 1):gsub("^:? ?%-?>? ?", "", 1)
end

function copy(x, original, way)
  if not x.copies[original] then
    x.copies[original] = {}
    x.queue[#x.queue + 1] = { table = original, way = way }
  end
  return x.copies[original]
end

-- The metatable if it can be sent; else a copy of it that keeps the value's text.
local function take_metatable(x, original, meta, way)
  if rawget(meta, "__gc") == nil and x.refusal(setmetatable({}, meta)) == nil then return meta end
  local taken = copy(x, meta, { outer = way, step = " (metatable)" })
  local tell = rawget(meta, "__tostring")
  if tell ~= nil and (type(tell) ~= "function" or x.refusal(tell) ~= nil) then
    local text = errors.text(original)
    x.texts[taken] = function() return text end
  end
  return taken
end

local function fill(x, original, way)
  local taken = x.copies[original]
  for key, value in next, original do
    local own_key = take(x, key, { outer = way, step = step_of(key) .. " (key)" })
    local own_value = take(x, value, { outer = way, step = step_of(key) })
    if own_key ~= nil and own_value ~= nil then rawset(taken, own_key, own_value) end
  end
  local meta = debug.getmetatable(original)
  if meta then setmetatable(taken, take_metatable(x, original, meta, way)) end
end

---Copies an error without the values that cannot be sent. The field `not_sent` of the copy names them:
---{ ["cause.file"] = "userdata (FILE*) cannot be sent" }.
---@param err table
---@param refusal fun(value: any): any returns why a value cannot be sent; nil: it can
---@return table
function M.of(err, refusal)
  local x = { refusal = refusal, copies = {}, queue = {}, named = { [_G] = true }, lost = {}, texts = {} }
  for _, module in pairs(package.loaded) do x.named[module] = true end
  local taken = copy(x, err)
  local at = 1
  while x.queue[at] do
    fill(x, x.queue[at].table, x.queue[at].way)
    at = at + 1
  end
  for meta, tell in pairs(x.texts) do meta.__tostring = tell end
  local before = rawget(taken, "not_sent") -- the error came from another worker before
  if type(before) == "table" then
    for way, what in pairs(x.lost) do before[way] = what end
  elseif before == nil then
    rawset(taken, "not_sent", x.lost)
  end
  return taken
end

return M
