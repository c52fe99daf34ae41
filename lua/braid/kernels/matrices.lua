-- SPDX-License-Identifier: MIT
--- Kernels of arrays of two dimensions: reductions along an axis, `map` with broadcasting, operators, matmul.
---
--- Operators compute at once, each into a new array; `kernels.map` computes a whole expression in one pass.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local vectors = require "braid.kernels.vectors"
local view = require "braid.sync.view"

local M = {}

local Array, View = core.Array, view.View

-- ---- along an axis ------------------------------------------------------------------------------------------------

local axis_options = { axis = "integer", threads = "integer" }

-- Reduces along opts.axis; `what` is "sum", "min" or "max".
local function along(name, what, array, opts)
  errors.check_options(2, name, opts, axis_options)
  local shape = array.shape
  if opts.axis ~= 1 and opts.axis ~= 2 then
    errors.misuse(2, "bad option 'axis' to '%s' (1: one result for each column, or 2: one for each row, got %d)", name,
      opts.axis)
  end
  local rows, columns = shape[1], shape[2]
  if not columns then errors.misuse(2, "bad option 'axis' to '%s' (an array of two dimensions expected)", name) end
  local count = opts.axis == 1 and columns or rows
  local type = array:type()
  local out = make_array((type == "f64" or type == "f32") and "f64" or "i64", count)
  if rows == 0 or columns == 0 then
    if what == "sum" or count == 0 then return out end
    errors.misuse(2, "bad argument 'array' to '%s' (it has no elements along the axis)", name)
  end
  core.matrix_reduce(array:flat(), rows, columns, what, opts.axis == 1, out, opts.threads)
  return out
end

local function reduction(name, what)
  local plain = vectors[name]
  return function(array, opts)
    if not view.is(array) then return plain(array, opts) end
    if not (opts and opts.axis) then return plain(array:flat(), opts) end
    return along(name, what, array, opts)
  end
end

---As vectors.sum; with `axis = 1` one sum for each column of a two-dimensional array, with 2 one for each row.
M.sum = reduction("sum", "sum")
---As vectors.min, also along an axis.
M.min = reduction("min", "min")
---As vectors.max, also along an axis.
M.max = reduction("max", "max")

---As vectors.mean, also along an axis.
---@param array braid.Array|braid.ArrayView
---@param opts { axis: integer?, threads: integer? }?
---@return number|braid.Array|nil
function M.mean(array, opts)
  if not view.is(array) then return vectors.mean(array, opts) end
  if not (opts and opts.axis) then return vectors.mean(array:flat(), opts) end
  local sums = along("mean", "sum", array, opts)
  return vectors.map("s / n", { s = sums, n = array.shape[opts.axis] })
end

-- ---- broadcasting -------------------------------------------------------------------------------------------------

-- A flat array of rows x columns with the elements of `value`: all of them, its row for each row, or its column for
-- each column.
local function broadcast(what, name, value, rows, columns)
  if math.type(value) then return value end
  local array, first, own_rows, own_columns, row_step, column_step = view.layout(value)
  if own_columns == 0 then own_rows, own_columns, row_step, column_step = 1, own_rows, 0, row_step end
  if own_rows == rows and own_columns == columns then return view.is(value) and value:flat() or value end
  if (own_rows ~= 1 and own_rows ~= rows) or (own_columns ~= 1 and own_columns ~= columns) then
    errors.misuse(4, "bad argument '%s' to '%s' (%d x %d elements expected, or a row or a column of these, got %s)",
      name, what, rows, columns, table.concat({ own_rows, own_columns }, " x "))
  end
  local flat = core.array_new(value:type(), rows * columns)
  core.view_copy(flat, 0, columns, 1, array, first, own_rows == 1 and 0 or row_step,
    own_columns == 1 and 0 or column_step,
    rows, columns)
  return flat
end

-- The rows and columns that cover all two-dimensional values; nil if there is none.
local function common_shape(list, count)
  local rows, columns
  for at = 1, count do
    if view.is(list[at]) then
      local shape = list[at].shape
      rows, columns = math.max(rows or 0, shape[1]), math.max(columns or 0, shape[2] or 0)
    end
  end
  if columns == 0 then return nil end
  for at = 1, count do
    if rows and getmetatable(list[at]) == Array and #list[at] > 1 then columns = math.max(columns, #list[at]) end
  end
  return rows, columns
end

-- A view of one dimension becomes an array.
local function flat_line(value) return view.is(value) and value:flat() or value end

