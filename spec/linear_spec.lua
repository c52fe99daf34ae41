-- SPDX-License-Identifier: MIT
-- Linear algebra by LAPACK: the results satisfy the equations that define them.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local describe, assert = describe, assert
local misused = expect.misused
local array, kernels = braid.array, braid.kernels

local there = pcall(kernels.eigh, array("f64", { shape = { 1, 1 } }))
local function test(name, fn)
  if there then return helper.test(name, fn) end
  pending(name .. " (no LAPACK here)") -- luacheck: ignore
end

local function random(rows, columns, seed)
  return kernels.random(rows * columns, { seed = seed, distribution = "normal" }):reshape(rows, columns)
end

local function product(a, b) return kernels.matmul(a, b) end

-- The largest difference of elements.
local function apart(a, b)
  local x, y = a:totable(), b:totable()
  if type(x[1]) == "table" then x = a:flat():totable() end
  if type(y[1]) == "table" then y = b:flat():totable() end
  assert.equal(#x, #y)
  local most = 0
  for i = 1, #x do most = math.max(most, math.abs(x[i] - y[i])) end
  return most
end

local function identity(n)
  local a = array("f64", { shape = { n, n } })
  for i = 1, n do a[i][i] = 1 end
  return a
end

local function close(a, b) assert.is_true(apart(a, b) < 1e-9) end

local function flat(a) return a.flat and a:flat() or a end

describe("linear algebra", function()
  test("solves equations with one right side, or several", function()
    local a, x = random(20, 20, 1), random(20, 3, 2)
    local solved = kernels.solve(a, product(a, x))
    assert.same({ 20, 3 }, solved.shape)
    close(x, solved)
    local right = product(a, x:column(2):copy():flat():reshape(20, 1))
    close(flat(x:column(2)), kernels.solve(a, flat(right)))
    local whole = array("i32", { values = { { 1, 0 }, { 0, 2 } } })
    assert.same({ 2, 3 }, kernels.solve(whole, array("u8", { 2, 6 })):totable())
    close(x, kernels.solve(a:transpose(), product(a:transpose(), x)))
  end)

  test("decomposes by Cholesky", function()
    local r = random(9, 9, 3)
    local a = product(r, r:transpose())
    local before = a:copy()
    local l = kernels.cholesky(a)
    close(before, a)
    close(a, product(l, l:transpose()))
    assert.equal(0, l[1][2])
    assert.is_true(l[2][1] ~= 0)
  end)

  test("makes Q and R of tall, wide and square matrices", function()
    for _, shape in ipairs { { 7, 4 }, { 4, 7 }, { 5, 5 }, { 1, 1 }, { 3, 1 }, { 1, 3 } } do
      local a, k = random(shape[1], shape[2], 4), math.min(shape[1], shape[2])
      local q, r = kernels.qr(a)
      assert.same({ shape[1], k }, q.shape)
      assert.same({ k, shape[2] }, r.shape)
      close(a, product(q, r))
      close(identity(k), product(q:transpose(), q))
      for i = 2, k do
        for j = 1, i - 1 do assert.equal(0, r[i][j]) end
      end
    end
  end)

  test("finds singular values and vectors", function()
    for _, shape in ipairs { { 7, 4 }, { 4, 7 }, { 5, 5 }, { 1, 1 } } do
      local a, k = random(shape[1], shape[2], 5), math.min(shape[1], shape[2])
      local u, s, vt = kernels.svd(a)
      local scaled = u:copy()
      for i = 1, shape[1] do
        for j = 1, k do scaled[i][j] = scaled[i][j] * s[j] end
      end
      close(a, product(scaled, vt))
      close(identity(k), product(u:transpose(), u))
      close(identity(k), product(vt, vt:transpose()))
      for i = 2, k do assert.is_true(s[i] <= s[i - 1]) end
    end
  end)

  test("finds eigenvalues and eigenvectors of symmetric matrices", function()
    local r = random(8, 8, 6)
    local a = product(r, r:transpose())
    local values, vectors = kernels.eigh(a)
    for i = 1, 8 do
      local v = flat(vectors:column(i):copy())
      close(flat(product(a, v:reshape(8, 1))), kernels.map("v * l", v, values[i]))
      if i > 1 then assert.is_true(values[i] >= values[i - 1]) end
    end
  end)

  test("says when the numbers do not allow it", function()
    local zeroes = array("f64", { shape = { 3, 3 } })
    expect.raises("linear", kernels.solve, zeroes, array("f64", 3))
    expect.raises("linear", kernels.cholesky, zeroes)
    misused("square", kernels.solve, random(2, 3, 1), array("f64", 2))
    misused("2 rows expected", kernels.solve, identity(2), array("f64", 3))
    misused("'a' to 'qr'", kernels.qr, array("f64", 3))
    misused("'b' to 'solve'", kernels.solve, identity(2), 5)
  end)

  test("takes matrices without elements, and goes on beside other tasks", function()
    local q, r = kernels.qr(array("f64", { shape = { 0, 3 } }))
    assert.same({ 0, 0 }, q.shape)
    assert.same({ 0, 3 }, r.shape)
    helper.run(function()
      local turns = 0
      local other = braid.spawn(function() while true do turns = turns + 1; braid.sleep(0.001) end end)
      kernels.svd(random(200, 200, 7))
      other:cancel()
      assert.is_true(turns > 0)
    end)
  end)
end)
