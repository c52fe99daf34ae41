-- SPDX-License-Identifier: MIT
-- Performs one request, from its start to a response or a failure.
local errors = require "braid.errors"
local outcome = require "braid.http.outcome"
local redirect = require "braid.http.redirect"

local M = {
  ---Performs each request by the function that it is given. Set by braid.telemetry.
  ---@type (fun(perform: function, handle: userdata, method: string, url: string, record: table): any, any)?
  traced = nil,
}

-- A request of which only status, headers and body are wanted.
local function fetch(handle, method, url, record)
  local hop = { method = method, url = url, record = record }
  local result, err = outcome.fetch(handle, hop, record.timeout)
  if not result or not redirect.leads_on(result, record) then return result, err end
  return redirect.follow(function(next_hop, timeout) return outcome.fetch(handle, next_hop, timeout) end, hop,
    record.timeout, result)
end

local function perform(handle, method, url, record)
  if record.unreadable then
    return nil, errors.new("system", ("%s %s: cannot read %s as a file"):format(method, url, record.unreadable),
      { url = url, code = "READ_ERROR" })
  end
  if record.on_request then url, record = require("braid.http.hooks").ask(method, url, record) end
  local send = record.plain and fetch or require("braid.http.attempt").send
  local result, err = send(handle, method, url, record)
  if result and record.on_response then record.on_response(result) end
  return result, err
end

---Performs a request.
---@param handle userdata
---@param method string
---@param url string
---@param record table the completed options
---@return braid.http.Response?
---@return braid.Error?
function M.perform(handle, method, url, record)
  if M.traced then return M.traced(perform, handle, method, url, record) end
  return perform(handle, method, url, record)
end

return M
