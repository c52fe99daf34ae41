-- SPDX-License-Identifier: MIT
-- A downloaded file that gets its name only when it is complete.
local errors = require "braid.errors"

local M = {}

---A file that is written under a temporary name in the same folder. A `<close>` variable deletes it unless it was kept.
---@class braid.http.Download
---@field path string its final name
---@field private _part string its temporary name
---@field private _file file*?
local Download = {}
Download.__index = Download

local function failed(message) return nil, errors.new("system", message) end

---@param path string
---@return braid.http.Download? download
---@return braid.Error? err kind system
function M.open(path)
  local part = ("%s.%08x.part"):format(path, math.random(0, 0xffffffff))
  local file, message = io.open(part, "wb")
  if not file then return failed(message) end
  return setmetatable({ path = path, _part = part, _file = file }, Download)
end

---@param piece string
---@return true? written
---@return braid.Error? err kind system
function Download:write(piece)
  local written, message = self._file:write(piece)
  if not written then return failed(("%s: %s"):format(self.path, message)) end
  return true
end

---The file is complete: gives it its final name.
---@return true? kept
---@return braid.Error? err kind system
function Download:keep()
  local file = self._file
  self._file = nil
  local done, message = file:close()
  if done then done, message = os.rename(self._part, self.path) end
  if done then return true end
  os.remove(self._part)
  return failed(("%s: %s"):format(self.path, message))
end

function Download:__close()
  if not self._file then return end
  self._file:close()
  self._file = nil
  os.remove(self._part)
end

return M
