-- SPDX-License-Identifier: MIT
-- Random programs of the kernels' language, run as kernels and by Lua itself: the results must have the same bits.
-- usage: lua spec/compile_programs.lua [programs] [seed]

local braid = require "braid"

local M = {}

local random = math.random

local function pick(list) return list[random(#list)] end

local integers = { "0", "1", "-1", "2", "3", "7", "10", "-5", "63", "64", "255", "1000003", "math.maxinteger",
  "math.mininteger", "0x7fffffff", "9007199254740993", "-9007199254740993" }
local floats = { "0.0", "-0.0", "1.0", "0.5", "-2.5", "3.75", "1e10", "-1e300", "1e-300", "math.pi", "math.huge",
  "-math.huge", "9007199254740992.0", "9.2233720368547758e18", "-9.2233720368547758e18", "0.1" }

local integer, float, condition

local function leaf(scope, kind)
  local names = scope[kind]
  if #names > 0 and random() < 0.7 then return pick(names) end
  return pick(kind == "integer" and integers or floats)
end

local integer_forms = {
  function(s, d) return ("(%s %s %s)"):format(integer(s, d), pick { "+", "-", "*" }, integer(s, d)) end,
  function(s, d) return ("(%s %s (%s | 1))"):format(integer(s, d), pick { "//", "%" }, integer(s, d)) end,
  function(s, d) return ("(%s %s %s)"):format(integer(s, d), pick { "//", "%" }, pick { "2", "3", "16", "-7",
    "10" }) end,
  function(s, d) return ("(%s %s %s)"):format(integer(s, d), pick { "&", "|", "~" }, integer(s, d)) end,
  function(s, d) return ("(%s %s ((%s & 255) - 100))"):format(integer(s, d), pick { "<<", ">>" }, integer(s, d)) end,
  function(s, d) return ("(%s %s %d)"):format(integer(s, d), pick { "<<", ">>" }, random(0, 70)) end,
  function(s, d) return ("(- %s)"):format(integer(s, d)) end,
  function(s, d) return ("(~%s)"):format(integer(s, d)) end,
  function(s, d) return ("math.%s(%s, %s)"):format(pick { "max", "min" }, integer(s, d), integer(s, d)) end,
  function(s, d) return ("math.abs(%s)"):format(integer(s, d)) end,
  function(s, d) return ("(%s and %s or %s)"):format(condition(s, d), integer(s, d), integer(s, d)) end,
  function(s, d) return ("%s[(%s & 15) + 1]"):format(pick { "p", "b8", "s16" }, integer(s, d)) end,
  function(s, d) return ("m[(%s & 3) + 1][(%s & 3) + 1]"):format(integer(s, d), integer(s, d)) end,
}

local float_forms = {
  function(s, d) return ("(%s %s %s)"):format(float(s, d), pick { "+", "-", "*", "/", "//", "%", "^" }, float(s,
    d)) end,
  function(s, d) return ("(%s %s %s)"):format(float(s, d), pick { "+", "-", "*", "/", "//", "%" }, integer(s, d)) end,
  function(s, d) return ("(%s / %s)"):format(integer(s, d), integer(s, d)) end,
  function(s, d) return ("(%s ^ 2)"):format(float(s, d)) end,
  function(s, d) return ("(- %s)"):format(float(s, d)) end,
  function(s, d)
    return ("math.%s(%s)"):format(pick { "sqrt", "sin", "cos", "exp", "log", "abs", "tan", "atan", "asin" }, float(s,
      d))
  end,
  function(s, d) return ("math.%s(%s, %s)"):format(pick { "max", "min", "fmod", "atan", "log" }, float(s, d), float(s,
    d)) end,
  function(s, d) return ("(%s and %s or %s)"):format(condition(s, d), float(s, d), float(s, d)) end,
  function(s, d) return ("q[(%s & 15) + 1]"):format(integer(s, d)) end,
  function(s, d) return ("(%s + 0.0)"):format(integer(s, d)) end,
  function(s, d) return ("(%s - %s)"):format(float(s, d), pick { "0", "(1 - 1)", "0.0", "(0 * 7)", "(~-1)" }) end,
}

local function form(list, kind)
  return function(scope, depth)
    if depth <= 0 or random() < 0.15 then return leaf(scope, kind) end
    return pick(list)(scope, depth - 1)
  end
end
integer, float = form(integer_forms, "integer"), form(float_forms, "float")

function condition(s, d)
  local r = random(6)
  if r == 1 and d > 0 then return ("(%s and %s)"):format(condition(s, d - 1), condition(s, d - 1)) end
  if r == 2 and d > 0 then return ("(%s or %s)"):format(condition(s, d - 1), condition(s, d - 1)) end
  if r == 3 and d > 0 then return ("not (%s)"):format(condition(s, d - 1)) end
  local operand = { integer, float }
  return ("(%s %s %s)"):format(pick(operand)(s, d - 1), pick { "<", "<=", ">", ">=", "==", "~=" }, pick(operand)(s,
    d - 1))
end

local block

local names = 0
local function fresh(kind)
  names = names + 1
  return (kind == "integer" and "n" or "x") .. names
end

local function expression(kind) return kind == "integer" and integer or float end

local function assign(scope, lines, depth)
  local kind = pick { "integer", "float" }
  local targets = scope["assignable " .. kind]
  if #targets > 0 then lines[#lines + 1] = ("%s = %s"):format(pick(targets), expression(kind)(scope, depth)) end
end

local function inner(scope)
  local copy = {}
  for key, list in pairs(scope) do copy[key] = table.move(list, 1, #list, 1, {}) end
  return copy
end

local statements = {
  function(scope, lines, depth)
    local kind = pick { "integer", "float" }
    local name = fresh(kind)
    lines[#lines + 1] = ("local %s = %s"):format(name, expression(kind)(scope, depth))
    table.insert(scope[kind], name)
    if random() < 0.5 then table.insert(scope["assignable " .. kind], name) end
  end,
  assign, assign,
  function(scope, lines, depth, nesting)
    lines[#lines + 1] = ("if %s then"):format(condition(scope, depth))
    block(inner(scope), lines, depth, nesting)
    if random() < 0.5 then
      lines[#lines + 1] = ("elseif %s then"):format(condition(scope, depth))
      block(inner(scope), lines, depth, nesting)
    end
    if random() < 0.5 then
      lines[#lines + 1] = "else"
      block(inner(scope), lines, depth, nesting)
    end
    lines[#lines + 1] = "end"
  end,
  function(scope, lines, depth, nesting)
    local name = fresh "integer"
    local from = random() < 0.5 and tostring(random(-3, 3)) or ("(%s & 7)"):format(integer(scope, 1))
    local to = random() < 0.5 and tostring(random(-3, 9)) or ("(%s & 7)"):format(integer(scope, 1))
    local step = pick { "", "", ", 1", ", 2", ", -1", ", 3" }
    lines[#lines + 1] = ("for %s = %s, %s%s do"):format(name, from, to, step)
    local new = inner(scope)
    table.insert(new.integer, name)
    block(new, lines, depth, nesting)
    if random() < 0.2 then lines[#lines + 1] = ("if %s then break end"):format(condition(new, 1)) end
    lines[#lines + 1] = "end"
  end,
  function(scope, lines, depth, nesting)
    local name = fresh "float"
    lines[#lines + 1] = ("for %s = %d.5, %d, %s do"):format(name, random(-3, 3), random(-2, 4), pick { "0.75", "-0.5",
      "2.0" })
    local new = inner(scope)
    table.insert(new.float, name)
    block(new, lines, depth, nesting)
    lines[#lines + 1] = "end"
  end,
  function(scope, lines, depth, nesting)
    local name = fresh "integer"
    lines[#lines + 1] = ("local %s = 0"):format(name)
    lines[#lines + 1] = random() < 0.5 and ("while %s < %d do"):format(name, random(1, 6)) or "repeat"
    local is_repeat = lines[#lines] == "repeat"
    local new = inner(scope)
    table.insert(new.integer, name)
    lines[#lines + 1] = ("%s = %s + 1"):format(name, name)
    block(new, lines, depth, nesting)
    lines[#lines + 1] = is_repeat and ("until %s >= %d"):format(name, random(1, 6)) or "end"
  end,
  function(scope, lines)
    local name = fresh "integer"
    lines[#lines + 1] = ("local list%s = {%s, %s, %s}"):format(name, integer(scope, 1), integer(scope, 1),
      integer(scope, 1))
    lines[#lines + 1] = ("list%s[%d] = %s"):format(name, random(3), integer(scope, 2))
    lines[#lines + 1] = ("local %s = list%s[%s %% 3 + 1] + #list%s"):format(name, name, integer(scope, 1), name)
    table.insert(scope.integer, name)
  end,
}

function block(scope, lines, depth, nesting)
  for _ = 1, random(1, 3) do
    local kind = nesting > 0 and random(#statements) or random(3)
    statements[kind](scope, lines, depth, nesting - 1)
  end
end

-- One program: a block that ends by storing an integer and a float.
local function program(number, count)
  local scope = { integer = { "i", "n", "number" }, float = { "x" }, ["assignable integer"] = {},
    ["assignable float"] = {} }
  local lines = { "do", "local n, x = a, y", "local number = i * 3 - 5" }
  scope["assignable integer"][1], scope["assignable float"][1] = "n", "x"
  block(scope, lines, 3, 2)
  block(scope, lines, 2, 2)
  lines[#lines + 1] = ("out[(i - 1) * %d + %d] = %s"):format(count, number, integer(scope, 2))
  lines[#lines + 1] = ("fout[(i - 1) * %d + %d] = %s"):format(count, number, float(scope, 2))
  lines[#lines + 1] = "end"
  return table.concat(lines, "\n")
end

-- The texts of values: all NaNs are one.
local function same(a, b) return a == b and (a ~= 0 or 1 / a == 1 / b) or (a ~= a and b ~= b) end

---Compares one kernel of `count` programs; returns the text of the first program that differs, and how.
function M.compare(count)
  local iterations, parts = 5, {}
  for number = 1, count do parts[number] = program(number, count) end
  local text = ("function(i, a, y, p, q, b8, s16, m, out, fout)\n%s\nend"):format(table.concat(parts, "\n"))
  local p, q, b8, s16 = braid.array("i64", 16), braid.array("f64", 16), braid.array("u8", 16), braid.array("i16", 16)
  for at = 1, 16 do
    p[at], q[at], b8[at], s16[at] = random(-1000, 1000), (random() - 0.5) * 10 ^ random(-2, 6), random(0, 255),
      random(-32768, 32767)
  end
  local m = braid.array("i64", { shape = { 4, 4 } })
  for at = 1, 4 do m[at]:set { random(9), random(9), random(9), at } end
  local a, y = random(-100, 100), (random() - 0.5) * 100
  local function outs() return braid.array("i64", iterations * count), braid.array("f64", iterations * count) end
  local out, fout = outs()
  local expected, fexpected = outs()
  local chunk, why = load("return " .. text)
  if not chunk then return why .. "\n" .. text end
  local fn = chunk()
  for i = 1, iterations do fn(i, a, y, p, q, b8, s16, m, expected, fexpected) end
  local kernel = braid.kernels.compile(text)
  kernel(iterations, a, y, p, q, b8, s16, m, out, fout)
  for at = 1, iterations * count do
    if out[at] ~= expected[at] or not same(fout[at], fexpected[at]) then
      local which = (at - 1) % count + 1
      return ("i = %d, a = %d, y = %s: Lua %s %s, kernel %s %s\n%s"):format((at - 1) // count + 1, a, y, expected[at],
        fexpected[at], out[at], fout[at], parts[which])
    end
  end
end

-- The compiler's time grows faster than its function's text: small kernels are the quick ones.
local AT_ONCE = 8

if arg and arg[0] and arg[0]:find "compile_programs" then
  local total, seed = tonumber(arg[1]) or 10000, tonumber(arg[2]) or os.time()
  print("seed", seed)
  math.randomseed(seed)
  local differences = 0
  for _ = 1, total, AT_ONCE do
    local difference = M.compare(AT_ONCE)
    if difference then
      print(difference)
      differences = differences + 1
    end
  end
  print(("%d programs, %d kernels with a difference"):format(total, differences))
  os.exit(differences == 0)
end

return M
