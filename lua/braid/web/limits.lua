-- SPDX-License-Identifier: MIT
-- Limits of a single route, as middleware.
local core = require "braid.core"
local response = require "braid.web.response"

local M = {}

--- After so many seconds the handler is cancelled, and the answer is 504. This is instead of the server's
--- request_timeout.
---@param seconds number
---@return braid.web.Middleware
function M.timeout(seconds)
  return function(req, next)
    local exchange = rawget(req, "_exchange")
    if exchange then req._server:untime(exchange) end
    local in_time, answer = core.within_time(seconds, next, req)
    if in_time then return answer end
    return response.failure(504)
  end
end

--- At most so many requests at a time, from the handler's start to the end of the answer; others get 503.
---@param most integer
---@return braid.web.Middleware
function M.concurrency(most)
  local running = 0
  local function finish() running = running - 1 end
  return function(req, next)
    if running >= most then
      local refusal = response.failure(503)
      refusal.headers["Retry-After"] = 1
      return refusal
    end
    running = running + 1
    req:_first_after(finish)
    return next(req)
  end
end

return M
