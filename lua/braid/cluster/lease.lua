-- SPDX-License-Identifier: MIT
--- Locks and semaphores of a cluster. Who holds one has a lease, and renews it while its process lives. A lease that is
--- not renewed is over when the others have seen it unchanged for as long as it lasts, on their own clocks.

local core = require "braid.core"
local errors = require "braid.errors"
local kv = require "braid.cluster.kv"
local link_of = require "braid.cluster.link"

local M = {}

local LEASE = 10 -- seconds
local PAUSE = 0.02 -- seconds at most before another try after a collision

---A lock that belongs to one task of one machine at a time.
---@class braid.cluster.Lock
---@field token integer? grows with each owner: what the lock protects can refuse smaller ones
---@field private _cluster braid.cluster.Cluster
---@field private _kv braid.cluster.Kv
---@field private _key string
---@field private _units integer
---@field private _lease number
---@field private _seen table<string, table> holder -> its beat, and since when it is the same
---@field private _mine table<string, table> our leases: holder -> { task, token, renewed }
local Lock = { __name = "braid.cluster.lock" }
Lock.__index = Lock

---A semaphore whose units are leases.
---@class braid.cluster.Semaphore: braid.cluster.Lock
local Semaphore = { __name = "braid.cluster.semaphore" }

-- ---- the state on the servers: { holders = { [holder] = beat }, died = true? } --------------------------------------

local function read(self)
  local text, revision = self._kv:get(self._key)
  return text and core.json_decode(text) or { holders = {} }, revision
end

local function write(self, state, revision)
  return self._kv:put(self._key, core.json_encode(state), revision)
end

-- Changes the state until nobody else has changed it meanwhile. fn(state) -> whether to write it, and a result.
local function change(self, fn)
  while true do
    local state, revision = read(self)
    local writes, result = fn(state, revision)
    if not writes then return result end
    local written = write(self, state, revision)
    if written then return result, written end
    core.sleep(math.random() * PAUSE)
  end
end

-- Takes out the holders whose leases are over. Returns whether there were any.
local function reap(self, state)
  local now, found = core.now(), false
  for holder, beat in pairs(state.holders) do
    local seen = self._seen[holder]
    if not seen or seen.beat ~= beat then
      self._seen[holder] = { beat = beat, since = now }
    elseif now - seen.since > self._lease and not self._mine[holder] then
      state.holders[holder], self._seen[holder], found = nil, nil, true
    end
  end
  for holder in pairs(self._seen) do
    if state.holders[holder] == nil then self._seen[holder] = nil end
  end
  return found
end

local function count(holders)
  local n = 0
  for _ in pairs(holders) do n = n + 1 end
  return n
end

-- ---- renewing -------------------------------------------------------------------------------------------------------

local function lose(self, holder)
  self._mine[holder] = nil
  if next(self._mine) == nil then self._rest:set() end
  if self._lock then self.token = nil end
end

local function renew_all(self)
  local lost = {}
  local _, written = change(self, function(state)
    local any = false
    for holder in pairs(self._mine) do
      lost[holder] = state.holders[holder] == nil or nil
      if state.holders[holder] then
        state.holders[holder], any = state.holders[holder] + 1, true
      end
    end
    return any
  end)
  local now = core.now()
  for holder in pairs(lost) do lose(self, holder) end
  for _, mine in pairs(self._mine) do mine.renewed = written and now or mine.renewed end
end

local function keep(self)
  while next(self._mine) and not self._cluster.closed do
    self._rest:clear()
    self._rest:wait(self._lease / 4)
    if next(self._mine) then pcall(renew_all, self) end
    for holder, mine in pairs(self._mine) do
      if core.now() - mine.renewed > self._lease then lose(self, holder) end
    end
  end
  self._keeping = false
end

-- ---- taking and giving back -----------------------------------------------------------------------------------------

-- A task that ends while it holds the lock: the next one is told.
local function abandon(self, holder)
  if not self._mine[holder] then return end
  lose(self, holder)
  link_of.start(pcall, change, self, function(state)
    local held = state.holders[holder] ~= nil
    state.holders[holder] = nil
    if held and self._lock then state.died = true end
    return held
  end)
end

local function take_over(self, holder, token)
  local task = core.current()
  self._mine[holder] = { task = task, token = token, renewed = core.now() }
  if self._lock then self.token = token end
  if task and self._lock then task:on_done(function() abandon(self, holder) end) end
  if not self._keeping then
    self._keeping = true
    link_of.start(keep, self)
  end
end

local function owner_died()
  return errors.new("owner_died", "lock:acquire: its last owner ended while holding it")
end

