-- SPDX-License-Identifier: MIT
-- The opening handshake (RFC 6455, section 4): what a client sends, and what both sides check.
local base64 = require "braid.base64"
local codecs = require "braid.websocket.codec"
local errors = require "braid.errors"
local extension = require "braid.websocket.extension"

local M = {}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

---The answer to a key.
---@param key string Sec-WebSocket-Key
---@return string Sec-WebSocket-Accept
function M.accept(key) return base64.encode(codecs.digest(key .. GUID)) end

---Whether this is a key: 16 bytes in base64.
---@param key string?
---@return boolean
function M.is_key(key) return key ~= nil and #key == 24 and key:find("^[%w+/]+==$") ~= nil end

-- ---- the request ----------------------------------------------------------------------------------------------------

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+$"

-- Headers that the handshake sets itself.
local OWN = {
  ["upgrade"] = true, ["connection"] = true, ["sec-websocket-key"] = true, ["sec-websocket-version"] = true,
  ["sec-websocket-extensions"] = true, ["sec-websocket-protocol"] = "protocols", ["content-length"] = true,
  ["transfer-encoding"] = true,
}

local function check_name(name)
  if type(name) ~= "string" or not name:find(TOKEN) then
    errors.misuse(1, "bad option 'headers' to 'connect' (a header's name cannot be %s)",
      type(name) == "string" and ("%q"):format(name) or errors.described(name))
  end
  local own = OWN[name:lower()]
  if own then
    errors.misuse(1, "bad option 'headers' to 'connect' (the handshake sets %s itself%s)", name,
      own ~= true and ": use the option '" .. own .. "'" or "")
  end
end

