-- SPDX-License-Identifier: MIT
-- Trying again: which requests, after which failures, and how long after.
local errors = require "braid.errors"

local M = {}

---When a request is tried again. As a number: `count` alone.
---@class braid.http.Retries
---@field count integer? how often, default 3
---@field backoff number? seconds before the first retry, default 0.2; twice as long before each further one, and by up
--- to half less, at random, so that not all come at once
---@field max_delay number? seconds between two attempts at most, default 60; a Retry-After beyond it ends the attempts
---@field statuses integer[]? that are tried again, default 429, 502, 503 and 504
---@field methods string[]? default: the idempotent ones GET, HEAD, PUT, DELETE, OPTIONS and TRACE

local KNOWN = { count = "integer", backoff = "number", max_delay = "number", statuses = "table", methods = "table" }

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

local STATUSES = set_of { 429, 502, 503, 504 }
local METHODS = set_of { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" }

-- Failures that may pass: of the network, and of a server that is being started again.
local CODES = set_of {
  "COULDNT_RESOLVE_HOST", "COULDNT_RESOLVE_PROXY", "COULDNT_CONNECT", "HTTP2", "PARTIAL_FILE", "OPERATION_TIMEDOUT",
  "SSL_CONNECT_ERROR", "GOT_NOTHING", "SEND_ERROR", "RECV_ERROR", "HTTP2_STREAM",
}

---The policy that an option asks for; nil: none.
---@param wish boolean|integer|braid.http.Retries
---@return table?
function M.policy(wish)
  if wish == true then wish = {} end
  if type(wish) == "number" then wish = { count = wish } end
  if not wish then return nil end
  errors.check_options(1, "retries", wish, KNOWN)
  local policy = {
    count = wish.count or 3, backoff = wish.backoff or 0.2, max_delay = wish.max_delay or 60,
    statuses = wish.statuses and set_of(wish.statuses) or STATUSES,
    methods = wish.methods and set_of(wish.methods) or METHODS,
  }
  for _, name in ipairs { "count", "backoff", "max_delay" } do
    if policy[name] < 0 then errors.misuse(1, "bad option 'retries' (%s is negative)", name) end
  end
  return policy.count > 0 and policy or nil
end

-- ---- Retry-After ----------------------------------------------------------------------------------------------------

local MONTHS = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- Days since 1970 of a date, as if every year began in March: then the leap day is the last.
local function days_since_epoch(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

---The seconds that a Retry-After header asks for; nil when it says nothing that can be understood.
---@param value string?
---@param now number? seconds since 1970, for dates
---@return number?
function M.after(value, now)
  if not value then return nil end
  if value:find("^%d+$") then return tonumber(value) end
  local day, month, year, hour, minute, second = value:match("(%d%d?) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT")
  if not MONTHS[month] then return nil end
  local days = days_since_epoch(math.tointeger(year), MONTHS[month], math.tointeger(day))
  return math.max(0, days * 86400 + hour * 3600 + minute * 60 + second - (now or os.time()))
end

-- ---- whether and when -----------------------------------------------------------------------------------------------

---How long to wait before trying again; nil: not again.
---@param policy table? nil: never
---@param method string
---@param attempt integer how often it has been tried
---@param response braid.http.Response?
---@param err braid.Error?
---@return number? seconds
function M.delay(policy, method, attempt, response, err)
  if not policy or attempt > policy.count or not policy.methods[method] then return nil end
  if err and not CODES[err.code] then return nil end
  if response and not policy.statuses[response.status] then return nil end
  local delay = math.min(policy.max_delay, policy.backoff * 2.0 ^ (attempt - 1)) * (1 - math.random() / 2)
  local after = response and M.after(response.headers["retry-after"])
  if after and after > policy.max_delay then return nil end
  return math.max(delay, after or 0)
end

return M
