-- SPDX-License-Identifier: MIT
-- Collects the profiles of processes. Each process connects to a socket of ours, and sends what it meets until the
-- connection is closed. A process sends its profile if the environment of its start names the socket (BRAID_PROFILE),
-- or if it is asked, as for `braid ps`.
local core = require "braid.core"
local dump = require "braid.debug.dump"
local errors = require "braid.errors"
local net = require "braid.io.net"
local stacks = require "braid.profile.stacks"
local sync = require "braid.sync.primitives"

local M = {}

local NUMBERS = 0x100000 -- of sockets: see core/inspect/question.h
local ATTEMPTS = 100
local CONNECT, AGAIN = 2, 0.1 -- seconds until a process that was asked must connect, and until it is asked again
local LOOK = 0.3              -- seconds between two looks for new worker processes

---@class braid.profile.Collector
---@field number string of the socket, for BRAID_PROFILE
---@field stacks braid.profile.Stacks
---@field processes integer that have sent something
---@field private _rate integer
---@field private _listener braid.net.Listener
---@field private _streams table<braid.net.Stream, true>
---@field private _known table<integer, true> processes that have connected
---@field private _main integer? the process that needs no number in the names of its states
---@field private _news braid.Event set when a process has connected or ended
local Collector = { __name = "braid.profile.Collector" }
Collector.__index = Collector

local function listen()
  for _ = 1, ATTEMPTS do
    local number = ("%05x"):format(math.random(0, NUMBERS - 1))
    local listener, err = net.listen({ unix = "@" .. number })
    if listener then return listener, number end
    if err.code ~= core.EADDRINUSE then error(err) end
  end
  error(errors.new("system", "no socket is free for the profile"))
end

---@param rate integer ticks in a second
---@return braid.profile.Collector
function M.new(rate)
  local listener, number = listen()
  return setmetatable({
    number = number, stacks = stacks.new(rate), processes = 0, _rate = rate, _listener = listener, _streams = {},
    _known = {}, _news = sync.event(),
  }, Collector)
end

local function read_profile(self, stream, pid)
  local suffix = pid == self._main and "" or (" of process %d"):format(pid)
  for line in stream:lines() do self.stacks:add_line(line, suffix) end
end

-- Anybody may connect: who may not ask us may not tell us anything either.
local function receive(self, stream)
  local connection <close> = stream
  local pid, user = core.peer_process(stream.fd)
  if not pid or user ~= core.user_id() and core.user_id() ~= 0 then return end
  self._main = self._main or pid
  self._streams[connection], self._known[pid] = true, true
  self.processes = self.processes + 1
  self._news:set()
  if connection:write(string.pack("=I4", self._rate)) then pcall(read_profile, self, connection, pid) end
  self._streams[connection] = nil
  self._news:set()
end

---Takes connections until it is closed. Suspends.
function Collector:serve()
  for stream in self._listener do core.spawn(receive, self, stream) end
end

---Asks a process for its profile, and waits until it sends it. Suspends.
---@param pid integer
---@return true? connected
---@return braid.Error? err kind "closed" or "timeout", as of `braid ps`
function Collector:ask(pid)
  local question <close>, why = core.question_new(pid)
  if not question then
    return nil, errors.new("closed", why == "ended" and ("there is no process %d"):format(pid) or
      ("process %d cannot be asked: %s"):format(pid, why))
  end
  local refusal = dump.obstacle(pid, CONNECT)
  if refusal then return nil, errors.new("closed", ("process %d %s"):format(pid, refusal)) end
  for _ = 1, CONNECT // AGAIN do
    question:profile(tonumber(self.number, 16))
    local deadline = core.now() + AGAIN
    while core.now() < deadline do
      if self._known[pid] then return true end
      self._news:clear()
      self._news:wait(deadline - core.now())
    end
  end
  return nil, errors.new("timeout", ("process %d did not answer within %d s, or another profile of it runs"):format(pid,
    CONNECT))
end

---Asks the worker processes of a process, also those that are still to come. Until it is cancelled. Suspends.
---@param pid integer
function Collector:follow(pid)
  local seen = { [pid] = true }
  local function ask_children(parent)
    for _, child in ipairs(dump.children(parent)) do
      if not seen[child] and dump.uses_braid(child) then
        seen[child] = true
        if not self._known[child] then self:ask(child) end
      end
      if seen[child] then ask_children(child) end
    end
  end
  while true do
    ask_children(pid)
    core.sleep(LOOK)
  end
end

---Waits until no process is connected any more. Suspends.
---@param timeout number? seconds
function Collector:wait(timeout)
  local deadline = core.now() + (timeout or math.huge)
  while next(self._streams) and core.now() < deadline do
    self._news:clear()
    self._news:wait(timeout and deadline - core.now())
  end
end

---Ends the profile, and takes what the processes still tell; they go on without it. Suspends for at most a second.
function Collector:close()
  self._listener:close()
  for stream in pairs(self._streams) do stream:write(".", 0) end
  self:wait(CONNECT / 2)
  for stream in pairs(self._streams) do stream:close() end
end
Collector.__close = Collector.close

return M