local function line_of(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    errors.misuse(1, "bad option 'headers' to 'connect' (the header %s cannot be %s)", name, errors.described(value))
  end
  value = tostring(value)
  if value:find("[%z\1-\8\10-\31\127]") then
    errors.misuse(1, "bad option 'headers' to 'connect' (the header %s contains a control character)", name)
  end
  return ("%s: %s\r\n"):format(name, value)
end

-- The lines of the caller's headers, and a set of their names in lower case.
local function lines_of(headers)
  local lines, names = {}, {}
  for name, value in pairs(headers or {}) do
    check_name(name)
    names[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do lines[#lines + 1] = line_of(name, one) end
  end
  return table.concat(lines), names
end

---Checks a list of subprotocols.
---@param what string the function, for the message
---@param protocols string[]?
function M.check_protocols(what, protocols)
  local seen = {}
  for _, name in ipairs(protocols or {}) do
    if type(name) ~= "string" or not name:find(TOKEN) or seen[name] then
      errors.misuse(1, "bad option 'protocols' to '%s' (a list of different names without blanks expected)", what)
    end
    seen[name] = true
  end
end

---What a client sends.
---@param url braid.websocket.Url
---@param opts table the options of connect
---@return string head
---@return string key
function M.request(url, opts)
  local key = base64.encode(codecs.nonce())
  local more, given = lines_of(opts.headers)
  local lines = { ("GET %s HTTP/1.1\r\n"):format(url.target) }
  local function add(name, value)
    if value and not given[name:lower()] then lines[#lines + 1] = ("%s: %s\r\n"):format(name, value) end
  end
  add("Host", url.place)
  add("Upgrade", "websocket")
  add("Connection", "Upgrade")
  add("Sec-WebSocket-Key", key)
  add("Sec-WebSocket-Version", "13")
  add("Sec-WebSocket-Protocol", opts.protocols and opts.protocols[1] and table.concat(opts.protocols, ", "))
  add("Sec-WebSocket-Extensions", opts.compress ~= false and extension.OFFER)
  add("Authorization", url.login and "Basic " .. base64.encode(url.login))
  add("User-Agent", "braid")
  lines[#lines + 1] = more
  return table.concat(lines) .. "\r\n", key
end

-- ---- the answer, read by the client ---------------------------------------------------------------------------------

---The headers of the server's answer, by name; names are case-insensitive, `pairs` gives them in lower case. Several
---values of the same header are joined with ", ".
---@class braid.websocket.Headers
---@field [string] string
local Headers = {}

function Headers.__index(headers, name)
  return type(name) == "string" and rawget(headers, name:lower()) or nil
end

-- Reads the lines after the status line; nil: one has no form of a header.
local function headers_of(lines)
  local headers = {}
  for line in lines:gmatch("(.-)\r\n") do
    local name, value = line:match("^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$")
    if not name then return nil end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return setmetatable(headers, Headers)
end

---Whether a header that is a list of words has this one.
---@param value string?
---@param wanted string in lower case
---@return boolean
function M.has_word(value, wanted)
  for word in (value or ""):gmatch("[^,%s]+") do
    if word:lower() == wanted then return true end
  end
  return false
end

local function includes(list, wanted)
  for _, each in ipairs(list or {}) do
    if each == wanted then return true end
  end
  return false
end

-- What is wrong with an answer of status 101; nil: nothing.
local function fault(headers, key, protocols)
  if not M.has_word(headers.Upgrade, "websocket") then return "its Upgrade is not websocket" end
  if not M.has_word(headers.Connection, "upgrade") then return "its Connection is not Upgrade" end
  if headers["Sec-WebSocket-Accept"] ~= M.accept(key) then return "its Sec-WebSocket-Accept is wrong" end
  local protocol = headers["Sec-WebSocket-Protocol"]
  if protocol and not includes(protocols, protocol) then return "it chose a protocol that was not offered" end
end

local function refused(status, headers, format, ...)
  return nil, errors.new("http", format:format(...), { status = status, headers = headers })
end

---A client reads the server's answer.
---@param head string up to the empty line
---@param key string
---@param opts table the options of connect
---@return braid.websocket.Headers? headers
---@return braid.Error|braid.websocket.Terms|false terms false: messages are not compressed
function M.read(head, key, opts)
  local version, status, reason, lines = head:match("^HTTP/1%.([01]) (%d%d%d)%f[ \r] ?([^\r\n]*)\r\n(.*)\r\n$")
  local headers = status and headers_of(lines)
  if not headers or head:sub(-4) ~= "\r\n\r\n" then
    return refused(nil, nil, "the server's answer is not HTTP/1.1, or cut short")
  end
  status = math.tointeger(status)
  if status ~= 101 or version ~= "1" then
    return refused(status, headers, "the server refuses the handshake: %d %s", status, reason)
  end
  local wrong = fault(headers, key, opts.protocols)
  local terms = extension.accepted(headers["Sec-WebSocket-Extensions"], opts.compress ~= false)
  if terms == nil then wrong = wrong or "it chose an extension that was not offered" end
  if wrong then return refused(status, headers, "the server's handshake is wrong: %s", wrong) end
  return headers, terms
end

-- ---- the answer, made by the server ---------------------------------------------------------------------------------

-- The client's first protocol that the server has, too.
local function choose_protocol(offered, known)
  for name in (offered or ""):gmatch("[^,%s]+") do
    if includes(known, name) then return name end
  end
end

-- What is wrong with a request. Returns the status, a text, and headers for the refusal; nothing: nothing is wrong.
local function objection(method, headers)
  if method ~= "GET" then return 405, "a WebSocket begins with GET", { "Allow", "GET" } end
  if not M.has_word(headers.Upgrade, "websocket") or not M.has_word(headers.Connection, "upgrade") then
    return 426, "only WebSockets are served here", { "Upgrade", "websocket", "Connection", "Upgrade" }
  end
  if headers["Sec-WebSocket-Version"] ~= "13" then
    return 426, "only version 13 of WebSocket is known", { "Sec-WebSocket-Version", "13" }
  end
  if not M.is_key(headers["Sec-WebSocket-Key"]) then return 400, "the Sec-WebSocket-Key is wrong", {} end
end

---What a server has agreed on.
---@class braid.websocket.Agreement
---@field headers string[] of the answer with status 101: names and values alternately
---@field protocol string?
---@field terms braid.websocket.Terms?

---A server answers a request for a WebSocket.
---@param method string
---@param headers table<string, string> of the request, by name; names are case-insensitive
---@param opts {protocols: string[]?, compress: boolean?}
---@return braid.websocket.Agreement? agreement nil: the request is refused
---@return integer? status
---@return string? text
---@return string[]? more headers of the refusal: names and values alternately
function M.answer(method, headers, opts)
  local status, text, more = objection(method, headers)
  if status then return nil, status, text, more end
  local list = {
    "Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", M.accept(headers["Sec-WebSocket-Key"]),
  }
  local function add(name, value)
    if not value then return end
    list[#list + 1] = name
    list[#list + 1] = value
  end
  local protocol = choose_protocol(headers["Sec-WebSocket-Protocol"], opts.protocols)
  local extensions, terms
  if opts.compress ~= false then extensions, terms = extension.choose(headers["Sec-WebSocket-Extensions"]) end
  add("Sec-WebSocket-Protocol", protocol)
  add("Sec-WebSocket-Extensions", extensions)
  return { headers = list, protocol = protocol, terms = terms }
end

return M
