-- SPDX-License-Identifier: MIT
-- Reads forms with files (multipart/form-data, RFC 7578) while they come. Only a part's headers and the end of a piece
-- that may begin a boundary are kept.
local core = require "braid.core"
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local response = require "braid.web.response"
local scope = require "braid.tasks.scope"

local M = {}

local MOST_PARTS = 1000
local MOST_HEADERS = 8 << 10 -- bytes of the headers of a part
local MOST_FIELDS = 1 << 20 -- bytes of all fields that are no files
local BLOCK = 512 << 10 -- bytes of a write to a file

local function broken(what) response.abort(400, "the form is broken: " .. what) end

-- ---- headers of parts -----------------------------------------------------------------------------------------------

local function character(digits) return string.char(tonumber(digits, 16)) end

-- The parameters of a Content-Disposition. Browsers write a quote as %22, other programs as \".
local function parameters_of(text)
  local found, at = {}, 1
  while true do
    local _, stop, name = text:find("^[^;]*;%s*([%w*_-]+)%s*=%s*", at)
    if not stop then return found end
    local value
    if text:sub(stop + 1, stop + 1) == '"' then
      local last = stop + 2
      while last <= #text and text:sub(last, last) ~= '"' do
        last = last + (text:find('^\\["\\]', last) and 2 or 1)
      end
      value, at = text:sub(stop + 2, last - 1):gsub('\\(["\\])', "%1"), last + 1
    else
      value = text:match("^[^;%s]*", stop + 1)
      at = stop + 1 + #value
    end
    found[name:lower()] = value
  end
end

local function unescaped(text) return (text:gsub("%%(22)", character):gsub("%%(0[AD])", character)) end

-- Only the name: a client's folders are nobody's business, and dangerous to use.
local function base_name(name)
  name = name:match "[^/\\]*$":gsub("%z", "")
  return (name == "." or name == "..") and "" or name
end

local function filename_of(parameters)
  local extended = parameters["filename*"]
  local coded = extended and extended:match "^[Uu][Tt][Ff]%-8'[^']*'(.*)$"
  if coded then return base_name((coded:gsub("%%(%x%x)", character))) end
  return parameters.filename and base_name(unescaped(parameters.filename))
end

