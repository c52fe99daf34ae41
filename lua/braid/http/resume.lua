-- SPDX-License-Identifier: MIT
-- A download that goes on where an earlier one ended: PATH.part has what has come, PATH.part.from says of which version
-- of the resource.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A file that is written as PATH.part, which stays if it is not complete. A `<close>` variable closes it.
---@class braid.http.Partial
---@field path string its final name
---@field private _place string where it is, after symbolic links
---@field private _part string
---@field private _note string
---@field private _mode integer? the permissions of the file that it replaces
---@field private _size integer bytes that are there
---@field private _whole integer? bytes of the whole file, as the server of the rest says
---@field private _from table<string, string> headers of the response that they came with
---@field private _file file*?
local Partial = {}
Partial.__index = Partial

local function failed(path, message) return nil, errors.new("system", ("%s: %s"):format(path, message)) end

local NOTED = { "etag", "last-modified", "content-length" }

local function read_note(path)
  local from = {}
  local file <close> = io.open(path)
  for line in file and file:lines() or function() end do
    local name, value = line:match("^([%l-]+): (.*)$")
    if name then from[name] = value end
  end
  return from
end

---Looks at what is there of the file.
---@param path string
---@return braid.http.Partial? partial
---@return braid.Error? err kind system
function M.open(path)
  local place, mode = core.file_target(path)
  if not place then return nil, mode end
  if mode == false then return failed(path, "what is no regular file cannot be resumed") end
  local part = place .. ".part"
  local partial = setmetatable({
    path = path, _place = place, _part = part, _note = part .. ".from", _mode = mode, _size = 0, _from = {},
  }, Partial)
  local there, kind = core.file_target(part)
  if kind == false or not there then return failed(part, "it is no regular file") end
  if kind == nil then return partial end
  local file <close>, message = io.open(part, "r+b")
  if not file then return nil, errors.new("system", message) end
  partial._size, partial._from = file:seek("end"), read_note(partial._note)
  return partial
end

---The headers that ask for the rest; nil: nothing is there.
---@return table<string, string>?
function Partial:headers()
  if self._size == 0 then return nil end
  local etag = self._from.etag
  if etag and etag:find("^W/") then etag = nil end
  return { Range = ("bytes=%d-"):format(self._size), ["If-Range"] = etag or self._from["last-modified"] }
end

-- Whether both responses are of one version, as far as they say.
local function same(from, headers)
  for _, name in ipairs { "etag", "last-modified" } do
    if from[name] and headers[name] and from[name] ~= headers[name] then return false end
  end
  return true
end

local function total_of(self) return math.tointeger(self._from["content-length"]) end

---What a response to that request means.
---@param response braid.http.Response its head
---@return "rest"|"whole"|"complete"|"other"|"again" again: forget what is there, and ask anew
function Partial:meaning(response)
  local status, headers = response.status, response.headers
  local first, last, total = (headers["content-range"] or ""):match("^bytes (%d+)%-(%d+)/(%S+)$")
  if status == 206 then
    local known = total_of(self)
    local fits = math.tointeger(first) == self._size and same(self._from, headers)
    if fits and (not known or total == "*" or math.tointeger(total) == known) then
      self._whole = known or math.tointeger(total) or math.tointeger(last) and math.tointeger(last) + 1
      return "rest"
    end
    return self._size > 0 and "again" or "other"
  end
  if status == 416 and self._size > 0 then
    local whole = math.tointeger((headers["content-range"] or ""):match("^bytes %*/(%d+)$"))
    return whole == self._size and same(self._from, headers) and "complete" or "again"
  end
  return status >= 200 and status < 300 and "whole" or "other"
end

---Forgets what is there.
function Partial:forget()
  os.remove(self._note)
  os.remove(self._part)
  self._size, self._from = 0, {}
end

local function write_note(self, headers)
  local lines = {}
  for _, name in ipairs(NOTED) do
    if headers[name] then lines[#lines + 1] = name .. ": " .. headers[name] end
  end
  local file <close> = io.open(self._note, "wb")
  return file and file:write(table.concat(lines, "\n"))
end

---Opens the file for the body of a response.
---@param response braid.http.Response
---@param meaning "rest"|"whole"
---@return true? ready
---@return braid.Error? err kind system
function Partial:begin(response, meaning)
  if meaning == "whole" then
    self:forget()
    if not write_note(self, response.headers) then return failed(self._note, "it cannot be written") end
  end
  local message
  self._file, message = io.open(self._part, meaning == "whole" and "wb" or "ab")
  if not self._file then return nil, errors.new("system", message) end
  return true
end

---Bytes that are there before the response.
---@return integer
function Partial:size() return self._size end

---@param piece string
---@return true? written
---@return braid.Error? err kind system
function Partial:write(piece)
  local written, message = self._file:write(piece)
  if not written then return failed(self.path, message) end
  return true
end

---The file is complete: gives it its final name.
---@return true? kept
---@return braid.Error? err kind system; http: a part of the rest has come, and stays
function Partial:keep()
  local file = self._file
  self._file = nil
  local done, message = true, nil
  local size = file and file:seek("end")
  if file then done, message = file:close() end
  if done and size and self._whole and size ~= self._whole then
    return nil, errors.new("http", ("%s: the server has sent %d of its %d bytes"):format(self.path, size, self._whole),
      { code = "PARTIAL_FILE" })
  end
  if done and self._mode then core.file_mode(self._part, self._mode) end
  if done then done, message = os.rename(self._part, self._place) end
  if not done then return failed(self.path, message) end
  os.remove(self._note)
  return true
end

function Partial:__close()
  if self._file then self._file:close() end
  self._file = nil
end

return M