-- One attempt. Returns true; "died": the owner had died; nil: it is taken.
local function try(self)
  local holder = self._cluster:next_id(0)
  local result, revision = change(self, function(state)
    local reaped = reap(self, state)
    if self._lock and (reaped or state.died) then
      state.died = nil
      return true, "died"
    end
    if count(state.holders) >= self._units then return reaped, nil end
    state.holders[holder] = 1
    return true, true
  end)
  if result == true then take_over(self, holder, revision) end
  return result
end

-- The cluster is closed: its leases end by themselves.
function Lock:_stop() self._rest:set() end

local function own(self, task)
  for holder, mine in pairs(self._mine) do
    if not self._lock or mine.task == task then return holder end
  end
end

---Takes it. Suspends.
---@param timeout number? seconds
---@return boolean? ok
---@return braid.Error? err kind "timeout"; of a lock "owner_died": its last owner ended while holding it, so take it
--- again
function Lock:acquire(timeout)
  local deadline = errors.deadline(1, "acquire", timeout)
  if self._lock and own(self, core.current()) then errors.misuse(1, "lock:acquire: this task has it already") end
  local result = self._kv:wait(self._key, deadline, function() return try(self) end)
  if result == "died" then return nil, owner_died() end
  if result then return true end
  return nil, errors.new("timeout", ("%s:acquire: timed out"):format(self._name))
end

---Like acquire, but does not wait for others: kind "empty". Suspends.
---@return boolean? ok
---@return braid.Error? err
function Lock:try_acquire()
  local result = try(self)
  if result == "died" then return nil, owner_died() end
  if result then return true end
  return nil, errors.new("empty", ("%s:try_acquire: it is taken"):format(self._name))
end

local function release_one(self)
  local holder = own(self, core.current())
  if not holder then
    errors.misuse(2, self._lock and "lock:release: this task does not have it, or its lease is over"
      or "semaphore:release: more than was acquired, or its lease is over")
  end
  lose(self, holder)
  change(self, function(state)
    local held = state.holders[holder] ~= nil
    state.holders[holder] = nil
    return held
  end)
end

---Releases it. Raises kind "misuse" if the task does not have it, also when its lease is over. Suspends.
function Lock:release() release_one(self) end

---Whether somebody has it. Suspends.
---@return boolean
function Lock:locked()
  local state = read(self)
  reap(self, state)
  return count(state.holders) >= self._units
end

local Held = { __close = function(held) if own(held.of, core.current()) then held.of:release() end end }

---Takes it for a `<close>` variable. Suspends.
---@param timeout number? seconds
---@return table? held
---@return braid.Error? err as acquire's
function Lock:hold(timeout)
  local ok, err = self:acquire(timeout)
  if not ok then return nil, err end
  return setmetatable({ of = self }, Held)
end

---Calls fn while it is held. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned; nil and an error if it could not be taken
function Lock:with(fn, ...)
  errors.check_function(1, "with", "fn", fn)
  local held <close>, err = self:hold()
  if not held then return nil, err end
  return fn(...)
end

for name, method in pairs(Lock) do
  if name:sub(1, 2) ~= "__" then Semaphore[name] = method end
end
Semaphore.__index = Semaphore

---Releases units. Raises kind "misuse" if this process has not so many. Suspends.
---@param n integer? default 1
function Semaphore:release(n)
  n = n == nil and 1 or errors.integer(1, "release", "count", n, 1)
  if n > count(self._mine) then errors.misuse(1, "semaphore:release: more than was acquired, or its lease is over") end
  for _ = 1, n do release_one(self) end
end

---The number of free units. Suspends.
---@return integer
function Semaphore:value()
  local state = read(self)
  reap(self, state)
  return math.max(0, self._units - count(state.holders))
end

-- ---- making them ----------------------------------------------------------------------------------------------------

local function make(class, cluster, name, units, opts)
  local what = class == Lock and "lock" or "semaphore"
  errors.check_options(2, what, opts, { lease = "number" })
  errors.check_ranges(2, what, opts, { lease = { 1, 86400 } })
  return setmetatable({
    _cluster = cluster, _kv = kv.open(cluster, "kv"), _key = ("%s_%s"):format(what, kv.token(name)), _units = units,
    _lease = opts and opts.lease or LEASE, _seen = {}, _mine = {}, _rest = core.event_new(), _lock = class == Lock,
    _name = what,
  }, class)
end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@param opts table?
---@return braid.cluster.Lock
function M.lock(cluster, name, opts) return make(Lock, cluster, name, 1, opts) end

---@private
---@param cluster braid.cluster.Cluster
---@param name string
---@param n integer
---@param opts table?
---@return braid.cluster.Semaphore
function M.semaphore(cluster, name, n, opts)
  return make(Semaphore, cluster, name, errors.integer(2, "semaphore", "n", n, 1), opts)
end

errors.guard(Lock)
errors.guard(Semaphore)

M.Lock, M.Semaphore = Lock, Semaphore

return M
