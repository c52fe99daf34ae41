-- SPDX-License-Identifier: MIT
-- An application: its routes, what stands before them, and what a request becomes. How requests get here is the
-- server's affair, or the test client's.
local core = require "braid.core"
local errors = require "braid.errors"
local request = require "braid.web.request"
local response = require "braid.web.response"
local router = require "braid.web.router"

local M = {}

---@class braid.web.App
local App = {}
App.__index = App
App.__name = "braid.app"

--- A new application.
---@return braid.web.App
function M.new()
  return setmetatable({ _router = router.new(), _middleware = {}, _on_start = {}, _on_stop = {} }, App)
end

local function add_route(app, method, path, handler)
  errors.check_function(1, method == "*" and "any" or method:lower(), "handler", handler)
  app._router:add(method, path, handler)
  return app
end

--- Answers GET (and HEAD) requests for a path. "/items/{id}" has a parameter, a whole segment that is not empty;
--- "{id:int}" is an integer, everything else there is status 404. The handler gets the request and returns a table
--- (JSON), a string (text), nil (status 204) or a braid.web.response. It runs as a task: it may wait.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:get(path, handler) return add_route(self, "GET", path, handler) end

--- Answers POST requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:post(path, handler) return add_route(self, "POST", path, handler) end

--- Answers PUT requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:put(path, handler) return add_route(self, "PUT", path, handler) end

--- Answers PATCH requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:patch(path, handler) return add_route(self, "PATCH", path, handler) end

--- Answers DELETE requests, as get does GET.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:delete(path, handler) return add_route(self, "DELETE", path, handler) end

--- Answers requests of every method that the path has no route of its own for.
---@param path string
---@param handler fun(request: braid.web.Request): any
---@return braid.web.App self
function App:any(path, handler) return add_route(self, "*", path, handler) end

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

local function missing(allow)
  if not allow then return response.failure(404) end
  local answer = response.failure(405)
  answer.headers.Allow = allow
  return answer
end

-- Other than the fast path: a path with parameters, with something encoded, with the server's name before it ("GET
-- http://host/path"), or one that is not there.
local function find_slowly(app, req)
  local path = req.path
  if path:sub(1, 1) ~= "/" then path = path:match("^%a[%w+.-]*://[^/]*(.*)$") or path end
  req.path = request.unescape(path)
  local route, params = app._router:find(req.method, path, request.unescape)
  if not route then return nil, missing(params) end
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
    if not response.is(err) and not req._traceback then req._traceback = debug.traceback(tostring(err), 2) end
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
  return { error = err, traceback = debug.traceback(tostring(err), 2) }
end

local function report(req, failure)
  local traceback = req._traceback or type(failure) == "table" and failure.traceback or tostring(failure)
  io.stderr:write(("braid: %s %s failed: %s\n"):format(req.method, (req.path:gsub("%c", "?")), traceback))
end

--- What is answered when there is no answer, or one that cannot be sent; says why on stderr.
---@param req braid.web.Request
---@param failure any
---@return integer status
---@return string body
---@return string[] headers
function App._failed(_, req, failure)
  report(req, failure)
  return response.render(response.failure(500))
end

--- What the application answers. Does not raise: a failing handler is reported on stderr, with its traceback, and
--- answered with status 500. Suspends if the handler does.
---@param req braid.web.Request
---@return integer status
---@return string body
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
---@return braid.web.Server? server with .port, :stop(), :wait()
---@return any err when the address cannot be had
function App:start(options) return require("braid.web.server").start(self, options) end

--- Serves until it is stopped. Suspends. Prints one line with the address on stderr. Raises for wrong options and when
--- the address cannot be had.
---@param options braid.web.ServeOptions?
function App:serve(options)
  local server <close>, err = require("braid.web.server").start(self, options)
  if not server then error(err, 0) end
  io.stderr:write(("braid: serving on %s\n"):format(server.url))
  server:wait()
end

--- A client that calls the application without a socket.
---@return braid.web.TestClient
function App:test_client() return require("braid.web.test_client").new(self) end

return M
