-- SPDX-License-Identifier: MIT
--- Gives each expression of a function its type, and each name its symbol. Types are the texts "integer", "float" and
--- "boolean", and tables:
---
---   { kind = "array", element = "f64", rank = 1 or 2, unit = boolean }    unit: neighbours of a row are adjacent
---   { kind = "list", element = "integer" or "float", size = n }           a small array of a kernel's own
---
--- A variable has one type, because a value whose type changes at run time would need a check at each use. So an
--- assignment that would change the type is refused, and the message says how to write it.
---
--- A symbol is { name, type, kind, assigned, value }: `kind` is "index", "argument", "outer" (an upvalue) or "local";
--- `value` is the node of its first value.

local fault = require "braid.kernels.compile.fault"
local mathematics = require "braid.kernels.compile.mathematics"

local M = {}

local Checker = {}
Checker.__index = Checker

local raise = fault.raise

local function is_number(type) return type == "integer" or type == "float" end

local function is_table(type, kind) return _G.type(type) == "table" and type.kind == kind end

---The name of a type, for messages.
function M.type_name(type)
  if is_table(type, "array") then
    return type.rank == 2 and ("an array of %s with two dimensions"):format(type.element)
      or ("an array of %s"):format(type.element)
  end
  if is_table(type, "list") then return "a list" end
  return (type == "integer" and "an " or "a ") .. type
end
local named = M.type_name

local function element_type(type)
  if type.kind == "list" then return type.element end
  if type.rank == 2 then return { kind = "array", element = type.element, rank = 1, unit = type.unit } end
  return (type.element == "f64" or type.element == "f32") and "float" or "integer"
end

local function same(a, b)
  if a == b then return true end
  return is_table(a, "array") and is_table(b, "array") and a.element == b.element and a.rank == b.rank
    and a.unit == b.unit
end

-- ---- names --------------------------------------------------------------------------------------------------------

