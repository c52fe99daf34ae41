-- SPDX-License-Identifier: MIT
-- Dates in headers (RFC 9110, section 5.6.7).
local M = {}

local MONTHS = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- Days from 1970 to a date. A year begins in March here, so that the leap day is its last day.
local function days_since_epoch(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

-- Two digits of a year mean one that is at most 50 years ahead.
local function full_year(digits)
  local year = math.tointeger(digits)
  if #digits == 4 then return year end
  local now = math.tointeger(os.date("!%Y"))
  year = now - now % 100 + year
  return year > now + 50 and year - 100 or year
end

---Seconds since 1970; nil: it is no date in one of the three forms.
---@param text string
---@return integer?
function M.read(text)
  local day, month, year, hour, minute, second =
    text:match("(%d%d?)[ -](%a%a%a)[ -](%d%d%d?%d?) (%d%d):(%d%d):(%d%d) GMT")
  if not day then
    month, day, hour, minute, second, year = text:match("^%a+ (%a%a%a) +(%d%d?) (%d%d):(%d%d):(%d%d) (%d%d%d%d)$")
  end
  if not MONTHS[month] or #year == 3 then return nil end
  local days = days_since_epoch(full_year(year), MONTHS[month], math.tointeger(day))
  return days * 86400 + math.tointeger(hour) * 3600 + math.tointeger(minute) * 60 + math.tointeger(second)
end

return M
