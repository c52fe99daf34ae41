-- SPDX-License-Identifier: MIT
-- Finds the handler for a method and a path. Paths without parameters are in a hash table. The others are in a tree
-- with one level for each segment. At each level the order is: literal text, {id:int}, {x:number}, {id}, {id:raw},
-- {rest:path}.
local errors = require "braid.errors"

local M = {}

---@class braid.web.Route
---@field handler function
---@field method string "*": any
---@field path string the pattern
---@field names string[] of the parameters, from left to right
---@field name string? for url_for
---@field stream_body boolean? the handler begins when the headers are there
---@field max_body integer? bytes
---@field mount braid.web.App? it answers, for the path without its first `depth` segments
---@field depth integer?
---@field endpoint function? what `handler` calls through the middleware in `layers`
---@field layers table[]? lists of middleware
---@field spec braid.web.RouteSpec?
---@field plan braid.web.RoutePlan?

---@class braid.web.Router
local Router = {}
Router.__index = Router
M.Router = Router -- for the same reason as in app.lua

local function new_node() return { literal = {}, routes = {} } end

function M.new()
  return setmetatable({ _exact = {}, _root = new_node(), _named = {}, _mounts = {}, routes = {} }, Router)
end

local kinds = { int = true, number = true, raw = true, path = true }

