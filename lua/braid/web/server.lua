-- SPDX-License-Identifier: MIT
-- An application behind a socket. The C server calls the functions of this module in the loop's turn: each request
-- becomes a task in the server's scope, which runs at once up to its first wait.
local core = require "braid.core"
local errors = require "braid.errors"
local listeners = require "braid.web.listeners"
local scope = require "braid.tasks.scope"
local telemetry = require "braid.telemetry.context"
local sync = require "braid.sync.primitives"
local tls = require "braid.io.tls"
local meter = require "braid.web.meter"
local request = require "braid.web.request"
local serve_options = require "braid.web.options"
local access_log = require "braid.web.access_log"
local websocket = require "braid.web.websocket"

local M = {}

---@class braid.web.Server
---@field host string? of the first TCP address
---@field port integer?
---@field url string "http://127.0.0.1:8000"; of the first address
---@field urls string[] of all; "unix:/path" of a Unix socket
local Server = {}
Server.__index = Server
Server.__name = "braid.server"

-- New connections have this certificate. Returns the settings, which find out when its files have changed.
local function secure(handle, options, http2)
  local settings = serve_options.tls_settings(options, http2)
  local context, problem = tls.context(settings)
  if not context then return nil, problem end
  handle:secure(context)
  return settings
end

-- Sets the protocols up. Returns what knows when the certificate's files have changed.
local function prepare(handle, options)
  local http2, problem = false, nil
  if options.http2 ~= false then http2, problem = handle:http2() end
  if not http2 and options.http2 then
    return nil, "HTTP/2 needs libnghttp2 (Debian: libnghttp2-14): " .. problem
  end
  if not options.tls then return false end
  local settings
  settings, problem = secure(handle, options, http2 or false)
  if settings then return settings end
  return nil, ("the TLS certificate or key cannot be used (%s)"):format(errors.text(problem))
end

local function take_listeners(handle, descriptors)
  for i, descriptor in ipairs(descriptors) do
    local taken, problem = handle:listen(descriptor)
    if not taken then
      listeners.close { table.unpack(descriptors, i + 1) }
      return nil, problem
    end
  end
  return true
end

-- Makes the server on the listeners, which are its own from now on.
local function open(descriptors, addresses, options)
  local handle, problem = core.web_server(options.max_body, options.max_header, options.idle_timeout,
    options.request_timeout, options.max_connections)
  local settings
  if handle then
    local taken
    taken, problem = take_listeners(handle, descriptors)
    if taken then settings, problem = prepare(handle, options) end
    if settings ~= nil then return handle, settings end
    handle:close()
  else
    listeners.close(descriptors)
  end
  listeners.remove(addresses)
  return nil, errors.new("system", ("cannot serve on %s: %s"):format(listeners.text(addresses[1]), problem))
end

-- ---- requests -------------------------------------------------------------------------------------------------------

-- What the log needs of the request has to be read while the exchange lives.
local function log_entry(server, exchange, req)
  local handle = server._handle
  local target, protocol = handle:target(exchange)
  return {
    peer = req.ip, method = req.method, target = target or "-", protocol = protocol or "-",
    agent = handle:header(exchange, "user-agent"), referer = handle:header(exchange, "referer"), id = req.id,
    began = core.now(),
  }
end

local fates = { left = 499, late = 504 }

-- Counts a request that is over, and writes its line. `entry` has both: what the log needs, and when it began.
local function conclude(server, exchange, req, entry, status, size)
  if not entry then return end
  local counts = server._app._meter
  status = fates[server._handle:fate(exchange)] or status
  entry.seconds = core.now() - entry.began
  if counts then counts:count(req.method, rawget(req, "_pattern"), status, entry.seconds) end
  if not server._log then return end
  entry.status, entry.bytes = status, size
  server._log(entry)
end

-- What is noted of a request; nil: nobody wants to know.
local function note(server, app, exchange, req)
  if server._log then return log_entry(server, exchange, req) end
  return app._meter and { began = core.now() } or nil
end

-- What a request is made with that is counted by its route's pattern.
local function pattern_of(app) return app._meter and "" or nil end

