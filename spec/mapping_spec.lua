-- SPDX-License-Identifier: MIT
-- Arrays that map files.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local describe, assert = describe, assert
local test = helper.test
local misused = expect.misused
local array, kernels = braid.array, braid.kernels

local function path_of(ending, bytes)
  local path = os.tmpname()
  os.remove(path)
  path = path .. ending
  finally(function() os.remove(path) end) -- luacheck: ignore
  if bytes then
    local file <close> = assert(io.open(path, "wb"))
    file:write(bytes)
  end
  return path
end

local function torn(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, "system"), tostring(err))
  assert.matches("truncated", err.message)
end

local function truncate(path, size)
  assert(os.execute(("truncate -s %d %s"):format(size, path)))
end

describe("array.mmap", function()
  test("maps numpy's files, whatever their shape and order", function()
    local path = path_of ".npy"
    local m = array("i32", { shape = { 2, 3 }, values = { 1, 2, 3, 4, 5, 6 } })
    assert(m:save(path))
    assert.equal(array.mmap, array.map)
    local mapped = assert(array.mmap(path))
    assert.same({ 2, 3 }, mapped.shape)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, mapped:totable())
    assert.equal(21, kernels.sum(mapped))
    local fortran = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }\n"
    local other = path_of(".npy", "\x93NUMPY\1\0" .. ("<I2"):pack(#fortran) .. fortran .. "\1\2\3\4")
    assert.same({ { 1, 3 }, { 2, 4 } }, array.mmap(other):totable())
    assert(array("f64", 0):save(path))
    assert.equal(0, #array.mmap(path))
  end)

  test("maps plain elements from an offset on", function()
    local path = path_of(".raw", ("d"):pack(0.5) .. ("i4i4i4"):pack(7, 8, 9) .. "x")
    local a = assert(array.mmap(path, { type = "i32", offset = 8 }))
    assert.same({ 7, 8, 9 }, a:totable())
    assert.same({ { 7, 8 } }, array.mmap(path, { type = "i32", offset = 8, shape = { 1, 2 } }):totable())
    assert.same({ 0.5 }, array.mmap(path, { type = "f64", shape = { 1 } }):totable())
  end)

  test("cannot be written without `writable`", function()
    local path = path_of(".raw", ("i4i4i4"):pack(7, 8, 9))
    local a = assert(array.mmap(path, { type = "i32" }))
    misused("writable = true", function() a[1] = 5 end)
    misused("writable = true", function() a:fill(5) end)
    misused("writable = true", function() a:set { 1 } end)
    misused("writable = true", function() a:slice(2)[1] = 5 end)
    misused("writable = true", function() kernels.fill_random(a) end)
    misused("writable = true", function() kernels.map("x + 1", a, { out = a }) end)
    misused("writable = true", function() kernels.sort(a) end)
    assert.same({ 7, 8, 9 }, array.mmap(path, { type = "i32" }):totable())
    assert.same({ 8, 9, 10 }, kernels.map("x + 1", a, { type = "i32" }):totable())
  end)

  test("writes to the file, which other maps see", function()
    local path = path_of ".npy"
    local a = assert(array.mmap(path, { type = "f64", shape = { 2, 3 }, create = true }))
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, a:totable())
    a[2][3] = 1.5
    kernels.fill_random(a[1], { low = 1, high = 2, seed = 1 })
    assert(a:sync())
    local other = assert(array.mmap(path))
    assert.same(a:totable(), other:totable())
    assert.equal(1.5, array.load(path)[2][3])
    local again = assert(array.mmap(path, { writable = true }))
    again[1][1] = -1
    assert.equal(-1, a[1][1])
    assert(array("f64", 3):sync())
  end)

  test("travels to a worker process, which maps the file, too", function()
    local path = path_of(".raw", ("i8i8"):pack(7, 8))
    for _, writable in ipairs { true, false } do
      local a = assert(array.mmap(path, { type = "i64", writable = writable }))
      local pool <close> = braid.process_pool(1)
      assert.equal(15, pool:submit(function(list) return list[1] + list[2] end, a):result())
      if writable then
        pool:submit(function(list) list[1] = 1 end, a):result()
        assert.equal(1, a[1])
        a[1] = 7
      else
        assert.is_false(pool:submit(function(list) return pcall(function() list[1] = 1 end) end, a):result())
      end
    end
  end)

  test("gives back descriptors of arrays that nobody uses any more", function()
    local path = path_of(".raw", "12345678")
    local out, err, code = helper.lua_process(([[
      local array = require "braid".array
      for i = 1, 2000 do assert(assert(array.mmap(%q, { type = "u8" }))[1] == 49) end
      local kept = {}
      for i = 1, 200 do
        local a, err = array.mmap(%q, { type = "u8" })
        if not a then print(require "braid".is_error(err, "system")) break end
        kept[i] = a
      end]]):format(path, path), { limits = "-n 64" })
    assert.same({ "true\n", "", 0 }, { out, err, code })
  end)

  test("survives a file that is truncated: who uses it fails", function()
    local path = path_of(".raw", ("\1"):rep(1 << 20))
    local a = assert(array.mmap(path, { type = "i32", writable = true }))
    local other = assert(array.mmap(path, { type = "u8" }))
    assert.equal(0x01010101, a[1])
    truncate(path, 4096)
    assert.equal(0x01010101, a[1000])
    torn(function() return a[200000] end)
    torn(function() return a[1] end) -- from now on nothing of it can be trusted
    torn(kernels.sum, other)
    torn(kernels.sum, other)
    torn(function() return other:slice(1, 10):copy() end)
    local whole = array("u8", 1 << 20)
    assert.equal(0, kernels.sum(whole))
  end)

  test("survives that in native threads, in worker threads and processes, and while it writes", function()
    local size = 32 << 20
    local path = path_of(".raw", "")
    truncate(path, size)
    local a = assert(array.mmap(path, { type = "f64", writable = true }))
    truncate(path, 4096)
    torn(kernels.fill_random, a, { seed = 1 })
    for _, make in ipairs { braid.thread_pool, braid.process_pool } do
      truncate(path, size)
      local fresh = assert(array.mmap(path, { type = "f64", writable = true }))
      local pool <close> = make(1)
      pool:submit(function(list) return list[1] end, fresh):result()
      truncate(path, 4096)
      torn(function() return pool:submit(function(list) list:fill(1) end, fresh):result() end)
      assert.equal(1, pool:submit(function() return 1 end):result())
    end
  end)

  test("is what read_csv does: a table that is truncated meanwhile is an error, or was read before", function()
    local lines = { "a,b" }
    for i = 1, 300000 do lines[i + 1] = i .. ",0.5" end
    local text = table.concat(lines, "\n")
    helper.run(function()
      for step = 1, 5 do
        local path = path_of(".csv", text)
        local reader = braid.spawn(kernels.read_csv, path)
        braid.sleep(0.001 * step)
        truncate(path, 4096)
        local columns, err = reader:result()
        assert.is_true(columns ~= nil and #columns.a == 300000 or braid.is_error(err, "system"), tostring(err))
      end
    end)
  end)

  test("ends a program that gets SIGBUS from elsewhere", function()
    local path = path_of(".raw", "12345678")
    local _, _, code = helper.lua_process(([[
      local a = require "braid".array.mmap(%q, { type = "u8" })
      assert(a[1] == 49)
      os.execute("kill -BUS $PPID")
      os.exit(0)]]):format(path))
    assert.not_equal(0, code)
  end)

  test("refuses files that have too little, and bad options", function()
    local path = path_of(".raw", "1234567")
    local function failed(...)
      local value, err = array.mmap(...)
      assert.is_nil(value)
      assert.is_true(braid.is_error(err, "system"), tostring(err))
    end
    failed(path)
    failed(path, { type = "f64", shape = { 1 } })
    failed(path, { type = "u8", shape = { 1 << 30, 1 << 20 } })
    failed(path, { type = "u8", offset = 8, shape = { 1 } })
    failed("/", { type = "u8" })
    failed("/nonexistent", { type = "u8" })
    failed(path_of(".npy", "\x93NUMPY\1\0\1\0x"))
    failed("/nonexistent/a.npy", { type = "u8", shape = { 1 }, create = true })
    misused("'offset'", array.mmap, path, { type = "f64", offset = 4 })
    misused("'offset'", array.mmap, path, { offset = 8 })
    misused("'shape'", array.mmap, path, { type = "f64", shape = { -1 } })
    misused("needs the options", array.mmap, path, { create = true })
    misused("'type'", array.mmap, path, { type = "f63" })
    misused("writable", array.mmap, path, { writeable = true })
  end)
end)
