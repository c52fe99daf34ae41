-- SPDX-License-Identifier: MIT
--- Rate limits: so many units in so many seconds, for tasks, threads and processes together.
---
--- The limiter stores one time: when all units that were given will be paid for. A unit costs per / rate seconds. It
--- is free when the unpaid units are at most the burst. A task reserves its units at once, and then sleeps until they
--- are free; so tasks are served in FIFO order. (This is the generic cell rate algorithm of ITU-T I.371.)

local core = require "braid.core"
local errors = require "braid.errors"
local dicts = require "braid.sync.dict"
local scopes = require "braid.tasks.scope"

local M = {}

---@class braid.Limiter
---@field private _cost number seconds that one unit costs
---@field private _burst integer
---@field private _times braid.Dict "paid": when all units will be paid for, on the clock of braid.now()
local Limiter = { __name = "braid.limiter" }
Limiter.__index = Limiter

M.Limiter = Limiter -- a limiter that is sent to another state finds its class by this name

local function check_count(self, what, n)
  n = errors.integer(2, what, "n", n == nil and 1 or n, 1)
  if n > self._burst then
    errors.misuse(2, "limiter:%s: %d at once is more than its burst of %d", what, n, self._burst)
  end
  return n
end

local TRIFLE = 1e-9 -- seconds: tolerance for rounding errors

-- Reserves n units that are free at once, or by `latest`. Returns when they are free, and when they are paid for; nil
-- and the seconds until then if they would be free later.
local function reserve(self, n, latest, key)
  local begin, wait
  local paid = self._times:update(key or "paid", function(paid)
    local now = core.now()
    local after = math.max(paid or now, now) + n * self._cost
    wait = after - self._burst * self._cost - now
    if wait > TRIFLE and now + wait > latest then return paid end
    begin = now + math.max(0, wait)
    return after
  end)
  return begin, begin and paid or wait
end

-- Gives back units that will not be used. Only possible for the last ones: later reservations depend on earlier ones.
local function give_back(self, n, mine)
  self._times:update("paid", function(paid) return paid == mine and paid - n * self._cost or paid end)
end

---Takes n units; waits until they are free. FIFO order: a small number does not overtake a larger one. Suspends.
---@param n integer? default 1; at most the burst
---@param timeout number? seconds. If the units would be free later, it returns at once
---@return boolean? ok
---@return braid.Error? err kind "timeout"
function Limiter:acquire(n, timeout)
  n = check_count(self, "acquire", n)
  local deadline = errors.deadline(1, "acquire", timeout)
  local begin, paid = reserve(self, n, deadline or math.huge)
  if not begin then return nil, errors.new("timeout", "limiter:acquire: no turn comes in time") end
  local ok, err, place = errors.try(core.sleep, math.max(0, begin - core.now()))
  if ok then return true end
  scopes.shield(give_back, self, n, paid)
  core.rethrow(err, place)
end

---Takes n units if they are free now.
---@param n integer? default 1
---@return boolean? ok
---@return braid.Error? err kind "empty"
function Limiter:try_acquire(n)
  n = check_count(self, "try_acquire", n)
  if reserve(self, n, 0) then return true end
  return nil, errors.new("empty", "limiter:try_acquire: there is no turn now")
end

---Takes a unit of those that a key has, if it is free now: each key is limited by itself. Suspends.
---@param key string
---@return boolean? ok
---@return number? seconds until it would be free
function Limiter:_try_key(key)
  local begin, wait = reserve(self, 1, 0, key)
  if begin then return true end
  return nil, wait
end

---Forgets the keys that have all their units again. Suspends.
function Limiter:_forget_keys()
  for _, key in ipairs(self._times:keys()) do
    self._times:update(key, function(paid) return paid and paid > core.now() and paid or nil end)
  end
end

---Takes a unit, and calls fn. Suspends.
---@param fn fun(...): ...
---@param ... any
---@return any ... what fn returned
function Limiter:with(fn, ...)
  errors.check_function(1, "with", "fn", fn)
  self:acquire()
  return fn(...)
end

local known = { rate = "number", per = "number", burst = "number" }

local function positive(opts, name)
  local value = opts[name]
  if not (value > 0 and value < math.huge) then
    errors.misuse(2, "limiter: %s must be above 0, and this is %s", name, errors.described(value))
  end
  return value
end

---Makes a limiter: `rate` units every `per` seconds, and after a pause at most `burst` at once.
---@param opts { rate: number, per: number?, burst: integer? } per: seconds, default 1; burst: default 1
---@return braid.Limiter
function M.limiter(opts)
  errors.check_options(1, "limiter", opts, known)
  opts = { rate = opts and opts.rate, per = opts and opts.per or 1, burst = opts and opts.burst or 1 }
  if opts.rate == nil then errors.misuse(1, "limiter: rate is missing: braid.limiter{ rate = 10 }") end
  local cost = positive(opts, "per") / positive(opts, "rate")
  local burst = errors.integer(1, "limiter", "burst", opts.burst, 1)
  return setmetatable({ _cost = cost, _burst = burst, _times = dicts.dict() }, Limiter)
end

errors.guard(Limiter)

return M
