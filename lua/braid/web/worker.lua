-- SPDX-License-Identifier: MIT
-- A worker process of a server: a job of a process pool with one worker, so that shared objects which were made before
-- `serve` are the supervisor's. It connects with the supervisor, and they exchange messages: a letter and a text.
--
--   from the supervisor   L, with a listener; G: begin; C, with a connection: serve it; Q: stop, with grace and linger
--                         in seconds; A: write your metrics on the board, and say so with the same text; S: all have
--                         done so for the question with this number
--   from the worker       H: which worker it is; R: it serves; B: a sign of life, with its counts; D: it stops, and
--                         accepts no more; A: its metrics are on the board; S: it wants those of all
local core = require "braid.core"
local errors = require "braid.errors"
local signals = require "braid.io.signals"
local pools = require "braid.pools.registry"
local server_module = require "braid.web.server"
local sync = require "braid.sync.primitives"

local M = {}

M.BEAT = 1 -- seconds between two signs of life

-- Waits for a message; nil if the supervisor has ended.
local function receive(control)
  repeat
    local text, descriptor = control:receive()
    if text ~= false then return text, descriptor end
  until not core.wait_fd(control:fd(), "r")
end

--- Loads the application that a file returns.
---@param file string
---@return braid.web.App
function M.load(file)
  local chunk, problem = loadfile(file)
  if not chunk then error(problem, 0) end
  local app = chunk()
  if type(app) == "table" and type(app.test_client) == "function" then return app end
  error(("%s has to return an application (braid.web.app()), not a %s"):format(file, type(app)), 0)
end

-- ---- metrics --------------------------------------------------------------------------------------------------------

local ASK_LIMIT = 3 -- seconds that an answer to S may take

-- Makes the function with which a server asks for the metrics of all workers. `asked`: the events of waiting questions
-- by their number.
local function asker(control, token, board, asked)
  local count = 0
  return function(server)
    count = count + 1
    local mine, answered = tostring(count), sync.event()
    asked[mine] = answered
    control:send("S" .. mine)
    answered:wait(ASK_LIMIT)
    asked[mine] = nil
    local list = { server:_snapshot() }
    for _, key in ipairs(board:keys()) do
      local snapshot = key ~= token and board:get(key)
      if snapshot then list[#list + 1] = snapshot end
    end
    return list
  end
end

-- ---- a worker's life ------------------------------------------------------------------------------------------------

-- What the supervisor's messages, but those with descriptors, want.
local function obey(control, server, plan, token, asked, text)
  local letter, rest = text:sub(1, 1), text:sub(2)
  if letter == "Q" then
    local grace, linger = rest:match "^(%S+) (%S+)$"
    server:stop(tonumber(grace), tonumber(linger))
    control:send("D")
  elseif letter == "A" then
    plan.board:set(token, server:_snapshot())
    control:send("A" .. rest)
  elseif letter == "S" and asked[rest] then
    asked[rest]:set()
  end
end

-- Sends signs of life, and handles the supervisor's messages.
local function accompany(control, server, plan, token)
  local asked = {}
  server._ask_all = asker(control, token, plan.board, asked)
  core.spawn(function()
    while true do
      local stats = server:stats()
      control:send(("B%d %d %d %d"):format(stats.accepted, stats.connections, stats.requests, stats.websockets))
      core.sleep(M.BEAT)
    end
  end):daemon()
  core.spawn(function()
    while true do
      local text, descriptor = receive(control)
      if descriptor then server._handle:adopt(descriptor) end
      obey(control, server, plan, token, asked, text or "Q0 0")
      if not text then return end
    end
  end):daemon()
end

-- SIGTERM to this worker alone: it stops, and the supervisor replaces it. The others are the supervisor's.
local function obey_signals(server)
  local taken = signals.signals("TERM", "INT", "HUP", "TTIN", "TTOU", "PIPE")
  core.spawn(function()
    for name in taken do
      if name == "TERM" then server:stop(nil, 0.2) end
    end
  end):daemon()
end

-- The listeners that the supervisor sends; nil: it has ended.
local function receive_listeners(control)
  local list = {}
  while true do
    local text, descriptor = receive(control)
    if not text or text == "G" then return text and list end
    list[#list + 1] = descriptor
  end
end

--- The job of a worker. Raises when it cannot serve.
---@param name string of the supervisor's control socket
---@param token string which worker it is
---@param plan {app: braid.web.App?, file: string?, options: braid.web.ServeOptions, addresses: braid.web.Address[],
--- board: braid.Dict}
function M.run(name, token, plan)
  local control, problem = core.control_connect(name)
  if not control then error(errors.new("system", "the supervisor cannot be reached: " .. problem), 0) end
  control:send("H" .. token)
  local descriptors = receive_listeners(control)
  if not descriptors then return end
  local source = { app = plan.app, load = function() return M.load(plan.file) end }
  local server, err = server_module.start_on(source, plan.options, descriptors, plan.addresses, true)
  if not server then error(err, 0) end
  obey_signals(server)
  control:send("R")
  accompany(control, server, plan, token)
  server:wait()
  plan.board:set(token, server:_snapshot())
  pools.finish_by(server._deadline or core.now())
end

return M
