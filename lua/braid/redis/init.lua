-- SPDX-License-Identifier: MIT
--- A client for Redis. Tasks that share a connection are pipelined: each of them only waits for its own reply.

local client = require "braid.redis.client"
local errors = require "braid.errors"

local M = {}

local KNOWN = {
  host = "string", port = "integer", unix = "string", tls = "boolean|table", username = "string", password = "string",
  database = "integer", protocol = "integer", name = "string", timeout = "number", max_reply = "integer",
}
local POOL_KNOWN = { max = "integer" }
for name, expected in pairs(KNOWN) do POOL_KNOWN[name] = expected end

local RANGES = {
  port = { 1, 65535 }, database = { 0 }, protocol = { 2, 3 }, max_reply = { 1 }, max = { 1 },
}

local PORT, TIMEOUT, MAX_REPLY, MAX, ALONE = 6379, 10, 1 << 30, 10, 1000

---@class braid.redis.Options
---@field host string? default "127.0.0.1"
---@field port integer? default 6379
---@field unix string? the path of a Unix socket, instead
---@field tls boolean|table|nil as for braid.net.connect
---@field username string? default: the server's default user
---@field password string?
---@field database integer? a number; default 0
---@field protocol 2|3|nil RESP; default 3, and 2 where the server does not know it
---@field name string? of the connection, as CLIENT LIST shows it
---@field timeout number? seconds to connect; default 10
---@field max_reply integer? bytes of the largest reply; default 1 GiB
---@field max integer? of a pool: connections; default 10

local function place_of(opts)
  local place = { timeout = opts.timeout or TIMEOUT, tls = opts.tls, keepalive = 15 }
  if opts.unix then
    place.unix, place.keepalive = opts.unix, nil
  else
    place.host, place.port = opts.host or "127.0.0.1", opts.port or PORT
  end
  return place
end

local function check(what, opts, known)
  errors.check_options(2, what, opts, known)
  errors.check_ranges(2, what, opts, RANGES)
  errors.check_seconds(2, what, opts, "timeout")
  opts = opts or {}
  if opts.unix and (opts.host or opts.port) then
    errors.misuse(2, "bad options to '%s' (host and port, or unix)", what)
  end
  if opts.username and not opts.password then
    errors.misuse(2, "bad option 'username' to '%s' (a password belongs to it)", what)
  end
  return {
    place = place_of(opts), username = opts.username, password = opts.password, protocol = opts.protocol or 3,
    database = opts.database ~= 0 and opts.database or nil, name = opts.name, timeout = opts.timeout or TIMEOUT,
    max_reply = opts.max_reply or MAX_REPLY,
  }
end

---Connects to a Redis server: `redis.connect{ host = "localhost" }`. Tasks share the connection. Suspends.
---@param opts braid.redis.Options?
---@return braid.redis.Client? client
---@return braid.Error? err kinds: system, timeout, closed, tls; redis: the server has refused, as a wrong password
function M.connect(opts)
  local made = client.new(check("connect", opts, KNOWN), 1, ALONE)
  local ok, err = client.open(made)
  if ok then return made end
  made:close()
  return nil, err
end

---Makes a pool: a client whose tasks share up to `max` connections. It opens them when they are needed.
---@param opts braid.redis.Options?
---@return braid.redis.Client
function M.pool(opts)
  local options = check("pool", opts, POOL_KNOWN)
  local most = opts and opts.max or MAX
  return client.new(options, most, most)
end

return M
