-- SPDX-License-Identifier: MIT
--- Collects the C of one function: its lines, new names, and the sites of its checks. expressions.lua and
--- statements.lua add what the parts of a function become.
---
--- Each check has a site: its number leads to { what, line, column, name } in `sites`, for the message.

local M = {}

---The C type of an array's element.
M.element_c = {
  f64 = "double", f32 = "float", i64 = "long long", i32 = "int", i16 = "short", i8 = "signed char",
  u64 = "unsigned long long", u32 = "unsigned", u16 = "unsigned short", u8 = "unsigned char",
}

---The C type of a number or a boolean.
function M.scalar_c(type) return type == "float" and "D" or "I" end

---Floats represent all integers up to this one.
M.EXACT = 1 << 53

local Writer = {}
Writer.__index = Writer
M.Writer = Writer

function Writer:line(format, ...)
  self.lines[#self.lines + 1] = ("  "):rep(self.depth) .. (select("#", ...) > 0 and format:format(...) or format)
end

function Writer:site(what, node, name)
  local sites = self.unit.sites
  sites[#sites + 1] = { what = what, line = node.line, column = node.column, name = name, kernel = self.name }
  return #sites
end

function Writer:fresh(letter)
  self.unit.names = self.unit.names + 1
  return letter .. self.unit.names
end

-- Whether a check is dropped in the fast copy; the C of that.
function Writer:sure(interval, least, most)
  if self.unit.unchecked then return "1" end
  if not self.ranges or not interval then return "0" end
  self.ranges:within(interval, least, most)
  return "k_fast"
end
---@param unit table what the functions of one library share
---@param name string of the function, for messages
---@param index_ranges table? of the kernel's own function: the ranges of its indices
function M.new(unit, name, index_ranges)
  return setmetatable({ unit = unit, lines = {}, depth = 0, name = name, ranges = index_ranges }, Writer)
end

return M
