-- SPDX-License-Identifier: MIT
-- Dates in headers (RFC 9110, section 5.6.7).
local M = {}

local DAYS = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local NAMES = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }
local MONTHS = {}
for number, name in ipairs(NAMES) do MONTHS[name] = number end

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

---Writes a date as servers do, whatever the locale is: "Sun, 06 Nov 1994 08:49:37 GMT".
---@param seconds integer since 1970
---@return string
function M.write(seconds)
  local t = os.date("!*t", seconds)
  local day = ("%s, %02d %s %04d"):format(DAYS[t.wday], t.day, NAMES[t.month], t.year)
  return ("%s %02d:%02d:%02d GMT"):format(day, t.hour, t.min, t.sec)
end

return M
