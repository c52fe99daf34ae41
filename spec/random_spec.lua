-- SPDX-License-Identifier: MIT
-- Random numbers of several distributions, and running values.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local describe, assert = describe, assert
local test = helper.test
local misused = expect.misused
local array, kernels = braid.array, braid.kernels

local N = 100000

-- Mean and variance are near those of the distribution: within six standard errors, so a good generator does not fail.
local function has_moments(opts, mean, variance, kurtosis)
  opts.seed = 7
  local a = kernels.random(N, opts)
  local found, square = kernels.mean(a), kernels.var(a)
  local error = 6 * math.sqrt(variance / N) + 1e-12
  assert.is_true(math.abs(found - mean) < error, ("mean %g, %g expected"):format(found, mean))
  local spread = 6 * variance * math.sqrt((kurtosis + 2) / N) + 1e-12
  assert.is_true(math.abs(square - variance) < spread, ("variance %g, %g expected"):format(square, variance))
  return a
end

-- How often each count appears, against its probability: chi-square with few degrees of freedom.
local function has_shares(a, probability, most)
  local counts = kernels.bincount(array("i64", a), { zero = true })
  local chi, cells = 0, 0
  for k = 0, most do
    local expected = N * probability(k)
    if expected > 20 then
      local difference = (k < #counts and counts[k + 1] or 0) - expected
      chi, cells = chi + difference * difference / expected, cells + 1
    end
  end
  assert.is_true(cells > 3)
  assert.is_true(chi < cells + 6 * math.sqrt(2 * cells), ("chi-square %g of %d cells"):format(chi, cells))
end

local function poisson(mean)
  return function(k)
    local log = -mean + k * math.log(mean)
    for i = 2, k do log = log - math.log(i) end
    return math.exp(log)
  end
end

local function binomial(n, p)
  return function(k)
    local log = k * math.log(p) + (n - k) * math.log(1 - p)
    for i = 1, k do log = log + math.log(n - i + 1) - math.log(i) end
    return math.exp(log)
  end
end

describe("random numbers", function()
  test("are exponential", function()
    local a = has_moments({ distribution = "exponential", mean = 2 }, 2, 4, 6)
    assert.is_true(kernels.min(a) >= 0)
    assert.same({ 0, 0 }, kernels.random(2, { distribution = "exponential", mean = 0 }):totable())
  end)

  test("follow Poisson's distribution, for small and large means", function()
    for _, mean in ipairs { 0.3, 4, 9.99, 10, 35.5, 1000 } do
      local a = has_moments({ distribution = "poisson", mean = mean, type = "i32" }, mean, mean, 1 / mean)
      has_shares(a, poisson(mean), math.floor(mean + 10 * math.sqrt(mean) + 10))
    end
    has_moments({ distribution = "poisson", mean = 1e9 }, 1e9, 1e9, 0)
    assert.same({ 0, 0 }, kernels.random(2, { distribution = "poisson", mean = 0 }):totable())
  end)

  test("follow the binomial distribution, on both sides of one half", function()
    for _, case in ipairs { { 1, 0.25 }, { 20, 0.1 }, { 40, 0.25 }, { 40, 0.3 }, { 100, 0.5 }, { 50, 0.8 }, { 9, 0.95 },
      { 1000, 0.5 } } do
      local n, p = case[1], case[2]
      local variance = n * p * (1 - p)
      local a = has_moments({ distribution = "binomial", n = n, p = p }, n * p, variance, 1 / variance)
      if n > 9 then has_shares(a, binomial(n, p), n) end
      assert.is_true(kernels.min(a) >= 0 and kernels.max(a) <= n)
    end
    has_moments({ distribution = "binomial", n = 1 << 31, p = 0.5 }, 2 ^ 30, 2 ^ 29, 0)
    for _, p in ipairs { 0, 1 } do
      assert.equal(5 * p, kernels.max(kernels.random(9, { distribution = "binomial", n = 5, p = p })))
    end
  end)

  test("depend on the seed and the place alone", function()
    for _, opts in ipairs { { distribution = "exponential" }, { distribution = "poisson", mean = 20 },
      { distribution = "binomial", n = 99, p = 0.7 } } do
      opts.seed, opts.threads = 3, 1
      local one = kernels.random(100000, opts)
      opts.threads = 2
      assert.equal(one:tostring(), kernels.random(100000, opts):tostring())
      assert.same(one:slice(1, 100):totable(), kernels.random(100, opts):totable())
      opts.seed = 4
      assert.not_equal(one:tostring(), kernels.random(100000, opts):tostring())
    end
  end)

  test("refuse what cannot be", function()
    misused("did you mean", kernels.random, 1, { distribution = "poison" })
    misused("'mean'", kernels.random, 1, { distribution = "poisson", mean = -1 })
    misused("'mean'", kernels.random, 1, { distribution = "poisson", mean = 0 / 0 })
    misused("'mean'", kernels.random, 1, { distribution = "exponential", mean = 1 / 0 })
    misused("'n' and 'p'", kernels.random, 1, { distribution = "binomial", n = 3, p = 1.5 })
    misused("'n' and 'p'", kernels.random, 1, { distribution = "binomial", n = -3 })
  end)
end)

describe("running values", function()
  local function by_lua(list, join)
    local out = { list[1] }
    for i = 2, #list do out[i] = join(out[i - 1], list[i]) end
    return out
  end

  local joins = {
    sum = function(a, b) return a + b end, product = function(a, b) return a * b end, min = math.min, max = math.max,
  }

  test("are Lua's, for all types and any number of threads", function()
    for what, join in pairs(joins) do
      for type, n in pairs { i64 = 140000, i8 = 1000, u16 = 1000 } do
        local a = kernels.random(n, { type = type, seed = 5 })
        local expected = by_lua(a:totable(), join)
        for threads = 1, 2 do
          assert.same(expected, kernels.scan(a, { what = what, threads = threads }):totable())
        end
      end
    end
    for _, what in ipairs { "product", "min", "max" } do
      local a = kernels.random(150000, { low = 0.9, high = 1.1, seed = 6 })
      assert.same(by_lua(a:totable(), joins[what]), kernels.scan(a, { what = what }):totable())
    end
  end)

  test("order u64 as numbers without sign, and keep NaN", function()
    local a = array("u64", { 5, -1, 3 })
    assert.same({ 5, 5, 3 }, kernels.scan(a, { what = "min" }):totable())
    assert.same({ 5, -1, -1 }, kernels.scan(a, { what = "max" }):totable())
    local b = kernels.scan(array("f64", { 2, 0 / 0, 1 }), { what = "min" })
    assert.is_true(b[1] == 2 and b[2] ~= b[2] and b[3] ~= b[3])
    assert.same({}, kernels.scan(array("f64", 0), { what = "product" }):totable())
    assert.equal(0, kernels.scan(kernels.map("where(x == 1, 0, 1e300)", kernels.arange(1, 200000)),
      { what = "product" })[200000])
    misused("'what'", kernels.scan, a, { what = "mean" })
  end)
end)
