-- SPDX-License-Identifier: MIT
-- JSON for requests and answers, both ways: lua-cjson, but integers stay integers and keep all their digits, where
-- lua-cjson reads floats and writes 14 digits.
local cjson = require "cjson"

local M = {}

-- An instance of our own: what a program sets in its cjson does not change its answers.
local json = cjson.new()

local encode

-- The length of an array, with its holes; nil for what is an object.
local function array_length(value)
  local last, count = 0, 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" or key < 1 then return nil end
    last, count = math.max(last, key), count + 1
  end
  if count == 0 then return nil end
  if last > 10 and last > count * 2 then error("Cannot serialise table: excessively sparse array", 0) end
  return last
end

local function encode_table(value, depth)
  if depth > 1000 then error("Cannot serialise, excessive depth (1001)", 0) end
  local parts, length = {}, array_length(value)
  if length then
    for i = 1, length do parts[i] = encode(value[i], depth + 1) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, one in pairs(value) do
    parts[#parts + 1] = json.encode(math.type(key) and ("%s"):format(key) or key) .. ":" .. encode(one, depth + 1)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value, depth)
  if type(value) == "table" then return encode_table(value, depth) end
  return math.type(value) == "integer" and ("%d"):format(value) or json.encode(value)
end

--- Encodes a value. Raises for what JSON cannot say.
---@param value any
---@return string
function M.encode(value)
  local ok, text = pcall(json.encode, value) -- called so it does not name this line
  if not ok then error(text, 0) end
  -- Only a number of more than 14 digits has an exponent: or somebody's text looks so.
  if text:find("e+", 1, true) then text = encode(value, 1) end
  -- lua-cjson writes every slash as \/, for pages that carry JSON in a script.
  if text:find("\\/", 1, true) then text = text:gsub("\\/", "/") end
  return text
end

-- JSON has one kind of number: a whole one becomes an integer, "2.0" too.
local function with_integers(value)
  if type(value) == "table" then
    for key, one in pairs(value) do
      local kind = type(one)
      if kind == "number" or kind == "table" then value[key] = with_integers(one) end
    end
    return value
  end
  return math.type(value) == "float" and math.tointeger(value) or value
end

--- Decodes a text; null becomes braid.null, whole numbers integers. Raises for what is not JSON.
---@param text string
---@return any
function M.decode(text)
  local ok, value = pcall(json.decode, text)
  if not ok then error(value, 0) end
  return with_integers(value)
end

return M
