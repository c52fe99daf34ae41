-- SPDX-License-Identifier: MIT
--- What statements become in C: methods of the writer.

local fault = require "braid.kernels.compile.fault"
local ranges = require "braid.kernels.compile.ranges"
local writer = require "braid.kernels.compile.writer"
require "braid.kernels.compile.expressions"

local M = {}

local scalar_c, element_c, EXACT, literal = writer.scalar_c, writer.element_c, writer.EXACT, ranges.literal
local Writer = writer.Writer

local statements = {}

-- Evaluates expressions into C expressions that later statements cannot change. For one value that is the expression.
function Writer:values(values, wanted)
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
  for _, narrow in ipairs { { "signed char", -128, 127 }, { "unsigned char", 0, 255 }, { "short", -32768, 32767 },
    { "unsigned short", 0, 65535 } } do
    if least >= narrow[2] and most <= narrow[3] then return narrow[1] end
  end
  return "int"
end

function statements.Local(self, node)
  for _, symbol in ipairs(node.symbols) do symbol.c = self:fresh "v" end
  local first = node.symbols[1]
  if type(first.type) == "table" and first.type.kind == "list" and node.values[1].tag == "List" then
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

function Writer:block(list)
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

M.work = work

return M
