-- SPDX-License-Identifier: MIT
--- Which expressions Lua's compiler computes itself, as its lcode.c does (constfolding). It matters in one place: Lua
--- makes x - 0, where 0 is an integer that it knows, x + 0, and then -0.0 becomes 0.0.

local M = {}

local operations = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return b ~= 0 and a / b or nil end,
  ["//"] = function(a, b) return b ~= 0 and a // b or nil end,
  ["%"] = function(a, b) return b ~= 0 and a % b or nil end,
  ["^"] = function(a, b) return a ^ b end,
  ["&"] = function(a, b) return a & b end,
  ["|"] = function(a, b) return a | b end,
  ["~"] = function(a, b) return a ~ b end,
  ["<<"] = function(a, b) return a << b end,
  [">>"] = function(a, b) return a >> b end,
}
local signs = { ["-"] = function(a) return -a end, ["~"] = function(a) return ~a end }

-- A float that is zero or no number is left to the running program.
local function kept(ok, value)
  local is_left = math.type(value) == "float" and (value == 0 or value ~= value)
  return ok and not is_left and value or nil
end

local of = {}

--- The number that Lua's compiler knows for an expression; nil: it knows none.
---@param node table
---@return number?
function M.value(node) return of[node.tag] and of[node.tag](node) end

function of.Paren(node) return M.value(node.value) end

function of.Number(node) return not node.object and node.value or nil end -- a field of math is none of them

-- Of several locals only the last can be a constant of the compiler.
function of.Name(node)
  local symbol = node.symbol
  return symbol and symbol.constant and symbol.is_last and symbol.value and M.value(symbol.value) or nil
end

function of.Unary(node)
  local sign, value = signs[node.op], M.value(node.value)
  return sign and value and kept(pcall(sign, value)) or nil
end

function of.Binary(node)
  local operation, a, b = operations[node.op], M.value(node.left), M.value(node.right)
  return operation and a and b and kept(pcall(operation, a, b)) or nil
end

return M
