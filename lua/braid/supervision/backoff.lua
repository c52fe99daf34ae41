-- SPDX-License-Identifier: MIT
--- Pauses before what has failed is started again: each one is longer than the one before, up to a limit. When it has
--- run for long enough, the next pause is the first one again.

local M = {}

---@class braid.supervision.Backoff
---@field private _pauses { first: number, factor: number, most: number } seconds
---@field private _failures integer one after the other
local Backoff = {}
Backoff.__index = Backoff

---@param pauses { first: number, factor: number, most: number } seconds
---@return braid.supervision.Backoff
function M.new(pauses) return setmetatable({ _pauses = pauses, _failures = 0 }, Backoff) end

---Notes a failure. Returns the pause in seconds.
---@param lived number for how many seconds it had run
---@param steady number earlier failures are forgotten if it had run for longer than this
---@return number pause
function Backoff:failed(lived, steady)
  local pauses = self._pauses
  if lived > steady then self._failures = 0 end
  self._failures = self._failures + 1
  return math.min(pauses.most, pauses.first * pauses.factor ^ (self._failures - 1))
end

---Forgets the failures.
function Backoff:reset() self._failures = 0 end

return M
