-- SPDX-License-Identifier: MIT
--- Pools of resources, like connections: they are made when they are needed, lent to one holder at a time, and reused.
--- A pool belongs to one Lua state.

local core = require "braid.core"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local queues = require "braid.sync.queue"
local primitives = require "braid.sync.primitives"
local scopes = require "braid.tasks.scope"

local M = {}

---@class braid.ResourcePool
---@field private _options table
---@field private _turns braid.Queue one value for each resource that may still be lent
---@field private _idle table[] the one that was returned last is at the end
---@field private _drained braid.Event the pool is closed and nothing is lent
local ResourcePool = { __name = "braid.resource_pool" }
ResourcePool.__index = ResourcePool

---A lent resource. Its holder returns it by `<close>`, or by calling a method.
---@class braid.Lease
---@field resource any nil after it was returned
local Lease = { __name = "braid.lease" }
Lease.__index = Lease

-- ---- resources -----------------------------------------------------------------------------------------------------

-- The entries of a pool: { resource, made, uses, since }. Times are seconds of braid.now().

local function worn_out(self, entry, now)
  local options = self._options
  return (options.max_age and now - entry.made >= options.max_age) or
    (options.max_uses and entry.uses >= options.max_uses) or false
end

-- Errors of `destroy` are only reported: the holder may be cancelled, and its own error is more important.
local function destroy(self, entry)
  self._open = self._open - 1
  self._destroyed = self._destroyed + 1
  local fn = self._options.destroy
  if not fn then return end
  local ok, err, place = errors.try(scopes.shield, fn, entry.resource)
  if not ok and not errors.is_echo(err) then errors.report(err, place, self._label .. ": destroy") end
end

-- Returns an entry; or nil and the error of `create`. A resource counts as open while it is being made.
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

-- Takes the resource that was returned last and is still good, or makes a new one.
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

-- ---- idle resources ------------------------------------------------------------------------------------------------

-- Destroys resources that were idle for too long, the oldest first, while more than `min` are open.
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

local function put_idle(self, entry)
  if self._closed then return destroy(self, entry) end
  entry.since = core.now()
  self._idle[#self._idle + 1] = entry
  if not self._reaper and self._open > self._options.min then self._reaper = daemon.start(reap, self) end
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

---Returns the resource to the pool.
function Lease:release() end_lease(self, false) end

---Returns the resource; the pool destroys it. May suspend, if `destroy` does.
function Lease:discard() end_lease(self, true) end

---Says that the resource is good: it is not discarded even if the holder then fails or is cancelled.
function Lease:keep() self._kept = true end

function Lease:__close(err) end_lease(self, err ~= nil and not self._kept) end

-- The lease was never returned. A finalizer cannot wait, so a task destroys the resource.
function Lease:__gc()
  if not self._entry then return end
  errors.report(errors.new("misuse", self._pool._label ..
    ": a lease was never given back: write `local lease <close> = pool:acquire()`"))
  pcall(daemon.start, end_lease, self, true)
end

-- ---- the pool ------------------------------------------------------------------------------------------------------

local function closed_error(self) return errors.new("closed", self._label .. " is closed") end

local function timed_out() return nil, errors.new("timeout", "resource_pool:acquire: timed out") end

-- take(), with a deadline.
local function take_until(self, deadline)
  if not deadline then return take(self) end
  local left = deadline - core.now()
  local in_time, entry, err = scopes.move_on_after(left > 0 and left or 0, take, self)
  if not in_time then return timed_out() end
  return entry, err
end

-- Returns true; or nil and the error if the pool has no free place.
local function take_turn(self, timeout)
  self._waiting = self._waiting + 1
  local ok, turn, err = pcall(self._turns.get, self._turns, timeout)
  self._waiting = self._waiting - 1
  if not ok then core.rethrow(turn) end
  if turn then return true end
  if err.kind == "closed" then return nil, closed_error(self) end
  return timed_out()
end

---Lends a resource: an idle one, or a new one, or, if all are lent, the next one that is returned. FIFO order.
---Suspends. Raises errors of `create` and `check`.
---@param timeout number? seconds, including the time to make a resource
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

---Calls fn with a resource. If fn raises or is cancelled, the resource is discarded. Suspends.
---@param fn fun(resource: any, ...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if there is no resource
function ResourcePool:with(fn, ...)
  errors.check_function(1, "with", "fn", fn)
  local lease <close>, err = self:acquire()
  if not lease then return nil, err end
  return fn(lease.resource, ...)
end

---The numbers of resources that are open, idle and lent, of waiting tasks, and of resources made, destroyed and reused.
---@return { open: integer, idle: integer, leased: integer, waiting: integer, created: integer,
--- destroyed: integer, reused: integer }
function ResourcePool:stats()
  return {
    open = self._open, idle = #self._idle, leased = self._leased, waiting = self._waiting, created = self._created,
    destroyed = self._destroyed, reused = self._reused,
  }
end

local close_options = { wait = "boolean" }

---Closes the pool: it lends nothing more (kind "closed") and destroys idle resources. Waits until the holders have
---returned theirs. Suspends.
---@param opts { wait: boolean? }? wait: for the holders; default true
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

-- ---- making a pool -------------------------------------------------------------------------------------------------

-- Makes the first `min` resources. Each takes a place first, so no more than `max` are ever open. While it waits for a
-- place, others may make enough.
local function fill(self)
  local min = self._options.min
  while self._open < min and take_turn(self) do
    self._leased = self._leased + 1
    local ok, entry, err = true, nil, nil
    if self._open < min then ok, entry, err = errors.try(create, self) end
    if ok and entry then put_idle(self, entry) end
    give_turn_back(self)
    if not ok then core.rethrow(entry, err) end
    if not entry then return end -- the next acquire reports the error
  end
end

local known = {
  create = "function", destroy = "function", check = "function", max = "number", min = "number", idle_time = "number",
  max_age = "number", max_uses = "number", name = "string",
}

---@class braid.ResourcePoolOptions
---@field create fun(): any makes a resource, or returns nil and an error. May suspend
---@field destroy fun(resource: any)? destroys one. May suspend. Its errors are reported
---@field check (fun(resource: any): boolean)? whether an idle resource is still good. May suspend
---@field max integer? most open resources; default 10
---@field min integer? resources that stay open when idle; default 0
---@field idle_time number? seconds after which an idle one is destroyed; default 60
---@field max_age number? seconds after which one is not lent again
---@field max_uses integer? how often one is lent
---@field name string? used in errors

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
  if min > 0 then daemon.start(fill, self) end
  return self
end

errors.guard(ResourcePool)
errors.guard(Lease)

return M
