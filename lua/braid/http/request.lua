-- SPDX-License-Identifier: MIT
-- The options of a request: checked, completed with those of the session, and converted for the core.
local core = require "braid.core"
local errors = require "braid.errors"
local fields_of = require "braid.http.fields"
local query = require "braid.http.query"

local M = {}

---How connections are secured.
---@class braid.http.Tls
---@field verify boolean? as the option `verify`, which it excludes
---@field ca_file string? as the option `ca_file`, which it excludes
---@field cert string? path of the client's certificate, which belongs to an origin as `auth` does
---@field key string? path of its key
---@field min_version "1.2"|"1.3"|nil
---@field pin string|string[]|nil base64 SHA-256 of the public keys that the server may have

---Timeouts in seconds, each of them more than 0. The time in which this program is slow counts only for `total`.
---@class braid.http.Timeouts
---@field connect number? until the connection is established; as connect_timeout
---@field pool number? until a connection is free, where the session limits them
---@field read number? without a byte from the server, after the request was sent
---@field write number? in which no byte of the request could be sent
---@field total number? as timeout

---Options of a request. Those up to `trace` may also be given to a session, for all its requests.
---@class braid.http.Options
---@field headers table<string, string|number|string[]>? a list sends the header several times
---@field auth string|table? for the origin (scheme, host, port) of the URL, or of a session's base_url, and for no
--- other that a redirect leads to: "user:password" or {user, password}: basic authentication; {bearer = token};
--- {digest = "user:password" or {user, password}}
---@field timeout number? seconds for everything, including the wait for a connection and retries; default 30;
--- math.huge: no limit
---@field connect_timeout number? seconds until the connection is established
---@field idle_timeout integer? seconds without any byte in either direction, after which the request fails with kind
--- timeout
---@field follow boolean|integer? number of redirects (301, 302, 303, 307, 308) to follow; default true, which is 10
---@field verify boolean? whether to verify the server's certificate; default true
---@field ca_file string? certificates to trust instead of the system's
---@field proxy string? URL of a proxy: http, https, socks4, socks4a, socks5 (this host looks up names) or socks5h (the
--- proxy does); "" for none. Default: from the environment (http_proxy, https_proxy, all_proxy)
---@field no_proxy string|string[]? hosts that need no proxy; "*": all. Default: from the environment
---@field unix_socket string? path of a Unix socket to connect to, in place of the URL's host
---@field http_version "1.0"|"1.1"|"2"|"h2c"? default: 2 if the server offers it by TLS; h2c: 2 without TLS, from the
--- first byte on
---@field max_body integer? bytes; a larger body fails with kind limit. Default: no limit
---@field decode boolean? whether compressed bodies are decompressed; default true. false: none are asked for, and the
--- body stays as it came
---@field retries integer|braid.http.Retries|boolean? most retries of an idempotent request; default 0; true: 3
---@field retry braid.http.Retry? the same as a table that says more; excludes `retries`
---@field timeouts braid.http.Timeouts? its total, connect and read exclude timeout, connect_timeout and idle_timeout
---@field tls braid.http.Tls?
---@field resolve table<string, string>? "host:port" -> address to connect to, for this request; the Host header and the
--- certificate are still the URL's
---@field local_address string? address of this host to connect from
---@field netrc boolean|string? takes user and password from ~/.netrc, or from this file, if it names the host and the
--- request has none
---@field on_request fun(request: braid.http.Outgoing)? is called before the request is sent; may change its `headers`,
--- `url` and `body`, and may wait. What it raises is raised by the request
---@field on_response fun(response: braid.http.Response)? is called with the response before it is returned; may change
--- it, and may wait. What it raises is raised by the request
---@field cache string|boolean|nil folder in which responses are kept and used again as RFC 9111 says; true: one of this
--- user ($XDG_CACHE_HOME/braid/http). Programs may share a folder, and remove files from it at any time
---@field trace fun(event: braid.http.Event)? called while the request goes on; see braid.http.Event
---@field sink fun(piece: string)? called with each piece of the body. It may wait; meanwhile the server has to wait,
--- too. If it returns nil and a reason (like file:write), the request fails with that
---@field file string? path where the body is saved if the status is 2xx. The file appears, or replaces an older one,
--- when the body is complete; symbolic links and permissions stay, and devices are written in place. The body of any
--- other status is in response.body
---@field resume boolean? with `file`: what has come of it stays in PATH.part if the download fails, and the next one
--- with this option asks for the rest only. If the server has another version meanwhile, it begins anew. The body is
--- saved as it comes, not decompressed
---@field progress boolean|table|fun(received: integer, total: integer?)? called with the bytes so far, and the total if
--- it is known; true, or options of braid.progress: shows a bar on stderr
---@field stream boolean? return when the headers are there; read the body by response:chunks(), :lines() or :read()
---@field cookies table<string, string>? name -> value, in addition to those of the session; for the URL's origin only
---@field query table<string, any>|string? added to the URL; a list as value repeats the name
---@field body string|function|file*|table|nil text; or a function or iterator that returns pieces and nil at the end
--- (nil and a reason: the request fails with that); or an open file or stream. They may suspend, and are called as fast
--- as the server takes what they give
---@field content_length integer? bytes of such a body. Default: for files what is left of them; for others none, and
--- the body is sent in chunks
---@field json any? the body, encoded as JSON
---@field form table<string, any>? the body, encoded like an HTML form
---@field multipart table? the body: a form with files; see braid.http.Part

