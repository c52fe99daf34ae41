-- SPDX-License-Identifier: MIT
-- Sessions: requests that share connections, cookies and options.
local core = require "braid.core"
local errors = require "braid.errors"
local exchange = require "braid.http.exchange"
local missing = require "braid.missing"
local query = require "braid.http.query"
local redirect = require "braid.http.redirect"
local request = require "braid.http.request"

local find = string.find

local M = {}

-- A URL as messages show it: without its user and password.
local function shown(url) return (url:gsub("^(%a*:?/*)[^/?#]*@", "%1")) end

-- Checks a URL. A relative one is below the session's base_url.
local function address(self, url)
  if url == package.loaded["braid.http"] then errors.misuse(1, "call it with a dot: braid.http.get(url)") end
  if type(url) ~= "string" then
    errors.misuse(1, "bad argument 'url' (a string expected, got %s)%s", errors.described(url),
      type(url) == "table" and ": braid.http.request { url = ... } takes a table" or "")
  end
  if find(url, "^[Hh][Tt][Tt][Pp][Ss]?://") then return url end
  local scheme = url:match("^(%a[%w+.-]*)://")
  if scheme then
    errors.misuse(1, "bad URL %q (the scheme is %s; only http and https are spoken)", shown(url), scheme)
  end
  if not self._base then errors.misuse(1, "bad URL %q (it must begin with http:// or https://)", shown(url)) end
  return self._base .. url:gsub("^/", "")
end

-- Options that only a session has.
local OWN = { base_url = "string", max_per_host = "integer", max_connections = "integer", cookies = "boolean|table" }

local function refuse_own(opts)
  if type(opts) ~= "table" then return end
  for name in pairs(opts) do
    if OWN[name] and not request.KNOWN[name] then
      errors.misuse(1, "the option '%s' is not a request's but a session's: braid.http.session{ %s = ... }", name, name)
    end
  end
end

-- The session's defaults; for another origin than that of its base_url, without what was given for that one.
local function defaults_for(self, url, relative)
  local defaults = self._defaults
  if relative or not self._home or redirect.origin(url) == self._home then return defaults end
  return redirect.for_strangers(defaults)
end

local function perform(self, method, url, opts)
  if opts == nil and self._simple and core.http_plain(url) and not request.sends_body(method) then
    return exchange.perform(self._handle, method, url, self._defaults)
  end
  local whole = address(self, url)
  refuse_own(opts)
  local record = defaults_for(self, whole, whole ~= url)
  url = whole
  if opts ~= nil or request.sends_body(method) then
    record = request.complete(method:lower(), opts, record, request.KNOWN, method)
    if opts then url = query.with_query(url, opts.query) end
  end
  local text, ready = redirect.prepared(url, record)
  if not text then errors.misuse(1, "bad URL %q (%s)", shown(url), ready) end
  return exchange.perform(self._handle, method, text, ready)
end

-- ---- sessions -------------------------------------------------------------------------------------------------------

---A request. Suspends until the whole response is there. Error kinds: timeout, limit, closed and http.
---@alias braid.http.Method
---| fun(self: braid.http.Session, url: string, opts: braid.http.Options?): braid.http.Response?, braid.Error?

---Requests that share connections, cookies and options. A `<close>` variable is closed at the end of its block.
---@class braid.http.Session
---@field get braid.http.Method `session:get(url, opts?)`: as braid.http.get. Suspends
---@field post braid.http.Method `session:post(url, opts?)`: as braid.http.post. Suspends
---@field put braid.http.Method `session:put(url, opts?)`: as braid.http.put. Suspends
---@field patch braid.http.Method `session:patch(url, opts?)`: as braid.http.patch. Suspends
---@field delete braid.http.Method `session:delete(url, opts?)`: as braid.http.delete. Suspends
---@field head braid.http.Method `session:head(url, opts?)`: as braid.http.head. Suspends
---@field private _handle userdata
---@field private _defaults table
---@field private _base string?
---@field private _simple boolean nothing of the defaults belongs to one origin
---@field private _home string? the origin of the base, where something was given for that alone
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

