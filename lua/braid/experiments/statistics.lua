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

-- How many of all orders of n and m values have each rank sum U, from 0 on.
local function counts_of(n, m)
  local counts = { [0] = 1 }
  for i = 1, n do -- the factors (1 - x^(m + i)) / (1 - x^i) of the Gaussian binomial
    local next_counts, most = {}, i * m
    for u = 0, most do
      next_counts[u] = (counts[u] or 0) - (counts[u - m - i] or 0) + (u >= i and next_counts[u - i] or 0)
    end
    counts = next_counts
  end
  return counts
end

-- The probability of a U this small or smaller, by chance.
local function exact(u, n, m)
  local counts, below, all = counts_of(n, m), 0, 0
  for value = 0, n * m do
    all = all + counts[value]
    if value <= u then below = below + counts[value] end
  end
  return below / all
end

-- 1 - the normal distribution's value, by Abramowitz and Stegun 26.2.17.
local function normal_tail(z)
  local t = 1 / (1 + 0.2316419 * z)
  local poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * poly
end

---The probability that two lists of measurements differ so much by chance (Mann and Whitney's rank test, two-sided):
---exact for short lists, else by the normal distribution.
---@param a number[]
---@param b number[]
---@return number p
function M.chance(a, b)
  local u = 0
  for _, x in ipairs(a) do
    for _, y in ipairs(b) do u = u + (x < y and 1 or x == y and 0.5 or 0) end
  end
  local n, m = #a, #b
  local least = math.min(u, n * m - u)
  if n <= 20 and m <= 20 then return math.min(1, 2 * exact(math.floor(least), n, m)) end
  local z = (n * m / 2 - least - 0.5) / math.sqrt(n * m * (n + m + 1) / 12)
  return z <= 0 and 1 or math.min(1, 2 * normal_tail(z))
end

---The numbers of the measurements that are far from the others: more than three times the distance of the quartiles
---beyond them.
---@param values number[]
---@return integer[]
function M.outliers(values)
  local spread, found = M.spread(values), {}
  local far = 3 * (spread.high - spread.low)
  for i, value in ipairs(values) do
    if #values >= 5 and (value > spread.high + far or value < spread.low - far) then found[#found + 1] = i end
  end
  return found
end

return M
