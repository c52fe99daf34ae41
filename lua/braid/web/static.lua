-- SPDX-License-Identifier: MIT
-- Answers with files of a folder: conditional requests and single ranges (RFC 9110).
local core = require "braid.core"
local errors = require "braid.errors"
local date = require "braid.http.date"
local media_types = require "braid.http.media_types"
local response = require "braid.web.response"

local M = {}

---@class braid.web.File
---@field handle userdata of braid.core.web_file
---@field offset integer
---@field size integer bytes from the offset on

--- The content type for a file name.
---@param name string
---@return string
function M.type_of(name)
  local kind = media_types.of(name)
  return kind:find("^text/") and kind .. "; charset=utf-8" or kind
end

-- ---- conditions and ranges ------------------------------------------------------------------------------------------

-- Whether the list has the tag. `strong`: a weak tag is none.
local function matches(list, tag, strong)
  if list:find("^%s*%*%s*$") then return true end
  for weak, found in list:gmatch('(W?/?)("[^"]*")') do
    if found == tag and not (strong and weak == "W/") then return true end
  end
  return false
end

-- If-Match, or else If-Unmodified-Since.
local function is_other(headers, tag, changed)
  local tags, since = headers["if-match"], headers["if-unmodified-since"]
  if tags then return not matches(tags, tag, true) end
  local known = since and date.read(since)
  return known and changed > known or false
end

local function is_unchanged(headers, tag, changed)
  local tags, since = headers["if-none-match"], headers["if-modified-since"]
  if tags then return matches(tags, tag) end
  local known = since and date.read(since)
  return known ~= nil and known ~= false and changed <= known
end

-- Returns the first and the last byte; nil: send the whole file; false: there is no such range. Several, malformed and
-- unknown ranges, and those of other methods than GET, are ignored.
local function range_of(request, tag, changed, size)
  local headers = request.headers
  local text, condition = headers.range, headers["if-range"]
  if not text or request.method ~= "GET" then return nil end
  if condition and condition ~= tag and date.read(condition) ~= changed then return nil end
  local from, to = text:match("^%s*[Bb][Yy][Tt][Ee][Ss]=%s*(%d*)%-(%d*)%s*$")
  if not from or from == "" and to == "" then return nil end
  from, to = tonumber(from), tonumber(to)
  if from and to and from > to then return nil end
  if not from then
    if to == 0 then return false end
    from, to = math.max(0, size - to), size - 1
  else
    to = math.min(to or size - 1, size - 1)
  end
  if from > to or from >= size then return false end
  return math.tointeger(from), math.tointeger(to)
end

-- A file that was found: its handle, size, and time of the last change.
local function without_body(reply, file, status)
  file.handle:close()
  reply.status = status
  return reply
end

local function answer(request, name, file, max_age)
  local tag, size, seconds = file.tag, file.size, file.seconds
  local reply = response.response { headers = {
    ["Content-Type"] = M.type_of(name), ["Accept-Ranges"] = "bytes", ETag = tag,
    ["Last-Modified"] = date.write(seconds),
    ["Cache-Control"] = max_age and ("max-age=%d"):format(max_age) or nil, ["X-Content-Type-Options"] = "nosniff",
    ["Content-Encoding"] = file.encoding, Vary = file.varies and "Accept-Encoding" or nil,
  } }
  if is_other(request.headers, tag, seconds) then return without_body(reply, file, 412) end
  if is_unchanged(request.headers, tag, seconds) then return without_body(reply, file, 304) end
  local first, last = range_of(request, tag, seconds, size)
  if first == false then
    reply.headers["Content-Range"] = ("bytes */%d"):format(size)
    return without_body(reply, file, 416)
  end
  if first then
    reply.status, reply.headers["Content-Range"] = 206, ("bytes %d-%d/%d"):format(first, last, size)
  end
  reply.file = { handle = file.handle, offset = first or 0, size = first and last - first + 1 or size }
  return reply
end

-- ---- the handler ----------------------------------------------------------------------------------------------------

-- Whether no part is hidden or empty. ".well-known" at the root is meant for clients (RFC 8615). (The system does not
-- follow links out of the folder.)
local function is_plain(path)
  if path:find("[%z\\]") or path:find("//", 1, true) or path:sub(1, 1) == "/" then return false end
  local first = true
  for part in path:gmatch("[^/]+") do
    if part:sub(1, 1) == "." and not (first and part == ".well-known") then return false end
    first = false
  end
  return true
end

local function open(folder, path)
  local handle, size, seconds, nanoseconds = core.web_file(folder, path)
  if not handle then return nil, size end
  local tag = ('"%x-%x%x"'):format(size, seconds, nanoseconds)
  return { handle = handle, size = size, seconds = seconds, tag = tag }
end

local compressible = {
  ["application/json"] = true, ["application/wasm"] = true, ["application/xml"] = true, ["image/svg+xml"] = true,
}

-- What a compressed copy of a file is called, in the order of preference.
local codings = { { "br", ".br" }, { "zstd", ".zst" }, { "gzip", ".gz" } }

local function accepts(header, coding)
  for name, parameters in header:lower():gmatch("([%w*-]+)%s*([^,]*)") do
    if name == coding then return not parameters:find("q=0%.?0*%s*$") end
  end
  return false
end

-- The compressed copy beside a file that the client prefers.
local function open_compressed(request, folder, path)
  local header = request.headers["accept-encoding"]
  for _, coding in ipairs(header and codings or {}) do
    local file = accepts(header, coding[1]) and open(folder, path .. coding[2])
    if file then
      file.encoding = coding[1]
      return file
    end
  end
end

local function open_best(request, folder, path, precompressed)
  local kind = M.type_of(path)
  local varies = precompressed and (kind:find("^text/") or compressible[kind]) and true or false
  local file, problem = varies and open_compressed(request, folder, path) or nil, nil
  if not file then file, problem = open(folder, path) end
  if file then file.varies = varies end
  return file, problem
end

-- Sends the client to the folder's name with a slash, so that relative links in its index work.
local function redirect(request)
  local query = request._query
  local place = request._raw .. "/" .. (query and query ~= "" and "?" .. query or "")
  return response.response { status = 308, headers = { Location = place } }
end

local function serve_file(request, folder, options)
  local path = request.params.path
  local named = path ~= "" and path:sub(-1) ~= "/"
  if not named then path = path .. options.index end
  if not is_plain(path) then return response.failure(404) end
  local file, problem = open_best(request, folder, path, options.precompressed)
  if file then return answer(request, path, file, options.max_age) end
  if problem == "folder" and named then return redirect(request) end
  if problem ~= "shortage" then return response.failure(404) end
  local reply = response.failure(503)
  reply.headers["Retry-After"] = 1
  return reply
end

local known = { index = "string", max_age = "integer", precompressed = "boolean" }

--- Makes a handler for a route that ends in {path:path}. Raises if there is no such folder.
---@param folder string
---@param options {index: string?, max_age: integer?, precompressed: boolean?}?
---@return fun(request: braid.web.Request): braid.web.Response
function M.handler(folder, options)
  errors.check_options(1, "static", options, known)
  if type(folder) ~= "string" then
    errors.misuse(1, "bad argument 'folder' to 'static' (a string expected, got %s)", errors.described(folder))
  end
  local _, problem = core.web_file(folder, ".")
  if problem ~= "folder" then errors.misuse(1, "bad argument 'folder' to 'static' (there is no folder %q)", folder) end
  options = options or {}
  local read = {
    index = options.index or "index.html", max_age = options.max_age, precompressed = options.precompressed ~= false,
  }
  return function(request) return serve_file(request, folder, read) end
end

return M