-- Sends a piece; waits while the client is slow.
local function write_piece(server, exchange, piece)
  if type(piece) ~= "string" then
    errors.misuse(1, "bad argument 'piece' to 'write' (a string expected, got %s)", errors.described(piece))
  end
  if piece == "" then return true end
  local sent, problem = server._handle:write(exchange, piece)
  if not sent then error(errors.new("closed", problem or "the client has left"), 0) end
  return true
end

-- Returns the number of bytes, and the error to raise if the task was cancelled.
local function send_stream(server, app, exchange, req, source)
  local size = 0
  local whole, cancelled = true, nil
  if req.method ~= "HEAD" then
    whole, cancelled = app:_run_stream(req, source.stream, function(piece)
      size = size + #piece
      return write_piece(server, exchange, piece)
    end)
  end
  server._handle:finish(exchange, not whole)
  return size, cancelled
end

-- Sends a file or a stream.
local function send_source(server, app, exchange, req, status, source, headers)
  local handle = server._handle
  if source.file then
    local file = source.file
    local _, refused = handle:respond_file(exchange, status, file.handle, headers, file.offset, file.size)
    return file.size, nil, refused
  end
  local sent, refused = handle:respond_stream(exchange, status, headers)
  if not sent then return 0, nil, refused end
  return send_stream(server, app, exchange, req, source)
end

-- Makes a WebSocket of the connection, and runs its handler to its end. Returns the error to raise if the task was
-- cancelled, and nothing if the connection cannot become one.
local function run_websocket(server, app, exchange, req, entry, answer, list)
  for _, name in ipairs { "headers", "peer", "body", "url", "id" } do
    local _ = req[name] -- cannot be read any more when the exchange is over
  end
  local descriptor, rest = server._handle:upgrade(exchange, websocket.head(answer, list))
  if not descriptor then return nil, "this connection cannot become a WebSocket" end
  local cancelled, failure, place = websocket.run(answer, req, descriptor, rest, server._websockets)
  server._handle:release()
  if failure ~= nil then app:_report(req, failure, place) end
  conclude(server, exchange, req, entry, 101, 0)
  return cancelled
end

-- Drops what has not come yet of a large form that its handler has not read to the end.
local function drop_rest(handle, exchange, status)
  while handle:owes_rest(exchange, status) and handle:piece(exchange) do end
end

-- Returns the error to raise if the task was cancelled.
local function send_answer(server, app, exchange, req, entry, status, body, headers)
  local handle = server._handle
  local size, cancelled, refused
  drop_rest(handle, exchange, status)
  if type(body) == "table" and body.upgrade then
    cancelled, refused = run_websocket(server, app, exchange, req, entry, body, headers)
    if not refused then return cancelled end
  elseif type(body) == "string" then
    local _, problem = handle:respond(exchange, status, body, headers.lines or headers)
    size, refused = #body, problem
  else
    size, cancelled, refused = send_source(server, app, exchange, req, status, body, headers)
  end
  if refused then
    status, body, headers = app:_failed(req, refused)
    handle:respond(exchange, status, body, headers)
    size = #body
  end
  conclude(server, exchange, req, entry, status, size)
  return cancelled
end

-- Runs what request:after was given. Failures are reported.
local function run_after(req)
  for _, fn in ipairs(req._after) do
    local ok, err, place = errors.try(fn)
    if not ok then errors.report(err, place, "request:after") end
  end
end

local arrived, rawget = request.arrived, rawget

-- Returns the status.
local function answer_request(req, server, exchange)
  local handle, app = server._handle, server._app
  local counts = app._meter
  local entry = server._log and note(server, app, exchange, req)
  local began = counts and core.now()
  local status, body, headers, cancelled = app:_answer(req)
  local stopped
  local simple = not entry and type(body) == "string" -- most are: one call
  if simple and handle:respond(exchange, status, body, headers.lines or headers) then
    if counts then counts:count(req.method, rawget(req, "_pattern"), status, core.now() - began) end
  else
    entry = entry or counts and { began = began } or nil
    stopped = send_answer(server, app, exchange, req, entry, status, body, headers)
  end
  if rawget(req, "_after") then run_after(req) end
  if cancelled or stopped then error(cancelled or stopped, 0) end
  return status
end

-- The same within a span, which is told the results.
local function answer_in_span(req, server, exchange)
  rawset(req, "_pattern", "")
  local status = answer_request(req, server, exchange)
  return { route = req._pattern, status = status }
end

