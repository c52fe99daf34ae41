-- SPDX-License-Identifier: MIT
--- Pools of resources: connections and the like, which are made when they are needed, lent to one holder at a time, and
--- used again. A pool belongs to one Lua state.

local core = require "braid.core"
local errors = require "braid.errors"
local queues = require "braid.sync.queue"
local primitives = require "braid.sync.primitives"
local scopes = require "braid.tasks.scope"

local M = {}

---@class braid.ResourcePool
---@field private _options table
---@field private _turns braid.Queue as many values as resources may still be lent
---@field private _idle table[] the one that was given back last is at the end
---@field private _drained braid.Event the pool is closed and nothing is lent
local ResourcePool = { __name = "braid.resource_pool" }
ResourcePool.__index = ResourcePool

---A resource that is lent, until its holder gives it back: by `<close>`, or by one of its methods.
---@class braid.Lease
---@field resource any nil once it is given back
local Lease = { __name = "braid.lease" }
Lease.__index = Lease

-- ---- resources -----------------------------------------------------------------------------------------------------

-- What is in the pool: { resource, made, uses, since }, times in seconds of braid.now().

local function worn_out(self, entry, now)
  local options = self._options
  return (options.max_age and now - entry.made >= options.max_age) or
    (options.max_uses and entry.uses >= options.max_uses) or false
end

-- The holder may be cancelled, and its error is the one that counts: what goes wrong here is reported.
local function destroy(self, entry)
  self._open = self._open - 1
  self._destroyed = self._destroyed + 1
  local fn = self._options.destroy
  if not fn then return end
  local ok, err, place = errors.try(scopes.shield, fn, entry.resource)
  if not ok and not errors.is_echo(err) then errors.report(err, place, self._label .. ": destroy") end
end

-- -> entry; or nil and what `create` said. One that is being made counts as open.
local function create(self)
  self._open = self._open + 1
  local ok, resource, err = errors.try(self._options.create)
  if ok and resource ~= nil then
    self._created = self._created + 1
    return { resource = resource, made = core.now(), uses = 0 }
  end
  self._open = self._open - 1
  if not ok then core.rethrow(resource, err) end
  return nil, err or errors.new("misuse", self._label .. ": `create` returned nothing")
end

local function passes_check(self, entry)
  local check = self._options.check
  if not check then return true end
  local ok, good, place = errors.try(check, entry.resource)
  if not ok then
    destroy(self, entry)
    core.rethrow(good, place)
  end
  return good
end

-- The last one that was given back and is still good, or a new one.
local function take(self)
  while true do
    local entry = table.remove(self._idle)
    if not entry then return create(self) end
    if not worn_out(self, entry, core.now()) and passes_check(self, entry) then
      self._reused = self._reused + 1
      return entry
    end
    destroy(self, entry)
  end
end

-- ---- idle ones -----------------------------------------------------------------------------------------------------

-- Ends what has been idle for too long, the oldest first, as long as more than `min` are open.
local function reap(self)
  local options = self._options
  while self._idle[1] and self._open > options.min do
    local left = self._idle[1].since + options.idle_time - core.now()
    if left > 0 then
      core.sleep(left)
    else
      destroy(self, table.remove(self._idle, 1))
    end
  end
  self._reaper = nil
end

-- A task of its own, for which nobody waits: it belongs to no scope.
local function start(fn, ...)
  local task = core.prepare(fn, ...)
  task:daemon()
  core.start(task)
  return task
end

