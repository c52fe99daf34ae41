-- SPDX-License-Identifier: MIT
--- Comparisons, element by element, and the choice between two arrays. Arrays of two dimensions give one of two
--- dimensions; a row and a column are repeated, as in `map`.

local core = require "braid.core"
local errors = require "braid.errors"
local make_array = require "braid.sync.array".array
local matrices = require "braid.kernels.matrices"
local view = require "braid.sync.view"

local M = {}

local threads_only = { threads = "integer" }

local function check(what, name, value)
  if getmetatable(value) == core.Array or view.is(value) then return end
  errors.misuse(3, "bad argument '%s' to '%s' (a braid.array expected, got %s)", name, what, errors.described(value))
end

local function check_value(what, name, value)
  if not math.type(value) then check(what, name, value) end
end

local function threads_of(what, opts)
  errors.check_options(2, what, opts, threads_only)
  return opts and opts.threads
end

local rank = { f64 = 9, f32 = 8, u64 = 7, i64 = 7, u32 = 6, i32 = 5, u16 = 4, i16 = 3, u8 = 2, i8 = 1 }

local least = { i64 = math.mininteger, i32 = -1 << 31, i16 = -1 << 15, i8 = -128, u64 = 0, u32 = 0, u16 = 0, u8 = 0 }
local most = { i64 = math.maxinteger, i32 = (1 << 31) - 1, i16 = (1 << 15) - 1, i8 = 127, u64 = math.maxinteger,
  u32 = (1 << 32) - 1, u16 = (1 << 16) - 1, u8 = 255, f64 = 1 << 53, f32 = 1 << 24 }

-- Whether an integer can be an element of the array.
local function fits(value, array)
  if math.type(value) ~= "integer" or math.type(array) then return false end
  local type = array:type()
  return value >= (least[type] or -most[type]) and value <= most[type]
end

-- The type that holds the values of both.
local function common_type(a, b)
  local function of(value)
    if not math.type(value) then return value:type() end
    return math.type(value) == "float" and "f64" or "i64"
  end
  local x, y = of(a), of(b)
  if x == y then return x end
  if fits(a, b) then return y end
  if fits(b, a) then return x end
  if rank[x] >= 8 or rank[y] >= 8 then return "f64" end
  return "i64"
end

---a where the mask is not 0, else b. A row and a column are repeated, as in `map`. Suspends, except for short masks.
---@param mask braid.Array|braid.ArrayView
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView of the type of both; f64 or i64 if they differ
function M.where(mask, a, b, opts)
  check("where", "mask", mask)
  check_value("where", "a", a)
  check_value("where", "b", b)
  local threads = threads_of("where", opts)
  local flat, rows, columns = matrices.align({ mask = mask, a = a, b = b }, "where")
  local out = make_array(common_type(a, b), #flat.mask)
  core.selection_where(flat.mask, flat.a, flat.b, out, threads)
  return rows and view.matrix(out, rows, columns) or out
end

local function comparison(name, sign)
  return function(a, b, opts)
    check_value(name, "a", a)
    check_value(name, "b", b)
    return matrices.map("a " .. sign .. " b", { a = a, b = b }, { type = "u8", threads = threads_of(name, opts) })
  end
end

---Whether a < b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
M.less = comparison("less", "<")

---Whether a <= b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
M.less_equal = comparison("less_equal", "<=")

---Whether a == b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
M.equal = comparison("equal", "==")

---Whether a ~= b, for each element: a mask of u8. Suspends, except for short arrays.
---@param a braid.Array|braid.ArrayView|number
---@param b braid.Array|braid.ArrayView|number
---@param opts { threads: integer? }?
---@return braid.Array|braid.ArrayView
M.not_equal = comparison("not_equal", "~=")

return M
