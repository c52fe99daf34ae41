-- SPDX-License-Identifier: MIT
-- Types of PostgreSQL by name, and Lua tables as texts for the server.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

-- Those whose values a program may want in another form.
local NUMBERS = {
  bool = 16, bytea = 17, char = 18, name = 19, int8 = 20, int2 = 21, int4 = 23, text = 25, oid = 26, json = 114,
  xml = 142, cidr = 650, float4 = 700, float8 = 701, money = 790, macaddr = 829, inet = 869, bpchar = 1042,
  varchar = 1043, date = 1082, time = 1083, timestamp = 1114, timestamptz = 1184, interval = 1186, timetz = 1266,
  bit = 1560, varbit = 1562, numeric = 1700, uuid = 2950, jsonb = 3802, jsonpath = 4072,
}
local ALSO = {
  boolean = "bool", smallint = "int2", integer = "int4", int = "int4", bigint = "int8", real = "float4",
  ["double precision"] = "float8", decimal = "numeric", ["character varying"] = "varchar",
}

local function float(text)
  if text == "NaN" then return 0 / 0 end
  if text == "Infinity" then return math.huge end
  if text == "-Infinity" then return -math.huge end
  return tonumber(text) + 0.0
end

local FORMS = {
  string = function(text) return text end,
  float = float,
  integer = function(text) return math.tointeger(tonumber(text)) end,
  number = tonumber,
  boolean = function(text) return text == "t" or text == "true" end,
  json = core.json_decode,
}

---Reads the option `types`: a type's name or number -> "string", "float", "integer", "number", "boolean", "json" or a
---function that makes a value of the server's text.
---@param what string the function, for errors
---@param types table?
---@return table<integer, function>? by number
function M.read(what, types)
  if types == nil then return nil end
  local functions = {}
  for name, form in pairs(types) do
    local number = math.type(name) == "integer" and name or NUMBERS[ALSO[name] or name]
    if not number then
      local nearest = type(name) == "string" and errors.nearest(name, NUMBERS)
      errors.misuse(2, "bad option 'types' of '%s' (no type '%s' is known%s; types of your own go by number)", what,
        errors.text(name), nearest and (": did you mean '%s'?"):format(nearest) or "")
    end
    local made = FORMS[form] or type(form) == "function" and form
    if not made then
      errors.misuse(2, "bad option 'types' of '%s' (a function, \"string\", \"float\", \"integer\", \"number\", "
        .. "\"boolean\" or \"json\" expected for '%s')", what, name)
    end
    functions[number] = made
  end
  return functions
end

-- ---- tables as texts ------------------------------------------------------------------------------------------------

local JSON, JSONB, BYTEA = 114, 3802, 17

local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end

local function in_hex(bytes) return "\\x" .. bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end) end

local array_text

local function element_text(value, element)
  if value == core.null then return "NULL" end
  local kind = type(value)
  if element == JSON or element == JSONB then return quoted(core.json_encode(value)) end
  if kind == "table" then return array_text(value, element) end
  if kind == "boolean" then return value and "t" or "f" end
  if kind == "number" then
    if value ~= value then return "NaN" end
    if value == math.huge then return "Infinity" elseif value == -math.huge then return "-Infinity" end
    local whole = math.tointeger(value)
    return whole and tostring(whole) or ("%.17g"):format(value)
  end
  if kind ~= "string" then error(("an array's element is a %s"):format(kind), 0) end
  return quoted(element == BYTEA and in_hex(value) or value)
end

function array_text(list, element)
  local texts = {}
  for i = 1, math.max(#list, math.tointeger(list.n) or 0) do
    local value = list[i]
    texts[i] = element_text(value == nil and core.null or value, element)
  end
  return "{" .. table.concat(texts, ",") .. "}"
end

---The text of a table for the server: an array's, if the type of its elements is given, or JSON.
---@param value table
---@param element integer?
---@return string
function M.table_text(value, element)
  if element and (element ~= JSON and element ~= JSONB or #value > 0) then return array_text(value, element) end
  return core.json_encode(value)
end

return M
