-- SPDX-License-Identifier: MIT
-- Databases: one connection that writes, and others for reading. Each has a thread of its own (csrc/lua/io/lsqlite.c).
local core = require "braid.core"
local errors = require "braid.errors"
local rows = require "braid.sqlite.rows"
local scopes = require "braid.tasks.scope"

local M = {}

local READ_ONLY, READER, STOP, CHECK = 1, 2, 8, 16 -- flags of core/work/sqlite.h
local ROWS, LISTS, FIRST, VALUE, KEEP_NULLS = 0, 1, 2, 3, 4 -- shapes of lsqlite.c

---A database. Tasks may share it: they wait for each other, first come, first served. It is closed by `<close>`.
---@class braid.sqlite.Database
---@field path string
---@field private _main userdata the connection that writes
---@field private _readers userdata[] connections that no task uses now
---@field private _free braid.Semaphore? as many as there are readers
---@field private _turn braid.Semaphore of the main connection
---@field private _owner any the task that has the turn
---@field private _depth integer of transactions
local Database = { __name = "braid.sqlite.database" }
Database.__index = Database

local function myself() return core.current() or "script" end

-- ---- the turn -------------------------------------------------------------------------------------------------------

local function check(self)
  if self._closed then core.rethrow(errors.new("closed", "sqlite: the database is closed")) end
end

-- Takes the main connection for this task. Returns a function that gives it back.
local function take(self)
  check(self)
  if self._owner == myself() then return function() end end
  self._turn:acquire()
  if self._closed then
    self._turn:release()
    check(self)
  end
  self._owner = myself()
  return function()
    self._owner = nil
    self._turn:release()
  end
end

-- Waits until no other task has the main connection for itself.
local function await_turn(self)
  check(self)
  if self._owner == nil or self._owner == myself() then return end
  take(self)()
end

-- ---- calls ----------------------------------------------------------------------------------------------------------

-- Raises errors that C returns; keeps the first failure of a transaction.
local function checked(self, value, err, ...)
  if not err or not errors.is_error(err) then return value, err, ... end
  if err.kind == "misuse" then errors.misuse(1, "sqlite: %s", err.message) end
  if self._depth > 0 and self._owner == myself() then self._failure = self._failure or err end
  core.rethrow(err)
end

-- Whether a text looks like one that only reads. The reader itself looks closer.
local function reads(sql)
  local word = sql:match("^[%s(]*(%a+)")
  word = word and word:upper()
  return word == "SELECT" or word == "WITH" or word == "VALUES"
end

