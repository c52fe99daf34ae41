-- SPDX-License-Identifier: MIT
-- Retries: which requests are repeated, after which failures, and after what time.
local errors = require "braid.errors"
local date = require "braid.http.date"

local M = {}

---When a request is repeated. A number is the same as `count`.
---@class braid.http.Retries
---@field count integer? most retries; default 3
---@field backoff number? seconds before the first retry, default 0.2; doubled before each further one, and shortened by
--- a random part of up to a half, so that clients do not retry all at once
---@field max_delay number? most seconds between two attempts, default 60; a longer Retry-After ends the attempts
---@field statuses integer[]? statuses that are retried; default 429, 502, 503 and 504
---@field methods string[]? default: the idempotent ones GET, HEAD, PUT, DELETE, OPTIONS and TRACE

---When a request is repeated, as the option `retry` says it.
---@class braid.http.Retry
---@field tries integer? most attempts in all; default 4
---@field backoff number? as of braid.http.Retries
---@field max_delay number? as of braid.http.Retries
---@field on (integer|string)[]|(fun(response: braid.http.Response?, err: braid.Error?, try: integer): boolean?)|nil the
--- statuses and the codes of errors that are retried, or a function that decides after each try (1, 2, ...)
---@field methods string[]? as of braid.http.Retries

local RETRY = {
  tries = "integer", backoff = "number", max_delay = "number", on = "table|function", methods = "table",
}

local KNOWN = { count = "integer", backoff = "number", max_delay = "number", statuses = "table", methods = "table" }

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

local STATUSES = set_of { 429, 502, 503, 504 }
local METHODS = set_of { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" }

-- Failures that may be temporary: of the network, and of a server that is restarting.
local CODES = set_of {
  "COULDNT_RESOLVE_HOST", "COULDNT_RESOLVE_PROXY", "COULDNT_CONNECT", "HTTP2", "PARTIAL_FILE", "OPERATION_TIMEDOUT",
  "SSL_CONNECT_ERROR", "GOT_NOTHING", "SEND_ERROR", "RECV_ERROR", "HTTP2_STREAM",
}

---Makes the policy of an option; nil: no retries.
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

---Makes the policy of the option `retry`; nil: no retries.
---@param wish braid.http.Retry
---@return table?
function M.of_retry(wish)
  errors.check_options(1, "retry", wish, RETRY)
  local tries = wish.tries or 4
  if tries < 1 then errors.misuse(1, "bad option 'retry' (tries is less than 1)") end
  local list = type(wish.on) == "table" and wish.on or nil
  for _, reason in ipairs(list or {}) do
    local status, code = math.tointeger(reason), type(reason) == "string" and reason:find("^%u[%u%d_]+$")
    if not code and not (status and status >= 100 and status <= 599) then
      errors.misuse(1, "bad option 'retry' (on: %s is neither a status nor the code of an error, as \"GOT_NOTHING\")",
        errors.text(reason))
    end
  end
  local policy = M.policy {
    count = tries - 1, backoff = wish.backoff, max_delay = wish.max_delay, statuses = list, methods = wish.methods,
  }
  if not policy then return nil end
  policy.codes = list and set_of(list)
  policy.decide = type(wish.on) == "function" and wish.on or nil
  return policy
end

-- ---- Retry-After ----------------------------------------------------------------------------------------------------

---The seconds that a Retry-After header asks for; nil if it is missing or not understood.
---@param value string?
---@param now number? seconds since 1970, to which dates are relative; default: the current time
---@return number?
function M.after(value, now)
  if not value then return nil end
  if value:find("^%d+$") then return tonumber(value) end
  local due = date.read(value)
  return due and math.max(0, due - (now or os.time()))
end

-- ---- whether and when -----------------------------------------------------------------------------------------------

local function is_wanted(policy, attempt, response, err)
  if policy.decide then return policy.decide(response, err, attempt) end
  if err then return (policy.codes or CODES)[err.code] end
  return policy.statuses[response.status]
end

---The time to wait before the next attempt; nil: no other attempt.
---@param policy table? nil: never
---@param method string
---@param attempt integer number of attempts so far
---@param response braid.http.Response?
---@param err braid.Error?
---@return number? seconds
function M.delay(policy, method, attempt, response, err)
  if not policy or attempt > policy.count or not policy.methods[method] then return nil end
  if not is_wanted(policy, attempt, response, err) then return nil end
  local delay = math.min(policy.max_delay, policy.backoff * 2.0 ^ (attempt - 1)) * (1 - math.random() / 2)
  local after = response and M.after(response.headers["retry-after"])
  if after and after > policy.max_delay then return nil end
  return math.max(delay, after or 0)
end

return M
