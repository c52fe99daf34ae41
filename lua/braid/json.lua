-- SPDX-License-Identifier: MIT
--- JSON, both ways, strictly: integers keep all 64 bits, floats come back as they were, and lists stay lists.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {
  ---JSON's null; the same as `braid.null`, and equal to that of cjson.
  null = core.null,
}

local encode, decode = core.json_encode, core.json_decode

local encode_options = {
  pretty = "boolean", sort_keys = "boolean", max_depth = "integer", invalid = "string",
}
local decode_options = { max_depth = "integer", big = "string", invalid = "string" }

-- Whether the option has its second value; false for the first one, or none.
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

---Encodes a value. A table is a list when its keys are 1, 2, 3 ... or it is marked as one (`array`), else an object,
---also when it is empty. Raises kind "json", with `path`, for what JSON cannot say: NaN, infinities, functions and the
---like, keys that are neither a list's nor strings, holes in what is not marked, cycles, texts that are not UTF-8.
---@param value any nil and braid.null become null
---@param opts { pretty: boolean?, sort_keys: boolean?, max_depth: integer?, invalid: "error"|"replace"? }? max_depth:
--- 1000; invalid: what is not UTF-8 is an error, or becomes U+FFFD
---@return string
function M.encode(value, opts)
  if opts == nil then return encode(value) end
  errors.check_options(1, "encode", opts, encode_options)
  return encode(value, depth("encode", opts), opts.pretty, opts.sort_keys,
    is_second("encode", opts, "invalid", "error", "replace"))
end

---Decodes a text. Numbers without point and exponent become integers, or floats where 64 bits do not hold them; lists
---are marked as such, also empty ones; null becomes braid.null; of members with the same name the last one counts.
---Raises kind "json", with `line`, `column` and `offset` (a place in the text, from 1), for what is not JSON.
---@param text string UTF-8, with a byte order mark or without
---@param opts { max_depth: integer?, big: "float"|"error"?, invalid: "error"|"replace"? }? max_depth: 1000; big: what
--- becomes of integers beyond 64 bits; invalid: what is not UTF-8 is an error, or becomes U+FFFD
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

---Marks a table as a list, for `encode` and wherever it travels: one that may be empty, or has holes. Of one with a
---field `n`, as table.pack gives it, that is the number of elements.
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
