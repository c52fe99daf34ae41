-- SPDX-License-Identifier: MIT
-- Names and values as text of URLs and forms.
local errors = require "braid.errors"

local M = {}

local function percent(character) return ("%%%02X"):format(character:byte()) end

local function escape(value) return (tostring(value):gsub("[^A-Za-z0-9._~-]", percent)) end

---The types of values that have a form in a URL.
M.SIMPLE = { string = true, number = true, boolean = true }

---The names of a table, sorted.
---@param option string for messages
---@param map table
---@return string[]
function M.sorted_names(option, map)
  local names = {}
  for name in pairs(map) do
    if type(name) ~= "string" then
      errors.misuse(1, "bad option '%s' (its names are strings; one of them is a %s)", option, type(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

---A table as name=value&name=value.
---@param option string for messages
---@param map table<string, any>
---@return string
function M.encoded(option, map)
  local pairs_of = {}
  local function add(name, value)
    if not M.SIMPLE[type(value)] then
      errors.misuse(1, "bad option '%s' (%s is a %s, which has no form in a URL)", option, name, type(value))
    end
    pairs_of[#pairs_of + 1] = escape(name) .. "=" .. escape(value)
  end
  for _, name in ipairs(M.sorted_names(option, map)) do
    local value = map[name]
    if type(value) ~= "table" then value = { value } end
    for _, one in ipairs(value) do add(name, one) end
  end
  return table.concat(pairs_of, "&")
end

---Adds the query to the URL, before the fragment.
---@param url string
---@param query table|string?
---@return string
function M.with_query(url, query)
  if query == nil then return url end
  if type(query) == "table" then query = M.encoded("query", query) end
  if query == "" then return url end
  local address, fragment = url:match("^([^#]*)(.*)$")
  return address .. (address:find("?", 1, true) and "&" or "?") .. query .. fragment
end

return M
