-- SPDX-License-Identifier: MIT
-- A limit of requests for each client. What is counted is shared with the workers of a server.
local core = require "braid.core"
local errors = require "braid.errors"
local limiters = require "braid.sync.limiter"
local response = require "braid.web.response"

local M = {}

local SWEEP = 30 -- seconds between two looks for clients that can be forgotten

---@class braid.web.LimiterOptions
---@field rate number requests
---@field per number? in so many seconds, default 1
---@field burst integer? at once, default `rate`
---@field key nil|fun(request: braid.web.Request): string? what is limited, default request.ip; nil: not this one

local known = { rate = "number", per = "number", burst = "integer", key = "function" }

local function by_address(req) return req.ip or "unix" end

local function refusal(seconds)
  local answer = response.failure(429)
  answer.headers["Retry-After"] = math.max(1, math.ceil(seconds))
  return answer
end

--- Middleware that answers 429 when a client sends more requests than `rate` in `per` seconds. With workers the limit
--- is for all of them together, if it was made before `serve`; `braid serve` loads the file in each worker, so there
--- each has its own.
---@param opts braid.web.LimiterOptions
---@return braid.web.Middleware
function M.limiter(opts)
  opts = opts or {}
  errors.check_options(1, "limiter", opts, known)
  local limiter = limiters.limiter {
    rate = opts.rate, per = opts.per, burst = opts.burst or opts.rate and math.max(1, math.floor(opts.rate)) or nil,
  }
  local key_of, looked = opts.key or by_address, core.now()
  return function(req, next_one)
    local key = key_of(req)
    if key == nil then return next_one(req) end
    if core.now() - looked > SWEEP then
      looked = core.now()
      core.spawn(limiter._forget_keys, limiter)
    end
    local ok, seconds = limiter:_try_key(tostring(key))
    return ok and next_one(req) or refusal(seconds)
  end
end

return M
