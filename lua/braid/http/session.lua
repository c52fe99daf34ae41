-- SPDX-License-Identifier: MIT
-- Sessions: requests that share connections, cookies and options.
local core = require "braid.core"
local errors = require "braid.errors"
local request = require "braid.http.request"
local response = require "braid.http.response"

local find = string.find

local M = {}

-- ---- what went wrong ------------------------------------------------------------------------------------------------

-- libcurl's codes, by the names that its manual has for them.
local CODES = {
  [1] = "UNSUPPORTED_PROTOCOL", [3] = "URL_MALFORMAT", [4] = "NOT_BUILT_IN", [5] = "COULDNT_RESOLVE_PROXY",
  [6] = "COULDNT_RESOLVE_HOST", [7] = "COULDNT_CONNECT", [8] = "WEIRD_SERVER_REPLY", [16] = "HTTP2",
  [18] = "PARTIAL_FILE", [23] = "WRITE_ERROR", [27] = "OUT_OF_MEMORY", [28] = "OPERATION_TIMEDOUT",
  [35] = "SSL_CONNECT_ERROR", [42] = "ABORTED_BY_CALLBACK", [47] = "TOO_MANY_REDIRECTS", [52] = "GOT_NOTHING",
  [53] = "SSL_ENGINE_NOTFOUND", [55] = "SEND_ERROR", [56] = "RECV_ERROR", [58] = "SSL_CERTPROBLEM",
  [59] = "SSL_CIPHER", [60] = "PEER_FAILED_VERIFICATION", [61] = "BAD_CONTENT_ENCODING", [63] = "FILESIZE_EXCEEDED",
  [77] = "SSL_CACERT_BADFILE", [91] = "SSL_INVALIDCERTSTATUS", [92] = "HTTP2_STREAM", [94] = "AUTH_ERROR",
  [97] = "PROXY",
}
local CLOSED, EXPIRED = -1, -2 -- the core's own
local UNSUPPORTED_PROTOCOL, URL_MALFORMAT, TIMED_OUT, TOO_LARGE = 1, 3, 28, 63

local function failure(method, url, record, code, text, asked)
  if (code == URL_MALFORMAT or code == UNSUPPORTED_PROTOCOL) and not asked then
    errors.misuse(1, "bad URL %q (%s)", url, text)
  end
  local kind, name = "http", CODES[code] or code
  if code == CLOSED then
    kind, name, text = "closed", nil, "the session is closed"
  elseif code == EXPIRED then
    kind, name, text = "timeout", CODES[TIMED_OUT], ("timed out after %g s"):format(record.timeout)
  elseif code == TIMED_OUT then
    kind = "timeout"
  elseif code == TOO_LARGE then
    kind, text = "limit", ("the body is larger than max_body (%d bytes)"):format(record.max_body)
  end
  return nil, errors.new(kind, ("%s %s: %s"):format(method, url, text), { url = url, code = name })
end

-- ---- one request ----------------------------------------------------------------------------------------------------

-- From what the core says of a transfer that has ended.
local function outcome(method, url, record, status, body, head, moved, version, times)
  if not status then return failure(method, url, record, body, head, moved) end
  return response.new(method, moved or url, status, body, head, version, times)
end

-- The sink runs here, between two pieces; if it raises, the transfer is closed.
local function pour(fetcher, sink, method, url, record, ...)
  local transfer <close> = fetcher:stream(method, url, ...)
  for piece in transfer.read, transfer do sink(piece) end
  local result, err = outcome(method, url, record, transfer:finish())
  if result then result.body = nil end
  return result, err
end

local function send(fetcher, method, url, r)
  if r.sink then
    return pour(fetcher, r.sink, method, url, r, r.lines, r.body, r.timeout, r.connect_timeout, r.redirects,
      r.max_body, r.verify, r.ca_file, r.proxy, r.version, r.user, r.password)
  end
  return outcome(method, url, r, fetcher:fetch(method, url, r.lines, r.body, r.timeout, r.connect_timeout, r.redirects,
    r.max_body, r.verify, r.ca_file, r.proxy, r.version, r.user, r.password))
end

