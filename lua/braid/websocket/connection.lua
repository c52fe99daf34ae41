-- SPDX-License-Identifier: MIT
-- A WebSocket after its handshake, for either side: a codec (braid.websocket_core) on a descriptor.
--
-- Whoever waits for something reads: a receive, a ping that waits for its answer, a close; while nobody does, a daemon.
-- Only one task reads at a time; the others wait for its news. A writer holds `_writing` for a whole message. Answers
-- to pings and closes are part of the next writer's bytes, or of a daemon's: a reader never waits for a slow peer.
local codecs = require "braid.websocket.codec"
local core = require "braid.core"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local scope = require "braid.tasks.scope"

local M = {}

local PIECE = 65536 -- bytes of one read
local ENTRY = 64 -- bytes that a message which waits in the inbox counts in addition to its length
local GLANCE = 0.5 -- seconds between two looks whether a task reads
local NORMAL, AWAY, NO_CODE, ABNORMAL, INTERNAL = 1000, 1001, 1005, 1006, 1011
local PATIENCE = 5 -- seconds that a close waits for the peer
local GONE = "the peer has gone without a close"
local LINGER = 1 -- seconds for the last words to a peer that has closed, or has failed

---A WebSocket. A `<close>` variable closes it at the end of its block.
---@class braid.WebSocket
---@field protocol string? the subprotocol that was agreed on
---@field headers braid.websocket.Headers those of the server's answer; on the server those of the request
---@field private _descriptor userdata
---@field private _plain boolean there is no TLS
---@field private _codec userdata
---@field private _compresses boolean
---@field private _server boolean
---@field private _writing userdata a lock
---@field private _torn boolean? a message was cut off: nothing can follow it
---@field private _baton table its __close tells the others that the reading has ended
---@field private _waiting integer tasks that wait for news
---@field private _wait table its __close ends such a wait
---@field private _news userdata an event: the reading has ended, or something has arrived
---@field private _inbox table[] messages that were found while nobody received: { data, kind }
---@field private _kept integer bytes of the inbox
---@field private _most integer bytes above which nothing more is read into the inbox
---@field private _receiving boolean a task is in receive
---@field private _receipt table its __close ends the receiving
---@field private _pings table[] those without an answer, in their order
---@field private _ping_count integer
---@field private _active number when the last message came or went
---@field private _daemons braid.Task[] they end with it
---@field private _closing boolean? close was called
---@field private _clean boolean? the peer has closed it by a close frame
---@field private _answering boolean? a daemon sends answers
---@field private _over braid.Error? nothing more will arrive; the error says why
---@field private _told boolean? a task of the program has got that error
---@field private _ending userdata an event: _over is set
---@field private _gone userdata an event: the descriptor is closed
local WebSocket = { __name = "braid.websocket" }
WebSocket.__index = WebSocket

local function timed_out(what) return nil, errors.new("timeout", ("websocket:%s: timed out"):format(what)) end

local function closed(code, reason, text, ...)
  return errors.new("closed", "websocket: " .. text:format(...), { code = code, reason = reason })
end

-- ---- writing --------------------------------------------------------------------------------------------------------

local answer, finish, advance, collect

-- Nothing more arrives. A daemon sends what is still to be said, and closes the connection.
local function conclude(self, err)
  if self._over then return end
  self._over = err
  self._news:set()
  self._ending:set()
  daemon.start(finish, self)
end

-- What a call of the program returns when nothing more arrives.
local function over(self)
  self._told = true
  return nil, self._over
end

-- The error for a writer. The peer may have said why it has gone.
local function broken(self)
  if not self._over and not self._descriptor:reading() then
    advance(self, core.now())
    collect(self)
  end
  if self._over then return over(self) end
  if self._torn then return nil, closed(ABNORMAL, "", "an earlier message was cut off in the middle") end
  return nil, closed(ABNORMAL, "", "the connection is lost")
end

