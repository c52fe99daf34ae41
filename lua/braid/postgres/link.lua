-- SPDX-License-Identifier: MIT
-- A link: one connection to a PostgreSQL server, in libpq's pipeline mode. What is sent is put into a row of slots; the
-- server answers in the same order. While answers are missing a task of the link's own reads. So a caller that is
-- cancelled disturbs nobody: its result is read and dropped.
local core = require "braid.core"
local errors = require "braid.errors"
local scopes = require "braid.tasks.scope"
local settings = require "braid.postgres.settings"

local M = {}

local MOST_KEPT = 256 -- prepared statements
local PATIENCE = 5 -- seconds for the server to answer a cancel
local CONNECT_TIMEOUT = 10

M.ROWS, M.LISTS, M.FIRST, M.VALUE, M.KEEP_NULLS = 0, 1, 2, 3, 4 -- shapes of lpgresult.h

---@class braid.postgres.Link
---@field closed boolean? it cannot be used any more
---@field owner any the task within whose copy or pipeline it is: a call of it would wait for itself
---@field pending integer slots whose work has not ended
---@field asked number? when the server was last asked to cancel
---@field failure braid.Error? the first one of the server; who begins a transaction clears it
---@field types table<integer, function>?
---@field private _conn userdata
---@field private _slots table<integer, table>
---@field private _statements table<string, table> by their text
local Link = {}
Link.__index = Link

-- ---- the end --------------------------------------------------------------------------------------------------------

local function lost(reason)
  return errors.new("closed", "postgres: the connection was lost: " .. (reason or "it was closed"))
end

---Closes it. Calls that wait for an answer end with the error. While a task waits for the descriptor it must stay open.
function Link:close(reason)
  if self.closed then return end
  self.closed = true
  self._failure = lost(reason)
  if self._waits > 0 then self._conn:shut() else self._conn:close() end
  for at = self._first, self._last do
    local slot = self._slots[at]
    slot.lost = self._failure
    slot.event:set()
  end
  self._slots, self._first, self._last, self.pending = {}, 1, 0, 0
  if self.on_answer then self:on_answer() end
end

local function check(self)
  if self.closed then core.rethrow(self._failure) end
end

local function leave(self, ok, ready, err)
  self._waits = self._waits - 1
  if self.closed and self._waits == 0 then self._conn:close() end
  if not ok then core.rethrow(ready) end
  return ready, err
end

---Waits for the descriptor, as braid.wait_fd. It stays open meanwhile, also if the link is closed. Suspends.
---@param mode "r"|"w"|"rw"
---@param timeout number?
function Link:wait(mode, timeout)
  self._waits = self._waits + 1
  return leave(self, pcall(core.wait_fd, self._conn:fd(), mode, timeout))
end

---Keeps the first error of the server: a transaction does nothing more after it.
function Link:note(err)
  if err and not self.failure and errors.is_error(err, "postgres") and err.sqlstate then self.failure = err end
end

-- ---- reading and writing --------------------------------------------------------------------------------------------

local function start(fn, link)
  local task = core.prepare(fn, link)
  task:daemon()
  core.start(task)
end

local function take_answers(link)
  local conn, slots = link._conn, link._slots
  while link.pending > 0 do
    local slot = slots[link._first]
    local statement = slot.statement
    if statement and not slot.describe then slot.columns = statement.columns end
    local ended, reason = conn:take(slot)
    if ended == nil then return reason end
    if not ended then return end
    slots[link._first] = nil
    link._first = link._first + 1
    link.pending = link.pending - 1
    slot.done = true
    if statement and not slot.err then statement.worked = true end
    if slot.describe then link:_described(slot) end
    link:note(slot.err)
    slot.event:set()
    if link.on_answer then link:on_answer(slot) end
    if link.closed then return end
  end
end

-- What the server has said of a prepared statement.
function Link:_described(slot)
  local statement = slot.statement
  statement.parameters = slot.parameters or ""
  statement.columns = slot.columns and #slot.columns > 0 and slot.columns or false
  if slot.err and self._statements[statement.sql] == statement then self:_drop(statement.sql) end
end

local function read_in(link)
  local conn = link._conn
  while link.pending > 0 do
    local ready, err = link:wait("r")
    if link.closed then return end
    if not ready then return err.message end
    local ok, reason = conn:consume()
    local gone = take_answers(link) or (not ok and reason)
    if gone or link.closed then return gone end
  end
  link._reading = false
end

