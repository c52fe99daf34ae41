-- SPDX-License-Identifier: MIT
--- Intervals of integer expressions over the range of iterations that one call of a kernel's code runs. They are C
--- expressions, computed once before the iterations: if every index is inside its array then, the iterations need no
--- checks. An interval is { lo, hi }; each bound is a Lua integer or the text of a C expression of type W (128 bits).
---
--- Each computed bound must be within 2^62: then nothing wraps, neither here in 128 bits nor in the iterations.

local M = {}

local Ranges = {}
Ranges.__index = Ranges

local limits = {
  i8 = { -128, 127 }, u8 = { 0, 255 }, i16 = { -32768, 32767 }, u16 = { 0, 65535 },
  i32 = { -2147483648, 2147483647 }, u32 = { 0, 4294967295 },
}

---The limits of a type of elements that is narrower than Lua's integers.
function M.limits(element) return limits[element] end

local SMALL = 1 << 31

local function small(x) return math.type(x) == "integer" and x > -SMALL and x < SMALL end

local function text(x) return math.type(x) == "integer" and ("(W)%dLL"):format(x) or "(W)" .. x end

-- A new C variable with this value.
function Ranges:keep(value)
  self.count = self.count + 1
  local name = ("w%d"):format(self.count)
  self.lines[#self.lines + 1] = ("const W %s = %s;"):format(name, value)
  return name
end

function Ranges:least(list) return self:pick(list, "<") end

function Ranges:most(list) return self:pick(list, ">") end

function Ranges:pick(list, sign)
  local best = list[1]
  for at = 2, #list do
    local other = list[at]
    if small(best) and small(other) then
      if sign == "<" and other < best or sign == ">" and other > best then best = other end
    else
      best = self:keep(("(%s) %s (%s) ? (%s) : (%s)"):format(text(best), sign, text(other), text(best), text(other)))
    end
  end
  return best
end

function Ranges:compute(op, a, b)
  if small(a) and small(b) then
    return op == "+" and a + b or op == "-" and a - b or a * b
  end
  local name = self:keep(("%s %s %s"):format(text(a), op, text(b)))
  self:demand(("%s >= -K_MOST && %s <= K_MOST"):format(name, name))
  return name
end

-- ---- expressions --------------------------------------------------------------------------------------------------

local of = {}

---The interval of an expression of type integer; nil: it is not known.
function Ranges:of(node)
  if node.type ~= "integer" then return nil end
  if node.interval == nil then
    local find = of[node.tag]
    node.interval = find and find(self, node) or false
  end
  return node.interval or nil
end

function of.Number(_, node) return { node.value, node.value } end
function of.Paren(self, node) return self:of(node.value) end

-- The values of a loop's variable.
local function of_loop(self, loop)
  local step = loop.step and (loop.step.tag == "Number" and loop.step.value or nil) or not loop.step and 1
  local from = self:of(loop.from)
  local to = self:of(loop.to)
  if not step or not from or not to then return nil end
  if step > 0 then return { from[1], to[2] } end
  return { to[1], from[2] }
end

function of.Name(self, node)
  local symbol = node.symbol
  if symbol.assigned then return nil end
  if symbol.kind == "index" then return self.indices[symbol] end
  if symbol.kind == "argument" or symbol.kind == "outer" then return { symbol.c, symbol.c } end
  if symbol.loop then return of_loop(self, symbol.loop) end
  return symbol.value and self:of(symbol.value) or nil
end

function of.Unary(self, node)
  if node.op == "#" then
    local length = self.length(node.value)
    return length and { length, length } or nil
  end
  local inner = node.op == "-" and self:of(node.value)
  return inner and { self:compute("-", 0, inner[2]), self:compute("-", 0, inner[1]) } or nil
end

local function product(self, a, b)
  local list = {}
  for _, x in ipairs(a) do
    for _, y in ipairs(b) do list[#list + 1] = self:compute("*", x, y) end
  end
  return { self:least(list), self:most(list) }
end

local function divided(self, a, by)
  local function each(x) return small(x) and x // by or self:keep(("k_floor(%s, %dLL)"):format(text(x), by)) end
  return { each(a[1]), each(a[2]) }
end

---The integer that is written as a literal; nil: it is none.
local function literal(node)
  while node.tag == "Paren" do node = node.value end
  return node.tag == "Number" and math.type(node.value) == "integer" and node.value or nil
end
M.literal = literal

function of.Binary(self, node)
  local op, constant = node.op, literal(node.right)
  if op == "&" and constant and constant >= 0 then return { 0, constant } end
  if op == "%" and constant and constant > 0 then return { 0, constant - 1 } end
  if op == "%" then
    local by = self:of(node.right)
    if not by or by[1] ~= by[2] then return nil end
    self:demand(("(%s) > 0"):format(text(by[1])))
    return { 0, self:compute("-", by[1], 1) }
  end
  if op ~= "+" and op ~= "-" and op ~= "*" and op ~= "//" then return nil end
  local a = self:of(node.left)
  if not a then return nil end
  if op == "//" then return constant and constant > 0 and divided(self, a, constant) or nil end
  local b = self:of(node.right)
  if not b then return nil end
  if op == "*" then return product(self, a, b) end
  if op == "+" then return { self:compute("+", a[1], b[1]), self:compute("+", a[2], b[2]) } end
  return { self:compute("-", a[1], b[2]), self:compute("-", a[2], b[1]) }
end

function of.Or(self, node)
  if not node.choice then return nil end
  local a, b = self:of(node.choice.right), self:of(node.right)
  return a and b and { self:least { a[1], b[1] }, self:most { a[2], b[2] } } or nil
end

function of.Index(_, node)
  local object = node.object.type
  local limit = object.kind == "array" and limits[object.element]
  return limit and { limit[1], limit[2] } or nil
end

function of.Call(self, node)
  local name = node.callee.kind == "math" and node.callee.name
  if name ~= "min" and name ~= "max" then return nil end
  local lows, highs = {}, {}
  for at, arg in ipairs(node.args) do
    local interval = self:of(arg)
    if not interval then return nil end
    lows[at], highs[at] = interval[1], interval[2]
  end
  local pick = name == "min" and self.least or self.most
  return { pick(self, lows), pick(self, highs) }
end

-- ---- what is known without the arguments ---------------------------------------------------------------------------

local static = {}

---The least and the largest value that an integer expression can have, whatever the arguments; nil unless both are
---below 2^31. Then C may compute it in narrower types.
---@return integer? least, integer? most
function M.static(node)
  local find = node.type == "integer" and static[node.tag]
  if not find then return nil end
  local least, most = find(node)
  if least and small(least) and small(most) then return least, most end
end

function static.Number(node) return node.value, node.value end
function static.Paren(node) return M.static(node.value) end

function static.Name(node)
  local symbol = node.symbol
  if symbol.assigned or symbol.kind ~= "local" then return nil end
  local loop = symbol.loop
  if not loop then
    if symbol.value then return M.static(symbol.value) end
    return nil
  end
  if loop.step then return nil end
  local least, _ = M.static(loop.from)
  local _, most = M.static(loop.to)
  if least and most and most >= least then return least, most end
end

function static.Unary(node)
  local least, most = nil, nil
  if node.op == "-" then least, most = M.static(node.value) end
  if least then return -most, -least end
end

function static.Index(node)
  local object = node.object.type
  local limit = object.kind == "array" and limits[object.element]
  if limit then return limit[1], limit[2] end
end

function static.Or(node)
  if not node.choice then return nil end
  local a, b = M.static(node.choice.right)
  local c, d = M.static(node.right)
  if a and c then return math.min(a, c), math.max(b, d) end
end

function static.Binary(node)
  local a, b = M.static(node.left)
  local c, d = M.static(node.right)
  if not a or not c then return nil end
  if node.op == "+" then return a + c, b + d end
  if node.op == "-" then return a - d, b - c end
  if node.op == "*" then return math.min(a * c, a * d, b * c, b * d), math.max(a * c, a * d, b * c, b * d) end
  if node.op == "&" and a >= 0 and c >= 0 then return 0, math.min(b, d) end
end

-- ---- demands ------------------------------------------------------------------------------------------------------

---Adds a condition (a C expression) under which the iterations need no checks.
function Ranges:demand(condition)
  if not self.demanded[condition] then
    self.demanded[condition] = true
    self.lines[#self.lines + 1] = ("fast &= %s;"):format(condition)
  end
end

---Demands that an interval is between two bounds.
function Ranges:within(interval, least, most)
  if not (small(interval[1]) and small(least) and interval[1] >= least) then
    self:demand(("(%s) >= (%s)"):format(text(interval[1]), text(least)))
  end
  if not (small(interval[2]) and small(most) and interval[2] <= most) then
    self:demand(("(%s) <= (%s)"):format(text(interval[2]), text(most)))
  end
end

---@param indices table<table, table> the intervals of the kernel's indices, by symbol
---@param length fun(node): string? the C of the length of an array expression, where it is known before the iterations
function M.new(indices, length)
  return setmetatable({ indices = indices, length = length, lines = {}, demanded = {}, count = 0 }, Ranges)
end

return M
