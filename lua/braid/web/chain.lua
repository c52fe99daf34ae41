-- SPDX-License-Identifier: MIT
-- Middleware around what answers a request: each one gets the request and the rest of the chain.
local core = require "braid.core"
local errors = require "braid.errors"
local response = require "braid.web.response"

local M = {}

---@alias braid.web.Next fun(request: braid.web.Request): braid.web.Response
---@alias braid.web.Middleware fun(request: braid.web.Request, next: braid.web.Next): any

local class, getmetatable, xpcall = response.class, getmetatable, xpcall

-- The answer of a middleware that is not what next(request) has returned.
local function answer_of(value, status, headers)
  if value == nil then
    error("a middleware returned nothing: it returns the answer of next(request), or one of its own", 0)
  end
  return response.of(value, status, headers)
end

-- An error with the place where it was raised.
local function placed(err)
  if response.is(err) then return err end
  return { err, core.trace(err) }
end

-- The end of the chain: gives a response. An abort is one, too. An error passes through the middleware; where it came
-- from is kept in the request, because it is raised again.
local function finish(endpoint, req)
  local ok, value, status, headers = xpcall(endpoint, placed, req)
  if ok and status == nil and getmetatable(value) == class then return value end
  if ok then return response.of(value, status, headers) end
  if response.is(value) then return value end
  if not rawget(req, "_traceback") then req._traceback = errors.told(value[1], value[2]) end
  error(value[1], 0)
end

--- Puts middleware around a function.
---@param list braid.web.Middleware[] the outermost first
---@param endpoint fun(request: braid.web.Request): any ...
---@return fun(request: braid.web.Request): braid.web.Response
function M.around(list, endpoint)
  local function chain(req) return finish(endpoint, req) end
  for i = #list, 1, -1 do
    local middleware, rest = list[i], chain
    chain = function(req)
      local value, status, headers = middleware(req, rest)
      if status == nil and getmetatable(value) == class then return value end -- the usual one
      return answer_of(value, status, headers)
    end
  end
  return chain
end

return M
