-- SPDX-License-Identifier: MIT
-- A link: one connection to a Redis server. Commands are sent in the order of their calls; the server answers in the
-- same order. While replies are missing, a task of the link's own writes and another one reads. So a caller that is
-- cancelled leaves the others alone: its reply is read and dropped. A link that waits for nothing has no tasks.
local core = require "braid.core"
local errors = require "braid.errors"
local net = require "braid.io.net"
local scopes = require "braid.tasks.scope"

local concat = table.concat
local encode = core.resp_encode

local M = {}

local REPLY, FAILURE, PUSH = 1, 2, 3 -- what the parser finds

---@class braid.redis.Link
---@field closed boolean? it cannot be used any more
---@field id integer? the server's number of this client
---@field pending integer replies that are missing
---@field private _stream braid.net.Stream
---@field private _parser userdata
---@field private _slots table<integer, table> who waits for the replies, from _first to _last
---@field private _out string[] what is to be written
---@field on_push fun(value: any)? for messages that are no reply
local Link = {}
Link.__index = Link

-- ---- the end --------------------------------------------------------------------------------------------------------

local function lost(err)
  local reason = errors.is_error(err) and err.message or "it was closed"
  return errors.new("closed", "redis: the connection was lost: " .. reason, { cause = err })
end

-- Closes it. Calls that wait for a reply end with the error.
function Link:close(err)
  if self.closed then return end
  self.closed = true
  self._stream:close()
  local failure
  for at = self._first, self._last do
    local slot = self._slots[at]
    if slot.event then
      failure = failure or (errors.is_error(err, "redis") and err or lost(err))
      slot.lost = failure
      slot.event:set()
    end
  end
  self._slots, self._first, self._last, self.pending, self._out = {}, 1, 0, 0, {}
end

-- ---- reading and writing --------------------------------------------------------------------------------------------

local function start(fn, link)
  local task = core.prepare(fn, link)
  task:daemon()
  core.start(task)
end

-- Runs fn, and closes the link if it fails: also if the script ends and the task is cancelled.
local function guarded(fn, link)
  local ok, err = pcall(fn, link)
  if not ok then
    link:close(err)
    if errors.is_echo(err) then core.rethrow(err) end
    if not errors.is_error(err) then errors.report(err, nil, "redis") end
  elseif err then
    link:close(err)
  end
end

local function write_out(link)
  while link._out[1] do
    local text = concat(link._out)
    link._out = {}
    local written, err = link._stream:write(text)
    if not written then return err end
  end
  link._writing = false
end