-- Writes all the bytes. If it ends earlier, also by a cancel, `_torn` says whether nothing can follow: some of them, or
-- of those before them, are gone, or the peer's window lacks the message.
local function write(self, bytes, deadline)
  local descriptor, from = self._descriptor, 1
  self._torn = self._compresses or self._plain
  while from <= #bytes do
    local count, err = descriptor:write(bytes, from, deadline and errors.time_left(deadline))
    if not count then return nil, err end
    from = from + count
    self._torn = from <= #bytes
  end
  self._torn = false
  return true
end

-- Makes the bytes of a message, or of an answer. Without TLS it also hands a message to the socket, which may take all
-- of it. Returns true if nothing is left to do, or the bytes that are left; nil: it is closed; false: no UTF-8.
local function put(self, form, data)
  if not self._plain or form == "ping" or form == "answer" then return self._codec[form](self._codec, data) end
  local rest, err = self._descriptor:send_message(self._codec, data, form == "binary")
  if rest == 1 then -- it waits for the messages that follow; at the latest until this task waits
    if not self._answering then answer(self) end
    return true
  end
  self._torn = err ~= nil
  return rest
end

-- Sends what the codec's method `form` makes, when all earlier writers have finished.
local function transmit(self, what, deadline, form, data)
  local turn <close> = self._writing:hold(deadline and errors.time_left(deadline))
  if not turn then return timed_out(what) end
  if self._over and form ~= "answer" then return over(self) end
  if self._torn then return broken(self) end
  local bytes = put(self, form, data)
  if bytes == true then return true end
  if bytes == false then
    errors.misuse(1, "bad argument 'text' to 'send' (UTF-8 expected; send_binary sends any bytes)")
  end
  if not bytes then
    if self._torn then return broken(self) end
    if self._over then return over(self) end
    return nil, closed(ABNORMAL, "", "it is closing")
  end
  local ok, err = write(self, bytes, deadline)
  if ok then return true end
  if err.kind == "timeout" then return timed_out(what) end
  self._torn = true
  return broken(self)
end

-- Starts a daemon that sends the answers that wait, and the messages that wait for others.
function answer(self)
  self._answering = true
  daemon.start(function()
    self._answering = false
    transmit(self, "answer", nil, "answer")
  end)
end

-- ---- reading --------------------------------------------------------------------------------------------------------