-- The main function of a request's task.
local function serve_request(server, exchange, method, path, query)
  local req = arrived(server._handle, exchange, method, path, query, pattern_of(server._app))
  if telemetry.serve then
    telemetry.serve(answer_in_span, req, server, exchange)
  else
    answer_request(req, server, exchange)
  end
  return true -- a single result costs no table
end

-- The main function of the task of a request that cannot be served: the application says in which form.
local function refuse_request(server, exchange, status)
  local handle, app = server._handle, server._app
  local method, path = handle:request(exchange)
  if not method then return end
  local req = request.arrived(handle, exchange, method ~= "" and method or "-", path ~= "" and path or "-", nil,
    pattern_of(app))
  local entry = note(server, app, exchange, req)
  send_answer(server, app, exchange, req, entry, app:_refused(req, status))
end

-- The task of a request has ended without a whole answer, for example by coroutine.yield.
local function fail_request(server, exchange, task)
  local handle, app = server._handle, server._app
  local method, path = handle:request(exchange)
  local req = request.arrived(handle, exchange, method, path)
  local status, body, headers = app:_failed(req, task:error())
  if not handle:respond(exchange, status, body, headers.lines or headers) then handle:finish(exchange, true) end
end

-- Called when the head of a request with a body is there, if a route of the application has options.
local function admit_request(server, _, method, path) return server._app:_body_wishes(method, path) end

-- ---- the server's task ----------------------------------------------------------------------------------------------

local LOOK = 0.5 -- seconds between two looks for failed tasks that handlers have left behind, and at certificates

-- Reports failures that nobody has asked for meanwhile. The scope keeps none of them.
local function report_failures(list)
  for _, failure in ipairs(list or {}) do
    if not failure:_linked() and not errors.is_echo(failure:error()) then failure:_report() end
  end
end

-- A failure is reported at the second look after it: until then its handler may ask for it.
local function look_around(server, requests)
  while true do
    core.sleep(LOOK)
    report_failures(server._failures)
    server._failures = requests:_failures()
    local context = server._tls and tls.context(server._tls)
    if context then server._handle:secure(context) end
  end
end

local function cancel_at(deadline, requests)
  core.sleep(math.max(0, deadline - core.now()))
  requests:cancel("the server stops")
end

local PAUSE = 0.05 -- seconds between two checks whether all connections are idle

-- Waits for the last answer, and then until no connection was used for `linger` seconds.
local function wait_quiet(server)
  local handle = server._handle
  handle:drain()
  while not handle:is_quiet(server._linger) and core.now() < server._deadline do
    if handle:wait_quiet(server._deadline - core.now()) and server._linger > 0 then core.sleep(PAUSE) end
  end
end

