-- SPDX-License-Identifier: MIT
-- An application on a socket. The C server is let run by two loops: one waits for its descriptor, the other for
-- answers that came later than the dispatch of their request. Each request becomes a task in their scope, which runs at
-- once, up to its first wait.
local core = require "braid.core"
local errors = require "braid.errors"
local scope = require "braid.scope"
local sync = require "braid.sync"
local request = require "braid.web.request"
local response = require "braid.web.response"

local M = {}

---@class braid.web.ServeOptions
---@field host string? name or address to listen on, default "127.0.0.1"
---@field port integer? default 8000; 0: any that is free
---@field max_body integer? bytes of a request's body, default 1 MiB; beyond: status 413
---@field max_header integer? bytes of a request's line and headers, default 8 KiB; beyond: status 431
---@field idle_timeout number? seconds after which a silent connection is closed, default 60; 0: never
---@field grace number? seconds that running requests get when the server is stopped, default 10
---@field access_log boolean? a line on stderr for each request, default false
---@field workers integer? processes; only 1 for now

---@class braid.web.Server
---@field host string
---@field port integer
---@field url string "http://127.0.0.1:8000"
local Server = {}
Server.__index = Server
Server.__name = "braid.server"

local known = {
  host = "string",
  port = "integer",
  max_body = "integer",
  max_header = "integer",
  idle_timeout = "number",
  grace = "number",
  access_log = "boolean",
  workers = "integer",
}

local defaults = {
  host = "127.0.0.1",
  port = 8000,
  max_body = 1 << 20,
  max_header = 8 << 10,
  idle_timeout = 60,
  grace = 10,
  access_log = false,
  workers = 1,
}

local ranges = {
  port = { 0, 65535 },
  max_body = { 0, 1 << 40 },
  max_header = { 256, 1 << 24 },
  idle_timeout = { 0, 1 << 30 },
  grace = { 0, math.huge },
}

local function read_options(options)
  errors.check_options(1, "serve", options, known)
  local read = setmetatable({}, { __index = defaults })
  for name, value in pairs(options or {}) do
    local range = ranges[name]
    if range and not (value >= range[1] and value <= range[2]) then
      errors.misuse(1, "option '%s' must be from %s to %s, not %s", name, range[1], range[2], value)
    end
    read[name] = value
  end
  if read.workers ~= 1 then
    errors.misuse(1, "option 'workers' can only be 1 for now: more than one process is not there yet")
  end
  return read
end

local function listen(options)
  local serve = require "braid.serve_core"
  local place = ("%s:%d"):format(options.host, options.port)
  local listener, port, code = serve.listen(options.host, options.port)
  if not listener then
    return nil, errors.new("system", ("cannot listen on %s: %s"):format(place, port), { code = code })
  end
  local idle = math.ceil(options.idle_timeout)
  local handle, problem = serve.open(listener, options.max_body, options.max_header, idle)
  if not handle then return nil, errors.new("system", ("cannot serve on %s: %s"):format(place, problem)) end
  return handle, port
end

-- ---- requests -------------------------------------------------------------------------------------------------------

local function log_access(handle, exchange, req, status, size, began)
  local peer, path = handle:peer(exchange) or "-", req.path:gsub("%c", "?")
  local milliseconds = (core.now() - began) * 1000
  io.stderr:write(("%s %s %s %d %d %.1fms\n"):format(peer, req.method, path, status, size, milliseconds))
end

