-- SPDX-License-Identifier: MIT
-- Median, quartiles and range of measurements.
local M = {}

-- The value below which the fraction q of the values is; interpolates between two neighbours.
local function quantile(sorted, q)
  local at = 1 + (#sorted - 1) * q
  local below = math.floor(at)
  local above = math.min(below + 1, #sorted)
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below)
end

local function sorted(values)
  local copy = table.move(values, 1, #values, 1, {})
  table.sort(copy)
  return copy
end

---@param values number[] not empty
---@return number
function M.median(values)
  return quantile(sorted(values), 0.5)
end

---@class braid.Spread
---@field median number
---@field low number the first quartile
---@field high number the third quartile
---@field least number
---@field most number

---@param values number[] not empty
---@return braid.Spread
function M.spread(values)
  local order = sorted(values)
  return {
    median = quantile(order, 0.5), low = quantile(order, 0.25), high = quantile(order, 0.75),
    least = order[1], most = order[#order],
  }
end

---Whether the median is stable: its standard error is below 2 %.
---@param values number[]
---@return boolean
function M.settled(values)
  local count = #values
  if count < 5 then return false end
  local spread = M.spread(values)
  return 0.93 * (spread.high - spread.low) / math.sqrt(count) < 0.02 * spread.median
end

return M
