-- SPDX-License-Identifier: MIT
-- The documents of an application: its description (openapi.lua) and a page that shows it (page.lua), each on a route.
local errors = require "braid.errors"
local json = require "braid.json"
local openapi = require "braid.web.openapi"
local response = require "braid.web.response"

local M = {}

local known = {
  title = "string", version = "string", description = "string", servers = "table", path = "string",
  page = "string|boolean", security = "table",
}

-- The routes of an application and of those that are mounted in it, with their whole paths.
local function all_routes(router, prefix, list)
  for _, route in ipairs(router.routes) do
    if route.mount then
      all_routes(route.mount._router, prefix .. route.path:gsub("/{_below:path}$", ""), list)
    elseif route.spec then
      list[#list + 1] = { method = route.method, path = prefix .. route.path, spec = route.spec, plan = route.plan }
    end
  end
  return list
end

-- type -> what such a scheme must have
local schemes = {
  http = "scheme", apiKey = "in", oauth2 = "flows", openIdConnect = "openIdConnectUrl", mutualTLS = "type",
}

local EXAMPLES = [[{ type = "http", scheme = "bearer" } or { type = "apiKey", name = "X-Key", ["in"] = "header" }]]

local function check_security(security)
  for name, scheme in pairs(security or {}) do
    local needed = type(scheme) == "table" and schemes[scheme.type]
    if type(name) ~= "string" or not needed or scheme[needed] == nil or scheme.type == "apiKey" and not scheme.name then
      errors.misuse(2, "bad option 'security' of 'openapi' (%s: a scheme of OpenAPI expected, as %s)",
        errors.text(name), EXAMPLES)
    end
  end
end

-- The text of the document. It is made again when there are more routes, or when the application is mounted elsewhere.
local function document_of(app, info)
  local count, place, text
  return function(mount)
    local routes = all_routes(app._router, "", {})
    if count ~= #routes or place ~= mount then
      local document = openapi.document(routes, info)
      if mount and not document.servers then document.servers = { { url = mount } } end
      text, count, place = json.encode(document, { sort_keys = true }), #routes, mount
    end
    return text
  end
end

--- Adds the routes.
---@param app braid.web.App
---@param options table as of App:openapi
function M.add(app, options)
  errors.check_options(1, "openapi", options, known)
  options = options or {}
  check_security(options.security)
  local info = {
    title = options.title or "API", version = options.version or "0.1.0", description = options.description,
    servers = options.servers, security = options.security,
  }
  local source, page = options.path or "/openapi.json", options.page
  local document = document_of(app, info)
  app:get(source, { hidden = true }, function(request)
    return response.response { body = document(request.mount), headers = { ["Content-Type"] = "application/json" } }
  end)
  if page == false then return end
  app:get(type(page) == "string" and page or "/docs", { hidden = true }, function(request)
    local base = request.mount or ""
    local pages = require "braid.web.page"
    return response.response { body = pages.html(info.title, base .. source, base), headers = {
      ["Content-Type"] = "text/html; charset=utf-8", ["Content-Security-Policy"] = pages.policy,
      ["X-Content-Type-Options"] = "nosniff", ["Referrer-Policy"] = "no-referrer",
    } }
  end)
end

return M