-- The whole life of a request's task.
local function serve_request(server, exchange, req)
  local handle = server._handle
  local began = server._log and core.now()
  local status, body, headers, cancelled = server._app:_answer(req)
  if began then log_access(handle, exchange, req, status, #body, began) end
  local sent, refused = handle:respond(exchange, status, body, headers)
  if refused then sent = handle:respond(exchange, server._app:_failed(req, refused)) end
  if sent == "later" then server._late:set() end
  if cancelled then error(cancelled, 0) end
end

local function make_dispatch(server)
  local handle, arrived, spawn_now = server._handle, request.arrived, core.spawn_now
  return function(exchange, method, path, query)
    if server._over then return handle:respond(exchange, response.render(response.failure(503))) end
    spawn_now(serve_request, server, exchange, arrived(handle, exchange, method, path, query))
  end
end

-- ---- the loops ------------------------------------------------------------------------------------------------------

-- Whether a server that has been told to stop has nothing more to do, or no more time to do it.
local function is_over(server)
  if not server._deadline then return false end
  local _, _, running = server._handle:counts()
  return running == 0 or core.now() >= server._deadline
end

-- Lets the server run until it has to wait; false when it is over.
local function turn(server)
  server._handle:run(server._dispatch)
  while server._handle:timeout() == 0 do
    core.checkpoint()
    server._handle:run(server._dispatch)
  end
  return not is_over(server)
end

-- Silent connections are found out in time also when there was none as the wait began.
local function serve_arrivals(server, requests)
  local handle, idle_timeout = server._handle, server._idle_timeout
  local fd = handle:fd()
  repeat core.wait_fd(fd, "r", handle:timeout() or idle_timeout) until not turn(server)
  requests:cancel("the server stops")
end

local function serve_late_answers(server, requests)
  local late = server._late
  repeat
    late:wait(server._deadline and math.max(0, server._deadline - core.now()))
    late:clear()
  until not turn(server)
  requests:cancel("the server stops")
end

local function call_on_stop(app)
  local failures = {}
  for _, fn in ipairs(app._on_stop) do
    local ok, err = pcall(scope.shield, fn)
    if not ok then failures[#failures + 1] = err end
  end
  if #failures > 0 then errors.raise(failures) end
end

-- Sends what the cancelled handlers have answered, and ends.
local function finish(server)
  local handle = server._handle
  server._over = true
  handle:drain()
  handle:run(server._dispatch)
  server._accepted = handle:counts()
  handle:close()
  call_on_stop(server._app)
end

local function serve(server)
  local _ <close> = setmetatable({}, { __close = function() finish(server) end })
  scope.scope(function(requests)
    requests:spawn(serve_late_answers, server, requests)
    serve_arrivals(server, requests)
  end)
end

-- ---- the server -----------------------------------------------------------------------------------------------------

local function call_on_start(app, handle)
  for _, fn in ipairs(app._on_start) do
    local ok, err = pcall(fn)
    if not ok then
      handle:close()
      error(err, 0)
    end
  end
end

---@param app braid.web.App
---@param options braid.web.ServeOptions?
---@return braid.web.Server?
---@return any err
function M.start(app, options)
  options = read_options(options)
  local handle, port = listen(options)
  if not handle then return nil, port end
  call_on_start(app, handle)
  local host = options.host
  local server = setmetatable({ host = host, port = port, _app = app, _handle = handle }, Server)
  server.url = ("http://%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port)
  server._grace, server._log = options.grace, options.access_log
  server._idle_timeout = options.idle_timeout > 0 and options.idle_timeout or nil
  server._late, server._dispatch = sync.event(), make_dispatch(server)
  server._task = core.spawn(serve, server)
  server._task.name = "server " .. server.url
  server._task:daemon()
  return server
end

--- Begins to stop: no connection is taken any more, what runs has `grace` seconds to end, then it is cancelled. Does
--- not suspend: see wait.
---@param grace number? default: the option of serve
function Server:stop(grace)
  if grace ~= nil and not (type(grace) == "number" and grace >= 0) then
    errors.misuse(1, "bad argument 'grace' to 'stop' (seconds, not negative, expected, got %s)", tostring(grace))
  end
  if self._deadline or self._over then return end
  self._deadline = core.now() + (grace or self._grace)
  self._handle:drain()
  self._late:set()
end

--- Waits until the server has stopped. Suspends. Raises what a function of on_stop raised.
---@param timeout number? seconds
---@return boolean stopped
function Server:wait(timeout)
  if not self._task:wait(timeout) then return false end
  local err = self._task:error()
  if err and not errors.is_error(err, "cancelled") then error(err, 0) end
  return true
end

--- What it has to do at the moment.
---@return {accepted: integer, connections: integer, requests: integer} accepted: connections so far; connections: now;
---  requests: now arriving, or arrived and not answered to the end
function Server:stats()
  if self._over then return { accepted = self._accepted, connections = 0, requests = 0 } end
  local accepted, connections, requests = self._handle:counts()
  return { accepted = accepted, connections = connections, requests = requests }
end

-- At the end of a `<close>` variable: also a caller that is cancelled lets the requests end.
function Server.__close(server)
  scope.shield(function()
    server:stop()
    server:wait()
  end)
end

return M