function Checker:declare(name, type, kind, value)
  local symbol = { name = name, type = type, kind = kind, value = value, assigned = false, number = #self.symbols + 1 }
  self.symbols[symbol.number] = symbol
  self.scope[name] = symbol
  return symbol
end

function Checker:scoped(check, ...)
  local outer = self.scope
  self.scope = setmetatable({}, { __index = outer })
  check(self, ...)
  self.scope = outer
end

-- An upvalue of the function becomes a hidden argument when it is first used.
local function outer_symbol(self, node)
  local value = self.outer(node.name)
  if value == nil then
    raise(node, "'%s' is unknown: a kernel uses its parameters, its locals, constants around it, and math. "
      .. "(A local that is declared <const> outside is not kept by Lua: leave <const> out there.)", node.name)
  end
  local type = self.type_of(value)
  if not type then
    raise(node, "'%s' is a %s: a kernel uses numbers, booleans, arrays, functions of math and other kernels",
      node.name, _G.type(value))
  end
  local symbol = self:declare(node.name, type, "outer")
  self.globals[node.name] = symbol
  self.outers[#self.outers + 1] = symbol
  return symbol
end

-- The function that an expression names, if it is one: a function of math, or another kernel.
local function callee_of(self, node)
  if node.tag == "Field" and node.object.tag == "Name" and not self.scope[node.object.name]
    and self:is_math(node.object) then
    return mathematics.functions[node.name] and { kind = "math", name = node.name }
      or raise(node, "%s", mathematics.refusal(node.name))
  end
  if node.tag ~= "Name" or self.scope[node.name] then return nil end
  local value = self.outer(node.name)
  if self.kernel_of(value) then return { kind = "kernel", kernel = value } end
  local name = mathematics.name_of(value)
  if name then return { kind = "math", name = name } end
  return nil
end

function Checker:is_math(node)
  local value = self.outer(node.name)
  return value == math or (node.name == "math" and value == nil)
end

-- ---- expressions --------------------------------------------------------------------------------------------------

local expressions = {}

-- Checks a node and returns its type. `several`: a call may have any number of results; then node.types has them all.
function Checker:check(node, several)
  local check = expressions[node.tag] or raise(node, "this cannot stand here")
  local type = check(self, node)
  if node.tag == "Call" and not several then
    type = node.types[1] or raise(node, "the call has no result")
  end
  node.type = type
  return type
end

function Checker:number(node, what)
  local type = self:check(node)
  if not is_number(type) then raise(node, "%s needs numbers, got %s", what, named(type)) end
  return type
end

function Checker:condition(node)
  local type = self:check(node)
  if type ~= "boolean" then
    raise(node, "a condition must be a boolean, got %s, which is always true in Lua", named(type))
  end
end

function expressions.Number(_, node) return math.type(node.value) end
function expressions.Boolean() return "boolean" end
function expressions.Paren(self, node) return self:check(node.value) end

function expressions.Name(self, node)
  local symbol = self.scope[node.name] or outer_symbol(self, node)
  node.symbol = symbol
  return symbol.type
end

function expressions.Field(self, node)
  if node.object.tag == "Name" and not self.scope[node.object.name] and self:is_math(node.object) then
    local value = mathematics.constants[node.name] or raise(node, "%s", mathematics.refusal(node.name))
    node.tag, node.value = "Number", value
    return math.type(value)
  end
  raise(node, "a kernel reads no fields: pass the number itself")
end

function expressions.List(_, node)
  raise(node, "a list of a kernel can only be the value of a local: local t = {0, 0, 0}")
end

function expressions.Index(self, node)
  local object = self:check(node.object)
  if not (is_table(object, "array") or is_table(object, "list")) then
    raise(node, "%s has no elements", named(object))
  end
  self:number(node.key, "an index")
  return element_type(object)
end

function expressions.Unary(self, node)
  if node.op == "not" then
    local type = self:check(node.value)
    if type ~= "boolean" then raise(node, "'not' of %s is always false", named(type)) end
    return "boolean"
  elseif node.op == "#" then
    local type = self:check(node.value)
    if _G.type(type) ~= "table" then raise(node, "%s has no length", named(type)) end
    return "integer"
  elseif node.op == "~" then
    self:number(node.value, "'~'")
    return "integer"
  end
  return self:number(node.value, "'-'")
end

local arithmetic = { ["+"] = true, ["-"] = true, ["*"] = true, ["//"] = true, ["%"] = true }
local bitwise = { ["&"] = true, ["|"] = true, ["~"] = true, ["<<"] = true, [">>"] = true }

function expressions.Binary(self, node)
  local op = node.op
  if op == "==" or op == "~=" then
    local left, right = self:check(node.left), self:check(node.right)
    if not (is_number(left) and is_number(right)) and not (left == "boolean" and right == "boolean") then
      raise(node, "'%s' compares two numbers or two booleans, got %s and %s", op, named(left), named(right))
    end
    return "boolean"
  end
  local what = ("'%s'"):format(op)
  local left, right = self:number(node.left, what), self:number(node.right, what)
  if arithmetic[op] then return left == "integer" and right == "integer" and "integer" or "float" end
  if bitwise[op] then return "integer" end
  return (op == "/" or op == "^") and "float" or "boolean"
end

local function join(node, left, right)
  if same(left, right) and _G.type(left) ~= "table" then return left end
  raise(node, "the value is %s or %s, as it happens: write both alike (1.0 is a float, 1 an integer)", named(left),
    named(right))
end

-- `test and a or b` is a choice; `and` alone joins booleans.
function expressions.Or(self, node)
  local left = node.left
  while left.tag == "Paren" do left = left.value end
  if left.tag == "And" then
    local test = self:check(left.left)
    local chosen = self:check(left.right)
    if test == "boolean" and is_number(chosen) then
      node.choice = left
      left.type = chosen
      return join(node, chosen, self:check(node.right))
    end
  end
  local type = self:check(node.left)
  if is_number(type) then
    self:check(node.right)
    return type
  end
  return join(node, type, self:check(node.right))
end

function expressions.And(self, node)
  local left, right = self:check(node.left), self:check(node.right)
  if is_number(left) then return right end
  if left == "boolean" and right == "boolean" then return "boolean" end
  raise(node, "the value is %s or false, as it happens: write `test and a or b`", named(right))
end

-- A kernel that is called as a function: its own function is checked for these types.
local function check_kernel(self, node, kernel)
  local types = {}
  for at, arg in ipairs(node.args) do types[at] = self:check(arg) end
  node.callee.instance = self.instance(kernel, types, node)
  return node.callee.instance.results
end

function expressions.Call(self, node)
  local callee = callee_of(self, node.fn)
  if not callee then
    raise(node, "a kernel calls functions of math and other kernels only%s",
      node.fn.tag == "Name" and ("; '%s' is neither"):format(node.fn.name) or "")
  end
  node.callee = callee
  if callee.kind == "kernel" then
    node.types = check_kernel(self, node, callee.kernel)
  else
    local types = {}
    for at, arg in ipairs(node.args) do types[at] = self:number(arg, "math." .. callee.name) end
    node.types = mathematics.check(node, callee.name, types)
  end
  return node.types[1]
end

-- The types of a list of expressions, of which the last may be a call with several results, for `wanted` variables.
local function check_values(self, values, wanted, place)
  local types = {}
  for at, value in ipairs(values) do
    local type = self:check(value, at == #values and wanted > #values)
    if at == #values and value.tag == "Call" and wanted > #values then
      for _, each in ipairs(value.types) do types[#types + 1] = each end
    else
      types[at] = type
    end
  end
  if #types < wanted then
    raise(place, "%d values expected, got %d: a kernel's variables are never nil", wanted, #types)
  end
  if #values > wanted then raise(place, "%d values for %d variables", #values, wanted) end
  return types
end

-- ---- statements ---------------------------------------------------------------------------------------------------

local statements = {}

local function check_list(self, node)
  local element
  for _, value in ipairs(node.values) do
    local type = self:number(value, "a list")
    element = element or type
    if type ~= element then raise(value, "the list has integers and floats: write all alike, as 0.0") end
  end
  if not element then raise(node, "an empty list: write its elements, as {0.0, 0.0, 0.0}") end
  node.type = { kind = "list", element = element, size = #node.values }
  return node.type
end

function statements.Local(self, node)
  local types
  if #node.names == 1 and node.values[1] and node.values[1].tag == "List" then
    if node.values[2] then raise(node, "2 values for 1 variable") end
    types = { check_list(self, node.values[1]) }
  else
    types = check_values(self, node.values, #node.names, node)
  end
  node.symbols = {}
  local single = #node.values == #node.names
  for at, name in ipairs(node.names) do
    node.symbols[at] = self:declare(name.value, types[at], "local", single and node.values[at] or nil)
    node.symbols[at].constant, node.symbols[at].is_last = node.attribs[at] ~= nil, at == #node.names
  end
end

local function check_target(self, target, type)
  if target.tag == "Index" then
    local element = self:check(target)
    if not is_number(element) then raise(target, "a row cannot be assigned: assign its elements") end
    if not is_number(type) then raise(target, "an element is a number, got %s", named(type)) end
    if is_table(target.object.type, "list") and type ~= element then
      raise(target, "the list has %ss, and gets %s", element, named(type))
    end
    return
  end
  local symbol = self.scope[target.name] or outer_symbol(self, target)
  if symbol.kind == "outer" then raise(target, "'%s' is outside of the kernel and cannot be changed", target.name) end
  if symbol.constant then raise(target, "'%s' is <const>", target.name) end
  if _G.type(symbol.type) == "table" then raise(target, "'%s' cannot be assigned again", target.name) end
  if symbol.type ~= type then
    local hint = symbol.type == "integer" and type == "float" and ": begin with a float, as 0.0"
      or symbol.type == "float" and type == "integer" and ": write a float, as 1.0, or add 0.0" or ""
    raise(target, "'%s' is %s and gets %s%s", target.name, named(symbol.type), named(type), hint)
  end
  symbol.assigned = true
  target.symbol, target.type = symbol, symbol.type
end

function statements.Set(self, node)
  local types = check_values(self, node.values, #node.targets, node)
  for at, target in ipairs(node.targets) do check_target(self, target, types[at]) end
end

function statements.Call(self, node) self:check(node, true) end

function statements.Do(self, node) self:block(node.body) end

function statements.If(self, node)
  for at, test in ipairs(node.tests) do
    self:condition(test)
    self:block(node.blocks[at])
  end
  if node.last then self:block(node.last) end
end

function statements.While(self, node)
  self:condition(node.test)
  self:loop(node.body)
end

function statements.Repeat(self, node)
  self:scoped(function()
    self.loops = self.loops + 1
    for _, each in ipairs(node.body) do self:statement(each) end
    self.loops = self.loops - 1
    self:condition(node.test)
  end)
end

function statements.For(self, node)
  local from = self:number(node.from, "'for'")
  self:number(node.to, "'for'")
  local step = node.step and self:number(node.step, "'for'") or "integer"
  if node.step and node.step.value == 0 then raise(node.step, "the step of 'for' is zero") end
  node.float = not (from == "integer" and step == "integer")
  self:scoped(function()
    node.symbol = self:declare(node.name.value, node.float and "float" or "integer", "local")
    node.symbol.loop = node
    self:loop(node.body)
  end)
end

function statements.Break(self, node)
  if self.loops == 0 then raise(node, "'break' outside of a loop") end
end

function statements.Return(self, node)
  local types
  local last = node.values[#node.values]
  local several = #node.values == 1 and last.tag == "Call"
  if several then
    self:check(last, true)
    types = last.types
  else
    types = {}
    for at, value in ipairs(node.values) do types[at] = self:check(value) end
  end
  for at, type in ipairs(types) do
    if _G.type(type) == "table" then raise(node.values[at], "a kernel returns numbers and booleans") end
  end
  if self.results then
    if #self.results ~= #types then
      raise(node, "%d results here, %d before: a kernel always returns as many", #types, #self.results)
    end
    for at, type in ipairs(types) do
      if self.results[at] ~= type then
        raise(node, "result %d is %s here, %s before: write both alike", at, named(type), named(self.results[at]))
      end
    end
  end
  self.results = self.results or types
end

function Checker:statement(node) statements[node.tag](self, node) end

function Checker:block(list)
  self:scoped(function()
    for _, each in ipairs(list) do self:statement(each) end
  end)
end

function Checker:loop(list)
  self.loops = self.loops + 1
  self:block(list)
  self.loops = self.loops - 1
end

-- Whether the end of a block can be reached.
local function falls(list)
  local last = list[#list]
  if not last then return true end
  if last.tag == "Return" then return false end
  if last.tag == "Do" then return falls(last.body) end
  if last.tag == "While" then return not (last.test.tag == "Boolean" and last.test.value) end
  if last.tag ~= "If" or not last.last then return true end
  for _, block in ipairs(last.blocks) do
    if falls(block) then return true end
  end
  return falls(last.last)
end

---Checks a function.
---@param tree table from the parser; it gets `symbols`, `params` (symbols) and `outers` (symbols of upvalues)
---@param types table[] the types of its parameters
---@param indices integer how many of the first ones are the kernel's indices
---@param world { outer: fun(name): any, type_of: fun(value): table?, kernel_of: fun(value): table?, instance: function
--- }
---@return table tree with `results`, the types of what it returns
function M.check(tree, types, indices, world)
  local self = setmetatable({ symbols = {}, scope = {}, globals = {}, outers = {}, loops = 0 }, Checker)
  self.outer, self.type_of, self.kernel_of, self.instance = world.outer, world.type_of, world.kernel_of, world.instance
  self.scope = setmetatable({}, { __index = self.globals })
  if #types ~= #tree.params then
    raise(tree, "the kernel has %d parameters, and gets %d", #tree.params, #types)
  end
  local arguments = {}
  for at, name in ipairs(tree.params) do
    arguments[at] = self:declare(name, types[at], at <= indices and "index" or "argument")
  end
  self:block(tree.body)
  if self.results and #self.results > 0 and falls(tree.body) then
    raise({ line = tree.last_line, column = 1 }, "the function can end here without a result: return one on every way")
  end
  tree.arguments, tree.outers, tree.symbols, tree.results = arguments, self.outers, self.symbols, self.results or {}
  return tree
end

return M
