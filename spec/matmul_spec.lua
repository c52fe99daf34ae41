-- SPDX-License-Identifier: MIT
-- Matrix products and random numbers.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local kernels = braid.kernels
local misused = expect.misused

-- Small integers: every sum is exact, in whatever order.
local function random_matrix(type, count)
  local list = {}
  for i = 1, count do list[i] = math.random(0, 9) end
  return braid.array(type, list), list
end

local function product(a, b, m, k, n)
  local c = {}
  for i = 0, m - 1 do
    for j = 1, n do
      local sum = 0
      for p = 0, k - 1 do sum = sum + a[i * k + p + 1] * b[p * n + j] end
      c[i * n + j] = sum
    end
  end
  return c
end

describe("matmul", function()
  helper.test("multiplies matrices of every shape", function()
    math.randomseed(5)
    local shapes = {
      { 1, 1, 1 }, { 2, 3, 4 }, { 1, 7, 1 }, { 5, 1, 5 }, { 12, 16, 16 }, { 13, 17, 17 }, { 48, 20, 30 },
      { 49, 33, 31 }, { 3, 256, 5 }, { 3, 257, 5 }, { 7, 600, 3 }, { 2, 3, 255 }, { 2, 3, 257 },
      { 100, 3, 300 }, { 2, 2, 1030 },
      { 0, 3, 4 }, { 3, 0, 4 }, { 3, 4, 0 },
    }
    for _, shape in ipairs(shapes) do
      local m, k, n = table.unpack(shape)
      local a, a_list = random_matrix("f64", m * k)
      local b, b_list = random_matrix("f64", k * n)
      local expected = product(a_list, b_list, m, k, n)
      for _, threads in ipairs { 1, 2, 3, 7 } do
        local c = kernels.matmul(a, b, m, k, n, { threads = threads }):totable()
        assert.equal(m * n, #c)
        for i = 1, m * n do
          if c[i] ~= expected[i] then error(("%d x %d x %d, element %d"):format(m, k, n, i)) end
        end
      end
    end
  end, { deadline = 60 })

  helper.test("gives the same bits for any number of threads", function()
    local a, b = kernels.random(150 * 300, { seed = 1 }), kernels.random(300 * 270, { seed = 2 })
    local first = kernels.matmul(a, b, 150, { threads = 1 }):tostring()
    for threads = 2, 7 do assert.is_true(first == kernels.matmul(a, b, 150, { threads = threads }):tostring()) end
  end)

  helper.test("takes every type, and works out the shape", function()
    for _, type in ipairs { "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8" } do
      local a, b = braid.array(type, { 1, 2, 3, 4 }), braid.array("f64", { 5, 6, 7, 8 })
      assert.same({ 19.0, 22.0, 43.0, 50.0 }, kernels.matmul(a, b):totable())
      local c = kernels.matmul(a, b, { type = type })
      assert.equal(type, c:type())
      assert.equal(50, c[4])
    end
    local a, b = braid.array("f64", { 1, 2, 3, 4, 5, 6 }), braid.array("f64", { 1, 1, 1 })
    assert.same({ 6.0, 15.0 }, kernels.matmul(a, b, 2):totable())
    assert.same({ 6.0, 15.0 }, kernels.matmul(a, b, 2, { threads = 1 }):totable())
    assert.same({ 6.0, 15.0 }, kernels.matmul(a, b, nil, 3):totable())
    local out = braid.array("i32", 2)
    assert.equal(out, kernels.matmul(a, b, 2, 3, 1, { out = out }))
    assert.equal(15, out[2])
  end)

  helper.test("refuses shapes that do not fit, and results that overlap", function()
    local a, b = braid.array("f64", 6), braid.array("f64", 4)
    misused("matmul needs the number of a's rows", kernels.matmul, a, b)
    misused("expected, but a has 6 elements, b 4", kernels.matmul, a, b, 2)
    misused("a of 4 x 1 and b of 1 x 4 expected, but a has 6", kernels.matmul, a, b, 4)
    misused("bad argument 'k' to 'matmul' (an integer from 0 expected, got -1)", kernels.matmul, a, b, 1, -1)
    misused("bad argument 'b' to 'matmul'", kernels.matmul, a, 2)
    misused("bad argument 'out' (4 elements expected, got 6)", kernels.matmul, b, b, { out = a })
    misused("bad argument 'out' (it shares elements", kernels.matmul, b, b, { out = b })
    misused("unknown option 'outs'", kernels.matmul, b, b, { outs = b })
  end)
end)

describe("random numbers", function()
  helper.test("are those of Philox 4x32-10", function() -- the first vector of its authors' known answers
    local answer = kernels.random(1, { seed = 0, type = "i64" })[1] ~ math.mininteger
    assert.equal(0xe169c58d6627e8d5, answer)
  end)

  helper.test("depend on the seed and the place alone", function()
    for _, distribution in ipairs { "uniform", "normal" } do
      for _, n in ipairs { 1, 2, 1023, 1025, 65537, 200000 } do
        local first
        for _, threads in ipairs { 1, 2, 3, 7 } do
          local array = kernels.random(n, { seed = 9, distribution = distribution, threads = threads })
          first = first or array:tostring()
          assert.is_true(first == array:tostring())
        end
        local longer = kernels.random(n + 5000, { seed = 9, distribution = distribution })
        assert.is_true(first == longer:slice(1, n):tostring())
      end
    end
    assert.are_not.equal(kernels.random(1, { seed = 1 })[1], kernels.random(1, { seed = 2 })[1])
    assert.are_not.equal(kernels.random(1)[1], kernels.random(1)[1])
  end)

  helper.test("are distributed as they should be", function()
    local n = 400000
    local uniform = kernels.random(n, { seed = 3, low = -2, high = 4 })
    assert.is_true(kernels.min(uniform) >= -2 and kernels.max(uniform) < 4)
    assert.is_true(math.abs(kernels.mean(uniform) - 1) < 0.02)
    assert.is_true(math.abs(kernels.var(uniform) - 3) < 0.02)
    for _, count in ipairs((kernels.histogram(uniform, 20)):totable()) do
      assert.is_true(math.abs(count - n / 20) < 5 * (n / 20) ^ 0.5)
    end
    local normal = kernels.random(n, { seed = 3, distribution = "normal", mean = 5, deviation = 2 })
    assert.is_true(math.abs(kernels.mean(normal) - 5) < 0.02)
    assert.is_true(math.abs(kernels.var(normal) - 4) < 0.05)
    local inside = kernels.sum(kernels.map("abs(x - 5) < 2", normal)) / n
    assert.is_true(math.abs(inside - 0.6827) < 0.005)
  end)

  helper.test("are rounded to the nearest integer where they are normal", function()
    local n = 100000
    local array = kernels.random(n, { type = "i16", distribution = "normal", seed = 5, mean = 0.5 })
    assert.is_true(math.abs(kernels.mean(array) - 0.5) < 0.02)
    assert.is_true(math.abs(kernels.var(array) - 1 - 1 / 12) < 0.03)
    local same = kernels.random(2, { type = "u8", distribution = "normal", mean = 6.6, deviation = 0 })
    assert.same({ 7, 7 }, same:totable())
  end)

  helper.test("lie between elements of u64", function()
    local low, high = math.mininteger + 5, -3
    local array = kernels.random(1000, { type = "u64", low = low, high = high, seed = 6 })
    for _, x in ipairs(array:totable()) do assert.is_true(not math.ult(x, low) and not math.ult(high, x)) end
    misused("(integers of u64, low <= high, expected, got -3 and 5)", kernels.random, 5,
      { type = "u64", low = -3, high = 5 })
  end)

  helper.test("fill arrays of every type", function()
    for _, type in ipairs { "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8" } do
      local array = braid.array(type, 5000)
      assert.equal(array, kernels.fill_random(array, { low = 3, high = 6, seed = 4 }))
      if type ~= "f64" and type ~= "f32" then
        local values = kernels.unique(array)
        assert.same({ 3, 4, 5, 6 }, values:totable())
      end
      kernels.fill_random(array, { seed = 4 })
      assert.is_true(#kernels.unique(array) > 200)
    end
    assert.equal(0, #kernels.random(0))
  end)

  helper.test("refuse what makes no sense", function()
    misused("bad argument 'n' to 'random' (an integer from 0 expected, got -1)", kernels.random, -1)
    misused("(low < high, both finite, expected, got 2 and 1)", kernels.random, 5, { low = 2, high = 1 })
    misused("(low < high, both finite, expected, got 0.0 and inf)", kernels.random, 5, { high = math.huge })
    misused("(integers of u8, low <= high, expected, got nil and 256)", kernels.random, 5,
      { type = "u8", high = 256 })
    misused("bad option 'distribution' (\"uniform\", \"normal\", \"exponential\", \"poisson\" or \"binomial\" "
      .. "expected, got \"even\")", kernels.random, 5, { distribution = "even" })
    for _, opts in ipairs { { deviation = -1 }, { deviation = 0 / 0 }, { mean = 1 / 0 } } do
      opts.distribution = "normal"
      misused("bad options 'mean' and 'deviation' (finite numbers, deviation >= 0, expected", kernels.random, 5, opts)
    end
    misused("unknown option 'sed' to 'random' (did you mean 'seed'?)", kernels.random, 5, { sed = 1 })
  end)
end)
