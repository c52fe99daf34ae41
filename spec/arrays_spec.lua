-- SPDX-License-Identifier: MIT
-- Arrays of two dimensions and what experiments do with arrays: selection by index and mask, groups, quantiles,
-- windows, reductions along an axis, broadcasting, operators; each beside plain Lua.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local describe, assert = describe, assert
local test = helper.test
local misused = expect.misused
local kernels, array = braid.kernels, braid.array
local THREADS = { 1, 2, 5 }

local function random_integers(n, low, high, type)
  return kernels.fill_random(array(type or "i32", n), { low = low, high = high, seed = n })
end

describe("an array of two dimensions", function()
  local function matrix() return array("i32", { shape = { 3, 4 }, values = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    12 } }) end

  test("is made from a shape, a flat list, a list of rows, an array", function()
    assert.same({ { 0.0, 0.0 } }, array("f64", { shape = { 1, 2 } }):totable())
    assert.same({ { 1, 2 }, { 3, 4 } }, array("i8", { values = { { 1, 2 }, { 3, 4 } } }):totable())
    assert.same({ { 1, 2 }, { 3, 4 } }, array("i8", { shape = { 2, 2 }, values = array("i8", { 1, 2, 3,
      4 }) }):totable())
    assert.same({ { 1.0, 2.0 } }, array("f64", { values = array("i8", { values = { { 1, 2 } } }) }):totable())
    assert.same({ 3, 4 }, matrix().shape)
    assert.same({ 5 }, array("u8", 5).shape)
  end)

  test("has rows, columns, transposes, blocks and other shapes on the same memory", function()
    local m = matrix()
    m[2]:fill(0)
    m:column(1)[3] = -9
    m:transpose()[4][1] = 44
    m:block(1, 2, 2, 3)[1][2] = 33
    m:reshape(12)[2] = 22
    m:reshape(4, -1)[4][3] = 99
    assert.same({ { 1, 22, 33, 44 }, { 0, 0, 0, 0 }, { -9, 10, 11, 99 } }, m:totable())
    assert.same({ 3, 4, 3 }, { #m, #m[1], #m:column(1) })
    m[1] = { 7, 7, 7, 7 }
    assert.same({ 7, 7, 7, 7 }, m[1]:totable())
    local rows = {}
    for i, row in pairs(m) do rows[i] = row[2] end
    assert.same({ 7, 0, 10 }, rows)
  end)

  test("is copied where it is not contiguous", function()
    local m = matrix()
    local other = m:transpose():copy()
    other:fill(0)
    assert.equal(12, m[3][4])
    assert.same({ 1, 5, 9, 2 }, m:transpose():flat():slice(1, 4):totable())
    local part = m:block(2, 3, 2, 3):reshape(4)
    part[1] = 0
    assert.equal(6, m[2][2])
  end)

  test("goes to threads and processes without a copy", function()
    local m = matrix()
    for _, make in ipairs { braid.thread_pool, braid.process_pool } do
      local pool <close> = make { workers = 1 }
      local sum = pool:submit(function()
        m[1][1] = m[1][1] + 100
        return m:column(1):totable()[1]
      end):result()
      assert.equal(m[1][1], sum)
    end
    assert.equal(201, m[1][1])
  end)

  test("is refused with what was expected", function()
    local m = matrix()
    misused("there is no row 4 in an array of 3 x 4", function() return m[4] end)
    misused("there is no column 5", function() m:column(5) end)
    misused("12 elements expected, got 5 x 3", function() m:reshape(5, 3) end)
    misused("4 numbers expected in row 2, got 1", function() m:set { { 1, 2, 3, 4 }, { 1 }, { 1, 2, 3, 4 } } end)
    misused("bad option 'shape'", function() array("f64", { shape = { 2, -1 } }) end)
    misused("4 elements expected, got 3", function() array("f64", { shape = { 2, 2 }, values = { 1, 2, 3 } }) end)
    misused("did you mean 'shape'", function() array("f64", { shap = { 2 }, values = { 1 } }) end)
  end)
end)

describe("selection", function()
  test("takes and puts by index", function()
    local x = kernels.random(100000, { seed = 1 })
    local places = random_integers(200000, 1, #x, "i64")
    for _, threads in ipairs(THREADS) do
      local taken = kernels.take(x, places, { threads = threads })
      for i = 1, #places, 997 do assert.equal(x[places[i]], taken[i]) end
    end
    assert.same({ 8, 0, 9 }, kernels.put(array("i32", 3), { 3, 1, 3 }, { 7, 8, 9 }):totable())
    assert.same({ 5.0, 0.0, 5.0 }, kernels.put(array("f64", 3), { 1, 3 }, 5):totable())
    assert.same({ 3.5, 0.0, 4.0 }, kernels.scatter_add(array("f64", 3), { 1, 1, 3 }, { 1, 2.5, 4 }):totable())
    misused("indices[2] is 4: there is no such element in an array of 3", function()
      kernels.take(array("u8", 3), { 1, 4 })
    end)
    misused("indices[1] is 0", function() kernels.put(array("u8", 3), { 0 }, 1) end)
    assert.same({ 1, 1 }, kernels.take(array("i64", { 1, 2 }), array("i64", { values = { { 1, 1 } } })):totable())
  end)

  test("by mask agrees with Lua, for all types and lengths", function()
    for _, type in ipairs { "f64", "f32", "i64", "i16", "u8" } do
      for _, n in ipairs { 0, 1, 1024, 70001 } do
        local x = array(type, n)
        if n > 0 then kernels.fill_random(x, { low = 0, high = 100, seed = n }) end
        local mask, expected = kernels.less(x, 50), {}
        for i = 1, n do
          if x[i] < 50 then expected[#expected + 1] = x[i] end
        end
        assert.equal("u8", mask:type())
        assert.equal(#expected, kernels.count(mask))
        assert.same(expected, kernels.compress(x, mask):totable())
        local places = kernels.indices(mask)
        assert.equal(#expected, #places)
        if #places > 0 then assert.equal(expected[#expected], x[places[#places]]) end
        local chosen = kernels.where(mask, x, -1)
        for i = 1, n, 101 do assert.equal(x[i] < 50 and x[i] or -1, chosen[i]) end
      end
    end
    assert.same({ 0, 1, 1 }, kernels.less_equal(2, array("i32", { 1, 2, 3 })):totable())
    assert.same({ 1, 0 }, kernels.not_equal(array("i32", { 1, 2 }), array("f64", { 1.5, 2 })):totable())
    misused("3 elements expected, got 2", function() kernels.compress(array("u8", 3), array("u8", 2)) end)
  end, { deadline = 30 })

  test("counts up, shuffles and chooses", function()
    assert.same({ 0.0, 0.25, 0.5, 0.75, 1.0 }, kernels.linspace(0, 1, 5):totable())
    assert.same({ 10, 7, 4, 1 }, kernels.arange(10, 1, -3):totable())
    assert.equal(0, #kernels.arange(2, 1))
    assert.same({ 0.0, 0.1, 0.2, 0.1 * 3 }, kernels.arange(0, 0.3, 0.1):totable())
    local shuffled = kernels.shuffle(kernels.arange(1, 1000), { seed = 5 })
    assert.are_not.equal(1000, shuffled[1000])
    assert.same(kernels.arange(1, 1000):totable(), kernels.sort(shuffled):totable())
    local chosen = kernels.choice(kernels.arange(1, 50), 50, { replace = false, seed = 1 })
    assert.same(kernels.arange(1, 50):totable(), kernels.sort(chosen):totable())
    assert.equal(500, #kernels.choice(array("f64", { 1 }), 500))
    misused("at most 3 without replacement", function() kernels.choice(array("u8", 3), 4, { replace = false }) end)
  end)
end)

describe("views", function()
  local function matrix() return array("i32", { values = { { 3, 1, 2 }, { 6, 5, 4 } } }) end

  test("keep their shape in comparisons and choices, and rows and columns are repeated", function()
    local m = matrix()
    assert.same({ { 0, 1, 1 }, { 0, 0, 0 } }, kernels.less(m, 3):totable())
    assert.same({ { 1, 0, 0 }, { 1, 1, 1 } }, kernels.less_equal(array("i32", { 3, 2, 3 }), m):totable())
    assert.same({ { 0, 0 }, { 1, 0 }, { 0, 1 } }, kernels.equal(m:transpose(), array("i32", { 1, 4 })):totable())
    assert.same({ { 0, 1, 2 }, { 0, 0, 0 } }, kernels.where(kernels.less(m, 3), m, 0):totable())
    assert.same({ { 3, -1, -2 }, { 6, -1, -2 } }, kernels.where(array("u8", { 1, 0, 0 }), m,
      array("i32", { 0, -1, -2 })):totable())
    assert.same({ 1, 0 }, kernels.less(m:column(1), 6):totable())
    misused("bad argument 'b' to 'less'", function() kernels.less(m, "x") end)
    misused("2 x 3 elements expected", function() kernels.where(m, m, array("i32", { values = { { 1, 2 } } })) end)
  end)

  test("are changed in place, also where their elements are no neighbours", function()
    local m = matrix()
    local column, transposed = m:column(1), m:transpose()
    assert.equal(column, kernels.put(column, { 2 }, 60))
    assert.equal(transposed, kernels.scatter_add(transposed, { 1, 6 }, 100))
    assert.same({ { 103, 1, 2 }, { 60, 5, 104 } }, m:totable())
    assert.equal(transposed, kernels.sort(transposed))
    assert.same({ { 1, 2 }, { 5, 60 }, { 103, 104 } }, transposed:totable())
    local block = m:block(1, 2, 2, 3)
    assert.equal(block, kernels.fill_random(block, { low = 7, high = 7 }))
    assert.same({ { 1, 7, 7 }, { 2, 7, 7 } }, m:totable())
    local sum = 0
    kernels.shuffle(m:column(1), { seed = 3 })
    for i = 1, 2 do sum = sum + m[i][1] end
    assert.equal(3, sum)
  end)

  test("are written to by `out`", function()
    local m, target = matrix(), array("i32", { shape = { 3, 2 } }):transpose()
    assert.equal(target, kernels.map("2 * x", { x = m }, { out = target }))
    assert.same({ { 6, 2, 4 }, { 12, 10, 8 } }, target:totable())
    assert.equal(target, kernels.map("x + y", m, 1, { out = target }))
    assert.same({ { 4, 2, 3 }, { 7, 6, 5 } }, target:totable())
    local flat = array("i64", { shape = { 2, 3 } })
    assert.equal(flat, kernels.scan(m, { out = flat }))
    assert.same({ { 3, 4, 6 }, { 12, 17, 21 } }, flat:totable())
    misused("bad option 'out' to 'map'", function() kernels.map("x", { x = m }, { out = m:transpose() }) end)
  end)
end)

describe("groups", function()
  -- The same in Lua.
  local function grouped(keys, values)
    local groups, order = {}, {}
    for i = 1, #keys do
      local group = groups[keys[i]]
      if not group then
        group = { count = 0, sum = 0, min = math.huge, max = -math.huge, first = values[i] }
        groups[keys[i]], order[#order + 1] = group, keys[i]
      end
      group.count, group.sum = group.count + 1, group.sum + values[i]
      group.min, group.max = math.min(group.min, values[i]), math.max(group.max, values[i])
    end
    table.sort(order)
    return groups, order
  end

  test("agree with Lua: near keys, far keys, floats", function()
    local n = 150000
    local values = kernels.fill_random(array("i64", n), { low = -1000, high = 1000, seed = 3 })
    local far = kernels.map("k * 1000000007", { k = random_integers(n, -500, 500) }, { type = "i64" })
    local late = random_integers(n, 1, 10)
    late[n] = 5000 -- beyond what the first keys show
    for _, keys in ipairs { random_integers(n, -20, 300), far, late, kernels.map("k / 4", { k = random_integers(n, 0,
      99) }) } do
      local expected, order = grouped(keys, values)
      local result = kernels.group_by(keys, { sum = values, mean = values, min = values, best = { "max", values },
        first = values })
      assert.same(order, result.keys:totable())
      assert.equal(keys:type(), result.keys:type())
      for at, key in ipairs(order) do
        local group = expected[key]
        assert.same({ group.count, group.sum, group.sum / group.count, group.min, group.max, group.first },
          { result.count[at], result.sum[at], result.mean[at], result.min[at], result.best[at], result.first[at] })
      end
    end
  end, { deadline = 30 })

  test("of floats do not depend on the number of threads", function()
    local keys, x = random_integers(300000, 1, 100), kernels.random(300000, { seed = 9 })
    local expected = kernels.group_by(keys, { sum = x }, { threads = 1 }).sum:tostring()
    for _, threads in ipairs { 2, 5 } do
      assert.equal(expected, kernels.group_by(keys, { sum = x }, { threads = threads }).sum:tostring())
      assert.equal(expected, kernels.bincount(keys, { weights = x, threads = threads }):tostring())
    end
  end)

  test("are reduced by kernels of one's own", function()
    local keys, x = array("i32", { 7, 5, 7, 9, 5 }), array("f64", { 1, 2, 3, 4, 5 })
    local squares = kernels.compile(function(i, v) return v[i] * v[i] end, { reduce = "sum" })
    local places = kernels.compile(function(i, v) return v[i] > 2 and i or 0 end, { reduce = "max" })
    local groups = kernels.group_by(keys, { squares = { squares, x }, places = { places, x }, sum = x })
    assert.same({ 5, 7, 9 }, groups.keys:totable())
    assert.same({ 29, 10, 16 }, groups.squares:totable())
    assert.same({ 2, 2, 1 }, groups.places:totable())
    assert.equal("i64", groups.places:type())
    local far = kernels.group_by(array("f64", { 1e300, -1, 1e300 }), { s = { squares, array("i16", { 1, 2, 3 }) } })
    assert.same({ 4, 10 }, far.s:totable())
    misused("'s'", kernels.group_by, keys, { s = { squares, 5 } })
  end)

  test("are counted", function()
    assert.same({ 1, 0, 2 }, kernels.bincount(array("i32", { 1, 3, 3 })):totable())
    assert.same({ 1, 0, 0, 2, 0 }, kernels.bincount(array("u8", { 0, 3, 3 }), { zero = true, bins = 5 }):totable())
    assert.equal(0, #kernels.bincount(array("i32", 0)))
    assert.same({}, kernels.group_by(array("i32", 0), {}).keys:totable())
    misused("element 2 is 0", function() kernels.bincount(array("i32", { 1, 0 })) end)
    misused("from 1 to 2 expected, element 1 is 3", function() kernels.bincount(array("i32", { 3 }), { bins = 2 }) end)
    misused("did you mean 'mean'", function() kernels.group_by(array("i32", 1), { meen = array("i32", 1) }) end)
    misused("2 elements expected, got 1", function() kernels.group_by(array("i32", 2), { sum = array("f64", 1) }) end)
  end)
end)

describe("series", function()
  test("have quantiles and medians", function()
    local x = array("f64", { 5, 1, 9, 3 })
    assert.same({ 4.0, { 1.0, 2.5, 9.0 } }, { kernels.median(x), kernels.quantile(x, { 0, 0.25, 1 }) })
    assert.same({ 5.0, 1.0, 9.0, 3.0 }, x:totable())
    assert.is_nil(kernels.median(array("f64", 0)))
    local strange = kernels.median(array("f64", { 1, 0 / 0 }))
    assert.is_true(strange ~= strange)
    misused("a number from 0 to 1 expected, got 2", function() kernels.quantile(x, 2) end)
  end)

  test("have moving windows that agree with Lua", function()
    local x = kernels.fill_random(array("i16", 40000), { low = -99, high = 99, seed = 4 })
    for _, width in ipairs { 1, 3, 100, 40000 } do
      local sums, least, most = kernels.windows(x, width, "sum"), kernels.windows(x, width, "min"), kernels.windows(x,
        width, "max")
      for at = 1, #x - width + 1, 3001 do
        local sum, low, high = 0, math.huge, -math.huge
        for i = at, at + width - 1 do sum, low, high = sum + x[i], math.min(low, x[i]), math.max(high, x[i]) end
        assert.same({ sum, low, high }, { sums[at], least[at], most[at] })
      end
    end
    local range = kernels.compile(function(i, a, n) return a[i + n - 1] - a[i] end)
    assert.same({ 3.0, -1.0 }, kernels.windows(array("f64", { 1, 4, 4, 3 }), 3, range):totable())
    assert.same({ 1.5, 2.5 }, kernels.windows(array("f64", { 1, 2, 3 }), 2, "mean"):totable())
    misused("from 1 to 2 expected, got 3", function() kernels.windows(array("f64", 2), 3, "sum") end)
  end)

  test("are convolved", function()
    local a, b = array("f64", { 1, 2, 3 }), array("f64", { 0, 1, 0.5 })
    assert.same({ 0.0, 1.0, 2.5, 4.0, 1.5 }, kernels.convolve(a, b):totable())
    assert.same({ 1.0, 2.5, 4.0 }, kernels.convolve(a, b, { mode = "same" }):totable())
    assert.same({ 2.5 }, kernels.convolve(a, b, { mode = "valid" }):totable())
    misused("\"full\", \"same\" or \"valid\"", function() kernels.convolve(a, b, { mode = "all" }) end)
  end)
end)

describe("matrices", function()
  test("are reduced along an axis", function()
    local m = array("f64", { shape = { 2, 3 }, values = { 1, 5, 3, 4, 2, 6 } })
    assert.equal(21.0, kernels.sum(m))
    assert.same({ 5.0, 7.0, 9.0 }, kernels.sum(m, { axis = 1 }):totable())
    assert.same({ 3.0, 4.0 }, kernels.mean(m, { axis = 2 }):totable())
    assert.same({ { 1.0, 2.0, 3.0 }, { 5.0, 6.0 } },
      { kernels.min(m, { axis = 1 }):totable(), kernels.max(m:transpose(), { axis = 1 }):totable() })
    misused("bad option 'axis'", function() kernels.sum(m, { axis = 3 }) end)
    local large = kernels.random(3000 * 70, { seed = 2 }):reshape(3000, 70)
    for _, axis in ipairs { 1, 2 } do
      local one = kernels.sum(large, { axis = axis, threads = 1 })
      assert.equal(one:tostring(), kernels.sum(large, { axis = axis, threads = 4 }):tostring())
      assert.is_true(math.abs(kernels.sum(one) - kernels.sum(large)) < 1e-6)
    end
  end)

  test("are combined with rows, columns and numbers, by map and by operators", function()
    local m = array("i32", { shape = { 2, 3 }, values = { 1, 2, 3, 4, 5, 6 } })
    assert.same({ { 11.0, 22.0, 33.0 }, { 14.0, 25.0, 36.0 } }, kernels.map("m + r", { m = m, r = array("i32", { 10,
      20, 30 }) }):totable())
    assert.same({ { 101, 102, 103 }, { 204, 205, 206 } },
      (m + array("i32", { shape = { 2, 1 }, values = { 100, 200 } })):totable())
    assert.same({ { -1, -2, -3 }, { -4, -5, -6 } }, (-m):totable())
    assert.same({ 3.0, 5.0 }, (array("f64", { 1, 2 }) * 2 + 1):totable())
    assert.same({ 0.5, 1.0 }, (array("i32", { 1, 2 }) / 2):totable())
    assert.same({ 1, 0 }, (array("i32", { 7, 8 }) % 2):totable())
    assert.same({ { 14.0, 32.0 }, { 32.0, 77.0 } }, kernels.matmul(m, m:transpose()):totable())
    misused("attempt to compute '+' of an array and a table", function() return m + {} end)
    misused("2 x 3 elements expected", function() return m + array("i32", { shape = { 2, 2 } }) end)
  end)

  test("have operators before a kernel was used", function()
    local out, err = helper.lua_process [[
      local x = require "braid".array("f64", { 1, 2 })
      print((x * 2 + 1)[2])
    ]]
    assert.equal("5.0\n", out, err)
  end)
end)
