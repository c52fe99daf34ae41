-- SPDX-License-Identifier: MIT
-- Formats of strings that a schema may ask for, named as in JSON Schema and OpenAPI.
local M = {}

local days = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_date(text)
  local year, month, day = text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)$"
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not year or month < 1 or month > 12 or day < 1 or day > days[month] then return false end
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return month ~= 2 or day < 29 or leap
end

-- Of RFC 3339: with an offset, and perhaps a leap second.
local function is_time(text)
  local hour, minute, second, rest = text:match "^(%d%d):(%d%d):(%d%d)(.*)$"
  if not hour or tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 60 then return false end
  rest = rest:gsub("^%.%d+", "")
  if rest == "Z" or rest == "z" then return true end
  local hours, minutes = rest:match "^[+-](%d%d):(%d%d)$"
  return hours ~= nil and tonumber(hours) < 24 and tonumber(minutes) < 60
end

local function is_date_time(text)
  if #text > 64 then return false end -- the time of the pattern grows with the square
  local date, time = text:match "^(%S-)[Tt ](%S+)$"
  return date ~= nil and is_date(date) and is_time(time)
end

local function is_hostname(text)
  if #text == 0 or #text > 253 then return false end
  for label in (text .. "."):gmatch "([^.]*)%." do
    if #label > 63 or not label:find "^%w[%w-]*$" or label:find "%-$" then return false end
  end
  return true
end

-- One @, no blanks and controls, and a name of a host behind it. Whether there is such a mailbox only a message tells.
local function is_email(text)
  local user, host = text:match "^([^@%s%c]+)@([^@]+)$"
  return user ~= nil and #user <= 64 and host:find(".", 1, true) ~= nil and is_hostname(host)
    and not user:find "[\"(),:;<>%[%]\\]" and not user:find "^%." and not user:find "%.%." and not user:find "%.$"
end

local function is_uuid(text)
  return #text == 36 and text:find "^%x+%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x+$" ~= nil and text:find("-", 1, true) == 9
end

local function is_uri(text) return text:find "^%a[%w+.-]*:[%w%-._~:/?#%[%]@!$&'()*+,;=%%]+$" ~= nil end

local function is_ipv4(text)
  local parts = { text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  for _, part in ipairs(parts) do
    if #part > 3 or tonumber(part) > 255 or part:find "^0%d" then return false end
  end
  return #parts == 4
end

-- The number of groups of 16 bits; nil: they are none.
local function count_groups(text)
  local count = 0
  if text == "" then return 0 end
  for group in (text .. ":"):gmatch "([^:]*):" do
    local four = group:find(".", 1, true)
    if not (four and is_ipv4(group) or group:find "^%x%x?%x?%x?$") then return nil end
    count = count + (four and 2 or 1)
  end
  if text:find "%..*:" then return nil end -- the IPv4 part is the last
  return count
end

local function is_ipv6(text)
  if #text > 45 then return false end
  local head, tail = text:match "^(.-)::(.*)$"
  if not head then return count_groups(text) == 8 end
  local before, after = count_groups(head), count_groups(tail)
  return before ~= nil and after ~= nil and before + after < 8 and not head:find(".", 1, true)
end

local function is_base64(text)
  return #text % 4 == 0 and text:find "^[%w+/]*=?=?$" ~= nil
end

local function is_anything() return true end

--- The checks of strings: name -> function(text) -> boolean. The last ones only describe.
M.of_strings = {
  date = is_date, time = is_time, ["date-time"] = is_date_time, email = is_email, hostname = is_hostname,
  uuid = is_uuid, uri = is_uri, ipv4 = is_ipv4, ipv6 = is_ipv6, byte = is_base64, password = is_anything,
  binary = is_anything,
}

local MOST32 = (1 << 31) - 1

--- The checks of integers and numbers.
M.of_numbers = {
  int32 = function(number) return number >= -MOST32 - 1 and number <= MOST32 end,
  int64 = is_anything, float = is_anything, double = is_anything,
}

return M
