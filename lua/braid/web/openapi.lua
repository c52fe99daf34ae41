-- SPDX-License-Identifier: MIT
-- The description of an application's routes: a document of OpenAPI 3.1.
local core = require "braid.core"
local json = require "braid.json"
local pattern = require "braid.web.pattern"

local M = {}

-- ---- schemas --------------------------------------------------------------------------------------------------------

local names_of_range = {
  string = { "minLength", "maxLength" }, array = { "minItems", "maxItems" }, integer = { "minimum", "maximum" },
  number = { "minimum", "maximum" },
}

-- A list that a program wrote, marked as one, with null at its end.
local function listed(list, with_null)
  local result = table.move(list, 1, #list, 1, {})
  if with_null then result[#result + 1] = core.null end
  return json.array(result)
end

local describe

local function add_object(state, node, schema)
  local required = {}
  for _, name in ipairs(node.names) do
    local field = node.fields[name]
    schema.properties = schema.properties or {}
    schema.properties[name] = describe(state, field, true)
    if not field.optional and field.default == nil then required[#required + 1] = name end
  end
  if #required > 0 then schema.required = required end
  if node.strict then schema.additionalProperties = false end
  if node.items then schema.additionalProperties = describe(state, node.items, true) end
end

-- The schema itself. `nullable`: it is of JSON, where null may stand for an absent value.
local function written(state, node, nullable)
  local schema = { title = node.title, description = node.description, format = node.format, default = node.default }
  nullable = nullable and node.optional
  if node.kind ~= "any" then schema.type = nullable and { node.kind, "null" } or node.kind end
  local range = names_of_range[node.kind]
  if range then schema[range[1]], schema[range[2]] = node.min, node.max end
  if node.kind == "array" then
    schema.items = node.items and describe(state, node.items, true) or {}
    if node.default then schema.default = listed(node.default) end
  end
  if node.of then
    schema.anyOf = {}
    for i, alternative in ipairs(node.of) do schema.anyOf[i] = describe(state, alternative, true) end
    if nullable then table.insert(schema.anyOf, { type = "null" }) end
  end
  if node.enum then schema.enum = listed(node.enum, nullable) end
  if node.example ~= nil then schema.examples = { node.example } end
  if node.pattern then
    schema.pattern = pattern.regular(node.pattern)
    schema["x-lua-pattern"] = node.pattern
  end
  if node.kind == "object" then add_object(state, node, schema) end
  return schema
end

-- The name, or the name and a number if it is among the taken ones.
local function unique(taken, base)
  local name, number = base, 1
  while taken[name] do
    number = number + 1
    name = base .. number
  end
  taken[name] = true
  return name
end

-- The name of a schema among the components: one for each table that the program wrote.
local function name_for(state, node)
  local name = unique(state.taken, (node.title or "Schema"):gsub("[^%w._-]", "_"))
  state.names[node.source or node] = name
  return name
end

-- Objects with a title, and those that stand in themselves, are components.
function describe(state, node, nullable)
  local name = state.names[node.source or node]
  if not name and (node.kind == "object" and node.title or state.recursive[node]) then
    name = name_for(state, node)
    state.schemas[name] = written(state, node, false)
  end
  if not name then return written(state, node, nullable) end
  local reference = { ["$ref"] = "#/components/schemas/" .. name }
  if nullable and node.optional then return { anyOf = { reference, { type = "null" } } } end
  return reference
end

-- Marks the nodes that stand in themselves.
local function find_recursive(node, above, recursive)
  if above[node] then
    recursive[node] = true
    return
  end
  above[node] = true
  for _, field in pairs(node.fields or {}) do find_recursive(field, above, recursive) end
  for _, alternative in ipairs(node.of or {}) do find_recursive(alternative, above, recursive) end
  if node.items then find_recursive(node.items, above, recursive) end
  above[node] = nil
end

local function describe_whole(state, node)
  find_recursive(node, {}, state.recursive)
  return describe(state, node, true)
end

-- ---- operations -----------------------------------------------------------------------------------------------------

local parts = { { "query", "query" }, { "headers", "header" } }

local function parameter(state, name, place, node)
  local schema = describe(state, node, false)
  local entry = { name = name, ["in"] = place, schema = schema, description = schema.description }
  schema.description = nil
  if place == "path" or not node.optional and node.default == nil then entry.required = true end
  return entry
end

local kinds = { int = "integer", number = "number" }

local function parameters_of(state, route)
  local list, plan = {}, route.plan
  for name, kind in route.path:gmatch "{([%a_][%w_]*):?(%l*)}" do
    local node = plan.params and plan.params.fields[name] or { kind = kinds[kind] or "string" }
    list[#list + 1] = parameter(state, name, "path", node)
    list[#list]["x-rest"] = kind == "path" or nil -- it may have slashes, for which OpenAPI has no word
  end
  for _, part in ipairs(parts) do
    local node = plan[part[1]]
    for _, name in ipairs(node and node.names or {}) do
      local shown = part[2] == "header" and name:gsub("_", "-") or name
      list[#list + 1] = parameter(state, shown, part[2], node.fields[name])
    end
  end
  return #list > 0 and list or nil
end

local function body_of(state, plan)
  if plan.body then
    local required = not plan.body.optional and plan.body.default == nil
    return { required = required, content = { ["application/json"] = { schema = describe_whole(state, plan.body) } } }
  end
  if not plan.form then return nil end
  local schema = describe_whole(state, plan.form)
  return { required = schema.required ~= nil, content = {
    ["application/x-www-form-urlencoded"] = { schema = schema }, ["multipart/form-data"] = { schema = schema },
  } }
end

local phrases = {
  [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No Content", [400] = "Bad Request",
  [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found", [409] = "Conflict",
  [422] = "The request does not fit",
}

local function answer(state, status, node)
  local entry = { description = node and node.description or phrases[status] or "Status " .. status }
  if not node then return entry end
  local kind = node.kind == "string" and "text/plain" or "application/json"
  entry.content = { [kind] = { schema = describe_whole(state, node) } }
  return entry
end

local function answers_of(state, route)
  local plan, spec, answers = route.plan, route.spec, {}
  local usual = spec.status or 200
  for status, node in pairs(plan.answers or {}) do
    if status == 2 then status = usual end
    answers[tostring(status)] = answer(state, status, node)
  end
  if not next(answers) then answers[tostring(usual)] = answer(state, usual) end
  if (plan.params or plan.query or plan.headers or plan.body or plan.form) and not answers["422"] then
    answers["422"] = answer(state, 422, state.errors)
  end
  return answers
end

-- Each of the named schemes alone is enough.
local function requirements(state, route)
  local list = {}
  for i, name in ipairs(route.spec.security) do
    if not state.security[name] then
      error(("%s %s names the security %q, which app:openapi{ security = ... } does not have"):format(route.method,
        route.path, name), 0)
    end
    list[i] = { [name] = json.array {} }
  end
  return json.array(list)
end

local function operation(state, route, path)
  local spec = route.spec
  local id = spec.name or (route.method:lower() .. path):gsub("[^%w]+", "_"):gsub("_$", "")
  return {
    operationId = unique(state.ids, id), summary = spec.summary, description = spec.description,
    tags = spec.tags and listed(spec.tags), deprecated = spec.deprecated, parameters = parameters_of(state, route),
    requestBody = body_of(state, route.plan), responses = answers_of(state, route),
    security = spec.security and requirements(state, route),
  }
end

-- ---- the document ---------------------------------------------------------------------------------------------------

local text = { kind = "string", optional = false }
local failure = {
  kind = "object", optional = false, names = { "at", "message" }, fields = { at = text, message = text },
}
local failures = { kind = "array", optional = false, items = failure }
local refusal = {
  kind = "object", optional = false, title = "Errors", names = { "errors" }, fields = { errors = failures },
}

local methods = { GET = true, POST = true, PUT = true, PATCH = true, DELETE = true, OPTIONS = true }

--- Describes routes.
---@param routes braid.web.Route[]
---@param info {title: string, version: string, description: string?, servers: table?, security: table?}
---@return table document
function M.document(routes, info)
  local state = { schemas = {}, names = {}, taken = {}, ids = {}, recursive = {}, errors = refusal,
    security = info.security or {} }
  local paths = {}
  for _, route in ipairs(routes) do
    if methods[route.method] and route.spec and not route.spec.hidden then
      local path = route.path:gsub("{([%a_][%w_]*):?%l*}", "{%1}")
      paths[path] = paths[path] or {}
      paths[path][route.method:lower()] = operation(state, route, path)
    end
  end
  return {
    openapi = "3.1.0", paths = paths, servers = info.servers and listed(info.servers),
    info = { title = info.title, version = info.version, description = info.description },
    components = (next(state.schemas) or info.security) and {
      schemas = next(state.schemas) and state.schemas or nil, securitySchemes = info.security,
    } or nil,
  }
end

return M
