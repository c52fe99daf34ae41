-- SPDX-License-Identifier: MIT
--- Arrays: numbers of one type in memory that tasks, threads and processes share. Sending an array copies nothing. The
--- elements have no lock: code that must not see another's unfinished work needs a lock, or a slice of its own. There
--- is no limit to their number. If memory, descriptors or the size of files (`ulimit -f`) do not suffice, making one
--- raises kind "system".

local core = require "braid.core"
local errors = require "braid.errors"
local mapping = require "braid.sync.mapping"
local npy = require "braid.sync.npy"
local view = require "braid.sync.view"

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

---The same elements as rows and columns, in the same memory.
---@param rows integer -1: as many as fit
---@param columns integer? -1: as many as fit; nil: one dimension
---@return braid.Array|braid.ArrayView
function Array:reshape(rows, columns) return view.reshape(self, rows, columns) end

---Writes the array as numpy's `.npy`. Suspends.
---@param path string
---@return boolean? ok
---@return braid.Error? err
function Array:save(path) return npy.save(path, self) end

---For an array of `array.mmap`: waits until what was written is on the disk. Suspends.
---@return boolean? ok
---@return braid.Error? err
function Array:sync() return mapping.sync(self) end

view.View.save, view.View.sync = Array.save, Array.sync

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

local options = { shape = "table", values = "table" }

-- The rows and columns that a shape tells.
local function shape_of(shape)
  local rows, columns = math.tointeger(shape[1]), math.tointeger(shape[2])
  if shape[2] == nil and rows and rows >= 0 then return rows end
  if rows and columns and rows >= 0 and columns >= 0 and #shape == 2 then return rows, columns end
  errors.misuse(3, "bad option 'shape' to 'array' ({ rows, columns } expected, got %s)", errors.described(shape))
end

-- An array from options.
local function shaped(type, opts)
  local values = opts.values
  if values ~= nil and getmetatable(values) ~= nil and _G.type(values) ~= "table" then
    opts = { shape = opts.shape } -- an array: not a table
  end
  errors.check_options(2, "array", opts, options)
  local nested = _G.type(values) == "table" and _G.type(values[1]) == "table" and not view.is(values)
  local rows, columns
  if opts.shape then
    rows, columns = shape_of(opts.shape)
  elseif nested then
    rows, columns = #values, #values[1]
  elseif view.is(values) then
    rows, columns = values.shape[1], values.shape[2]
  elseif values ~= nil then
    rows = #values
  else
    errors.misuse(2, "bad argument 'options' to 'array' (shape or values expected)")
  end
  local flat = core.array_new(type, rows * (columns or 1))
  local array = columns and view.matrix(flat, rows, columns) or flat
  if values == nil then return array end
  if not nested and #values ~= #flat and not view.is(values) then
    errors.misuse(2, "bad option 'values' to 'array' (%d elements expected, got %d)", #flat, #values)
  end
  if not columns and view.is(values) then values = values:flat() end
  return array:set(values)
end

-- `braid.array(type, source)`.
local function make(_, type, source)
  if not types[type] then
    local nearest = _G.type(type) == "string" and errors.nearest(type, types)
    errors.misuse(1, "bad argument 'type' to 'array' (the type of its numbers expected, got %s): %s",
      _G.type(type) == "string" and ("%q"):format(type) or errors.described(type),
      nearest and ("did you mean %q?"):format(nearest) or "one of f64, f32, i64, i32, i16, i8, u64, u32, u16, u8")
  end
  if _G.type(source) == "table" and getmetatable(source) == nil and (source.shape ~= nil or source.values ~= nil) then
    return shaped(type, source)
  end
  if view.is(source) then source = source:copy() end
  if view.is(source) then return shaped(type, { values = source }) end
  local array = core.array_new(type, count(type, source))
  return _G.type(source) == "number" and array or array:set(source)
end

---Makes an array: `braid.array(type, source)`.
---@param type string "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16" or "u8"
---@param source integer|number[]|braid.Array|string|{ shape: integer[]?, values: table? } the number of elements, which
--- are 0; or the elements (see set); or a table with `shape`, { rows, columns }, and `values`, a flat list or a list of
--- rows
---@return braid.Array|braid.ArrayView
M.array = setmetatable({}, { __call = make, __index = { map = mapping.mmap } }) -- map: mmap's other name

M.array.load, M.array.save, M.array.mmap = npy.load, npy.save, mapping.mmap

return M
