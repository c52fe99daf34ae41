-- SPDX-License-Identifier: MIT
-- Makes checks of schemas: functions that take a value and return it as the schema says, with defaults and without
-- unknown fields; or nil and what is wrong: a text, or a list of { at, message }. Places are JSON pointers.
local core = require "braid.core"
local errors = require "braid.errors"
local formats = require "braid.web.formats"
local schema = require "braid.web.schema"

local M = {}

-- In one answer: a large body of nothing but mistakes is no large answer.
local MOST_FAILURES = 100
local MOST_NAME, MOST_PLACE = 200, 2000 -- bytes

local null, List = core.null, core.List
local type, getmetatable, setmetatable, math_type, tointeger = type, getmetatable, setmetatable, math.type,
  math.tointeger
local utf8_len, find = utf8.len, string.find

---@alias braid.web.Check fun(value: any): any, string|table|nil

-- ---- places ---------------------------------------------------------------------------------------------------------

local function escaped(name)
  if type(name) ~= "string" then return tostring(name) end
  if #name > MOST_NAME then name = name:sub(1, MOST_NAME) .. "..." end
  if not utf8_len(name) then name = name:gsub("[\x80-\xFF]", "?") end
  return (name:gsub("~", "~0"):gsub("/", "~1"))
end

--- Adds a failure to a list.
---@param list table[]? nil: a new one is made
---@param name string|integer where it is: a name, or a position from 0
---@param failure string|table[]
---@return table[]
function M.add(list, name, failure)
  list = list or {}
  local prefix = "/" .. escaped(name)
  if type(failure) == "string" then
    if #list < MOST_FAILURES then list[#list + 1] = { at = prefix, message = failure } end
    return list
  end
  for _, each in ipairs(failure) do
    if #list == MOST_FAILURES then break end
    local at = #each.at > MOST_PLACE and "/..." or each.at -- only recursion is so deep
    list[#list + 1] = { at = prefix .. at, message = each.message }
  end
  return list
end

local add = M.add

-- ---- single values --------------------------------------------------------------------------------------------------

local function of_number(node, noun, convert)
  local min, max, fits = node.min, node.max, node.format and formats.of_numbers[node.format]
  return function(value)
    local number = convert(value)
    if not number then return nil, "must be " .. noun end
    if min and number < min then return nil, "must be at least " .. min end
    if max and number > max then return nil, "must be at most " .. max end
    if fits and not fits(number) then return nil, "must fit the format " .. node.format end
    return number
  end
end

local function integer_of(value)
  if math_type(value) == "integer" then return value end
  return math_type(value) == "float" and tointeger(value)
end

local function number_of(value) return type(value) == "number" and value - value == 0 and value end

local function counted(count, noun) return ("%d %s%s"):format(count, noun, count == 1 and "" or "s") end

-- Checks a length.
local function length_failure(length, node, noun)
  if node.min and length < node.min then return "must have at least " .. counted(node.min, noun) end
  if node.max and length > node.max then return "must have at most " .. counted(node.max, noun) end
end

local function of_string(node)
  local measured, pattern = node.min or node.max, node.pattern
  local fits = node.format and formats.of_strings[node.format]
  return function(value)
    if type(value) ~= "string" then return nil, "must be a string" end
    if measured then
      local failure = length_failure(utf8_len(value) or #value, node, "character")
      if failure then return nil, failure end
    end
    if pattern and not find(value, pattern) then return nil, "must match the pattern " .. pattern end
    if fits and not fits(value) then return nil, "must be of the format " .. node.format end
    return value
  end
end

local function of_boolean()
  return function(value)
    if type(value) ~= "boolean" then return nil, "must be true or false" end
    return value
  end
end

local function of_any()
  return function(value) return value end
end

local simple = {
  string = of_string, boolean = of_boolean, any = of_any,
  integer = function(node) return of_number(node, "an integer", integer_of) end,
  number = function(node) return of_number(node, "a number", number_of) end,
}

local function with_enum(node, check)
  local allowed, shown = {}, {}
  for i, value in ipairs(node.enum) do allowed[value], shown[i] = true, tostring(value) end
  local message = "must be one of " .. table.concat(shown, ", ")
  return function(value)
    local checked, failure = check(value)
    if failure then return nil, failure end
    if not allowed[checked] then return nil, message end
    return checked
  end
end

-- ---- text -----------------------------------------------------------------------------------------------------------

local truths = {
  ["true"] = true, ["1"] = true, yes = true, on = true, ["false"] = false, ["0"] = false, no = false, off = false,
}

local MOST_DIGITS = 400 -- the time that the patterns of a number take grows with the square

-- kind -> what a text means; a text that means nothing stays, and the check refuses it.
local meanings = {
  integer = function(text) return find(text, "^%-?%d+$") and tointeger(tonumber(text)) or text end,
  number = function(text)
    if #text > MOST_DIGITS then return text end
    local plain = find(text, "^%-?%d+%.?%d*$") or find(text, "^%-?%d+%.?%d*[eE][+-]?%d+$")
      or find(text, "^%-?%.%d+$")
    return plain and tonumber(text) or text
  end,
  boolean = function(text)
    local truth = truths[text:lower()]
    if truth == nil then return text end
    return truth
  end,
}

-- Parameters of a path may be numbers already.
local function from_text(kind, check)
  local meaning = meanings[kind]
  return function(value)
    if type(value) ~= "string" then
      if kind == "string" then value = tostring(value) end
    elseif meaning then
      value = meaning(value)
    elseif not utf8_len(value) then
      return nil, "must be UTF-8"
    end
    return check(value)
  end
end

-- ---- lists and objects ----------------------------------------------------------------------------------------------

local check_of

-- In JSON that has been decoded, every list is marked.
local function is_marked(value) return type(value) == "table" and getmetatable(value) == List end

local function is_unmarked(value) return type(value) == "table" and getmetatable(value) ~= List end

-- Whether a value is a list, also one that a program made.
local function is_list(value)
  if type(value) ~= "table" then return false end
  local meta = getmetatable(value)
  return meta == List or meta == nil and (value[1] ~= nil or next(value) == nil)
end

local function is_object(value) return is_unmarked(value) and value[1] == nil end

local function of_array(node, mode, made)
  local item = node.items and check_of(node.items, mode, made) or of_any()
  local nullable, is_it = node.items and node.items.optional, mode == "json" and is_marked or is_list
  return function(value)
    if not is_it(value) then return nil, "must be a list" end
    local count = #value
    local failure = length_failure(count, node, "item")
    if failure then return nil, failure end
    local result, failures = {}, nil
    for i = 1, count do
      local given = value[i]
      local checked, wrong
      if (given == null or given == nil) and nullable then checked = null else checked, wrong = item(given) end
      if wrong then failures = add(failures, i - 1, wrong) else result[i] = checked end
      if failures and #failures == MOST_FAILURES then break end
    end
    if failures then return nil, failures end
    return setmetatable(result, List)
  end
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local result = {}
  for key, each in pairs(value) do result[key] = copy(each) end
  return setmetatable(result, getmetatable(value))
end

-- What an absent field is: a function that makes its default, "missing", or false: nothing.
local function absence(node)
  local default = node.default
  if default == nil then return not node.optional and "missing" end
  if type(default) ~= "table" then
    return function() return default end
  end
  return function() return copy(default) end
end

-- The fields that the schema does not name.
local function take_others(node, item, value, result, failures)
  for name, given in pairs(value) do
    if failures and #failures == MOST_FAILURES then break end
    if node.fields[name] == nil then
      local checked, wrong
      if item then checked, wrong = item(given) elseif node.strict then wrong = "is unknown" end
      if wrong then failures = add(failures, name, wrong) else result[name] = checked end
    end
  end
  return failures
end

local function of_object(node, mode, made)
  local is_it = mode == "answer" and is_object or is_unmarked
  if node.open then
    return function(value)
      if not is_it(value) then return nil, "must be an object" end
      return value
    end
  end
  local names, checks, absences, nullable, count = node.names, {}, {}, {}, #node.names
  local answers, item = mode == "answer", node.items and check_of(node.items, mode, made)
  for i, name in ipairs(names) do
    local field = node.fields[name]
    checks[i], absences[i], nullable[i] = check_of(field, mode, made), absence(field), field.optional
  end
  local others = item or node.strict
  return function(value)
    if not is_it(value) then return nil, "must be an object" end
    local result, failures = {}, nil
    for i = 1, count do
      local name = names[i]
      local given = value[name]
      if given == nil or given == null and nullable[i] then
        local absent = absences[i]
        if absent == "missing" then
          failures = add(failures, name, "is missing")
        elseif absent and not answers then
          result[name] = absent()
        elseif answers then
          result[name] = given
        end
      else
        local checked, wrong = checks[i](given)
        if wrong then failures = add(failures, name, wrong) else result[name] = checked end
      end
    end
    if others then failures = take_others(node, item, value, result, failures) end
    if failures then return nil, failures end
    return result
  end
end

-- ---- alternatives ---------------------------------------------------------------------------------------------------

local function joined(reasons)
  local list, seen = {}, {}
  for _, reason in ipairs(reasons) do
    if not seen[reason] then list[#list + 1] = reason end
    seen[reason] = true
  end
  return table.concat(list, ", or ")
end

-- Takes the first alternative that fits. If none does, what is wrong is told of the object or list that needs the
-- fewest changes; else of all.
local function first_fit(checks, value)
  local reasons, nearest = {}, nil
  for i = 1, #checks do
    local checked, failure = checks[i](value)
    if not failure then return checked end
    if type(failure) == "string" then
      reasons[#reasons + 1] = failure
    elseif not nearest or #failure < #nearest then
      nearest = failure
    end
  end
  return nil, nearest or joined(reasons)
end

-- In a schema that stands in itself, each alternative would look at all that is below. So what is known of a table is
-- kept until the whole check is over: `made.known`.
local function of_union(node, mode, made)
  local checks = {}
  for i, alternative in ipairs(node.of) do checks[i] = check_of(alternative, mode, made) end
  made.has_unions = true
  return function(value)
    local known = made.known
    if not known or type(value) ~= "table" then return first_fit(checks, value) end
    local results = known[node] or {}
    known[node] = results
    results[value] = results[value] or table.pack(first_fit(checks, value))
    return table.unpack(results[value], 1, 2)
  end
end

-- ---- all ------------------------------------------------------------------------------------------------------------

-- `made`: node -> check; of a node that stands in itself a call of the check that will be made.
function check_of(node, mode, made)
  if made[node] then return made[node] end
  local check
  made[node] = function(value) return check(value) end
  if node.kind == "array" then
    check = of_array(node, mode, made)
  elseif node.kind == "object" then
    check = of_object(node, mode, made)
  elseif node.of then
    check = of_union(node, mode, made)
  else
    check = simple[node.kind](node)
    if node.enum then check = with_enum(node, check) end
    if mode == "text" then check = from_text(node.kind, check) end
  end
  made[node] = check
  return check
end

-- The first sentence of what is wrong.
local function first_of(failure)
  if type(failure) == "string" then return failure end
  return failure[1].at .. " " .. failure[1].message
end

local function check_defaults(place, node, seen)
  if seen[node] then return end
  seen[node] = true
  if node.default ~= nil then
    local _, failure = check_of(node, "answer", {})(node.default)
    if failure then errors.misuse(1, "schema '%s': the default %s", place, first_of(failure)) end
  end
  for name, field in pairs(node.fields or {}) do check_defaults(place .. "." .. name, field, seen) end
  if node.items then check_defaults(place .. ".items", node.items, seen) end
  for i, alternative in ipairs(node.of or {}) do check_defaults(("%s.of[%d]"):format(place, i), alternative, seen) end
end

--- Makes the check of a schema. Raises misuse for a default that does not fit.
---@param place string the name of the schema in messages
---@param node braid.web.SchemaNode
---@param mode "json"|"text"|"answer" text: strings become what the schema says; answer: defaults are not added
---@return braid.web.Check
function M.new(place, node, mode)
  check_defaults(place, node, {})
  local made = {}
  local check = check_of(node, mode, made)
  if not made.has_unions then return check end
  return function(value)
    made.known = {}
    local checked, failure = check(value)
    made.known = nil
    return checked, failure
  end
end

--- Reads a schema and makes its check.
---@param place string
---@param form string|table
---@param mode "json"|"text"|"answer"
---@return braid.web.Check
---@return braid.web.SchemaNode
function M.read(place, form, mode)
  local node = schema.read(place, form)
  return M.new(place, node, mode), node
end

M.first_of = first_of
M.absence = absence

return M
