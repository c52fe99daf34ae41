-- SPDX-License-Identifier: MIT
-- Sessions: a table for each client, kept in a signed cookie, or in a store under an id that is in a signed cookie.
--
-- The cookie is PAYLOAD.SIGNATURE, both in base64url. The payload is a letter (c: the data itself, s: an id), the time
-- of the signature in hexadecimal digits, a dot, and the data as JSON or the id. The signature is an HMAC with SHA-256
-- of the cookie's name, "=" and the encoded payload.
local base64 = require "braid.base64"
local cookies = require "braid.web.cookies"
local errors = require "braid.errors"
local headers = require "braid.web.headers"
local json = require "braid.json"
local tls = require "braid.io.tls"

local M = {}

local MAX_AGE = 14 * 86400
local MOST = 4096 -- bytes of a cookie that all browsers keep
local ID_SIZE = 24 -- random bytes
local AHEAD = 300 -- seconds that the clock of another server may be ahead

---@class braid.web.SessionOptions
---@field secret string|string[] signs the cookie, 32 random bytes or more. Of several the first signs, and all are
---  accepted: so secrets can be replaced
---@field store {get: function, set: function, remove: function}? keeps the data: get(id) gives a table or nil,
---  set(id, table, max_age), remove(id); functions or methods, which may wait. Default: the data is in the cookie,
---  where its owner can read it
---@field max_age integer? seconds until a session that is not used ends, default 14 days
---@field cookie string|braid.web.CookieOptions|nil its name, default "session"; or a table with `name` and options as
---  of set_cookie. `secure` is on when the request came by HTTPS; `http_only` always

local known = { secret = "string|table", store = "table|userdata", max_age = "integer", cookie = "string|table" }
local METHODS = { "get", "set", "remove" }

local Sessions = { __name = "braid.sessions" }
Sessions.__index = Sessions
M.Sessions = Sessions -- what is sent to another process finds its metatable by this name

-- ---- signatures -----------------------------------------------------------------------------------------------------

local function signature(self, secret, payload)
  return tls.module().hmac_sha256(secret, self.name .. "=" .. payload)
end

local function sign(self, letter, content)
  local payload = base64.encode_url(("%s%x.%s"):format(letter, os.time(), content))
  return payload .. "." .. base64.encode_url(signature(self, self.secrets[1], payload))
end

-- The content of a cookie, the age of its signature, and whether the current secret has signed it; nil: it is not ours,
-- or too old.
local function verify(self, letter, text)
  local payload, given = text:match "^([%w_-]+)%.([%w_-]+)$"
  given = given and base64.decode_url(given)
  if not given or #text > MOST then return nil end
  for i, secret in ipairs(self.secrets) do
    if tls.module().same(signature(self, secret, payload), given) then
      local found, time, content = (base64.decode_url(payload) or ""):match "^(%l)(%x+)%.(.*)$"
      local age = time and os.time() - (math.tointeger(tonumber(time, 16)) or 0)
      if found ~= letter or age > self.max_age or age < -AHEAD then return nil end
      return content, age, i == 1
    end
  end
end

-- ---- a session ------------------------------------------------------------------------------------------------------

local function decoded(text)
  local ok, data = pcall(json.decode, text)
  return ok and type(data) == "table" and data or nil
end

local function encoded(data)
  local ok, text = pcall(json.encode, data, { sort_keys = true })
  if ok then return text end
  error("a session has to be what JSON can express: " .. errors.text(text), 0)
end

-- What is known of the client's session: its data, the id, the text of the data as it was, and whether its cookie has
-- to be set again.
local function load(self, req)
  local cookie = req.cookies[self.name]
  local content, age, current = nil, nil, nil
  if cookie then content, age, current = verify(self, self.store and "s" or "c", cookie) end
  local data = content and (self.store and self.store.get(content) or not self.store and decoded(content)) or nil
  local state = { had = cookie ~= nil, id = data and content or nil, before = data and encoded(data) or "{}" }
  state.stale = data ~= nil and (not current or age > self.max_age / 2)
  return state, type(data) == "table" and data or {}
end

--- The data of a request's session. Called when it is first used.
---@param req braid.web.Request
---@return table
function Sessions:open(req)
  local state, data = load(self, req)
  req._session_state = state
  return data
