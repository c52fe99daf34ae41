-- SPDX-License-Identifier: MIT
--- Queues of a cluster: streams from which each item is given to one get, of any machine.

local core = require "braid.core"
local errors = require "braid.errors"
local items = require "braid.items"
local jetstream = require "braid.cluster.jetstream"
local kv = require "braid.cluster.kv"
local value_of = require "braid.cluster.value"

local M = {}

local FULL = 10077 -- JetStream's number: the stream has as many messages as it may have
local LOOK = 0.25 -- seconds between looks whether there is room again
local EXPIRES = 5 -- seconds that a request for an item waits at the server
local ACK_WAIT = 30 -- seconds until an item is given to another get, when its process has died just then
local CONSUMER = "queue"

---@class braid.cluster.Queue
---@field private _cluster braid.cluster.Cluster
---@field private _what string the stream
---@field private _subject string
---@field private _most integer
---@field private _kv braid.cluster.Kv
---@field private _gets table[] those that wait, the oldest first
local Queue = { __name = "braid.cluster.queue" }
Queue.__index = Queue

local function failed(kind, what, text) return errors.new(kind, ("queue:%s: %s"):format(what, text)) end
local function stream_of(self) return self._cluster.streams:name(self._what) end

-- ---- closing --------------------------------------------------------------------------------------------------------

local function is_closed(self)
  if not self._closed and self._kv:get(self._key) then self._closed = true end
  return self._closed
end

---Closes the queue for all machines: puts fail from now on. Gets return the items that are left, and then fail with
---kind "closed". `immediate = true` drops the items. Suspends.
---@param opts { immediate: boolean? }?
function Queue:close(opts)
  errors.check_options(1, "close", opts, { immediate = "boolean" })
  self._closed = true
  self._kv:put(self._key, "closed")
  if opts and opts.immediate then jetstream.purge(self._cluster.link, stream_of(self), self._subject) end
end

---Whether the queue is closed. Suspends.
---@return boolean
function Queue:closed() return is_closed(self) end

-- ---- putting --------------------------------------------------------------------------------------------------------

local function put(self, what, value, deadline)
  if value == nil then errors.misuse(2, "bad argument 'value' to '%s' (nil cannot be put: use braid.null)", what) end
  local cluster = self._cluster
  local text = value_of.encode(cluster, "item", value)
  local message, id = cluster.wire:seal(self._subject, text), cluster:next_id(0)
  while true do
    if self._closed then
      value_of.drop(cluster, text)
      return nil, failed("closed", what, "it is closed")
    end
    local ok, err = jetstream.publish(cluster.link, self._subject, message, {
      id = id, missing = function() cluster.streams:renew(self._what) end,
    })
    if ok then return true end
    if err.code ~= FULL then core.rethrow(err) end
    local now = core.now()
    if deadline and now >= deadline then
      value_of.drop(cluster, text)
      return nil, what == "try_put" and failed("full", what, "it is full") or failed("timeout", what, "timed out")
    end
    core.sleep(math.min(LOOK, deadline and math.max(0, deadline - now) or LOOK))
    is_closed(self)
  end
end

---Puts a value into the queue. Returns when a server has it. Suspends, also while the queue is full.
---@param value any not nil; use braid.null instead
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
function Queue:put(value, timeout) return put(self, "put", value, errors.deadline(1, "put", timeout)) end

---Like put, but does not wait for room: kind "full". Suspends.
---@param value any
---@return boolean? ok
---@return braid.Error? err
function Queue:try_put(value) return put(self, "try_put", value, core.now()) end

---Puts the values of a list, in order. If it ends early, the error has a field `count`: so many were put. Suspends.
---@param list any[]
---@param timeout number? seconds, for all of them
---@return boolean? ok
---@return braid.Error? err
function Queue:put_many(list, timeout)
  local _, n = items.list("put_many", "list", list)
  local deadline = errors.deadline(1, "put_many", timeout)
  for i = 1, n do
    local ok, err = put(self, "put_many", list[i], deadline)
    if not ok then
      err.count = i - 1
      return nil, err
    end
  end
  return true
