-- SPDX-License-Identifier: MIT
-- A private cache of responses in a folder (RFC 9111). Each URL has a folder; in it each variant of the response has a
-- file, and `vary` names the headers that make the variants. Files are replaced as a whole, so several programs can use
-- the same folder, and any of it may be removed at any time.
local core = require "braid.core"
local errors = require "braid.errors"
local files = require "braid.file"
local freshness = require "braid.http.freshness"
local request = require "braid.http.request"
local response = require "braid.http.response"

local M = {}

local MAGIC = "braid cache 1\n"
local FORMAT = "<s4s4s4ddi4s4s8" -- URL, variant, HTTP version, asked, received, status, head, body
local PRIVATE = { atomic = true, sync = false, mode = 384 } -- 0600
local PRIVATE_FOLDER = { parents = true, mode = 448 } -- 0700

-- ---- names ----------------------------------------------------------------------------------------------------------

-- FNV-1a; two texts with one hash are told apart by what the file says.
local function hash(text)
  local sum = -3750763034362895579
  for i = 1, #text do sum = (sum ~ text:byte(i)) * 1099511628211 end
  return ("%016x"):format(sum)
end

local function values_of(record, name) return table.concat(record.fields[name] or {}, "\n") end

-- What else than the URL decides who answers, for whom, and in which form.
local function variant_of(record, vary)
  local parts = {
    record.user or "", record.password or "", values_of(record, "authorization"), record.cookies or "",
    values_of(record, "cookie"), record.cert or "", record.unix_socket or "", record.ways or "",
    values_of(record, "host"), tostring(record.decode),
  }
  for name in vary:gmatch("[^,%s]+") do parts[#parts + 1] = name .. ": " .. values_of(record, name:lower()) end
  return hash(table.concat(parts, "\0"))
end

local function default_folder()
  local base = os.getenv("XDG_CACHE_HOME") or ""
  if base == "" then base = (os.getenv("HOME") or ".") .. "/.cache" end
  return base .. "/braid/http"
end

-- ---- entries --------------------------------------------------------------------------------------------------------

---A response that was kept.
---@class braid.http.Entry
---@field url string
---@field variant string
---@field version string
---@field requested number seconds since 1970
---@field received number
---@field status integer
---@field head string
---@field body string

local FIELDS = { "url", "variant", "version", "requested", "received", "status", "head", "body" }

local function pack(entry)
  local values = {}
  for i, name in ipairs(FIELDS) do values[i] = entry[name] end
  return MAGIC .. FORMAT:pack(table.unpack(values))
end

-- nil: it is no entry, or not all of one.
local function unpack_entry(data)
  if data:sub(1, #MAGIC) ~= MAGIC then return nil end
  local values = table.pack(pcall(string.unpack, FORMAT, data, #MAGIC + 1))
  if not values[1] or values[values.n] ~= #data + 1 then return nil end
  local entry = {}
  for i, name in ipairs(FIELDS) do entry[name] = values[i + 1] end
  return entry
end

---@class braid.http.Cache
---@field private _folder string
local Cache = {}
Cache.__index = Cache

function Cache:place(url) return self._folder .. "/" .. hash(url) end

-- What is kept for the request; nil: nothing.
function Cache:find(hop)
  local folder = self:place(hop.url)
  local vary = files.read(folder .. "/vary")
  if not vary then return nil end
  local variant = variant_of(hop.record, vary)
  local data = files.read(folder .. "/" .. variant)
  local entry = data and unpack_entry(data)
  if entry and entry.url == hop.url and entry.variant == variant then return entry end
end

-- Keeps an entry. That it cannot be written is no failure of the request.
function Cache:put(hop, entry, vary)
  local folder = self:place(hop.url)
  if not files.mkdir(folder, PRIVATE_FOLDER) then return end
  entry.variant = variant_of(hop.record, vary)
  if files.read(folder .. "/vary") ~= vary and not files.write(folder .. "/vary", vary, PRIVATE) then return end
  files.write(folder .. "/" .. entry.variant, pack(entry), PRIVATE)
end

function Cache:forget(url) files.remove(self:place(url), { recursive = true }) end

-- ---- responses ------------------------------------------------------------------------------------------------------

local function header_lines(head)
  local list = {}
  for line in head:gmatch("[^\r\n]+") do list[#list + 1] = line end
  return list
end

local function name_of(line) return (line:match("^([^:%s]+):") or ""):lower() end

-- A head without some headers, and with further lines.
local function rewritten(head, without, further)
  local lines = header_lines(head)
  local kept = { lines[1] }
  for i = 2, #lines do
    if not without[name_of(lines[i])] then kept[#kept + 1] = lines[i] end
  end
  table.move(further, 1, #further, #kept + 1, kept)
  return table.concat(kept, "\r\n") .. "\r\n\r\n"
end

-- Headers that belong to one connection or message, and are not taken from a 304.
local OWN = {
  connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true, ["content-length"] = true,
  ["content-encoding"] = true, ["content-range"] = true, ["proxy-authenticate"] = true, ["proxy-connection"] = true,
  te = true, trailer = true, upgrade = true,
}

-- Brings the entry up to date with a 304.
local function refresh(entry, fresh, requested)
  local newer, without = {}, {}
  local lines = header_lines(fresh._head)
  for i = 2, #lines do
    local name = name_of(lines[i])
    if not OWN[name] then
      newer[#newer + 1] = lines[i]
      without[name] = true
    end
  end
  entry.head = rewritten(entry.head, without, newer)
  entry.requested, entry.received = requested, core.wall_time()
end

local function restored(hop, entry, how, age)
  local head = rewritten(entry.head, { age = true }, { ("Age: %d"):format(math.floor(age)) })
  local made = response.restored(hop.method, hop.url, entry.status, entry.body, head, entry.version)
  made.cached = how
  return made
end

local function entry_of(hop, result, requested)
  return {
    url = hop.url, version = result.http_version, requested = requested, received = core.wall_time(),
    status = result.status, head = result._head, body = result.body or "",
  }
end

-- ---- requests -------------------------------------------------------------------------------------------------------

local UNSAFE = { POST = true, PUT = true, DELETE = true, PATCH = true }
local CONDITIONS = { "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range" }

-- Whether the request is none of the cache's business.
local function passes_by(hop)
  if hop.method ~= "GET" or hop.record.source or hop.record.body then return true end
  for _, name in ipairs(CONDITIONS) do
    if hop.record.fields[name] then return true end
  end
  return hop.record.resume ~= nil
end

local function directives_of(record)
  local line = values_of(record, "cache-control"):match(":%s*(.*)$")
  if not line and values_of(record, "pragma"):find("no-cache", 1, true) then line = "no-cache" end
  return freshness.directives(line)
end

-- The request that asks whether the entry is still right.
local function conditional(hop, headers)
  local conditions = { ["If-None-Match"] = headers.etag, ["If-Modified-Since"] = headers["last-modified"] }
  if not next(conditions) then return hop end
  return { method = hop.method, url = hop.url, record = request.with_headers(hop.record, conditions) }
end

-- A request that changes something: what was kept of its URL is no longer right.
local function pass_by(self, hop, ask)
  local result, err = ask(hop)
  if result and UNSAFE[hop.method] and result.status < 400 then
    self:forget(hop.url)
    local origin = hop.url:match("^%a+://[^/?#]*")
    for _, name in ipairs { "location", "content-location" } do
      local text = result.headers[name] and core.http_url(result.headers[name], hop.url)
      if text and text:match("^%a+://[^/?#]*") == origin then self:forget(text) end
    end
  end
  return result, err
end

local function is_failure(result, err)
  if not result then return err.kind == "http" or err.kind == "timeout" end
  local status = result.status
  return status == 500 or status >= 502 and status <= 504
end

local function not_kept(hop)
  return errors.new("http", ("%s %s: nothing is kept that may be used (only-if-cached)"):format(hop.method, hop.url),
    { url = hop.url, code = "NOT_CACHED", status = 504 })
end

-- Keeps a response of the server, if it may.
local function keep(self, hop, result, requested, asked)
  local whole = result.body ~= nil and not hop.record.stream
  if whole and not asked["no-store"] and freshness.is_storable(result.status, result.headers, core.wall_time()) then
    local vary = (result.headers.vary or ""):lower():gsub("%s", "")
    self:put(hop, entry_of(hop, result, requested), vary)
  end
end

---Answers a request from the folder, or asks the server.
---@param hop braid.http.Hop
---@param ask fun(hop: braid.http.Hop): braid.http.Response?, braid.Error?
---@return braid.http.Response? response `cached` is set if its body was kept
---@return braid.Error? err
function Cache:get(hop, ask)
  if passes_by(hop) then return pass_by(self, hop, ask) end
  local asked, entry = directives_of(hop.record), self:find(hop)
  local requested, age, lifetime, known = core.wall_time(), 0, 0, nil
  if entry then
    known = restored(hop, entry, "fresh", 0).headers
    known.age = entry.head:match("\n[Aa][Gg][Ee]:%s*(%d+)")
    lifetime = freshness.lifetime(entry.status, known, entry.received)
    age = freshness.age(known, entry.requested, entry.received, requested)
    if freshness.is_fresh(known, asked, age, lifetime) then return restored(hop, entry, "fresh", age) end
  end
  if asked["only-if-cached"] then return nil, not_kept(hop) end
  local result, err = ask(entry and conditional(hop, known) or hop)
  if entry and is_failure(result, err) and freshness.outlives_errors(known, age, lifetime) then
    if result then result:close() end
    return restored(hop, entry, "stale", age)
  end
  if result and entry and result.status == 304 then
    refresh(entry, result, requested)
    result:close()
    self:put(hop, entry, files.read(self:place(hop.url) .. "/vary") or "")
    return restored(hop, entry, "revalidated", 0)
  end
  if result then keep(self, hop, result, requested, asked) end
  return result, err
end

local known = {} -- by folder

---The cache in a folder, which is made.
---@param wish string|true true: of this user
---@return braid.http.Cache? cache
---@return braid.Error? err kind system
function M.open(wish)
  local folder = wish == true and default_folder() or wish
  if known[folder] then return known[folder] end
  local made, err = files.mkdir(folder, PRIVATE_FOLDER)
  if not made then return nil, err end
  known[folder] = setmetatable({ _folder = folder }, Cache)
  return known[folder]
end

return M
