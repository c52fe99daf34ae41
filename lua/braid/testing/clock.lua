-- SPDX-License-Identifier: MIT
--- The clock of a test, which stands still until it is moved, or until nothing else can go on.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A virtual clock. Sleeps, timeouts and deadlines of this Lua state follow it; `braid.now()` reads it. Made by
---`testing.clock`.
---@class braid.testing.Clock
---@field private _simulation userdata? nil: it has been closed
---@field private _own boolean whether the clock has made its simulation, and ends it
---@field private _auto boolean
---@field private _moving integer calls of advance under way
---@field private _real boolean? the run has the machine's clock
local Clock = { __name = "braid.testing.clock" }
Clock.__index = Clock

local function check(self, what)
  if not self._simulation then errors.misuse(2, "clock:%s: this clock has been closed", what) end
  if self._real and what ~= "now" then
    errors.misuse(2, "clock:%s: this run has the machine's clock (clock = \"real\")", what)
  end
end

---Seconds, as of `braid.now()`.
---@return number
function Clock:now()
  check(self, "now")
  return core.now()
end

---Lets time pass: whatever is due within these seconds takes effect in its order, each at its own time, and all tasks
---go on until they wait. Suspends.
---@param seconds number not negative
function Clock:advance(seconds)
  check(self, "advance")
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    errors.misuse(1, "bad argument 'seconds' to 'advance' (seconds, not negative, expected, got %s)",
      errors.described(seconds))
  end
  local simulation = self._simulation
  self._moving = self._moving + 1
  simulation:set_auto(true)
  local ok, err, place = errors.try(function()
    if seconds > 0 then core.sleep(seconds) end
    simulation:settle()
  end)
  self._moving = self._moving - 1
  simulation:set_auto(self._auto or self._moving > 0)
  if not ok then core.rethrow(err, place) end
end

---Whether the clock goes to the next deadline by itself when nothing else can go on. In `testing.run` it does.
---@param on boolean
---@return braid.testing.Clock self
function Clock:auto(on)
  check(self, "auto")
  if type(on) ~= "boolean" then
    errors.misuse(1, "bad argument 'on' to 'auto' (a boolean expected, got %s)", errors.described(on))
  end
  self._auto = on
  self._simulation:set_auto(on or self._moving > 0)
  return self
end

---Gives the machine's time back. Only for a clock that was made outside of `testing.run`; also done by `<close>`.
function Clock:close()
  local simulation = self._simulation
  if not simulation or not self._own then return end
  self._simulation = nil
  simulation:finish()
end

Clock.__close = Clock.close
Clock.__gc = Clock.close

---The clock of a simulation that runs.
---@param simulation userdata
---@param auto boolean
---@param own boolean whether the clock ends the simulation
---@param real boolean? whether the simulation has the machine's clock
---@return braid.testing.Clock
function M.new(simulation, auto, own, real)
  return setmetatable({ _simulation = simulation, _auto = auto, _own = own, _moving = 0, _real = real }, Clock)
end

---Makes a virtual clock for this Lua state, outside of `testing.run`.
---@return braid.testing.Clock
function M.install()
  local simulation = core.simulation_new()
  simulation:begin("ordinary", 0, { by_hand = true, start = 0 })
  return M.new(simulation, false, true)
end

---A run has ended: its clock shows nothing any more.
---@param clock braid.testing.Clock
function M.retire(clock) clock._simulation = nil end

errors.guard(Clock)

return M
