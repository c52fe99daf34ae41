-- SPDX-License-Identifier: MIT
-- An application behind a socket. Three tasks run the C server: one waits for its descriptor, one for clients that
-- leave, one for answers that come later than the dispatch of their request. Each request becomes a task in their
-- scope, which runs at once up to its first wait.
local core = require "braid.core"
local errors = require "braid.errors"
local scope = require "braid.tasks.scope"
local sync = require "braid.sync.primitives"
local request = require "braid.web.request"
local response = require "braid.web.response"
local access_log = require "braid.web.access_log"

local M = {}

---@class braid.web.Server
---@field host string
---@field port integer
---@field url string "http://127.0.0.1:8000"
local Server = {}
Server.__index = Server
Server.__name = "braid.server"

--- Listens at the address in the options.
---@param options braid.web.ServeOptions
---@param shared boolean? other sockets may listen there, too
---@return integer? listener a descriptor
---@return integer|braid.Error port
function M.listen(options, shared)
  local listener, port, code = require("braid.serve_core").listen(options.host, options.port, shared)
  if listener then return listener, port end
  local place = ("%s:%d"):format(options.host, options.port)
  return nil, errors.new("system", ("cannot listen on %s: %s"):format(place, port), { code = code })
end

local function open(listener, options)
  local tls = options.tls or {}
  local handle, problem = require("braid.serve_core").open(listener, options.max_body, options.max_header,
    options.idle_timeout, options.request_timeout, options.max_connections, tls.key, tls.cert)
  if handle then return handle end
  if options.tls then problem = "the TLS certificate or key cannot be used (" .. problem .. ")" end
  return nil, errors.new("system", ("cannot serve on %s:%d: %s"):format(options.host, options.port, problem))
end

-- ---- requests -------------------------------------------------------------------------------------------------------

-- Called before the exchange is over, because the exchange knows the client's address.
local function log_access(server, exchange, req, status, size, began)
  local peer, path = server._handle:peer(exchange) or "-", req.path:gsub("%c", "?")
  local milliseconds = (core.now() - began) * 1000
  local shown = req._left and 499 or req._too_late and 504 or status
  server._log(("%s %s %s %d %d %.1fms"):format(peer, req.method, path, shown, size, milliseconds))
end

-- Lets the server run when something has happened outside its own turn.
local function kick(server, when)
  if when == "later" then server._late:set() end
end

-- Sends a piece; waits while the client is slow.
local function write_piece(server, exchange, req, piece)
  if type(piece) ~= "string" then
    errors.misuse(1, "bad argument 'piece' to 'write' (a string expected, got %s)", errors.described(piece))
  end
  if piece == "" then return true end
  local room, problem = server._handle:write(exchange, piece)
  if room == nil then error(errors.new("closed", problem or "the client has left"), 0) end
  server._late:set()
  while room == false do
    req._room = req._room or sync.event()
    req._room:wait()
    req._room:clear()
    if not req._left then break end
  end
  return true
end

-- Returns the number of bytes, and the error to raise if the task was cancelled.
local function send_stream(server, exchange, req, source)
  local handle, size = server._handle, 0
  local whole, cancelled = true, nil
  if req.method ~= "HEAD" then
    whole, cancelled = server._app:_run_stream(req, source.stream, function(piece)
      size = size + #piece
      return write_piece(server, exchange, req, piece)
    end)
  end
  handle:finish(exchange, not whole)
  server._late:set()
  return size, cancelled
end

-- Sends a file or a stream.
local function send_source(server, exchange, req, status, source, headers)
  local handle = server._handle
  if source.file then
    local file = source.file
    return file.size, nil, handle:respond_file(exchange, status, file.handle, headers, file.offset, file.size)
  end
  local sent, refused = handle:respond_stream(exchange, status, headers)
  if not sent then return 0, nil, sent, refused end
  kick(server, sent)
  req._streams = true
  local size, cancelled = send_stream(server, exchange, req, source)
  return size, cancelled, sent
end