M.COMMON = {
  headers = "table", auth = "string|table", timeout = "number", connect_timeout = "number",
  follow = "boolean|integer", verify = "boolean", ca_file = "string", proxy = "string", http_version = "string",
  max_body = "integer", idle_timeout = "integer", no_proxy = "string|table", unix_socket = "string",
  retries = "boolean|integer|table", trace = "function", decode = "boolean",
  retry = "table", timeouts = "table", resolve = "table", local_address = "string", netrc = "boolean|string",
  cache = "boolean|string", tls = "table", on_request = "function", on_response = "function",
}

M.KNOWN = {
  sink = "function", file = "string", resume = "boolean", progress = "boolean|table|function", stream = "boolean",
  cookies = "table",
  query = "table|string", body = "any", content_length = "integer", json = "any", form = "table", multipart = "table",
}
for name, expected in pairs(M.COMMON) do M.KNOWN[name] = expected end

-- nil: libcurl reads the environment for each request. That is only needed if a proxy is set there.
local function default_proxy()
  for _, name in ipairs { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" } do
    if (os.getenv(name) or "") ~= "" then return nil end
  end
  return ""
end

-- A request without options: a record, which is copied for every change. The core (csrc/lua/io/lrequest.c) reads the
-- fields from `lines` to `upload_size`; `ready` is what it has made of them, for the method `ready_for`.
M.DEFAULTS = {
  plain = true, -- only status, headers and body are wanted
  fields = {}, lines = nil, body = nil, timeout = 30, connect_timeout = 0, redirects = 10, max_body = 0, verify = true,
  decode = true, cert = nil, key = nil, pin = nil, tls_version = nil, ways = nil, interface = nil, netrc = nil,
  ca_file = nil, proxy = default_proxy(), version = 0, user = nil, password = nil,
  digest = nil, pool_timeout = nil, read_timeout = nil, write_timeout = nil, no_proxy = nil, unix_socket = nil,
  cookies = nil, upload = nil, upload_size = nil,
  source = nil, unreadable = nil, resume = nil, cache = nil, sink = nil, file = nil, progress = nil, stream = nil,
  retries = nil, trace = nil, ready = nil, ready_for = nil,
}

-- ---- options --------------------------------------------------------------------------------------------------------

-- Each function converts an option into fields of the record.
local set = {}

-- `field`: of the record; default: the option's name.
local function seconds(record, name, value, field)
  if value <= 0 or value ~= value then
    errors.misuse(1, "bad option '%s' (seconds, more than 0, expected, got %s)", name, value)
  end
  record[field or name] = value
end

function set.timeout(record, value) seconds(record, "timeout", value) end
function set.connect_timeout(record, value) seconds(record, "connect_timeout", value) end
function set.decode(record, value) record.decode = value end
function set.verify(record, value) record.verify = value end
function set.ca_file(record, value) record.ca_file = value end
function set.proxy(record, value) record.proxy = value end
function set.sink(record, value) record.sink = value end
function set.progress(record, value) record.progress = value or nil end
function set.stream(record, value) record.stream = value end
function set.retries(record, value) record.retries = require("braid.http.retry").policy(value) end
function set.retry(record, value) record.retries = require("braid.http.retry").of_retry(value) end
function set.on_request(record, value) record.on_request = value end
function set.on_response(record, value) record.on_response = value end
function set.trace(record, value) record.trace = value end

local function check_text(name, value)
  if type(value) ~= "string" or value == "" or value:find("\0", 1, true) then
    errors.misuse(1, "bad option '%s' (text without zero bytes expected)", name)
  end
  return value
end

function set.cache(record, value)
  record.cache = type(value) == "string" and check_text("cache", value) or value or nil
end

function set.resume(record, value) record.resume = value or nil end

function set.file(record, value) record.file = check_text("file", value) end

function set.local_address(record, value) record.interface = "host!" .. check_text("local_address", value) end

function set.netrc(record, value)
  record.netrc = type(value) == "string" and check_text("netrc", value) or value and "" or nil
end

-- As libcurl's CONNECT_TO, which leaves nothing in the session's cache of names.
function set.resolve(record, value)
  local ways = {}
  for _, place in ipairs(query.sorted_names("resolve", value)) do
    local address = value[place]
    if not place:find("^.+:%d+$") or type(address) ~= "string" or #place + #address > 450
      or address:find("[^%w.:%[%]_-]") or place:find("%c") then
      errors.misuse(1, "bad option 'resolve' (\"host:port\" = \"address\" expected, got %q)", place)
    end
    if address:find(":", 1, true) and not address:find("^%[") then address = "[" .. address .. "]" end
    ways[#ways + 1] = place .. ":" .. address .. ":" .. place:match("%d+$")
  end
  record.ways = ways[1] and table.concat(ways, "\n") or nil
end

local TLS = {
  verify = "boolean", ca_file = "string", cert = "string", key = "string", min_version = "string", pin = "string|table",
}

-- As libcurl's PINNEDPUBLICKEY.
local function pins_of(value)
  local pins = {}
  for i, pin in ipairs(type(value) == "table" and value or { value }) do
    if type(pin) ~= "string" or not pin:find("^[%w+/]+=*$") then
      errors.misuse(1, "bad option 'tls' (pin: the base64 SHA-256 of a public key, or a list, expected)")
    end
    pins[i] = "sha256//" .. pin
  end
  return pins[1] and table.concat(pins, ";")
end

function set.tls(record, value)
  errors.check_options(1, "tls", value, TLS)
  if value.verify ~= nil then record.verify = value.verify end
  for _, name in ipairs { "ca_file", "cert", "key" } do
    if value[name] then record[name] = check_text("tls", value[name]) end
  end
  local version = value.min_version
  if version then
    record.tls_version = ({ ["1.2"] = 12, ["1.3"] = 13 })[version]
      or errors.misuse(1, "bad option 'tls' (min_version: \"1.2\" or \"1.3\" expected, got %q)", version)
  end
  if value.pin then record.pin = pins_of(value.pin) end
end

local TIMEOUTS = { connect = "number", pool = "number", read = "number", write = "number", total = "number" }

function set.timeouts(record, value)
  errors.check_options(1, "timeouts", value, TIMEOUTS)
  for name, time in pairs(value) do
    seconds(record, "timeouts." .. name, time, name == "total" and "timeout" or name .. "_timeout")
  end
end

function set.unix_socket(record, value) record.unix_socket = check_text("unix_socket", value) end

function set.no_proxy(record, value)
  if type(value) == "table" then
    for _, host in ipairs(value) do check_text("no_proxy", host) end
    value = table.concat(value, ",")
  end
  record.no_proxy = value
end

---Raises for a number that libcurl cannot store: most of its numbers have 32 bits.
---@param name string of the option
---@param value integer
---@param least integer
---@return integer value
function M.check_number(name, value, least)
  if value >= least and value <= 0x7fffffff then return value end
  errors.misuse(1, "bad option '%s' (an integer from %d to 2147483647 expected, got %d)", name, least, value)
end

function set.idle_timeout(record, value)
  record.read_timeout = M.check_number("idle_timeout", value, 1)
  record.write_timeout = value
end

function set.cookies(record, value)
  if type(value) ~= "table" then return end -- a session's: whether it keeps cookies
  local cookies = {}
  for _, name in ipairs(query.sorted_names("cookies", value)) do
    local text = tostring(value[name])
    if not query.SIMPLE[type(value[name])] or text:find("[%c;]") or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      errors.misuse(1, "bad option 'cookies' (%s cannot be a cookie: a name, and a value without ';')", name)
    end
    cookies[#cookies + 1] = name .. "=" .. text
  end
  record.cookies = table.concat(cookies, "; ")
end

function set.follow(record, value)
  if value == true then value = M.DEFAULTS.redirects end
  record.redirects = value and M.check_number("follow", value, 0) or 0
end

function set.max_body(record, value)
  if value < 1 then errors.misuse(1, "bad option 'max_body' (bytes, at least 1, expected, got %d)", value) end
  record.max_body = value
end

function set.http_version(record, value)
  local version = ({ ["1.0"] = 10, ["1.1"] = 11, ["2"] = 20, h2c = 21 })[value]
  if not version then
    errors.misuse(1, "bad option 'http_version' (\"1.0\", \"1.1\", \"2\" or \"h2c\" expected, got %q)", value)
  end
  record.version = version
end

function set.headers(record, value) fields_of.add(record.fields, value) end

local function user_of(value)
  local user, password
  if type(value) == "string" then
    user, password = value:match("^([^:]*):(.*)$")
  elseif type(value) == "table" then
    user, password = value[1], value[2]
  end
  if type(user) ~= "string" or type(password) ~= "string" then
    errors.misuse(1, "bad option 'auth' (%s expected)",
      '"user:password", {user, password}, {bearer = token} or {digest = ...}')
  end
  if (user .. password):find("%c") then
    errors.misuse(1, "bad option 'auth' (the user or the password contains a control character)")
  end
  return user, password
end

function set.auth(record, value)
  record.fields.authorization, record.user, record.password = nil, nil, nil
  if type(value) == "table" and value.bearer then
    fields_of.add(record.fields, { Authorization = "Bearer " .. tostring(value.bearer) })
    return
  end
  local digest = type(value) == "table" and value.digest
  record.user, record.password = user_of(digest or value)
  record.digest = digest and true or nil
end

-- Sets the body, and its content type unless the headers have one.
local function set_text(record, text, content_type)
  record.body = text
  if not record.fields["content-type"] then record.fields["content-type"] = { "Content-Type:" .. content_type } end
end

-- "Expect:" stops libcurl from asking before it sends a large body: it waits a second if the server does not answer
-- that.
local function ask_nothing(record) record.fields.expect = record.fields.expect or { "Expect:" } end

local function set_source(record, source)
  record.source, record.upload, record.upload_size, record.body = source, true, source.size, nil
  record.fields["content-length"] = nil
  ask_nothing(record)
end

local function set_body(record, value, length)
  if type(value) == "number" then value = tostring(value) end
  if type(value) == "string" then
    if length and length ~= #value then
      errors.misuse(1, "bad option 'content_length' (the body has %d bytes, got %d)", #value, length)
    end
    return set_text(record, value, "")
  end
  local body = require "braid.http.body"
  if not body.is_source(value) then
    errors.misuse(1, "bad option 'body' (a string, a function, an iterator or a file expected, got %s)",
      errors.described(value))
  end
  local announced = length or math.tointeger(((record.fields["content-length"] or {})[1] or ""):match("%d+$"))
  if announced and announced < 0 then
    errors.misuse(1, "bad option 'content_length' (bytes, at least 0, expected, got %d)", announced)
  end
  set_source(record, body.of(value, announced))
end

local function set_form(record, form)
  local content, boundary = require("braid.http.multipart").body(form)
  if not content then
    record.unreadable = boundary
    return
  end
  local fields, kind = record.fields, "multipart/form-data"
  local own = fields["content-type"] and fields["content-type"][1]:match("^[^:]*:%s*(multipart/[^;]+)")
  fields["content-type"] = { ("Content-Type: %s; boundary=%s"):format(own or kind, boundary) }
  if type(content) == "string" then
    record.body = content
  else
    set_source(record, content)
  end
end

local function encode_json(value)
  local ok, text = pcall(require("braid.json").encode, value)
  if errors.is_error(text, "json") then errors.misuse(1, "bad option 'json' (%s)", text) end
  if not ok then error(text, 0) end
  return text
end

local LARGE = 1024 * 1024

local SENDS_BODY = { POST = true, PUT = true, PATCH = true }

---Whether requests with this method have a body even if none was given.
---@param method string
---@return boolean
function M.sends_body(method) return SENDS_BODY[method] or false end

local function complete_body(record, method, options)
  local given = {}
  for _, name in ipairs { "body", "json", "form", "multipart" } do
    if options[name] ~= nil then given[#given + 1] = name end
  end
  if given[2] then errors.misuse(1, "the options '%s' and '%s' exclude each other", given[1], given[2]) end
  if options.content_length and given[1] ~= "body" then
    errors.misuse(1, "the option 'content_length' needs the option 'body'")
  end
  if options.body ~= nil then set_body(record, options.body, options.content_length) end
  if options.json ~= nil then set_text(record, encode_json(options.json), " application/json") end
  if options.form then
    set_text(record, query.encoded("form", options.form), " application/x-www-form-urlencoded")
  end
  if options.multipart then set_form(record, options.multipart) end
  if not given[1] and SENDS_BODY[method] then set_text(record, "", "") end
  if method == "HEAD" and given[1] then errors.misuse(1, "a HEAD request has no body") end
  if record.body and #record.body > LARGE then ask_nothing(record) end
end

---A copy of the record, to be changed.
---@param record table
---@return table
function M.copy(record)
  local copy = {}
  for name, value in pairs(record) do copy[name] = value end
  copy.ready, copy.ready_for = nil, nil
  return copy
end

---The record as the core takes it. It is made once, so the record cannot be changed any more.
---@param method string
---@param record table
---@return userdata
function M.ready(method, record)
  if record.ready_for ~= method then
    record.ready, record.ready_for = core.http_request(method, record), method
  end
  return record.ready
end

---A copy of the record with further headers.
---@param record table
---@param headers table<string, string>
---@return table
function M.with_headers(record, headers)
  local copy, fields = M.copy(record), {}
  for name, lines in pairs(record.fields) do fields[name] = lines end
  fields_of.add(fields, headers)
  copy.fields, copy.lines = fields, fields_of.lines(fields)
  return copy
end

---What the caller gave as the body of a request.
---@param record table
---@return any
function M.given_body(record)
  if record.source then return record.source.given end
  return record.body
end

---A copy of the record with other headers and another body.
---@param record table
---@param headers table<string, string|string[]>
---@param content any as the option `body`
---@return table
function M.changed(record, headers, content)
  local copy = M.copy(record)
  copy.fields = {}
  fields_of.add(copy.fields, headers)
  for name, lines in pairs(record.fields) do
    if copy.fields[name] and lines[1]:find(":$") then copy.fields[name] = lines end -- libcurl is to leave it out
  end
  if content ~= M.given_body(record) then
    copy.source, copy.upload, copy.upload_size, copy.body = nil, nil, nil, nil
    if content ~= nil then set_body(copy, content) end
    copy.plain = copy.plain and not copy.source
  end
  copy.lines = fields_of.lines(copy.fields)
  return copy
end

local OLDER = { retry = { "retries" }, tls = { "verify", "ca_file" } }
local OLDER_TIMES = { total = "timeout", connect = "connect_timeout", read = "idle_timeout" }

-- Two forms of one option: the older one, and the table.
local function check_forms(options)
  local function exclude(name, other)
    if options[other] ~= nil then errors.misuse(1, "the options '%s' and '%s' exclude each other", name, other) end
  end
  for name, older in pairs(OLDER) do
    for _, other in ipairs(options[name] ~= nil and older or {}) do exclude(name, other) end
  end
  for name, other in pairs(OLDER_TIMES) do
    if type(options.timeouts) == "table" and options.timeouts[name] ~= nil then exclude("timeouts." .. name, other) end
  end
end

-- Adds what a download that can be resumed needs.
local function complete_resume(record, method)
  if not record.resume then return end
  if not record.file then errors.misuse(1, "the option 'resume' needs the option 'file'") end
  if method ~= "GET" or record.fields.range then
    errors.misuse(1, "the option 'resume' is for GET without a header Range")
  end
  record.decode = false
  record.fields["accept-encoding"] = record.fields["accept-encoding"] or { "Accept-Encoding: identity" }
end

-- At most one option may say where the body goes.
local function check_takers(record)
  local taker
  for _, name in ipairs { "sink", "file", "stream" } do
    if record[name] then
      if taker then errors.misuse(1, "the options '%s' and '%s' exclude each other", taker, name) end
      taker = name
    end
  end
  record.plain = not (taker or record.progress or record.retries or record.trace or record.source or record.cache)
end

---Makes the record of a request, or of all requests of a session: `base`, changed by the options. Raises for bad
---options.
---@param what string the function, for messages
---@param options braid.http.Options?
---@param base table a record
---@param known table<string, string> the known options
---@param method string? of the request
---@return table record
function M.complete(what, options, base, known, method)
  errors.check_options(1, what, options, known)
  check_forms(options or {})
  local record = M.copy(base)
  record.fields = {}
  for name, lines in pairs(base.fields) do record.fields[name] = lines end
  for name, value in pairs(options or {}) do
    if set[name] then set[name](record, value) end
  end
  complete_body(record, method, options or {})
  complete_resume(record, method)
  check_takers(record)
  record.lines = fields_of.lines(record.fields)
  return record
end

return M
