-- SPDX-License-Identifier: MIT
-- Reads the schemas of routes: what a program writes becomes nodes of one form, from which validators and documents are
-- made. Mistakes are misuse at the line that defines the route.
local errors = require "braid.errors"
local formats = require "braid.web.formats"

local M = {}

---What a value must be. A program writes a word ("string", "integer", "number", "boolean", "object", "array", "any";
---with "?" at its end the value may be absent or null), a table that begins with the word, or a table of fields, which
---is short for `{ "object", fields = ... }`.
---@class braid.web.Schema
---@field [1] string the word
---@field min number? the least value; of strings (characters) and arrays (items) the least length
---@field max number? the greatest value or length
---@field default any taken when the value is absent, so it may be
---@field enum any[]? the values that are allowed
---@field pattern string? a Lua pattern that a part of the string must match
---@field format string? of strings: "date", "date-time", "time", "email", "uuid", "uri", "hostname", "ipv4", "ipv6",
--- "byte" (base64), "password" and "binary" (not checked); of numbers "int32", and "int64", "float", "double"
---@field items string|braid.web.Schema|nil what each item of an array is; of an object: each field not in `fields`
---@field fields table<string, string|braid.web.Schema>? of an object
---@field of (string|braid.web.Schema)[]? of "any": the alternatives; the first that the value fits is taken
---@field strict boolean? an object with other fields is refused; otherwise they are left out
---@field title string? the name of an object in the documents
---@field description string? for the documents
---@field example any for the documents

---@class braid.web.SchemaNode
---@field kind string
---@field optional boolean
---@field names string[]? of the fields, sorted
---@field fields table<string, braid.web.SchemaNode>?
---@field items braid.web.SchemaNode?
---@field of braid.web.SchemaNode[]? the alternatives
---@field source table? what the program wrote; the same table may be read several times

local words = { string = true, integer = true, number = true, boolean = true, object = true, array = true, any = true }

local lengths = { min = "integer", max = "integer" }
local values = { min = "number", max = "number" }

-- kind -> the options that only some kinds have
local own = {
  string = { min = lengths.min, max = lengths.max, pattern = "string", format = "string", enum = "table" },
  array = { min = lengths.min, max = lengths.max, items = "string|table" },
  integer = { min = values.min, max = values.max, format = "string", enum = "table" },
  number = { min = values.min, max = values.max, format = "string", enum = "table" },
  boolean = { enum = "table" }, any = { of = "table" },
  object = { fields = "table", items = "string|table", strict = "boolean" },
}
for _, options in pairs(own) do
  options.default, options.example, options.title, options.description = "any", "any", "string", "string"
end

-- Raises; `place` names the schema, as "body.items".
local function refuse(place, format, ...) errors.misuse(1, "schema '%s': " .. format, place, ...) end

local function read_word(place, word)
  local kind, mark = word:match "^(%l+)(%??)$"
  if words[kind] then return kind, mark == "?" end
  local nearest = errors.nearest(word:gsub("%?$", ""), words)
  refuse(place, "there is no type %q%s", word, nearest and (" (did you mean %q?)"):format(nearest) or "")
end

-- The options of a table form, without the word.
local function check_form(place, kind, form)
  local options = {}
  for name, value in pairs(form) do
    if name ~= 1 then options[name] = value end
  end
  local ok, err = pcall(errors.check_options, 1, place, options, own[kind])
  if not ok then refuse(place, "%s", err.message:gsub("^%S+:%d+: ", "")) end
end

local function check_pattern(node, place)
  if node.pattern and not pcall(string.find, "", node.pattern) then
    refuse(place, "%q is no Lua pattern", node.pattern)
  end
end

local function check_format(node, place)
  if not node.format then return end
  local known = node.kind == "string" and formats.of_strings or formats.of_numbers
  if known[node.format] then return end
  local nearest = errors.nearest(node.format, known)
  refuse(place, "there is no format %q%s", node.format, nearest and (" (did you mean %q?)"):format(nearest) or "")
end

local function is_of(kind, value)
  if kind == "integer" then return math.type(value) == "integer" end
  return type(value) == kind
end

local function check_enum(node, place)
  for _, value in ipairs(node.enum or {}) do
    if not is_of(node.kind, value) then refuse(place, "%s in 'enum' is no %s", errors.text(value), node.kind) end
  end
  if node.enum and #node.enum == 0 then refuse(place, "'enum' is empty") end