local function write_out(link)
  local conn = link._conn
  repeat
    local ready, err = link:wait("w")
    if link.closed then return end
    if not ready then return err.message end
    local flushed, reason = conn:flush()
    if flushed == nil then return reason end
  until flushed
  link._writing = false
end

-- Runs fn, and closes the link if it fails: also if the script ends and the task is cancelled.
local function guarded(fn, link)
  local ok, reason, place = errors.try(fn, link)
  if ok and not reason then return end
  link:close(ok and reason or errors.text(reason))
  if ok then return end
  if errors.is_echo(reason) then core.rethrow(reason, place) end
  errors.report(reason, place, "postgres")
end

function M.read(link) guarded(read_in, link) end
function M.write(link) guarded(write_out, link) end

-- After something was put into libpq's buffer: whether all of it was sent.
local function sent(self, flushed, reason)
  if flushed == nil then
    local gone = select(2, self._conn:reason())
    if gone then self:close(reason) end
    core.rethrow(gone and self._failure or errors.new("postgres", reason))
  end
  if not flushed and not self._writing then
    self._writing = true
    start(M.write, self)
  end
end

-- Events that can be used again: nobody waits for them.
local idle, count = {}, 0

local function new_event()
  if count == 0 then return core.event_new() end
  local event = idle[count]
  idle[count] = nil
  count = count - 1
  return event
end

local MOST_IDLE = 256

local function free_event(event)
  if count == MOST_IDLE then return end
  event:clear()
  count = count + 1
  idle[count] = event
end

local function new_slot(fields)
  fields.event = new_event()
  return fields
end

-- Puts a slot into the row. What it stands for was sent.
local function join(self, slot)
  local last = self._last + 1
  self._last, self._slots[last] = last, slot
  self.pending = self.pending + 1
  if not self._reading then
    self._reading = true
    start(M.read, self)
  end
  return slot
end

-- ---- cancelling -----------------------------------------------------------------------------------------------------

-- Asks the server to end what it does, again until fn() says that it has: a request that comes before the query is
-- lost.
local function ask_until(self, fn)
  local pause = 0.02
  while not self.closed and not fn() do
    self.asked = core.now()
    local cancellation = self._conn:cancel()
    if cancellation then
      core.wait_fd(cancellation:fd(), "r", PATIENCE)
      cancellation:close()
    end
    if fn(pause) then return end
    pause = math.min(2 * pause, 1)
  end
end

---Ends on the server what is under way. Closes the link if the server does not answer. Suspends; not cancelled.
---@param fn fun(seconds: number?): boolean? whether it has ended; may wait so long
function Link:cancel(fn)
  scopes.shield(function()
    local in_time = scopes.move_on_after(PATIENCE, ask_until, self, fn)
    if not in_time then self:close("the server does not answer a cancel") end
  end)
end

---Tells the server to end what it does, and waits for nothing: a server notices only when it writes that the connection
---is closed.
function Link:tell_to_stop()
  local cancellation = self._conn:cancel()
  if cancellation then cancellation:close() end -- a thread goes on and tells it
end

local function cancel_slot(self, slot)
  self:cancel(function(seconds)
    if not slot.done and not slot.lost and seconds then slot.event:wait(seconds) end
    return slot.done or slot.lost
  end)
end

---Waits for the work of a slot. If the caller is cancelled, the server is asked to end it: if it is `alone`, or others
---wait behind it. Raises if the link is lost. Suspends.
function Link:await(slot, alone)
  local ok, err = pcall(slot.event.wait, slot.event)
  if not ok then
    local under_way = alone or self._slots[self._first] == slot
    if under_way and errors.is_echo(err) then cancel_slot(self, slot) end
    core.rethrow(err)
  end
  if slot.lost then core.rethrow(slot.lost) end
  local event = slot.event
  slot.event = false -- another task may have waited for the same slot
  if event then free_event(event) end
  return slot
end

-- ---- statements -----------------------------------------------------------------------------------------------------

-- Whether a text changes tables or types. It may say so of one that does not.
local function changes_schema(sql)
  sql = sql:lower()
  return (sql:find("%f[%w]alter%f[%W]") or sql:find("%f[%w]drop%f[%W]") or sql:find("%f[%w]create%f[%W]")) ~= nil
end

local function forget_oldest(self)
  local oldest, least
  for sql, each in pairs(self._statements) do
    if not least or each.used < least then oldest, least = sql, each.used end
  end
  self:forget(oldest)
end

function Link:_drop(sql) self._statements[sql], self._kept = nil, self._kept - 1 end