local function segments_of(path)
  local segments = {}
  for segment in path:gmatch("/([^/]*)") do segments[#segments + 1] = segment end
  return segments
end

-- Returns "literal", text; or "any", "int", "number" or "path", and the parameter's name.
local function parse_segment(path, segment)
  local other = segment:match "^:(%a[%w_]*)" or segment:match "^<%a-:?(%a[%w_]*)>$"
  if other then errors.misuse(1, "%q: a parameter is written {%s}, not %q", path, other, segment) end
  if not segment:find("[{}]") then return "literal", segment end
  local name, kind = segment:match("^{([%a_][%w_]*):?(%l*)}$")
  if not name then
    errors.misuse(1, "%q: a parameter is a whole segment, {name} or {name:int}, not %q", path, segment)
  end
  if kind == "" and not segment:find(":", 1, true) then return "any", name end
  if not kinds[kind] then
    errors.misuse(1, "%q: a parameter may be {name}, {name:int}, {name:number}, {name:raw} or {name:path}, not %q",
      path, segment)
  end
  return kind, name
end

local function child_of(node, kind, text)
  local parent, key = node, kind
  if kind == "literal" then parent, key = node.literal, text end
  parent[key] = parent[key] or new_node()
  return parent[key]
end

-- The node of a path, and the names of its parameters.
local function make_way(root, path)
  local node, names, seen, segments = root, {}, {}, segments_of(path)
  for i, segment in ipairs(segments) do
    local kind, text = parse_segment(path, segment)
    if kind == "path" and i < #segments then errors.misuse(1, "%q: nothing may follow {%s:path}", path, text) end
    node = child_of(node, kind, text)
    if kind ~= "literal" then
      if seen[text] then errors.misuse(1, "%q: two parameters are called %q", path, text) end
      seen[text], names[#names + 1] = true, text
    end
  end
  return node, names
end

--- Adds a route. Raises for a bad path, and if the route exists already.
---@param method string "GET" and so on, or "*" for any
---@param path string
---@param route braid.web.Route gets its path and names here
function Router:add(method, path, route)
  if path:sub(1, 1) ~= "/" then errors.misuse(1, "a path begins with '/': %s", path) end
  local node, names = make_way(self._root, path)
  if node.routes[method] then
    errors.misuse(1, "%s %s has a handler already", method == "*" and "any" or method, path)
  end
  if route.name and self._named[route.name] then errors.misuse(1, "two routes are called %q", route.name) end
  route.method, route.path, route.names = method, path, names
  self.routes[#self.routes + 1] = route
  if route.name then self._named[route.name] = path end
  if route.mount then
    if path:find("{_below:path}$") then names[#names] = nil end
    self._mounts[#self._mounts + 1] = route
  end
  if route.stream_body or route.max_body then self._asks = true end
  node.routes[method] = route
  if #names == 0 and not path:find("[%%{]") then self._exact[path] = node.routes end
end

--- Whether a route, here or in what is mounted, wants to be asked about bodies.
---@return boolean
function Router:asks()
  if self._asks then return true end
  for _, route in ipairs(self._mounts) do
    if route.mount._router:asks() then return true end
  end
  return false
end

local function choose(routes, method) return routes[method] or method == "HEAD" and routes.GET or routes["*"] end

local function integer_of(segment) return segment:find("^%-?%d+$") and math.tointeger(tonumber(segment)) end

local MOST_DIGITS = 400 -- the time that the patterns below take grows with the square

local function number_of(segment)
  if #segment > MOST_DIGITS then return nil end
  return (segment:find("^%-?%d+%.?%d*$") or segment:find("^%-?%d+%.?%d*[eE][+-]?%d+$")) and tonumber(segment)
end

local function text_of(segment) return segment end

-- Escapes of '/' and NUL stay in a path, in capitals. So it tells such a segment from others only if it has any.
local function is_escaped(segment) return segment:find("%2F", 1, true) or segment:find("%00", 1, true) end

-- In the order of precedence.
local parameters = { { "int", integer_of }, { "number", number_of }, { "any", text_of } }

local function rest_of(segments, i) return table.concat(segments, "/", i) end

-- What is looked for: a method and the segments of a path. `raw()` gives the segments as the client sent them.
-- `escaped`: some have escapes of '/' or NUL, which only {name:raw} takes.
local descend

local function try_parameters(node, search, i, values, allowed)
  local segment, depth = search.segments[i], #values + 1
  if search.escaped and is_escaped(segment) then return nil end
  for _, parameter in ipairs(parameters) do
    local kind, read = parameter[1], parameter[2]
    local value = node[kind] and segment ~= "" and read(segment)
    if value then
      values[depth] = value
      local route = descend(node[kind], search, i + 1, values, allowed)
      if route then return route end
    end
  end
  values[depth] = nil
end

local function try_raw(node, search, i, values, allowed)
  if not node.raw or search.segments[i] == "" then return nil end
  local depth = #values + 1
  values[depth] = search.raw()[i]
  local route = descend(node.raw, search, i + 1, values, allowed)
  if not route then values[depth] = nil end
  return route
end

local function try_rest(node, search, i, values, allowed)
  if not node.path then return nil end
  local depth, rest = #values + 1, rest_of(search.segments, i)
  local mounted = (node.path.routes["*"] or {}).mount
  if search.escaped and is_escaped(rest) and not mounted then return nil end
  values[depth] = rest
  local route = descend(node.path, search, #search.segments + 1, values, allowed)
  if not route then values[depth] = nil end
  return route
end

-- Finds the best route below a node. Fills in `values` (the parameters) and `allowed` (methods of routes that match
-- except for their method).
function descend(node, search, i, values, allowed)
  local segment = search.segments[i]
  if not segment then
    for other, route in pairs(node.routes) do allowed[other] = allowed[other] or route end
    return choose(node.routes, search.method)
  end
  local child = node.literal[segment]
  return child and not (search.escaped and is_escaped(segment)) and descend(child, search, i + 1, values, allowed)
    or try_parameters(node, search, i, values, allowed)
    or try_raw(node, search, i, values, allowed)
    or try_rest(node, search, i, values, allowed)
end

local function allow_list(allowed)
  if not next(allowed) then return nil end
  allowed.HEAD = allowed.HEAD or allowed.GET
  local list = {}
  for method in pairs(allowed) do list[#list + 1] = method end
  table.sort(list)
  return table.concat(list, ", ")
end

--- The methods of all routes, as in the header Allow.
---@return string
function Router:methods()
  local allowed = { OPTIONS = true }
  local function visit(node)
    for method in pairs(node.routes) do
      if method ~= "*" then allowed[method] = true end
    end
    for _, child in pairs(node.literal) do visit(child) end
    for kind in pairs(kinds) do
      if node[kind] then visit(node[kind]) end
    end
    if node.any then visit(node.any) end
  end
  visit(self._root)
  return allow_list(allowed)
end

--- Finds the route of a path without escapes and parameters.
---@param method string
---@param path string
---@return braid.web.Route?
function Router:find_exact(method, path)
  local routes = self._exact[path]
  return routes and choose(routes, method)
end

--- Finds the route of a path.
---@param method string
---@param path string in its normal form
---@param escaped boolean? it has escapes of '/' or NUL
---@param raw_path (fun(): string)? the path with all its escapes, for {name:raw}
---@return braid.web.Route? route
---@return table<string, string|number>|string|nil params or, without a route, the methods of the path ("GET, HEAD")
---@return table<string, braid.web.Route>|nil others the routes of the path, if none has the method
function Router:find(method, path, escaped, raw_path)
  local segments, raw = segments_of(path), nil
  local function raw_segments()
    raw = raw or raw_path and segments_of(raw_path()) or segments
    return raw
  end
  local values, allowed = {}, {}
  local search = { method = method, segments = segments, escaped = escaped, raw = raw_segments }
  local route = descend(self._root, search, 1, values, allowed)
  if not route then return nil, allow_list(allowed), allowed end
  local params = {}
  for i, name in ipairs(route.names) do params[name] = values[i] end
  return route, params
end

--- Cuts a path after so many segments.
---@param path string
---@param depth integer
---@return string mount
---@return string below "/" if there is nothing
function M.split(path, depth)
  local at = 1
  for _ = 1, depth do at = path:find("/", at + 1, true) or #path + 1 end
  return path:sub(1, at - 1), at > #path and "/" or path:sub(at)
end

-- ---- from a name to a path ------------------------------------------------------------------------------------------

local function escape(text, but)
  return (text:gsub("[^%w._~" .. but .. "-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function is_value(value)
  return type(value) == "string" or math.type(value) == "integer" or type(value) == "number" and value - value == 0
end

-- The text for a parameter of a pattern.
local function filled(name, kind, key, params, used)
  local value = params[key]
  if not is_value(value) or value == "" and kind ~= "path" or kind == "int" and not math.tointeger(value) then
    errors.misuse(3, "the path of %q needs the parameter %q (%s expected, got %s)", name, key,
      kind == "int" and "an integer" or kind == "number" and "a number" or "a text", errors.described(value))
  end
  used[key] = true
  if kind == "int" then return ("%d"):format(math.tointeger(value)) end
  return escape(tostring(value), kind == "path" and "/" or kind == "raw" and "%%" or "")
end

local function query_of(params, used)
  local names, pairs_of = {}, {}
  for name in pairs(params) do
    if not used[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    pairs_of[i] = escape(tostring(name), "") .. "=" .. escape(tostring(params[name]), "")
  end
  return pairs_of[1] and "?" .. table.concat(pairs_of, "&") or ""
end

local function fill(name, pattern, params, used)
  return (pattern:gsub("{([%w_]+):?(%l*)}", function(key, kind) return filled(name, kind, key, params, used) end))
end

-- The pattern of a name, also of one in what is mounted.
local function pattern_of(router, name)
  local pattern = router._named[name]
  if pattern then return pattern end
  for _, route in ipairs(router._mounts) do
    local below = pattern_of(route.mount._router, name)
    if below then return (route.path:gsub("/{_below:path}$", "")) .. below end
  end
end

--- The path of the route with a name. Parameters that are not in its pattern become the query. Raises for an unknown
--- name, and if a parameter is missing or does not fit.
---@param name string
---@param params table<string, string|number>
---@return string
function Router:url(name, params)
  local pattern = pattern_of(self, name)
  if not pattern then errors.misuse(2, "no route is called %q", name) end
  local used = {}
  local path = fill(name, pattern, params, used)
  return path .. query_of(params, used)
end

return M
