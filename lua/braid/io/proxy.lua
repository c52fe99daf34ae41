-- SPDX-License-Identifier: MIT
-- Connections through a proxy: what is said to an HTTP proxy (CONNECT) or to a SOCKS5 proxy (RFC 1928, RFC 1929)
-- before the stream belongs to the caller.
local base64 = require "braid.base64"
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local HEAD = 65536 -- bytes of an HTTP proxy's answer
local MOST_INTERIM = 100 -- answers 1xx before it

local PORTS = { http = 80, socks5 = 1080, socks5h = 1080 }

local function refused(format, ...) return nil, errors.new("proxy", format:format(...)) end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- Splits "host:port", "[address]:port" or a host alone.
local function place_of(authority)
  local host, port = authority:match("^%[([%x:.]+)%]:?(%d*)$")
  if not host then host, port = authority:match("^([^:%[%]]+):?(%d*)$") end
  return host, port
end

---Checks a proxy's URL: "http://", "socks5://" or "socks5h://", then `user:password@` where it wants a login, host and
---port.
---@param url string
---@return {scheme: string, host: string, port: integer, user: string?, password: string?}
function M.parse(url)
  local scheme, rest = url:match("^(%w+)://([^/?#%c ]+)/?$")
  scheme = scheme and scheme:lower()
  local login, authority = (rest or ""):match("^(.*)@([^@]*)$")
  local host, port = place_of(authority or rest or "")
  local number = host and (port == "" and PORTS[scheme] or math.tointeger(tonumber(port)))
  if not PORTS[scheme] or not number or number < 1 or number > 65535 then
    errors.misuse(1, "bad option 'proxy' (http://HOST:PORT or socks5://HOST:PORT expected)")
  end
  local user, password = (login or ""):match("^([^:]*):?(.*)$")
  user, password = decoded(user), decoded(password)
  if #user > 255 or #password > 255 then
    errors.misuse(1, "bad option 'proxy' (the user or the password is too long)")
  end
  return { scheme = scheme, host = host, port = number, user = login and user, password = password }
end

-- ---- HTTP -----------------------------------------------------------------------------------------------------------

-- The status and the reason of an answer. Answers 1xx come before the one that counts.
local function final_answer(stream, left)
  for _ = 1, MOST_INTERIM do
    local head, err = stream:read_until("\r\n\r\n", HEAD, left())
    if err then return nil, nil, err end
    if not head then return nil, refused("the proxy has closed the connection without an answer") end
    local status, reason = head:match("^HTTP/1%.[01] (%d%d%d)%f[ \r] ?([^\r\n]*)\r\n")
    if not status then return nil, refused("the proxy's answer is not HTTP") end
    if head:sub(-4) ~= "\r\n\r\n" then
      return nil, refused("the proxy has closed the connection in the middle of its answer")
    end
    if status:sub(1, 1) ~= "1" then return status, reason end
  end
  return nil, refused("the proxy's answer is not HTTP: answers 1xx without an end")
end

local function connect_http(stream, proxy, host, port, left)
  local place = (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
  local login = proxy.user and base64.encode(proxy.user .. ":" .. proxy.password)
  login = login and ("Proxy-Authorization: Basic %s\r\n"):format(login)
  local request = ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"):format(place, place, login or "")
  local sent, err = stream:write(request, left())
  if not sent then return nil, err end
  local status, reason
  status, reason, err = final_answer(stream, left)
  if not status then return nil, err end
  if status:sub(1, 1) == "2" then return true end
  return nil, errors.new("proxy", ("the proxy refuses: %s %s"):format(status, reason), { status = tonumber(status) })
end

-- ---- SOCKS5 ---------------------------------------------------------------------------------------------------------

local REPLIES = {
  "it has failed", "its rules do not allow that", "the network cannot be reached", "the host cannot be reached",
  "the connection was refused", "the time to live is over", "it does not know the command",
  "it does not know the kind of address",
}

-- Reads exactly that many bytes.
local function take(stream, count, left)
  local data, err = stream:read(count, left())
  if err then return nil, err end
  if data and #data == count then return data end
  return refused("the proxy has closed the connection in the middle of its answer")
end

-- Writes, and reads that many bytes.
local function ask(stream, data, count, left)
  local sent, err = stream:write(data, left())
  if not sent then return nil, err end
  return take(stream, count, left)
end

local function log_in(stream, proxy, left)
  local answer, err = ask(stream, proxy.user and "\5\2\0\2" or "\5\1\0", 2, left)
  if not answer then return nil, err end
  if answer:byte(1) ~= 5 then return refused("the proxy's answer is not SOCKS5") end
  local method = answer:byte(2)
  if method == 0 then return true end
  if method ~= 2 or not proxy.user then return refused("the proxy wants another way to log in") end
  answer, err = ask(stream, ("\1%s%s"):format(("s1"):pack(proxy.user), ("s1"):pack(proxy.password)), 2, left)
  if not answer then return nil, err end
  if answer:byte(2) ~= 0 then return refused("the proxy does not take the user and the password") end
  return true
end

-- The place in SOCKS5's form. With "socks5h" the proxy looks up names.
local function target(proxy, host, port, left)
  local numeric = host:find("^[%d.]+$") or host:find(":", 1, true)
  if not numeric and proxy.scheme == "socks5h" then return ("B s1 >I2"):pack(3, host, port) end
  local addresses, err = core.resolve(host, port, left())
  if not addresses then return nil, err end
  local bytes = core.address_bytes(addresses[1])
  return ("B"):pack(#bytes == 4 and 1 or 4) .. bytes .. (">I2"):pack(port)
end

-- The address from which the proxy connects: read, and of no interest.
local function skip_address(stream, kind, left)
  local size = kind == 1 and 4 or kind == 4 and 16 or nil
  if not size then
    local length, err = take(stream, 1, left)
    if not length then return nil, err end
    size = length:byte()
  end
  return take(stream, size + 2, left)
end

local function connect_socks(stream, proxy, host, port, left)
  if #host > 255 then return refused("the name of the host is too long for SOCKS5") end
  local place, err = target(proxy, host, port, left)
  if not place then return nil, err end
  local ok, answer
  ok, err = log_in(stream, proxy, left)
  if not ok then return nil, err end
  answer, err = ask(stream, "\5\1\0" .. place, 4, left)
  if not answer then return nil, err end
  local version, reply, _, kind = answer:byte(1, 4)
  if version ~= 5 then return refused("the proxy's answer is not SOCKS5") end
  if reply ~= 0 then return refused("the proxy says: %s", REPLIES[reply] or "error " .. reply) end
  return skip_address(stream, kind, left)
end

---Asks the proxy at the other end of the stream to connect to a host. Suspends.
---@param stream braid.Stream
---@param proxy table from `parse`
---@param host string
---@param port integer
---@param left fun(): number? the seconds that are left
---@return string|boolean|nil connected
---@return braid.Error? err kinds: proxy (for HTTP with `status`), limit, timeout, closed, system
function M.open(stream, proxy, host, port, left)
  if host:find("[%c ]") then return refused("%q is no name of a host", host) end
  local connect = proxy.scheme == "http" and connect_http or connect_socks
  return connect(stream, proxy, host, port, left)
end

return M