local function call_on_stop(app)
  local failures, first = {}, nil
  for _, fn in ipairs(app:_functions "_on_stop") do
    local ok, err, place = errors.try(scope.shield, fn)
    if not ok then
      failures[#failures + 1] = err
      first = first or place
    end
  end
  if #failures > 0 then errors.raise(failures, first) end
end

-- Closes the server. Cancelled handlers have sent their answers.
local function finish(server)
  local handle = server._handle
  server._over = true
  server._accepted = handle:counts()
  handle:close()
  listeners.remove(server._addresses)
  call_on_stop(server._app)
end

-- The tasks that handlers have left behind may end within the grace, too.
local function serve(server)
  local _ <close> = setmetatable({}, { __close = function() finish(server) end })
  scope.scope(function(requests)
    requests:spawn(look_around, server, requests):daemon()
    server._handle:begin(server, serve_request, refuse_request, fail_request, admit_request)
    server._stop:wait()
    requests:spawn(cancel_at, server._deadline, requests):daemon()
    wait_quiet(server)
    scope.join(requests)
    report_failures(server._failures)
    report_failures(requests:_failures())
  end)
end

-- ---- the server -----------------------------------------------------------------------------------------------------

local function call_on_start(app)
  for _, fn in ipairs(app:_functions "_on_start") do fn() end
end

M.living = setmetatable({}, { __mode = "k" }) -- the servers of this state, for braid.metrics

local function new_server(app, options, handle, addresses)
  local server = setmetatable(listeners.described(addresses, options.tls ~= nil), Server)
  server._app, server._handle, server._addresses = app, handle, addresses
  server._grace, server._linger, server._log = options.grace, 0, access_log.open(options)
  server._stop, server._debug, server._websockets = sync.event(), options.debug, {}
  local scheme = options.tls and "https" or "http"
  request.know(handle, { scheme = scheme, proxies = options.proxies, server = server })
  M.living[server] = true
  return server
end

-- Becomes the user that serves, when all that needs another one is open.
local function drop(options, bound)
  if not options.identity then return true end
  local dropped, problem = core.drop_user(options.identity, bound)
  if dropped then return true end
  return nil, errors.new("system", ("cannot become the user %s: %s"):format(options.user or options.group, problem))
end

-- The application, after its functions of on_start.
local function ready_app(source, options, handle, addresses)
  local ok, app, place = errors.try(function()
    local app = source.app or source.load()
    app._debug = options.debug
    call_on_start(app)
    return app
  end)
  if ok then return app end
  handle:close()
  listeners.remove(addresses)
  core.rethrow(app, place)
end

--- Starts a server in a task of the current scope.
---@param source {app: braid.web.App?, load: (fun(): braid.web.App)?} load: as the user that serves
---@param options braid.web.ServeOptions the result of options.read
---@param descriptors integer[] listeners; the server owns them from now on
---@param addresses braid.web.Address[] where they listen
---@param bound boolean? this process ends with its parent
---@return braid.web.Server?
---@return any err
function M.start_on(source, options, descriptors, addresses, bound)
  local handle, settings = open(descriptors, addresses, options)
  if not handle then return nil, settings end
  local dropped, problem = drop(options, bound or false)
  if not dropped then
    handle:close()
    listeners.remove(addresses)
    return nil, problem
  end
  local app = ready_app(source, options, handle, addresses)
  local server = new_server(app, options, handle, addresses)
  server._tls = settings
  handle:ask(app._router:asks())
  server._task = core.spawn(serve, server)
  server._task.name = "server " .. server.url
  server._task:daemon()
  return server
end

---@param source {app: braid.web.App?, load: (fun(): braid.web.App)?}
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Server?
---@return any err
function M.start(source, options)
  local addresses, err = listeners.places(options)
  if not addresses then return nil, err end
  local descriptors
  descriptors, err = listeners.open(addresses)
  if not descriptors then return nil, err end
  return M.start_on(source, options, descriptors, addresses)
end

--- Begins to stop: the server takes no new connections, and running requests have `grace` seconds to end; then they are
--- cancelled. Tasks that handlers have left behind have the same time. Does not suspend; wait() does.
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
  websocket.close_all(self._websockets)
  self._stop:set()
end

-- Waits until it begins to stop, or has failed.
function Server:_await_stop() self._stop:wait() end

--- Waits until the server has stopped. Suspends. Raises errors of on_stop functions.
---@param timeout number? seconds
---@return boolean stopped
function Server:wait(timeout)
  if not self._task:wait(timeout) then return false end
  local err = self._task:error()
  if err and not errors.is_error(err, "cancelled") then error(err, 0) end
  return true
end

-- Serves another application from now on. Requests that have begun go on with the one before. Calls on_start of the new
-- one first, and on_stop of the old one when `grace` is over. Suspends.
function Server:_replace(app)
  local before = self._app
  app._debug = self._debug
  call_on_start(app)
  self._app = app
  self._handle:ask(app._router:asks())
  core.spawn(function()
    core.sleep(#before:_functions "_on_stop" > 0 and self._grace or 0)
    call_on_stop(before)
  end):daemon()
end

--- What this process counts, for app:metrics.
---@return braid.web.Snapshot
function Server:_snapshot()
  return meter.snapshot(self._app._meter or meter.new(), self:stats())
end

-- What all workers count. A worker's server asks the others, too.
function Server:_snapshots()
  if self._ask_all then return self._ask_all(self) end
  return { self:_snapshot() }
end

--- The server's current load.
---@return {accepted: integer, connections: integer, requests: integer, websockets: integer} accepted: connections so
---  far; connections: now open, with WebSockets; requests: now arriving, or not answered completely
function Server:stats()
  if self._over then return { accepted = self._accepted, connections = 0, requests = 0, websockets = 0 } end
  local accepted, connections, requests, websockets = self._handle:counts()
  return { accepted = accepted, connections = connections, requests = requests, websockets = websockets }
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