-- Lends a reader to fn(connection). Returns nothing if there is none for this task.
local function with_reader(self, fn, ...)
  local held <close> = self._free:hold()
  check(self)
  local reader = table.remove(self._readers)
  local function back(ok, ...)
    if not self._closed then self._readers[#self._readers + 1] = reader end
    if not ok then core.rethrow(...) end
    return ...
  end
  return back(errors.try(fn, reader, ...))
end

local function query_on(connection, request, ...)
  return connection:query(request.sql, READER, request.most, request.shape, ...)
end

local MOST_WRITERS = 1024 -- statements that are remembered

-- The next time such a statement goes to the main connection at once.
local function remember_writer(self, sql)
  self._writers = self._writers + 1
  if self._writers > MOST_WRITERS then self._writes, self._writers = {}, 1 end
  self._writes[sql] = true
end

-- Whether the reader has answered, and the answer. It refuses what would write, and does not know temporary tables.
local function ask_reader(self, request, ...)
  local function answer(value, err)
    if err == false then
      remember_writer(self, request.sql)
      return false
    end
    if errors.is_error(err, "sqlite") and err.code == "SQLITE_ERROR" then return false end
    return true, checked(self, value, err)
  end
  return answer(with_reader(self, query_on, request, ...))
end

local function query(self, request, ...)
  if self._free and self._owner ~= myself() and reads(request.sql) and not self._writes[request.sql] then
    check(self)
    local asked, value = ask_reader(self, request, ...)
    if asked then return value end
  end
  await_turn(self)
  return (checked(self, self._main:query(request.sql, 0, request.most, request.shape, ...)))
end

local REQUEST = { sql = "string", params = "table", nulls = "boolean", as = "string" }

local function check_sql(what, sql)
  if type(sql) ~= "string" then
    errors.misuse(1, "bad argument 'sql' to '%s' (a string expected, got %s)", what, errors.described(sql))
  end
end

-- { sql, params = {...}, nulls = true, as = "lists" }: returns a request, and its parameters with their count.
local function read_request(what, shape, most, given)
  local request = {}
  for name, value in pairs(given) do request[name == 1 and "sql" or name] = value end
  errors.check_options(1, what, request, REQUEST)
  check_sql(what, request.sql)
  if request.as and request.as ~= "lists" and request.as ~= "tables" then
    errors.misuse(1, "bad option 'as' to '%s' (\"lists\" or \"tables\" expected, got %q)", what, request.as)
  end
  if request.as == "lists" and shape == ROWS then shape = LISTS end
  local params = request.params or {}
  local count = #params
  if count > 0 then
    count = math.max(count, math.tointeger(params.n) or 0)
  elseif next(params) ~= nil then
    params, count = { params }, 1 -- by name
  end
  return { sql = request.sql, shape = shape | (request.nulls and KEEP_NULLS or 0), most = most }, params, count
end

local function perform(self, what, shape, most, sql, ...)
  if type(sql) == "table" then
    local request, params, count = read_request(what, shape, most, sql)
    return query(self, request, table.unpack(params, 1, count))
  end
  check_sql(what, sql)
  return query(self, { sql = sql, shape = shape, most = most }, ...)
end

---Carries out a statement: `db:query("select * from t where id = ?", 7)`, or with named parameters
---`db:query("... where id = :id", { id = 7 })`. NULL is nil in rows, that is, absent. Raises kind "sqlite" with `code`
---("SQLITE_CONSTRAINT_UNIQUE") and `position`. Suspends.
---@param sql string|table a statement; or `{ sql, params = {...}, nulls = true, as = "lists" }`: nulls: NULL is
--- braid.null in rows; as lists, rows have columns of one name
---@param ... any its parameters; a blob is `sqlite.blob(bytes)`, NULL is nil or braid.null
---@return table result a list of rows, tables by the names of the columns; `result.columns`, `.affected`, `.last_id`
function Database:query(sql, ...) return perform(self, "query", ROWS, 0, sql, ...) end

---The first row, or nil. Suspends.
---@param sql string|table as for query
---@param ... any
---@return table?
function Database:row(sql, ...) return perform(self, "row", FIRST, 0, sql, ...) end

---The first value of the first row; nil for NULL, and if there is no row. Suspends.
---@param sql string|table as for query
---@param ... any
---@return any
function Database:value(sql, ...) return perform(self, "value", VALUE, 0, sql, ...) end

---Carries out a script: statements with semicolons between them. With parameters: one statement, as `query`. Suspends.
---@param script string
---@param ... any
---@return table result `.affected` and `.last_id`
function Database:execute(script, ...)
  check_sql("execute", script)
  if select("#", ...) > 0 then return self:query(script, ...) end
  await_turn(self)
  local affected, last_id = self._main:script(script)
  if not affected then checked(self, nil, last_id) end
  return { affected = affected, last_id = last_id, columns = setmetatable({}, core.List) }
end

local MANY = 1000 -- lists of parameters of one call of the connection's thread

local function run_many(self, sql, lists)
  local affected, last_id = 0, 0
  for first = 1, #lists, MANY do
    local changed, err, failed = self._main:many(sql, lists, first, math.min(first + MANY - 1, #lists))
    if not changed then
      if errors.is_error(err) then err.list = first + failed - 1 end
      checked(self, nil, err)
    end
    affected, last_id = affected + changed, err
  end
  return { affected = affected, last_id = last_id, columns = setmetatable({}, core.List) }
end

---Carries out a statement once for each list of parameters:
---`db:execute_many("insert into t values (?, ?)", { { 1, "a" }, { 2, "b" } })`. All or none are done: outside of a
---transaction it is one. This is much faster than a call for each, because the connection's thread is asked once for
---1,000 of them. Rows that the statement gives are dropped. An error's `list` is the number of the list that failed.
---Suspends.
---@param sql string one statement
---@param lists any[][] each is a list (`n` may be its length), or a table by names
---@return table result `.affected` and `.last_id`
function Database:execute_many(sql, lists)
  check_sql("execute_many", sql)
  if type(lists) ~= "table" then
    errors.misuse(1, "bad argument 'lists' to 'execute_many' (a list of lists expected, got %s)",
      errors.described(lists))
  end
  if self._owner == myself() and self._depth > 0 then return run_many(self, sql, lists) end
  return self:transaction(function() return run_many(self, sql, lists) end)
end

---Goes over rows: `for row in db:rows("select ...") do`. Memory stays small. Until its end it has a connection for this
---task, which may use the database meanwhile. Suspends.
---@param sql string|table as for query
---@param ... any
---@return braid.sqlite.Rows
function Database:rows(sql, ...)
  local request, params, count
  if type(sql) == "table" then
    request, params, count = read_request("rows", ROWS, 0, sql)
  else
    check_sql("rows", sql)
    request, params, count = { sql = sql, shape = ROWS }, { ... }, select("#", ...)
  end
  local iterator = self._free and self._owner ~= myself() and reads(request.sql) and self:_rows_of_reader(request,
    params, count)
  if not iterator then
    local give_back = take(self)
    local ok, made, place = errors.try(rows.new, self._main, request, params, count, 0, give_back)
    if not ok then
      give_back()
      core.rethrow(made, place)
    end
    if made.failure then
      give_back()
      checked(self, nil, made.failure)
    end
    iterator = made
  end
  return iterator, nil, nil, iterator
end

-- Nothing, if the statement is not for a reader.
function Database:_rows_of_reader(request, params, count)
  check(self)
  self._free:acquire()
  local reader = table.remove(self._readers)
  local function give_back()
    if not self._closed then self._readers[#self._readers + 1] = reader end
    self._free:release()
  end
  local ok, made, place = errors.try(rows.new, reader, request, params, count, READER, give_back)
  if ok and not made.failure and not made.refused then return made end
  give_back()
  if not ok then core.rethrow(made, place) end
end

-- ---- transactions ---------------------------------------------------------------------------------------------------

local MODES = { deferred = true, immediate = true, exclusive = true }

-- Returns what SQLite refuses.
local function run_sql(self, sql)
  local done, err = self._main:script(sql)
  return not done and err or nil
end

-- Ends a transaction or a savepoint. Returns what failed.
local function settle(self, ok, depth)
  if ok then
    local err = run_sql(self, depth == 0 and "COMMIT" or "RELEASE braid_" .. depth)
    if not err then return end
    scopes.shield(run_sql, self, depth == 0 and "ROLLBACK" or ("ROLLBACK TO braid_%d; RELEASE braid_%d"):format(depth,
      depth))
    return err
  end
  scopes.shield(run_sql, self, depth == 0 and "ROLLBACK" or ("ROLLBACK TO braid_%d; RELEASE braid_%d"):format(depth,
    depth))
end

local function run(self, fn, mode)
  local depth, outer = self._depth, self._failure
  local err = run_sql(self, depth == 0 and "BEGIN " .. (mode or "deferred"):upper() or "SAVEPOINT braid_" .. depth)
  if err then core.rethrow(err) end
  self._depth, self._failure = depth + 1, nil
  local outcome = table.pack(errors.try(fn, self))
  if outcome[1] and self._failure then outcome = { false, self._failure, n = 2 } end
  local ended, failure, place = errors.try(settle, self, outcome[1], depth)
  self._depth, self._failure = depth, outer
  if not outcome[1] then core.rethrow(outcome[2], outcome[3]) end
  if not ended then
    scopes.shield(run_sql, self, "ROLLBACK")
    core.rethrow(failure, place)
  end
  if failure then core.rethrow(failure) end
  return table.unpack(outcome, 2, outcome.n)
end

---Runs fn as a transaction: commits when it returns, rolls back when it raises or one of its statements has failed,
---caught or not. Other tasks' calls wait meanwhile, unless readers can serve them. Inside a transaction: a savepoint.
---Suspends.
---@param fn fun(db: braid.sqlite.Database): ... gets this object; its own task is inside the transaction
---@param mode? "deferred"|"immediate"|"exclusive" default "deferred"
---@return any ... what fn returned
function Database:transaction(fn, mode)
  errors.check_function(1, "transaction", "fn", fn)
  if mode ~= nil and not MODES[mode] then
    errors.misuse(1, "bad argument 'mode' to 'transaction' (\"deferred\", \"immediate\" or \"exclusive\" expected, "
      .. "got %s)", type(mode) == "string" and ("%q"):format(mode) or errors.described(mode))
  end
  local give_back = take(self)
  local function back(ok, ...)
    give_back()
    if not ok then core.rethrow(...) end
    return ...
  end
  return back(errors.try(run, self, fn, mode))
end

-- ---- statements -----------------------------------------------------------------------------------------------------

---A statement. It is prepared once, as all are that were used lately.
---@class braid.sqlite.Statement
---@field sql string
---@field private _database braid.sqlite.Database?
local Statement = { __name = "braid.sqlite.statement" }
Statement.__index = Statement

local function database_of(self)
  if not self._database then core.rethrow(errors.new("closed", "sqlite: the statement is closed")) end
  return self._database
end

---As `db:query`, with these parameters. Suspends.
---@param ... any
---@return table
function Statement:query(...) return database_of(self):query(self.sql, ...) end

---As `db:rows`. Suspends.
---@param ... any
---@return braid.sqlite.Rows
function Statement:rows(...) return database_of(self):rows(self.sql, ...) end

---As `db:row`. Suspends.
---@param ... any
---@return table?
function Statement:row(...) return database_of(self):row(self.sql, ...) end

---As `db:value`. Suspends.
---@param ... any
---@return any
function Statement:value(...) return database_of(self):value(self.sql, ...) end

---As `db:query`. Suspends.
---@param ... any
---@return table
function Statement:execute(...) return database_of(self):query(self.sql, ...) end

---As `db:execute_many`. Suspends.
---@param lists any[][]
---@return table
function Statement:execute_many(lists) return database_of(self):execute_many(self.sql, lists) end

---Forgets it.
function Statement:close() self._database = nil end

Statement.__close = Statement.close

---Prepares a statement. Raises what is wrong with it. Suspends.
---@param sql string
---@return braid.sqlite.Statement
function Database:prepare(sql)
  check_sql("prepare", sql)
  await_turn(self)
  checked(self, self._main:query(sql, CHECK, 0, ROWS))
  return setmetatable({ sql = sql, _database = self }, Statement)
end

-- ---- backups --------------------------------------------------------------------------------------------------------

local BACKUP = { pages = "integer", progress = "function" }
local PAUSE = 0.01 -- seconds until a locked database is tried again

local function copy(self, path, pages, progress)
  local cursor, left, since = path, nil, nil
  repeat
    local before, all = left, nil -- luacheck: ignore all
    left, all, cursor = self._main:backup(cursor, 0, pages)
    if not left then checked(self, nil, all) end
    if progress then progress(left, all) end
    since = cursor and left == before and (since or core.now()) or nil
    if since and core.now() - since > self._patience then
      self._main:backup(cursor, STOP, 1)
      core.rethrow(errors.new("sqlite", "the database is locked", { code = "SQLITE_BUSY" }))
    end
    if since then core.sleep(PAUSE) end
  until not cursor
end

---Copies the whole database into a file while it is used. Suspends.
---@param path string
---@param opts { pages: integer?, progress: fun(left: integer, all: integer)? }? pages: of one step, default 256
function Database:backup(path, opts)
  if type(path) ~= "string" or path == "" then
    errors.misuse(1, "bad argument 'path' to 'backup' (a path expected, got %s)", errors.described(path))
  end
  errors.check_options(1, "backup", opts, BACKUP)
  errors.check_ranges(1, "backup", opts, { pages = { 1, 1 << 20 } })
  await_turn(self)
  copy(self, path, opts and opts.pages or 256, opts and opts.progress)
end

-- ---- the rest -------------------------------------------------------------------------------------------------------

---Ends the statements that run now: they fail with code "SQLITE_INTERRUPT".
function Database:interrupt()
  if self._closed then return end
  self._main:interrupt()
  for reader in pairs(self._all) do reader:interrupt() end
end

---Closes it: later calls raise kind "closed". Waits until the statements that run have ended. Suspends.
function Database:close()
  if self._closed then return end
  self._closed = true
  self._main:close()
  for reader in pairs(self._all) do reader:close() end
end

Database.__close = Database.close

local function open_readers(self, functions, count)
  for i = 1, count do
    local reader, err = core.sqlite_open(functions, self.path, READER, self._patience * 1000 // 1)
    if not reader then return err end
    self._readers[i], self._all[reader] = reader, true
  end
  self._free = count > 0 and core.semaphore_new(count, false) or nil
end

---Opens a database. Suspends.
---@param functions lightuserdata of braid.sqlite_core
---@param path string
---@param opts table checked ones
---@return braid.sqlite.Database? database
---@return braid.Error? err
function M.open(functions, path, opts)
  local patience = opts.busy_timeout
  local main, err = core.sqlite_open(functions, path, opts.read_only and READ_ONLY or 0, patience * 1000 // 1)
  if not main then return nil, err end
  local self = setmetatable({
    path = path, _main = main, _readers = {}, _all = {}, _turn = core.semaphore_new(1, false), _depth = 0,
    _patience = patience, _writes = {}, _writers = 0,
  }, Database)
  err = opts.wal and run_sql(self, "PRAGMA journal_mode = WAL") or nil
  err = err or opts.foreign_keys and run_sql(self, "PRAGMA foreign_keys = ON") or nil
  err = err or open_readers(self, functions, opts.readers)
  if not err then return self end
  self:close()
  return nil, err
end

errors.guard(Database)
errors.guard(Statement)

return M
