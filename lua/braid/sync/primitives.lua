-- SPDX-License-Identifier: MIT
--- Lock, semaphore, event, condition, barrier, counter. Waiting tasks are served in FIFO order. If the object lives in
--- another process, methods that return something other than `ok` suspend, too: they wait for its answer.

local core = require "braid.core"
local errors = require "braid.errors"
local missing = require "braid.missing"

local M = {}

-- ---- lock ----------------------------------------------------------------------------------------------------------

---@class braid.Lock
local Lock = core.Lock

---Takes the lock. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; "owner_died": its last owner ended while holding it, so take it again
Lock.acquire = Lock.acquire

---Like acquire, but does not wait: kind "empty".
---@return boolean? ok
---@return braid.Error? err
Lock.try_acquire = Lock.try_acquire

---Releases the lock. Raises kind "misuse" if the task is not its owner.
Lock.release = Lock.release

---Whether the lock is held.
---@return boolean
Lock.locked = Lock.locked

---Takes the lock for a `<close>` variable: `local held <close> = lock:hold()`. Suspends.
---@param timeout number? seconds
---@return braid.Lock? held
---@return braid.Error? err as acquire's
Lock.hold = Lock.hold

-- Calls fn while it holds the lock, or one unit of the semaphore.
local function with(self, fn, ...)
  errors.check_function(1, "with", "fn", fn)
  local held <close>, err = self:hold()
  if not held then return nil, err end
  return fn(...)
end

---Calls fn with the lock held. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if the lock could not be taken
Lock.with = with

---Makes a lock.
---@return braid.Lock
M.lock = core.lock_new

-- ---- semaphore -----------------------------------------------------------------------------------------------------

---@class braid.Semaphore: braid.Lock
local Semaphore = core.Semaphore

Semaphore.with = with

---Releases units. Raises kind "misuse" if more are released than were acquired, unless the semaphore is unbounded.
---@param count integer? default 1
Semaphore.release = Semaphore.release

---The number of free units.
---@return integer
Semaphore.value = Semaphore.value

local semaphore_options = { unbounded = "boolean" }

---Makes a semaphore with n units.
---@param n integer
---@param opts { unbounded: boolean? }? unbounded: it may be released more often than acquired
---@return braid.Semaphore
function M.semaphore(n, opts)
  n = errors.integer(1, "semaphore", "n", n, 0)
  errors.check_options(1, "semaphore", opts, semaphore_options)
  return (core.semaphore_new(n, opts and opts.unbounded)) -- parentheses: no tail call, so errors name this function
end

-- ---- event ---------------------------------------------------------------------------------------------------------

---@class braid.Event
local Event = core.Event

---Waits until the event is set. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
Event.wait = Event.wait

---Sets the event: all waiting tasks go on.
Event.set = Event.set

---Clears the event.
Event.clear = Event.clear

---Whether the event is set.
---@return boolean
Event.is_set = Event.is_set

---Makes an event that is not set.
---@return braid.Event
M.event = core.event_new

-- ---- condition -----------------------------------------------------------------------------------------------------

---A condition. It also has the methods of its lock.
---@class braid.Condition: braid.Lock
local Condition = core.Condition

---Releases the lock, waits for a notification, and takes the lock again, even if the wait fails. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"
Condition.wait = Condition.wait

---Wakes n waiting tasks.
---@param n integer? default 1
Condition.notify = Condition.notify

---Wakes all waiting tasks.
Condition.notify_all = Condition.notify_all

---Its lock.
---@return braid.Lock
Condition.lock = Condition.lock

---Waits until the predicate returns a true value, and returns that. After a timeout the predicate is called once more.
---Suspends.
---@param predicate fun(): any
---@param timeout number? seconds
---@return any? value
---@return braid.Error? err kind "timeout"
function Condition:wait_for(predicate, timeout)
  errors.check_function(1, "wait_for", "predicate", predicate)
  local deadline = errors.deadline(1, "wait_for", timeout)
  core.look()
  while true do
    local value = predicate()
    if value then return value end
    local ok, err = self:wait(deadline and math.max(0, deadline - core.now()))
    if not ok then
      value = err.kind == "timeout" and predicate()
      if value then return value end
      return nil, err
    end
  end
end

for _, verb in ipairs { "try_acquire", "hold", "with", "locked" } do
  Condition[verb] = function(self, ...)
    local lock = self:lock()
    return lock[verb](lock, ...)
  end
end

---Takes the lock. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; "owner_died": its last owner ended while holding it, so take it again
function Condition:acquire(timeout)
  if getmetatable(self) ~= Condition then errors.no_self(1, Condition, "acquire", self) end
  return self:lock():acquire(timeout)
end

---Releases the lock. Raises kind "misuse" if the task is not its owner.
function Condition:release()
  if getmetatable(self) ~= Condition then errors.no_self(1, Condition, "release", self) end
  return self:lock():release()
end

---Makes a condition with this lock, or with a new one.
---@param lock braid.Lock?
---@return braid.Condition
function M.condition(lock)
  if lock ~= nil and getmetatable(lock) ~= Lock then
    errors.misuse(1, "bad argument 'lock' to 'condition' (a lock expected, got %s)", errors.text(lock))
  end
  return (core.condition_new(lock or core.lock_new()))
end

-- ---- barrier -------------------------------------------------------------------------------------------------------

---@class braid.Barrier
local Barrier = core.Barrier

---Waits until n tasks wait. A wait that times out or is cancelled breaks the barrier for the others. Suspends.
---@param timeout number? seconds
---@return integer? turn 1 for the first task, n for the last
---@return braid.Error? err kind "timeout" or "broken"
Barrier.wait = Barrier.wait

---Breaks the barrier: tasks that wait, and tasks that come before it is reset, get kind "broken".
Barrier.abort = Barrier.abort

---Makes the barrier new again: waiting tasks get kind "broken".
Barrier.reset = Barrier.reset

---Makes a barrier for n tasks.
---@param n integer
---@return braid.Barrier
function M.barrier(n)
  return (core.barrier_new(errors.integer(1, "barrier", "n", n, 1)))
end

-- ---- counter -------------------------------------------------------------------------------------------------------

---@class braid.Counter
local Counter = core.Counter

---Adds n, atomically.
---@param n integer? default 1
---@return integer value after the addition
Counter.add = Counter.add

---The value.
---@return integer
Counter.get = Counter.get

---Sets the value.
---@param value integer
Counter.set = Counter.set

---Makes a counter.
---@param start integer? default 0
---@return braid.Counter
M.counter = core.counter_new

errors.guard(Lock)
errors.guard(Semaphore)
errors.guard(Condition, Condition, { acquire = true, release = true })

missing.methods(Lock, "lock")
missing.methods(Semaphore, "semaphore")
missing.methods(Event, "event")
missing.methods(Condition, "condition")
missing.methods(Barrier, "barrier")
missing.methods(Counter, "counter")

return M