local function answer_request(server, exchange, req)
  local handle = server._handle
  local began = server._log and core.now()
  local status, body, headers, cancelled = server._app:_answer(req)
  local plain = type(body) == "string"
  if began and plain then log_access(server, exchange, req, status, #body, began) end
  local size, stopped, sent, refused
  if plain then
    sent, refused = handle:respond(exchange, status, body, headers)
  else
    size, stopped, sent, refused = send_source(server, exchange, req, status, body, headers)
    if began then log_access(server, exchange, req, status, size, began) end
  end
  if refused then sent = handle:respond(exchange, server._app:_failed(req, refused)) end
  kick(server, sent)
  return cancelled or stopped
end

-- The main function of a request's task.
local function serve_request(server, exchange, req)
  local cancelled = answer_request(server, exchange, req)
  req._done = true
  if req._task then server._live[exchange] = nil end
  if cancelled then error(cancelled, 0) end
end

-- Answers a request whose task failed outside its handler's protection, for example by coroutine.yield.
local function answer_failure(server, exchange, req, task)
  if req._done or task:_state() ~= "failed" then return end
  req._done, server._live[exchange] = true, nil
  local status, body, headers = server._app:_failed(req, task:error())
  if req._streams then
    server._handle:finish(exchange, true)
    server._late:set()
  else
    kick(server, server._handle:respond(exchange, status, body, headers))
  end
end

local function make_dispatch(server)
  local handle, arrived, spawn_now, live = server._handle, request.arrived, core.spawn_now, server._live
  return function(exchange, method, path, query)
    if server._over then return handle:respond(exchange, response.render(response.failure(503))) end
    local req = arrived(handle, exchange, method, path, query)
    if server._streamed == exchange then req._streamed, req._late, server._streamed = true, server._late, nil end
    local task = spawn_now(serve_request, server, exchange, req)
    if req._done then return end
    req._task, live[exchange] = task, req
    task:on_done(function() answer_failure(server, exchange, req, task) end)
  end
end

-- Reports events of a request whose task still runs.
local function make_tell(server)
  local handle, live = server._handle, server._live
  return function(exchange, left, late, room, more)
    local req = live[exchange]
    if not req then return end
    if room and req._room then req._room:set() end
    if more and req._more then req._more:set() end
    if left then
      req._left = true
      req._task:cancel("the client has left")
    elseif late then
      req._too_late = true
      kick(server, handle:respond(exchange, response.render(response.failure(504))))
      req._task:cancel("the request has taken longer than request_timeout")
    end
  end
end

-- Called when the headers of a request with a body are there. nil if no route of the application has options.
local function make_admit(server)
  local router = server._app._router
  if not router.asks then return nil end
  return function(exchange, method, path)
    local route = router:find_exact(method, path) or router:find(method, path, request.unescape)
    if not route then return nil end
    if route.stream_body then server._streamed = exchange end
    return route.max_body, route.stream_body
  end
end

-- ---- the loops ------------------------------------------------------------------------------------------------------

-- Whether a server that was told to stop has finished, or its time is up.
local function is_over(server)
  if not server._deadline then return false end
  return server._handle:is_quiet(server._linger) or core.now() >= server._deadline
end

local function run(server) server._handle:run(server._dispatch, server._tell, server._admit) end

-- Runs the server until it has to wait; false when it is over.
local function turn(server)
  run(server)
  while server._handle:timeout() == 0 do
    core.checkpoint()
    run(server)
  end
  return not is_over(server)
end

-- The timeout: idle connections must be found even if there was none when the wait began.
local function serve_arrivals(server, requests)
  local handle, idle_timeout = server._handle, server._idle_timeout
  local fd = handle:fd()
  repeat core.wait_fd(fd, "r", handle:timeout() or idle_timeout) until not turn(server)
  requests:cancel("the server stops")
end

local function serve_departures(server)
  local handle = server._handle
  local fd = handle:departures_fd()
  repeat
    core.wait_fd(fd, "r")
    handle:look()
  until not turn(server)
  server._late:set()
end

local PAUSE = 0.05 -- seconds between two checks whether all connections are idle

local function serve_late_answers(server, requests)
  local late = server._late
  repeat
    local left = server._deadline and math.max(0, server._deadline - core.now())
    late:wait(left and server._linger > 0 and math.min(left, PAUSE) or left)
    late:clear()
  until not turn(server)
  requests:cancel("the server stops")
end

local function call_on_stop(app)
  local failures, first = {}, nil
  for _, fn in ipairs(app._on_stop) do
    local ok, err, place = errors.try(scope.shield, fn)
    if not ok then
      failures[#failures + 1] = err
      first = first or place
    end
  end
  if #failures > 0 then errors.raise(failures, first) end
end

-- Sends the answers of cancelled handlers, and closes the server.
local function finish(server)
  local handle = server._handle
  server._over = true
  handle:drain()
  run(server)
  server._accepted = handle:counts()
  handle:close()
  call_on_stop(server._app)
end

local function serve(server)
  local _ <close> = setmetatable({}, { __close = function() finish(server) end })
  scope.scope(function(requests)
    requests:spawn(serve_late_answers, server, requests)
    requests:spawn(serve_departures, server)
    serve_arrivals(server, requests)
  end)
end

-- ---- the server -----------------------------------------------------------------------------------------------------

local function call_on_start(app, handle)
  for _, fn in ipairs(app._on_start) do
    local ok, err, place = errors.try(fn)
    if not ok then
      handle:close()
      core.rethrow(err, place)
    end
  end
end

local function new_server(app, options, handle, port)
  local host = options.host
  local server = setmetatable({ host = host, port = port, _app = app, _handle = handle, _live = {} }, Server)
  server.url = ("%s://%s:%d"):format(options.tls and "https" or "http",
    host:find(":", 1, true) and "[" .. host .. "]" or host, port)
  server._grace, server._linger, server._log = options.grace, 0, access_log.open(options.access_log)
  server._idle_timeout = options.idle_timeout > 0 and options.idle_timeout or nil
  server._late, server._dispatch, server._tell = sync.event(), make_dispatch(server), make_tell(server)
  server._admit = make_admit(server)
  return server
end

--- Starts a server in a task of the current scope.
---@param app braid.web.App
---@param options braid.web.ServeOptions the result of options.read
---@param listener integer a descriptor; the server owns it from now on
---@param port integer
---@return braid.web.Server?
---@return any err
function M.start_on(app, options, listener, port)
  local handle, problem = open(listener, options)
  if not handle then return nil, problem end
  app._debug = options.debug
  call_on_start(app, handle)
  local server = new_server(app, options, handle, port)
  server._task = core.spawn(serve, server)
  server._task.name = "server " .. server.url
  server._task:daemon()
  return server
end

---@param app braid.web.App
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Server?
---@return any err
function M.start(app, options)
  local listener, port = M.listen(options)
  if not listener then return nil, port end
  return M.start_on(app, options, listener, port)
end

--- Begins to stop: the server takes no new connections, and running requests have `grace` seconds to end; then they are
--- cancelled. Does not suspend; wait() does.
---@param grace number? seconds; default: the option of serve
---@param linger number? seconds that a connection must be idle before the server ends; default 0
function Server:stop(grace, linger)
  if grace ~= nil and not (type(grace) == "number" and grace >= 0) then
    errors.misuse(1, "bad argument 'grace' to 'stop' (seconds, not negative, expected, got %s)", tostring(grace))
  end
  if self._deadline or self._over then return end
  self._deadline = core.now() + (grace or self._grace)
  self._linger = linger or 0
  self._handle:drain()
  self._late:set()
end

--- Waits until the server has stopped. Suspends. Raises errors of on_stop functions.
---@param timeout number? seconds
---@return boolean stopped
function Server:wait(timeout)
  if not self._task:wait(timeout) then return false end
  local err = self._task:error()
  if err and not errors.is_error(err, "cancelled") then error(err, 0) end
  return true
end

--- The server's current load.
---@return {accepted: integer, connections: integer, requests: integer} accepted: connections so far; connections: now
---  open; requests: now arriving, or not answered completely
function Server:stats()
  if self._over then return { accepted = self._accepted, connections = 0, requests = 0 } end
  local accepted, connections, requests = self._handle:counts()
  return { accepted = accepted, connections = connections, requests = requests }
end

-- The end of a `<close>` variable. Running requests may end even if the caller is cancelled.
function Server.__close(server)
  scope.shield(function()
    server:stop()
    server:wait()
  end)
end

errors.guard(Server)

return M
