-- SPDX-License-Identifier: MIT
--- What expressions become in C: methods of the writer.

local folding = require "braid.kernels.compile.folding"
local mathematics = require "braid.kernels.compile.mathematics"
local ranges = require "braid.kernels.compile.ranges"
local writer = require "braid.kernels.compile.writer"

local scalar_c, EXACT, literal = writer.scalar_c, writer.EXACT, ranges.literal
local Writer = writer.Writer

local expressions = {}

function Writer:expr(node) return expressions[node.tag](self, node) end

function Writer:float(node)
  local text = self:expr(node)
  if node.type == "float" then return text end
  return node.tag == "Number" and ("%d.0"):format(node.value) or ("(D)(%s)"):format(text)
end

-- An integer from an expression of either type; what: "index", "integer".
function Writer:integer(node)
  local text = self:expr(node)
  if node.type == "integer" then return text end
  return ("K_INTEGER(%s, %d)"):format(text, self:site("integer", node))
end

function expressions.Number(_, node)
  local value = node.value
  if math.type(value) == "integer" then
    if value == math.mininteger then return "(-0x7fffffffffffffffLL - 1)" end
    return (ranges.static(node) and "(%d)" or "(%dLL)"):format(value)
  end
  if value ~= value then return "__builtin_nan(\"\")" end
  if value == math.huge then return "__builtin_inf()" end
  if value == -math.huge then return "(-__builtin_inf())" end
  return ("(%a)"):format(value)
end

function expressions.Boolean(_, node) return node.value and "1" or "0" end
function expressions.Paren(self, node) return "(" .. self:expr(node.value) .. ")" end
function expressions.Name(_, node) return node.symbol.c end

-- A text for the name of an array, for messages.
local function array_name(node)
  while node.tag == "Index" or node.tag == "Paren" do node = node.object or node.value end
  return node.name
end

-- The parts of an expression that is an array: C of the pointer, the count and the step of its first dimension, and of
-- its second.
function Writer:array(node)
  if node.tag == "Paren" then return self:array(node.value) end
  if node.tag == "Name" then
    local c = node.symbol.c
    local type = node.type
    if type.kind == "list" then return { p = c, n = tostring(type.size), s = "1" } end
    return { p = c .. "_p", n = c .. "_n", s = (type.rank == 1 and type.unit) and "1" or c .. "_s", m = c .. "_m",
      t = type.unit and "1" or c .. "_t" }
  end
  local whole = self:array(node.object)
  local pointer = ("K_ROW(%s, %s, %s, %s, %d, %s)"):format(whole.p, self:integer(node.key), whole.n, whole.s,
    self:site("index", node, array_name(node)), self:sure_index(node))
  return { p = pointer, n = whole.m, s = whole.t }
end

-- The C of the length of an array that is known before the iterations; nil: it is not.
function Writer:length(node)
  if node.tag == "Paren" then return self:length(node.value) end
  if node.tag == "Index" then
    local root = self:root(node.object)
    return root and node.object.type.rank == 2 and root.c .. "_m" or nil
  end
  if node.type.kind == "list" then return tostring(node.type.size) end
  local symbol = node.symbol
  if symbol.kind ~= "local" then return symbol.c .. "_n" end
  return self:length(symbol.value)
end

-- The argument that an array expression stands for.
function Writer:root(node)
  if node.tag == "Paren" then return self:root(node.value) end
  if node.tag == "Index" then return self:root(node.object) end
  if node.symbol.kind ~= "local" then return node.symbol end
  return node.symbol.value and self:root(node.symbol.value)
end

function Writer:sure_index(node)
  if node.key.type ~= "integer" or not self.ranges then return self:sure() end
  local interval = self.ranges:of(node.key)
  local length = interval and self:length(node.object)
  if not length then return self:sure() end
  return self:sure(interval, 1, tonumber(length) or length)
end

-- The C of an element as something that can be assigned.
function Writer:element(node)
  local array = self:array(node.object)
  return ("K_AT(%s, %s, %s, %s, %d, %s)"):format(array.p, self:integer(node.key), array.n, array.s,
    self:site("index", node, array_name(node)), self:sure_index(node))
end

function expressions.Index(self, node)
  return ("(%s)%s"):format(ranges.static(node) and "int" or scalar_c(node.type), self:element(node))
end

function expressions.Unary(self, node)
  if node.op == "not" then return ("!(%s)"):format(self:expr(node.value)) end
  if node.op == "~" then return ("(~(%s))"):format(self:integer(node.value)) end
  if node.op == "#" then return self:array(node.value).n end
  return ("(-%s(%s))"):format(node.type == "integer" and not ranges.static(node) and "(I)" or "", self:expr(node.value))
end

local mixed = {
  ["<"] = { "k_less_id(%s, %s)", "k_less_di(%s, %s)" }, ["<="] = { "k_most_id(%s, %s)", "k_most_di(%s, %s)" },
}
-- Whether an integer is a literal that a float represents.
local function is_exact(node)
  while node.tag == "Paren" do node = node.value end
  return node.tag == "Number" and node.type == "integer" and node.value >= -EXACT and node.value <= EXACT
end

local function compare(self, node)
  local op, left, right = node.op, node.left, node.right
  if op == ">" or op == ">=" then
    op, left, right = op == ">" and "<" or "<=", right, left
  end
  if left.type == right.type then return ("(%s %s %s)"):format(self:expr(left), op == "~=" and "!=" or op,
    self:expr(right)) end
  if is_exact(left) or is_exact(right) then
    return ("(%s %s %s)"):format(self:float(left), op == "~=" and "!=" or op, self:float(right))
  end
  if op == "==" or op == "~=" then
    local whole, number = left, right
    if left.type == "float" then whole, number = right, left end
    return ("(%sk_same_id(%s, %s))"):format(op == "~=" and "!" or "", self:expr(whole), self:expr(number))
  end
  return mixed[op][left.type == "integer" and 1 or 2]:format(self:expr(left), self:expr(right))
