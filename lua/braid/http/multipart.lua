-- SPDX-License-Identifier: MIT
-- Forms with files: multipart/form-data (RFC 7578).
local body = require "braid.http.body"
local errors = require "braid.errors"
local media_types = require "braid.http.media_types"

local M = {}

---One part of `multipart`. That is a table name -> part, or a list of parts with a `name`, in their order. A part is a
---string, number or boolean (a field), a function or an open file (see the option `body`), or a table:
---@class braid.http.Part
---@field name string? of the field, if the parts are a list
---@field body string|number|boolean|function|file*|table|nil the content, as that of the option `body`
---@field content string|number|boolean|nil the content; or
---@field path string? name of a file, which is read while it is sent
---@field filename string? sends the content as a file of this name; default: the last part of the path
---@field type string? content type; default: by the filename
---@field headers table<string, string>? further headers of the part

local SIMPLE = { string = true, number = true, boolean = true }
local KNOWN = {
  name = "string", body = "any", content = "string|number|boolean", path = "string", filename = "string",
  type = "string", headers = "table",
}

local function refuse(name, what) errors.misuse(1, "bad option 'multipart' (%s: %s)", tostring(name), what) end

-- Checks a text that becomes a part of a header.
local function check_text(name, key, value)
  if type(value) ~= "string" or value:find("[%z\r\n]") then
    refuse(name, key .. " contains a line end or a zero byte, or is no string")
  end
  return value
end

local ESCAPES = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }

local function quoted(text) return '"' .. text:gsub('["\r\n]', ESCAPES) .. '"' end

-- The content as a body; nil: a file that cannot be read.
local function content_of(name, part)
  local given = 0
  for _, key in ipairs { "body", "content", "path" } do
    if part[key] ~= nil then given = given + 1 end
  end
  if given ~= 1 then refuse(name, "either content or path expected, or body") end
  if part.path then return body.of_path(check_text(name, "path", part.path)) end
  local content = part.body
  if content == nil then content = part.content end
  if SIMPLE[type(content)] then return body.of_text(tostring(content)) end
  if not body.is_source(content) then refuse(name, "a string, a function or a file expected as body") end
  return body.of(content)
end

local function headers_of(name, part)
  local filename = part.filename or part.path and part.path:match("([^/]*)$")
  local lines = { "Content-Disposition: form-data; name=" .. quoted(check_text("a part", "name", name)) }
  if filename then lines[1] = lines[1] .. "; filename=" .. quoted(check_text(name, "filename", filename)) end
  local kind = part.type or filename and media_types.of(filename)
  if kind then lines[2] = "Content-Type: " .. check_text(name, "type", kind) end
  local names = {}
  for header in pairs(part.headers or {}) do names[#names + 1] = header end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, header in ipairs(names) do
    if type(header) ~= "string" or not header:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      refuse(name, ("%q cannot be the name of a header"):format(tostring(header)))
    end
    lines[#lines + 1] = header .. ": " .. check_text(name, header, tostring(part.headers[header]))
  end
  return table.concat(lines, "\r\n")
end

-- Checks the parts and puts them in order: { name = , part = }.
local function ordered(form)
  local list, names = {}, {}
  local function add(name, part)
    if type(name) ~= "string" then refuse(name, "it has no name") end
    if type(part) ~= "table" or body.is_source(part) then part = { body = part } end
    errors.check_options(1, "multipart", part, KNOWN)
    list[#list + 1] = { name = name, part = part }
  end
  for _, part in ipairs(form) do add(type(part) == "table" and part.name or nil, part) end
  for name in pairs(form) do
    if math.type(name) ~= "integer" then names[#names + 1] = name end
  end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do add(name, form[name]) end
  if not list[1] then errors.misuse(1, "bad option 'multipart' (it has no parts)") end
  return list
end

---Makes the body of a form.
---@param form table
---@return string|braid.http.Body|nil body a string where nothing has to be read; nil: a file cannot be read
---@return string boundary, or the file's path
function M.body(form)
  local boundary = ("%016x%016x"):format(math.random(0), math.random(0))
  local pieces, plain = {}, true
  local function add(text) pieces[#pieces + 1] = body.of_text(text) end
  for i, each in ipairs(ordered(form)) do
    local content = content_of(each.name, each.part)
    if not content then return nil, each.part.path end
    add(("%s--%s\r\n%s\r\n\r\n"):format(i > 1 and "\r\n" or "", boundary, headers_of(each.name, each.part)))
    pieces[#pieces + 1] = content
    plain = plain and type(content.given) == "string" and not each.part.path
  end
  add(("\r\n--%s--\r\n"):format(boundary))
  if not plain then return body.sequence(pieces), boundary end
  local texts = {}
  for i, piece in ipairs(pieces) do texts[i] = piece.given end
  return table.concat(texts), boundary
end

return M
