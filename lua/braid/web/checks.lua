-- SPDX-License-Identifier: MIT
-- What a route asks of its requests and promises of its answers: the checks before its handler and after it. What is
-- wrong with a request is told to the client, status 422; what is wrong with an answer only to the log, status 500.
local core = require "braid.core"
local errors = require "braid.errors"
local response = require "braid.web.response"
local schema = require "braid.web.schema"
local validator = require "braid.web.validator"

local M = {}

--- The fields of a route's specification (braid.web.RouteSpec) that belong here.
M.known = {
  params = "table", query = "table", headers = "table", body = "string|table", form = "table",
  response = "string|table", status = "integer", strict = "boolean", summary = "string", description = "string",
  tags = "table", security = "table", deprecated = "boolean", hidden = "boolean",
}

---@class braid.web.RoutePlan
---@field params braid.web.SchemaNode?
---@field query braid.web.SchemaNode?
---@field headers braid.web.SchemaNode?
---@field body braid.web.SchemaNode?
---@field form braid.web.SchemaNode?
---@field answers table<integer, braid.web.SchemaNode>? by status; 2: all of 2xx

-- ---- reading --------------------------------------------------------------------------------------------------------

local function names_in(path)
  local names = {}
  for name in path:gmatch "{([%a_][%w_]*)" do names[name] = "any" end
  return names
end

local function read_params(path, form)
  local node, names = schema.read_part("params", form), names_in(path)
  for _, name in ipairs(node.names) do
    if not names[name] then
      local nearest = errors.nearest(name, names)
      errors.misuse(1, "schema 'params': there is no {%s} in %q%s", name, path,
        nearest and (" (did you mean '%s'?)"):format(nearest) or "")
    end
  end
  schema.check_flat("params", node, false)
  return node
end

-- A table by status has integers from 200 as its keys.
local function read_answers(form)
  local status = type(form) == "table" and next(form)
  if math.type(status) ~= "integer" or status < 200 then return { [2] = schema.read("response", form) } end
  local answers = {}
  for code, each in pairs(form) do
    if math.type(code) ~= "integer" or code < 200 or code > 599 then
      errors.misuse(1, "schema 'response': its key %s is no status", errors.text(code))
    end
    answers[code] = schema.read("response." .. code, each)
  end
  return answers
end

--- Reads what a route says. Raises misuse.
---@param path string
---@param spec braid.web.RouteSpec
---@return braid.web.RoutePlan
function M.read(path, spec)
  local plan = {}
  if spec.body ~= nil and spec.form then errors.misuse(1, "a route has a body or a form, not both") end
  if spec.status and (spec.status < 200 or spec.status > 599) then
    errors.misuse(1, "bad option 'status' (200 to 599 expected, got %s)", spec.status)
  end
  if spec.params then plan.params = read_params(path, spec.params) end
  for _, part in ipairs { "query", "headers", "form" } do
    if spec[part] then
      plan[part] = schema.read_part(part, spec[part], part ~= "headers" and spec.strict or nil)
      schema.check_flat(part, plan[part], part ~= "headers")
    end
  end
  if spec.body ~= nil then
    plan.body = schema.read("body", spec.body)
    if plan.body.kind == "object" and plan.body.strict == nil then plan.body.strict = spec.strict end
  end
  if spec.response ~= nil then plan.answers = read_answers(spec.response) end
  return plan
end

-- ---- parts of requests ----------------------------------------------------------------------------------------------

