-- SPDX-License-Identifier: MIT
-- Arrays in numpy's files, and tables in text. What is not sound is an error that names the file, never a crash.
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

local function bytes_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local function failure(fn, ...)
  local value, err = fn(...)
  assert.is_nil(value)
  assert.is_true(braid.is_error(err, "system"), tostring(err))
  return err.message
end

describe("a .npy file", function()
  test("keeps type, shape and elements, also of views", function()
    local path = path_of ".npy"
    for type, list in pairs { f64 = { 1.5, -0.0 }, i64 = { math.mininteger, 3 }, u8 = { 0, 255 }, i16 = { -7, 9 } } do
      assert(array(type, list):save(path))
      local read = assert(array.load(path))
      assert.equal(type, read:type())
      assert.same(list, read:totable())
    end
    local m = array("i32", { shape = { 2, 3 }, values = { 1, 2, 3, 4, 5, 6 } })
    assert(m:transpose():save(path))
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, array.load(path):totable())
    assert(array("f64", 0):save(path))
    assert.equal(0, #array.load(path))
  end)

  test("has the bytes that numpy writes, and reads columns first, too", function()
    local path = path_of ".npy"
    assert(array("i16", { 1, -2 }):save(path))
    local head = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }"
    assert.equal("\x93NUMPY\1\0" .. ("<I2"):pack(118) .. head .. (" "):rep(117 - #head) .. "\n\1\0\254\255",
      bytes_of(path))
    local fortran = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }\n"
    local other = path_of(".npy", "\x93NUMPY\1\0" .. ("<I2"):pack(#fortran) .. fortran .. "\1\2\3\4")
    assert.same({ { 1, 3 }, { 2, 4 } }, array.load(other):totable())
  end)

  test("that is not sound, or not there, is an error", function()
    local path = path_of ".npy"
    assert(array("f64", { 1, 2, 3 }):save(path))
    local good = bytes_of(path)
    for size = 0, #good - 1 do failure(array.load, path_of(".npy", good:sub(1, size))) end
    local function changed(from, to) return path_of(".npy", (good:gsub(from, to, 1))) end
    assert.matches("the type >f8", failure(array.load, changed("<f8", ">f8")))
    assert.matches("fewer elements", failure(array.load, changed("%(3,%)", "(9,)")))
    assert.matches("3 dimensions", failure(array.load, changed("%(3,%), }   ", "(1,1,3), }")))
    assert.matches("No such file", failure(array.load, "/nonexistent/a.npy"))
    failure(array.load, "/")
    failure(function() return array("u8", 1):save "/nonexistent/a.npy" end)
    misused("bad argument 'path' to 'load'", function() array.load(7) end)
  end)
end)

describe("a .npz archive", function()
  test("keeps arrays by name", function()
    local path = path_of ".npz"
    local x = kernels.random(1000, { seed = 1 })
    assert(array.save(path, { x = x, m = x:reshape(10, 100), empty = array("u8", 0) }))
    local read = assert(array.load(path))
    assert.equal(x:tostring(), read.x:tostring())
    assert.same({ 10, 100 }, read.m.shape)
    assert.equal(0, #read.empty)
    assert.equal("PK\3\4", bytes_of(path):sub(1, 4))
    misused("arrays by name expected", function() array.save(path, { x = 1 }) end)
  end)

  test("that is cut anywhere is an error, or has what it says", function()
    local path = path_of ".npz"
    assert(array.save(path, { a = array("u8", { 1, 2 }) }))
    local good = bytes_of(path)
    for size = 0, #good - 1 do failure(array.load, path_of(".npz", good:sub(1, size))) end
    for at = 1, #good, 7 do -- any byte may be wrong
      array.load(path_of(".npz", good:sub(1, at - 1) .. "\255" .. good:sub(at + 1)))
    end
  end, { deadline = 30 })

  -- numpy.savez_compressed(path, m = numpy.arange(6, dtype = "i4").reshape(2, 3), x = numpy.array([0.5] * 100))
  local compressed = ([[
    504b03041400000008000000210050b44d845500000098000000050014006d2e6e707901001000980000000000000055000000000000
    009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a2aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416
    a402f91a463a0ac69a3a0ab50a64032e06206004622620660662162066056200504b0304140000000800000021009a7d4b1352000000
    a003000005001400782e6e707901001000a00300000000000052000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a0
    6e9366a1aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a8606063a9a3a0ab50a64032e063078603f4a
    8fd2a334260d00504b010214031400000008000000210050b44d8455000000980000000500000000000000000000008001000000006d
    2e6e7079504b01021403140000000800000021009a7d4b1352000000a003000005000000000000000000000080018c000000782e6e70
    79504b0506000000000200020066000000150100000000
  ]]):gsub("%s", ""):gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)

  test("is read when it is compressed", function()
    local arrays = assert(array.load(path_of(".npz", compressed)))
    assert.same({ { 0, 1, 2 }, { 3, 4, 5 } }, arrays.m:totable())
    assert.equal(100, #arrays.x)
    assert.equal(50, kernels.sum(arrays.x))
  end)

  test("is compressed if that is wanted, as numpy reads it", function()
    local path = path_of ".npz"
    local x = kernels.random(3000000, { type = "u8", low = 0, high = 3, seed = 1 })
    local m = array("i32", { shape = { 2, 3 }, values = { 1, 2, 3, 4, 5, 6 } })
    assert(array.save(path, { x = x, m = m, none = array("f64", 0) }, { compressed = true }))
    assert.is_true(#bytes_of(path) < 1500000)
    local read = assert(array.load(path))
    assert.equal(x:tostring(), read.x:tostring())
    assert.same(m:totable(), read.m:totable())
    assert.equal(0, #read.none)
    local numpy = helper.run(function()
      return braid.process.run { "/usr/bin/python3", "-c", "import sys, numpy; a = numpy.load(sys.argv[1]); "
        .. "print(a['x'].sum(), a['m'].tolist(), len(a['none']))", path }
    end)
    if numpy and numpy.code == 0 then
      assert.equal(("%d [[1, 2, 3], [4, 5, 6]] 0\n"):format(kernels.sum(x)), numpy.stdout)
    end
    misused("'compressed'", array.save, path, x, { compressed = true })
    misused("did you mean 'compressed'", array.save, path, { x = x }, { compress = true })
  end)

  test("that is compressed and damaged anywhere is an error, or has what it says", function()
    local path = path_of(".npz", compressed)
    for at = 1, #compressed do
      local file <close> = assert(io.open(path, "wb"))
      file:write(compressed:sub(1, at - 1), string.char(compressed:byte(at) ~ 0x55), compressed:sub(at + 1))
      file:close()
      local arrays, err = array.load(path)
      assert.is_true(arrays ~= nil or braid.is_error(err, "system"), tostring(err))
      if arrays and arrays.x then assert.equal(50, kernels.sum(arrays.x)) end
    end
  end)
end)

describe("a table in text", function()
  local function read(text, opts) return kernels.read_csv(path_of(".csv", text), opts) end

  test("has columns of integers, numbers and texts", function()
    local t = read('a,b,"the name",d\r\n1,2.5,"x, ""y""\nz",\r\n3,,plain,7\n\n-4,1e3,"",8')
    assert.same({ "a", "b", "the name", "d" }, t.names)
    assert.same({ "i64", { 1, 3, -4 } }, { t.a:type(), t.a:totable() })
    assert.same({ 2.5, 1000.0 }, { t.b[1], t.b[3] })
    assert.is_true(t.b[2] ~= t.b[2])
    assert.same({ 'x, "y"\nz', "plain", "" }, t["the name"])
    assert.equal("f64", t.d:type())
  end)

  test("has options", function()
    local t = read("# made today\n1;2\n3;4\n", { skip = 1, header = false, separator = ";" })
    assert.same({ { 1, 3 }, { 2, 4 } }, { t["column 1"]:totable(), t["column 2"]:totable() })
    t = read("\xEF\xBB\xBFa,b\n1,2\n", { columns = { "b" }, types = { b = "u8" } })
    assert.same({ "u8", { 2 } }, { t.b:type(), t.b:totable() })
    assert.is_nil(t.a)
    assert.same({ "007" }, read("a\n007\n", { types = { a = "text" } }).a)
    misused("did you mean 'value'", function() read("value\n1\n", { columns = { "valeu" } }) end)
  end)

  test("that is not even, or has no numbers where they are asked for, is an error", function()
    local value, err = read "a,b\n1,2\n3\n"
    assert.is_nil(value)
    assert.equal(2, err.record)
    assert.matches("record 2 has 1 fields, the table has 2 columns", err.message, 1, true)
    assert.equal(3, err.line)
    local said = failure(read, "a\n1.5\n", { types = { a = "i32" } })
    assert.matches(":2: column 'a' has \"1.5\", which is no integer", said, 1, true)
    assert.matches("no number", failure(read, "a\nx\n", { types = { a = "f64" } }))
    for _, case in ipairs { { 'a,b\n"x\n\ny",1\n\nz,w\n', 6, 2, { types = { b = "f64" } } },
      { "# note\na,b\r\n\r\n1,2\r\n1\r\n", 5, 2, { skip = 1 } } } do
      local _, wrong = read(case[1], case[4])
      assert.same({ case[2], case[3] }, { wrong.line, wrong.record })
    end
    assert.same({ names = {} }, read "")
    assert.equal(0, #read("a,b\n").a)
  end)

  test("has numbers of every form, which mean what they mean in Lua", function()
    local random = math.random
    local lines = {}
    for i = 1, 3000 do
      local whole = tostring(random(0, 10 ^ random(0, 18) // 1 | 0))
      local part = ("%0" .. random(1, 22) .. "d"):format(random(0, 10 ^ random(0, 18) // 1 | 0))
      local forms = { whole, whole .. "." .. part, whole .. "." .. part .. "e" .. random(-30, 30), "-" .. whole,
        "-" .. whole .. "." .. part, (" %s.%s "):format(whole, part), "-0", "0." .. ("0"):rep(random(1, 40)) .. "1",
        ("%.17g"):format(random()), ("%.17g"):format(random() * 1e300), "+" .. whole }
      lines[i] = forms[random(#forms)]
    end
    for _, ending in ipairs { "\n", "\r\n" } do
      for _, quote in ipairs { "", '"' } do
        local text = { "x,y" }
        for i, line in ipairs(lines) do text[i + 1] = quote .. line .. quote .. "," .. line end
        local columns = assert(kernels.read_csv(path_of(".csv", table.concat(text, ending))))
        for i, line in ipairs(lines) do
          local expected = tonumber((line:gsub("^%+", ""))) + 0.0
          assert.equal(expected, columns.x[i], line)
          assert.equal(expected, columns.y[i], line)
        end
      end
    end
    local strange = path_of(".csv", "a,b,c,d,e\n007,1.,.5,99999999999999999999,1-2\n1,2,3,4,5\n")
    local columns = assert(kernels.read_csv(strange))
    assert.same({ "007", "1" }, columns.a)
    assert.same({ "1.", "2" }, columns.b)
    assert.same({ ".5", "3" }, columns.c)
    assert.same({ 99999999999999999999.0, 4.0 }, columns.d:totable())
    assert.same({ "1-2", "5" }, columns.e)
  end)

  test("of many pieces is read as one, with quotes and without", function()
    for _, quote in ipairs { "", '"' } do
      local lines, n = { "i,x,t" }, 120000
      for i = 1, n do lines[i + 1] = ("%d,%.3f,%sword %d%s"):format(i, i / 8, quote, i, quote) end
      local t = read(table.concat(lines, "\n"))
      assert.same({ n, n, n }, { #t.i, #t.x, #t.t })
      assert.equal(n * (n + 1) // 2, kernels.sum(t.i))
      assert.same({ 70001, 70001 / 8, "word 70001" }, { t.i[70001], t.x[70001], t.t[70001] })
    end
  end, { deadline = 30 })

  test("is written so that it reads back", function()
    local path = path_of ".csv"
    local columns = { a = array("f64", { 0.1, 0 / 0, 1e300 }), b = array("i64", { 1, 2, math.maxinteger }),
      c = { "x", 'say "no"', "two\nlines" } }
    assert(kernels.write_csv(path, columns, { names = { "c", "a", "b" } }))
    local t = kernels.read_csv(path)
    assert.same({ "c", "a", "b" }, t.names)
    assert.same({ columns.c, 0.1, 1e300, math.maxinteger }, { t.c, t.a[1], t.a[3], t.b[3] })
    misused("'b' has 3 elements, the first column 1", function()
      kernels.write_csv(path, { a = array("u8", 1), b = columns.b })
    end)
  end)
end)
