-- SPDX-License-Identifier: MIT
-- kernels.compile: a Lua function as a native kernel. The same results as Lua's own, checks, refusals, reductions,
-- files of the cache, and kernels without a C compiler.
local expect = require "spec.expect"
local helper = require "spec.helper"
local programs = require "spec.compile_programs"
local braid = require "braid"

local describe, assert = describe, assert
local test = helper.test
local misused = expect.misused
local compile, array = braid.kernels.compile, braid.array

local function iota(type, n)
  local list = array(type, n)
  for i = 1, n do list[i] = i end
  return list
end

-- What calling fn raises; asserts its kind.
local function raised(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  return err
end

describe("a compiled kernel", function()
  test("has Lua's own signs of zero", function() -- Lua computes x - 0 as x + 0
    local zero = 0
    local function signs(i, x, y)
      local nothing <const> = 7 % 7
      local other, last <const> = 0, 0
      y[i] = 1 / (x[i] - 0)
      y[i + 1] = 1 / (x[i] - (1 - 1))
      y[i + 2] = 1 / (x[i] - nothing)
      y[i + 3] = 1 / (x[i] - 0.0)
      y[i + 4] = 1 / (x[i] - zero)
      y[i + 5] = 1 / (x[i] - other)
      y[i + 6] = 1 / (x[i] - last)
      y[i + 7] = 1 / (x[i] - (~-1))
      y[i + 8] = 1 / (x[i] - 0 // 0x1p3)
    end
    local x, ours, theirs = array("f64", { -0.0 }), array("f64", 9), {}
    compile(signs)({ 1, 1 }, x, ours)
    signs(1, x, theirs)
    for i = 1, 9 do assert.equal(theirs[i], ours[i], tostring(i)) end
  end)

  test("writes elements, over 1 to n and over a range", function()
    local axpy = compile(function(i, a, x, y) y[i] = a * x[i] + y[i] end)
    local x, y = iota("f64", 100000), iota("f64", 100000)
    axpy(#x, 2.0, x, y)
    assert.equal(3.0, y[1])
    assert.equal(300000.0, y[100000])
    axpy({ 5, 6 }, 1, x, y)
    assert.same({ 12.0, 20.0, 24.0, 21.0 }, { y[4], y[5], y[6], y[7] })
    assert.is_true(axpy:info().native)
    assert.same({ "integer", "f64 1", "f64 1" }, axpy:info().types)
    assert.matches("k_kernel", axpy:source())
  end)

  test("has two indices", function()
    local a, b = array("f64", { shape = { 50, 40 } }), array("f64", { shape = { 50, 40 } })
    a[20]:fill(8)
    local blur = compile(function(i, j, src, dst)
      dst[i][j] = (src[i - 1][j] + src[i + 1][j] + src[i][j - 1] + src[i][j + 1]) / 4
    end)
    blur({ 2, 49, 2, 39 }, a, b)
    assert.same({ 2.0, 4.0, 4.0, 0.0, 2.0 }, { b[19][5], b[20][5], b[20][2], b[22][5], b[21][39] })
  end)

  test("knows views with steps: columns, transposes, blocks", function()
    local m = array("i32", { shape = { 3, 4 }, values = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } })
    local double = compile(function(i, x) x[i] = 2 * x[i] end)
    double(3, m:column(2))
    assert.same({ { 1, 4, 3, 4 }, { 5, 12, 7, 8 }, { 9, 20, 11, 12 } }, m:totable())
    local mark = compile(function(i, j, x) x[i][j] = i * 10 + j end)
    mark({ 1, 2, 1, 2 }, m:transpose():block(2, 3, 1, 2))
    assert.same({ { 1, 11, 21, 4 }, { 5, 12, 22, 8 }, { 9, 20, 11, 12 } }, m:totable())
  end)

  test("has locals, loops, lists, branches and early returns", function()
    local distance = compile(function(p, a, b)
      local row = { 0, 1, 2, 3, 4 }
      for i = 1, 4 do
        local diagonal = row[1]
        row[1] = i
        for j = 1, 4 do
          local up = row[j + 1]
          local best = diagonal + (a[p][i] ~= b[p][j] and 1 or 0)
          if up + 1 < best then best = up + 1 end
          if row[j] + 1 < best then best = row[j] + 1 end
          row[j + 1], diagonal = best, up
        end
      end
      if row[5] == 0 then return -1 end
      return row[5]
    end, { reduce = "sum" })
    local a = array("u8", { shape = { 2, 4 } }):set "abcdabcd"
    local b = array("u8", { shape = { 2, 4 } }):set "abcdbcda"
    assert.equal(1, distance(2, a, b))
  end)

  test("uses what is around its function, with today's value", function()
    local factor, table_of = 3, array("i64", { 10, 20, 30 })
    local sqrt = math.sqrt
    local kernel = compile(function(i, out) out[i] = factor * table_of[i] + sqrt(4.0) // 1 end)
    local out = array("f64", 3)
    kernel(3, out)
    assert.same({ 32.0, 62.0, 92.0 }, out:totable())
    factor = 5
    kernel(3, out)
    assert.same({ 52.0, 102.0, 152.0 }, out:totable())
    factor = 0.5 -- another type: other code
    kernel(3, out)
    assert.same({ 7.0, 12.0, 17.0 }, out:totable())
  end)

  test("calls other kernels as functions, with several results", function()
    local scale = 10
    local split = compile(function(x) return x // scale, x % scale end)
    local join = compile(function(i, from, tens, ones)
      local a, b = split(from[i])
      tens[i], ones[i] = a, b
    end)
    local tens, ones = array("i64", 3), array("i64", 3)
    join(3, array("i64", { 12, 345, 6 }), tens, ones)
    assert.same({ { 1, 34, 0 }, { 2, 5, 6 } }, { tens:totable(), ones:totable() })
  end)

  test("computes what Lua computes, bit for bit", function()
    math.randomseed(20260101)
    for _ = 1, 2 do assert.is_nil(programs.compare(30)) end
  end, { deadline = 60 })

  test("lets the loop go on, and can be cancelled", function()
    local endless = compile(function(i, x) while x[i] < 1 do x[i] = x[i] * 0.5 end end)
    local long = compile(function(i, x) for _ = 1, 1 << 60 do x[i] = x[i] + 1.0 end end)
    for _, kernel in ipairs { endless, long } do
      local _, err = pcall(braid.timeout, 0.3, kernel, 2, array("f64", 2))
      assert.is_true(braid.is_error(err, "timeout"), tostring(err))
    end
  end, { deadline = 20 })

  test("works in thread and process workers", function()
    local base = 100
    local kernel = compile(function(i, x) return x[i] + base end, { reduce = "sum" })
    local x = iota("i64", 10)
    for _, make in ipairs { braid.thread_pool, braid.process_pool } do
      local pool <close> = make { workers = 1 }
      assert.equal(1055, pool:submit(function() return kernel(#x, x) end):result())
    end
  end)
end)

describe("a reduction", function()
  local NAN = 0 / 0

  test("has the tree of the other kernels, for any number of threads", function()
    local x = braid.kernels.random(200001, { seed = 7 })
    local sum = compile(function(i, a) return a[i] end, { reduce = "sum" })
    local expected = braid.kernels.sum(x)
    for _, threads in ipairs { 1, 2, 3, 7 } do
      assert.equal(expected, sum(#x, x, braid.kernels.options { threads = threads }))
    end
    local m = x:slice(1, 200000):reshape(1000, 200)
    local rows = compile(function(i, j, a) return a[i][j] end, { reduce = "sum" })
    assert.equal(braid.kernels.sum(x:slice(1, 200000)), rows({ 1, 1000, 1, 200 }, m))
  end)

  test("is a sum, a product, the least or the largest, or a function", function()
    local text = "function(i, x) return x[i] end"
    local x = array("i64", { 3, -4, 5 })
    local function reduced(how, values) return compile(text, { reduce = how })(#values, values) end
    assert.same({ 4, -60, -4, 5 }, { reduced("sum", x), reduced("product", x), reduced("min", x), reduced("max", x) })
    local floats = array("f64", { 1.5, NAN, 2 })
    assert.is_true(reduced("min", floats) ~= reduced("min", floats))
    local function gcd(a, b)
      while b ~= 0 do a, b = b, a % b end
      return a
    end
    local many = array("i64", 5000):fill(84)
    many[4000] = 36
    assert.equal(12, reduced(gcd, many))
    assert.equal(4, reduced({ fn = gcd, init = 16 }, many))
  end)

  test("has several results, and none over nothing", function()
    local both = compile(function(i, x) return x[i], x[i] * x[i] end, { reduce = "sum" })
    local x = iota("f64", 4)
    assert.same({ 10.0, 30.0 }, { both(4, x) })
    assert.same({ 0.0, 0.0 }, { both(0, x) })
    assert.same({ n = 2 }, table.pack(compile(function(i, a) return a[i], a[i] end, { reduce = "max" })(0, x)))
    assert.equal(7, compile(function(i) return i end, { reduce = { fn = math.max, init = 7 } })(0))
  end)
end)

describe("a fault at run time", function()
  test("names the array, the index, the line and the iteration", function()
    local shift = compile(function(i, x, y) y[i] = x[i + 1] end)
    local err = raised("misuse", shift, 4, iota("f64", 4), array("f64", 4))
    assert.matches("there is no element 5 in 'x', which has 4", err.message, 1, true)
    assert.matches("iteration 4", err.message, 1, true)
    assert.same({ 5, "x" }, { err.index, err.array })
    assert.matches("^spec/compile_spec.lua:%d+: ", err.message)
  end)

  test("is what Lua raises: division by zero, a step of zero, floats that are no integers", function()
    local x = array("i64", { 1, 0 })
    local out = array("i64", 2)
    local function fails(text, expected, ...)
      assert.matches(expected, raised("misuse", compile(text), 2, x, ...).message, 1, true)
    end
    fails("function(i, x, y) y[i] = 10 // x[i] end", "attempt to perform 'n//0'", out)
    fails("function(i, x, y) y[i] = 10 % x[i] end", "attempt to perform 'n%%0'", out)
    fails("function(i, x, y) for k = 1, 2, x[i] do y[i] = k end end", "'for' step is zero", out)
    fails("function(i, x, y) y[i] = 1.5 | x[i] end", "no integer representation", out)
    fails("function(i, x, y) y[i] = math.floor(1e300 * (x[i] + 1)) end", "no integer representation", out)
    fails("function(i, x, y) y[i] = 254 + 2 * i end", "an array of u8 cannot hold the value 256", array("u8", 2))
    fails("function(i, x, y) y[i] = 0.5 end", "an array of i64 cannot hold", out)
  end)
end)

describe("iterations that touch the same elements", function()
  test("are refused where the indices show it", function()
    local x = iota("f64", 4)
    local err = raised("compile", compile(function(i, a) a[i] = a[i - 1] end), { 2, 4 }, x)
    assert.matches("by another iteration", err.message, 1, true)
    assert.is_number(err.line)
    raised("compile", compile(function(i, a) a[1] = i + 0.0 end), 4, x)
    raised("compile", compile(function(i, j, a) a[i] = j + 0.0 end), { 1, 2, 1, 2 }, x)
    compile(function(i, a) a[2 * i] = a[2 * i - 1] end)(2, x)
    assert.same({ 1.0, 1.0, 3.0, 3.0 }, x:totable())
    compile(function(_, a) a[1] = 9.0 end)(1, x) -- one iteration touches nothing of others
    assert.equal(9.0, x[1])
  end)

  test("are refused where two arguments share elements", function()
    local x = iota("f64", 6)
    local copy = compile(function(i, a, b) a[i] = b[i] * 2 end)
    misused("share elements", function() copy(3, x:slice(1, 3), x:slice(2, 4)) end)
    copy(3, x, x) -- each iteration reads and writes its own element
    assert.same({ 2.0, 4.0, 6.0, 4.0, 5.0, 6.0 }, x:totable())
    copy(3, x:slice(1, 3), x:slice(4, 6))
    assert.same({ 8.0, 10.0, 12.0, 4.0, 5.0, 6.0 }, x:totable())
  end)
end)

describe("what a kernel lacks", function()
  test("is refused with line, column and the way out", function()
    local x = iota("f64", 2)
    local function refused(text, expected, line, column)
      local err = raised("compile", function() compile(text)(2, x) end)
      assert.matches(expected, err.message, 1, true)
      assert.same({ line, column }, { err.line, err.column })
    end
    refused("function(i, x)\n  x[i] = 'a'\nend", "strings cannot be used in a kernel", 2, 10)
    refused("function(i, x) x[i] = nil end", "nil cannot be used", 1, 23)
    refused("function(i, x) goto done end", "no goto", 1, 16)
    refused("function(i, ...) end", "no variable arguments", 1, 13)
    refused("function(i, x) for a, b in x do end end", "numeric loops", 1, 21)
    refused("function(i, x) local f = function() end end", "defines no functions", 1, 26)
    refused("function(i, x) print(i) end", "'print' is neither", 1, 21)
    refused("function(i, x) x[i] = y end", "'y' is unknown", 1, 23)
    refused("function(i, x) local s = 0 s = s + 0.5 end", "begin with a float", 1, 28)
    refused("function(i, x) x[i] = math.max(0, x[i]) end", "write all alike", 1, 31)
    refused("function(i, x) x[i] = math.random() end", "kernels.random", 1, 27)
    refused("function(i, x) if x[i] then x[i] = 0 end end", "a condition must be a boolean", 1, 20)
    refused("function(i, x) x[i] = (x[i]) .. 1 end", "strings", 1, 30)
    refused("function(i, x) x[i] = 1 + end", "an expression expected near 'end'", 1, 27)
    refused("function(i, x) return x[i] > 1 and 1 or 0.5 end", "write both alike", 1, 38)
  end)

  test("is deep: a text that nests without end is refused", function()
    raised("compile", compile, "function(i) return " .. ("("):rep(10000) .. "i" .. (")"):rep(10000) .. " end")
    raised("compile", compile, "function(i) " .. ("do "):rep(10000) .. ("end "):rep(10000) .. " end")
  end)

  test("a function whose text is not there, or not its own, is refused", function()
    assert.matches("no text", raised("compile", compile, math.sin).message, 1, true)
    local stale = assert(load("return function(i, x)\n x[i] = 1\nend", "@" .. debug.getinfo(1, "S").short_src))()
    assert.matches("not the function's", raised("compile", compile, stale).message, 1, true)
    local pair = { function(i, x) x[i] = 1 end, function(i, x) x[i] = 2 end }
    local x = array("i64", 2)
    compile(pair[2])(2, x) -- two on a line, but not alike
    assert.equal(2, x[1])
    local text = assert(load "return function(i, x) x[i] = 5 end")()
    compile(text)(2, x)
    assert.equal(5, x[1])
  end)

  test("wrong arguments name themselves", function()
    local kernel = compile(function(i, x) x[i] = 1 end)
    local x = array("i64", 2)
    misused("argument 2 of kernel 'kernel'", function() kernel(2, "a") end)
    misused("first argument of kernel", function() kernel({ 1 }, x) end)
    misused("bad option 'reduce'", function() compile("function(i) return i end", { reduce = "sums" }) end)
    misused("returns values", function() compile(function(i) return i end)(3) end)
    misused("'types'", function() compile("function(i, x) end", { types = { "list" } }) end)
    raised("compile", kernel, 2, x, x)
  end)
end)

describe("the cache of kernels", function()
  local script = [[
    local braid = require "braid"
    local kernel = braid.kernels.compile("function(i, x) x[i] = i * i + 0.5 end", { types = { "array f64" } })
    local x = braid.array("f64", 3)
    kernel(3, x)
    local info = kernel:info()
    print(x[3], info.native, info.cached, info.reason or "")
  ]]

  local function folder()
    local name = os.tmpname()
    os.remove(name)
    assert(os.execute("mkdir -m 700 " .. name))
    finally(function() os.execute("rm -rf " .. name) end) -- luacheck: ignore
    return name
  end

  test("is read by the next process", function()
    local env = { XDG_CACHE_HOME = folder() }
    assert.equal("9.5\ttrue\tfalse\t\n", (helper.lua_process(script, { env = env })))
    assert.equal("9.5\ttrue\ttrue\t\n", (helper.lua_process(script, { env = env })))
  end)

  test("is not trusted where others may write", function()
    local root = folder()
    local env = { XDG_CACHE_HOME = root }
    helper.lua_process(script, { env = env })
    os.execute(("chmod 777 %s/braid/kernels"):format(root))
    local out, err = helper.lua_process(script, { env = env })
    assert.matches("^9.5\tfalse\tnil\t.*other users may write it", out)
    assert.matches("braid: kernels run as Lua, slower", err, 1, true)
    os.execute(("chmod 700 %s/braid/kernels; chmod 666 %s/braid/kernels/*.so"):format(root, root))
    assert.matches("^9.5\ttrue\tfalse", (helper.lua_process(script, { env = env }))) -- made anew
  end, { deadline = 20 })

  test("has each kernel compiled once, however many processes and tasks need it at the same time", function()
    local root = folder()
    local compiler = root .. "/cc"
    local file <close> = assert(io.open(compiler, "w"))
    file:write(("#!/bin/sh\necho once >> %s/calls\nsleep 0.3\nexec cc \"$@\"\n"):format(root))
    file:close()
    assert(os.execute("chmod +x " .. compiler))
    local path = os.tmpname()
    finally(function() os.remove(path) end) -- luacheck: ignore
    local text <close> = assert(io.open(path, "w"))
    text:write(script)
    text:close()
    helper.run(function()
      local results = braid.map(function()
        return braid.process.run({ helper.lua, path }, { env = { XDG_CACHE_HOME = root, BRAID_CC = compiler } })
      end, { 1, 2, 3, 4 })
      local fresh = 0
      for _, result in ipairs(results) do
        assert.matches("^9.5\ttrue\t", result.stdout)
        if result.stdout:find "false" then fresh = fresh + 1 end
      end
      assert.equal(1, fresh)
    end)
    local calls <close> = assert(io.open(root .. "/calls"))
    assert.equal("once\n", calls:read "a")
    assert.is_nil(io.popen(("ls %s/braid/kernels/*.lock 2>/dev/null"):format(root)):read())
  end, { deadline = 30 })

  test("removes what was not used for the longest time when it is full", function()
    local core, root = require "braid.core", folder()
    for i = 1, 8 do
      local name = ("%s/%032d.so"):format(root, i)
      for path, size in pairs { [name] = 1000, [name .. ".txt"] = 10 } do
        local file <close> = assert(io.open(path, "w"))
        file:write(("x"):rep(size))
      end
      assert(os.execute(("touch -d '%d hours ago' %s"):format(9 - i, name)))
    end
    assert(os.execute(("touch -d '2 hours ago' %s/a.so.lock %s/b.tmp; touch %s/c.so.lock"):format(root, root, root)))
    assert.equal(0, core.compiled_evict(root, 8000))
    assert.equal(3, core.compiled_evict(root, 7999)) -- down to three quarters
    local list = io.popen("ls " .. root):read "a"
    assert.is_nil(list:find(("%032d"):format(3)))
    assert.is_truthy(list:find(("%032d.so.txt"):format(4)))
    assert.is_nil(list:find("a.so.lock", 1, true) or list:find("b.tmp", 1, true))
    assert.is_truthy(list:find("c.so.lock", 1, true))
    assert.is_nil(core.compiled_evict(root .. "/none", 1))
  end)

  test("is not needed: without a compiler the same function runs as Lua, with the same results", function()
    local code = [[
      local braid = require "braid"
      local factor = 2
      local x = braid.array("f64", 3000)
      local fill = braid.kernels.compile(function(i, a) a[i] = i / factor end)
      fill(#x, x)
      local m = braid.array("i64", { shape = { 3, 4 } })
      braid.kernels.compile(function(i, j, a) a[i][j] = 10 * i + j end)({ 1, 3, 1, 4 }, m)
      local sum, squares = braid.kernels.compile(function(i, a) return a[i], a[i] * a[i] end, { reduce = "sum" })(#x, x)
      local most = braid.kernels.compile(function(i, a) return a[i] end, { reduce = { fn = math.max, init = 0.0 } })
      print(sum, squares, most(#x, x), m[3][4], fill:info().native)
      print(pcall(fill, 3001, x))
    ]]
    local root = folder()
    local native = helper.lua_process(code, { env = { XDG_CACHE_HOME = root } })
    local plain, err = helper.lua_process(code, { env = { XDG_CACHE_HOME = root, BRAID_CC = "" } })
    assert.equal((native:gsub("true\nfalse.*", "")), (plain:gsub("false\nfalse.*", "")))
    assert.matches("there is no element 3001", plain, 1, true)
    assert.equal(1, select(2, err:gsub("\n", "")))
  end, { deadline = 30 })
end)
