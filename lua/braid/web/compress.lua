-- SPDX-License-Identifier: MIT
-- Middleware that compresses answers for clients that take it.
local core = require "braid.core"
local errors = require "braid.errors"
local json = require "braid.json"
local response = require "braid.web.response"

local M = {}

local SLICE = 256 << 10 -- of a body; between two of them other tasks have a turn
local FILE_PIECE = 64 << 10
local GO_ON, FLUSH, FINISH = 0, 1, 2

-- ---- what the client takes ------------------------------------------------------------------------------------------

-- name -> quality
local function qualities(header)
  local found = {}
  for name, parameters in header:lower():gmatch "([%w*_-]+)%s*([^,]*)" do
    local quality = parameters:match "^;%s*q%s*=%s*([^;%s]*)"
    found[name] = quality == nil and 1 or tonumber(quality) or 0
  end
  return found
end

--- The coding that the client likes best, and of equals the first of the list.
---@param header string? Accept-Encoding
---@param codings string[]
---@return string? coding nil: none
function M.choose(header, codings)
  if not header then return nil end
  local found = qualities(header)
  local best, most = nil, found.identity or 0
  for _, coding in ipairs(codings) do
    local quality = found[coding] or found["*"] or 0
    if quality > most or quality == most and not best and quality > 0 then best, most = coding, quality end
  end
  return best
end

-- ---- what is worth it -----------------------------------------------------------------------------------------------

local compressible = {
  ["application/json"] = true, ["application/javascript"] = true, ["application/xml"] = true,
  ["application/wasm"] = true, ["application/x-ndjson"] = true, ["application/manifest+json"] = true,
  ["application/rtf"] = true, ["image/bmp"] = true, ["font/ttf"] = true, ["font/otf"] = true,
}

local function is_compressible(kind, types)
  kind = kind:lower():match "^%s*([^;%s]*)"
  if types then return types[kind] or types[kind:match "^[^/]*" .. "/*"] or false end
  return compressible[kind] or kind:find "^text/" ~= nil or kind:find "%+json$" ~= nil or kind:find "%+xml$" ~= nil
end

-- The type of an answer, as it will be sent; nil: it has no body that can be compressed.
local function type_of(answer)
  local status, body = answer.status, answer.body
  if answer.upgrade or status == 204 or status == 304 or status == 206 then return nil end
  if answer.headers["content-encoding"] or answer.headers["content-range"] then return nil end
  if (answer.headers["cache-control"] or ""):find "no%-transform" then return nil end
  local given = answer.headers["content-type"]
  if given then return given end
  if type(body) == "table" then return "application/json" end
  return type(body) == "string" and "text/plain" or nil
end

-- ---- compressing ----------------------------------------------------------------------------------------------------

