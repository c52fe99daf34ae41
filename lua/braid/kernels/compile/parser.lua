-- SPDX-License-Identifier: MIT
--- Parses the text of one function into a tree. The grammar is Lua 5.4's; what kernels lack is refused here, with the
--- way out. Every node has `tag`, `line` and `column`.
---
---   function  { params = { name... }, body = block }
---   block     list of statements
---   Local     { names, attribs, values }     Set   { targets, values }       Do     { body }
---   If        { tests, blocks, last? }       While { test, body }            Repeat { body, test }
---   For       { name, from, to, step?, body }  Break                         Return { values }
---   Call      as a statement and as an expression { fn, args }
---   Number { value }  Boolean { value }  Name { name }  Index { object, key }  Field { object, name }
---   Unary { op, value }  Binary { op, left, right }  And / Or { left, right }  List { values }

local fault = require "braid.kernels.compile.fault"
local lexer = require "braid.kernels.compile.lexer"

local M = {}

local Parser = {}
Parser.__index = Parser

local LEVELS = 190 -- of nested expressions and blocks: the limit of Lua itself is 200

local function node(token, tag, fields)
  fields.tag, fields.line, fields.column = tag, token.line, token.column
  return fields
end

local function shown(token)
  return token.kind == "name" and ("'%s'"):format(token.value) or token.kind == "number" and "a number"
    or token.kind == "string" and "a string" or token.kind == "end of text" and "the end of the text"
    or ("'%s'"):format(token.kind)
end

function Parser:test(kind) return self.lexer.token.kind == kind end

function Parser:take()
  local token = self.lexer.token
  self.lexer:next()
  return token
end

function Parser:accept(kind)
  if self:test(kind) then return self:take() end
end

function Parser:expect(kind)
  if self:test(kind) then return self:take() end
  fault.raise(self.lexer.token, "%s expected near %s", kind == "name" and "a name" or ("'%s'"):format(kind),
    shown(self.lexer.token))
end

-- Counts nested constructs, so that no text can exhaust the C stack.
function Parser:nested(read, ...)
  self.depth = self.depth + 1
  if self.depth > LEVELS then fault.raise(self.lexer.token, "the text is nested too deeply") end
  local value = read(self, ...)
  self.depth = self.depth - 1
  return value
end

-- ---- expressions --------------------------------------------------------------------------------------------------

local refused = {
  ["string"] = "strings cannot be used in a kernel: pass numbers, or an array of u8 with the bytes",
  ["nil"] = "nil cannot be used in a kernel: use a number or false",
  ["..."] = "a kernel has no variable arguments: name its parameters",
  ["function"] = "a kernel defines no functions: compile the inner one with kernels.compile and call that",
}

