-- SPDX-License-Identifier: MIT
-- An application: its routes, what stands before them, and what a request becomes. How requests get here is the
-- server's affair, or the test client's.
local core = require "braid.core"
local errors = require "braid.errors"
local request = require "braid.web.request"
local response = require "braid.web.response"
local router = require "braid.web.router"
local serve_options = require "braid.web.options"
local static = require "braid.web.static"

local M = {}

---@class braid.web.App
local App = {}
App.__index = App
App.__name = "braid.app"
M.App = App -- by this name the metatable of an application that is sent to another process is found there

--- A new application.
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

--- Answers GET (and HEAD) requests for a path. "/items/{id}" has a parameter, a whole segment that is not empty;
--- "{id:int}" is an integer, "{x:number}" a number, everything else there is status 404; "{rest:path}" at the end is
--- all that follows. The handler gets the request and returns a table (JSON), a string (text), nil (status 204) or a
--- braid.web.response. It runs as a task: it may wait. When the client leaves before it has its answer, the task is
--- cancelled.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options {stream_body: boolean?, max_body: integer?}? stream_body: the handler begins when the headers are
---  there, and reads the body by request:chunks(); max_body: bytes, in place of the server's
---@return braid.web.App self
function App:get(path, handler, options) return add_route(self, "GET", path, handler, options) end

--- Answers POST requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:post(path, handler, options) return add_route(self, "POST", path, handler, options) end

--- Answers PUT requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:put(path, handler, options) return add_route(self, "PUT", path, handler, options) end

--- Answers PATCH requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:patch(path, handler, options) return add_route(self, "PATCH", path, handler, options) end

--- Answers DELETE requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:delete(path, handler, options) return add_route(self, "DELETE", path, handler, options) end

--- Answers OPTIONS requests, as get does GET. Where a path has no such route, the answer is its list of methods.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:options(path, handler, options) return add_route(self, "OPTIONS", path, handler, options) end

--- Answers requests of every method that the path has no route of its own for.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@param options table? as of get
---@return braid.web.App self
function App:any(path, handler, options) return add_route(self, "*", path, handler, options) end

--- Gives the files below a folder, as they are when they are asked for: with ETag, Last-Modified, ranges and content
--- types. Names that begin with a dot, and links that leave the folder, are not there.
---@param prefix string "/assets"
---@param folder string
---@param options {index: string?, max_age: integer?}? index: the file for the folder itself, default "index.html";
---  max_age: seconds that clients may keep a file without asking
---@return braid.web.App self
function App:static(prefix, folder, options)
  local path = prefix:gsub("/$", "") .. "/{path:path}"
  return add_route(self, "GET", path, static.handler(folder, options))
end

--- Puts a function before everything that follows, routes and missing routes alike: what it returns is the answer.
--- next(request) gives the response of what comes after it, which may be changed; a handler's error comes through it.
---@param middleware fun(request: braid.web.Request, next: fun(request: braid.web.Request): braid.web.Response): any
---@return braid.web.App self
function App:use(middleware)
  errors.check_function(1, "use", "middleware", middleware)
  table.insert(self._middleware, middleware)
  self._chain = nil
  return self
end

--- Calls a function before the first request is taken. One that raises keeps the server from starting.
---@param fn fun()
---@return braid.web.App self
function App:on_start(fn)
  errors.check_function(1, "on_start", "fn", fn)
  table.insert(self._on_start, fn)
  return self
end

--- Calls a function when the last request has been answered.
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

-- Other than the fast path: a path with parameters, with something encoded, with the server's name before it ("GET
-- http://host/path"), or one that is not there.
local function find_slowly(app, req)
  local path = req.path
  if path:sub(1, 1) ~= "/" then path = path:match("^%a[%w+.-]*://[^/]*(.*)$") or path end
  req.path = request.unescape(path)
  local route, params = app._router:find(req.method, path, request.unescape)
  if not route then return nil, missing(req, params) end
  req.params = params
  return route
end

-- What the route's handler returned.
local function call_route(app, req)
  local route = app._router:find_exact(req.method, req.path)
  if route then return route.handler(req) end
  local found, answer = find_slowly(app, req)
  if not found then return answer end
  return found.handler(req)
end

-- The end of the chain of middleware: a response, whatever the handler made of it.
local function respond(app, req)
  local ok, value = xpcall(call_route, function(err)
    if not response.is(err) and not req._traceback then req._traceback = errors.told(err, core.trace(err)) end
    return err
  end, app, req)
  if not ok and not response.is(value) then error(value, 0) end
  return response.of(value)
end

local function build_chain(app)
  local function chain(req) return respond(app, req) end
  for i = #app._middleware, 1, -1 do
    local middleware, rest = app._middleware[i], chain
    chain = function(req) return response.of(middleware(req, rest)) end
  end
  return chain
end

local function render(app, req)
  if #app._middleware == 0 then return response.render(call_route(app, req)) end
  app._chain = app._chain or build_chain(app)
  return response.render(app._chain(req))
end

-- ---- when that fails ------------------------------------------------------------------------------------------------

local function keep_traceback(err)
  if response.is(err) or errors.is_error(err, "cancelled") then return err end
  return { error = err, traceback = errors.told(err, core.trace(err)) }
end

local function report(req, failure)
  local traceback = req._traceback or type(failure) == "table" and failure.traceback or errors.text(failure)
  io.stderr:write(("braid: %s %s failed: %s\n"):format(req.method, (req.path:gsub("%c", "?")), traceback))
  return traceback
end

--- What is answered when there is no answer, or one that cannot be sent; says why on stderr, and with `debug` to the
--- client, too.
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

--- Runs the stream of an answer to its end. Does not raise: a failing one is reported on stderr.
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

--- What the application answers. Does not raise: a failing handler is reported on stderr, with its traceback, and
--- answered with status 500. Suspends if the handler does.
---@param req braid.web.Request
---@return integer status
---@return string|braid.web.Response body
---@return string[] headers names and values in turn
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

--- Starts serving, in a task of the current scope that ends with it. The functions of on_start are called first: may
--- suspend. Raises for wrong options, and what a function of on_start raised.
---@param options braid.web.ServeOptions?
---@return braid.web.Server|braid.web.Supervisor|nil server with .port, .url, :stop(), :wait()
---@return any err when the address cannot be had
function App:start(options)
  return require("braid.web.serve").start({ app = self }, serve_options.read(1, "start", options))
end

--- Serves until it is stopped: SIGTERM and SIGINT let running requests end within `grace`. Suspends. Prints on stderr
--- where it serves. With `workers`, this process watches over so many others, which are sent the application (its
--- handlers with their upvalues; see the list of what travels): one that dies is replaced, SIGHUP replaces all without
--- losing a request, SIGTTIN and SIGTTOU add and remove one. Raises for wrong options, when the address cannot be had,
--- and when a worker cannot start.
---@param options braid.web.ServeOptions?
function App:serve(options)
  return require("braid.web.serve").serve({ app = self }, serve_options.read(1, "serve", options))
end

--- A client that calls the application without a socket.
---@return braid.web.TestClient
function App:test_client() return require("braid.web.test_client").new(self) end

errors.guard(App)

return M
