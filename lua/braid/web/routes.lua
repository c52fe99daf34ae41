-- SPDX-License-Identifier: MIT
-- How an application and its groups get their routes.
local chain = require "braid.web.chain"
local checks = require "braid.web.checks"
local errors = require "braid.errors"
local limits = require "braid.web.limits"
local static = require "braid.web.static"
local websocket = require "braid.web.websocket"

local M = {}

---What an application and its groups have in common. Each function returns the object itself, so calls can be chained.
---@class braid.web.Routes
---@field package _router braid.web.Router
---@field package _prefix string before the paths of all routes
---@field package _layers table[] lists of middleware around all routes, the outermost first
---@field package _layered braid.web.Route[] routes with middleware of their own, for changes of that
local Routes = {}
M.methods = Routes

local known = {
  stream_body = "boolean", max_body = "integer", name = "string", use = "table", timeout = "number",
  concurrency = "integer",
}
for name, kind in pairs(checks.known) do known[name] = kind end
local ranges = { max_body = { 0 }, timeout = { 0.001 }, concurrency = { 1 } }

---What a route says of itself. All of it may be left out. A request that does not fit gets status 422 and
---`{ errors = { { at = "/query/limit", message = ... } } }`; `request.valid` has what was checked.
---@class braid.web.RouteSpec
---@field params table<string, string|braid.web.Schema>? of the path
---@field query table<string, string|braid.web.Schema>? an array takes all values of a repeated name
---@field headers table<string, string|braid.web.Schema>? a '_' in a name is a '-' of the header
---@field body string|braid.web.Schema|nil of JSON
---@field form table<string, string|braid.web.Schema>? of forms. Files (of format "binary") are for the documents only,
--- and with stream_body so are all its fields
---@field response table? of answers with a status of 2xx; or a table of schemas by their status
---@field status integer? of an answer without a status of its own
---@field strict boolean? refuses unknown names in the query, the body and the form
---@field summary string? for the documents, as the rest
---@field description string?
---@field tags string[]?
---@field security string[]? names of `app:openapi{ security = ... }`, of which one is enough; middleware checks it
---@field deprecated boolean?
---@field hidden boolean? leaves the route out of the documents
---@field name string? for `url_for`, and in the documents
---@field use braid.web.Middleware[]? middleware of this route alone, inside of the group's
---@field max_body integer? bytes, instead of the server's option
---@field timeout number? seconds after which the handler is cancelled, and the answer is 504; instead of the server's
---  request_timeout
---@field concurrency integer? requests at a time (in each process); further ones get 503
---@field stream_body boolean? the handler begins when the headers are there, and reads the body by request:chunks();
---  default: only for forms with files of more than 1 MiB, where neither `timeout` nor `concurrency` is set

local function check_middleware(what, list)
  for i = 1, #list do errors.check_function(2, what, "use", list[i]) end
  return list
end

