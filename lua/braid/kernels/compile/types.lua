-- SPDX-License-Identifier: MIT
--- Types of kernels: "integer", "float", "boolean", and tables for arrays.

local core = require "braid.core"
local errors = require "braid.errors"
local view = require "braid.sync.view"

local M = {}

---The type of a value; nil: a kernel cannot take it.
---@param value any
---@return string|table?
function M.type_of(value)
  local kind = math.type(value)
  if kind then return kind end
  if type(value) == "boolean" then return "boolean" end
  if getmetatable(value) == core.Array then return { kind = "array", element = value:type(), rank = 1, unit = true } end
  if view.is(value) then
    local _, _, _, columns, row_step, column_step = view.layout(value)
    local rank = columns == 0 and 1 or 2
    return { kind = "array", element = value:type(), rank = rank, unit = (rank == 1 and row_step or column_step) == 1 }
  end
  return nil
end

---A text that tells types apart.
---@param kind string|table
---@return string
function M.type_key(kind)
  if type(kind) ~= "table" then return kind end
  if kind.kind == "list" then return ("list %s %d"):format(kind.element, kind.size) end
  return ("%s %d%s"):format(kind.element, kind.rank, kind.unit and "" or " strided")
end

---A type that the option `types` of compile names.
---@param text string
---@return string|table
function M.named_type(text)
  if text == "integer" or text == "float" or text == "boolean" then return text end
  if text == "f64" or text == "f32" then return "float" end
  if text == "i64" then return "integer" end
  local element, two = text:match "^array (%w+)( ?2?d?)$"
  if element and (two == "" or two == " 2d") then
    local rank = two == "" and 1 or 2
    if pcall(core.array_new, element, 0) then return { kind = "array", element = element, rank = rank, unit = true } end
  end
  errors.misuse(2, "bad option 'types' to 'compile' (\"integer\", \"f64\", \"array f64\", "
    .. "\"array f64 2d\" ... expected, got %s)", errors.text(text))
end

return M
