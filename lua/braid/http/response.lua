-- SPDX-License-Identifier: MIT
-- The response of a server. Status and body are there from the beginning; headers and times are made when they are
-- first used.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---The headers of a response, by name: `headers["Content-Type"]`. Names are case-insensitive; `pairs` gives them in
---lower case. Several values of the same header are joined with ", " (see `Response:values`).
---@class braid.http.Headers
---@field [string] string
local Headers = {}

function Headers.__index(headers, name)
  return type(name) == "string" and rawget(headers, name:lower()) or nil
end

---Seconds since the beginning of the request; 0 for steps that were not needed.
---@class braid.http.Timing
---@field name_lookup number the host's address was known
---@field connect number the connection was established
---@field tls number the TLS handshake was done
---@field first_byte number the response began
---@field total number the response was complete

---@class braid.http.Response
---@field status integer
---@field body string? nil if it went to a sink or a file, or is read as a stream
---@field file string? path of the file to which it was saved
---@field url string after redirects
---@field http_version "1.0"|"1.1"|"2"|"3"
---@field headers braid.http.Headers
---@field timing braid.http.Timing
---@field history braid.http.Response[] the redirects that led to it, in their order
---@field cached "fresh"|"revalidated"|"stale"|nil the body was kept by the option `cache`; revalidated: the server has
--- said that it is still right; stale: the server has failed, and said before that it may be used then
---@field reason string what the server says beside the status; "" if nothing
---@field remote { address: string, port: integer } whom it came from: the server, or a proxy; "" and 0 by a Unix socket
---@field private _method string
---@field private _elapsed number? seconds that the responses before it took
---@field private _head string status line and headers as they were received
---@field private _times string five doubles as bytes
---@field private _address string of the peer
---@field private _port integer
---@field private _source table? the source of a streamed body
---@field private _stream braid.Stream? the rest of the body
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

-- Iterates over lower-case names and values.
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
  local timing = { name_lookup = name_lookup, connect = connect, tls = tls, first_byte = first_byte, total = total }
  if response._elapsed then
    for name, seconds in pairs(timing) do timing[name] = seconds > 0 and seconds + response._elapsed or 0 end
  end
  return timing
end

function lazy.remote(response)
  return { address = response._address, port = response._port }
end

function lazy.history() return {} end

function lazy.reason(response) return response._head:match("^%S+ %d+ ([^\r\n]+)") or "" end

-- Tells what came before it. For redirect.lua.
function methods:came_after(history, elapsed)
  self.history, self._elapsed, self.timing = history, elapsed, nil
end