-- Relative ones stand below the session's base_url.
local function address(self, url)
  if type(url) ~= "string" then
    errors.misuse(1, "bad argument 'url' (a string expected, got %s)", url == nil and "nil" or "a " .. type(url))
  end
  if find(url, "^[Hh][Tt][Tt][Pp][Ss]?://") then return url end
  local scheme = url:match("^(%a[%w+.-]*)://")
  if scheme then errors.misuse(1, "bad URL %q (the scheme is %s; only http and https are spoken)", url, scheme) end
  if not self._base then errors.misuse(1, "bad URL %q (it must begin with http:// or https://)", url) end
  return self._base .. url:gsub("^/", "")
end

-- What only a session can be told.
local OWN = { base_url = "string", max_per_host = "integer", max_connections = "integer", cookies = "boolean" }

local function refuse_own(opts)
  for name in pairs(type(opts) == "table" and opts or {}) do
    if OWN[name] then
      errors.misuse(1, "the option '%s' is not a request's but a session's: braid.http.session{ %s = ... }", name, name)
    end
  end
end

local function perform(self, method, url, opts)
  url = address(self, url)
  refuse_own(opts)
  local record = self._defaults
  if opts ~= nil or request.sends_body(method) then
    record = request.complete(method:lower(), opts, record, request.KNOWN, method)
    if opts then url = request.with_query(url, opts.query) end
  end
  return send(self._fetcher, method, url, record)
end

-- ---- sessions -------------------------------------------------------------------------------------------------------

---A request: suspends until all of the response is there. Fails with kinds timeout, limit, closed and http.
---@alias braid.http.Method
---| fun(self: braid.http.Session, url: string, opts: braid.http.Options?): braid.http.Response?, braid.Error?

---Requests that share connections, cookies and options. As a `<close>` variable it is closed at the end of its block.
---@class braid.http.Session
---@field get braid.http.Method
---@field post braid.http.Method
---@field put braid.http.Method
---@field patch braid.http.Method
---@field delete braid.http.Method
---@field head braid.http.Method
---@field private _fetcher userdata
---@field private _defaults table
---@field private _base string?
local Session = { __name = "braid.http.Session" }
Session.__index = Session

for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD" } do
  Session[method:lower()] = function(self, url, opts) return perform(self, method, url, opts) end
end

---A request with any method: `session:request{ method = "OPTIONS", url = url, ... }`. Suspends.
---@param opts braid.http.Options with `url`, and `method` (default "GET")
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function Session:request(opts)
  if type(opts) ~= "table" then errors.misuse(1, "bad argument 'opts' to 'request' (a table expected)") end
  local method, url, rest = opts.method or "GET", opts.url, {}
  if type(method) ~= "string" or not method:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    errors.misuse(1, "bad option 'method' (the name of a method expected, got %s)", tostring(method))
  end
  for name, value in pairs(opts) do
    if name ~= "method" and name ~= "url" then rest[name] = value end
  end
  return perform(self, method:upper(), url, rest)
end

---Closes its connections. Requests that are under way end with kind closed, and so do later ones.
function Session:close() self._fetcher:close() end
Session.__close = Session.close

local KNOWN = {}
for _, options in ipairs { OWN, request.COMMON } do
  for name, expected in pairs(options) do KNOWN[name] = expected end
end

local function bound(opts, name)
  local value = opts[name]
  if value and value < 1 then errors.misuse(1, "bad option '%s' (a number from 1 expected, got %d)", name, value) end
  return value or 0
end

---Options of a session, beside those of its requests.
---@class braid.http.SessionOptions: braid.http.Options
---@field base_url string? URLs without a scheme stand below it
---@field max_per_host integer? connections to one host; requests beyond wait for one. Default: no bound
---@field max_connections integer? connections at all. Default: no bound
---@field cookies boolean? whether cookies are kept and sent back, default true

---A new session. Opens no connection yet.
---@param opts braid.http.SessionOptions?
---@return braid.http.Session
function M.new(opts)
  local defaults = request.complete("session", opts, request.DEFAULTS, KNOWN)
  opts = opts or {}
  local base = opts.base_url
  if base and not find(base, "^[Hh][Tt][Tt][Pp][Ss]?://") then
    errors.misuse(1, "bad option 'base_url' (%q does not begin with http:// or https://)", base)
  end
  local fetcher = core.fetcher(opts.cookies ~= false, bound(opts, "max_per_host"), bound(opts, "max_connections"))
  return setmetatable({
    _fetcher = fetcher, _defaults = defaults, _base = base and base:gsub("/*$", "/"),
  }, Session)
end

return M
