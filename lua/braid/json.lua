-- SPDX-License-Identifier: MIT
--- A strict JSON encoder and decoder. Integers keep 64 bits, floats keep their exact value, and lists stay lists.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {
  ---JSON's null: the same value as `braid.null`, and equal to the null of cjson.
  null = core.null,
}

local encode, decode = core.json_encode, core.json_decode

local encode_options = {
  pretty = "boolean", sort_keys = "boolean", max_depth = "integer", invalid = "string",
}
local decode_options = { max_depth = "integer", big = "string", invalid = "string" }

-- Whether the option has its second value; false for the first value or nil.
local function is_second(what, opts, name, first, second)
  local value = opts[name]
  if value == nil or value == first then return false end
  if value ~= second then
    errors.misuse(2, "bad option '%s' to '%s' (%q or %q expected, got %q)", name, what, first, second, value)
  end
  return true
end

local MOST_DEPTH = 10000

local function depth(what, opts)
  local value = opts.max_depth
  if value == nil then return nil end
  if value < 1 or value > MOST_DEPTH then
    errors.misuse(2, "bad option 'max_depth' to '%s' (an integer from 1 to %d expected, got %s)", what, MOST_DEPTH,
      value)
  end
  return math.tointeger(value)
end

---Encodes a value. A table is a list if its keys are 1, 2, 3 ... or if it is marked as a list (`array`); any other
---table is an object, also an empty one. Raises kind "json", with `path`, for a value that JSON cannot express: NaN,
---infinities, functions and the like, keys that are neither a list's nor strings, holes in an unmarked list, cycles,
---and strings that are not UTF-8.
---@param value any nil and braid.null become null
---@param opts { pretty: boolean?, sort_keys: boolean?, max_depth: integer?, invalid: "error"|"replace"? }? max_depth:
--- default 1000; invalid: text that is not UTF-8 is an error (the default), or becomes U+FFFD
---@return string
function M.encode(value, opts)
  if opts == nil then return encode(value) end
  errors.check_options(1, "encode", opts, encode_options)
  return encode(value, depth("encode", opts), opts.pretty, opts.sort_keys,
    is_second("encode", opts, "invalid", "error", "replace"))
end

---Decodes a text. A number without point and exponent becomes an integer, or a float if it needs more than 64 bits.
---Lists are marked as lists, also empty ones. null becomes braid.null. If members have the same name, the last one
---counts. Raises kind "json", with `line`, `column` and `offset` (positions from 1), for text that is not JSON.
---@param text string UTF-8; a byte order mark is allowed
---@param opts { max_depth: integer?, big: "float"|"error"?, invalid: "error"|"replace"? }? max_depth: default 1000;
--- big: integers beyond 64 bits become floats (the default) or are an error; invalid: as for encode
---@return any
function M.decode(text, opts)
  if type(text) ~= "string" then
    errors.misuse(1, "bad argument 'text' to 'decode' (a string expected, got %s)", errors.described(text))
  end
  if opts == nil then return decode(text) end
  errors.check_options(1, "decode", opts, decode_options)
  return decode(text, depth("decode", opts), is_second("decode", opts, "big", "float", "error"),
    is_second("decode", opts, "invalid", "error", "replace"))
end

---Marks a table as a list, for `encode` and for sending: needed for a list that may be empty or have holes. If it has a
---field `n`, as from table.pack, that is the number of elements.
---@param list table it is changed
---@return table list the same one
function M.array(list)
  if type(list) ~= "table" then
    errors.misuse(1, "bad argument 'list' to 'array' (a table expected, got %s)", errors.described(list))
  end
  local meta = debug.getmetatable(list)
  if meta and meta ~= core.List then
    errors.misuse(1, "bad argument 'list' to 'array' (a table without a metatable of its own expected)")
  end
  return setmetatable(list, core.List)
end

return M
