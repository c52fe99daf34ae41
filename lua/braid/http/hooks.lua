-- SPDX-License-Identifier: MIT
-- The option on_request: a function that sees a request before it is sent, and may change it.
local errors = require "braid.errors"
local redirect = require "braid.http.redirect"
local request = require "braid.http.request"

local M = {}

---A request before it is sent. A hook may change `url`, `headers` and `body`.
---@class braid.http.Outgoing
---@field method string
---@field url string
---@field headers table<string, string|string[]>
---@field body any as the option `body`

local function headers_of(record)
  local headers = {}
  for _, lines in pairs(record.fields) do
    local values, name = {}, nil
    for i, line in ipairs(lines) do
      name, values[i] = line:match("^([^:;]+)[:;]%s*(.*)$")
    end
    if name then headers[name] = #values > 1 and values or values[1] end
  end
  return headers
end

-- The URL that the hook left, and the record: what belongs to the old URL's origin does not go to a new one.
local function moved(url, before, record)
  if type(url) ~= "string" or not url:find("^[Hh][Tt][Tt][Pp][Ss]?://") then
    errors.misuse(1, "bad 'url' of on_request (a URL with http:// or https:// expected)")
  end
  if redirect.origin(url) ~= redirect.origin(before) then record = redirect.for_strangers(record) end
  local text, ready = redirect.prepared(url, record)
  if not text then errors.misuse(1, "bad 'url' of on_request (%s)", ready) end
  return text, ready
end

---Calls the hook, which may wait.
---@param method string
---@param url string
---@param record table with `on_request`
---@return string url
---@return table record
function M.ask(method, url, record)
  local outgoing = { method = method, url = url, headers = headers_of(record), body = request.given_body(record) }
  record.on_request(outgoing)
  if outgoing.url ~= url then url, record = moved(outgoing.url, url, record) end
  return url, request.changed(record, outgoing.headers, outgoing.body)
end

return M