---Forgets a prepared statement, unless it was prepared anew since.
---@param sql string
---@param which? table default: the present one
function Link:forget(sql, which)
  local statement = self._statements[sql]
  if not statement or (which and which ~= statement) then return end
  self:_drop(sql)
  if self.closed then return end
  sent(self, self._conn:command("DEALLOCATE " .. statement.name))
  join(self, new_slot {})
end

---After a statement: forgets all that are prepared if it may have changed what they are about. Outside of a transaction
---they are prepared again when they fail; within one that would be too late.
---@param sql string
function Link:mind_changes(sql)
  if self.closed or self._kept == 0 or not self:in_transaction() or not changes_schema(sql) then return end
  self._statements, self._kept = {}, 0
  sent(self, self._conn:command("DEALLOCATE ALL"))
  join(self, new_slot {})
end

---Whether the statement is prepared here.
function Link:knows(sql) return self._statements[sql] ~= nil end

-- Sends what prepares a statement. Until its answer has come, `facts` of another link tell the types of parameters.
local function introduce(self, sql, facts)
  check(self)
  if self._kept >= MOST_KEPT then forget_oldest(self) end
  self._names = self._names + 1
  local statement = { name = "braid_" .. self._names, sql = sql, used = 0, parameters = facts and facts.parameters,
    changes = changes_schema(sql) }
  sent(self, self._conn:prepare(statement.name, sql))
  self._statements[sql], self._kept = statement, self._kept + 1
  return statement, join(self, new_slot { describe = true, statement = statement })
end

---The statement; if it is not prepared, it is by what another link knows of it. Does not suspend.
function Link:statement_by(sql, facts) return self._statements[sql] or (introduce(self, sql, facts)) end

---The prepared statement; or nil and what the server says against it. Suspends.
function Link:statement(sql)
  local known = self._statements[sql]
  if known and known.parameters then return known end
  local statement, slot = introduce(self, sql)
  self:await(slot, true)
  if slot.err then return nil, slot.err end
  return statement
end

local ticks = 0

---Sends a statement that is prepared, and returns its slot. Does not suspend. Raises for values that cannot be sent.
---@param statement table
---@param request table { sql, shape, types }
function Link:send(statement, request, ...)
  check(self)
  ticks = ticks + 1
  statement.used = ticks
  sent(self, self._conn:send(statement.name, statement.parameters, ...))
  return join(self, {
    event = new_event(), shape = request.shape, types = request.types or self.types or false, statement = statement,
    columns = false, value = nil, done = false, sent = request.sent or false, sql = request.sql,
  })
end

---Carries out a statement without parameters and results. Raises what the server refuses. Suspends.
function Link:command(sql)
  check(self)
  sent(self, self._conn:command(sql))
  local slot = self:await(join(self, new_slot { shape = 0 }), true)
  if slot.err then core.rethrow(slot.err) end
  return slot.value
end

-- The server has dropped the statement, or its result has changed: it is prepared again.
local STALE = { ["0A000"] = true, ["26000"] = true }

---Whether a statement failed only because it must be prepared again. One that has worked before and is wrong now (class
---42) may be right with other types: those of its parameters are as they were when it was prepared.
function Link:is_stale(err, statement)
  if not errors.is_error(err, "postgres") or self:in_transaction() then return false end
  return STALE[err.sqlstate] or statement and statement.worked and err.sqlstate and err.sqlstate:sub(1, 2) == "42"
end

---Calls fn(...), which is of the caller: meanwhile this task cannot use the connection.
function Link:keep_for_me(fn, ...)
  self.owner = core.current() or "script"
  local outcome = table.pack(errors.try(fn, ...))
  self.owner = nil
  if not outcome[1] then core.rethrow(outcome[2], outcome[3]) end
  return table.unpack(outcome, 2, outcome.n)
end

---Whether a transaction is open.
function Link:in_transaction()
  local state = select(4, self._conn:facts())
  return state == "open" or state == "failed"
end

---Carries out a statement. Returns its slot. Suspends.
function Link:query(request, ...)
  for try = 1, 2 do
    local statement, err = self:statement(request.sql)
    local slot = statement and self:await(self:send(statement, request, ...), true) or { err = err }
    if not slot.err and statement.changes then self:mind_changes(request.sql) end
    if not slot.err or try == 2 or not self:is_stale(slot.err, statement) then return slot end
    self:forget(request.sql, statement)
  end
end

