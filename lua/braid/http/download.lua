-- SPDX-License-Identifier: MIT
-- A downloaded file that gets its name only when it is complete.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A file that is written under a temporary name in the same folder. A `<close>` variable deletes it unless it was kept.
---@class braid.http.Download
---@field path string its final name
---@field private _place string where it is, after symbolic links
---@field private _part string? its temporary name; nil: it is written in place
---@field private _file file*?
local Download = {}
Download.__index = Download

local function failed(message) return nil, errors.new("system", message) end

---Opens the file. A symbolic link stays, and the file it leads to is replaced by one with the same permissions. What is
---no regular file (a device) is written in place.
---@param path string
---@return braid.http.Download? download
---@return braid.Error? err kind system
function M.open(path)
  local place, mode = core.file_target(path)
  if not place then return nil, mode end
  local part = mode ~= false and ("%s.%08x.part"):format(place, math.random(0, 0xffffffff)) or nil
  local file, message = io.open(part or place, "wb")
  if not file then return failed(message) end
  local download = setmetatable({ path = path, _place = place, _part = part, _file = file }, Download)
  if not mode then return download end
  local done, err = core.file_mode(part, mode)
  if done then return download end
  download:__close()
  return nil, err
end

---Headers of the request that the file needs: none.
---@return nil
function Download.headers() end

---What a response means for the file.
---@param response braid.http.Response its head
---@return "whole"|"other"
function Download.meaning(_, response)
  return response.status >= 200 and response.status < 300 and "whole" or "other"
end

---@return true ready
function Download.begin() return true end

---Bytes that are there before the response.
---@return integer
function Download.size() return 0 end

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
  if done and self._part then done, message = os.rename(self._part, self._place) end
  if done then return true end
  if self._part then os.remove(self._part) end
  return failed(("%s: %s"):format(self.path, message))
end

function Download:__close()
  if not self._file then return end
  self._file:close()
  self._file = nil
  if self._part then os.remove(self._part) end
end

return M
