-- SPDX-License-Identifier: MIT
--- Queues for tasks, threads and processes. A queue that was never sent to another state passes items by reference. A
--- shared one copies them.

local core = require "braid.core"
local errors = require "braid.errors"
local items = require "braid.items"
local missing = require "braid.missing"

local M = {}

---@class braid.Queue
local Queue = core.Queue

---Puts a value into the queue. Suspends while the queue is full.
---@param value any not nil; use braid.null instead
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
Queue.put = Queue.put

---Removes and returns the next value. Suspends while the queue is empty.
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout" or "closed"
Queue.get = Queue.get

---Like put, but does not wait: kind "full".
---@param value any
---@return boolean? ok
---@return braid.Error? err
Queue.try_put = Queue.try_put

---Like get, but does not wait: kind "empty".
---@return any? value
---@return braid.Error? err
Queue.try_get = Queue.try_get

---Iterates over the items until the queue is closed and empty. Each step suspends. Raises if a get fails otherwise:
---kind "worker_died" if the process of the queue has ended, kind "system" if an item could not be received.
---@return fun(): any
Queue.items = Queue.items

---Says that an item from the queue has been processed. Raises kind "misuse" if it is called too often.
Queue.task_done = Queue.task_done

---Waits until every item that was put has been processed (see task_done). Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
Queue.join = Queue.join

---The number of items.
---@return integer
Queue.size = Queue.size

---The maximal number of items; 0: no limit.
---@return integer
Queue.maxsize = Queue.maxsize

---Whether the queue has `maxsize` items.
---@return boolean
Queue.is_full = Queue.is_full

---Whether the queue has no items.
---@return boolean
Queue.is_empty = Queue.is_empty

---Whether the queue is closed.
---@return boolean
Queue.closed = Queue.closed

local function remaining(deadline)
  return deadline and math.max(0, deadline - core.now())
end

-- Adds to an error of braid how many values were put before it.
local function counted(err, count)
  if errors.is_error(err) then err.count = count end
  return err
end

---Puts the values of a list, in order. Suspends. If it ends early, the error has a field `count`: so many values, the
---first ones of the list, were put. That is also true for errors that it raises (a cancel, a value that cannot be
---sent).
---@param list any[]
---@param timeout number? seconds, for all values together
---@return boolean? ok
---@return braid.Error? err kind "timeout" or "closed"
function Queue:put_many(list, timeout)
  local _, n = items.list("put_many", "list", list)
  local deadline = errors.deadline(1, "put_many", timeout)
  for i = 1, n do
    if list[i] == nil then
      errors.misuse(1, "bad argument 'list' to 'put_many' (element %d is nil: braid.null stands for nothing)", i)
    end
  end
  local put, count = self.put, 0
  local ok, refusal = pcall(function()
    core.look()
    for i = 1, n do
      local taken, err = put(self, list[i], remaining(deadline))
      if not taken then return err end
      count = i
    end
  end)
  if not ok then core.rethrow(counted(refusal, count)) end
  if refusal then return nil, counted(refusal, count) end
  return true
end

---Gets up to `max` values: waits for the first one, and takes what else is there. Suspends.
---@param max integer
---@param timeout number? seconds
---@return any[]? values
---@return braid.Error? err kind "timeout" or "closed"; with values: kind "system", a further item could not be received
function Queue:get_many(max, timeout)
  max = errors.integer(1, "get_many", "max", max, 1)
  errors.deadline(1, "get_many", timeout)
  local first, err = self:get(timeout)
  if err then return nil, err end
  local list = { first }
  for i = 2, max do
    local value, none = self:try_get()
    if none then return list, none.kind == "system" and none or nil end
    list[i] = value
  end
  return list
end

local close_options = { immediate = "boolean" }

---Closes the queue: puts fail from now on. Gets return the items that are left, and then fail with kind "closed".
---`immediate = true` drops the items, and ends all waiting gets, puts and joins.
---@param opts { immediate: boolean? }?
function Queue:close(opts)
  errors.check_options(1, "close", opts, close_options)
  self:_close(opts ~= nil and opts.immediate == true)
end

M.living = setmetatable({}, { __mode = "k" }) -- the queues of this state, for braid.metrics

local queue_options = { order = "string" }
local orders = { fifo = true, lifo = true, priority = true }

---Makes a queue.
---@param maxsize integer? 0 or nil: no limit
---@param opts { order: "fifo"|"lifo"|"priority"? }? default "fifo". priority: items are numbers, or lists that begin
--- with one; the smallest is got first, equal ones in the order of their puts
---@return braid.Queue
function M.queue(maxsize, opts)
  if type(maxsize) == "table" then
    errors.misuse(1, "bad argument 'maxsize' to 'queue' (an integer expected, got a table): write braid.queue(%s)",
      math.tointeger(maxsize.maxsize) or 10)
  end
  if maxsize ~= nil then maxsize = errors.integer(1, "queue", "maxsize", maxsize, 0) end
  errors.check_options(1, "queue", opts, queue_options)
  local order = opts and opts.order or "fifo"
  if not orders[order] then
    errors.misuse(1, "bad option 'order' to 'queue' (\"fifo\", \"lifo\" or \"priority\" expected, got %q)", order)
  end
  local made = core.queue_new(maxsize or 0, order)
  M.living[made] = true
  return made
end

errors.guard(Queue)
missing.methods(Queue, "queue")

return M