---Sends a statement whose rows are taken one by one: the slot is not in the row of slots. Suspends.
function Link:stream(request, ...)
  local statement, err = self:statement(request.sql)
  if not statement then core.rethrow(err) end
  self:drain()
  sent(self, self._conn:send(statement.name, statement.parameters, ...))
  self._conn:single_rows()
  return { shape = request.shape, types = request.types or self.types, columns = statement.columns }
end

-- ---- without the pipeline -------------------------------------------------------------------------------------------

---Waits until nothing is under way. Suspends.
function Link:drain()
  local slot = self._slots[self._last]
  if slot then self:await(slot, true) end
  while self._reading and not self.closed do core.checkpoint() end
  check(self)
end

---Waits until the connection can be read (or written, if `both`), and reads what has come. Suspends.
function Link:wait_for_data(both)
  check(self)
  local ready, err = self:wait(both and "rw" or "r")
  check(self)
  if not ready then self:close(err.message) end
  check(self)
  local ok, reason = true, nil
  if ready ~= "w" then ok, reason = self._conn:consume() end
  if not ok then self:close(reason) end
  check(self)
end

---Sends all that libpq has kept. Suspends.
function Link:flush()
  while true do
    check(self)
    local flushed, reason = self._conn:flush()
    if flushed == nil then self:close(reason) end
    if flushed then return end
    self:wait_for_data(true)
  end
end

---Calls fn(conn) outside of the pipeline mode: for scripts and copies. Suspends.
function Link:outside(fn, ...)
  self:drain()
  local ok, reason = self._conn:pipeline(false)
  if not ok then
    self:close(reason)
    check(self)
  end
  local function back(well, ...)
    if not self.closed then
      local again, why = self._conn:pipeline(true)
      if not again then self:close(why) end
    end
    if not well then core.rethrow(...) end
    return ...
  end
  return back(errors.try(fn, self._conn, ...))
end

---Waits for the end of what was sent outside of the pipeline. Suspends.
function Link:finish(slot)
  while true do
    check(self)
    local ended, reason = self._conn:take(slot)
    if ended == nil then self:close(reason) end
    if ended then return self:note(slot.err) end
    self:wait_for_data()
  end
end

---The connection of libpq, for what reads by itself.
function Link:raw()
  check(self)
  return self._conn
end

-- ---- opening --------------------------------------------------------------------------------------------------------

-- A link that waits for nothing does not read. Before its next use it looks whether the server has closed it meanwhile.
function Link:is_open()
  while not self.closed and self.pending == 0 and not self._reading and self:wait("r", 0) do
    local ok, reason = self._conn:consume()
    if not ok then self:close(reason) end
  end
  return not self.closed
end

local function poll(conn)
  local state, reason = "w", nil
  while state == "r" or state == "w" do
    local ready, err = core.wait_fd(conn:fd(), state)
    if not ready then return nil, err.message end
    state, reason = conn:poll()
  end
  return state, reason
end

local function connect(given, deadline)
  local all, err = settings.resolved(given, deadline)
  if not all then return nil, err end
  local conn, reason = settings.libpq().start(all)
  if not conn then return nil, errors.new("postgres", reason) end
  local ok, done, why = errors.try(poll, conn)
  if ok and done then return conn end
  conn:close()
  if not ok then core.rethrow(done, why) end
  return nil, errors.new("postgres", why)
end

-- The text of the server's or libpq's refusal tells the class.
local function classified(err)
  if not errors.is_error(err, "postgres") then return err end
  local text = err.message
  local unreachable = text:find("onnection refused") or text:find("No such file") or text:find("could not connect")
    or text:find("unreachable")
  return unreachable and errors.new("system", "postgres: " .. text) or err
end

---Connects. Suspends.
---@param given table settings for libpq
---@param functions table? of types
---@return braid.postgres.Link? link
---@return braid.Error? err
function M.open(given, functions)
  local seconds = tonumber(given.connect_timeout) or CONNECT_TIMEOUT
  local in_time, conn, err = scopes.move_on_after(seconds > 0 and seconds or nil, connect, given)
  if not in_time then return nil, errors.new("timeout", "postgres: the server did not accept it in time") end
  if not conn then return nil, classified(err) end
  local ok, reason = conn:pipeline(true)
  if not ok then return nil, errors.new("postgres", reason) end
  return setmetatable({
    _conn = conn, _slots = {}, _first = 1, _last = 0, pending = 0, _statements = {}, _kept = 0, _names = 0,
    _waits = 0, types = functions,
  }, Link)
end

M.close, M.is_open = Link.close, Link.is_open

return M
