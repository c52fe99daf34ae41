-- SPDX-License-Identifier: MIT
--- A client for PostgreSQL, on libpq: connections and pools that never hold the loop.

local core = require "braid.core"
local connection = require "braid.postgres.connection"
local errors = require "braid.errors"
local pool = require "braid.postgres.pool"
local settings = require "braid.postgres.settings"
local types = require "braid.postgres.types"

local M = {}

local POOL_OPTIONS = {
  max = "number", min = "number", idle_time = "number", max_age = "number", max_uses = "number", name = "string",
  timeout = "number",
}

local function misuse(text) errors.misuse(1, "%s", text) end

local function prepare() settings.libpq().setup(core.json_decode, types.table_text, misuse) end

---Connects: `postgres.connect("host=localhost dbname=shop")`, or with libpq's keywords as a table. Own options:
---`statement_timeout` in seconds; `types = { numeric = "float", timestamptz = fn }`, in which form values of these
---types come, and not as texts ("string", "float", "integer", "number", "boolean", "json", or a function of the text).
---Suspends.
---@param opts string|table|nil a conninfo or URI; or a table with `conninfo`, or libpq's keywords (`host`, `port`,
--- `dbname`, `user`, `password`, `sslmode`, ...); what is not given is taken from the environment, as by psql
---@return braid.postgres.Connection?
---@return braid.Error? err kinds: system, timeout; postgres: the server has refused
function M.connect(opts)
  prepare()
  local given, all = settings.read("connect", opts)
  return connection.open(given, types.read("connect", all.types))
end

---Makes a pool: `postgres.pool{ conninfo = "...", max = 10 }`. It opens connections when they are needed.
---@param opts string|table as of `connect`; and `max` (default 10) and `min` connections, `idle_time`, `max_age`,
--- `max_uses`, `name` as of braid.resource_pool; `timeout`: how long a call waits for a connection, in seconds
---@return braid.postgres.Pool
function M.pool(opts)
  prepare()
  local given, all = settings.read("pool", opts, POOL_OPTIONS)
  return pool.new(given, types.read("pool", all.types), all)
end

return M
