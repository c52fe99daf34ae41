-- SPDX-License-Identifier: MIT
-- A link: one connection of the NATS client, which this state's tasks share. A task of the link's own reads and writes.
-- Questions are published with a reply address of the link; who asks waits for the slot of the answer. When the
-- connection is lost, the questions under way are lost with it, and `call` asks again.
local core = require "braid.core"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local settings_of = require "braid.cluster.settings"

local M = {}

local ANSWER = 5 -- seconds until a question is asked again
local PULSE = 2 -- seconds between looks whether the server still answers
local MOST_SILENT = 3 -- looks without an answer until the connection is given up
local PAUSE = 0.1 -- seconds until a question is asked again that nobody was there to answer

---@class braid.cluster.Link
---@field closed boolean?
---@field patience number seconds without a server until waits fail
---@field replicated boolean whether several servers have each message, and one may be behind the others
---@field up braid.Event set while it is connected
---@field lost_at number? since when it is not connected
---@field over braid.Event set when the client has given up, because a server has refused it
---@field refusal string? why
---@field inbox string the beginning of addresses for answers
---@field private _conn userdata
---@field private _slots table<string, table> who waits for the answer at the address
---@field private _handlers table<integer, function> by subscription
---@field private _listeners table<function, true> told of each new connection
local Link = {}
Link.__index = Link

---The error of a wait that no server answers.
---@param what string?
---@return braid.Error err kind "disconnected"
function M.disconnected(what)
  return errors.new("disconnected", "cluster: " .. (what or "no server answers"))
end

-- What the client tells, as it is, and in words.
local ENDED = "the server has ended the connection; if it requires certificates, it wants another tls.cert"
local REASONS = {
  { "^Authorization Violation$", "the server refuses the credentials (Authorization Violation)" },
  { "^SSL handshake error: %d+:", "TLS: " },
  { "^Expected 'PONG', got ''$", ENDED },
  { "^SSL_%a+ error.*", ENDED },
  { "^Secure Connection not available$", "the server has no TLS" },
  { "^No server available for connection$", "no server answers" },
}

local function reason_of(told)
  local text = told:gsub("^%([%w_]+%.c:%d+%): ", "")
  for _, each in ipairs(REASONS) do text = text:gsub(each[1], each[2]) end
  return text ~= "" and text or nil
end

---The error of bytes that are not trusted.
---@param why string
---@return braid.Error err kind "refused"
function M.refused(why) return errors.new("refused", "cluster: a value is not taken: " .. why) end

-- ---- answers --------------------------------------------------------------------------------------------------------

local idle, idle_count, MOST_IDLE = {}, 0, 256

local function new_slot()
  if idle_count == 0 then return { event = core.event_new() } end
  local slot = idle[idle_count]
  idle[idle_count] = nil
  idle_count = idle_count - 1
  return slot
end

-- The slot may be used again: its answer has come, so nobody else knows it.
local function give_back(slot)
  if idle_count == MOST_IDLE then return end
  slot.event:clear()
  slot.body, slot.status, slot.sequence, slot.lost = nil, nil, nil, nil
  idle_count = idle_count + 1
  idle[idle_count] = slot
end

-- Nobody waits for these answers any more. `kind`: the first letter of their addresses; nil: all of them.
local function lose(self, kind)
  local list = {}
  for key, slot in pairs(self._slots) do
    if not kind or key:sub(1, 1) == kind then list[key] = slot end
  end
  for key, slot in pairs(list) do
    self._slots[key] = nil
    slot.lost = true
    slot.event:set()
  end
end

-- ---- the task of the link -------------------------------------------------------------------------------------------