end

-- ---- getting --------------------------------------------------------------------------------------------------------

-- A message is the caller's when the server has noted that. A cancel before that leaves it in the queue.
local function take(self, ack, message)
  local body, why = self._cluster.wire:open(self._subject, message)
  if not body then
    self._cluster.link:publish(ack, nil, "+TERM")
    core.rethrow(errors.new("refused", "queue:get: an item is not taken: " .. why))
  end
  local ok, value = pcall(value_of.decode, self._cluster, body, true)
  if not ok and errors.is_echo(value) then
    self._cluster.link:publish(ack, nil, "-NAK")
    core.rethrow(value)
  end
  self._cluster.link:publish(ack, nil, "+ACK")
  if not ok then core.rethrow(value) end
  return value
end

-- Takes the get out of the row of those that wait.
local function leave(self, get)
  for i, each in ipairs(self._gets) do
    if each == get then return table.remove(self._gets, i) end
  end
end

-- An item is for the first get in the row; it goes back if there is none, because a get was cancelled. A status ends
-- one request.
local function take_answer(self, subject, ack, body, status)
  local gets = self._gets
  if not subject then -- nobody is there to answer
    self._gets = {}
    for _, get in ipairs(gets) do
      get.alone = true
      get.came:set()
    end
    return
  end
  if not status then
    local first = table.remove(gets, 1)
    if not first then return self._cluster.link:publish(ack, nil, "-NAK") end
    first.ack, first.body = ack, body
    return first.came:set()
  end
  for i, get in ipairs(gets) do
    if get.inbox == subject and status ~= "100" then
      table.remove(gets, i)
      return get.came:set()
    end
  end
end