local function read_headers(text)
  local list = {}
  for line in (text .. "\r\n"):gmatch "(.-)\r\n" do
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):(.*)$"
    if not name then broken "a part has a bad header" end
    list[#list + 1], list[#list + 2] = name, headers.trimmed(value)
  end
  return headers.received(list)
end

-- ---- the reader -----------------------------------------------------------------------------------------------------

---@class braid.web.FormReader
local Reader = {}
Reader.__index = Reader

--- The boundary of a content type; nil: it is no multipart form.
---@param kind string?
---@return string?
function M.boundary_of(kind)
  if not kind or not kind:lower():find "^%s*multipart/form%-data%s*;" then return nil end
  return parameters_of(kind).boundary
end

--- Begins to read.
---@param boundary string
---@param next_piece fun(): string?
---@return braid.web.FormReader
function M.reader(boundary, next_piece)
  if #boundary == 0 or #boundary > 200 then response.abort(400, "the form has a bad boundary") end
  return setmetatable({
    _next = next_piece, _line = "\r\n--" .. boundary, _text = "\r\n", _at = 1, _parts = 0, _fields = {}, _names = {},
    _bytes = 0,
  }, Reader)
end

-- Takes the next piece. False: there is none.
local function fill(reader)
  local piece = reader._next()
  if not piece then return false end
  reader._text = reader._text:sub(reader._at) .. piece
  reader._at = 1
  return true
end

-- The next bytes before the boundary; nil: it is reached, and skipped.
local function take(reader)
  while true do
    local text, at, line = reader._text, reader._at, reader._line
    local first = text:find(line, at, true)
    if first == at then
      reader._at = at + #line
      return nil
    end
    local last = (first or #text - #line + 2) - 1
    if last >= at then
      reader._at = last + 1
      return at == 1 and last == #text and text or text:sub(at, last)
    end
    if not fill(reader) then broken "it ends too early" end
  end
end

-- Bytes up to a text, which is skipped.
local function take_until(reader, text, most)
  while true do
    local first, last = reader._text:find(text, reader._at, true)
    if first and first - reader._at <= most then
      local found = reader._text:sub(reader._at, first - 1)
      reader._at = last + 1
      return found
    end
    if first or #reader._text - reader._at > most then broken "the headers of a part are too long" end
    if not fill(reader) then broken "it ends too early" end
  end
end

-- Behind a boundary: whether it was the last one.
local function is_last(reader)
  while #reader._text - reader._at < 1 do
    if not fill(reader) then broken "it ends too early" end
  end
  return reader._text:sub(reader._at, reader._at + 1) == "--"
end

local function drain(reader)
  repeat
    reader._text, reader._at = "", 1
  until not fill(reader)
end

-- ---- parts ----------------------------------------------------------------------------------------------------------

---A part of a form: a file that the client sends. It is read while it comes; what was not read when the next one is
---asked for is dropped.
---@class braid.web.Part
---@field name string of the field
---@field filename string as the client calls it, without folders
---@field type string its media type
---@field headers braid.web.Headers
local Part = { __name = "braid.part" }
Part.__index = Part

local function step(part)
  if part._over then return nil end
  if part._reader._part ~= part then
    errors.misuse(1, "the part %q is over: another one was asked for", part.name)
  end
  local piece = take(part._reader)
  if not piece then part._over = true end
  return piece
end

--- An iterator over the bytes as they come. Each step may suspend.
---@return fun(): string?
function Part:chunks()
  return function() return step(self) end
end

--- All of it. Suspends. Beyond the limit the handler ends with status 413.
---@param most integer? bytes; default: the limit of the request's body
---@return string
function Part:read(most)
  if most ~= nil then most = errors.integer(1, "read", "most", most, 0) end
  local pieces, size = {}, 0
  for piece in self:chunks() do
    size = size + #piece
    if most and size > most then response.abort(413) end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

-- Writes blocks to a file; the next one is read meanwhile. Gives a function that takes a block, and waits for the one
-- before it.
local function writer(tasks, file)
  local writing
  local function settle()
    if not writing then return true end
    local written, err = writing:result()
    writing = nil
    return written, err
  end
  return function(block)
    local written, err = settle()
    if not written then return nil, err end
    writing = tasks:spawn(file.write, file, block)
    return true
  end, settle
end

-- Writes the part to an open file. Returns its size.
local function write_all(tasks, part, file)
  local write, settle = writer(tasks, file)
  local pieces, waiting, size = {}, 0, 0
  for piece in part:chunks() do
    pieces[#pieces + 1] = piece
    waiting, size = waiting + #piece, size + #piece
    if waiting >= BLOCK then
      local written, err = write(table.concat(pieces))
      if not written then return nil, err end
      pieces, waiting = {}, 0
    end
  end
  local written, err = write(table.concat(pieces))
  if written then written, err = settle() end
  if not written then return nil, err end
  return size
end

--- Writes it to a file, which is there under its name only when it is complete; the file that was there before stays
--- until then. Suspends.
---@param path string
---@return integer? size bytes
---@return braid.Error? err kind system
function Part:save(path)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument 'path' to 'save' (a string expected, got %s)", errors.described(path))
  end
  local files = require "braid.file"
  local temporary = ("%s.%d-%d.part"):format(path, core.pid(), math.random(0, 1 << 40))
  local kept = false
  local _ <close> = setmetatable({}, { __close = function()
    if not kept then os.remove(temporary) end
  end })
  local file, why = files.open(temporary, "w")
  if not file then return nil, why end
  local size, err
  do
    local opened <close> = file
    size, err = scope.scope(function(tasks) return write_all(tasks, self, opened) end)
  end
  if not size then return nil, err end
  kept, err = files.rename(temporary, path)
  if not kept then return nil, err end
  return size
end

-- ---- forms ----------------------------------------------------------------------------------------------------------

-- The next part: a field or a file.
local function next_part(reader)
  local before = reader._part
  if reader._ended then return nil end
  repeat until (before and before._over) or take(reader) == nil -- also what stands before the first boundary
  reader._part = nil
  if is_last(reader) then
    reader._ended = true
    drain(reader)
    return nil
  end
  reader._parts = reader._parts + 1
  if reader._parts > MOST_PARTS then response.abort(413, "the form has too many parts") end
  take_until(reader, "\r\n", 100) -- blanks may stand behind a boundary
  reader._at = reader._at - 2
  local text = take_until(reader, "\r\n\r\n", MOST_HEADERS)
  local found = read_headers(text:sub(3))
  local disposition = found["content-disposition"] or ""
  local parameters = parameters_of(disposition)
  if not disposition:lower():find "^%s*form%-data" or not parameters.name then broken "a part has no name" end
  local part = setmetatable({
    name = unescaped(parameters.name), filename = filename_of(parameters), headers = found, _reader = reader,
    type = found["content-type"] or "application/octet-stream",
  }, Part)
  reader._part = part
  return part
end

--- Adds a value to fields: a name that comes again has a list.
---@param fields table<string, string|string[]>
---@param name string
---@param value string
function M.add(fields, name, value)
  local before = fields[name]
  if before == nil then
    fields[name] = value
  elseif type(before) == "table" then
    before[#before + 1] = value
  else
    fields[name] = { before, value }
  end
end

local function keep(reader, part)
  local value = part:read(MOST_FIELDS - reader._bytes)
  reader._bytes = reader._bytes + #value
  M.add(reader._fields, part.name, value)
end

--- The next file. The fields before it are kept. Suspends.
---@return braid.web.Part?
function Reader:next_file()
  for part in next_part, self do
    if part.filename then return part end
    keep(self, part)
  end
end

--- All fields. Files that have not been read are dropped. Suspends.
---@return table<string, string|string[]>
function Reader:fields()
  repeat until not self:next_file()
  return self._fields
end

errors.guard(Part)

return M
