-- SPDX-License-Identifier: MIT
-- Headers of a request, as lines for libcurl.
local errors = require "braid.errors"
local query = require "braid.http.query"

local M = {}

-- Makes one line for libcurl. "Name;" sends an empty header; "Name:" would not send it at all.
local function line_of(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    errors.misuse(1, "bad option 'headers' (%s is a %s; a string expected)", name, type(value))
  end
  value = tostring(value)
  if value:find("[%z\r\n]") then
    errors.misuse(1, "bad option 'headers' (the value of %s contains a line end or a zero byte)", name)
  end
  return value == "" and name .. ";" or name .. ": " .. value
end

---Adds headers to `fields`: lower-case name -> lines.
---@param fields table<string, string[]>
---@param headers table<string, string|number|string[]>
function M.add(fields, headers)
  for _, name in ipairs(query.sorted_names("headers", headers)) do
    if not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      errors.misuse(1, "bad option 'headers' (%q cannot be the name of a header)", name)
    end
    local values, lines = headers[name], {}
    for i, value in ipairs(type(values) == "table" and values or { values }) do lines[i] = line_of(name, value) end
    fields[name:lower()] = lines
  end
end

---The lines of headers, sorted by their names; nil: there are none.
---@param fields table<string, string[]>
---@return string[]?
function M.lines(fields)
  local names, lines = {}, {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do table.move(fields[name], 1, #fields[name], #lines + 1, lines) end
  return lines[1] and lines or nil
end

return M
