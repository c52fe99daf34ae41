-- SPDX-License-Identifier: MIT
--- What the compiler refuses. Inside the compiler a refusal is raised as a table { line, column, message }; the kernel
--- makes an error of kind "compile" of it, at the caller's line.

local M = {}

local Fault = {}
M.Fault = Fault

---Raises a refusal.
---@param place { line: integer, column: integer } a token or a node
---@param format string
function M.raise(place, format, ...)
  error(setmetatable({ line = place.line, column = place.column, message = format:format(...) }, Fault), 0)
end

---Whether a raised value is a refusal.
function M.is(value) return getmetatable(value) == Fault end

return M
