-- SPDX-License-Identifier: MIT
-- What a server has answered. Status and body are there from the beginning; headers and times are made when they are
-- first touched.
local errors = require "braid.errors"

local M = {}

---The headers of a response, by name: `headers["Content-Type"]`. Any spelling finds them; `pairs` gives the names in
---lower case. What came several times is joined with ", " (see `Response:values`).
---@class braid.http.Headers
---@field [string] string
local Headers = {}

function Headers.__index(headers, name)
  return type(name) == "string" and rawget(headers, name:lower()) or nil
end

---Seconds since the request began; 0 for what was not needed.
---@class braid.http.Timing
---@field name_lookup number the host's address was known
---@field connect number the connection stood
---@field tls number it was secured
---@field first_byte number the response began
---@field total number all of it was there

---@class braid.http.Response
---@field status integer
---@field body string? nil when it went to a sink
---@field url string where redirects have led
---@field http_version "1.0"|"1.1"|"2"|"3"
---@field headers braid.http.Headers
---@field timing braid.http.Timing
---@field private _method string
---@field private _head string status line and headers as they came
---@field private _times string five native doubles
local Response = { __name = "braid.http.Response" }

local methods, lazy = {}, {}

function Response.__index(response, key)
  local make = lazy[key]
  if not make then return methods[key] end
  local value = make(response)
  rawset(response, key, value)
  return value
end

function Response.__tostring(response)
  return ("braid.http.Response %d (%s %s)"):format(response.status, response._method, response.url)
end

-- Names in lower case, and values.
local function each_header(head)
  local next_line = head:gmatch("([^\r\n]+)")
  next_line() -- the status line
  return function()
    for line in next_line do
      local name, value = line:match("^([^:]+):%s*(.-)%s*$")
      if name then return name:lower(), value end
    end
  end
end

function lazy.headers(response)
  local headers = {}
  for name, value in each_header(response._head) do
    local before = headers[name]
    headers[name] = before and before .. ", " .. value or value
  end
  return setmetatable(headers, Headers)
end

function lazy.timing(response)
  local name_lookup, connect, tls, first_byte, total = ("ddddd"):unpack(response._times)
  return { name_lookup = name_lookup, connect = connect, tls = tls, first_byte = first_byte, total = total }
end

---All values of a header, in order, for those that come several times and cannot be joined (Set-Cookie).
---@param name string in any spelling
---@return string[] values empty when there is none
function methods:values(name)
  name = name:lower()
  local values = {}
  for found, value in each_header(self._head) do
    if found == name then values[#values + 1] = value end
  end
  return values
end

---The body, decoded from JSON; null becomes braid.null, whole numbers integers.
---@return any value nil when the body is not JSON
---@return braid.Error? err kind http
function methods:json()
  local ok, value = pcall(require("braid.json").decode, self.body or "")
  if ok then return value end
  return nil, errors.new("http", ("%s %s: the body is not JSON: %s"):format(self._method, self.url, value),
    { url = self.url, code = "NOT_JSON" })
end

---Raises kind http (with `status`, `url` and `response`) for a status from 400; any other gives the response back.
---@return braid.http.Response self
function methods:raise_for_status()
  if self.status < 400 then return self end
  local reason = self._head:match("^%S+ %d+ ([^\r\n]+)")
  error(errors.new("http", ("%s %s: status %d%s"):format(self._method, self.url, self.status,
    reason and " " .. reason or ""), { url = self.url, status = self.status, response = self }), 0)
end

local VERSIONS = { [10] = "1.0", [11] = "1.1", [20] = "2", [30] = "3" }

-- From what the core says of a transfer. For the session.
function M.new(method, url, status, body, head, version, times)
  return setmetatable({
    status = status, body = body, url = url, http_version = VERSIONS[version],
    _method = method, _head = head, _times = times,
  }, Response)
end

return M