-- One request for an item: its acknowledgement address and its bytes; nothing when none came.
local function fetch(self, seconds)
  local cluster = self._cluster
  self._inbox = self._inbox or ("%sq.%s."):format(cluster.link.inbox, cluster:next_id(0))
  if not self._subscribed then
    self._subscribed = true
    cluster.link:subscribe(self._inbox .. "*", function(_, ...) take_answer(self, ...) end)
  end
  self._number = (self._number or 0) + 1
  local get = { came = core.event_new(), inbox = self._inbox .. self._number }
  self._gets[#self._gets + 1] = get
  local waits = seconds > 0
  local request = { batch = 1, expires = waits and math.ceil(seconds * 1e9) or nil, no_wait = not waits or nil }
  cluster.link:publish(self._next, get.inbox, core.json_encode(request))
  local ok, err = pcall(get.came.wait, get.came, seconds + 1)
  leave(self, get)
  if not ok and get.body then cluster.link:publish(get.ack, nil, "-NAK") end
  if not ok then core.rethrow(err) end
  if get.alone then core.sleep(math.min(LOOK, seconds)) end
  return get.ack, get.body
end

local function get(self, what, deadline)
  while true do
    self._cluster.link:ready(core.now() + self._cluster.link.patience)
    local left = deadline and math.max(0, deadline - core.now()) or EXPIRES
    local ack, body = fetch(self, is_closed(self) and 0 or math.min(EXPIRES, left))
    if body then return take(self, ack, body) end
    if is_closed(self) and self:is_empty() then return nil, failed("closed", what, "it is closed") end
    if deadline and core.now() >= deadline then
      return nil, what == "try_get" and failed("empty", what, "it is empty") or failed("timeout", what, "timed out")
    end
  end
end

---Removes and returns the next value. Suspends while the queue is empty.
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout" or "closed"
function Queue:get(timeout) return get(self, "get", errors.deadline(1, "get", timeout)) end

---Like get, but does not wait for an item: kind "empty". Suspends.
---@return any? value
---@return braid.Error? err
function Queue:try_get() return get(self, "try_get", core.now()) end

---Gets up to `max` values: waits for the first one, and takes what else is there. Suspends.
---@param max integer
---@param timeout number? seconds
---@return any[]? values
---@return braid.Error? err kind "timeout" or "closed"
function Queue:get_many(max, timeout)
  max = errors.integer(1, "get_many", "max", max, 1)
  local first, err = get(self, "get_many", errors.deadline(1, "get_many", timeout))
  if err then return nil, err end
  local list = { first }
  for i = 2, max do
    local value, none = self:try_get()
    if none then break end
    list[i] = value
  end
  return list
end

---Iterates over the items until the queue is closed and empty. Each step suspends.
---@return fun(): any
function Queue:items()
  return function()
    local value, err = self:get()
    if err and not errors.is_error(err, "closed") then core.rethrow(err) end
    return value
  end
end

-- ---- what it tells --------------------------------------------------------------------------------------------------

local function info_of(self)
  local info = jetstream.stream(self._cluster.link, stream_of(self))
  return info and info.state or { messages = 0, last_seq = 0 }
end

---The number of items. Suspends.
---@return integer
function Queue:size() return info_of(self).messages end

---Whether the queue has no items. Suspends.
---@return boolean
function Queue:is_empty() return self:size() == 0 end

---The maximal number of items; 0: no limit.
---@return integer
function Queue:maxsize() return self._most end

---Whether the queue has `maxsize` items. Suspends.
---@return boolean
function Queue:is_full() return self._most > 0 and self:size() >= self._most end

---Says that an item from the queue has been processed. Raises kind "misuse" if it is called too often. Suspends.
function Queue:task_done()
  local state = info_of(self)
  local done = self._done:add(1)
  if done <= state.last_seq - state.messages then return end
  self._done:add(-1)
  errors.misuse(1, "queue:task_done: called more often than there were items")
end

---Waits until every item that was put has been processed. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Queue:join(timeout)
  local deadline = errors.deadline(1, "join", timeout)
  while self._done:get() < info_of(self).last_seq do
    local left = deadline and deadline - core.now()
    if left and left <= 0 then return nil, failed("timeout", "join", "timed out") end
    core.sleep(math.min(LOOK, left or LOOK))
  end
  return true
end

-- ---- making one -----------------------------------------------------------------------------------------------------

local KNOWN = { maxsize = "integer", durable = "boolean", order = "string" }

local function prepare(self, durable)
  local cluster = self._cluster
  cluster.streams:need(self._what, {
    retention = "workqueue", discard = "new", max_msgs = self._most > 0 and self._most or -1,
    storage = durable and "file" or nil,
  })
  local ok, err = jetstream.make_consumer(cluster.link, stream_of(self), {
    durable_name = CONSUMER, ack_policy = "explicit", ack_wait = ACK_WAIT * jetstream.SECOND, max_deliver = -1,
    max_ack_pending = -1, deliver_policy = "all",
  })
  if not ok then core.rethrow(err) end
end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@param opts table?
---@param counter fun(cluster: table, name: string): table
---@return braid.cluster.Queue
function M.new(cluster, name, opts, counter)
  errors.check_options(1, "queue", opts, KNOWN)
  errors.check_ranges(1, "queue", opts, { maxsize = { 0 } })
  opts = opts or {}
  if opts.order and opts.order ~= "fifo" then
    errors.misuse(1, "bad option 'order' to 'queue' (queues of a cluster are \"fifo\", got %q)", opts.order)
  end
  local token = kv.token(name)
  local self = setmetatable({
    _cluster = cluster, _what = "queue_" .. token, _most = math.tointeger(opts.maxsize or 0),
    _kv = kv.open(cluster, "kv"), _key = "queue_" .. token, _done = counter(cluster, "queue " .. name), _gets = {},
  }, Queue)
  self._subject = cluster.streams:subject(self._what, "item")
  self._next = ("$JS.API.CONSUMER.MSG.NEXT.%s.%s"):format(stream_of(self), CONSUMER)
  prepare(self, opts.durable)
  return self
end

errors.guard(Queue)

M.Queue = Queue

return M