end

local function check_range(node, place)
  if node.min and node.max and node.min > node.max then
    refuse(place, "'min' is %s, more than 'max', %s", node.min, node.max)
  end
end

local read

local function read_fields(state, place, fields)
  local nodes, names = {}, {}
  for name, field in pairs(fields) do
    if type(name) ~= "string" then refuse(place, "a field's name is a string, not %s", errors.described(name)) end
    nodes[name] = read(state, place .. "." .. name, field)
    names[#names + 1] = name
  end
  table.sort(names)
  return nodes, names
end

local function read_alternatives(state, place, forms)
  local nodes = {}
  for i, form in ipairs(forms) do
    local inner = ("%s.of[%d]"):format(place, i)
    nodes[i] = read(state, inner, form)
    if nodes[i].kind == "any" then refuse(inner, "\"any\" is no alternative: list what it may be") end
    if nodes[i].optional then refuse(inner, "the '?' belongs to the \"any\" around it") end
  end
  if #nodes == 0 then refuse(place, "'of' is empty") end
  return nodes
end

local function read_table(state, place, form)
  local word, fields = form[1], form.fields
  local plain = word == nil
  if plain then word, fields = "object", form end
  if type(word) ~= "string" then refuse(place, "its type is a word, not %s", errors.described(word)) end
  local kind, optional = read_word(place, word)
  if plain then form = {} else check_form(place, kind, form) end
  local node = { kind = kind, optional = optional, source = state.form }
  state.seen[state.form] = node
  for name in pairs(own[kind]) do node[name] = form[name] end
  check_range(node, place)
  check_pattern(node, place)
  check_format(node, place)
  check_enum(node, place)
  if kind == "object" then
    node.fields, node.names = read_fields(state, place, fields or {})
    node.open = fields == nil and form.items == nil
  end
  if form.of then node.of = read_alternatives(state, place, form.of) end
  if form.items ~= nil then node.items = read(state, place .. ".items", form.items) end
  return node
end

-- A table that stands in itself becomes one node that stands in itself.
function read(state, place, form)
  if type(form) == "string" then
    local kind, optional = read_word(place, form)
    return { kind = kind, optional = optional, open = kind == "object" or nil, fields = {}, names = {} }
  end
  if type(form) ~= "table" then
    refuse(place, "a word or a table expected, got %s", errors.described(form))
  end
  if state.seen[form] then return state.seen[form] end
  state.form = form
  return read_table(state, place, form)
end

--- Reads a schema. Raises misuse.
---@param place string its name in messages
---@param form string|table
---@return braid.web.SchemaNode
function M.read(place, form) return read({ seen = {} }, place, form) end

--- Reads the fields of a part of requests: a table of fields, or an object. `strict = true` may stand among the fields.
---@param place string
---@param form table
---@param strict boolean? the default
---@return braid.web.SchemaNode
function M.read_part(place, form, strict)
  if form[1] == nil then
    local fields = {}
    for name, value in pairs(form) do fields[name] = value end
    if type(fields.strict) == "boolean" then strict, fields.strict = fields.strict, nil end
    form = { "object", fields = fields, strict = strict }
  end
  local node = M.read(place, form)
  if node.kind ~= "object" then refuse(place, "it is an object, or a table of fields, not %q", node.kind) end
  if node.strict == nil then node.strict = strict end
  return node
end

-- Whether a value can be one text.
local function is_flat(node)
  for _, alternative in ipairs(node.of or {}) do
    if not is_flat(alternative) then return false, alternative.kind end
  end
  return node.kind ~= "object" and node.kind ~= "array", node.kind
end

--- Refuses fields that cannot be written as text: objects, and arrays of other than simple values.
---@param place string
---@param node braid.web.SchemaNode
---@param lists boolean whether arrays can be
function M.check_flat(place, node, lists)
  for name, field in pairs(node.fields) do
    local inner = field.kind == "array" and lists and field.items or field
    local flat, kind = is_flat(inner)
    local bare = lists and inner == field and field.kind == "array" -- its items are texts
    if not flat and not bare then
      refuse(place .. "." .. name, "%q cannot be here", kind)
    end
  end
end

return M