---All values of a header, in order. For headers that occur several times and cannot be joined (Set-Cookie).
---@param name string case-insensitive
---@return string[] values empty if there is none
function methods:values(name)
  name = name:lower()
  local values = {}
  for found, value in each_header(self._head) do
    if found == name then values[#values + 1] = value end
  end
  return values
end

---The links that the response names in its header Link, such as the next page: `{ url, rel, ... }`.
---@return braid.http.Link[]
function methods:links() return require("braid.http.links").read(self:values("link")) end

-- ---- a streamed body ------------------------------------------------------------------------------------------------

-- Makes a transfer look like a descriptor, so that a stream can read from it.
local Source = {}
Source.__index = Source

function Source.fd() end

function Source:reading() return self.pair.transfer:reading() end

function Source:read(_, timeout)
  if self.ended then return nil, self.err end
  local piece, err = self.pair.transfer:read(timeout)
  if piece then
    self.received = self.received + #piece
    self.report(self.received)
  elseif not err then
    self:finish()
    return nil, self.err
  end
  return piece, err
end

-- At the end all times are known; before, only those up to the first byte were.
function Source:finish()
  local result, err = self.conclude()
  self.ended, self.err = true, err
  if self.bar then self.bar:done() end
  if result then self.response._times, self.response.timing = result._times, nil end
end

function Source:close()
  if not self.ended then
    self.ended, self.err = true, errors.new("closed", "the response is closed", { url = self.response.url })
    if self.bar then self.bar:done() end
  end
  self.pair:close()
end

-- Makes the body come from the transfer of the pair, which is closed with it. conclude() returns the transfer's outcome
-- at its end. report(bytes) is called with the bytes so far. The bar, if there is one, is done at the end. For
-- exchange.lua.
function methods:pull(pair, conclude, report, bar)
  self._source = setmetatable({
    pair = pair, conclude = conclude, report = report, bar = bar, received = 0, response = self,
  }, Source)
end

-- A body that is complete, as a source.
local function whole(response)
  local body = response.body or ""
  return {
    fd = function() end, reading = function() return false end, close = function() body = "" end,
    read = function()
      local piece = body
      body = ""
      return piece ~= "" and piece or nil
    end,
  }
end

-- Lets the body be read as a stream only. For exchange.lua.
function methods:replay()
  self._source = whole(self)
  self.body = nil
end

function lazy._stream(response) return require("braid.io.stream").new(response._source or whole(response)) end

---Reads from the body like Lua's `file:read`; see Stream:read. Suspends.
---@param what? integer|"l"|"L"|"a"
---@param timeout? number seconds; the request's own timeout also counts
---@return string? data nil at the end
---@return braid.Error? err kinds: those of the request, and timeout
function methods:read(what, timeout) return self._stream:read(what, timeout) end

---An iterator over the pieces of the body as they come; it raises failures. The server has to wait while it is not
---called. Each step suspends.
---@return fun(): string?
function methods:chunks()
  local body = self._stream
  return function()
    local piece, err = body:read_some()
    if err then error(err, 0) end
    return piece
  end
end

---An iterator over the lines of the body as they come; it raises failures. Each step suspends.
---@param what? "l"|"L" without (default) or with their newlines
---@return fun(): string?
function methods:lines(what) return self._stream:lines(what) end

---Stops the transfer of a streamed body; closes the connection unless the body is complete. Does nothing for other
---responses. A `<close>` variable does this.
function methods:close() self._stream:close() end

function Response.__close(response) response:close() end

-- ---- content --------------------------------------------------------------------------------------------------------

-- The body; of a stream the rest of it.
local function body_of(response)
  if response.body or not response._source then return response.body or "" end
  return response:read("a")
end

local MARKS = { ["\xEF\xBB\xBF"] = "UTF-8", ["\xFF\xFE"] = "UTF-16LE", ["\xFE\xFF"] = "UTF-16BE" }

---The body as text in UTF-8; what cannot be read becomes U+FFFD. Suspends if the body is streamed.
---@param charset string? that of the body; default: what a byte order mark says, else the content type, else UTF-8
---@return string? text
---@return braid.Error? err kind http, with code UNKNOWN_CHARSET; for a streamed body also those of `read`
function methods:text(charset)
  if charset ~= nil and type(charset) ~= "string" then
    errors.misuse(1, "bad argument 'charset' to 'text' (a string expected, got %s)", errors.described(charset))
  end
  local body, err = body_of(self)
  if not body then return nil, err end
  local told = (self.headers["content-type"] or ""):lower():match(";%s*charset%s*=%s*\"?([^%s;\"]+)")
  charset = charset or MARKS[body:sub(1, 3)] or MARKS[body:sub(1, 2)] or told or "UTF-8"
  local text = core.text_decode(body, charset)
  if text then return text end
  return nil, errors.new("http", ("%s %s: the charset %q is unknown"):format(self._method, self.url, charset),
    { url = self.url, code = "UNKNOWN_CHARSET" })
end

---The body, decoded from JSON like braid.json does. Suspends if the body is streamed.
---@return any value nil if the body is not JSON
---@return braid.Error? err kind http; for a streamed body also those of `read`
function methods:json()
  local body, err = body_of(self)
  if not body then return nil, err end
  local ok, value = pcall(require("braid.json").decode, body)
  if ok then return value end
  if not errors.is_error(value, "json") then error(value, 0) end
  return nil, errors.new("http", ("%s %s: the body is %s"):format(self._method, self.url, value.message),
    { url = self.url, code = "NOT_JSON", cause = value })
end

---Raises kind http (with `status`, `url`, `code` and `response`) if the status is 400 or more. Else returns the
---response.
---@return braid.http.Response self
function methods:raise_for_status()
  if self.status < 400 then return self end
  local reason = self.reason ~= "" and " " .. self.reason or ""
  local text = ("%s %s: status %d%s"):format(self._method, self.url, self.status, reason)
  error(errors.new("http", text, {
    url = self.url, code = "HTTP_RETURNED_ERROR", status = self.status, response = self,
  }), 0)
end

local VERSIONS = { [10] = "1.0", [11] = "1.1", [20] = "2", [30] = "3" }

-- Makes a response from the core's results. For exchange.lua.
function M.new(method, url, status, body, head, version, times, address, port)
  return setmetatable({
    status = status, body = body, url = url, http_version = VERSIONS[version],
    _method = method, _head = head, _times = times, _address = address, _port = port,
  }, Response)
end

-- Makes a response of what was kept of one. For cache.lua.
function M.restored(method, url, status, body, head, version)
  local made = M.new(method, url, status, body, head, nil, ("ddddd"):pack(0, 0, 0, 0, 0), "", 0)
  made.http_version = version
  return made
end

errors.guard(Response, methods)

return M
