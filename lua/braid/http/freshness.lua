-- SPDX-License-Identifier: MIT
-- What RFC 9111 says of a response: whether it may be kept, how long it is fresh, and how old it is.
local date = require "braid.http.date"

local M = {}

---The directives of Cache-Control: name -> value, or true.
---@param text string?
---@return table<string, string|true>
function M.directives(text)
  local found = {}
  text = text or ""
  local at = 1
  while true do
    local name, after = text:match("^[%s,]*([^%s,=]+)()", at)
    if not name then return found end
    local quoted, behind = text:match('^="([^"]*)"()', after)
    local bare, beyond = text:match("^=([^%s,]*)()", after)
    name = name:lower()
    if found[name] == nil then found[name] = quoted or bare or true end
    at = behind or beyond or after
  end
end

-- The seconds of a directive; 0 if they cannot be read: then the response is stale.
local function seconds(value) return type(value) == "string" and math.tointeger(value:match("^%d+$")) or 0 end

-- Statuses that may be kept though the server says nothing about it.
local USUAL = {
  [200] = true, [203] = true, [300] = true, [301] = true, [308] = true, [404] = true, [405] = true, [410] = true,
  [414] = true, [501] = true,
}
local MOST_GUESSED = 86400 -- seconds

---How long a response is fresh.
---@param status integer
---@param headers table<string, string>
---@param received number seconds since 1970
---@return number seconds
function M.lifetime(status, headers, received)
  local control = M.directives(headers["cache-control"])
  if control["max-age"] then return seconds(control["max-age"]) end
  local sent = headers.date and date.read(headers.date) or received
  if headers.expires then
    local ends = date.read(headers.expires)
    return ends and math.max(ends - sent, 0) or 0
  end
  local modified = headers["last-modified"] and date.read(headers["last-modified"])
  if not modified or not USUAL[status] then return 0 end
  return math.min(math.max((sent - modified) / 10, 0), MOST_GUESSED)
end

---How old a response is.
---@param headers table<string, string>
---@param requested number seconds since 1970
---@param received number
---@param now number
---@return number seconds
function M.age(headers, requested, received, now)
  local sent = headers.date and date.read(headers.date)
  local apparent = sent and math.max(0, math.floor(received) - sent) or 0
  local told = seconds(headers.age) + (received - requested)
  return math.max(apparent, told) + math.max(now - received, 0)
end

---Whether a response may be kept, and is worth it.
---@param status integer
---@param headers table<string, string>
---@param received number
---@return boolean
function M.is_storable(status, headers, received)
  local control = M.directives(headers["cache-control"])
  if control["no-store"] or status < 200 or status == 206 or status == 304 then return false end
  local vary = (headers.vary or ""):lower()
  if vary:find("*", 1, true) or vary:find("cookie", 1, true) then return false end -- libcurl adds the session's cookies
  if not (USUAL[status] or control["max-age"] or headers.expires) then return false end
  return headers.etag ~= nil or headers["last-modified"] ~= nil or M.lifetime(status, headers, received) > 0
end

---Whether a kept response may be used without asking the server.
---@param headers table<string, string>
---@param asked table<string, string|true> the request's directives
---@param age number
---@param lifetime number
---@return boolean
function M.is_fresh(headers, asked, age, lifetime)
  local control = M.directives(headers["cache-control"])
  if control["no-cache"] or asked["no-cache"] then return false end
  if asked["max-age"] and age >= seconds(asked["max-age"]) then return false end
  if asked["min-fresh"] and lifetime - age < seconds(asked["min-fresh"]) then return false end
  if age < lifetime then return true end
  if control["must-revalidate"] or not asked["max-stale"] then return false end
  return asked["max-stale"] == true or age - lifetime <= seconds(asked["max-stale"])
end

---Whether a stale response may be used because the server fails (RFC 5861).
---@param headers table<string, string>
---@param age number
---@param lifetime number
---@return boolean
function M.outlives_errors(headers, age, lifetime)
  local control = M.directives(headers["cache-control"])
  if control["must-revalidate"] or control["no-cache"] or not control["stale-if-error"] then return false end
  return age - lifetime <= seconds(control["stale-if-error"])
end

return M
