-- SPDX-License-Identifier: MIT
-- Typed numbers in memory that tasks and threads share.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local misused = expect.misused
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local bytes = { f64 = 8, f32 = 4, i64 = 8, i32 = 4, i16 = 2, i8 = 1, u64 = 8, u32 = 4, u16 = 2, u8 = 1 }

local function set(array, i, value) array[i] = value end

local function get(array, i) return array[i] end

describe("array", function()
  test("begins with zeroes of its type", function()
    for type in pairs(bytes) do
      local array = braid.array(type, 5)
      assert.equal(5, #array)
      assert.equal(type, array:type())
      local kind = type:find("^f") and "float" or "integer"
      for i = 1, 5 do
        assert.equal(0, array[i])
        assert.equal(kind, math.type(array[i]))
      end
    end
  end)

  test("is made of a list, an array or bytes", function()
    assert.same({ 1.5, 2.0, -3.0 }, braid.array("f64", { 1.5, 2, -3 }):totable())
    assert.same({ 1, 2 }, braid.array("i8", braid.array("f64", { 1, 2 })):totable())
    assert.same({ 104, 105 }, braid.array("u8", "hi"):totable())
    assert.same({}, braid.array("i32", 0):totable())
    assert.same({}, braid.array("i32", {}):totable())
  end)

  test("keeps the least and the greatest of each integer type, and refuses what is beyond", function()
    for type, width in pairs(bytes) do
      if not type:find("^f") then
        local signed, bits = type:find("^i") ~= nil, width * 8
        local least = signed and (bits == 64 and math.mininteger or -(1 << (bits - 1))) or 0
        local most = bits == 64 and math.maxinteger or signed and (1 << (bits - 1)) - 1 or (1 << bits) - 1
        local array = braid.array(type, { least, most })
        assert.equal(least, array[1])
        assert.equal(most, array[2])
        if bits < 64 then misused("element 1 of an array of " .. type, set, array, 1, least - 1) end
        if most < math.maxinteger then misused("element 2 of an array of " .. type, set, array, 2, most + 1) end
        misused("element 1 of an array of " .. type, set, array, 1, bits == 64 and -2.0 ^ 64 or least - 1.0)
        misused("got 0.5", set, array, 1, 0.5)
        misused("got 1e%+300", set, array, 1, 1e300)
        misused("got %-?nan", set, array, 1, 0 / 0)
        assert.same({ least, most }, array:totable())
      end
    end
  end)

  test("takes back what it gave: u64 from 2^63 on", function()
    local big, most = math.mininteger, -1
    local array = braid.array("u64", { big, 2.0 ^ 63, most, 5, 2.0 ^ 64 - 2048 })
    assert.same({ big, big, most, 5, -2048 }, array:totable())
    array[4] = array[3]
    assert.equal(most, array[4])
    assert.equal(big, array:fill(big)[5])
    assert.same({ 2.0 ^ 63, 2.0 ^ 64, 7.0 }, braid.array("f64", braid.array("u64", { big, most, 7 })):totable())
    misused("1.844674407371e%+19", braid.array, "i64", braid.array("u64", { most }))
    misused("got %-3", braid.array, "u64", braid.array("i8", { -3 }))
    misused("got %-1.0", set, array, 1, -1.0)
    misused("got 1.844674407371e%+19", set, array, 1, 2.0 ^ 64)
  end)

  test("keeps floats: f64 as they are, f32 rounded", function()
    local array = braid.array("f64", { 0.1, -0.0, math.huge, 2 ^ 53 })
    assert.equal(0.1, array[1])
    assert.equal(-math.huge, 1 / array[2])
    assert.equal(math.huge, array[3])
    array[4] = 0 / 0
    assert.is_true(array[4] ~= array[4])
    local short = braid.array("f32", { 0.1 })
    assert.equal(string.unpack("f", string.pack("f", 0.1)), short[1])
  end)

  test("takes whole floats for integers, and nothing but numbers", function()
    local array = braid.array("i32", 1)
    array[1] = 7.0
    assert.equal(7, array[1])
    assert.equal("integer", math.type(array[1]))
    for _, value in ipairs { "7", true, {}, print } do
      misused("expected, got", set, array, 1, value)
      misused("expected, got", set, braid.array("f64", 1), 1, value)
    end
    misused("expected, got nil", set, array, 1, nil)
  end)

  test("has the elements 1 to #a and no others", function()
    local array = braid.array("i64", 3)
    for _, i in ipairs { 0, -1, 4, math.maxinteger, math.mininteger } do
      misused("there is no element %-?%d+ in an array of 3", get, array, i)
      misused("there is no element %-?%d+ in an array of 3", set, array, i, 1)
    end
    for _, i in ipairs { 1.5, "1", true, {} } do misused("1 to 3: there is none for", set, array, i, 1) end
    for _, i in ipairs { 1.5, true, {} } do misused("1 to 3: there is none for", get, array, i) end
    array[2.0] = 5
    assert.equal(5, array[2])
    misused("there is no element 1 in an array of 0", get, braid.array("u8", 0), 1)
  end)

  test("refuses types and sizes that make no sense", function()
    misused('did you mean "f%d%d"', braid.array, "f63", 1)
    misused("got nil", braid.array)
    misused("got nil", braid.array, "f64")
    misused("got %-1", braid.array, "f64", -1)
    misused("got 1.5", braid.array, "f64", 1.5)
    misused("got a boolean", braid.array, "f64", true)
    misused("element 2 of an array of u8", braid.array, "u8", { 1, -2 })
    misused("3 bytes", braid.array, "i16", "abc")
    for _, n in ipairs { 1 << 50, 1 << 61, math.maxinteger } do
      local err = expect.raises("system", braid.array, "f64", n)
      assert.equal(12, err.code)
      assert.matches(("^[^\n]*spec/[%%w_]+.lua:%%d+: an array of %d x f64: %%S"):format(n), err.message)
    end
  end)

  test("fill, and sets from lists, arrays and bytes", function()
    local array = braid.array("i16", 7)
    assert.equal(array, array:fill(-2))
    assert.same({ -2, -2, -2, -2, -2, -2, -2 }, array:totable())
    assert.equal(array, array:set({ 1, 2 }))
    array:set(braid.array("i16", { 3, 4 }), 3)
    array:set(braid.array("f64", { 5 }), 5)
    array:set(string.pack("hh", 6, 7), 6)
    assert.same({ 1, 2, 3, 4, 5, 6, 7 }, array:totable())
    array:set(array:slice(1, 6), 2)
    assert.same({ 1, 1, 2, 3, 4, 5, 6 }, array:totable())
    array:set({}, 8)
    misused("got 40000", array.fill, array, 40000)
    misused("2 elements from number 7 on have no room in an array of 7", array.set, array, { 1, 2 }, 7)
    misused("'at'", array.set, array, { 1 }, 0)
    misused("'source'", array.set, array, 1)
    misused("element 3 of an array of i16", array.set, array, { 1, "x" }, 2)
    misused("element 1 of an array of i16", array.set, array, braid.array("f64", { 0.5 }))
    braid.array("u8", 0):fill(1)
  end)

  test("tostring gives the bytes, set takes them back; the function is for people", function()
    local array = braid.array("i32", { 1, -1, 256 })
    assert.equal(string.pack("<i4i4i4", 1, -1, 256), array:tostring())
    assert.same({ 1, -1, 256 }, braid.array("i32", array:tostring()):totable())
    assert.equal("text", braid.array("u8", "text"):tostring())
    assert.equal("braid.array: 3 x i32 {1, -1, 256}", tostring(array))
    assert.equal("braid.array: 20 x u8 {0, 0, 0, 0, 0, 0, 0, 0, ...}", tostring(braid.array("u8", 20)))
  end)

  test("a slice is a view, a copy is not", function()
    local array = braid.array("f64", { 1, 2, 3, 4 })
    local tail, copy = array:slice(3), array:copy()
    tail[1] = 30
    array[4] = 40
    assert.same({ 1.0, 2.0, 30.0, 40.0 }, array:totable())
    assert.same({ 30.0, 40.0 }, tail:totable())
    assert.same({ 1.0, 2.0, 3.0, 4.0 }, copy:totable())
    assert.same({ 40.0 }, tail:slice(2, 2):totable())
    assert.same({}, array:slice(5):totable())
    assert.same({}, array:slice(2, 1):totable())
    misused("no elements 3 to 5 in an array of 4", array.slice, array, 3, 5)
    misused("no elements 6 to 4", array.slice, array, 6)
    misused("'first'", array.slice, array, 0)
  end)

  test("a slice keeps the memory when the array is gone", function()
    local slices = {}
    for i = 1, 100 do
      local array = braid.array("i64", 1000):fill(i)
      slices[i] = array:slice(500, 501)
    end
    collectgarbage()
    for i = 1, 100 do assert.same({ i, i }, slices[i]:totable()) end
  end)

  test("pairs goes over the elements", function()
    local seen = {}
    for i, value in pairs(braid.array("u8", { 5, 6 })) do seen[#seen + 1] = { i, value } end
    assert.same({ { 1, 5 }, { 2, 6 } }, seen)
  end)

  test("memory that comes back is zero again", function()
    for _, n in ipairs { 1, 100, 5000, 100000, 1000000 } do
      braid.array("u8", n):fill(255)
      collectgarbage()
      local array = braid.array("u8", n)
      assert.equal(("\0"):rep(n), array:tostring())
    end
  end)

  test("there may be many: descriptors are few", function()
    local arrays = {}
    if not io.open("/proc/self/fd") then return end
    local function descriptors()
      local count = 0
      for _ in require "lfs".dir("/proc/self/fd") do count = count + 1 end
      return count
    end
    local before = descriptors()
    for i = 1, 20000 do arrays[i] = braid.array("i32", i % 500):fill(i) end
    assert.is_true(descriptors() < before + 100)
    for i = 1, 20000 do assert(i % 500 == 0 or arrays[i][i % 500] == i) end
  end)

  test("its methods refuse what is no array", function()
    local array = braid.array("f64", 1)
    misused("as self", array.fill, {}, 1)
    misused("as self", getmetatable(array).__index, {}, 1)
    misused("as self", getmetatable(array).__newindex, braid.counter(), 1, 1)
    misused("as self", getmetatable(array).__len, nil)
  end)
end)

describe("array between threads", function()
  test("the same memory is seen, slices too", function()
    run(function()
      local pool <close> = braid.thread_pool(2)
      local array = braid.array("f64", 1000)
      local jobs = {}
      for part = 0, 3 do
        jobs[part + 1] = pool:submit(function(slice, number)
          for i = 1, #slice do slice[i] = number * 250 + i end
          return slice:slice(1, 1)
        end, array:slice(part * 250 + 1, part * 250 + 250), part)
      end
      for part, job in ipairs(jobs) do assert.equal((part - 1) * 250 + 1.0, job:result()[1]) end
      for i = 1, 1000 do assert.equal(i, array[i]) end
    end)
  end)

  test("it is one object in each state, and lives as long as anybody has it", function()
    run(function()
      local pool <close> = braid.thread_pool(1)
      local array = braid.array("i32", { 1, 2, 3 })
      assert.equal(array, pool:submit(function(a) return a end, array):result())
      local made = pool:submit(function() return require "braid".array("i32", { 4, 5, 6 }) end):result()
      pool:submit(collectgarbage):result()
      assert.same({ 4, 5, 6 }, made:totable())
      local queue = braid.queue()
      pool:submit(function() queue:put { array } end):result()
      assert.equal(array, queue:get()[1])
    end)
  end)
end)
