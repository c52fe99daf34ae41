-- SPDX-License-Identifier: MIT
-- Forms with files: multipart/form-data.
local errors = require "braid.errors"

local M = {}

---One part of `multipart`. That is a table name -> part, or a list of parts with a `name`, in their order. A part is a
---string, number or boolean (a field), or a table:
---@class braid.http.Part
---@field name string? of the field, if the parts are a list
---@field content string|number|boolean|nil the content; or
---@field path string? name of a file, which is read while it is sent
---@field filename string? sends the content as a file of this name; default: the last part of the path
---@field type string? content type; default: by the filename

local SIMPLE = { string = true, number = true, boolean = true }
local KNOWN = {
  name = "string", content = "string|number|boolean", path = "string", filename = "string", type = "string",
}

local function refuse(name, what) errors.misuse(1, "bad option 'multipart' (%s: %s)", tostring(name), what) end

-- Checks a text that becomes a part of a header.
local function check_text(name, key, value)
  if value and value:find("[%z\r\n]") then refuse(name, key .. " contains a line end or a zero byte") end
end

local function part_of(name, value)
  if SIMPLE[type(value)] then value = { content = value } end
  if type(value) ~= "table" then refuse(name, "a string or a table expected, got a " .. type(value)) end
  errors.check_options(1, "multipart", value, KNOWN)
  if (value.content == nil) == (value.path == nil) then refuse(name, "either content or path expected") end
  if type(name) ~= "string" then refuse(name, "it has no name") end
  check_text(name, "name", name)
  for _, key in ipairs { "path", "filename", "type" } do check_text(name, key, value[key]) end
  local content = value.content ~= nil and tostring(value.content) or nil
  return { name = name, content = content, path = value.path, filename = value.filename, type = value.type }
end

---Checks the parts and converts them for the core.
---@param form table
---@return table[]
function M.parts(form)
  local parts, names = {}, {}
  for i, part in ipairs(form) do parts[i] = part_of(type(part) == "table" and part.name, part) end
  for name in pairs(form) do
    if math.type(name) ~= "integer" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do parts[#parts + 1] = part_of(name, form[name]) end
  if not parts[1] then errors.misuse(1, "bad option 'multipart' (it has no parts)") end
  return parts
end

return M
