-- SPDX-License-Identifier: MIT
-- An application: its routes and middleware, and how a request becomes an answer. The server or the test client brings
-- the requests.
local core = require "braid.core"
local errors = require "braid.errors"
local response = require "braid.web.response"
local router = require "braid.web.router"
local serve_options = require "braid.web.options"
local static = require "braid.web.static"
local websocket = require "braid.web.websocket"

local M = {}

---@class braid.web.App
local App = {}
App.__index = App
App.__name = "braid.app"
M.App = App -- an application that is sent to another process finds its metatable by this name

--- Makes an application.
---@return braid.web.App
function M.new()
  return setmetatable({ _router = router.new(), _middleware = {}, _on_start = {}, _on_stop = {} }, App)
end

local known_route = { stream_body = "boolean", max_body = "integer" }

local function add_route(app, method, path, handler, options)
  local what = method == "*" and "any" or method:lower()
  errors.check_function(1, what, "handler", handler)
  errors.check_options(1, what, options, known_route)
  app._router:add(method, path, handler, options)
  return app
end

--- Answers GET (and HEAD) requests for a path. "/items/{id}" has a parameter: a whole, non-empty segment. "{id:int}" is
--- an integer, "{x:number}" a number; other segments give status 404. "{rest:path}" at the end is the rest of the path.
--- "{id:raw}" is a segment with its escapes, and the only one that may have an escape of '/' or NUL.
--- The handler gets the request and returns a table (JSON), a string (text), nil (status 204) or a braid.web.response.
--- It runs as a task and may wait. If the client leaves before the answer, the task is cancelled.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options {stream_body: boolean?, max_body: integer?}? stream_body: the handler begins when the headers are
--- there, and reads the body by request:chunks(); max_body: bytes, instead of the server's option
---@return braid.web.App self
function App:get(path, handler, options) return add_route(self, "GET", path, handler, options) end

--- Answers POST requests, like get.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:post(path, handler, options) return add_route(self, "POST", path, handler, options) end

--- Answers PUT requests, like get.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:put(path, handler, options) return add_route(self, "PUT", path, handler, options) end

--- Answers PATCH requests, like get.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:patch(path, handler, options) return add_route(self, "PATCH", path, handler, options) end

--- Answers DELETE requests, like get.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:delete(path, handler, options) return add_route(self, "DELETE", path, handler, options) end

--- Answers OPTIONS requests, like get. Without such a route the answer is the path's list of methods.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:options(path, handler, options) return add_route(self, "OPTIONS", path, handler, options) end

--- Answers requests with every method for which the path has no other route.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:any(path, handler, options) return add_route(self, "*", path, handler, options) end

--- Makes WebSockets of requests for a path. The handler runs as the request's task: `for message in ws:messages() do
--- ws:send(message) end`. Its return closes with 1000, its failure with 1011, the end of the server with 1001. If the
--- client leaves while the handler waits for something else, the task is cancelled. Middleware runs before it, and may
--- refuse; the answer of next() has status 101 if the handler will be called.
---@param path string as of get
---@param spec braid.web.WebSocketOptions|nil may be left out, or stand behind the handler
---@param handler fun(ws: braid.WebSocket, request: braid.web.Request)
---@return braid.web.App self
function App:websocket(path, spec, handler)
  if spec ~= nil and type(spec) ~= "table" then spec, handler = handler, spec end
  errors.check_function(1, "websocket", "handler", handler)
  websocket.check(spec)
  return add_route(self, "GET", path, websocket.handler(spec or {}, handler))
end

--- Serves the files below a folder, with ETag, Last-Modified, ranges and content types. It looks for them at each
--- request. Names that begin with a dot (but ".well-known"), and links that leave the folder, give status 404. A folder
--- without its slash is redirected. Raises if there is no such folder.
---@param prefix string "/assets"
---@param folder string
---@param options {index: string?, max_age: integer?, precompressed: boolean?}? index: the file for the folder itself,
---  default "index.html"; max_age: seconds that clients may keep a file without asking again; precompressed: a file of
---  text is sent as NAME.br, NAME.zst or NAME.gz if that is there and the client takes it, default true
---@return braid.web.App self
function App:static(prefix, folder, options)
  if type(prefix) ~= "string" then
    errors.misuse(1, "bad argument 'prefix' to 'static' (a string expected, got %s)", errors.described(prefix))
  end
  local path = prefix:gsub("/$", "") .. "/{path:path}"
  return add_route(self, "GET", path, static.handler(folder, options))
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

-- ---- from a request to an answer ------------------------------------------------------------------------------------

local function missing(req, allow)
  if not allow then return response.failure(404) end
  local answer = response.failure(405)
  answer.headers.Allow = allow
  if req.method ~= "OPTIONS" then return answer end
  return response.response { status = 204, headers = { Allow = allow .. ", OPTIONS" } }
end

-- For paths that the fast lookup does not find: with parameters, with escapes, or without a route.
local function find_slowly(app, req)
  local path = req.path
  if path == "*" then return nil, response.response { status = 204, headers = { Allow = app._router:methods() } } end
  local escaped = path:find("%", 1, true) and req._escaped
  local route, params = app._router:find(req.method, path, escaped, function() return req._raw end)
  if not route and escaped then return nil, response.failure(400) end
  if not route then return nil, missing(req, params) end
  req.params = params
  return route
end

-- Returns what the route's handler returned.
local function call_route(app, req)
  local route = app._router:find_exact(req.method, req.path)
  if route then return route.handler(req) end
  local found, answer = find_slowly(app, req)
  if not found then return answer end
  return found.handler(req)
end

-- The end of the middleware chain. Always returns a response.
local function respond(app, req)
  local ok, value, status, headers = xpcall(call_route, function(err)
    if not response.is(err) and not req._traceback then req._traceback = errors.told(err, core.trace(err)) end
    return err
  end, app, req)
  if not ok and not response.is(value) then error(value, 0) end
  if not ok then return value end
  return response.of(value, status, headers)
end

-- The answer of a middleware.
local function answer_of(value, ...)
  if value == nil then
    error("a middleware returned nothing: it returns the answer of next(request), or one of its own", 0)
  end
  return response.of(value, ...)
end

local function build_chain(app)
  local function chain(req) return respond(app, req) end
  for i = #app._middleware, 1, -1 do
    local middleware, rest = app._middleware[i], chain
    chain = function(req) return answer_of(middleware(req, rest)) end
  end
  return chain
end

local function render(app, req)
  if #app._middleware == 0 then return response.render(call_route(app, req)) end
  app._chain = app._chain or build_chain(app)
  return response.render(app._chain(req))
end

-- ---- failures -------------------------------------------------------------------------------------------------------

local function keep_traceback(err)
  if response.is(err) or errors.is_error(err, "cancelled") then return err end
  return { error = err, traceback = errors.told(err, core.trace(err)) }
end

-- Writes to stderr, whoever reads it.
local function tell(text) pcall(io.stderr.write, io.stderr, text) end

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
  if not response.is(failure) then return self:_failed(req, failure) end
  ok, status, body, list = pcall(response.render, failure)
  if ok then return status, body, list end
  return self:_failed(req, status)
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

errors.guard(App)

return M
