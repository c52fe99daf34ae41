-- SPDX-License-Identifier: MIT
--- Steps at fixed times. They do not drift, however long each step takes.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local known = { missed = "string", jitter = "number" }
local ranges = { jitter = { 0, 1 } }

---Iterates at fixed times; the first is after one period: `for count in braid.every(1) do ... end`. Each step suspends.
---@param seconds number the period
---@param opts { missed: "skip"|"catch_up"|nil, jitter: number? }? missed: if a step took longer than a period, "skip"
--- (the default) skips the times that have passed, but counts them; "catch_up" does all of them at once. jitter: each
--- time is delayed by a random part of the period, up to this share of it (0 to 1)
---@return fun(): integer count of periods since the start
function M.every(seconds, opts)
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < math.huge) then
    errors.misuse(1, "every: seconds must be a number above 0, and this is %s", errors.described(seconds))
  end
  errors.check_options(1, "every", opts, known)
  errors.check_ranges(1, "every", opts, ranges)
  local missed, jitter = opts and opts.missed or "skip", opts and opts.jitter or 0
  if missed ~= "skip" and missed ~= "catch_up" then
    errors.misuse(1, "every: missed must be 'skip' or 'catch_up', and this is '%s'", missed)
  end
  local start, count = core.now(), 0
  return function()
    count = count + 1
    local late = core.now() - start - count * seconds
    if missed == "skip" and late > 0 then count = count + late // seconds | 0 end
    local left = start + (count + (jitter > 0 and math.random() * jitter or 0)) * seconds - core.now()
    core.sleep(left > 0 and left or 0)
    return count
  end
end

return M