local function take_answer(self, subject, _, body, status, sequence)
  if not subject then -- one of them has no answer
    lose(self, "r")
    return lose(self, "h")
  end
  local key = subject:sub(#self.inbox + 1)
  local slot = self._slots[key]
  if not slot then return end
  self._slots[key] = nil
  slot.body, slot.status, slot.sequence = body, status, sequence
  slot.event:set()
end

local function deliver(self)
  local conn, handlers = self._conn, self._handlers
  local from, subject, reply, body, status, sequence = conn:take()
  while from do
    local handler = handlers[from]
    if handler then handler(self, subject, reply, body, status, sequence) end
    if self.closed then return end
    from, subject, reply, body, status, sequence = conn:take()
  end
end

-- A connection that is lost again meanwhile is no error: the next one is told, too.
local function tell_one(listener, self)
  local ok, err, place = errors.try(listener, self)
  if not ok and not errors.is_error(err, "disconnected") then core.rethrow(err, place) end
end

local function tell(self)
  for listener in pairs(self._listeners) do daemon.start(tell_one, listener, self) end
end

-- Notices that the connection was lost or made again, or that the client has given up.
local function look(self)
  local state, epoch, reason = self._conn:state()
  local up = state == "connected"
  if state == "closed" then self.refusal = reason_of(reason) or "the connection has ended" end
  if (not up or epoch ~= self._epoch) and not self.lost_at then
    self.lost_at = core.now()
    self.up:clear()
    lose(self)
  end
  if up and self.lost_at then
    self._epoch, self.lost_at, self._silent = epoch, nil, 0
    self.up:set()
    tell(self)
  end
end

local function read_in(self)
  local conn, fd = self._conn, self._conn:fd()
  while not self.closed and not self.refusal do
    core.wait_fd(fd, "r")
    if self.closed then return end
    conn:turn()
    deliver(self)
    look(self)
  end
end

-- Finds out whether the server still answers, by a message to itself. The counting is by looks, not by time: a thread
-- that has only computed has not looked.
local function watch_server(self)
  while not self.closed do
    core.sleep(PULSE)
    if self.closed then return end
    if not self.lost_at then
      if self._silent >= MOST_SILENT then
        self._conn:reset()
      else
        self._silent = self._silent + 1
        self._conn:publish(self._pulse, nil, "")
      end
    end
  end
end

local function take_pulse(self) self._silent = 0 end

-- The client's threads close its descriptor.
local function close(conn)
  core.forget_fd(conn:fd())
  conn:close()
end

local function end_all(self)
  if self.ended then return end
  self.ended, self.closed = true, true
  self.lost_at = self.lost_at or core.now()
  lose(self)
  self.up:set() -- who waits for it looks at `closed`
  if self.refusal then self.over:set() end
  close(self._conn)
end

local function serve(self)
  local ok, err = pcall(read_in, self)
  end_all(self)
  if not ok then
    if not errors.is_echo(err) then errors.report(err, nil, "cluster") end
    core.rethrow(err)
  end
end

-- ---- sending --------------------------------------------------------------------------------------------------------

---Publishes a message; returns whether the client has taken it. Does not suspend.
---@param subject string? nil: somebody has asked without an address for the answer, and gets none
---@param reply string? the address for answers
---@param body string
---@param id string? of the message, so that a stream drops it if it has it already
---@param expected string? the sequence of the subject's last message in the stream
---@return boolean
function Link:publish(subject, reply, body, id, expected)
  if self.closed or not subject then return false end
  return self._conn:publish(subject, reply, body, id, expected) ~= nil
end

---Publishes a question. Returns the slot of the answer. Does not suspend.
---@param subject string
---@param body string
---@param id string? of the message, so that a stream drops it if it has it already
---@param expected string? the sequence of the subject's last message in the stream
---@param how "r"|"h"|"n"|nil "r": the usual; "h": the answer has a sequence; "n": if nobody is there to answer, its
--- status is "503", and it is slower; with the others the question is then lost
---@return table slot for `await`
function Link:ask(subject, body, id, expected, how)
  local number = self._number + 1
  self._number = number
  local key = ("%s.%d"):format(how or "r", number)
  local slot = new_slot()
  slot.key = key
  self._slots[key] = slot
  if not self:publish(subject, self.inbox .. key, body, id, expected) then
    self._slots[key] = nil
    slot.lost = true
    slot.event:set()
  end
  return slot
end

---Waits for the answer. Returns nothing if it was lost, or did not come in time. Suspends.
---@param slot table
---@param timeout number?
---@return string? body
---@return string? status "503": nobody is there to answer
---@return string? sequence
function Link:await(slot, timeout)
  local ok, done = pcall(slot.event.wait, slot.event, timeout)
  if not (ok and done) then
    self._slots[slot.key] = nil
    if not ok then core.rethrow(done) end
    return nil
  end
  local body, status, sequence, lost = slot.body, slot.status, slot.sequence, slot.lost
  give_back(slot)
  if lost then return nil end
  return body, status, sequence
end

---Waits until it is connected. Raises kind "disconnected" at the deadline, "closed" after its end. Suspends.
---@param deadline number?
function Link:ready(deadline)
  if self.lost_at and not self.closed then self.up:wait(errors.time_left(deadline)) end
  if self.refusal then core.rethrow(M.disconnected(self.refusal)) end
  if self.closed then core.rethrow(errors.new("closed", "cluster: it is closed")) end
  if self.lost_at then core.rethrow(M.disconnected()) end
end

---Asks until there is an answer. Raises kind "disconnected" when none comes within `patience`. Suspends.
---@param subject string
---@param body string
---@param opts { id: string?, expected: string?, headed: boolean?, patience: number?, again: number?, missing: fun()? }?
--- again: seconds until it is asked again, default 5; missing: called when nobody is there to answer, before it is
--- asked again
---@return string body
---@return string? status
---@return string? sequence
function Link:call(subject, body, opts)
  opts = opts or {}
  local deadline = core.now() + (opts.patience or self.patience)
  local how, again = opts.headed and "h" or "r", opts.again or ANSWER
  while true do
    self:ready(deadline)
    local slot = self:ask(subject, body, opts.id, opts.expected, how)
    local answer, status, sequence = self:await(slot, math.max(0, math.min(again, deadline - core.now())))
    if answer and status ~= "503" then return answer, status, sequence end
    if core.now() >= deadline then core.rethrow(M.disconnected()) end
    how = "n"
    if status == "503" then
      core.sleep(PAUSE)
      if opts.missing then opts.missing() end
    end
  end
end

-- ---- subscriptions --------------------------------------------------------------------------------------------------

---Calls handler(link, subject, reply, body, status) for each message. The client renews the subscription with each
---connection. The handler must not suspend. Waits until it is connected. Suspends.
---@param subject string
---@param handler fun(link: braid.cluster.Link, subject: string, reply: string?, body: string, status: string?)
---@param how "headed"|"heard"|nil
---@return integer number for `unsubscribe`
function Link:subscribe(subject, handler, how)
  self:ready(core.now() + self.patience)
  local number, why = self._conn:subscribe(subject, how)
  if not number then core.rethrow(M.disconnected(why)) end
  self._handlers[number] = handler
  return number
end

---Starts a daemon task, unless the state is ending. Does not suspend.
---@param fn function
---@param ... any its arguments
function M.start(fn, ...) pcall(daemon.start, fn, ...) end

---Ends a subscription. Does not suspend.
---@param number integer of `subscribe`
function Link:unsubscribe(number)
  self._handlers[number] = false
  if not self.closed and self._conn:unsubscribe(number) then self._handlers[number] = nil end
end

---Calls fn(link), as a task, after each new connection.
---@param fn fun(link: braid.cluster.Link)
function Link:on_connection(fn) self._listeners[fn] = true end
---Takes a function back that was given to `on_connection`.
---@param fn fun(link: braid.cluster.Link)
function Link:forget(fn) self._listeners[fn] = nil end

---The bytes of the largest message.
---@return integer
function Link:max_payload()
  self._payload = not self.closed and self._conn:max_payload() or self._payload
  return self._payload
end

---The address of the server; nil while there is none.
---@return string?
function Link:server()
  local server = not self.closed and self._conn:server()
  return server and settings_of.shown(server) or nil
end

-- ---- opening and closing --------------------------------------------------------------------------------------------

local FLUSH = 1 -- seconds for the server to take what was published before the end

---Closes it after what was published has reached the server. Suspends.
function Link:close()
  if self.closed then return end
  if not self.lost_at then
    local slot = self:ask(self.inbox .. "r." .. self._number + 1, "")
    pcall(self.await, self, slot, FLUSH)
  end
  self.closed = true
  self._task:cancel()
  self._watch:cancel()
  lose(self)
  self.up:set()
end

local function connect(conn, deadline)
  local state, _, reason = conn:state()
  while state == "connecting" do
    if not core.wait_fd(conn:fd(), "r", errors.time_left(deadline)) then return "timeout" end
    conn:turn()
    state, _, reason = conn:state()
  end
  return state, reason
end

---Connects. Suspends.
---@param settings table
---@return braid.cluster.Link? link
---@return braid.Error? err kind "disconnected"
function M.open(settings)
  local nats = settings_of.nats()
  local conn, why = nats.open(settings)
  if not conn then return nil, M.disconnected(reason_of(why)) end
  local ok, state, reason = pcall(connect, conn, core.now() + settings.patience)
  if not ok or state ~= "connected" then
    close(conn)
    if not ok then core.rethrow(state) end
    return nil, M.disconnected(reason and reason_of(reason))
  end
  local id = nats.random(9):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  local self = setmetatable({
    _conn = conn, _slots = {}, _handlers = {}, _listeners = {}, _number = 0, _silent = 0, patience = settings.patience,
    replicated = settings.replicas > 1, inbox = ("_INBOX.braid.%s."):format(id), id = id, up = core.event_new(),
    over = core.event_new(), _payload = conn:max_payload() or 1 << 20,
  }, Link)
  self.up:set()
  self._epoch = select(2, conn:state())
  self._pulse = self.inbox .. "pulse"
  self:subscribe(self.inbox .. "r.*", take_answer)
  self:subscribe(self.inbox .. "h.*", take_answer, "headed")
  self:subscribe(self.inbox .. "n.*", take_answer, "heard")
  self:subscribe(self._pulse, take_pulse)
  self._task = daemon.start(serve, self)
  self._watch = daemon.start(watch_server, self)
  return self
end

return M
