-- SPDX-License-Identifier: MIT
-- A connection that the tasks of this state share: one after the other. It is made again after it was lost.
local core = require "braid.core"
local errors = require "braid.errors"
local links = require "braid.postgres.link"
local listener = require "braid.postgres.listener"
local sessions = require "braid.postgres.session"
local transactions = require "braid.postgres.transaction"

local M = {}

---A connection. Tasks that share it wait for each other, first come, first served. It is closed by `<close>`.
---@class braid.postgres.Connection: braid.postgres.Session
---@field private _settings table
---@field private _types table?
---@field private _link braid.postgres.Link?
---@field private _turn braid.Semaphore
local Connection = { __name = "braid.postgres.connection" }
for name, method in pairs(sessions.Session) do Connection[name] = Connection[name] or method end
Connection.__index = Connection

local function closed_error() return errors.new("closed", "postgres: the connection is closed") end

-- The link, made again if it was lost. The caller has the turn.
local function open_link(self)
  if self._closed then core.rethrow(closed_error()) end
  local link = self._link
  if link and link:is_open() then return link end
  local made, err = links.open(self._settings, self._types)
  if not made then core.rethrow(err) end
  if self._closed then
    made:close()
    core.rethrow(closed_error())
  end
  self._link = made
  return made
end

function Connection:_use(fn, ...)
  local inner, me = self._inner, core.current() or "script"
  if inner and inner._task == me then return inner:_use(fn, ...) end
  local held <close> = transactions.enter(self)
  return fn(open_link(self), ...)
end

function Connection:_lend()
  local inner, me = self._inner, core.current() or "script"
  if inner and inner._task == me then return inner:_lend() end
  transactions.enter(self)
  local ok, link, place = errors.try(open_link, self)
  if not ok then
    self._turn:release()
    core.rethrow(link, place)
  end
  self._owner = me
  return link, function()
    self._owner = nil
    self._turn:release()
  end
end

---Runs fn as a transaction: commits when it returns, rolls back when it raises or one of its statements has failed,
---caught or not. Queries of other tasks on this connection wait meanwhile. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts { isolation: string?, retry: integer?, read_only: boolean?, deferrable: boolean? }? retry: how often it
--- is run again after a serialization failure or a deadlock
---@return any ... what fn returned
function Connection:transaction(fn, opts)
  transactions.check(fn, opts)
  local inner = self._inner
  if inner and inner._task == (core.current() or "script") then return inner:transaction(fn, opts) end
  return self:_use(transactions.run, self, fn, opts)
end

---Listens to a channel, on a connection of its own: `for item in db:listen("news") do print(item.payload) end`. It is
---registered when this returns. Suspends.
---@param channel string
---@return braid.postgres.Listener
function Connection:listen(channel)
  if self._closed then core.rethrow(closed_error()) end
  return listener.new(self._settings, channel)
end

---Closes it at once. Calls that wait end with kind "closed"; the server is told to stop what it does for them.
function Connection:close()
  self._closed = true
  local link = self._link
  if not link or link.closed then return end
  if link.pending > 0 or self._owner then link:tell_to_stop() end
  link:close()
end

Connection.__close = Connection.close

---Connects. Suspends.
---@param settings table
---@param types table?
---@return braid.postgres.Connection?
---@return braid.Error? err
function M.open(settings, types)
  local link, err = links.open(settings, types)
  if not link then return nil, err end
  return setmetatable({
    _settings = settings, _types = types, _link = link, _turn = core.semaphore_new(1, false),
  }, Connection)
end

errors.guard(Connection)

return M