-- The middleware of a route: the groups', its own, and its limits.
local function layers_of(owner, spec)
  local layers = table.move(owner._layers, 1, #owner._layers, 1, {})
  local own = table.move(spec.use or {}, 1, #(spec.use or {}), 1, {})
  if spec.concurrency then own[#own + 1] = limits.concurrency(spec.concurrency) end
  if spec.timeout then own[#own + 1] = limits.timeout(spec.timeout) end
  if #own > 0 then layers[#layers + 1] = own end
  return layers
end

-- Puts the middleware of a route around a function.
local function compose(route, endpoint)
  local list = {}
  for _, layer in ipairs(route.layers) do table.move(layer, 1, #layer, #list + 1, list) end
  if #list == 0 then return endpoint end
  return chain.around(list, endpoint)
end

-- Until its first request a group's route can get more middleware.
local function put_off(route)
  route.handler = function(req)
    route.handler = compose(route, route.endpoint)
    return route.handler(req)
  end
end

--- Answers for a route whose path was found, but not its method: with its middleware, which may know preflights.
---@param route braid.web.Route
---@param req braid.web.Request
---@param endpoint function
function M.answer_around(route, req, endpoint)
  if not route.layers then return endpoint(req) end
  return compose(route, endpoint)(req)
end

-- `spec` may be left out, or stand behind the handler.
local function in_order(spec, handler)
  if spec ~= nil and type(spec) ~= "table" then return handler, spec end
  return spec, handler
end

-- A limit for the handler must not count the time in which the client sends.
local function streams_body(spec)
  if spec.stream_body == nil and (spec.timeout or spec.concurrency) then return false end
  return spec.stream_body
end

local function add(owner, method, path, spec, handler, mount, depth)
  local what = method == "*" and "any" or method:lower()
  spec, handler = in_order(spec, handler)
  errors.check_function(1, what, "handler", handler)
  errors.check_options(1, what, spec, known)
  errors.check_ranges(1, what, spec, ranges)
  spec = spec or {}
  check_middleware(what, spec.use or {})
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' (a string expected, got %s)", errors.described(path))
  end
  local plan = checks.read(owner._prefix .. path, spec)
  handler = checks.handler(plan, spec, handler)
  local route = {
    handler = handler, stream_body = streams_body(spec), max_body = spec.max_body, name = spec.name,
    mount = mount, depth = depth, spec = spec, plan = plan,
  }
  local layers = layers_of(owner, spec)
  if #layers > 0 then
    route.endpoint, route.layers = handler, layers
    table.insert(owner._layered, route)
    put_off(route)
  end
  owner._router:add(method, owner._prefix .. path, route)
  return owner
end

--- Answers GET (and HEAD) requests for a path. "/items/{id}" has a parameter: a whole, non-empty segment. "{id:int}" is
--- an integer, "{x:number}" a number; other segments give status 404. "{rest:path}" at the end is the rest of the path.
--- "{id:raw}" is a segment with its escapes, and the only one that may have an escape of '/' or NUL.
--- The handler gets the request and returns a table (JSON), a string (text), nil (status 204) or a braid.web.response.
--- It runs as a task and may wait. If the client leaves before the answer, the task is cancelled.
---@param path string
---@param spec braid.web.RouteSpec? may be left out, or stand behind the handler
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:get(path, spec, handler) return add(self, "GET", path, spec, handler) end

--- Answers POST requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:post(path, spec, handler) return add(self, "POST", path, spec, handler) end

--- Answers PUT requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:put(path, spec, handler) return add(self, "PUT", path, spec, handler) end

--- Answers PATCH requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:patch(path, spec, handler) return add(self, "PATCH", path, spec, handler) end

--- Answers DELETE requests, like get.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:delete(path, spec, handler) return add(self, "DELETE", path, spec, handler) end

--- Answers OPTIONS requests, like get. Without such a route the answer is the path's list of methods.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:options(path, spec, handler) return add(self, "OPTIONS", path, spec, handler) end

--- Answers requests with every method for which the path has no other route.
---@param path string
---@param spec braid.web.RouteSpec?
---@param handler fun(request: braid.web.Request): any
---@return braid.web.Routes self
function Routes:any(path, spec, handler) return add(self, "*", path, spec, handler) end

--- Makes WebSockets of requests for a path. The handler runs as the request's task: `for message in ws:messages() do
--- ws:send(message) end`. Its return closes with 1000, its failure with 1011, the end of the server with 1001. If the
--- client leaves while the handler waits for something else, the task is cancelled. Middleware runs before it, and may
--- refuse; the answer of next() has status 101 if the handler will be called.
---@param path string as of get
---@param spec braid.web.WebSocketOptions? may be left out, or stand behind the handler
---@param handler fun(ws: braid.WebSocket, request: braid.web.Request)
---@return braid.web.Routes self
function Routes:websocket(path, spec, handler)
  spec, handler = in_order(spec, handler)
  errors.check_function(1, "websocket", "handler", handler)
  websocket.check(spec)
  spec = spec or {}
  return add(self, "GET", path, { name = spec.name, use = spec.use, hidden = true }, websocket.handler(spec, handler))
end

--- Serves the files below a folder, with ETag, Last-Modified, ranges and content types. It looks for them at each
--- request. Names that begin with a dot (but ".well-known"), and links that leave the folder, give status 404. A folder
--- without its slash is redirected. Raises if there is no such folder.
---@param prefix string "/assets"
---@param folder string
---@param options {index: string?, max_age: integer?, precompressed: boolean?}? index: the file for the folder itself,
---  default "index.html"; max_age: seconds that clients may keep a file without asking again; precompressed: a file of
---  text is sent as NAME.br, NAME.zst or NAME.gz if that is there and the client takes it, default true
---@return braid.web.Routes self
function Routes:static(prefix, folder, options)
  if type(prefix) ~= "string" then
    errors.misuse(1, "bad argument 'prefix' to 'static' (a string expected, got %s)", errors.described(prefix))
  end
  local path = prefix:gsub("/$", "") .. "/{path:path}"
  return add(self, "GET", path, { hidden = true }, static.handler(folder, options))
end

-- ---- groups and mounted applications --------------------------------------------------------------------------------

local function check_prefix(what, prefix)
  if type(prefix) ~= "string" or prefix ~= "" and prefix:sub(1, 1) ~= "/" then
    errors.misuse(2, "bad argument 'prefix' to '%s' (a path that begins with '/' expected, got %s)", what,
      type(prefix) == "string" and ("%q"):format(prefix) or errors.described(prefix))
  end
  return (prefix:gsub("/+$", ""))
end

---A part of an application's routes, with a common prefix and middleware of its own.
---@class braid.web.Group: braid.web.Routes
local Group = { __name = "braid.group" }
Group.__index = Group
M.Group = Group

--- Makes a group of routes below a prefix. Its middleware is inside of the application's, and around its routes only:
--- it does not see paths that no route has. An OPTIONS request for a path without such a route passes it, too.
---@param prefix string "/admin"; may have parameters
---@param fill (fun(group: braid.web.Group))|{use: braid.web.Middleware[]?}|nil a function that adds the routes, or
---  options
---@return braid.web.Group
function Routes:group(prefix, fill)
  prefix = check_prefix("group", prefix)
  if fill ~= nil and type(fill) ~= "function" then
    errors.check_options(1, "group", fill, { use = "table" })
  end
  local own = type(fill) == "table" and fill.use or {}
  check_middleware("group", own)
  local layers = table.move(self._layers, 1, #self._layers, 1, {})
  layers[#layers + 1] = table.move(own, 1, #own, 1, {})
  local group = setmetatable({
    _router = self._router, _prefix = self._prefix .. prefix, _layers = layers, _layered = self._layered,
    _app = self._app or self,
  }, Group)
  if type(fill) == "function" then fill(group) end
  return group
end

--- Adds middleware around all routes of the group, also those that were added before.
---@param middleware braid.web.Middleware
---@return braid.web.Group self
function Group:use(middleware)
  errors.check_function(1, "use", "middleware", middleware)
  table.insert(self._layers[#self._layers], middleware)
  for _, route in ipairs(self._layered) do put_off(route) end
  return self
end

--- Gives all requests below a prefix to another application: with its middleware, its hooks and its routes. It sees the
--- path below the prefix; `request.mount` is the prefix. Routes of this application for the same paths go first. Its
--- on_start and on_stop functions are called with those of this application.
---@param prefix string "/shop"; may have parameters
---@param app braid.web.App
---@return braid.web.Routes self
function Routes:mount(prefix, app)
  prefix = check_prefix("mount", prefix)
  if type(app) ~= "table" or type(app._mounted) ~= "function" then
    errors.misuse(1, "bad argument 'app' to 'mount' (a braid.web.app() expected, got %s)", errors.described(app))
  end
  if app._router == self._router then errors.misuse(1, "an application cannot be mounted in itself") end
  local _, depth = (self._prefix .. prefix):gsub("/", "/")
  local outer = self._app or self
  local function handler(req) return app:_mounted(req, depth, outer) end
  if prefix ~= "" or self._prefix ~= "" then add(self, "*", prefix, nil, handler, app, depth) end
  return add(self, "*", prefix .. "/{_below:path}", nil, handler, app, depth)
end

for name, method in pairs(Routes) do Group[name] = Group[name] or method end
errors.guard(Group)

return M
