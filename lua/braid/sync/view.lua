-- SPDX-License-Identifier: MIT
--- Arrays of two dimensions, and views of their rows, columns and blocks. A view has no elements of its own: it refers
--- to those of a flat array. So sending one copies nothing, and writes through one are seen through the others.
---
--- A rank-2 array is a view with rows and columns. Its rows are plain arrays (braid.Array) where the elements of a row
--- are neighbours, else views of rank 1.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A view. `a.shape` is { rows, columns }, or { n } for one dimension. `a[i]` is row i, or element i of one dimension.
---@class braid.ArrayView
---@field shape integer[]
---@field [integer] braid.Array|braid.ArrayView|number
---@operator len: integer
local View = {}
View.__name = "braid.array"
M.View = View

-- The fields are raw: array (braid.Array, flat), first (the elements before it), rows, columns (nil: one dimension),
-- row_step, column_step.
local function make(array, first, rows, columns, row_step, column_step)
  return setmetatable({ array = array, first = first, rows = rows, columns = columns, row_step = row_step,
    column_step = column_step }, View)
end

---A view of a whole flat array as rows.
---@param array braid.Array
---@param rows integer
---@param columns integer
---@return braid.ArrayView
function M.matrix(array, rows, columns) return make(array, 0, rows, columns, columns, 1) end

---A view as `layout` tells it.
function M.from(array, first, rows, columns, row_step, column_step)
  if columns == 0 then columns, column_step = nil, nil end
  return make(array, first, rows, columns, row_step, column_step)
end

---Whether a value is a view.
function M.is(value) return getmetatable(value) == View end

local function check_number(view, i, count, what)
  local whole = math.type(i) and math.tointeger(i)
  if whole and whole >= 1 and whole <= count then return whole end
  errors.misuse(2, "there is no %s %s in an array of %s", what, errors.text(i), table.concat(view.shape, " x "))
end

-- One dimension: a plain array where its elements are neighbours.
local function line(array, first, count, step)
  if step == 1 then return array:slice(first + 1, first + count) end
  return make(array, first, count, nil, step, nil)
end

function View:__index(key)
  if type(key) == "number" then
    local i = check_number(self, key, self.rows, self.columns and "row" or "element")
    local first = self.first + (i - 1) * self.row_step
    if not self.columns then return self.array[first + 1] end
    return line(self.array, first, self.columns, self.column_step)
  end
  if key == "shape" then return { self.rows, rawget(self, "columns") } end
  return View[key]
end

function View:__newindex(key, value)
  if type(key) == "number" and not rawget(self, "columns") then
    local i = check_number(self, key, self.rows, "element")
    self.array[self.first + (i - 1) * self.row_step + 1] = value
    return
  end
  if type(key) == "number" then
    check_number(self, key, self.rows, "row")
    self[key]:set(value)
    return
  end
  errors.misuse(1, "an array has no field %s that can be set", errors.text(key))
end

function View:__len() return self.rows end

local function next_line(self, i)
  i = i + 1
  if i <= self.rows then return i, self[i] end
end

function View:__pairs() return next_line, self, 0 end

function View:__tostring()
  return ("braid.array: %s x %s"):format(table.concat(self.shape, " x "), self:type())
end

---The type of the elements.
---@return string
function View:type() return self.array:type() end

---Whether the elements are neighbours in memory, row by row.
---@return boolean
function View:is_plain()
  if not self.columns then return self.row_step == 1 or self.rows <= 1 end
  return (self.column_step == 1 or self.columns <= 1) and (self.row_step == self.columns or self.rows <= 1)
end

---The elements as a flat array, row by row: the same memory where they are neighbours, else a copy.
---@return braid.Array
function View:flat()
  local count = self.rows * (self.columns or 1)
  if self:is_plain() then return self.array:slice(self.first + 1, self.first + count) end
  local flat = core.array_new(self:type(), count)
  core.view_copy(flat, 0, self.columns or 1, 1, self.array, self.first, self.row_step, self.column_step or 1, self.rows,
    self.columns or 1)
  return flat
end

---A copy with its own memory, row by row.
---@return braid.ArrayView
function View:copy()
  local flat = self:is_plain() and self:flat():copy() or self:flat()
  if not self.columns then return make(flat, 0, self.rows, nil, 1, nil) end
  return M.matrix(flat, self.rows, self.columns)
end

---Sets all elements.
---@param value number
---@return braid.ArrayView self
function View:fill(value)
  if self:is_plain() then
    self:flat():fill(value)
  else
    for i = 1, self.rows do
      if self.columns then self[i]:fill(value) else self[i] = value end
    end
  end
  return self
end

-- Whether a list has rows instead of numbers.
local function has_rows(source)
  return type(source) == "table" and getmetatable(source) ~= View and type(source[1]) ~= "number" and source[1] ~= nil
end