-- The names of a part's fields that are arrays.
local function arrays_of(node)
  local list = {}
  for _, name in ipairs(node.names) do
    if node.fields[name].kind == "array" then list[#list + 1] = name end
  end
  return list
end

local function query_reader(node)
  local arrays = arrays_of(node)
  if #arrays == 0 then
    return function(request) return request.query end
  end
  return function(request)
    local values = {}
    for name, value in pairs(request.query) do values[name] = value end
    for _, name in ipairs(arrays) do values[name] = values[name] and request:query_all(name) end
    return values
  end
end

local function headers_reader(node)
  local headers = {}
  for i, name in ipairs(node.names) do headers[i] = { name, (name:lower():gsub("_", "-")) } end
  return function(request)
    local values, given = {}, request.headers
    for _, pair in ipairs(headers) do values[pair[1]] = given[pair[2]] end
    return values
  end
end

local function is_file(node) return (node.items or node).format == "binary" end

-- A form without its files, which the handler reads.
local function without_files(node)
  local fields, names = {}, {}
  for _, name in ipairs(node.names) do
    if not is_file(node.fields[name]) then fields[name], names[#names + 1] = node.fields[name], name end
  end
  return { kind = "object", fields = fields, names = names, strict = node.strict }
end

-- An input of a page that was left empty is absent, unless it may be any text.
local function form_reader(node)
  return function(request)
    local values = {}
    for name, value in pairs(request:form()) do
      local field = node.fields[name]
      local listed = type(value) == "table"
      if field and field.kind == "array" then
        values[name] = listed and value or { value }
      else
        if listed then value = value[1] end
        if value ~= "" or not field or field.kind == "string" then values[name] = value end
      end
    end
    return values
  end
end

local readers = {
  params = function() return function(request) return request.params end end,
  query = query_reader, headers = headers_reader, form = form_reader,
}

local function is_json(kind)
  if not kind then return true end
  kind = kind:lower():match "^%s*([^;%s]*)"
  return kind == "" or kind == "application/json" or kind:find "^[%w!#$&^_.+-]+/[%w!#$&^_.+-]+%+json$" ~= nil
end

-- The check of the body: request -> value, failure.
local function body_check(node)
  local check, absent = validator.new("body", node, "json"), validator.absence(node)
  return function(request)
    if request.body == "" then
      if absent == "missing" then return nil, "is missing" end
      return absent and absent() or nil
    end
    if not is_json(request.headers["content-type"]) then
      response.abort(415, "a body of JSON (application/json) is expected")
    end
    local value = request:json()
    if value == core.null and node.optional then return nil end
    return check(value)
  end
end

local function part_check(part, node)
  local read, check = readers[part](node), validator.new(part, node, "text")
  return function(request) return check(read(request)) end
end

-- A list of { part, check }. A form that comes in pieces is the handler's.
local function request_checks(plan, streamed)
  local checks = {}
  for _, part in ipairs { "params", "query", "headers" } do
    if plan[part] then checks[#checks + 1] = { part, part_check(part, plan[part]) } end
  end
  if plan.form and not streamed then checks[#checks + 1] = { "form", part_check("form", without_files(plan.form)) } end
  if plan.body then checks[#checks + 1] = { "body", body_check(plan.body) } end
  return checks
end

-- Returns the checked values by part; or nil and the failures.
local function check_request(checks, request)
  local valid, failures = {}, nil
  for i = 1, #checks do
    local part = checks[i][1]
    local value, failure = checks[i][2](request)
    if failure then failures = validator.add(failures, part, failure) else valid[part] = value end
  end
  if failures then return nil, failures end
  return valid
end

-- ---- answers --------------------------------------------------------------------------------------------------------

-- status -> check
local function answer_checks(answers)
  local checks = {}
  for status, node in pairs(answers) do checks[status] = validator.new("response", node, "answer") end
  return checks
end

local function check_value(checks, status, value)
  local check = checks[status] or status < 300 and checks[2]
  if not check or status == 204 then return value end
  local checked, failure = check(value)
  if not failure then return checked end
  if type(failure) == "string" then failure = " " .. failure end
  error("the answer does not fit its schema: /response" .. validator.first_of(failure), 0)
end

-- The checked results of a handler.
local function check_answer(checks, default, value, status, headers)
  if response.is(value) then
    if type(value.body) == "table" then value.body = check_value(checks, value.status, value.body) end
    return value, status, headers
  end
  status = status or default
  return check_value(checks, status or 200, value), status, headers
end

-- A status of the route itself is not that of a response.
local function with_status(default, value, status, headers)
  if status == nil and not response.is(value) then status = default end
  return value, status, headers
end

-- ---- the handler ----------------------------------------------------------------------------------------------------

local function with_answer(spec, plan, handler)
  local default = spec.status
  if plan.answers then
    local checks = answer_checks(plan.answers)
    return function(request) return check_answer(checks, default, handler(request)) end
  end
  if not default then return handler end
  return function(request) return with_status(default, handler(request)) end
end

local function refusal(failures) return response.response { status = 422, body = { errors = failures } } end

--- The handler with the checks of its route around it. A checked request has `valid`.
---@param plan braid.web.RoutePlan
---@param spec braid.web.RouteSpec
---@param handler function
---@return function
function M.handler(plan, spec, handler)
  handler = with_answer(spec, plan, handler)
  local checks = request_checks(plan, spec.stream_body)
  if #checks == 0 then return handler end
  return function(request)
    local valid, failures = check_request(checks, request)
    if failures then return refusal(failures) end
    request.valid = valid
    return handler(request)
  end
end

return M
