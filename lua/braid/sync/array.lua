-- SPDX-License-Identifier: MIT
--- Arrays: numbers of one type in memory that tasks, threads and processes share. Sending an array copies nothing. The
--- elements have no lock: code that must not see another's unfinished work needs a lock, or a slice of its own. There
--- is no limit to their number. If memory, descriptors or the size of files (`ulimit -f`) do not suffice, making one
--- raises kind "system".

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---`a[i]` reads and writes element i, from 1 to `#a`. Any other i raises kind "misuse", and so does a value that the
---type cannot hold: integer types take whole numbers in their range. f32 rounds. Elements of u64 from 2^63 on are
---negative integers in Lua, with the same bits; any integer can be written there, so values that were read can be used
---again, also by kernels. `for i, v in pairs(a)` works (ipairs does not: it reads one element too many).
---@class braid.Array
---@field [integer] number
---@operator len: integer
local Array = core.Array

---Sets all elements.
---@param value number
---@return braid.Array self
Array.fill = Array.fill

---The elements from first to last (default: the end), in the same memory: writes to one are seen in the other.
---@param first integer
---@param last integer?
---@return braid.Array
Array.slice = Array.slice

---A copy, with its own memory.
---@return braid.Array
Array.copy = Array.copy

---Sets many elements: from a list, from an array (of any type), or from the bytes of a string, as `tostring` returns
---them.
---@param source number[]|braid.Array|string
---@param at integer? index of the first one; default 1
---@return braid.Array self
Array.set = Array.set

---The elements as a Lua list.
---@return number[]
Array.totable = Array.totable

---The bytes of the elements, as they are in memory (for string.unpack, files, sockets; for u8 it is the text itself).
---The global function `tostring` gives a readable text instead.
---@return string
Array.tostring = Array.tostring

---The type of the elements.
---@return string type "f64"
Array.type = Array.type

local types = { f64 = 8, f32 = 4, i64 = 8, i32 = 4, i16 = 2, i8 = 1, u64 = 8, u32 = 4, u16 = 2, u8 = 1 }

-- The number of elements of an array that is made from this source.
local function count(type, source)
  local whole = _G.type(source) == "number" and math.tointeger(source)
  if whole and whole >= 0 then return whole end
  if _G.type(source) == "string" then return #source // types[type] end
  if _G.type(source) == "table" or getmetatable(source) == Array then return #source end
  errors.misuse(2, "bad argument 'n' to 'array' (how many, or a list, expected, got %s)",
    errors.described(source))
end

---Makes an array.
---@param type string "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16" or "u8"
---@param source integer|number[]|braid.Array|string the number of elements, which are 0; or the elements (see set)
---@return braid.Array
function M.array(type, source)
  if not types[type] then
    local nearest = _G.type(type) == "string" and errors.nearest(type, types)
    errors.misuse(1, "bad argument 'type' to 'array' (the type of its numbers expected, got %s%s)",
      _G.type(type) == "string" and ("%q"):format(type) or errors.described(type),
      nearest and (": did you mean %q?"):format(nearest) or "")
  end
  local array = core.array_new(type, count(type, source))
  return _G.type(source) == "number" and array or array:set(source)
end

return M