local function take_pong(self, payload)
  for i, ping in ipairs(self._pings) do
    if ping.payload == payload then -- it answers those before, too
      for _, each in ipairs(table.move(self._pings, 1, i, 1, {})) do each.answered = core.now() end
      table.move(self._pings, i + 1, #self._pings + i, 1)
      return self._news:set()
    end
  end
end

local function take_control(self, data, kind, code)
  if kind == "pong" then return take_pong(self, data) end
  if kind == "close" then
    local shown = code == NO_CODE and "without a code" or ("%d %s"):format(code, data)
    self._clean = true
    conclude(self, closed(code, data, "the peer has closed it: %s", shown))
  else
    conclude(self, closed(code, data, "the peer has broken the protocol: %s (%d)", data, code))
  end
end

-- The next message of what was read; nothing: there is none.
local function next_message(self)
  local codec = self._codec
  local data, kind, code = codec:next()
  while data and kind ~= "text" and kind ~= "binary" do
    take_control(self, data, kind, code)
    data, kind, code = codec:next()
  end
  if data then
    if self._idle_timeout then self._active = core.now() end
    return data, kind
  end
  if not self._answering and not self._over and codec:has_answer() then answer(self) end
end

local function take(self)
  local first = self._inbox[1]
  if not first then return next_message(self) end
  table.remove(self._inbox, 1)
  self._kept = self._kept - #first[1] - ENTRY
  self._news:set()
  return first[1], first[2]
end

-- Keeps the messages that were read for a receive. Returns whether there is no room for more.
function collect(self)
  while self._kept <= self._most do
    local data, kind = next_message(self)
    if not data then return false end
    if not self._closing or self._receiving then
      self._inbox[#self._inbox + 1] = { data, kind }
      self._kept = self._kept + #data + ENTRY
    end
  end
  return true
end

-- Another task reads. One that is cancelled may leave without news: so this looks again after a while.
local function wait_for_news(self, deadline)
  local left = deadline and errors.time_left(deadline)
  self._news:clear()
  self._waiting = self._waiting + 1
  local _ <close> = self._wait
  return self._news:wait(left and left < GLANCE and left or GLANCE) or (left == nil or left > GLANCE) or nil
end

-- Waits for bytes; if another task does that, for its news. Returns nothing when the deadline has passed.
function advance(self, deadline)
  if self._descriptor:reading() then return wait_for_news(self, deadline) end
  local _ <close> = self._baton
  local piece, err = self._descriptor:read(PIECE, deadline and errors.time_left(deadline))
  if piece then
    self._codec:feed(piece)
  elseif err and err.kind == "timeout" then
    return nil
  else
    conclude(self, closed(ABNORMAL, "", "%s", err and err.message or GONE))
  end
  return true
end

-- Reads until done() is true. Returns nothing when the deadline has passed, or nothing more arrives.
local function read_until(self, done, deadline)
  while true do
    local full = collect(self)
    if done() then return true end
    if self._over then return nil end
    local go_on = (full and wait_for_news or advance)(self, deadline)
    if not go_on then return nil end
  end
end

-- ---- the end --------------------------------------------------------------------------------------------------------

-- Ends writing, and reads what is still on its way, up to the peer's end: to close a socket earlier would destroy our
-- last words.
local function drain(self, deadline)
  self._descriptor:shutdown()
  while not self._descriptor:reading() do
    local piece = self._descriptor:read(PIECE, errors.time_left(deadline))
    if not piece then return end
  end
end

-- The daemon at the end. Closing the descriptor ends all waits for it.
function finish(self)
  local deadline = core.now() + LINGER
  if self._over.code ~= ABNORMAL and not self._torn then
    transmit(self, "close", deadline, "answer")
    if not (self._server and self._clean) then drain(self, deadline) end
  end
  self._descriptor:close()
  for _, task in ipairs(self._daemons) do task:cancel() end
  self._gone:set()
end

-- Ends it from this side. `reason` is for the peer and for our own error.
local function give_up(self, code, reason)
  self._codec:close(code, reason)
  conclude(self, closed(code, reason, "%s (%d)", reason, code))
end

-- Reads what is there without waiting. Returns whether there was something.
local function glance(self)
  if self._descriptor:reading() or collect(self) or self._over then return false end
  return advance(self, core.now()) ~= nil
end

-- Sees to pings and closes while no task reads: a daemon, which does not keep a forgotten WebSocket alive.
local function attend(weak)
  while true do
    local self = weak[1]
    if not self or self._over then return end
    local fd, busy = self._descriptor:fd(), self._descriptor:reading() or self._kept > self._most
    local found = not busy and glance(self)
    self = nil -- luacheck: ignore
    if busy then
      core.sleep(GLANCE)
    elseif not found and fd then
      core.wait_fd(fd, "r", GLANCE)
    end
  end
end

local function keep_alive(weak, interval)
  while true do
    core.sleep(interval)
    local self = weak[1]
    if not self or self._over then return end
    local seconds, err = self:ping(nil, interval)
    if not seconds and err.kind == "timeout" and self._kept <= self._most then
      return give_up(self, INTERNAL, "no answer to a ping")
    end
  end
end

local function end_when_idle(weak, most)
  while weak[1] and not weak[1]._over do
    local left = weak[1]._active + most - core.now()
    if left <= 0 then return give_up(weak[1], AWAY, "idle for too long") end
    core.sleep(left)
  end
end

-- ---- methods --------------------------------------------------------------------------------------------------------

local function check_text(what, name, value)
  if type(value) ~= "string" then
    errors.misuse(2, "bad argument '%s' to '%s' (a string expected, got %s)", name, what, errors.described(value))
  end
end

---Sends a message of text. Messages of several tasks follow each other whole, in the order of the calls. Suspends while
---the peer is slow. A message that a timeout or a cancel cuts off ends the sending: later ones fail with kind "closed".
---@param text string UTF-8
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:send(text, timeout)
  if type(self) ~= "table" then errors.no_self(1, WebSocket, "send", self) end
  check_text("send", "text", text)
  if self._idle_timeout then self._active = core.now() end
  return transmit(self, "send", timeout and errors.deadline(1, "send", timeout), "text", text)
end

---Sends a message of bytes. As `send` else. Suspends.
---@param bytes string
---@param timeout? number seconds
---@return true? sent
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:send_binary(bytes, timeout)
  if type(self) ~= "table" then errors.no_self(1, WebSocket, "send_binary", self) end
  check_text("send_binary", "bytes", bytes)
  if self._idle_timeout then self._active = core.now() end
  return transmit(self, "send_binary", timeout and errors.deadline(1, "send_binary", timeout), "binary", bytes)
end

local passage = core.event_new() -- always set: to wait for it is a checkpoint
passage:set()

-- What a receive without TLS has given. Returns what `receive` returns; nothing: the long way has to be gone.
local function receive_plainly(self, data, kind, code)
  if self._waiting > 0 then self._news:set() end
  if kind == "text" or kind == "binary" then
    if self._idle_timeout then self._active = core.now() end
    return data, kind
  end
  if data then return take_control(self, data, kind, code) end
  if not kind then
    if not self._answering then answer(self) end
  elseif kind.kind == "timeout" then
    return timed_out("receive")
  else
    conclude(self, closed(ABNORMAL, "", "%s", kind.kind == "closed" and GONE or kind.message))
  end
end

---Waits for the next message. Only one task may receive at a time. Suspends.
---@param timeout? number seconds
---@return string? data
---@return "text"|"binary"|braid.Error kind or the error: timeout; closed, with `code` (1006: none came) and `reason`
function WebSocket:receive(timeout)
  if type(self) ~= "table" then errors.no_self(1, WebSocket, "receive", self) end
  if self._receiving then
    errors.misuse(1, "another task is receiving from this websocket: let one task receive and hand on what it gets")
  end
  local deadline = timeout and errors.deadline(1, "receive", timeout)
  if self._plain and not self._inbox[1] and not self._over then
    local data, kind = receive_plainly(self, self._descriptor:receive_message(self._codec, timeout))
    if kind then return data, kind end
  else
    passage:wait()
  end
  self._receiving = true
  local _ <close> = self._receipt
  while true do
    local data, kind = take(self)
    if data then return data, kind end
    if self._over then return over(self) end
    if not advance(self, deadline) then return timed_out("receive") end
  end
end

---An iterator over the messages: `for data, kind in ws:messages() do`. It ends after a normal close (1000, 1001, or
---without a code) and raises any other error. Each step suspends.
---@return fun(): string?, "text"|"binary"|nil
function WebSocket:messages()
  return function()
    local data, kind = self:receive()
    if data then return data, kind end
    if kind.code == NORMAL or kind.code == AWAY or kind.code == NO_CODE then return nil end
    error(kind, 0)
  end
end

---Sends a ping and waits for its answer. Messages that come before the answer wait for a receive. Suspends.
---@param payload? string up to 125 bytes; default: a new number
---@param timeout? number seconds
---@return number? seconds that the answer took
---@return braid.Error? err kinds: timeout; closed, with `code` and `reason`
function WebSocket:ping(payload, timeout)
  if payload ~= nil then check_text("ping", "payload", payload) end
  if payload and #payload > 125 then
    errors.misuse(1, "bad argument 'payload' to 'ping' (up to 125 bytes expected, got %d)", #payload)
  end
  local deadline = errors.deadline(1, "ping", timeout)
  self._ping_count = self._ping_count + 1
  local ping = { payload = payload or tostring(self._ping_count), sent = core.now() }
  self._pings[#self._pings + 1] = ping
  local sent, err = transmit(self, "ping", deadline, "ping", ping.payload)
  if not sent then return nil, err end
  if read_until(self, function() return ping.answered end, deadline) then return ping.answered - ping.sent end
  if self._over then return over(self) end
  return timed_out("ping")
end

local function check_close(code, reason)
  if code ~= nil and not (math.type(code) == "integer" and codecs.code_is_valid(code)) then
    errors.misuse(2, "bad argument 'code' to 'close' (1000 to 1014 but for 1004 to 1006, or 3000 to 4999, expected, "
      .. "got %s)", errors.described(code))
  end
  if reason == nil then return end
  check_text("close", "reason", reason)
  if #reason > 123 or not codecs.is_utf8(reason) then
    errors.misuse(2, "bad argument 'reason' to 'close' (up to 123 bytes of UTF-8 expected)")
  end
end

---Closes it: says so to the peer, waits for its answer, and then closes the connection in any case. Messages that come
---meanwhile are dropped if no task receives them. Does nothing if it is closed. Suspends.
---@param code? integer default 1000
---@param reason? string
---@param timeout? number seconds; default 5
---@return true? closed
---@return braid.Error? err kind timeout: the peer has not answered; closed: it has gone without an answer
function WebSocket:close(code, reason, timeout)
  check_close(code, reason)
  local deadline = errors.deadline(1, "close", timeout or PATIENCE)
  self._closing = true
  if not self._over then
    self._codec:close(code or NORMAL, reason)
    transmit(self, "close", deadline, "answer")
    if not self._torn then read_until(self, function() return self._over end, deadline) end
    if not self._over then
      conclude(self, closed(ABNORMAL, "", "it was closed here, and the peer has not answered"))
      return timed_out("close")
    end
  end
  self._gone:wait(errors.time_left(deadline))
  if self._over.code == ABNORMAL then return nil, self._over end
  return true
end

-- For the web server: waits until nothing more arrives, and returns why; whether the program knows.
function WebSocket:_ended()
  self._ending:wait()
  return self._over
end

function WebSocket:_knows() return self._told or self._closing or false end

function WebSocket:__close(err)
  local code = err == nil and NORMAL or errors.is_echo(err) and AWAY or INTERNAL
  scope.shield(self.close, self, code, nil, err ~= nil and LINGER or nil)
end

-- ---- making ---------------------------------------------------------------------------------------------------------

local Baton = {}
function Baton:__close()
  if self.ws._waiting > 0 then self.ws._news:set() end
end

local Wait = {}
function Wait:__close() self.ws._waiting = self.ws._waiting - 1 end

local Receipt = {}
function Receipt:__close() self.ws._receiving = false end

---Makes a WebSocket of a connection on which the handshake is done.
---@param descriptor userdata of the core; the WebSocket owns it
---@param rest string what was read beyond the handshake
---@param server boolean
---@param terms braid.websocket.Terms|false|nil
---@param opts {max_message: integer?, ping_interval: number?, idle_timeout: number?}
---@return braid.WebSocket
function M.new(descriptor, rest, server, terms, opts)
  local most = opts.max_message or M.MOST
  local self = setmetatable({
    _descriptor = descriptor, _plain = not descriptor:has_tls(), _server = server,
    _compresses = terms and true or false,
    _writing = core.lock_new(), _news = core.event_new(), _ending = core.event_new(), _gone = core.event_new(),
    _inbox = {}, _kept = 0, _most = most, _pings = {}, _ping_count = 0, _receiving = false, _waiting = 0,
    _idle_timeout = opts.idle_timeout, _active = core.now(),
  }, WebSocket)
  if terms then
    self._codec = codecs.new(server, most, terms.out_window, terms.out_takeover, terms.in_window,
      terms.in_takeover)
  else
    self._codec = codecs.new(server, most)
  end
  self._codec:feed(rest)
  self._baton, self._receipt = setmetatable({ ws = self }, Baton), setmetatable({ ws = self }, Receipt)
  self._wait = setmetatable({ ws = self }, Wait)
  local weak = setmetatable({ self }, { __mode = "v" })
  local daemons = { daemon.start(attend, weak) }
  if opts.ping_interval then daemons[2] = daemon.start(keep_alive, weak, opts.ping_interval) end
  if opts.idle_timeout then daemons[#daemons + 1] = daemon.start(end_when_idle, weak, opts.idle_timeout) end
  self._daemons = daemons
  return self
end

M.MOST = 16 << 20 -- default max_message

errors.guard(WebSocket, WebSocket, { send = true, send_binary = true, receive = true }) -- these check self

return M
