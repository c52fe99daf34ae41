-- SPDX-License-Identifier: MIT
-- Answers with files of a folder: conditional requests and single ranges (RFC 9110).
local errors = require "braid.errors"
local response = require "braid.web.response"

local M = {}

---@class braid.web.File
---@field handle userdata of braid.serve_core
---@field offset integer
---@field size integer bytes from the offset on

local types = {
  avif = "image/avif", bin = "application/octet-stream", css = "text/css", csv = "text/csv", gif = "image/gif",
  gz = "application/gzip", htm = "text/html", html = "text/html", ico = "image/x-icon", jpeg = "image/jpeg",
  jpg = "image/jpeg", js = "text/javascript", json = "application/json", map = "application/json",
  md = "text/markdown", mjs = "text/javascript", mp3 = "audio/mpeg", mp4 = "video/mp4", pdf = "application/pdf",
  png = "image/png", svg = "image/svg+xml", tar = "application/x-tar", txt = "text/plain", wasm = "application/wasm",
  wav = "audio/wav", webm = "video/webm", webp = "image/webp", woff = "font/woff", woff2 = "font/woff2",
  xml = "application/xml", zip = "application/zip",
}

--- The content type for a file name.
---@param name string
---@return string
function M.type_of(name)
  local kind = types[(name:match("%.(%w+)$") or ""):lower()] or "application/octet-stream"
  return kind:find("^text/") and kind .. "; charset=utf-8" or kind
end

-- ---- dates ----------------------------------------------------------------------------------------------------------

local days = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

-- Formats a date independent of the locale: "Sun, 06 Nov 1994 08:49:37 GMT".
local function http_date(seconds)
  local t = os.date("!*t", seconds)
  local day = ("%s, %02d %s %d"):format(days[t.wday], t.day, months[t.month], t.year)
  return ("%s %02d:%02d:%02d GMT"):format(day, t.hour, t.min, t.sec)
end

-- Days from 1970 to a date. A year begins in March here, so that the leap day is its last day.
local function day_number(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function seconds_of(text)
  local day, name, year, hour, min, sec = text:match("^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  for month = 1, 12 do
    if months[month] == name then
      return ((day_number(year // 1, month, day // 1) * 24 + hour) * 60 + min) * 60 + sec
    end
  end
end

-- ---- conditions and ranges ------------------------------------------------------------------------------------------

local function matches(list, tag)
  if list == "*" then return true end
  for found in list:gmatch('"[^"]*"') do
    if found == tag then return true end
  end
  return false
end

local function is_unchanged(headers, tag, changed)
  local tags, since = headers["if-none-match"], headers["if-modified-since"]
  if tags then return matches(tags, tag) end
  local known = since and seconds_of(since)
  return known ~= nil and known ~= false and changed <= known
end

-- Returns the first and the last byte; nil: send the whole file; false: there is no such range.
local function range_of(headers, tag, changed, size)
  local text, condition = headers.range, headers["if-range"]
  if not text then return nil end
  if condition and condition ~= tag and seconds_of(condition) ~= changed then return nil end
  local from, to = text:match("^%s*bytes%s*=%s*(%d*)%s*%-%s*(%d*)%s*$")
  if not from or from == "" and to == "" then return nil end -- several or unknown ranges: send the whole file
  from, to = tonumber(from), tonumber(to)
  if not from then
    from, to = math.max(0, size - to), size - 1
  else
    to = math.min(to or size - 1, size - 1)
  end
  if from > to or from >= size then return false end
  return math.tointeger(from), math.tointeger(to)
end

local function answer(headers, name, file, size, seconds, nanoseconds, max_age)
  local tag = ('"%x-%x%x"'):format(size, seconds, nanoseconds)
  local reply = response.response { headers = {
    ["Content-Type"] = M.type_of(name), ["Accept-Ranges"] = "bytes", ETag = tag, ["Last-Modified"] = http_date(seconds),
    ["Cache-Control"] = max_age and ("max-age=%d"):format(max_age) or nil, ["X-Content-Type-Options"] = "nosniff",
  } }
  if is_unchanged(headers, tag, seconds) then
    file:close()
    reply.status = 304
    return reply
  end
  local first, last = range_of(headers, tag, seconds, size)
  if first == false then
    file:close()
    reply.status, reply.headers["Content-Range"] = 416, ("bytes */%d"):format(size)
    return reply
  end
  if first then
    reply.status, reply.headers["Content-Range"] = 206, ("bytes %d-%d/%d"):format(first, last, size)
  end
  reply.file = { handle = file, offset = first or 0, size = first and last - first + 1 or size }
  return reply
end

-- ---- the handler ----------------------------------------------------------------------------------------------------

-- Whether no part is hidden or empty, and the path stays in the folder. (The system does not follow links out of it.)
local function is_plain(path)
  if path:find("[%z\\]") or path:find("//", 1, true) then return false end
  for part in path:gmatch("[^/]+") do
    if part:sub(1, 1) == "." then return false end
  end
  return path:sub(1, 1) ~= "/"
end

local function serve_file(request, folder, index, max_age)
  local path = request.params.path
  if path == "" or path:sub(-1) == "/" then path = path .. index end
  if not is_plain(path) then return response.failure(404) end
  local file, size, seconds, nanoseconds = require("braid.serve_core").open_file(folder, path)
  if not file then return response.failure(404) end
  return answer(request.headers, path, file, size, seconds, nanoseconds, max_age)
end

local known = { index = "string", max_age = "integer" }

--- Makes a handler for a route that ends in {path:path}.
---@param folder string
---@param options {index: string?, max_age: integer?}?
---@return fun(request: braid.web.Request): braid.web.Response
function M.handler(folder, options)
  errors.check_options(1, "static", options, known)
  if type(folder) ~= "string" then
    errors.misuse(1, "bad argument 'folder' to 'static' (a string expected, got %s)", errors.described(folder))
  end
  local index, max_age = options and options.index or "index.html", options and options.max_age
  return function(request) return serve_file(request, folder, index, max_age) end
end

return M
