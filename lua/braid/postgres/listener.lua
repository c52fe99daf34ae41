-- SPDX-License-Identifier: MIT
-- Notifications, on a connection of their own.
local core = require "braid.core"
local errors = require "braid.errors"
local links = require "braid.postgres.link"

local M = {}

---Notifications of a channel: an iterator of `{ channel, payload, pid }`. It raises kind "closed" when its connection
---is lost. It is closed by `<close>`.
---@class braid.postgres.Listener
---@field private _link braid.postgres.Link
---@field private _closed boolean?
local Listener = { __name = "braid.postgres.listener" }
Listener.__index = Listener

---The next notification. Suspends.
---@return { channel: string, payload: string, pid: integer }? item nil after `close`
function Listener:__call()
  local link = self._link
  while not self._closed do
    local channel, payload, pid = link:raw():notification()
    if channel then return { channel = channel, payload = payload, pid = pid } end
    local ok, err, place = errors.try(link.wait_for_data, link)
    if not ok and not self._closed then core.rethrow(err, place) end
  end
end

---Ends it. A task that waits for a notification gets nil.
function Listener:close()
  self._closed = true
  self._link:close()
end

Listener.__close = Listener.close

---Connects and listens. Suspends.
---@param settings table
---@param channel string
---@return braid.postgres.Listener
function M.new(settings, channel)
  if type(channel) ~= "string" or channel == "" then
    errors.misuse(2, "bad argument 'channel' to 'listen' (a name expected, got %s)",
      channel == "" and "an empty one" or errors.described(channel))
  end
  local link, err = links.open(settings)
  if not link then core.rethrow(err) end
  local ok, failure, place = errors.try(function()
    link:command("LISTEN " .. link:raw():quoted(channel))
    link:drain()
  end)
  if ok then return setmetatable({ _link = link }, Listener) end
  link:close()
  core.rethrow(failure, place)
end

errors.guard(Listener)

return M