end

local function is_power_of_two(x) return x and x > 0 and x & (x - 1) == 0 end

local function divide(self, node)
  local by = literal(node.right)
  local left, right = self:expr(node.left), self:expr(node.right)
  if is_power_of_two(by) then
    if node.op == "%" then return ("((%s) & %dLL)"):format(left, by - 1) end
    local shift = 0
    while 1 << shift < by do shift = shift + 1 end
    return ("((%s) >> %d)"):format(left, shift)
  end
  local sure = "1"
  if not by or by == 0 then
    local interval = self.ranges and self.ranges:of(node.right)
    sure = self.unit.unchecked and "0" or self:sure(interval, 1, math.maxinteger)
  end
  return ("%s(%s, %s, %d, %s)"):format(node.op == "//" and "K_DIVIDE" or "K_MODULO", left, right,
    self:site(node.op == "//" and "n//0" or "n%%0", node), sure)
end

local function shift(self, node)
  local by = literal(node.right)
  if by and by >= 0 and by < 64 then
    return node.op == "<<" and ("(I)((U)(%s) << %d)"):format(self:integer(node.left), by)
      or ("(I)((U)(%s) >> %d)"):format(self:integer(node.left), by)
  end
  return ("%s(%s, %s)"):format(node.op == "<<" and "k_left" or "k_right", self:integer(node.left),
    self:integer(node.right))
end

function expressions.Binary(self, node)
  local op, left, right = node.op, node.left, node.right
  if op == "==" or op == "~=" or op == "<" or op == "<=" or op == ">" or op == ">=" then return compare(self, node) end
  if op == "<<" or op == ">>" then return shift(self, node) end
  if op == "&" or op == "|" or op == "~" then
    return ("((%s) %s (%s))"):format(self:integer(left), op == "~" and "^" or op, self:integer(right))
  end
  if node.type == "integer" then
    if op == "//" or op == "%" then return divide(self, node) end
    return ("(%s%s %s %s)"):format(ranges.static(node) and "" or "(I)", self:expr(left), op, self:expr(right))
  end
  local a, b = self:float(left), self:float(right)
  if op == "//" then return ("k_divide_d(%s, %s)"):format(a, b) end
  if op == "%" then return ("k_modulo_d(%s, %s)"):format(a, b) end
  if op == "^" then return ("k_power(%s, %s)"):format(a, b) end
  if op == "-" and right.type == "integer" and folding.value(right) == 0 then return ("(%s + 0.0)"):format(a) end
  return ("(%s %s %s)"):format(a, op, b)
end

function expressions.And(self, node)
  if node.left.type == "boolean" then return ("(%s && %s)"):format(self:expr(node.left), self:expr(node.right)) end
  return ("((void)(%s), %s)"):format(self:expr(node.left), self:expr(node.right))
end

function expressions.Or(self, node)
  if node.choice then
    return ("((%s) ? (%s) : (%s))"):format(self:expr(node.choice.left), self:expr(node.choice.right),
      self:expr(node.right))
  end
  if node.left.type == "boolean" then return ("(%s || %s)"):format(self:expr(node.left), self:expr(node.right)) end
  return self:expr(node.left)
end

-- The arguments of a call of another kernel, as C.
local function kernel_arguments(self, node)
  local parts = { "k_fault", "k_stop" }
  for _, arg in ipairs(node.args) do
    if _G.type(arg.type) == "table" then
      local array = self:array(arg)
      parts[#parts + 1] = ("%s, %s, %s, %s, %s"):format(array.p, array.n, array.m or "0", array.s, array.t or "0")
    else
      parts[#parts + 1] = self:expr(arg)
    end
  end
  for _, capture in ipairs(node.callee.instance.captures) do
    local c = capture.c
    parts[#parts + 1] = _G.type(capture.type) == "table" and ("%s_p, %s_n, %s_m, %s_s, %s_t"):format(c, c, c, c, c) or c
  end
  return parts
end

-- Calls a kernel and leaves its results in new C variables, whose names it returns; `before` is the C that does so.
function Writer:call(node)
  local names, declared = {}, {}
  if node.callee.kind == "math" then -- modf
    local x, whole, part = self:fresh "k", self:fresh "k", self:fresh "k"
    local type = node.args[1].type
    local before = type == "integer" and ("I %s = %s; D %s = 0;"):format(whole, self:expr(node.args[1]), part)
      or ("D %s = %s, %s = %s < 0 ? ceil(%s) : floor(%s), %s = %s == %s ? 0 : %s - %s;"):format(x,
        self:expr(node.args[1]), whole, x, x, x, part, x, whole, x, whole)
    return { whole, part }, before
  end
  local parts = kernel_arguments(self, node)
  for at, type in ipairs(node.types) do
    names[at] = self:fresh "k"
    declared[at] = ("%s %s;"):format(scalar_c(type), names[at])
    parts[#parts + 1] = "&" .. names[at]
  end
  local code = self:fresh "k"
  return names, ("%s int %s = %s(%s); if (unlikely(%s)) return %s;"):format(table.concat(declared, " "), code,
    node.callee.instance.c, table.concat(parts, ", "), code, code)
end

function expressions.Call(self, node)
  if node.callee.kind == "kernel" or node.callee.name == "modf" then
    local names, before = self:call(node)
    return ("({ %s %s; })"):format(before, names[1] or "0")
  end
  local args, types = {}, {}
  for at, arg in ipairs(node.args) do args[at], types[at] = self:expr(arg), arg.type end
  return mathematics.emit(node.callee.name, args, types, self:site("whole", node))
end