end

local function set_cookie(self, req, answer, value)
  local opts = {}
  for name, option in pairs(self.options) do opts[name] = option end
  if opts.secure == nil then opts.secure = req.scheme == "https" end
  opts.http_only, opts.max_age = true, self.max_age
  local text = cookies.text(self.name, value, opts)
  if #text > MOST then
    error(("the session needs a cookie of %d bytes, and browsers keep %d: use a store"):format(#text, MOST), 0)
  end
  answer.headers["set-cookie"] = cookies.add(answer.headers["set-cookie"], text)
end

local function remove(self, req, answer, state)
  if self.store and state.id then self.store.remove(state.id) end
  if state.had then set_cookie(self, req, answer, nil) end
end

local function save(self, req, answer, state, data, text)
  if not self.store then return set_cookie(self, req, answer, sign(self, "c", text)) end
  if state.renewed and state.id then
    self.store.remove(state.id)
    state.id = nil
  end
  state.id = state.id or base64.encode_url(tls.module().random(ID_SIZE))
  self.store.set(state.id, data, self.max_age)
  set_cookie(self, req, answer, sign(self, "s", state.id))
end

-- Saves the session if it was used, and has changed.
local function close(self, req, answer)
  local data, state = rawget(req, "session"), rawget(req, "_session_state")
  if not state and data == nil then return end
  state = state or load(self, req)
  data = data or {}
  if type(data) ~= "table" then error("a session is a table, not " .. errors.described(data), 0) end
  headers.add_word(answer.headers, "vary", "Cookie") -- the answer is for nobody else
  local text = encoded(data)
  if next(data) == nil then
    if state.had then remove(self, req, answer, state) end
  elseif text ~= state.before or state.stale or state.renewed then
    save(self, req, answer, state, data, text)
  end
end

-- ---- options --------------------------------------------------------------------------------------------------------

local function takes_self(object, fn)
  return type(object) == "userdata" or getmetatable(object) ~= nil
    or debug.getinfo(fn, "S").what == "Lua" and debug.getlocal(fn, 1) == "self"
end

-- The store's functions, called without the store.
local function functions_of(store)
  local list = {}
  for _, name in ipairs(METHODS) do
    local fn = store[name]
    if type(fn) ~= "function" then
      errors.misuse(2, "bad option 'store.%s' to 'sessions' (a function expected, got %s)", name, errors.described(fn))
    end
    list[name] = takes_self(store, fn) and function(...) return fn(store, ...) end or fn
  end
  return list
end

local function secrets_of(secret)
  local list = type(secret) == "table" and secret or { secret }
  for i = 1, math.max(1, #list) do
    if type(list[i]) ~= "string" or list[i] == "" then
      errors.misuse(2, "bad option 'secret' to 'sessions' (a secret text, or a list, expected, got %s)",
        errors.described(list[i]))
    end
  end
  return table.move(list, 1, #list, 1, {})
end

-- The cookie's name and options.
local function cookie_of(cookie)
  local options = {}
  for name, value in pairs(type(cookie) == "table" and cookie or { name = cookie }) do options[name] = value end
  local name = options.name or "session"
  options.name = nil
  cookies.text(name, "", options) -- raises for what cannot be
  return name, options
end

--- Middleware that gives requests `request.session`: a table that is empty for a new client. It is saved when it has
--- changed, before the answer is sent; an empty one is removed. Needs OpenSSL 3.
---@param opts braid.web.SessionOptions
---@return braid.web.Middleware
function M.sessions(opts)
  errors.check_options(1, "sessions", opts or {}, known)
  opts = opts or {}
  errors.check_ranges(1, "sessions", opts, { max_age = { 1 } })
  local name, cookie_options = cookie_of(opts.cookie)
  local self = setmetatable({
    secrets = secrets_of(opts.secret), max_age = math.tointeger(opts.max_age or MAX_AGE), name = name,
    options = cookie_options, store = opts.store and functions_of(opts.store),
  }, Sessions)
  tls.module()
  return function(req, next_one)
    req._sessions = self
    local answer = next_one(req)
    close(self, req, answer)
    return answer
  end
end

return M
