-- SPDX-License-Identifier: MIT
--- Writes C for one checked function: a C function that returns 0, K_STOPPED or K_FAULTY.

local ranges = require "braid.kernels.compile.ranges"
local statements = require "braid.kernels.compile.statements"
local writer = require "braid.kernels.compile.writer"

local M = {}

local scalar_c, element_c = writer.scalar_c, writer.element_c

local function parameter(symbol, alone)
  local c, type = symbol.c, symbol.type
  if _G.type(type) ~= "table" then return ("%s%s %s"):format(symbol.assigned and "" or "const ", scalar_c(type), c) end
  return ("%s *%sconst %s_p, const I %s_n, const I %s_m, const I %s_s, const I %s_t"):format(
    type.kind == "list" and scalar_c(type.element) or element_c[type.element], alone and "restrict " or "", c, c,
      c, c, c)
end

---The C of one function.
---@param unit table
---@param instance table { tree, name, c, captures }
---@param main table? of the kernel's own function: the ranges of its indices
---@return table emitter with the `lines`, and the `ranges` to compute before the iterations
local function emit_function(unit, instance, main)
  local tree = instance.tree
  local self = writer.new(unit, instance.name)
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

M.scalar_c, M.element_c, M.parameter, M.emit_function = scalar_c, element_c, parameter, emit_function
M.work = statements.work

return M