-- Gives each complete reply to its slot. A slot of a pipeline takes several replies.
local function take_replies(link)
  local parser, slots = link._parser, link._slots
  local kind, value = parser:next()
  while kind do
    local slot = kind ~= PUSH and slots[link._first]
    if slot then
      link.pending = link.pending - 1
      local left = slot.left
      if left then
        slot[#slot + 1] = value == nil and core.null or value
        slot.left = left - 1
      end
      if not left or left == 1 then
        slot.kind, slot.value = kind, value
        slots[link._first] = nil
        link._first = link._first + 1
        slot.event:set()
      end
    elseif kind ~= PUSH then
      core.rethrow(errors.new("redis", "the server has sent a reply that nothing asks for", { code = "PROTOCOL" }))
    elseif link.on_push then
      link.on_push(value)
    end
    if link.closed then return end
    kind, value = parser:next()
  end
end

local function read_in(link)
  while link.pending > 0 do
    local data, err = link._stream:read_some()
    if not data then return err or errors.new("closed", "the server has closed it") end
    link._parser:feed(data)
    take_replies(link)
    if link.closed then return end
  end
  link._reading = false
end

-- A link that waits for nothing does not read. Before its next use it looks whether the server has closed it meanwhile.
local function look(link)
  local ready = core.wait_fd(link._stream.fd, "r", 0)
  if not ready then return end
  local data, err = link._stream:read_some(nil, 0)
  if data then
    link._parser:feed(data)
    take_replies(link)
  elseif not errors.is_error(err, "timeout") then
    link:close(err)
  end
end

-- Whether it can be used.
function Link:is_open()
  if not self.closed and self.pending == 0 and not self._reading then
    local ok, err = pcall(look, self)
    if not ok and errors.is_echo(err) then core.rethrow(err) end
    if not ok then self:close(err) end
  end
  return not self.closed
end

-- ---- calls ----------------------------------------------------------------------------------------------------------

-- Idle slots: an event can be used again after its reply has come.
local idle, count = {}, 0

local function new_slot()
  if count > 0 then
    local slot = idle[count]
    idle[count] = nil
    count = count - 1
    return slot
  end
  return { event = core.event_new() }
end

-- Puts the bytes of one command, or of `replies` of them, into the row. Does not suspend.
function Link:send(bytes, replies)
  local slot = new_slot()
  slot.left = replies
  local last = self._last + 1
  self._last, self._slots[last] = last, slot
  self.pending = self.pending + (replies or 1)
  local out = self._out
  out[#out + 1] = bytes
  if not self._writing then
    self._writing = true
    start(M.write, self)
  end
  if not self._reading then
    self._reading = true
    start(M.read, self)
  end
  return slot
end

function M.write(link) guarded(write_out, link) end
function M.read(link) guarded(read_in, link) end

local MOST_IDLE = 256

-- Waits for the reply to what was sent: its kind and value. Raises if the link is lost. Suspends.
local function await(slot)
  local event = slot.event
  event:wait()
  if slot.lost then core.rethrow(slot.lost) end
  local kind, value = slot.kind, slot.value
  if count < MOST_IDLE then
    event:clear()
    slot.kind, slot.value = nil, nil
    count = count + 1
    idle[count] = slot
  end
  return kind, value
end

M.await, M.close, M.is_open, M.REPLY, M.FAILURE = await, Link.close, Link.is_open, REPLY, FAILURE

---Raises what the server refuses. Suspends.
function Link:call(...)
  local kind, value = await(self:send(encode(...)))
  if kind == FAILURE then core.rethrow(value) end
  return value
end

---Sends several commands at once. Returns the list of their replies: nil as braid.null, refusals as error values.
---Suspends.
function Link:call_all(commands)
  local slot = self:send(concat(commands), #commands)
  slot.event:wait()
  if slot.lost then core.rethrow(slot.lost) end
  slot.event, slot.left, slot.kind, slot.value = nil, nil, nil, nil
  return setmetatable(slot, core.List)
end

-- ---- messages -------------------------------------------------------------------------------------------------------

---The next message; nil when the connection is lost. Only for a link without calls. Suspends.
function Link:next_message()
  local news = self._news
  if news and news[1] then return table.remove(news, 1) end
  while not self.closed do
    local kind, value = self._parser:next()
    if kind == FAILURE then core.rethrow(value) end
    if kind then return value end
    local data, err = self._stream:read_some()
    if not data then return self:close(err) end
    self._parser:feed(data)
  end
end

---Subscribes: returns when the server has confirmed it so many times. Messages that come before stay for next_message.
---Suspends.
function Link:listen(words, confirmations)
  local written, err = self._stream:write(encode(table.unpack(words)))
  if not written then core.rethrow(lost(err)) end
  local verb, news = words[1]:lower(), {}
  while confirmations > 0 do
    local value = self:next_message()
    if value == nil then core.rethrow(lost()) end
    if type(value) == "table" and value[1] == verb then
      confirmations = confirmations - 1
    else
      news[#news + 1] = value
    end
  end
  self._news = news
end

-- ---- opening --------------------------------------------------------------------------------------------------------

local function is_unknown(err) return err.code == "ERR" and err.message:find("unknown command", 1, true) ~= nil end

-- A call during the handshake: nil and the error where the server refuses.
local function ask(link, ...)
  local kind, value = await(link:send(encode(...)))
  if kind == FAILURE then return nil, value end
  return value == nil and true or value
end

local function greet_3(link, options)
  local words = { "HELLO", "3" }
  if options.password then
    table.move({ "AUTH", options.username or "default", options.password }, 1, 3, 3, words)
  end
  local facts, err = ask(link, table.unpack(words))
  if facts then link.id = facts.id end
  return facts, err
end

local function greet_2(link, options)
  if options.password then
    local words = { "AUTH", options.password }
    if options.username then table.insert(words, 2, options.username) end
    local done, err = ask(link, table.unpack(words))
    if not done then return nil, err end
  end
  link.id = ask(link, "CLIENT", "ID")
  return true
end

local function greet(link, options)
  local done, err
  if options.protocol == 3 then done, err = greet_3(link, options) end
  if options.protocol == 2 or (err and is_unknown(err)) then done, err = greet_2(link, options) end
  if done and options.database then done, err = ask(link, "SELECT", options.database) end
  if done and options.name then done, err = ask(link, "CLIENT", "SETNAME", options.name) end
  return done, err
end

---Connects. Suspends.
---@param options table checked ones
---@return braid.redis.Link? link
---@return braid.Error? err
function M.open(options)
  local deadline = options.timeout and core.now() + options.timeout
  local stream, err = net.connect(options.place)
  if not stream then return nil, err end
  local link = setmetatable({
    _stream = stream, _parser = core.resp_parser(options.max_reply), _slots = {}, _first = 1, _last = 0, pending = 0,
    _out = {},
  }, Link)
  local left = deadline and math.max(0, deadline - core.now())
  local ok, done, refusal = pcall(scopes.timeout, left, greet, link, options)
  if ok and done then return link end
  link:close()
  if ok then return nil, refusal end
  local said = errors.is_error(done, "closed") or errors.is_error(done, "redis") or errors.is_error(done, "timeout")
  if not said then core.rethrow(done) end
  return nil, done
end

return M
