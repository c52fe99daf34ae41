-- SPDX-License-Identifier: MIT
--- Linear algebra of matrices, by the system's LAPACK (Debian: liblapack3, or faster: libopenblas0). It is loaded by
--- the first call; without it each function raises kind "system". All compute in doubles, and suspend.
---
--- A matrix is an array of two dimensions of any type. Its elements are not changed. Where the numbers do not allow the
--- operation, kind "linear" is raised.

local core = require "braid.core"
local errors = require "braid.errors"
local view = require "braid.sync.view"

local M = {}

local function refuse(what) error(errors.new("linear", what), 0) end

-- A copy of a matrix as f64, row by row: the flat array, its rows and columns.
local function copy_of(what, name, matrix)
  if not view.is(matrix) or not matrix.shape[2] then
    errors.misuse(2, "bad argument '%s' to '%s' (an array of two dimensions expected, got %s)", name, what,
      errors.described(matrix))
  end
  local rows, columns = matrix.shape[1], matrix.shape[2]
  local flat = core.array_new("f64", rows * columns)
  return flat:set(matrix:flat()), rows, columns
end

local function square_of(what, name, matrix)
  local flat, rows, columns = copy_of(what, name, matrix)
  if rows == columns then return flat, rows end
  errors.misuse(2, "bad argument '%s' to '%s' (a square matrix expected, got one of %d x %d)", name, what, rows,
    columns)
end

---Solves a x = b.
---@param a braid.ArrayView n x n
---@param b braid.Array|braid.ArrayView n numbers, or n x k
---@return braid.Array|braid.ArrayView x f64, of b's shape
function M.solve(a, b)
  local matrix, n = square_of("solve", "a", a)
  local single = not (view.is(b) and b.shape[2])
  local right, k
  if single then
    if getmetatable(b) ~= core.Array and not view.is(b) then
      errors.misuse(1, "bad argument 'b' to 'solve' (an array expected, got %s)", errors.described(b))
    end
    right, k = core.array_new("f64", #b):set(view.is(b) and b:flat() or b), 1
  else
    right, k = copy_of("solve", "b", b:transpose())
  end
  if #b ~= n then errors.misuse(1, "bad argument 'b' to 'solve' (%d rows expected, got %d)", n, #b) end
  if core.lapack("solve", n, n, k, matrix, right) > 0 then refuse "solve: the matrix is singular" end
  return single and right or view.matrix(right, k, n):transpose():copy()
end

---The Cholesky decomposition of a symmetric, positive definite matrix: a lower triangle l, where a = l * l transposed.
---Only the lower triangle of a is read.
---@param a braid.ArrayView n x n
---@return braid.ArrayView l
function M.cholesky(a)
  local matrix, n = square_of("cholesky", "a", a)
  if core.lapack("cholesky", n, n, n, matrix) > 0 then refuse "cholesky: the matrix is not positive definite" end
  return view.matrix(matrix, n, n)
end

---The QR decomposition: a = q * r, with k the smaller of m and n.
---@param a braid.ArrayView m x n
---@return braid.ArrayView q m x k, with orthonormal columns
---@return braid.ArrayView r k x n, an upper triangle
function M.qr(a)
  local matrix, m, n = copy_of("qr", "a", a)
  local k = math.min(m, n)
  local q, r = core.array_new("f64", m * k), core.array_new("f64", k * n)
  core.lapack("qr", m, n, k, matrix, q, r)
  return view.matrix(q, m, k), view.matrix(r, k, n)
end

---The singular value decomposition: a = u * diagonal(s) * vt, with k the smaller of m and n.
---@param a braid.ArrayView m x n
---@return braid.ArrayView u m x k, with orthonormal columns
---@return braid.Array s k values, descending
---@return braid.ArrayView vt k x n, with orthonormal rows
function M.svd(a)
  local matrix, m, n = copy_of("svd", "a", a)
  local k = math.min(m, n)
  local u, s, vt = core.array_new("f64", m * k), core.array_new("f64", k), core.array_new("f64", k * n)
  if core.lapack("svd", m, n, k, matrix, u, vt, s) ~= 0 then refuse "svd: no convergence, or elements that are NaN" end
  return view.matrix(u, m, k), s, view.matrix(vt, k, n)
end

---The eigenvalues and eigenvectors of a symmetric matrix. Only the lower triangle of a is read.
---@param a braid.ArrayView n x n
---@return braid.Array values n, ascending
---@return braid.ArrayView vectors n x n: column i belongs to value i
function M.eigh(a)
  local matrix, n = square_of("eigh", "a", a)
  local values = core.array_new("f64", n)
  if core.lapack("eigh", n, n, n, matrix, nil, nil, values) ~= 0 then refuse "eigh: no convergence" end
  return values, view.matrix(matrix, n, n):transpose():copy()
end

return M
