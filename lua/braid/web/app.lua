-- SPDX-License-Identifier: MIT
-- An application: its routes and middleware, and how a request becomes an answer. The server or the test client brings
-- the requests.
local chain = require "braid.web.chain"
local core = require "braid.core"
local errors = require "braid.errors"
local meter = require "braid.web.meter"
local request_of = require "braid.web.request"
local response = require "braid.web.response"
local router = require "braid.web.router"
local routes = require "braid.web.routes"
local serve_options = require "braid.web.options"

local M = {}

---@class braid.web.App: braid.web.Routes
local App = {}
App.__index = App
App.__name = "braid.app"
M.App = App -- an application that is sent to another process finds its metatable by this name

-- Writes to stderr, whoever reads it.
local function tell(text) pcall(io.stderr.write, io.stderr, text) end

--- Makes an application.
---@return braid.web.App
function M.new()
  return setmetatable({
    _router = router.new(), _prefix = "", _layers = {}, _layered = {}, _middleware = {}, _on_start = {}, _on_stop = {},
    _meter = false,
  }, App)
end

--- Describes the application to programs and people: a document of OpenAPI 3.1, and a page that shows it and tries it
--- out, without anything from elsewhere. They tell what the routes say of themselves (params, query, headers, body,
--- response, summary, tags ...), also of routes that are added later and of mounted applications.
---@param options {title: string?, version: string?, description: string?, servers: {url: string}[]?, path: string?,
--- page: string|false|nil, security: table<string, table>?}? path: default "/openapi.json"; page: default "/docs",
--- false: none; security: schemes of OpenAPI by the names that routes use in their `security`
---@return braid.web.App self
function App:openapi(options)
  require("braid.web.documents").add(self, options)
  return self
end

--- Adds middleware: a function before everything that follows, also before missing routes. Its result is the answer.
--- next(request) calls the rest and returns its response, which may be changed. An error of the handler passes through
--- it.
---@param middleware fun(request: braid.web.Request, next: fun(request: braid.web.Request): braid.web.Response): any
---@return braid.web.App self
function App:use(middleware)
  errors.check_function(1, "use", "middleware", middleware)
  table.insert(self._middleware, middleware)
  self._chain = nil
  return self
end

--- Adds a function that is called before the first request. If it raises, the server does not start.
---@param fn fun()
---@return braid.web.App self
function App:on_start(fn)
  errors.check_function(1, "on_start", "fn", fn)
  table.insert(self._on_start, fn)
  return self
end

--- Adds a function that is called after the last request was answered.
---@param fn fun()
---@return braid.web.App self
function App:on_stop(fn)
  errors.check_function(1, "on_stop", "fn", fn)
  table.insert(self._on_stop, fn)
  return self
end

--- Sets a function that answers when a handler or a middleware has failed: it gets the error and the request, and
--- returns as a handler does; the status is 500 unless it says another. If it returns nothing, the answer is the usual
--- one, and the failure is reported. It is not called for braid.web.abort.
---@param fn fun(err: any, request: braid.web.Request): any
---@return braid.web.App self
function App:on_error(fn)
  errors.check_function(1, "on_error", "fn", fn)
  self._on_error = fn
  return self
end

--- Sets a function that answers requests for paths without a route; the status is 404 unless it says another. It is
--- also for applications that are mounted here and have none of their own. The middleware is around it.
---@param fn fun(request: braid.web.Request): any
---@return braid.web.App self
function App:not_found(fn)
  errors.check_function(1, "not_found", "fn", fn)
  self._not_found = fn
  return self
end

--- The path of the route that has this name in its spec, here or in an application that is mounted here. Parameters
--- that the path does not have become its query.
---@param name string
---@param params table<string, string|number>?
---@return string
function App:url_for(name, params)
  if type(name) ~= "string" then
    errors.misuse(1, "bad argument 'name' to 'url_for' (a string expected, got %s)", errors.described(name))
  end
  if params ~= nil and type(params) ~= "table" then
    errors.misuse(1, "bad argument 'params' to 'url_for' (a table expected, got %s)", errors.described(params))
  end
  return self._router:url(name, params or {})
end

-- The text of all workers' metrics. Without a server only this process has some.
local function metrics_text(app, req)
  local server = request_of.server(req)
  local snapshots = server and server:_snapshots() or { meter.snapshot(app._meter) }
  return meter.text(meter.sum(snapshots))