local function put_idle(self, entry)
  if self._closed then return destroy(self, entry) end
  entry.since = core.now()
  self._idle[#self._idle + 1] = entry
  if not self._reaper and self._open > self._options.min then self._reaper = start(reap, self) end
end

-- ---- leases --------------------------------------------------------------------------------------------------------

local function give_turn_back(self)
  self._leased = self._leased - 1
  if not self._turns:closed() then self._turns:try_put(true) end
  if self._closed and self._leased == 0 then self._drained:set() end
end

local function give_back(self, entry, discard)
  entry.uses = entry.uses + 1
  if discard or worn_out(self, entry, core.now()) then
    destroy(self, entry)
  else
    put_idle(self, entry)
  end
  give_turn_back(self)
end

local function end_lease(lease, discard)
  local pool, entry = lease._pool, lease._entry
  lease.resource, lease._entry = nil, nil
  if entry then give_back(pool, entry, discard) end
end

---Gives the resource back: the next holder has it.
function Lease:release() end_lease(self, false) end

---Gives it back to be destroyed. May suspend, as `destroy` does.
function Lease:discard() end_lease(self, true) end

---The resource is good, though the holder fails or is cancelled: it is not discarded then.
function Lease:keep() self._kept = true end

function Lease:__close(err) end_lease(self, err ~= nil and not self._kept) end

-- Nobody has given it back. A finalizer cannot wait, so a task destroys the resource.
function Lease:__gc()
  if not self._entry then return end
  errors.report(errors.new("misuse", self._pool._label ..
    ": a lease was never given back: write `local lease <close> = pool:acquire()`"))
  pcall(start, end_lease, self, true)
end

-- ---- the pool ------------------------------------------------------------------------------------------------------

local function closed_error(self) return errors.new("closed", self._label .. " is closed") end

local function timed_out() return nil, errors.new("timeout", "resource_pool:acquire: timed out") end

-- take, for so long at most
local function take_until(self, deadline)
  if not deadline then return take(self) end
  local left = deadline - core.now()
  local in_time, entry, err = scopes.move_on_after(left > 0 and left or 0, take, self)
  if not in_time then return timed_out() end
  return entry, err
end

-- -> true; or nil and why there is no turn
local function take_turn(self, timeout)
  self._waiting = self._waiting + 1
  local ok, turn, err = pcall(self._turns.get, self._turns, timeout)
  self._waiting = self._waiting - 1
  if not ok then core.rethrow(turn) end
  if turn then return true end
  if err.kind == "closed" then return nil, closed_error(self) end
  return timed_out()
end

---Lends a resource: one that is idle, or a new one, or, when all are lent, the next that is given back. First come,
---first served. Suspends. What `create` and `check` raise is raised.
---@param timeout number? seconds, for making one, too
---@return braid.Lease? lease
---@return any? err kind "timeout" or "closed"; or what `create` returned as its second value
function ResourcePool:acquire(timeout)
  local deadline = errors.deadline(1, "acquire", timeout)
  if self._closed then return nil, closed_error(self) end
  local turn, refusal = take_turn(self, timeout)
  if not turn then return nil, refusal end
  self._leased = self._leased + 1
  local ok, entry, err = errors.try(take_until, self, deadline)
  if ok and entry then
    return setmetatable({ resource = entry.resource, _entry = entry, _pool = self }, Lease)
  end
  give_turn_back(self)
  if not ok then core.rethrow(entry, err) end
  return nil, err
end

---Calls fn with a resource. When fn raises, or is cancelled, the resource is discarded. Suspends.
---@param fn fun(resource: any, ...): ...
---@param ... any
---@return any ... what fn returned; nil and an error when there is no resource
function ResourcePool:with(fn, ...)
  errors.check_function(1, "with", "fn", fn)
  local lease <close>, err = self:acquire()
  if not lease then return nil, err end
  return fn(lease.resource, ...)
end

---How many are open, idle and lent, how many tasks wait, and how often a resource was made, ended and used again.
---@return { open: integer, idle: integer, leased: integer, waiting: integer, created: integer,
--- destroyed: integer, reused: integer }
function ResourcePool:stats()
  return {
    open = self._open, idle = #self._idle, leased = self._leased, waiting = self._waiting, created = self._created,
    destroyed = self._destroyed, reused = self._reused,
  }
end

local close_options = { wait = "boolean" }

---Lends nothing more (kind "closed"), ends what is idle, and waits until the holders have given back theirs. Suspends.
---@param opts { wait: boolean? }? wait: default true
function ResourcePool:close(opts)
  errors.check_options(1, "close", opts, close_options)
  self._closed = true
  self._turns:close { immediate = true }
  if self._reaper then self._reaper:cancel() end
  self._reaper = nil
  while self._idle[1] do destroy(self, table.remove(self._idle)) end
  if self._leased > 0 and not (opts and opts.wait == false) then self._drained:wait() end
end

function ResourcePool:__close() self:close() end

-- ---- making one ----------------------------------------------------------------------------------------------------

-- Makes the first `min`, each in a turn like any other, so that no more than `max` are ever open.
local function fill(self)
  while self._open < self._options.min and take_turn(self) do
    self._leased = self._leased + 1
    local ok, entry, err = errors.try(create, self)
    if ok and entry then put_idle(self, entry) end
    give_turn_back(self)
    if not ok then core.rethrow(entry, err) end
    if not entry then return end -- who asks for one will be told
  end
end

local known = {
  create = "function", destroy = "function", check = "function", max = "number", min = "number", idle_time = "number",
  max_age = "number", max_uses = "number", name = "string",
}

---@class braid.ResourcePoolOptions
---@field create fun(): any makes a resource, or returns nil and an error. May suspend
---@field destroy fun(resource: any)? ends one. May suspend. What it raises is reported
---@field check (fun(resource: any): boolean)? whether one that was idle is still good. May suspend
---@field max integer? so many at once: 10
---@field min integer? so many stay open: 0
---@field idle_time number? seconds after which an idle one is ended: 60
---@field max_age number? seconds after which one is not lent again
---@field max_uses integer? how often one is lent
---@field name string? for errors

---Makes a pool of resources.
---@param opts braid.ResourcePoolOptions
---@return braid.ResourcePool
function M.resource_pool(opts)
  errors.check_options(1, "resource_pool", opts, known)
  opts = opts or {}
  errors.check_function(1, "resource_pool", "create", opts.create)
  errors.check_seconds(1, "resource_pool", opts, "idle_time")
  errors.check_seconds(1, "resource_pool", opts, "max_age")
  local max = errors.integer(1, "resource_pool", "max", opts.max or 10, 1)
  local min = errors.integer(1, "resource_pool", "min", opts.min or 0, 0)
  if min > max then errors.misuse(1, "resource_pool: min must not be above max") end
  if opts.max_uses then errors.integer(1, "resource_pool", "max_uses", opts.max_uses, 1) end
  local options = {
    create = opts.create, destroy = opts.destroy, check = opts.check, min = min, idle_time = opts.idle_time or 60,
    max_age = opts.max_age, max_uses = opts.max_uses,
  }
  local self = setmetatable({
    _options = options, _label = "resource_pool" .. (opts.name and " " .. opts.name or ""), _turns = queues.queue(max),
    _drained = primitives.event(), _idle = {}, _open = 0, _leased = 0, _waiting = 0, _created = 0, _destroyed = 0,
    _reused = 0,
  }, ResourcePool)
  for _ = 1, max do self._turns:try_put(true) end
  if min > 0 then start(fill, self) end
  return self
end

errors.guard(ResourcePool)
errors.guard(Lease)

return M
