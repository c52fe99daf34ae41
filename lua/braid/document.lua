-- SPDX-License-Identifier: MIT
-- Writes a whole text to a file. Checks each write and also the close: an error of a full disk often comes only there.
local errors = require "braid.errors"

local M = {}

---@param path string
---@return file*? file
---@return braid.Error? err kind system
function M.open(path)
  local file, why = io.open(path, "wb")
  if not file then return nil, errors.new("system", why) end
  return file
end

---Writes the texts to a file from M.open, and closes it.
---@param file file*
---@param path string its name, for the error
---@param ... string
---@return true? written
---@return braid.Error? err kind system
function M.finish(file, path, ...)
  local written, why = file:write(...)
  local closed, reason = file:close()
  if written and closed then return true end
  return nil, errors.new("system", ("%s could not be written: %s"):format(path, why or reason))
end

---@param path string
---@param text string
---@return true? written
---@return braid.Error? err kind system
function M.save(path, text)
  local file, err = M.open(path)
  if not file then return nil, err end
  return M.finish(file, path, text)
end

return M
