-- SPDX-License-Identifier: MIT
--- SQLite databases. Each connection works on a thread of its own, so a statement never holds the loop.

local connection = require "braid.sqlite.connection"
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local NEED = "braid.sqlite needs SQLite: install it (Debian: libsqlite3-dev) and build braid again"

local OPTIONS = {
  busy_timeout = "number", readers = "integer", wal = "boolean", read_only = "boolean", foreign_keys = "boolean",
}
local RANGES = { readers = { 0, 64 } }

local function functions_of()
  local ok, loaded = pcall(require, "braid.sqlite_core")
  if not ok then
    local found = package.searchpath("braid.sqlite_core", package.cpath)
    errors.misuse(2, "%s", found and errors.text(loaded) or NEED)
  end
  return loaded
end

local function is_of_memory(path)
  return path == ":memory:" or path == "" or path:find("mode=memory", 1, true) ~= nil
end

---@class braid.sqlite.Options
---@field busy_timeout number? seconds to wait for the lock of another connection or program; default 5
---@field readers integer? further connections, for statements that only read; default 0
---@field wal boolean? write-ahead log: readers and the writer do not wait for each other. Default: true for files
---@field read_only boolean? nothing is made or changed; default false
---@field foreign_keys boolean? whether foreign keys are enforced; default true

---Opens a database, and makes it if it is not there: `sqlite.open("shop.db")`. Suspends.
---@param path? string a file, or ":memory:", the default
---@param opts? braid.sqlite.Options
---@return braid.sqlite.Database? database
---@return braid.Error? err kind sqlite, with `code`; system
function M.open(path, opts)
  if path == nil then path = ":memory:" end
  if type(path) ~= "string" or path:find("\0", 1, true) then
    errors.misuse(1, "bad argument 'path' to 'open' (a path or \":memory:\" expected, got %s)", errors.described(path))
  end
  errors.check_options(1, "open", opts, OPTIONS)
  errors.check_ranges(1, "open", opts, RANGES)
  errors.check_seconds(1, "open", opts, "busy_timeout")
  opts = opts or {}
  local readers, memory = opts.readers or 0, is_of_memory(path)
  if memory and readers > 0 then
    errors.misuse(1, "bad option 'readers' to 'open' (a database in memory has only one connection)")
  end
  local wal = opts.wal
  if wal == nil then wal = not memory and not opts.read_only end
  return connection.open(functions_of(), path, {
    busy_timeout = math.min(opts.busy_timeout or 5, 1e6), readers = readers, wal = wal, read_only = opts.read_only,
    foreign_keys = opts.foreign_keys ~= false,
  })
end

---Marks bytes as a blob, for a parameter. (Blobs in rows are strings.)
---@param bytes string
---@return table blob
function M.blob(bytes)
  if type(bytes) ~= "string" then
    errors.misuse(1, "bad argument 'bytes' to 'blob' (a string expected, got %s)", errors.described(bytes))
  end
  return setmetatable({ bytes }, core.SqliteBlob)
end

return M
