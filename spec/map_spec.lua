-- SPDX-License-Identifier: MIT
-- The expressions of kernels.map against what Lua makes of the same text.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"

local map = braid.kernels.map

local function misuse(part, ...) return expect.misused(part, map, ...) end

-- ---- a reference ---------------------------------------------------------------------------------------------------

local function truth(value) return value and 1.0 or 0.0 end

-- Expressions as Lua source in which comparisons and logic are calls. Each maker gives { ours, lua }.
local makers
local function make(depth)
  return makers[depth > 0 and math.random(#makers) or math.random(3)](depth - 1)
end

local function binary(sign)
  return function(depth)
    local a, b = make(depth), make(depth)
    return { ("(%s %s %s)"):format(a[1], sign, b[1]), ("(%s %s %s)"):format(a[2], sign, b[2]) }
  end
end

local function called(ours, name, count)
  return function(depth)
    local mine, its = {}, {}
    for i = 1, count do
      local part = make(depth)
      mine[i], its[i] = part[1], part[2]
    end
    return { ours:gsub("%$(%d)", function(i) return mine[tonumber(i)] end),
      name .. "(" .. table.concat(its, ", ") .. ")" }
  end
end

makers = {
  function() return { "x", "x" } end,
  function() return { "y", "y" } end,
  function()
    local number = ("%.3f"):format(math.random() * 10)
    return { number, number }
  end,
  binary "+", binary "-", binary "*", binary "+", binary "*", binary "/", binary "//", binary "%",
  called("-$1", "negate", 1), called("sqrt($1)", "sqrt", 1), called("abs($1)", "abs", 1),
  called("floor($1)", "floor", 1), called("ceil($1)", "ceil", 1), called("max($1, $2, $3)", "max", 3),
  called("min($1, $2)", "min", 2), called("($1 < $2)", "less", 2), called("($1 >= $2)", "at_least", 2),
  called("($1 == $2)", "equal", 2), called("($1 and $2)", "both", 2), called("($1 or $2)", "either", 2),
  called("(not $1)", "negation", 1), called("where($1, $2, $3)", "where", 3), called("($1)^2", "square", 1),
}

local function pick(better)
  return function(first, ...)
    for _, value in ipairs { ... } do
      if first == first and not better(first, value) then first = value end
    end
    return first
  end
end

local environment = {
  negate = function(a) return -a end, sqrt = math.sqrt, abs = math.abs,
  floor = function(a) return a - a == 0 and a ~= 0 and math.floor(a) + 0.0 or a end,
  ceil = function(a) return a - a == 0 and a ~= 0 and -(math.floor(-a) + 0.0) or a end,
  max = pick(function(a, b) return a > b end), min = pick(function(a, b) return a < b end),
  less = function(a, b) return truth(a < b) end, at_least = function(a, b) return truth(a >= b) end,
  equal = function(a, b) return truth(a == b) end, both = function(a, b) return truth(a ~= 0 and b ~= 0) end,
  either = function(a, b) return truth(a ~= 0 or b ~= 0) end, negation = function(a) return truth(a == 0) end,
  where = function(c, a, b) if c ~= 0 then return a end return b end, square = function(a) return a * a end,
}

local function has(source, name) return source:find("%f[%w]" .. name .. "%f[%W]") ~= nil end

local function close(a, b)
  if a ~= a or b ~= b then return a ~= a and b ~= b end
  return a == b or math.abs(a - b) <= 1e-12 * math.max(math.abs(a), math.abs(b))
end

describe("map", function()
  helper.test("computes what Lua computes", function()
    math.randomseed(6)
    local n = 50
    local x, y = {}, {}
    for i = 1, n do x[i], y[i] = math.random() * 8 - 4, math.random(-3, 3) + 0.0 end
    local X, Y = braid.array("f64", x), braid.array("f64", y)
    for _ = 1, 3000 do
      local text = make(4)
      local fn = load("local x, y = ... return " .. text[2], text[2], "t", environment)
      local values = { x = has(text[1], "x") and X or nil, y = has(text[1], "y") and Y or nil }
      local result = map(text[1], values, { out = braid.array("f64", n) })
      for i = 1, n do
        local expected = fn(x[i], y[i])
        if not close(expected, result[i]) then
          error(("%s for x = %.17g, y = %.17g: %.17g expected, got %.17g"):format(text[1], x[i], y[i], expected,
            result[i]))
        end
      end
    end
  end, { deadline = 60 })

  helper.test("knows its functions, constants and precedences", function()
    local x = braid.array("f64", { 0.5 })
    local expected = {
      ["exp(x)"] = math.exp(0.5), ["log(x)"] = math.log(0.5), ["sin(x)"] = math.sin(0.5), ["cos(x)"] = math.cos(0.5),
      ["tan(x)"] = math.tan(0.5), ["asin(x)"] = math.asin(0.5), ["acos(x)"] = math.acos(0.5),
      ["atan(x)"] = math.atan(0.5), ["tanh(x)"] = (math.exp(1) - 1) / (math.exp(1) + 1), ["pow(x, 3)"] = 0.125,
      ["2^x^2"] = 2 ^ 0.5 ^ 2, ["-x^2"] = -0.25, ["2^-x"] = 2 ^ -0.5, ["1 + 2 * 3 - 4 / 8 + 0*x"] = 6.5,
      ["2 * pi * x"] = math.pi, ["x + inf"] = math.huge, ["x < 1 and 2 < 3 or nan"] = 1, ["not x == 0"] = 1,
      ["8 // 3 * 2 + x*0"] = 4, ["7 - 2 - 1 + x*0"] = 4, ["0x10 + .5e1 + 1e-1*0 + x*0"] = 21, ["x ~= 0.5"] = 0,
      ["x != 0.25"] = 1, ["x <= 0.5"] = 1, ["x > 0.5"] = 0, ["5"] = 5, ["x"] = 0.5,
    }
    for source, value in pairs(expected) do
      local out = braid.array("f64", 1)
      map(source, has(source, "x") and { x = x } or {}, { out = out })
      assert.is_true(close(value, out[1]), source .. " gives " .. out[1])
    end
  end)

  helper.test("gives the same for any number of threads and any size", function()
    for _, n in ipairs { 0, 1, 1023, 1024, 1025, 65536, 65537, 150000 } do
      local list = {}
      for i = 1, n do list[i] = i / 7 end
      local x, first = braid.array("f64", list), nil
      for _, threads in ipairs { 1, 2, 3, 7 } do
        local result = map("a*x + sin(x)/3", { a = 2.5, x = x }, { threads = threads })
        first = first or result:tostring()
        assert.is_true(first == result:tostring())
      end
      for _, i in ipairs { 1, n // 2, n } do
        if i >= 1 and i <= n then
          assert.is_true(close(2.5 * list[i] + math.sin(list[i]) / 3, map("a*x + sin(x)/3", 2.5, x)[i]))
        end
      end
    end
  end)

  helper.test("knows the C library's exp, log, sin and cos to the last bits", function()
    math.randomseed(8)
    local list = { 0.0, -0.0, 1.0, -1.0, math.huge, -math.huge, 0 / 0, 5e-324, 1e-310, 1e300, -1e300, 709.7, 710, -745,
      -746, math.pi, math.pi / 2, 99999, 100001 }
    for i = #list + 1, 6000 do
      list[i] = (math.random() - 0.5) * 10.0 ^ math.random(-5, i > 5000 and 17 or 4)
    end
    local x = braid.array("f64", list)
    for name, units in pairs { exp = 1, log = 1, sin = 2.5, cos = 2.5 } do
      local got = map(name .. "(x)", x):totable()
      for i, value in ipairs(list) do
        local expected = math[name](value)
        local close_enough = expected == got[i] or expected ~= expected and got[i] ~= got[i]
          or math.abs(expected - got[i]) <= (units + 1) * 2^-52 * math.abs(expected)
        if not close_enough then
          error(("%s(%.17g): %.17g expected, got %.17g"):format(name, value, expected, got[i]))
        end
        if i % 500 == 1 then -- the same alone
          local alone = map(name .. "(x)", braid.array("f64", { value }))[1]
          assert.is_true(alone == got[i] or alone ~= alone and got[i] ~= got[i])
        end
      end
    end
  end)

  helper.test("keeps the sign of a zero", function()
    local zeros = braid.array("f64", { -0.0, 0.0 })
    local names = { "sin", "tan", "asin", "atan", "sinh", "tanh", "sqrt", "floor", "ceil", "round", "sign", "erf" }
    for _, name in ipairs(names) do
      local got = map(name .. "(x)", zeros)
      assert.equal(-math.huge, 1 / got[1], name)
      assert.equal(math.huge, 1 / got[2], name)
    end
    assert.equal(-math.huge, 1 / map("round(x)", braid.array("f64", { -0.3 }))[1])
  end)

  helper.test("takes the first of two zeros as math.min and math.max do", function()
    local x, y = braid.array("f64", { 0.0, -0.0 }), braid.array("f64", { -0.0, 0.0 })
    for _, name in ipairs { "min", "max" } do
      local got = map(name .. "(x, y)", x, y)
      for i = 1, 2 do assert.equal(1 / math[name](x[i], y[i]), 1 / got[i], name) end
    end
  end)

  helper.test("has the functions that others have", function()
    local x = braid.array("f64", { 0.3 })
    local e = math.exp
    for source, value in pairs {
      ["log2(x)"] = math.log(0.3, 2), ["log10(x)"] = math.log(0.3, 10), ["log(x, 7)"] = math.log(0.3, 7),
      ["log(x, 2)"] = math.log(0.3, 2), ["log(x, 10)"] = math.log(0.3, 10), ["exp2(x)"] = 2 ^ 0.3,
      ["sinh(x)"] = (e(0.3) - e(-0.3)) / 2, ["cosh(x)"] = (e(0.3) + e(-0.3)) / 2, ["atan(x, -2)"] = math.atan(0.3, -2),
      ["atan2(-x, -2)"] = math.atan(-0.3, -2), ["hypot(x, 0.4)"] = 0.5, ["erf(x)"] = 0.32862675945912745,
    } do
      assert.is_true(close(value, map(source, x)[1]), source)
    end
    local special = braid.array("f64", { 0 / 0, -1 / 0, 1 / 0, 0, -2.5, 2.5, 3.5, -1e300 })
    assert.same({ 1, 0, 0, 0, 0, 0, 0, 0 }, map("isnan(x)", special, { type = "i8" }):totable())
    assert.same({ 0, 1, 1, 0, 0, 0, 0, 0 }, map("isinf(x)", special, { type = "i8" }):totable())
    assert.same({ 0, -1, 1, 0, -1, 1, 1, -1 }, map("sign(x)", special, { type = "i8" }):totable())
    assert.same({ 0, -128, 127, 0, -2, 2, 4, -128 }, map("round(x)", special, { type = "i8" }):totable())
    misuse("column 5: 'log' takes 1 or 2 arguments, got 3", "1 + log(x, 2, 3)", x)
    misuse("'hypot' takes 2 arguments, got 1", "hypot(x)", x)
  end)

  helper.test("refuses comparisons in a chain", function()
    local x = braid.array("f64", { 2 })
    for source, column in pairs { ["1 < x < 3"] = 7, ["x == x == 5"] = 8, ["1 + 2 >= x*2 ~= 3"] = 14 } do
      misuse(("column %d: comparisons have no chains"):format(column), source, x)
    end
    misuse("comparisons have no chains", "x < 1 or not (1 <= x and x < 2 < 3)", x)
    for source, value in pairs { ["(1 < x) < 3"] = 1, ["1 < x and x < 3 and x == 2"] = 1, ["(x < 1) == (x<0)"] = 1 } do
      assert.equal(value, map(source, x)[1], source)
    end
  end)

  helper.test("takes and gives every type", function()
    for _, type in ipairs { "f64", "f32", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8" } do
      local x = braid.array(type, { 1, 2, 100 })
      assert.same({ 3.0, 5.0, 201.0 }, map("2*x + 1", x):totable())
      local out = map("x / 2 + 0.25", x, { type = type })
      assert.equal(type, out:type())
      local whole = type ~= "f64" and type ~= "f32"
      assert.same(whole and { 0, 1, 50 } or { 0.75, 1.25, 50.25 }, out:totable())
      if whole then
        assert.same({ 0, 0, 0 }, map("x*nan", x, { type = type }):totable())
        local most = map("x*1e300", x, { type = type })
        assert.is_true(type == "u64" and most[1] < 0 or most[1] >= 127)
      end
    end
  end)

  helper.test("writes over its own arrays, and refuses what overlaps otherwise", function()
    local x = braid.array("f64", 3000):fill(2)
    assert.equal(x, map("x*x + x", { x = x }, { out = x }))
    assert.equal(6.0, x[1])
    assert.equal(6.0, x[3000])
    misuse("bad argument 'out' (it shares elements", "x + 1", x:slice(1, 10), { out = x:slice(2, 11) })
  end)

  helper.test("says in which column an expression is wrong", function()
    local errors = {
      ["a*"] = "column 3: a value expected, but the expression ends here",
      ["(a + b"] = "column 7: ')' expected, but the expression ends here",
      ["1 + foo(a)"] = "column 5: there is no function 'foo'", ["a b"] = "column 3: an operator expected, got 'b'",
      ["a + sqrt(a, b)"] = "column 5: 'sqrt' takes 1 argument, got 2", ["1.2.3"] = "column 1: '1.2.3' is no number",
      [""] = "column 1: a value expected", ["a = b"] = "column 3: an operator expected, got '='",
      ["a + $"] = "column 5: a value expected, got '$'",
      ["max(a)"] = "column 1: 'max' takes 2 arguments or more, got 1",
      ["a and"] = "column 6: a value expected", ["or a"] = "column 1: a value expected, got 'or'",
      ["sin(a,)"] = "column 7: a value expected, got ')'", ["a\0b"] = "column 2: a byte 0",
      [("("):rep(200)] = "column 101: nested more than 100 deep",
      [("a+"):rep(2) .. ("v"):rep(70)] = "column 5: a name of more than 63 bytes",
      ["a+" .. ("9"):rep(64)] = "column 3: a number of more than 63 characters",
    }
    for source, message in pairs(errors) do misuse(message, source, { a = 1 }) end
    local many = {}
    for i = 1, 70 do many[i] = "v" .. i end
    misuse("more than 64 variables", table.concat(many, "+"), {})
    for i = 1, 600 do many[i] = "sin(a)" end
    misuse("more than 512 operations", table.concat(many, "-"), { a = 1 })
    for i = 1, 200 do many[i] = ("%d.5*a"):format(i) end
    misuse("more than 128 constants", table.concat(many, "+"), { a = 1 })
    misuse("nested more than", ("-"):rep(200) .. "a", { a = 1 })
  end)

  helper.test("refuses wrong values", function()
    local x = braid.array("f64", 3)
    misuse("bad argument 'expression' to 'map' (a string expected, got nil)")
    misuse("bad arguments to 'map' (2 values expected, for a, x, got 1)", "a*x", x)
    misuse("(it has no 'a')", "a*x", { x = x })
    misuse("(the expression has no variable 'scales': did you mean 'scale'?)", "scale*x",
      { x = x, scale = 2, scales = 1 })
    misuse("map needs an array", "a*x", 1, 2)
    misuse("bad argument 'b' (3 elements expected, got 2)", "a + b", x, braid.array("u8", 2))
    misuse("bad argument 'a' to 'map' (a braid.array or a number expected, got a string)", "a + b", "1", x)
    misuse("unknown option 'thread' to 'map'", "a", x, { thread = 1 })
    misuse("bad argument 'a' (2 elements expected, got 3)", "a", x, { out = braid.array("f64", 2) })
  end)

  helper.test("reads numbers under any locale", function()
    local before = os.setlocale(nil, "numeric")
    if not os.setlocale("de_DE.UTF-8", "numeric") then return end
    local result = map("x + 0.5", braid.array("f64", { 1 }))
    os.setlocale(before, "numeric")
    assert.equal(1.5, result[1])
  end)
end)

-- ---- integers ------------------------------------------------------------------------------------------------------

-- What the operations are for signed and for unsigned integers, in Lua.
local function whole_environment(less, divide, remain)
  local function number(value) return value and 1 or 0 end
  return {
    floor_divide = function(a, b)
      if b ~= 0 then return divide(a, b) end
      return a == 0 and 0 or less(a, 0) and math.mininteger or less(-1, 0) and math.maxinteger or -1
    end,
    modulo = function(a, b) return b == 0 and 0 or remain(a, b) end,
    less = function(a, b) return number(less(a, b)) end, at_least = function(a, b) return number(not less(a, b)) end,
    equal = function(a, b) return number(a == b) end, both = function(a, b) return number(a ~= 0 and b ~= 0) end,
    either = function(a, b) return number(a ~= 0 or b ~= 0) end, negation = function(a) return number(a == 0) end,
    where = function(c, a, b) return c ~= 0 and a or b end, square = function(a) return a * a end,
    min = function(a, b) return less(a, b) and a or b end, max = function(a, b) return less(a, b) and b or a end,
    from_x = function(x, a) return x - a end, abs = function(a) return less(a, 0) and -a or a end,
    sign = function(a) return a == 0 and 0 or less(a, 0) and -1 or 1 end, same = function(a) return a end,
  }
end

local function unsigned_divide(a, b) -- by halves, as the reference manual's authors do it
  if b < 0 then return math.ult(a, b) and 0 or 1 end
  if a >= 0 then return a // b end
  local q = ((a >> 1) // b) << 1
  return q + (math.ult(a - q * b, b) and 0 or 1)
end

local of_signed = whole_environment(function(a, b) return a < b end, function(a, b) return a // b end,
  function(a, b) return a % b end)
local function unsigned_remain(a, b) return a - unsigned_divide(a, b) * b end
local of_unsigned = whole_environment(math.ult, unsigned_divide, unsigned_remain)

local whole_makers = {
  function() return { "x", "x" } end,
  function() return { "y", "y" } end,
  function()
    local number = tostring(math.random(0, 3) == 0 and math.random(0) >> 1 or math.random(0, 9))
    return { number, number }
  end,
  binary "+", called("(x - $1)", "from_x", 1), binary "*", binary "+", binary "*",
  called("($1 // $2)", "floor_divide", 2), called("($1 % $2)", "modulo", 2), called("abs($1)", "abs", 1),
  called("sign($1)", "sign", 1),
  called("round($1)", "same", 1), called("floor($1)", "same", 1), called("max($1, $2)", "max", 2),
  called("min($1, $2)", "min", 2), called("($1 < $2)", "less", 2), called("($1 >= $2)", "at_least", 2),
  called("($1 == $2)", "equal", 2), called("($1 and $2)", "both", 2), called("($1 or $2)", "either", 2),
  called("(not $1)", "negation", 1), called("where($1, $2, $3)", "where", 3), called("($1)^2", "square", 1),
}

local function check_whole(type, narrow, operations)
  local before = makers
  makers = whole_makers
  finally(function() makers = before end)
  math.randomseed(11, #type)
  local x, y = {}, {}
  for i = 1, 60 do
    x[i] = i % 3 == 0 and math.random(-9, 9) or math.random(0) >> math.random(0, 60)
    y[i] = narrow and math.random(0, 100) or i % 4 == 0 and math.random(-9, 9) or math.random(0)
    if type == "u32" then x[i] = x[i] & 0xffffffff end
  end
  local X, Y = braid.array(type, x), braid.array(narrow or type, y)
  local result = operations == of_unsigned and "u64" or "i64"
  for _ = 1, 2000 do
    local text = make(4)
    local source = text[2]:gsub("from_x%(", "from_x(x, ")
    local fn = load("local x, y = ... return x + " .. source, source, "t", operations)
    local got = map("x + " .. text[1], { x = X, y = has(text[1], "y") and Y or nil }, { out = braid.array(result, #x) })
    for i = 1, #x do
      local expected = fn(x[i], y[i])
      if expected ~= got[i] then
        error(("%s for x = %d, y = %d: %d expected, got %d"):format(text[1], x[i], y[i], expected, got[i]))
      end
    end
  end
end

describe("map of integers", function()
  helper.test("is what Lua makes of them: i64", function() check_whole("i64", nil, of_signed) end)
  helper.test("is what Lua makes of them: i64 and u8", function() check_whole("i64", "u8", of_signed) end)
  helper.test("is what Lua makes of them: u32 and i8", function() check_whole("u32", "i8", of_signed) end)
  helper.test("is what Lua makes of them, unsigned: u64", function() check_whole("u64", nil, of_unsigned) end)
  helper.test("is what Lua makes of them, unsigned: u64 and u16", function() check_whole("u64", "u16", of_unsigned) end)

  helper.test("divides exactly, whatever the numbers", function()
    math.randomseed(12)
    local least, most = math.mininteger, math.maxinteger
    local edges = { 0, 1, -1, 2, -2, 3, least, least + 1, most, most - 1, 1 << 53, (1 << 53) + 1, 1 << 62, -(1 << 62) }
    local a, b = {}, {}
    for _, x in ipairs(edges) do
      for _, y in ipairs(edges) do a[#a + 1], b[#b + 1] = x, y end
    end
    for _ = 1, 20000 do
      local divisor = math.random(0) >> math.random(0, 63)
      local x = math.random(0) >> math.random(0, 63)
      if divisor ~= 0 and math.random(2) == 1 then x = x // divisor * divisor + math.random(-1, 1) end
      a[#a + 1], b[#b + 1] = x, divisor
    end
    for _, case in ipairs { { "i64", of_signed }, { "u64", of_unsigned } } do
      local type, operations = table.unpack(case)
      local values = { a = braid.array(type, a), b = braid.array(type, b) }
      local small = { a = values.a, b = braid.kernels.map("b % 1000000007", values.b, { type = type }) }
      for _, pair in ipairs { values, small } do
        local list = pair.b:totable()
        local quotients = map("a // b", pair, { type = type })
        local rests = map("a % b", pair, { type = type })
        for i = 1, #a do
          local q, r = operations.floor_divide(a[i], list[i]), operations.modulo(a[i], list[i])
          if q ~= quotients[i] or r ~= rests[i] then
            error(("%s %d // %d: %d, %d expected, got %d, %d"):format(type, a[i], list[i], q, r, quotients[i],
              rests[i]))
          end
        end
      end
    end
  end, { deadline = 60 })

  helper.test("ends at the ends of a narrower type", function()
    local x = braid.array("i64", { math.mininteger, -300, -1, 0, 300, math.maxinteger })
    assert.same({ -128, -128, -1, 0, 127, 127 }, map("x", x, { type = "i8" }):totable())
    assert.same({ 0, 0, 0, 0, 255, 255 }, map("x", x, { type = "u8" }):totable())
    assert.same({ 0, 0, 0, 0, 300, math.maxinteger }, map("x", x, { type = "u64" }):totable())
    local u = braid.array("u64", { -1, math.mininteger, 300, 5 })
    assert.same({ 127, 127, 127, 5 }, map("u", u, { type = "i8" }):totable())
    assert.same({ 0xffffffff, 0xffffffff, 300, 5 }, map("u", u, { type = "u32" }):totable())
  end)

  helper.test("knows numbers that were read from u64", function()
    local u = braid.array("u64", { math.mininteger, -1, 7 })
    local most = braid.kernels.max(u)
    assert.equal(-1, most)
    assert.same({ 0.5, 1.0, 7 / 2.0 ^ 64 }, map("x / m", { x = u, m = most }):totable())
    assert.same({ 0.0, 1.0, 0.0 }, map("x == m", { x = u, m = most }):totable())
    assert.same({ math.mininteger + 1, 0, 8 }, map("x - m", { x = u, m = most }, { type = "u64" }):totable())
    assert.same({ 0, 1, 0 }, map("x >= m", { x = u, m = most }, { type = "u8" }):totable())
    assert.same({ 1, 1, 0 }, map("x >= 9223372036854775808", u, { type = "u8" }):totable())
    assert.same({ 0, 0, 0 }, map("x < -1", u, { type = "u8" }):totable()) -- written so it is what it says
    assert.same({ 8.0, 5.0 }, map("x + d", { x = braid.array("u32", { 9, 6 }), d = -1 }):totable())
    assert.same({ -9.0, 6.0 }, map("x + d", { x = braid.array("u64", { 0, 15 }), d = -9.0 }):totable())
  end)

  helper.test("goes by way of doubles where something else comes up", function()
    local x = braid.array("i64", { 7, -7 })
    assert.same({ 3, -3 }, map("x / 2", x, { type = "i64" }):totable())
    assert.same({ 10, -10 }, map("x * 1.5", x, { type = "i64" }):totable())
    assert.same({ 9, -5 }, map("x + d", { x = x, d = 2.0 }, { type = "i64" }):totable())
    assert.equal(2.0 ^ 80, map("x * x", braid.array("i64", { 1 << 40 }))[1])
    local mixed = map("x < u", { x = x, u = braid.array("u64", { -1, 3 }) }, { type = "u8" })
    assert.same({ 1, 1 }, mixed:totable())
  end)
end)
