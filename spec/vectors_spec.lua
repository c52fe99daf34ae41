-- SPDX-License-Identifier: MIT
-- Kernels over arrays against plain Lua, for several numbers of threads and sizes around the borders of blocks and
-- chunks: 32 lanes, 1,024 elements, 65,536 elements; 2^18 for sorting.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local kernels = braid.kernels
local misused = expect.misused
local THREADS = { 1, 2, 3, 7 }
local SIZES = { 0, 1, 2, 31, 33, 1023, 1024, 1025, 65537 }
local NAN = 0 / 0

local ranges = {
  f64 = { -1e3, 1e3 }, f32 = { -1e3, 1e3 }, i64 = { math.mininteger, math.maxinteger }, i32 = { -2^31, 2^31 - 1 },
  i16 = { -2^15, 2^15 - 1 }, i8 = { -128, 127 }, u64 = { 0, math.maxinteger }, u32 = { 0, 2^32 - 1 },
  u16 = { 0, 2^16 - 1 }, u8 = { 0, 255 },
}
local TYPES = { "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8" }

local function is_float(type) return type == "f64" or type == "f32" end

-- Random elements; with `few` there are many equal ones.
local function random_array(type, n, few)
  math.randomseed(n, #type)
  local low, high = table.unpack(ranges[type])
  local list = {}
  for i = 1, n do
    if few then
      list[i] = math.random(0, 9)
    elseif is_float(type) then
      list[i] = low + (high - low) * math.random()
    else
      list[i] = math.random(math.tointeger(low), math.tointeger(high))
    end
  end
  local array = braid.array(type, list)
  return array, array:totable() -- what f32 made of them
end

local function assert_equal(expected, got, ...)
  if expected == got and math.type(expected) == math.type(got) or expected ~= expected and got ~= got then return end
  error(("%s expected, got %s (%s)"):format(expected, got, table.concat({ ... }, " ")), 2)
end

local function assert_list(expected, array, ...)
  assert_equal(#expected, #array, "length", ...)
  local list = array:totable()
  for i = 1, #expected do assert_equal(expected[i], list[i], "at", i, ...) end
end

-- Calls fn(threads) for each number of threads; the results must be the same bits.
local function same_for_all(fn)
  local first
  for _, threads in ipairs(THREADS) do
    local result = fn(threads)
    local bits = type(result) == "userdata" and result:tostring() or string.pack(math.type(result) == "integer" and "i8"
      or result == nil and "" or "d", result)
    first = first or bits
    if bits ~= first then error(("another result with %d threads"):format(threads), 2) end
  end
end

describe("reductions", function()
  helper.test("add up exactly what can be added exactly", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs(SIZES) do
        local array, list = random_array(type, n, true)
        local sum, squares = 0, 0
        for i = 1, n do sum, squares = sum + list[i], squares + list[i] * list[i] end
        for _, threads in ipairs(THREADS) do
          local zero = is_float(type) and 0.0 or 0
          assert_equal(sum + zero, kernels.sum(array, { threads = threads }), "sum", type, n)
          assert_equal(squares + zero, kernels.dot(array, array, { threads = threads }), "dot", type, n)
        end
      end
    end
  end, { deadline = 60 })

  helper.test("wrap around as Lua's integers do", function()
    local array, list = random_array("i64", 70000)
    local sum, dot = 0, 0
    for _, x in ipairs(list) do sum, dot = sum + x, dot + x * x end
    assert.equal(sum, kernels.sum(array))
    assert.equal(dot, kernels.dot(array, array))
  end)

  helper.test("keep the error of sums within what is promised", function()
    local n = 200000
    local array, list = random_array("f64", n)
    local exact, size = 0, 0 -- Neumaier
    local rest = 0.0
    for _, x in ipairs(list) do
      local sum = exact + x
      rest = rest + (math.abs(exact) >= math.abs(x) and (exact - sum) + x or (x - sum) + exact)
      exact, size = sum, size + math.abs(x)
    end
    exact = exact + rest
    assert.is_true(math.abs(kernels.sum(array) - exact) <= (38 + math.log(n / 1024, 2)) * 2^-53 * size)
    same_for_all(function(threads) return kernels.sum(array, { threads = threads }) end)
    same_for_all(function(threads) return kernels.dot(array, array, { threads = threads }) end)
    same_for_all(function(threads) return kernels.var(array, { threads = threads }) end)
  end)

  helper.test("find the least and the largest and where they stand first", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs(SIZES) do
        for _, few in ipairs { false, true } do
          local array, list = random_array(type, n, few)
          local min, max
          for i = 1, n do
            if not min or list[i] < list[min] then min = i end
            if not max or list[i] > list[max] then max = i end
          end
          for _, threads in ipairs(THREADS) do
            local opts = { threads = threads }
            assert_equal(list[min], kernels.min(array, opts), "min", type, n)
            assert_equal(list[max], kernels.max(array, opts), "max", type, n)
            assert_equal(min, kernels.argmin(array, opts), "argmin", type, n)
            assert_equal(max, kernels.argmax(array, opts), "argmax", type, n)
          end
        end
      end
    end
  end, { deadline = 60 })

  helper.test("answer NaN where one is", function()
    for _, at in ipairs { 1, 40, 1500, 66000 } do
      local array = random_array("f64", 70000)
      array[at], array[69000] = NAN, NAN
      assert_equal(NAN, kernels.min(array))
      assert_equal(NAN, kernels.max(array))
      assert_equal(NAN, kernels.sum(array))
      assert_equal(at, kernels.argmin(array))
      assert_equal(at, kernels.argmax(array))
    end
  end)

  helper.test("take elements of u64 from 2^63 on for what they are", function()
    local array = braid.array("u64", { 5, 7 })
    array:set(string.pack("<i8", -1), 2)
    assert.equal(5, kernels.min(array))
    assert.equal(-1, kernels.max(array))
    assert.equal(4, kernels.sum(array))
    assert.equal(2^63, kernels.mean(array))
  end)

  helper.test("know mean and variance", function()
    local array = braid.array("i32", { 2, 4, 4, 4, 5, 5, 7, 9 })
    assert.equal(5.0, kernels.mean(array))
    assert.equal(4.0, kernels.var(array))
    assert.equal(32 / 7, kernels.var(array, { ddof = 1 }))
    assert.equal(0.0, kernels.var(braid.array("f64", { 3 })))
    assert.is_nil(kernels.var(braid.array("f64", { 3 }), { ddof = 1 }))
    assert.equal(1.25, kernels.var(braid.array("f64", { 1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4 })))
  end)

  helper.test("say what there is to say of nothing", function()
    for _, type in ipairs { "f64", "u8" } do
      local none = braid.array(type, 0)
      assert.equal(0, kernels.sum(none))
      assert.equal(0, kernels.dot(none, none))
      local names = { "min", "max", "argmin", "argmax", "mean", "var" }
      for _, name in ipairs(names) do assert.is_nil(kernels[name](none)) end
    end
  end)

  helper.test("refuse what they cannot take", function()
    local array = braid.array("f64", 3)
    misused("bad argument 'array' to 'sum' %(a braid.array expected, got nil%)", kernels.sum)
    misused("bad argument 'b' to 'dot' %(a braid.array expected, got 2%)", kernels.dot, array, 2)
    misused("bad argument 'b' %(3 elements expected, got 2%)", kernels.dot, array, braid.array("f64", 2))
    misused("unknown option 'thread' to 'sum' %(did you mean 'threads'%?%)", kernels.sum, array, { thread = 2 })
    misused("'threads'", kernels.sum, array, { threads = 0 })
  end)
end)

describe("scan", function()
  helper.test("adds up as it goes", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs(SIZES) do
        local array, list = random_array(type, n, true)
        local sum = is_float(type) and 0.0 or 0
        for i = 1, n do
          sum = sum + list[i]
          list[i] = sum
        end
        for _, threads in ipairs { 1, 3 } do
          assert_list(list, kernels.scan(array, { threads = threads }), type, n)
        end
      end
    end
  end, { deadline = 60 })

  helper.test("does not depend on the threads, and never falls for what is not negative", function()
    local list = {}
    for i = 1, 200000 do list[i] = math.random() ^ 8 end
    local array = braid.array("f64", list)
    same_for_all(function(threads) return kernels.scan(array, { threads = threads }) end)
    local sums = kernels.scan(array):totable()
    for i = 2, #sums do assert(sums[i] >= sums[i - 1]) end
  end)

  helper.test("works in place, and refuses what overlaps otherwise", function()
    local array = braid.array("i64", { 1, 2, 3, 4 })
    assert.equal(array, kernels.scan(array, { out = array }))
    assert_list({ 1, 3, 6, 10 }, array)
    misused("bad argument 'out' %(it shares elements", kernels.scan, array:slice(1, 3), { out = array:slice(2, 4) })
    misused("bad argument 'out' %(4 elements expected, got 3", kernels.scan, array, { out = array:slice(1, 3) })
    misused("bad argument 'out' %(an array of i64 expected, got one of f64", kernels.scan, array,
      { out = braid.array("f64", 4) })
  end)
end)

-- Whether a stands before b in rising order: NaN last, -0.0 before 0.0.
local function before(a, b)
  if a ~= a or b ~= b then return a == a and b ~= b end
  if a == 0 and b == 0 and math.type(a) == "float" then return 1 / a < 1 / b end
  return a < b
end

describe("sort", function()
  helper.test("sorts elements of every type", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs { 0, 1, 2, 24, 25, 1000, 65537 } do
        for _, few in ipairs { false, true } do
          local array, list = random_array(type, n, few)
          table.sort(list)
          for _, threads in ipairs { 1, 3 } do
            local out = braid.array(type, n)
            assert_list(list, kernels.sort(array, { out = out, threads = threads }), type, n)
          end
          assert.equal(array, kernels.sort(array, { descending = true }))
          local falling = {}
          for i = 1, n do falling[i] = list[n + 1 - i] end
          assert_list(falling, array, type, n, "descending")
        end
      end
    end
  end, { deadline = 120 })

  helper.test("sorts large arrays, however their elements lie", function()
    local n = 600000
    local shapes = {
      uniform = function() return math.random() end,
      skewed = function() return math.random() ^ 20 end,
      outlier = function(i) return i == 7 and 1e300 or math.random() end,
      few = function() return math.random(3) end,
      equal = function() return 1.5 end,
      sorted = function(i) return i end,
      bits = function()
        local x = string.unpack("d", string.pack("i8", math.random(0)))
        return x == x and x or 0
      end,
    }
    for name, shape in pairs(shapes) do
      local list = {}
      for i = 1, n do list[i] = shape(i) end
      local array = braid.array("f64", list)
      for _, threads in ipairs { 1, 3 } do
        local sorted = kernels.sort(array, { out = braid.array("f64", n), threads = threads }):totable()
        for i = 2, n do
          if sorted[i] < sorted[i - 1] then error(name .. " is not sorted") end
        end
      end
      local order = kernels.sort(array, { index = true, threads = 2 }):totable()
      local seen = {}
      for i = 1, n do
        seen[order[i]] = true
        local a, b = list[order[i]], list[order[i - 1]]
        if i > 1 and (a < b or a == b and order[i] < order[i - 1]) then error(name .. ": places are not in order") end
      end
      for i = 1, n do assert(seen[i]) end
    end
  end, { deadline = 120 })

  helper.test("puts NaN last and -0.0 before 0.0", function()
    local list = { NAN, 0.0, -1.0, -NAN, -0.0, math.huge, -math.huge, 0.0 }
    for _, type in ipairs { "f64", "f32" } do
      local rising = kernels.sort(braid.array(type, list)):totable()
      for i = 2, #list do assert.is_false(before(rising[i], rising[i - 1])) end
      local falling = kernels.sort(braid.array(type, list), { descending = true }):totable()
      assert_equal(math.huge, falling[1])
      assert_equal(-math.huge, falling[6])
      assert_equal(NAN, falling[7])
      assert_equal(NAN, falling[8])
    end
  end)

  helper.test("is stable when it is asked to be", function()
    local list = { 0.0, -0.0, 1.0, -0.0, 0.0 }
    local sorted = kernels.sort(braid.array("f64", list), { stable = true }):totable()
    local signs = {}
    for i = 1, 4 do signs[i] = 1 / sorted[i] > 0 and "+" or "-" end
    assert.equal("+--+", table.concat(signs))
    local keys = braid.array("u8", { 2, 1, 2, 1, 1 })
    assert_list({ 2, 4, 5, 1, 3 }, kernels.sort(keys, { index = true }))
    assert_list({ 1, 3, 2, 4, 5 }, kernels.sort(keys, { index = true, descending = true }))
  end)

  helper.test("lets the loop go on, and can be cancelled", function()
    helper.run(function()
      local ticks, array = 0, random_array("f64", 1000)
      local large = braid.array("f64", 4000000)
      for i = 1, #large, #array do large:set(array, i) end
      local ticker = braid.spawn(function()
        while true do
          braid.sleep(0.001)
          ticks = ticks + 1
        end
      end):daemon()
      kernels.sort(large, { out = braid.array("f64", #large) })
      assert.is_true(ticks > 3)
      ticker:cancel()
      local opts = { out = braid.array("f64", #large), threads = 1 }
      local ok, err = pcall(braid.timeout, 0.003, kernels.sort, large, opts)
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  helper.test("refuses what it cannot take", function()
    local array = braid.array("f64", 4)
    misused("bad argument 'out' %(an array of f64 expected, got one of f32", kernels.sort, array,
      { out = braid.array("f32", 4) })
    misused("shares elements", kernels.sort, array:slice(1, 3), { out = array:slice(2, 4) })
    misused("bad option 'descending'", kernels.sort, array, { descending = 1 })
  end)
end)

describe("unique", function()
  helper.test("finds each element once", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs(SIZES) do
        local array, list = random_array(type, n, n ~= 1025)
        table.sort(list)
        local values, counts = {}, {}
        for i = 1, n do
          if list[i] ~= list[i - 1] then
            values[#values + 1] = list[i]
            counts[#values] = 0
          end
          counts[#values] = counts[#values] + 1
        end
        for _, threads in ipairs { 1, 3 } do
          local got, got_counts = kernels.unique(array, { counts = true, threads = threads })
          assert_list(values, got, type, n)
          assert_list(counts, got_counts, type, n)
        end
      end
    end
  end, { deadline = 60 })

  helper.test("takes one NaN, and one zero, for another", function()
    local values, counts = kernels.unique(braid.array("f64", { NAN, 0.0, -0.0, 1, NAN }), { counts = true })
    assert_list({ 0.0, 1.0, NAN }, values)
    assert_list({ 2, 1, 2 }, counts)
    assert.is_nil(select(2, kernels.unique(values)))
  end)
end)

describe("histogram", function()
  helper.test("counts as its edges say", function()
    for _, type in ipairs { "f64", "f32", "i32", "u8" } do
      for _, n in ipairs(SIZES) do
        local array, list = random_array(type, n)
        for _, threads in ipairs { 1, 3 } do
          local counts, edges = kernels.histogram(array, 13, { threads = threads })
          local expected = {}
          for i = 1, 13 do expected[i] = 0 end
          for _, x in ipairs(list) do
            local bin = 13
            while bin > 1 and x < edges[bin] do bin = bin - 1 end
            expected[bin] = expected[bin] + 1
          end
          assert_list(expected, counts, type, n)
          assert.equal(14, #edges)
        end
      end
    end
  end, { deadline = 60 })

  helper.test("leaves out what lies outside, and NaN", function()
    local array = braid.array("f64", { -1, 0, 0.5, 1, 1.5, 2, 2.5, NAN, math.huge })
    local counts, edges = kernels.histogram(array, 2, { low = 0, high = 2 })
    assert_list({ 2, 3 }, counts)
    assert_list({ 0.0, 1.0, 2.0 }, edges)
    misused("'array' to 'histogram' %(finite elements, or the option 'low', expected, got one of %-?nan%)",
      kernels.histogram, array)
    misused("bad argument 'bins'", kernels.histogram, array, 0)
    local one = kernels.histogram(braid.array("i8", { 4 }), 2)
    assert_list({ 0, 1 }, one)
    assert_list({ 0, 0 }, (kernels.histogram(braid.array("i8", 0), 2)))
  end)
end)

describe("histogram's edges", function()
  -- Counts by search among the edges.
  local function expected_counts(list, edges)
    local counts, bins = {}, #edges - 1
    for i = 1, bins do counts[i] = 0 end
    for _, x in ipairs(list) do
      local bin = bins
      while bin > 1 and x < edges[bin] do bin = bin - 1 end
      if x >= edges[1] and x <= edges[bins + 1] then counts[bin] = counts[bin] + 1 end
    end
    return counts
  end

  helper.test("are whole numbers between whole limits, so that integers fall into bins of their own", function()
    for n = 1, 300 do
      local low = n % 7 * 1000 - 3000
      local numbers = braid.array("i32", n)
      for i = 1, n do numbers[i] = low + i - 1 end
      local counts, edges = kernels.histogram(numbers, n, { low = low, high = low + n })
      for i = 1, n do
        assert_equal(1, counts[i], n, i)
        assert_equal(low + i - 1.0, edges[i], n, i)
      end
      local tenths = kernels.histogram(kernels.map("x / 10", numbers), n, { low = low / 10, high = (low + n) / 10 })
      assert.equal(n, kernels.sum(tenths))
    end
    local _, edges = kernels.histogram(braid.array("f64", { 0, 1 }), 10)
    for i = 0, 10 do assert_equal(i / 10, edges[i + 1]) end
  end)

  helper.test("hold for numbers of any size", function()
    math.randomseed(7)
    for _, size in ipairs { 5e-324, 1e-310, 1e-300, 1e-5, 1, 1e17, 1e300, 8e307 } do
      for _, low in ipairs { 0, -size, size, math.min(1e3 * size, 5e307) } do
        for _, bins in ipairs { 1, 2, 7, 1000 } do
          local list = {}
          for i = 1, 300 do list[i] = low + size * math.random() end
          local ok, counts, edges = pcall(kernels.histogram, braid.array("f64", list), bins)
          if not ok then
            assert.matches("further apart", tostring(counts))
            assert.is_true(math.abs(low) + size > 1e308)
          else
            for i = 1, bins do assert.is_true(edges[i] <= edges[i + 1]) end
            assert_list(expected_counts(list, edges), counts, size, low, bins)
            assert.equal(300, kernels.sum(counts))
          end
        end
      end
    end
  end)

  helper.test("cost no more where there are fewer numbers than bins", function()
    for _, width in ipairs { 5e-324, 2 ^ -1070 } do
      local array = braid.array("f64", 20000)
      for i = 1, #array do array[i] = i % 2 * width end
      local counts = kernels.histogram(array, 1 << 20, { low = 0, high = width })
      assert.equal(20000, kernels.sum(counts))
      assert.equal(10000, counts[1 << 20])
    end
  end)

  helper.test("are the limits that were given, also where all elements are equal", function()
    local fives = braid.array("f64", { 5, 5 })
    local function ends(opts, array)
      local counts, edges = kernels.histogram(array or fives, 4, opts)
      return { edges[1], edges[5], kernels.sum(counts) }
    end
    assert.same({ 4.5, 5.5, 2 }, ends())
    assert.same({ 5.0, 6.0, 2 }, ends { low = 5 })
    assert.same({ 4.0, 5.0, 2 }, ends { high = 5 })
    assert.same({ 2.0, 5.0, 2 }, ends { low = 2 })
    assert.same({ 5.0, 8.0, 2 }, ends { high = 8 })
    local huge = ends(nil, braid.array("f64", { 1e300 }))
    assert.is_true(huge[1] < 1e300 and huge[2] > 1e300 and huge[3] == 1)
    local empty = braid.array("f64", 0)
    assert.same({ 0.0, 1.0, 0 }, ends(nil, empty))
    assert.same({ 7.0, 8.0, 0 }, ends({ low = 7 }, empty))
    assert.same({ -8.0, -7.0, 0 }, ends({ high = -7 }, empty))
  end)

  helper.test("of u64 are no negative numbers", function()
    local big = math.mininteger -- 2^63
    local array = braid.array("u64", { big, big + (1 << 62), -1, 5 })
    local counts, edges = kernels.histogram(array, 4, { low = array[1], high = array[3] })
    assert_list({ 1, 0, 1, 1 }, counts)
    assert_list({ 2.0 ^ 63, 1.25 * 2.0 ^ 63, 1.5 * 2.0 ^ 63, 1.75 * 2.0 ^ 63, 2.0 ^ 64 }, edges)
    assert_list({ 1, 3 }, (kernels.histogram(array, 2)))
  end)

  helper.test("are refused in words about what was given", function()
    local function told(elements, opts)
      local ok, err = pcall(kernels.histogram, braid.array("f64", elements), 4, opts)
      assert.is_false(ok)
      assert.equal("misuse", err.kind)
      return (err.message:gsub("^.-: ", ""))
    end
    assert.equal("bad argument 'array' to 'histogram' (finite elements, or the option 'high', expected, got one of "
      .. "inf)", told { math.huge, 1 })
    assert.equal("bad option 'low' to 'histogram' (a number below the largest element, 2.0, expected, got 5.0)",
      told({ 1, 2 }, { low = 5 }))
    assert.equal("bad option 'high' to 'histogram' (a number above the least element, 1.0, expected, got 0.0)",
      told({ 1, 2 }, { high = 0 }))
    assert.equal("bad option 'low' to 'histogram' (a finite number expected, got -inf)", told({ 1 }, { low = -1 / 0 }))
    assert.equal("bad options to 'histogram' (finite numbers low < high expected, got low = 3.0, high = 3.0)",
      told({ 1 }, { low = 3, high = 3 }))
    assert.matches("elements from %-1.5e%+308 to 1.5e%+308 lie further apart", told { -1.5e308, 1.5e308 })
  end)
end)

describe("searchsorted", function()
  helper.test("finds where values belong", function()
    for _, type in ipairs(TYPES) do
      for _, n in ipairs { 0, 1, 2, 3, 1024, 5000 } do
        local array, list = random_array(type, n, true)
        kernels.sort(array)
        table.sort(list)
        local values = random_array(type, 5000, true)
        values[1] = 100
        for _, side in ipairs { "left", "right" } do
          local expected = {}
          for i, x in ipairs(values:totable()) do
            local low, high = 1, n + 1
            while low < high do
              local place = (low + high) // 2
              if list[place] < x or side == "right" and list[place] == x then low = place + 1 else high = place end
            end
            expected[i] = low
          end
          for _, threads in ipairs { 1, 3 } do
            local opts = { side = side, threads = threads }
            assert_list(expected, kernels.searchsorted(array, values, opts), type, n, side)
          end
        end
      end
    end
  end, { deadline = 60 })

  helper.test("takes numbers, other types and NaN", function()
    local array = braid.array("f64", { 1, 2, 2, 3, NAN })
    assert.equal(2, kernels.searchsorted(array, 2))
    assert.equal(4, kernels.searchsorted(array, 2, { side = "right" }))
    assert.equal(5, kernels.searchsorted(array, 9.5))
    assert.equal(5, kernels.searchsorted(array, NAN))
    assert.equal(6, kernels.searchsorted(array, NAN, { side = "right" }))
    assert_list({ 2, 4 }, kernels.searchsorted(array, braid.array("u8", { 2, 3 })))
    assert.equal(2, kernels.searchsorted(braid.array("i64", { 1, 4 }), 2.5))
    misused("bad option 'side'", kernels.searchsorted, array, 2, { side = "middle" })
    misused("bad argument 'values'", kernels.searchsorted, array, "2")
    misused("an array of u64 expected", kernels.searchsorted, braid.array("u64", 2), braid.array("i8", 2))
  end)
end)
