-- SPDX-License-Identifier: MIT
--- Writes C for one checked function: a C function that returns 0, K_STOPPED or K_FAULTY.
---
--- Each check has a site: its number leads to { what, line, column, name } in `sites`, for the message.

local fault = require "braid.kernels.compile.fault"
local mathematics = require "braid.kernels.compile.mathematics"
local ranges = require "braid.kernels.compile.ranges"

local M = {}

local element_c = {
  f64 = "double", f32 = "float", i64 = "long long", i32 = "int", i16 = "short", i8 = "signed char",
  u64 = "unsigned long long", u32 = "unsigned", u16 = "unsigned short", u8 = "unsigned char",
}

local function scalar_c(type) return type == "float" and "D" or "I" end

local function is_table(type, kind) return _G.type(type) == "table" and type.kind == kind end

local Emitter = {}
Emitter.__index = Emitter

function Emitter:line(format, ...)
  self.lines[#self.lines + 1] = ("  "):rep(self.depth) .. (select("#", ...) > 0 and format:format(...) or format)
end

function Emitter:site(what, node, name)
  local sites = self.unit.sites
  sites[#sites + 1] = { what = what, line = node.line, column = node.column, name = name, kernel = self.name }
  return #sites
end

function Emitter:fresh(letter)
  self.unit.names = self.unit.names + 1
  return letter .. self.unit.names
end

-- Whether a check is dropped in the fast copy; the C of that.
function Emitter:sure(interval, least, most)
  if self.unit.unchecked then return "1" end
  if not self.ranges or not interval then return "0" end
  self.ranges:within(interval, least, most)
  return "k_fast"
end

-- ---- expressions --------------------------------------------------------------------------------------------------

local expressions = {}

function Emitter:expr(node) return expressions[node.tag](self, node) end

function Emitter:float(node)
  local text = self:expr(node)
  if node.type == "float" then return text end
  return node.tag == "Number" and ("%d.0"):format(node.value) or ("(D)(%s)"):format(text)
end

-- An integer from an expression of either type; what: "index", "integer".
function Emitter:integer(node)
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
function Emitter:array(node)
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
function Emitter:length(node)
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
function Emitter:root(node)
  if node.tag == "Paren" then return self:root(node.value) end
  if node.tag == "Index" then return self:root(node.object) end
  if node.symbol.kind ~= "local" then return node.symbol end
  return node.symbol.value and self:root(node.symbol.value)
end

function Emitter:sure_index(node)
  if node.key.type ~= "integer" or not self.ranges then return self:sure() end
  local interval = self.ranges:of(node.key)
  local length = interval and self:length(node.object)
  if not length then return self:sure() end
  return self:sure(interval, 1, tonumber(length) or length)
end

-- The C of an element as something that can be assigned.
function Emitter:element(node)
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
local EXACT = 1 << 53

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

local function literal(node)
  while node.tag == "Paren" do node = node.value end
  return node.tag == "Number" and math.type(node.value) == "integer" and node.value or nil
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
function Emitter:call(node)
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

-- ---- statements ---------------------------------------------------------------------------------------------------

local statements = {}

-- Evaluates expressions into C expressions that later statements cannot change. For one value that is the expression.
function Emitter:values(values, wanted)
  local names = {}
  if #values == 1 and wanted == 1 then return { { c = self:expr(values[1]), type = values[1].type } } end
  for at, value in ipairs(values) do
    if at == #values and wanted > #values then
      local results, before = self:call(value)
      self:line("%s", before)
      for n, result in ipairs(results) do names[#names + 1] = { c = result, type = value.types[n] } end
    else
      local name = self:fresh "k"
      self:line("const %s %s = %s;", scalar_c(value.type), name, self:expr(value))
      names[at] = { c = name, type = value.type }
    end
  end
  return names
end

local function declare_array(self, symbol, value)
  local array = self:array(value)
  local c, type = symbol.c, symbol.type
  self:line("%s *const %s_p = %s;", element_c[type.element], c, array.p)
  self:line("const I %s_n = %s, %s_s = %s, %s_m = %s, %s_t = %s; (void)%s_n, (void)%s_s, (void)%s_m, (void)%s_t;", c,
    array.n, c, array.s, c, array.m or "0", c, array.t or "0", c, c, c, c)
end

local function declare_list(self, symbol, node)
  local list = {}
  for at, value in ipairs(node.values) do list[at] = self:expr(value) end
  self:line("%s %s[%d] = {%s};", scalar_c(symbol.type.element), symbol.c, #list, table.concat(list, ", "))
end

-- The C type of a local: a narrow one where its values are known, because vectors have more elements of those.
local function local_c(symbol)
  local least, most
  if not symbol.assigned and symbol.value then least, most = ranges.static(symbol.value) end
  if not least then return scalar_c(symbol.type) end
  return least >= -32768 and most <= 32767 and "short" or least >= 0 and most <= 65535 and "unsigned short" or "int"
end

function statements.Local(self, node)
  for _, symbol in ipairs(node.symbols) do symbol.c = self:fresh "v" end
  local first = node.symbols[1]
  if is_table(first.type, "list") and node.values[1].tag == "List" then
    return declare_list(self, first, node.values[1])
  end
  if #node.symbols == 1 and _G.type(first.type) == "table" then return declare_array(self, first, node.values[1]) end
  for at, symbol in ipairs(node.symbols) do
    if _G.type(symbol.type) == "table" then
      fault.raise(node.names[at], "declare an array's local alone: local row = a[i]")
    end
  end
  local values = self:values(node.values, #node.symbols)
  for at, symbol in ipairs(node.symbols) do
    self:line("%s%s %s = %s; (void)%s;", symbol.assigned and "" or "const ", local_c(symbol), symbol.c, values[at].c,
      symbol.c)
  end
end

-- The C of a value as the element of an array; checks that it fits.
local function stored(self, target, value, node)
  local object = target.object.type
  if object.kind == "list" then return value.c end
  if object.element == "f64" then return value.c end
  if object.element == "f32" then return "(float)" .. "(" .. value.c .. ")" end
  local c = value.c
  if value.type == "float" then c = ("K_INTEGER(%s, %d)"):format(c, self:site("store", target, object.element)) end
  local limits = ranges.limits(object.element)
  if not limits then return c end
  local interval = value.type == "integer" and node and self.ranges and self.ranges:of(node)
  return ("K_FITS(%s, %dLL, %dLL, %d, %s)"):format(c, limits[1], limits[2], self:site("store", target, object.element),
    self:sure(interval, limits[1], limits[2]))
end

function statements.Set(self, node)
  local values = self:values(node.values, #node.targets)
  for at, target in ipairs(node.targets) do
    if target.tag == "Name" then
      self:line("%s = %s;", target.symbol.c, values[at].c)
    else
      self:line("%s = %s;", self:element(target),
        stored(self, target, values[at], #node.values == #node.targets and node.values[at] or nil))
    end
  end
end

function statements.Call(self, node)
  if node.callee.kind == "math" and node.callee.name ~= "modf" then return self:line("(void)%s;", self:expr(node)) end
  local _, before = self:call(node)
  self:line("{ %s }", before)
end

function Emitter:block(list)
  self.depth = self.depth + 1
  for _, each in ipairs(list) do statements[each.tag](self, each) end
  self.depth = self.depth - 1
end

function statements.Do(self, node)
  self:line "{"
  self:block(node.body)
  self:line "}"
end

function statements.If(self, node)
  for at, test in ipairs(node.tests) do
    self:line(at == 1 and "if (%s) {" or "} else { if (%s) {", self:expr(test))
    self:block(node.blocks[at])
  end
  if node.last then
    self:line "} else {"
    self:block(node.last)
  end
  self:line(("}"):rep(#node.tests))
end

-- Emits the body of a loop; `break` leaves it by a goto, because a loop may be two in C.
local function body(self, list, write)
  local outer = self.exit
  self.exit = { label = self:fresh "out" }
  write(function() self:block(list) end)
  if self.exit.used then self:line("%s:;", self.exit.label) end
  self.exit = outer
end

function statements.Break(self)
  self.exit.used = true
  self:line("goto %s;", self.exit.label)
end

local function look(self, counter)
  self:line("  if (unlikely((++%s & 1023) == 0 && *k_stop)) return K_STOPPED;", counter)
end

function statements.While(self, node)
  local ticks = self:fresh "k"
  body(self, node.body, function(inner)
    self:line("for (unsigned %s = 0;;) {", ticks)
    self:line("  if (!(%s)) break;", self:expr(node.test))
    inner()
    look(self, ticks)
    self:line "}"
  end)
end

function statements.Repeat(self, node)
  local ticks = self:fresh "k"
  body(self, node.body, function(inner)
    self:line("for (unsigned %s = 0;;) {", ticks)
    inner()
    self:line("  if (%s) break;", self:expr(node.test))
    look(self, ticks)
    self:line "}"
  end)
end

-- How often a loop runs, where that is written; nil: it is not.
local function trips(node)
  local from, to, step = literal(node.from), literal(node.to), node.step and literal(node.step) or 1
  if not from or not to or not step or step == 0 then return nil end
  if math.abs(from) > EXACT or math.abs(to) > EXACT then return nil end
  return math.max(0, (to - from) // step + 1)
end

local FEW = 65536 -- iterations that need no look at the stop flag

-- The iterations that a block runs at most, with those of loops inside; huge when it is not written.
local function work(list)
  local sum = 1
  for _, each in ipairs(list) do
    if each.tag == "For" then
      local count = trips(each)
      sum = sum + (count and count * work(each.body) or math.huge)
    elseif each.tag == "While" or each.tag == "Repeat" then
      sum = math.huge
    elseif each.tag == "Do" then
      sum = sum + work(each.body)
    elseif each.tag == "If" then
      for _, block in ipairs(each.blocks) do sum = sum + work(block) end
      if each.last then sum = sum + work(each.last) end
    end
  end
  return sum
end

local function has_loop(list) return work(list) == math.huge end

-- An integer loop. A short one is one C loop; a long one looks at the stop flag from time to time.
local function integer_loop(self, node)
  local from, to, step = self:fresh "k", self:fresh "k", self:fresh "k"
  local none, count, at = self:fresh "k", self:fresh "k", self:fresh "k"
  local c = node.symbol.c
  self:line("const I %s = %s, %s = %s;", from, self:expr(node.from), step, node.step and self:expr(node.step) or "1")
  if node.step and not literal(node.step) then
    self:line("if (unlikely(%s == 0)) K_FAIL(%d, 0, 0);", step, self:site("step", node))
  end
  if node.to.type == "float" then
    self:line("int %s = 0; const I %s = k_limit(%s, %s, &%s);", none, to, self:expr(node.to), step, none)
    self:line("const U %s = %s ? 0 : k_count(%s, %s, %s);", count, none, from, to, step)
  else
    self:line("const I %s = %s; const U %s = k_count(%s, %s, %s);", to, self:expr(node.to), count, from, to, step)
  end
  local total = (trips(node) or math.huge) * work(node.body)
  local start = ("%sI %s = %s + (I)%s * %s; (void)%s;"):format(node.symbol.assigned and "" or "const ", c, from, at,
    step, c)
  body(self, node.body, function(inner)
    if total <= FEW then
      self:line("for (U %s = 0; %s < %s; %s++) {", at, at, count, at)
      self:line("  %s", start)
      inner()
      self:line "}"
    elseif has_loop(node.body) or trips(node) and trips(node) <= FEW then
      self:line("for (U %s = 0; %s < %s; %s++) {", at, at, count, at)
      self:line("  if (unlikely(*k_stop)) return K_STOPPED;")
      self:line("  %s", start)
      inner()
      self:line "}"
    else
      local last = self:fresh "k"
      self:line("for (U %s = 0; %s < %s;) {", at, at, count)
      self:line("  if (unlikely(*k_stop)) return K_STOPPED;")
      self:line("  const U %s = %s - %s > K_LOOK ? %s + K_LOOK : %s;", last, count, at, at, count)
      self:line("  for (; %s < %s; %s++) {", at, last, at)
      self:line("    %s", start)
      inner()
      self:line "  }"
      self:line "}"
    end
  end)
end

local function float_loop(self, node)
  local at, to, step, ticks = self:fresh "k", self:fresh "k", self:fresh "k", self:fresh "k"
  local c = node.symbol.c
  self:line("const D %s = %s, %s = %s;", to, self:float(node.to), step, node.step and self:float(node.step) or "1.0")
  self:line("if (unlikely(%s == 0)) K_FAIL(%d, 0, 0);", step, self:site("step", node))
  self:line("D %s = %s; unsigned %s = 0;", at, self:float(node.from), ticks)
  body(self, node.body, function(inner)
    self:line("for (; 0 < %s ? %s <= %s : %s <= %s; %s += %s) {", step, at, to, to, at, at, step)
    self:line("  D %s = %s; (void)%s;", c, at, c)
    inner()
    look(self, ticks)
    self:line "}"
  end)
end

function statements.For(self, node)
  node.symbol.c = self:fresh "v"
  self:line "{"
  self.depth = self.depth + 1
  if node.float then float_loop(self, node) else integer_loop(self, node) end
  self.depth = self.depth - 1
  self:line "}"
end

function statements.Return(self, node)
  if #node.values == 1 and node.values[1].tag == "Call" and #node.values[1].types ~= 1 then
    local names, before = self:call(node.values[1])
    self:line("{ %s", before)
    for at, name in ipairs(names) do self:line("  *k_result%d = %s;", at, name) end
    self:line "} return 0;"
    return
  end
  for at, value in ipairs(node.values) do self:line("*k_result%d = %s;", at, self:expr(value)) end
  self:line "return 0;"
end

-- ---- functions ----------------------------------------------------------------------------------------------------

local function parameter(symbol, alone)
  local c, type = symbol.c, symbol.type
  if _G.type(type) ~= "table" then return ("%s%s %s"):format(symbol.assigned and "" or "const ", scalar_c(type), c) end
  return ("%s *%sconst %s_p, const I %s_n, const I %s_m, const I %s_s, const I %s_t"):format(
    is_table(type, "list") and scalar_c(type.element) or element_c[type.element], alone and "restrict " or "", c, c,
      c, c,
    c)
end

---The C of one function.
---@param unit table
---@param instance table { tree, name, c, captures }
---@param main table? of the kernel's own function: the ranges of its indices
---@return table emitter with the `lines`, and the `ranges` to compute before the iterations
local function emit_function(unit, instance, main)
  local tree = instance.tree
  local self = setmetatable({ unit = unit, lines = {}, depth = 0, name = instance.name }, Emitter)
  if main then
    self.ranges = ranges.new(main, function(node) return self:length(node) end)
  end
  local params = { "struct k_fault *const k_fault", "const volatile unsigned char *const k_stop" }
  if main then params[3] = "const int k_fast" end
  for _, symbol in ipairs(tree.arguments) do params[#params + 1] = parameter(symbol) end
  for _, capture in ipairs(instance.captures) do params[#params + 1] = parameter(capture) end
  for at, type in ipairs(tree.results) do params[#params + 1] = ("%s *const k_result%d"):format(scalar_c(type), at) end
  self:line("%s int %s(%s) {", main and "INLINE" or "static __attribute__((unused))", instance.c,
    table.concat(params, ", "))
  self:block(tree.body)
  self:line "  return 0;"
  self:line "}"
  return self
end

M.scalar_c, M.element_c, M.parameter, M.emit_function, M.work = scalar_c, element_c, parameter, emit_function, work

return M