---Sets all elements: from a flat list, a list of rows, an array with as many elements, or bytes.
---@param source table|braid.Array|braid.ArrayView|string
---@return braid.ArrayView self
function View:set(source)
  if getmetatable(source) == View then source = source:flat() end
  if self.columns and has_rows(source) then
    if #source ~= self.rows then
      errors.misuse(1, "bad argument 'source' to 'set' (%d rows expected, got %d)", self.rows, #source)
    end
    for i, row in ipairs(source) do
      if type(row) == "table" and getmetatable(row) ~= View and #row ~= self.columns then
        errors.misuse(1, "bad argument 'source' to 'set' (%d numbers expected in row %d, got %d)", self.columns, i,
          #row)
      end
      self[i]:set(row)
    end
    return self
  end
  local count = self.rows * (self.columns or 1)
  local given = core.array_new(self:type(), type(source) == "string" and count or #source):set(source)
  if #given ~= count then
    errors.misuse(1, "bad argument 'source' to 'set' (%d elements expected, got %d)", count, #given)
  end
  core.view_copy(self.array, self.first, self.row_step, self.column_step or 1, given, 0, self.columns or 1, 1,
    self.rows,
    self.columns or 1)
  return self
end

---The elements: a list of rows, each a list; or a list.
---@return table
function View:totable()
  if not self.columns then return self:flat():totable() end
  local rows = {}
  for i = 1, self.rows do rows[i] = self[i]:totable() end
  return rows
end

---The bytes of the elements, row by row.
---@return string
function View:tostring() return self:flat():tostring() end

---Column j, in the same memory.
---@param j integer
---@return braid.Array|braid.ArrayView
function View:column(j)
  if not self.columns then errors.misuse(1, "an array of one dimension has no columns") end
  j = check_number(self, j, self.columns, "column")
  return line(self.array, self.first + (j - 1) * self.column_step, self.rows, self.row_step)
end

---Rows as columns, in the same memory.
---@return braid.ArrayView
function View:transpose()
  if not self.columns then errors.misuse(1, "an array of one dimension has no transpose: reshape it before") end
  return make(self.array, self.first, self.columns, self.rows, self.column_step, self.row_step)
end

---Rows i1 to i2 and columns j1 to j2, in the same memory.
---@param i1 integer
---@param i2 integer
---@param j1 integer
---@param j2 integer
---@return braid.ArrayView
function View:block(i1, i2, j1, j2)
  if not self.columns then errors.misuse(1, "an array of one dimension has no blocks: use slice") end
  i1, i2 = check_number(self, i1, self.rows, "row"), check_number(self, i2, self.rows, "row")
  j1, j2 = check_number(self, j1, self.columns, "column"), check_number(self, j2, self.columns, "column")
  if i2 < i1 or j2 < j1 then errors.misuse(1, "the block %d to %d, %d to %d is empty", i1, i2, j1, j2) end
  return make(self.array, self.first + (i1 - 1) * self.row_step + (j1 - 1) * self.column_step, i2 - i1 + 1, j2 - j1 + 1,
    self.row_step, self.column_step)
end

---Rows first to last (elements, of one dimension), in the same memory.
---@param first integer
---@param last integer? default: the last one
---@return braid.ArrayView
function View:slice(first, last)
  first = errors.integer(1, "slice", "first", first, 1)
  last = last == nil and self.rows or errors.integer(1, "slice", "last", last, 0)
  if last > self.rows or first - 1 > last then
    errors.misuse(1, "there are no %s %d to %d in an array of %s", self.columns and "rows" or "elements", first, last,
      table.concat(self.shape, " x "))
  end
  return make(self.array, self.first + (first - 1) * self.row_step, last - first + 1, self.columns, self.row_step,
    self.column_step)
end

-- The shape of so many elements; -1 stands for what is left.
local function shape_of(count, rows, columns)
  if type(rows) == "table" then rows, columns = rows[1], rows[2] end
  local function size(name, value)
    if value == -1 then return -1 end
    return errors.integer(2, "reshape", name, value, 0)
  end
  rows = size("rows", rows)
  columns = columns ~= nil and size("columns", columns) or nil
  if rows == -1 and columns then rows = columns > 0 and count // columns or 0 end
  if columns == -1 then columns = rows > 0 and count // rows or 0 end
  if rows == -1 then rows = count end
  if rows * (columns or 1) ~= count then
    errors.misuse(2, "bad argument 'rows' to 'reshape' (%d elements expected, got %s)", count,
      table.concat({ rows, columns }, " x "))
  end
  return rows, columns
end

---The same elements with other rows and columns; a view that is not contiguous is copied.
---@param rows integer -1: as many as fit
---@param columns integer? -1: as many as fit; nil: one dimension
---@return braid.Array|braid.ArrayView
function View:reshape(rows, columns)
  local count = self.rows * (self.columns or 1)
  rows, columns = shape_of(count, rows, columns)
  local flat = self:flat()
  return columns and M.matrix(flat, rows, columns) or flat
end

---A flat array as rows and columns.
---@param array braid.Array
---@return braid.Array|braid.ArrayView
function M.reshape(array, rows, columns)
  rows, columns = shape_of(#array, rows, columns)
  return columns and M.matrix(array, rows, columns) or array
end

---How an array or a view lies in memory: its flat array, the elements before it, rows, columns (0: one dimension), and
---the steps from a row, and from a column, to the next.
---@return braid.Array array, integer first, integer rows, integer columns, integer row_step, integer column_step
function M.layout(value)
  if getmetatable(value) == core.Array then return value, 0, #value, 0, 1, 0 end
  return value.array, value.first, value.rows, value.columns or 0, value.row_step, value.column_step or 0
end

function View:__braid_pack()
  return M.from, M.layout(self)
end

-- A view may arrive before the module with these methods is loaded. It stands above this one, and replaces them.
local above = "braid.kernels.matrices"
for _, name in ipairs { "save", "sync", "__add", "__sub", "__mul", "__div", "__mod", "__idiv", "__pow", "__unm" } do
  View[name] = function(...)
    require(above)
    return View[name](...)
  end
end

return M