local function compressed_text(encoder, text)
  if #text <= SLICE then return encoder:run(text, FINISH) end
  local pieces = {}
  for at = 1, #text, SLICE do
    pieces[#pieces + 1] = encoder:run(text:sub(at, at + SLICE - 1), GO_ON)
    core.checkpoint()
  end
  pieces[#pieces + 1] = encoder:run("", FINISH)
  return table.concat(pieces)
end

-- Each piece can be read when it comes.
local function compressed_stream(encoder, stream)
  return function(write)
    response.run_stream(stream, function(piece)
      local out = encoder:run(piece, FLUSH)
      return out == "" or write(out)
    end)
    write(encoder:run("", FINISH))
  end
end

local function compressed_file(encoder, file)
  return function(write)
    local at, last = file.offset, file.offset + file.size
    while at < last do
      local piece = file.handle:read(at, math.min(FILE_PIECE, last - at))
      if not piece or piece == "" then error("the file became shorter while it was sent", 0) end
      at = at + #piece
      local out = encoder:run(piece, GO_ON)
      if out ~= "" then write(out) end
      core.checkpoint()
    end
    file.handle:close()
    write(encoder:run("", FINISH))
  end
end

-- The answer's own bytes are others now.
local function describe(answer, coding)
  local headers = answer.headers
  headers["Content-Encoding"] = coding
  headers["Accept-Ranges"] = nil
  local tag = headers.ETag
  if tag and not tag:find "^W/" then headers.ETag = "W/" .. tag end
end

local function vary(answer)
  local headers = answer.headers
  local before = headers.Vary
  if type(before) == "table" then before = table.concat(before, ", ") end
  if before and (before == "*" or before:lower():find("accept-encoding", 1, true)) then return end
  headers.Vary = before and before .. ", Accept-Encoding" or "Accept-Encoding"
end

local function compress_text(answer, coding, settings)
  local text = answer.body
  if type(text) == "table" then
    text = json.encode(text)
    answer.body = text
    answer.headers["Content-Type"] = answer.headers["Content-Type"] or "application/json"
  end
  if #text < settings.min_size then return end
  vary(answer)
  local encoder = coding and core.web_encoder(coding, settings.level)
  local small = encoder and compressed_text(encoder, text)
  if not small or #small >= #text then return end
  answer.headers["Content-Type"] = answer.headers["Content-Type"] or "text/plain; charset=utf-8"
  answer.body = small
  describe(answer, coding)
end

local function compress(answer, coding, settings)
  if answer.body then return compress_text(answer, coding, settings) end
  if not (answer.stream or answer.file) or answer.file and answer.file.size < settings.min_size then return end
  vary(answer)
  local encoder = coding and core.web_encoder(coding, settings.level)
  if not encoder then return end
  if answer.file then
    answer.stream, answer.file = compressed_file(encoder, answer.file), nil
  else
    answer.stream = compressed_stream(encoder, answer.stream)
  end
  describe(answer, coding)
end

-- ---- the middleware -------------------------------------------------------------------------------------------------

local known = { codings = "table", level = "integer", min_size = "integer", types = "table" }
local ranges = { level = { 1, 19 }, min_size = { 0 } }
local usual = { "zstd", "br", "gzip" }
local lasting = { "gzip", "br", "zstd" } -- of streams, which may be many and long: the first needs the least memory

local function check_codings(codings)
  local names = {}
  for _, name in ipairs(usual) do names[name] = true end
  for _, name in ipairs(codings) do
    if not names[name] then
      local nearest = type(name) == "string" and errors.nearest(name, names)
      errors.misuse(2, "bad option 'codings' to 'compress' (%s is none%s)", errors.text(name),
        nearest and (", did you mean %q?"):format(nearest) or "")
    end
  end
  return codings
end

-- The list as a set; a type may end in "/*".
local function type_set(list)
  if not list then return nil end
  local set = {}
  for _, kind in ipairs(list) do set[kind:lower()] = true end
  return set
end

-- Those whose library is here, in the order of preference.
local function available(codings)
  local list, here = {}, "," .. core.web_codings() .. ","
  for _, name in ipairs(codings) do
    if here:find("," .. name .. ",", 1, true) then list[#list + 1] = name end
  end
  return list
end

--- Middleware that compresses answers by zstd, br or gzip: what the client likes best. Bodies, streams and files of
--- text, JSON and the like. Each piece of a stream can be read when it was sent. An answer with a Content-Encoding, or
--- with Cache-Control: no-transform, stays as it is. (Secrets and what a client has sent should not be compressed
--- together.)
---@param options {codings: string[]?, level: integer?, min_size: integer?, types: string[]?}? codings: in the order of
--- preference, default { "zstd", "br", "gzip" }, of streams { "gzip", "br", "zstd" }, which needs less memory; level:
--- default 3, 4 or 6; min_size: bytes, default 1024; types: media types instead of the usual ones, "text/*" for all of
--- a kind
---@return fun(request: braid.web.Request, next: function): braid.web.Response middleware
function M.compress(options)
  errors.check_options(1, "compress", options, known)
  errors.check_ranges(1, "compress", options, ranges)
  options = options or {}
  local codings = check_codings(options.codings or usual)
  local settings = {
    level = options.level or 0, min_size = options.min_size or 1024, types = type_set(options.types),
  }
  return function(request, next)
    local answer = next(request)
    local kind = type_of(answer)
    if not kind or not is_compressible(kind, settings.types) then return answer end
    settings.here = settings.here or available(codings)
    settings.lasting = settings.lasting or available(options.codings or lasting)
    local list = answer.stream and settings.lasting or settings.here
    compress(answer, M.choose(request.headers["accept-encoding"], list), settings)
    return answer
  end
end

return M
