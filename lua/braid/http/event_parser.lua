-- SPDX-License-Identifier: MIT
-- Server-sent events, as HTML's standard defines text/event-stream.
local errors = require "braid.errors"

local M = {}

---@class braid.http.ServerEvent
---@field event string "message" where the server says nothing else
---@field data string
---@field id string the last id that the server has sent, with this event or an earlier one; "" if none

---@class braid.http.EventParser
---@field id string the last id
---@field retry number? seconds that the server wants to pass before the next connection
---@field private _most integer bytes of one event
---@field private _rest string the beginning of a line
---@field private _lines string[] the event's data so far
---@field private _size integer bytes of these
---@field private _name string?
---@field private _next_id string
---@field private _begun boolean?
local Parser = {}
Parser.__index = Parser

---@param most integer bytes of one event
---@param id string
---@return braid.http.EventParser
function M.new(most, id)
  return setmetatable({ id = id, _next_id = id, _most = most, _rest = "", _lines = {}, _size = 0 }, Parser)
end

---A new connection begins: what had come of an event is dropped.
function Parser:restart()
  self._rest, self._lines, self._size, self._name, self._begun, self._next_id = "", {}, 0, nil, nil, self.id
end

local fields = {}

function fields.data(self, value)
  self._lines[#self._lines + 1] = value
  self._size = self._size + #value + 1
end

function fields.event(self, value) self._name = value ~= "" and value or nil end

function fields.id(self, value)
  if not value:find("\0", 1, true) then self._next_id = value end
end

function fields.retry(self, value)
  if value:find("^%d+$") then self.retry = tonumber(value) / 1000 end
end

-- The end of an event; nil: it had no data.
local function finish(self)
  local lines, name = self._lines, self._name
  self._lines, self._size, self._name, self.id = {}, 0, nil, self._next_id
  if lines[1] then return { event = name or "message", data = table.concat(lines, "\n"), id = self.id } end
end

local function take_line(self, line)
  if line == "" then return finish(self) end
  local name, value = line:match("^([^:]*): ?(.*)$")
  local field = fields[name or line]
  if field then field(self, value or "") end
end

---Reads a piece of the stream; returns the events that end in it.
---@param piece string
---@return braid.http.ServerEvent[] events
---@return braid.Error? err kind limit: an event is too large
function Parser:read(piece)
  local text, at, events = self._rest .. piece, 1, {}
  if not self._begun then
    if #text < 3 and ("\xEF\xBB\xBF"):sub(1, #text) == text then -- the beginning of a byte order mark
      self._rest = text
      return events
    end
    text, self._begun = text:gsub("^\xEF\xBB\xBF", ""), true
  end
  while true do
    local first, last = text:find("\r?\n", at)
    local bare = text:find("\r", at, true)
    if bare and bare < #text and (not first or bare < first) then first, last = bare, bare end
    if not first then break end
    events[#events + 1] = take_line(self, text:sub(at, first - 1))
    at = last + 1
    if self._size > self._most then break end
  end
  self._rest = text:sub(at)
  if self._size + #self._rest > self._most then
    return events, errors.new("limit", ("an event is larger than max_event (%d bytes)"):format(self._most))
  end
  return events
end

return M
