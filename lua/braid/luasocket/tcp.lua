-- SPDX-License-Identifier: MIT
-- TCP sockets as LuaSocket has them: master, client and server objects. Unix sockets are the same with a path.
local core = require "braid.core"
local object = require "braid.luasocket.object"
local texts = require "braid.luasocket.texts"

local find, sub, gsub = string.find, string.sub, string.gsub

local M = {}

local CHUNK = 8192 -- bytes of a read, as in LuaSocket; more for those that ask for more
local MOST = 65536

local methods = {}
for name, method in pairs(object.shared) do methods[name] = method end

-- ---- reading --------------------------------------------------------------------------------------------------------

-- Reads once. What has come is kept in the object at once, so that a cancel loses nothing. Returns an error's text.
local function fetch(self, size)
  local descriptor = self._descriptor
  if not descriptor then return "closed" end
  local piece, err = descriptor:read(size, object.time_left(self))
  if not piece then return err and texts.of(err) or "closed" end
  local pieces = self._pieces
  pieces[#pieces + 1] = piece
  self._there = self._there + #piece
end

-- Returns everything that is there, as one string.
local function merged(self)
  local pieces = self._pieces
  if not pieces[1] then return "" end
  if pieces[2] then
    local text = table.concat(pieces)
    self._pieces = { text }
    return text
  end
  return pieces[1]
end

-- Takes the first bytes of what is there.
local function take(self, count)
  if count >= self._there then
    local text = merged(self)
    self._pieces, self._there = {}, 0
    self._received = self._received + #text
    return text
  end
  local text = merged(self)
  self._pieces, self._there = { sub(text, count + 1) }, self._there - count
  self._received = self._received + count
  return sub(text, 1, count)
end

local function receive_count(self, count)
  repeat
    if self._there == 0 or self._there < count then
      local left = count - self._there
      local err = fetch(self, left < CHUNK and CHUNK or left < MOST and left or MOST)
      if err then return take(self, count), err end
    end
  until self._there >= count
  return take(self, count)
end

local function receive_all(self)
  local err
  repeat err = fetch(self, MOST) until err
  local text = take(self, math.huge)
  if err == "closed" and text ~= "" then err = nil end
  return text, err
end

-- A line ends with a newline; carriage returns are dropped, wherever they stand.
local function without_returns(text) return find(text, "\r", 1, true) and gsub(text, "\r", "") or text end

local function receive_line(self)
  local looked = 0 -- pieces without a newline
  while true do
    local pieces, before = self._pieces, 0
    for i = 1, looked do before = before + #pieces[i] end
    for i = looked + 1, #pieces do
      local at = find(pieces[i], "\n", 1, true)
      if at then return (without_returns(sub(take(self, before + at), 1, -2))) end
      before = before + #pieces[i]
    end
    looked = #pieces
    local err = fetch(self, CHUNK)
    if err then return (without_returns(take(self, math.huge))), err end
  end
end

local function receive(self, pattern, prefix)
  local count = tonumber(pattern)
  if count then
    if count < 0 then object.bad_argument("receive", 1, "invalid receive pattern") end
    count = count // 1 | 0
    if prefix ~= "" and count <= #prefix then return "" end
    return receive_count(self, count - #prefix)
  end
  local kind = sub(pattern, 1, 2)
  if kind == "*l" then return receive_line(self) end
  if kind == "*a" then return receive_all(self) end
  object.bad_argument("receive", 1, "invalid receive pattern")
end

function methods:receive(pattern, prefix)
  if getmetatable(self) ~= self._client then object.check(self, self._client, "receive") end
  if type(pattern) ~= "number" then pattern = object.check_string("receive", 1, pattern, "*l") end
  prefix = prefix and object.check_string("receive", 2, prefix) or ""
  object.start(self)
  local text, err = receive(self, pattern, prefix)
  if prefix ~= "" then text = prefix .. text end
  if err then return nil, err, text end
  return text, nil, nil
end

function methods:dirty() return self._there > 0 end

-- ---- writing --------------------------------------------------------------------------------------------------------

-- Which bytes of a text `send` means.
local function range_of(size, first, last)
  if first < 0 then first = size + first + 1 end
  if last < 0 then last = size + last + 1 end
  return first < 1 and 1 or first, last > size and size or last
end

function methods:send(data, first, last)
  if getmetatable(self) ~= self._client then object.check(self, self._client, "send") end
  if type(data) ~= "string" then data = object.check_string("send", 1, data) end
  local from, to = 1, #data
  if first ~= nil or last ~= nil then
    from, to = range_of(#data, object.check_number("send", 2, first, 1) // 1 | 0,
      object.check_number("send", 3, last, -1) // 1 | 0)
    if to < #data then data = sub(data, 1, to) end
  end
  object.start(self)
  local at = from
  while at <= to do
    local descriptor, count, err = self._descriptor, nil, nil
    if descriptor then count, err = descriptor:write(data, at, object.time_left(self)) end
    if not count then return nil, err and texts.of(err) or "closed", at - 1.0 end
    at, self._sent = at + count, self._sent + count
  end
  return at - 1.0, nil, nil
end

-- ---- connections ----------------------------------------------------------------------------------------------------

function methods:connect(host, service)
  if getmetatable(self) ~= self._client then object.check(self, self._master, "connect") end
  host = object.check_string("connect", 1, host)
  if self._family ~= "unix" then service = object.check_string("connect", 2, service) end
  setmetatable(self, self._client)
  local err = object.connect(self, host, service)
  if err then return nil, err end
  return 1.0
end

methods.setpeername = methods.connect

function methods:bind(host, service)
  object.check(self, self._master, "bind")
  host = object.check_string("bind", 1, host)
  if self._family ~= "unix" then service = object.check_string("bind", 2, service) end
  local err = object.bind(self, host, service)
  if err then return nil, err end
  return 1.0
end

methods.setsockname = methods.bind

function methods:listen(backlog)
  object.check(self, self._master, "listen")
  backlog = object.check_number("listen", 1, backlog, 32)
  if not self._descriptor then return nil, texts.BAD_DESCRIPTOR end
  local done, err = self._descriptor:listen(backlog // 1 | 0)
  if not done then return nil, texts.of(err) end
  setmetatable(self, self._server)
  return 1.0
end

-- Makes an object; `classes` is what make_classes has returned.
local function new(classes, role, fields)
  fields._master, fields._client, fields._server = classes.master, classes.client, classes.server
  fields._type, fields._pieces, fields._there, fields._received, fields._sent = "stream", {}, 0, 0, 0
  fields._born = core.now()
  return object.new(classes[role], fields)
end

function methods:accept()
  object.check(self, self._server, "accept")
  object.start(self)
  if not self._descriptor then return nil, "closed" end
  local descriptor, err = self._descriptor:accept(nil, false, object.time_left(self))
  if not descriptor then return nil, texts.of(err) end
  local classes = { master = self._master, client = self._client, server = self._server }
  return new(classes, "client", { _descriptor = descriptor, _family = self._family })
end

local HOWS = { both = true, send = true, receive = true }

function methods:shutdown(how)
  how = object.check_string("shutdown", 1, how, "both")
  if not HOWS[how] then object.bad_argument("shutdown", 1, ("invalid option '%s'"):format(how)) end
  if self._descriptor then self._descriptor:shut(how) end
  return 1.0
end

function methods:getstats()
  object.check(self, self._client, "getstats")
  return self._received + 0.0, self._sent + 0.0, core.now() - self._born
end

function methods:setstats(received, sent, age)
  object.check(self, self._client, "setstats")
  self._received = object.check_number("setstats", 1, received, self._received)
  self._sent = object.check_number("setstats", 2, sent, self._sent)
  if age ~= nil then self._born = core.now() - object.check_number("setstats", 3, age) end
  return 1.0
end

object.options(methods, {
  "keepalive", "reuseaddr", "reuseport", "tcp-nodelay", "tcp-keepidle", "tcp-keepcnt", "tcp-keepintvl",
  "tcp-defer-accept", "tcp-fastopen", "tcp-fastopen-connect", "linger", "ipv6-v6only", "recv-buffer-size",
  "send-buffer-size", "error",
})

-- The three classes of a kind of stream sockets: "tcp", "unixstream".
local function make_classes(kind)
  local names = { kind .. "{master}", kind .. "{client}", kind .. "{server}" }
  local made = object.classes(names, methods)
  for _, class in pairs(made) do class.__braid_pack = object.refuse_to_be_sent end
  return { master = made[names[1]], client = made[names[2]], server = made[names[3]] }
end

local tcp = make_classes "tcp"

M.Client = tcp.client -- for TLS: see ssl.lua

-- ---- functions ------------------------------------------------------------------------------------------------------

-- A master object; with a family its socket is made at once.
local function master(family)
  local self = new(tcp, "master", {})
  if family then
    local made, err = object.create(self, family)
    if not made then return nil, err end
  end
  return self
end

function M.tcp() return master() end

function M.tcp4() return master "inet" end

function M.tcp6() return master "inet6" end

local FAMILIES = { unspec = true, inet = true, inet6 = true }

-- Connects; lhost and lport: the local address. Suspends.
function M.connect(host, service, lhost, lservice, family)
  host, service = object.check_string("connect", 1, host), object.check_string("connect", 2, service)
  family = object.check_string("connect", 5, family, "unspec")
  if not FAMILIES[family] then object.bad_argument("connect", 5, ("invalid option '%s'"):format(family)) end
  local self = new(tcp, "master", { _family = family ~= "unspec" and family or nil })
  local err
  if lhost ~= nil then
    err = object.bind(self, object.check_string("connect", 3, lhost),
      object.check_string("connect", 4, lservice, "0"))
  end
  err = err or object.connect(self, host, service)
  if err then
    self:close()
    return nil, err
  end
  return setmetatable(self, self._client)
end

local unix

-- A Unix socket: `connect` and `bind` take a path.
function M.unix()
  unix = unix or make_classes "unixstream"
  return new(unix, "master", { _family = "unix" })
end

return M
