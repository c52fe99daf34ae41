-- SPDX-License-Identifier: MIT
-- Headers: a table with case-insensitive names. Values that are set are checked, so that data from a client cannot
-- begin a new line in an answer. The names are stored in lower case.
local errors = require "braid.errors"

local M = {}

---@class braid.web.Headers
---@field [string] string|number|string[]
local Headers = {}
M.class = Headers

-- Only the server sets these.
local reserved = { ["content-length"] = true, ["transfer-encoding"] = true, date = true }

local function check_name(name)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    local shown = type(name) == "string" and ("%q"):format(name) or "a " .. type(name)
    errors.misuse(1, "a header's name cannot be %s", shown)
  end
  if reserved[name:lower()] then errors.misuse(1, "the header %s is the server's own to set", name) end
end

local function check_value(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    errors.misuse(1, "the header %s cannot be a %s", name, type(value))
  end
  if type(value) == "string" and value:find("[%z\1-\8\10-\31\127]") then
    errors.misuse(1, "the header %s contains a control character: %q", name, value)
  end
end

local function each_value(name, value, visit)
  if type(value) ~= "table" then return visit(name, value) end
  for _, one in ipairs(value) do visit(name, one) end
end

function Headers.__index(headers, name) return type(name) == "string" and rawget(headers, name:lower()) or nil end

function Headers.__newindex(headers, name, value)
  check_name(name)
  if value ~= nil then each_value(name, value, check_value) end
  rawset(headers, name:lower(), value)
end

--- Makes headers from a plain table of names and values (a value may be a list). Raises for bad names and values.
---@param plain table<string, string|number|string[]>?
---@return braid.web.Headers
function M.checked(plain)
  local headers = setmetatable({}, Headers)
  if plain == nil then return headers end
  for name, value in pairs(plain) do headers[name] = value end
  return headers
end

--- Makes headers from received ones: a list of names and values alternately. Repeated headers are joined with commas.
---@param list string[]
---@return braid.web.Headers
function M.received(list)
  local headers = {}
  for i = 1, #list, 2 do
    local name, value = list[i]:lower(), list[i + 1]
    local before = headers[name]
    headers[name] = before and before .. (name == "cookie" and "; " or ", ") .. value or value
  end
  return setmetatable(headers, Headers)
end

--- Adds a word to a header that is a list of words, unless it is there.
---@param headers braid.web.Headers
---@param name string
---@param word string
function M.add_word(headers, name, word)
  local before = headers[name]
  if type(before) == "table" then before = table.concat(before, ", ") end
  if not before or before == "" then
    headers[name] = word
    return
  end
  for found in before:gmatch "[^%s,]+" do
    if found == "*" or found:lower() == word:lower() then return end
  end
  headers[name] = before .. ", " .. word
end

--- A text without blanks at its ends. The time is linear, also for hostile texts, which it is not for patterns.
---@param text string
---@return string
function M.trimmed(text)
  local first, last = text:find "[^ \t]", #text
  while last > 0 and (text:byte(last) == 32 or text:byte(last) == 9) do last = last - 1 end
  return text:sub(first or 1, last)
end

-- content-type -> Content-Type
local function spelled(name) return (("-" .. name):gsub("%-%l", string.upper):sub(2)) end

--- Returns a list of names and values alternately, as they are sent. Headers with an empty value are left out. Raises
--- for bad values: a value that replaces an existing one is only checked here.
---@param headers braid.web.Headers
---@return string[]
function M.list(headers)
  local list = {}
  local function append(name, value)
    check_value(name, value)
    if value == "" then return end
    list[#list + 1] = spelled(name)
    list[#list + 1] = tostring(value)
  end
  for name, value in pairs(headers) do each_value(name, value, append) end
  return list
end

return M