---The server-sent events of a URL. See `braid.http.events`.
---@param url string
---@param opts braid.http.EventOptions?
---@return braid.http.Events events
---@return nil, nil
---@return braid.http.Events closing what a `for` closes at its end
function Session:events(url, opts)
  local made = require("braid.http.events").new(self, url, opts)
  return made, nil, nil, made
end

---A cookie of a session.
---@class braid.http.Cookie
---@field name string
---@field value string
---@field domain string
---@field path string
---@field secure boolean
---@field http_only boolean
---@field expires integer? seconds since 1970; nil: when the session ends

---The cookies of the session.
---@return braid.http.Cookie[]
function Session:cookies()
  local list = {}
  for line in (self._handle:cookies() or ""):gmatch("[^\n]+") do
    local visible, hidden = line:gsub("^#HttpOnly_", "")
    local domain, path, secure, expires, name, value =
      visible:match("^([^\t]*)\t[^\t]*\t([^\t]*)\t([^\t]*)\t(%d+)\t([^\t]*)\t?(.*)$")
    list[#list + 1] = {
      name = name, value = value, domain = domain, path = path, secure = secure == "TRUE", http_only = hidden > 0,
      expires = expires ~= "0" and math.tointeger(expires) or nil,
    }
  end
  return list
end

---Deletes the cookies of the session.
function Session:clear_cookies() self._handle:cookies(true) end

---What the session does at the moment.
---@class braid.http.Stats
---@field open integer connections
---@field idle integer connections that no request uses
---@field waiting integer requests that have no connection yet
---@field requests integer requests so far, those of redirects and retries too
---@field reused integer requests that used the connection of an earlier one

---The session's connections and requests, in numbers; all are 0 when it is closed.
---@return braid.http.Stats
function Session:stats()
  local open, idle, waiting, requests, reused = self._handle:count()
  return {
    open = open or 0, idle = idle or 0, waiting = waiting or 0, requests = requests or 0, reused = reused or 0,
  }
end

---Closes the session and its connections. Running and later requests end with kind closed.
function Session:close()
  if M.living[self] then
    local stats = self:stats()
    M.ended.requests, M.ended.reused = M.ended.requests + stats.requests, M.ended.reused + stats.reused
    M.living[self] = nil
  end
  self._handle:close()
end
Session.__close = Session.close

local KNOWN = {}
for _, options in ipairs { OWN, request.COMMON } do
  for name, expected in pairs(options) do KNOWN[name] = expected end
end

local function bound(opts, name)
  return opts[name] and request.check_number(name, opts[name], 1) or 0
end

---Options of a session, in addition to those of its requests.
---@class braid.http.SessionOptions: braid.http.Options
---@field base_url string? URLs without a scheme are relative to it
---@field max_per_host integer? most connections to one host; further requests wait for one. Default: no limit
---@field max_connections integer? most connections in total. Default: no limit
---@field cookies boolean|table<string, string>|nil whether cookies are kept and sent back; default true. A table: true,
--- and these cookies are sent with each request to the origin of base_url; without a base_url, with each

M.living = setmetatable({}, { __mode = "k" }) -- the sessions of this state, for braid.metrics
M.ended = { requests = 0, reused = 0 } -- what closed sessions have counted

---Makes a session. It opens no connection yet.
---@param opts braid.http.SessionOptions?
---@return braid.http.Session
function M.new(opts)
  local defaults = request.complete("session", opts, request.DEFAULTS, KNOWN)
  opts = opts or {}
  local base = opts.base_url
  if base and not find(base, "^[Hh][Tt][Tt][Pp][Ss]?://") then
    errors.misuse(1, "bad option 'base_url' (%q does not begin with http:// or https://)", shown(base))
  end
  local home, problem
  if base and redirect.has_own(defaults) then
    home, problem = redirect.origin(base)
    if problem then errors.misuse(1, "bad option 'base_url' (%s)", problem) end
  end
  local handle = core.http_session(opts.cookies ~= false, bound(opts, "max_per_host"), bound(opts, "max_connections"))
  local made = setmetatable({
    _handle = handle, _defaults = defaults, _base = base and base:gsub("/*$", "/"), _home = home,
    _simple = not home,
  }, Session)
  M.living[made] = true
  return made
end

errors.guard(Session)
missing.methods(Session, "session")

return M
