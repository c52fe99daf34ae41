-- SPDX-License-Identifier: MIT
-- Subscriptions: messages of channels, on a connection of their own, made again when it is lost.
local core = require "braid.core"
local errors = require "braid.errors"
local link = require "braid.redis.link"

local M = {}

local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2 -- seconds before it connects again

---Messages of channels: an iterator of `{ channel, message, pattern }`. It is closed by `<close>`.
---`for item in subscription do`. When the connection is lost it connects and subscribes again; messages that were sent
---meanwhile are lost.
---@class braid.redis.Subscription
---@field private _options table
---@field private _verb "SUBSCRIBE"|"PSUBSCRIBE"
---@field private _channels string[]
---@field private _link braid.redis.Link?
---@field private _closed boolean?
local Subscription = { __name = "braid.redis.subscription" }
Subscription.__index = Subscription

-- Connects and subscribes. Returns nil and the error where that cannot be done now.
local function open(self)
  local made, err = link.open(self._options)
  if not made then return nil, err end
  self._link = made
  local words = { self._verb, table.unpack(self._channels) }
  local ok, failure = pcall(made.listen, made, words, #self._channels)
  if ok then return true end
  made:close()
  self._link = nil
  if errors.is_error(failure, "closed") then return nil, failure end
  core.rethrow(failure)
end

-- Tries until it is subscribed again. A refusal, as of a wrong password, is raised. A server that loads its data is
-- only not ready.
local function open_again(self)
  local pause = FIRST_PAUSE
  while not self._closed do
    local ok, err = open(self)
    if ok then return end
    if errors.is_error(err, "redis") and err.code ~= "LOADING" then core.rethrow(err) end
    core.sleep(pause)
    pause = math.min(2 * pause, LONGEST_PAUSE)
  end
end

local function item_of(value)
  if type(value) ~= "table" then return nil end
  if value[1] == "message" then return { channel = value[2], message = value[3] } end
  if value[1] == "pmessage" then return { pattern = value[2], channel = value[3], message = value[4] } end
end

---The next message. Suspends. While it waits, no other task may.
---@return { channel: string, message: string, pattern: string? }? item nil after `close`
function Subscription:__call()
  while not self._closed do
    if not self._link or self._link.closed then open_again(self) end
    local value = not self._closed and self._link:next_message()
    local item = value and item_of(value)
    if item then return item end
  end
end

---Ends it. A task that waits for a message gets nil.
function Subscription:close()
  self._closed = true
  if self._link then self._link:close() end
end

Subscription.__close = Subscription.close

---Subscribes. Returns when the server has confirmed it. Suspends.
---@param options table checked ones
---@param verb "SUBSCRIBE"|"PSUBSCRIBE"
---@param channels string[]
---@return braid.redis.Subscription
function M.new(options, verb, channels)
  local self = setmetatable({ _options = options, _verb = verb, _channels = channels }, Subscription)
  local ok, err = open(self)
  if not ok then core.rethrow(err) end
  return self
end

errors.guard(Subscription)

return M