---Flat arrays for values that belong together, by name: rows and columns are repeated as often as the others need.
---@param values table<any, braid.Array|braid.ArrayView|number>
---@param what string the function, for the message
---@return table flat
---@return integer? rows nil: none of them has two dimensions
---@return integer? columns
function M.align(values, what)
  local list, count = {}, 0
  for _, value in pairs(values) do
    count = count + 1
    list[count] = value
  end
  local rows, columns = common_shape(list, count)
  local flat = {}
  for name, value in pairs(values) do
    flat[name] = rows and broadcast(what, tostring(name), value, rows, columns) or flat_line(value)
  end
  return flat, rows, columns
end

-- The options with a flat array to write to, and what `out` is.
local function flat_out(opts, rows, columns)
  local out = opts and opts.out
  if not view.is(out) then return opts end
  local shape = out.shape
  if shape[1] ~= (rows or shape[1]) or rows and shape[2] ~= columns then
    errors.misuse(3, "bad option 'out' to 'map' (%d x %d elements expected, got %s)", rows, columns,
      table.concat(shape, " x "))
  end
  local copy = {}
  for name, value in pairs(opts) do copy[name] = value end
  copy.out = out:flat()
  return copy, out
end

-- The result as the caller wants it: with the shape of the arguments, or in his own view.
local function shaped(result, rows, columns, out)
  if not out then return rows and view.matrix(result, rows, columns) or result end
  if not out:is_plain() then out:set(result) end
  return out
end

local function map_named(expression, values, opts)
  local flat, rows, columns = M.align(values, "map")
  local flat_opts, out = flat_out(opts, rows, columns)
  return shaped(vectors.map(expression, flat, flat_opts), rows, columns, out)
end

---As vectors.map. Arrays of two dimensions give one of two dimensions; a row (or an array as long as a row) and a
---column are repeated.
---@param expression string
---@param ... any as for vectors.map
---@return braid.Array|braid.ArrayView
function M.map(expression, ...)
  local list = table.pack(...)
  local first = list[1]
  if type(first) == "table" and getmetatable(first) ~= View then
    local opts = list[2]
    for _, value in pairs(first) do
      if view.is(value) then return map_named(expression, first, opts) end
    end
    if type(opts) == "table" and view.is(opts.out) then return map_named(expression, first, opts) end
    return vectors.map(expression, ...)
  end
  local count, opts = list.n, nil
  if type(list[count]) == "table" and not view.is(list[count]) then count, opts = count - 1, list[count] end
  local flat, rows, columns = M.align(table.move(list, 1, count, 1, {}), "map")
  local flat_opts, out = flat_out(opts, rows, columns)
  if opts then flat[count + 1] = flat_opts end
  return shaped(vectors.map(expression, table.unpack(flat, 1, list.n)), rows, columns, out)
end

---As vectors.matmul; two arrays of two dimensions need no sizes, and give one of two dimensions.
---@param a braid.Array|braid.ArrayView
---@param b braid.Array|braid.ArrayView
---@param ... any as for vectors.matmul
---@return braid.Array|braid.ArrayView
function M.matmul(a, b, ...)
  if not (view.is(a) and view.is(b)) then return vectors.matmul(flat_line(a), flat_line(b), ...) end
  local m, k, n = a.shape[1], a.shape[2], b.shape[2]
  if not k or not n or b.shape[1] ~= k then
    errors.misuse(1, "matmul of %s and %s: the first one's columns must be as many as the second one's rows",
      table.concat(a.shape, " x "), table.concat(b.shape, " x "))
  end
  return view.matrix(vectors.matmul(a:flat(), b:flat(), m, k, n, ...), m, n)
end

-- ---- operators ----------------------------------------------------------------------------------------------------

local function is_float(value)
  if math.type(value) then return math.type(value) == "float" end
  local type = value:type()
  return type == "f64" or type == "f32"
end

-- Integers give integers, as in Lua; / and ^ give floats.
local function operator(sign, always_float)
  local expression = "a " .. sign .. " b"
  return function(a, b)
    for _, value in ipairs { a, b } do
      if not math.type(value) and getmetatable(value) ~= Array and not view.is(value) then
        errors.misuse(1, "attempt to compute '%s' of an array and %s", sign, errors.described(value))
      end
    end
    local floats = always_float or is_float(a) or is_float(b)
    return M.map(expression, { a = a, b = b }, { type = floats and "f64" or "i64" })
  end
end

for event, sign in pairs { __add = "+", __sub = "-", __mul = "*", __mod = "%", __idiv = "//" } do
  Array[event], View[event] = operator(sign, false), operator(sign, false)
end
for event, sign in pairs { __div = "/", __pow = "^" } do
  Array[event], View[event] = operator(sign, true), operator(sign, true)
end

local function negative(a) return M.map("-a", { a = a }, { type = is_float(a) and "f64" or "i64" }) end
Array.__unm, View.__unm = negative, negative

return M