function Parser:arguments(callee, at)
  local args = {}
  if not self:test ")" then
    repeat args[#args + 1] = self:expression() until not self:accept ","
  end
  self:expect ")"
  return node(at, "Call", { fn = callee, args = args })
end

function Parser:list()
  local at = self:expect "{"
  local values = {}
  while not self:test "}" do
    if self:test "[" then fault.raise(self.lexer.token, "a list of a kernel is written as {0, 0, 0}, without keys") end
    values[#values + 1] = self:expression()
    if self:test "=" then fault.raise(self.lexer.token, "a kernel has no tables with fields: use locals") end
    if not (self:accept "," or self:accept ";") then break end
  end
  self:expect "}"
  return node(at, "List", { values = values })
end

function Parser:primary()
  local token = self.lexer.token
  if self:accept "name" then return node(token, "Name", { name = token.value }) end
  if self:accept "(" then
    local inner = self:expression()
    self:expect ")"
    return node(token, "Paren", { value = inner })
  end
  fault.raise(token, "%s", refused[token.kind] or ("an expression expected near %s"):format(shown(token)))
end

function Parser:suffixed()
  local value = self:primary()
  while true do
    local at = self.lexer.token
    if self:accept "[" then
      value = node(at, "Index", { object = value, key = self:expression() })
      self:expect "]"
    elseif self:accept "." then
      value = node(at, "Field", { object = value, name = self:expect("name").value })
    elseif self:accept "(" then
      value = self:arguments(value, at)
    elseif self:test ":" then
      fault.raise(at, "a kernel calls no methods")
    elseif self:test "string" or self:test "{" then
      fault.raise(at, "%s", self:test "{" and "a kernel passes no tables" or refused["string"])
    else
      return value
    end
  end
end

function Parser:simple()
  local token = self.lexer.token
  if self:accept "number" then return node(token, "Number", { value = token.value }) end
  if self:accept "true" then return node(token, "Boolean", { value = true }) end
  if self:accept "false" then return node(token, "Boolean", { value = false }) end
  if self:test "{" then return self:list() end
  return self:suffixed()
end

-- The binding strengths of Lua's operators, to the left and to the right.
local strength = {
  ["or"] = { 1, 1 }, ["and"] = { 2, 2 },
  ["<"] = { 3, 3 }, [">"] = { 3, 3 }, ["<="] = { 3, 3 }, [">="] = { 3, 3 }, ["~="] = { 3, 3 }, ["=="] = { 3, 3 },
  ["|"] = { 4, 4 }, ["~"] = { 5, 5 }, ["&"] = { 6, 6 }, ["<<"] = { 7, 7 }, [">>"] = { 7, 7 },
  [".."] = { 9, 8 }, ["+"] = { 10, 10 }, ["-"] = { 10, 10 },
  ["*"] = { 11, 11 }, ["/"] = { 11, 11 }, ["//"] = { 11, 11 }, ["%"] = { 11, 11 }, ["^"] = { 14, 13 },
}
local UNARY = 12

local function binary(at, op, left, right)
  if op == ".." then fault.raise(at, "%s", refused["string"]) end
  if op == "and" then return node(at, "And", { left = left, right = right }) end
  if op == "or" then return node(at, "Or", { left = left, right = right }) end
  return node(at, "Binary", { op = op, left = left, right = right })
end

function Parser:operand()
  local at = self.lexer.token
  local op = self:accept "not" or self:accept "-" or self:accept "#" or self:accept "~"
  if not op then return self:simple() end
  local value = self:nested(self.operators, UNARY)
  if op.kind == "-" and value.tag == "Number" then return node(at, "Number", { value = -value.value }) end
  return node(at, "Unary", { op = op.kind, value = value })
end

function Parser:operators(limit)
  local left = self:operand()
  while true do
    local at = self.lexer.token
    local power = strength[at.kind]
    if not power or power[1] <= limit then return left end
    self:take()
    left = binary(at, at.kind, left, self:nested(self.operators, power[2]))
  end
end

function Parser:expression() return self:nested(self.operators, 0) end

function Parser:expressions()
  local list = {}
  repeat list[#list + 1] = self:expression() until not self:accept ","
  return list
end

-- ---- statements ---------------------------------------------------------------------------------------------------

local function read_local(self, at)
  if self:test "function" then fault.raise(at, "%s", refused["function"]) end
  local names, attribs, values = {}, {}, {}
  repeat
    names[#names + 1] = self:expect "name"
    if self:accept "<" then
      local attrib = self:expect "name"
      if attrib.value ~= "const" then fault.raise(attrib, "a kernel's locals can only be <const>") end
      attribs[#names] = attrib.value
      self:expect ">"
    end
  until not self:accept ","
  if self:accept "=" then values = self:expressions() end
  return node(at, "Local", { names = names, attribs = attribs, values = values })
end

local function read_if(self, at)
  local tests, blocks, last = {}, {}, nil
  repeat
    tests[#tests + 1] = self:expression()
    self:expect "then"
    blocks[#blocks + 1] = self:block()
  until not self:accept "elseif"
  if self:accept "else" then last = self:block() end
  self:expect "end"
  return node(at, "If", { tests = tests, blocks = blocks, last = last })
end

local function read_while(self, at)
  local test = self:expression()
  self:expect "do"
  local body = self:block()
  self:expect "end"
  return node(at, "While", { test = test, body = body })
end

local function read_for(self, at)
  local name = self:expect "name"
  if self:test "," or self:test "in" then
    fault.raise(self.lexer.token, "a kernel has only numeric loops: for i = from, to do")
  end
  self:expect "="
  local from = self:expression()
  self:expect ","
  local to, step = self:expression(), nil
  if self:accept "," then step = self:expression() end
  self:expect "do"
  local body = self:block()
  self:expect "end"
  return node(at, "For", { name = name, from = from, to = to, step = step, body = body })
end

local function read_repeat(self, at)
  local body = self:block()
  self:expect "until"
  return node(at, "Repeat", { body = body, test = self:expression() })
end

local function read_return(self, at)
  local values = {}
  if not (self:test "end" or self:test "else" or self:test "elseif" or self:test "until" or self:test ";") then
    values = self:expressions()
  end
  self:accept ";"
  return node(at, "Return", { values = values })
end

local function read_do(self, at)
  local body = self:block()
  self:expect "end"
  return node(at, "Do", { body = body })
end

local function no_goto(_, at) fault.raise(at, "a kernel has no goto: use break, or a loop's condition") end

local statements = {
  ["local"] = read_local, ["if"] = read_if, ["while"] = read_while, ["for"] = read_for, ["repeat"] = read_repeat,
  ["do"] = read_do, ["goto"] = no_goto, ["::"] = no_goto,
  ["break"] = function(_, at) return node(at, "Break", {}) end,
  ["function"] = function(_, at) fault.raise(at, "%s", refused["function"]) end,
}

-- A call, or an assignment.
local function read_other(self)
  local at = self.lexer.token
  local first = self:suffixed()
  if not (self:test "=" or self:test ",") then
    if first.tag == "Call" then return first end
    fault.raise(self.lexer.token, "a statement expected near %s", shown(self.lexer.token))
  end
  local targets = { first }
  while self:accept "," do targets[#targets + 1] = self:suffixed() end
  local sign = self:expect "="
  for _, target in ipairs(targets) do
    if target.tag ~= "Name" and target.tag ~= "Index" then
      fault.raise(target, "a kernel assigns only to locals and elements")
    end
  end
  return node(sign, "Set", { targets = targets, values = self:expressions(), line = at.line, column = at.column })
end

local ends = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true, ["end of text"] = true }

function Parser:block()
  return self:nested(function()
    local list = {}
    while not ends[self.lexer.token.kind] do
      local at = self.lexer.token
      if self:accept "return" then
        list[#list + 1] = read_return(self, at)
        break
      end
      local read = statements[at.kind]
      if read then self:take() end
      if not self:accept ";" then list[#list + 1] = (read or read_other)(self, at) end
    end
    return list
  end)
end

local function parameters(self)
  local names = {}
  self:expect "("
  if not self:test ")" then
    repeat
      if self:test "..." then fault.raise(self.lexer.token, "%s", refused["..."]) end
      names[#names + 1] = self:expect("name").value
    until not self:accept ","
  end
  self:expect ")"
  return names
end

-- `function` has been read.
local function read_function(self, at)
  local params = parameters(self)
  local body = self:block()
  local last = self:expect "end"
  return node(at, "Function", { params = params, body = body, first = at.first, last = last.last,
    last_line = last.line })
end

---Parses a text that is one function: `function(...) ... end`, which `return` or a name may precede.
---@param text string
---@param line integer?
---@return table function
function M.parse(text, line)
  local self = setmetatable({ lexer = lexer.new(text, line), depth = 0 }, Parser)
  self:accept "return"
  local at = self:expect "function"
  self:accept "name"
  local tree = read_function(self, at)
  self:accept ";"
  if not self:test "end of text" then
    fault.raise(self.lexer.token, "the end of the text expected near %s", shown(self.lexer.token))
  end
  return tree
end

---Parses the function whose word `function` is at `first` of the text; what follows it does not matter.
---@param text string
---@param first integer the byte where the word stands
---@param line integer its line
---@param column integer its column
function M.parse_at(text, first, line, column)
  local words = lexer.new(text:sub(first), line)
  words.token.column = column
  local self = setmetatable({ lexer = words, depth = 0 }, Parser)
  local at = self:expect "function"
  while self:accept "name" or self:accept "." or self:accept ":" do end
  local tree = read_function(self, at)
  tree.first, tree.last = tree.first + first - 1, tree.last + first - 1
  return tree
end

return M
