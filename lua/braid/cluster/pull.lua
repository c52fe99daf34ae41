-- SPDX-License-Identifier: MIT
-- Fetches messages of one consumer ahead, as many as there is room for. The requests are plain messages; the server
-- answers with messages of the stream, and with a status when a request ends.
local core = require "braid.core"
local link_of = require "braid.cluster.link"

local encode = core.json_encode

local M = {}

local SECOND = 1000000000
local EXPIRES, BEAT = 30, 1 -- seconds
local SILENT = 3 * BEAT -- a request of which nothing was heard for so long is forgotten
local PAUSE = 0.2 -- seconds after a refusal
local MOST_BYTES = 8 << 20 -- fetched at once: a server ends connections for which it holds too much (64 MiB)

local count = 0

---@class braid.cluster.Pull
---@field private _link braid.cluster.Link
---@field private _subject string for requests
---@field private _requests table<string, integer> those that are open: key -> messages that are still to come
---@field private _order string[] their keys, the oldest first
---@field private _open integer messages that are still to come, of all requests
---@field private _heard number
---@field private _size number bytes of a large one of the last messages
---@field private _take fun(reply: string, body: string)
---@field private _room fun(): integer how many messages there is room for
---@field private _missing fun()? called when there is no consumer
local Pull = {}
Pull.__index = Pull

local function close_request(self, key)
  local left = self._requests[key]
  if not left then return end
  self._requests[key] = nil
  self._open = self._open - left
  for i, each in ipairs(self._order) do
    if each == key then table.remove(self._order, i) break end
  end
end

local function forget_all(self)
  self._requests, self._order, self._open = {}, {}, 0
end

local function count_message(self)
  local key = self._order[1]
  if not key then return end
  local left = self._requests[key] - 1
  self._requests[key], self._open = left, self._open - 1
  if left == 0 then close_request(self, key) end
end

---Asks for as many messages as there is room for; not for few of many, so that requests are rare.
function Pull:ask()
  if self.closed or self._paused or self._link.lost_at then return end
  local room = math.min(self._room(), math.max(1, MOST_BYTES / self._size // 1 | 0))
  local more = room - self._open
  if more < 1 or more * 4 < room then return end
  self._number = self._number + 1
  local key = tostring(self._number)
  local request = encode { batch = more, expires = EXPIRES * SECOND, idle_heartbeat = BEAT * SECOND }
  if not self._link:publish(self._subject, self._inbox .. key, request) then return end
  self._requests[key], self._open, self._heard = more, self._open + more, core.now()
  self._order[#self._order + 1] = key
end

local function pause(self)
  if self._paused then return end
  self._paused = true
  link_of.start(function()
    core.sleep(PAUSE)
    if self._missing then pcall(self._missing) end
    self._paused = false
    self:ask()
  end)
end

local function take_status(self, subject, status)
  if status == "100" then return end -- a sign of life
  close_request(self, subject:sub(#self._inbox + 1))
  if status == "503" or status == "409" or status == "404" then return pause(self) end
  self:ask()
end

local function take(self, subject, reply, body, status)
  self._heard = core.now()
  if not subject then -- nobody is there to answer: the consumer is gone, or has no leader just now
    forget_all(self)
    return pause(self)
  end
  if status then return take_status(self, subject, status) end
  count_message(self)
  self._size = math.max(#body, self._size * 0.95)
  self._take(reply, body)
  self:ask()
end

---Forgets requests that the server has lost. To be called from time to time.
function Pull:look()
  if self._open > 0 and core.now() - self._heard > SILENT then forget_all(self) end
  self:ask()
end

---Asks for no more.
function Pull:stop()
  self.closed = true
  self._link:forget(self._listener)
end

---Ends it: what still comes is not taken.
function Pull:close()
  if not self.closed then self:stop() end
  self._link:unsubscribe(self._subscription)
end

---Begins to fetch. `take` must not suspend. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param consumer string
---@param callbacks { take: fun(reply: string, body: string), room: (fun(): integer), missing: fun()? }
---@return braid.cluster.Pull
function M.open(link, stream, consumer, callbacks)
  count = count + 1
  local self = setmetatable({
    _link = link, _subject = ("$JS.API.CONSUMER.MSG.NEXT.%s.%s"):format(stream, consumer),
    _inbox = ("%sp.%d."):format(link.inbox, count), _number = 0, _heard = core.now(), _size = 1, _take = callbacks.take,
    _room = callbacks.room, _missing = callbacks.missing,
  }, Pull)
  forget_all(self)
  self._subscription = link:subscribe(self._inbox .. "*", function(_, subject, reply, body, status)
    take(self, subject, reply, body, status)
  end)
  function self._listener()
    forget_all(self)
    if self._missing then pcall(self._missing) end -- the servers may have lost the consumer
    self:ask()
  end
  link:on_connection(self._listener)
  self:ask()
  return self
end

return M