end

--- Counts requests, and serves the counts in Prometheus's text format, with those of the loop and of pools: see
--- `braid.metrics`. All workers of a server are in one answer.
---@param path string? default "/metrics"
---@return braid.web.App self
function App:metrics(path)
  self._meter = self._meter or meter.new()
  return self:get(path or "/metrics", { hidden = true }, function(req)
    local headers = { ["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8" }
    return response.response { body = metrics_text(self, req), headers = headers }
  end)
end

-- What a check says: whether all is well, and more for the answer.
local function checked(req, check)
  local ok, result, why = errors.try(check, req)
  if not ok then
    tell(("braid: the check of %s failed: %s\n"):format(req.path, errors.told(result, why)))
    return false
  end
  if result == false or result == nil and why ~= nil then
    return false, { reason = errors.text(why or "the check failed") }
  end
  return true, type(result) == "table" and result or nil
end

--- Serves whether this program is well: 200 and `{"status": "ok"}`; or 503, when it stops, or when `check` raises or
--- returns false or nil and a reason. A table that it returns is added to the answer. The check may wait.
---@param path string? default "/health"
---@param check nil|fun(request: braid.web.Request): any
---@return braid.web.App self
function App:health(path, check)
  if type(path) == "function" then path, check = nil, path end
  if check ~= nil then errors.check_function(1, "health", "check", check) end
  return self:get(path or "/health", { hidden = true }, function(req)
    local server = request_of.server(req)
    if server and server._deadline then return { status = "stopping" }, 503 end
    local well, more = true, nil
    if check then well, more = checked(req, check) end
    local body = { status = well and "ok" or "failed" }
    for name, value in pairs(more or {}) do body[name] = value end
    return body, well and 200 or 503, { ["Cache-Control"] = "no-store" }
  end)
end

-- ---- from a request to an answer ------------------------------------------------------------------------------------

-- What a hook returns, with a status unless it has one.
local function with_status(status, value, code, headers)
  if response.is(value) then return response.of(value, code, headers) end
  return response.of(value, code or status, headers)
end

local function not_found(app, req)
  local hook = app._not_found or rawget(req, "_not_found")
  if not hook then return response.failure(404) end
  return with_status(404, hook(req))
end

-- Answers OPTIONS by the list of methods, unless the middleware of the path's routes knows better.
local function answer_options(req, allow, others)
  local asked = req.headers["access-control-request-method"]
  local route = others[asked or ""] or others["*"] or select(2, next(others))
  return routes.answer_around(route, req, function()
    return response.response { status = 204, headers = { Allow = allow .. ", OPTIONS" } }
  end)
end

local function missing(app, req, allow, others)
  if not allow then return not_found(app, req) end
  if req.method == "OPTIONS" then return answer_options(req, allow, others) end
  local answer = response.failure(405)
  answer.headers.Allow = allow
  return answer
end

-- The path with its escapes, as this application sees it.
local function raw_path(req)
  local depth = rawget(req, "_depth")
  return depth and select(2, router.split(req._raw, depth)) or req._raw
end

-- For paths that the fast lookup does not find: with parameters, with escapes, or without a route.
local function find_slowly(app, req)
  local path = req.path
  if path == "*" then return nil, response.response { status = 204, headers = { Allow = app._router:methods() } } end
  local escaped = path:find("%", 1, true) and req._escaped
  local route, params, others = app._router:find(req.method, path, escaped, function() return raw_path(req) end)
  if not route and escaped then return nil, response.failure(400) end
  if not route then return nil, missing(app, req, params, others) end
  for name, value in pairs(rawget(req, "_depth") and req.params or {}) do
    if params[name] == nil then params[name] = value end -- of the path to what is mounted
  end
  req.params = params
  return route
end

-- Returns what the route's handler returned.
local function call_route(app, req)
  local route = app._router:find_exact(req.method, req.path)
  if not route then
    local answer
    route, answer = find_slowly(app, req)
    if not route then return answer end
  end
  local pattern = rawget(req, "_pattern") -- somebody counts requests by it
  if pattern then req._pattern = pattern .. (route.mount and route.path:gsub("/{_below:path}$", "") or route.path) end
  return route.handler(req)
end

-- The answer, not rendered.
local function answer_of(app, req)
  if #app._middleware == 0 then return call_route(app, req) end
  if not app._chain then
    app._chain = chain.around(app._middleware, function(request) return call_route(app, request) end)
  end
  return app._chain(req)
end

local function render(app, req) return response.render(answer_of(app, req)) end

-- An error with its traceback, but what is no failure as it is.
local function keep_traceback(err)
  if response.is(err) or errors.is_error(err, "cancelled") then return err end
  return { error = err, traceback = errors.told(err, core.trace(err)) }
end

local function error_in(failure)
  if errors.is_error(failure, "cancelled") then return failure end
  return failure.error
end

-- ---- mounted applications -------------------------------------------------------------------------------------------

local recover -- defined below

-- What a mounted application sees differently.
local VIEW = { "path", "params", "mount", "_depth", "_not_found" }

local function view_of(req)
  local view = {}
  for _, name in ipairs(VIEW) do view[name] = rawget(req, name) end
  return view
end

local function show(req, view)
  for _, name in ipairs(VIEW) do rawset(req, name, view[name]) end
end

-- A stream or a WebSocket's handler runs later, and sees then what the mounted application has seen.
local function keep_view(req, answer)
  if not response.is(answer) or not (answer.stream or answer.upgrade) then return end
  local view, stream, upgrade = view_of(req), answer.stream, answer.upgrade
  if upgrade then
    local fn = upgrade.fn
    upgrade.fn = function(ws, request)
      show(req, view)
      return fn(ws, request)
    end
  elseif response.is_writer(stream) then
    answer.stream = function(write)
      show(req, view)
      return stream(write)
    end
  else
    answer.stream = function()
      show(req, view)
      return stream()
    end
  end
end

-- The answer, by the application's own hook if it fails.
local function recovered(app, req)
  if not app._on_error then return answer_of(app, req) end
  local ok, value, status, headers = xpcall(answer_of, keep_traceback, app, req)
  if ok then return value, status, headers end
  if response.is(value) then return value end
  local answer = recover(app, req, value)
  if answer then return answer end
  req._traceback = req._traceback or type(value) == "table" and value.traceback or nil
  error(error_in(value), 0)
end

--- Answers for an application in which this one is mounted.
---@param req braid.web.Request
---@param depth integer segments of the prefix
---@param outer braid.web.App
---@return any ... as a handler
function App:_mounted(req, depth, outer)
  local before = view_of(req)
  local _ <close> = setmetatable({}, { __close = function() show(req, before) end })
  local mount, below = router.split(req.path, depth)
  req._not_found = outer._not_found or rawget(req, "_not_found")
  req.mount, req.path, req._depth = (rawget(req, "mount") or "") .. mount, below, (rawget(req, "_depth") or 0) + depth
  local value, status, headers = recovered(self, req)
  keep_view(req, value)
  return value, status, headers
end

--- What the route of a path wants for the request's body.
---@param method string
---@param path string
---@return integer? max_body
---@return boolean? stream_body
function App:_body_wishes(method, path)
  local route = self._router:find_exact(method, path) or self._router:find(method, path)
  if not route then return nil end
  if not route.mount then return route.max_body, route.stream_body end
  return route.mount:_body_wishes(method, select(2, router.split(path, route.depth)))
end

--- The functions of this and of mounted applications that run at the start or the stop.
---@param name string "_on_start" or "_on_stop"
---@return function[]
function App:_functions(name)
  local list, seen = {}, {}
  local function add(app)
    if seen[app] then return end
    seen[app] = true
    table.move(app[name], 1, #app[name], #list + 1, list)
    for _, route in ipairs(app._router._mounts) do add(route.mount) end
  end
  add(self)
  return list
end

-- ---- failures -------------------------------------------------------------------------------------------------------

local function report(req, failure)
  local traceback = req._traceback or type(failure) == "table" and failure.traceback or errors.text(failure)
  tell(("braid: %s %s failed: %s\n"):format(req.method, (req.path:gsub("%c", "?")), traceback))
  return traceback
end

--- The answer when the handler failed, or its answer cannot be sent. Reports the failure on stderr; with `debug` also
--- to the client.
---@param req braid.web.Request
---@param failure any
---@return integer status
---@return string body
---@return string[] headers
function App:_failed(req, failure)
  local traceback = report(req, failure)
  if not self._debug then return response.render(response.failure(500)) end
  return 500, traceback, { "Content-Type", "text/plain; charset=utf-8" }
end

--- Reports the failure of a WebSocket's handler on stderr.
---@param req braid.web.Request
---@param failure any
---@param place string? from errors.try
function App._report(_, req, failure, place)
  report(req, { traceback = errors.told(failure, place) })
end

-- The answer of `on_error`, if there is one. A cancel is no failure.
function recover(app, req, failure)
  local hook = app._on_error
  if not hook or errors.is_error(failure, "cancelled") and core.cancelled() then return nil end
  local ok, value, status, headers = xpcall(hook, keep_traceback, error_in(failure), req)
  if ok and value == nil and status == nil then return nil end
  if ok then ok, value = xpcall(with_status, keep_traceback, 500, value, status, headers) end
  if ok or response.is(value) then return value end
  report(req, value)
  return nil
end

-- Adds what a middleware has left for an answer that does not pass it.
local function with_more(req, status, body, list)
  local more = rawget(req, "_more_headers")
  if not more then return status, body, list end
  list = table.move(list, 1, #list, 1, {})
  return status, body, table.move(more, 1, #more, #list + 1, list)
end

--- The answer to a request that cannot be served: a malformed one, one that is too large or too slow, one too many.
---@param status integer
---@return integer status
---@return string body
---@return string[] headers
function App._refused(_, _, status)
  local answer = response.failure(status)
  if status == 503 then answer.headers["Retry-After"] = 1 end
  return response.render(answer)
end

--- Runs the stream of an answer to its end. Does not raise: a failure is reported on stderr.
---@param req braid.web.Request
---@param stream function
---@param write fun(piece: string)
---@return boolean whole
---@return any cancelled the error to raise afterwards, if the task was cancelled
function App._run_stream(_, req, stream, write)
  local ok, failure = xpcall(response.run_stream, keep_traceback, stream, write)
  if ok then return true end
  if errors.is_error(failure, "cancelled") and core.cancelled() then return false, failure end
  report(req, failure)
  return false
end

--- The application's answer to a request. Does not raise: a failing handler is reported on stderr, with its traceback,
--- and gives status 500. Suspends if the handler does.
---@param req braid.web.Request
---@return integer status
---@return string|braid.web.Response body
---@return string[] headers names and values alternately
---@return any cancelled the error to raise afterwards, if the task was cancelled
function App:_answer(req)
  local ok, status, body, list = xpcall(render, keep_traceback, self, req)
  if ok then return status, body, list end
  local failure = status
  if errors.is_error(failure, "cancelled") and core.cancelled() then
    status, body, list = response.render(response.failure(503))
    return status, body, list, failure
  end
  local answer = response.is(failure) and failure or recover(self, req, failure)
  if not answer then return with_more(req, self:_failed(req, failure)) end
  ok, status, body, list = pcall(response.render, answer)
  if ok then return with_more(req, status, body, list) end
  return with_more(req, self:_failed(req, status))
end

-- ---- running it -----------------------------------------------------------------------------------------------------

--- Starts a server in a task of the current scope; it ends with the scope. Calls the functions of on_start first, so it
--- may suspend. Raises for bad options, and errors of on_start functions.
---@param options braid.web.ServeOptions?
---@return braid.web.Server|braid.web.Supervisor|nil server with .port, .url, :stop(), :wait()
---@return any err if it cannot listen at the address
function App:start(options)
  return require("braid.web.serve").start({ app = self }, serve_options.read(1, "start", options))
end

--- Serves until it is stopped: after SIGTERM and SIGINT running requests may end within `grace`. Suspends. Prints its
--- address on stderr. With several `workers` this process supervises that many processes, which get the application
--- (its handlers with their upvalues; see the list of what can be sent). A worker that dies is replaced. SIGHUP
--- replaces all without losing a request; SIGTTIN and SIGTTOU add and remove one. Raises for bad options, if it cannot
--- listen, and if a worker cannot start.
---@param options braid.web.ServeOptions?
function App:serve(options)
  return require("braid.web.serve").serve({ app = self }, serve_options.read(1, "serve", options))
end

--- A client that calls the application without a socket.
---@return braid.web.TestClient
function App:test_client() return require("braid.web.test_client").new(self) end

for name, method in pairs(routes.methods) do App[name] = method end
errors.guard(App)
require("braid.missing").methods(App, "app")

return M
