-- SPDX-License-Identifier: MIT
-- What LuaSocket says of errors. Programs compare these texts.
local core = require "braid.core"

local M = {}

local OF_SYSTEM = {
  [core.EADDRINUSE] = "address already in use", [core.EISCONN] = "already connected",
  [core.EACCES] = "permission denied", [core.ECONNREFUSED] = "connection refused",
  [core.ECONNABORTED] = "closed", [core.ETIMEDOUT] = "timeout",
}

local OF_NAMES = {
  [core.EAI_AGAIN] = "temporary failure in name resolution", [core.EAI_BADFLAGS] = "invalid value for ai_flags",
  [core.EAI_FAIL] = "non-recoverable failure in name resolution", [core.EAI_FAMILY] = "ai_family not supported",
  [core.EAI_MEMORY] = "memory allocation failure",
  [core.EAI_NONAME] = "host or service not provided, or not known",
  [core.EAI_SERVICE] = "service not supported for socket type", [core.EAI_SOCKTYPE] = "ai_socktype not supported",
}

M.BAD_DESCRIPTOR = core.system_text(core.EBADF)

---@param code integer an errno value
---@return string
function M.of_system(code) return OF_SYSTEM[code] or core.system_text(code) end

---The text for an error of a call of the core.
---@param err braid.Error
---@return string
function M.of(err)
  if err.code then return M.of_system(err.code) end
  return err.kind == "timeout" and "timeout" or err.kind == "closed" and "closed" or err.message
end

---@param code integer of getaddrinfo
---@param number integer the errno value of EAI_SYSTEM
---@return string
function M.of_names(code, number)
  if code == core.EAI_SYSTEM then return core.system_text(number) end
  return OF_NAMES[code] or "unknown error in name resolution"
end

---@param code integer of gethostbyname
---@return string
function M.of_host(code)
  return code == core.HOST_NOT_FOUND and "host not found" or "Unknown resolver error"
end

return M
