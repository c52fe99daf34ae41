-- SPDX-License-Identifier: MIT
-- What can be done with a connection, a pool, or inside a transaction: they have the same methods. Each class says by
-- `_use(fn, ...)` how it lends a link for one call, and by `_lend()` for longer.
local core = require "braid.core"
local copies = require "braid.postgres.copies"
local errors = require "braid.errors"
local links = require "braid.postgres.link"
local rows = require "braid.postgres.rows"
local scopes = require "braid.tasks.scope"
local types = require "braid.postgres.types"

local M = {}

---A connection, a pool, or an open transaction. Statements take parameters as $1, $2, ...; a nil or braid.null is NULL.
---What the server refuses is raised, kind "postgres" with `sqlstate`, `severity`, `detail`, `hint`, `constraint`,
---`table`, `column` and `position`. If a caller is cancelled, its statement is cancelled on the server.
---@class braid.postgres.Session
---@field package _use fun(self, fn: fun(link: braid.postgres.Link, ...): ...): ...
---@field package _lend fun(self): braid.postgres.Link, fun()
local Session = { __name = "braid.postgres.session" }
Session.__index = Session

M.Session = Session -- for derived classes

-- ---- statements -----------------------------------------------------------------------------------------------------

local REQUEST = { sql = "string", params = "table", nulls = "boolean", as = "string", types = "table" }

local function check_sql(what, sql)
  if type(sql) ~= "string" then
    errors.misuse(3, "bad argument 'sql' to '%s' (a string expected, got %s)", what, errors.described(sql))
  end
  if sql:find("\0", 1, true) then errors.misuse(3, "bad argument 'sql' to '%s' (it has a zero byte)", what) end
end

-- Checks a statement that gives rows.
local function check_statement(what, sql)
  check_sql(what, sql)
  if sql:find("^%s*[Cc][Oo][Pp][Yy]%s") and sql:lower():find("%f[%w]std[inout]+%f[%W]") then
    errors.misuse(3, "postgres: a COPY from or to this side has methods of its own: copy_in and copy_out")
  end
end

-- { sql, params = {...}, nulls = true, as = "lists" }
local function read_request(what, shape, given)
  local request = {}
  for name, value in pairs(given) do request[name == 1 and "sql" or name] = value end
  errors.check_options(3, what, request, REQUEST)
  check_statement(what, request.sql)
  if request.as and request.as ~= "lists" and request.as ~= "tables" then
    errors.misuse(3, "bad option 'as' to '%s' (\"lists\" or \"tables\" expected, got %q)", what, request.as)
  end
  if request.as == "lists" and shape == links.ROWS then shape = links.LISTS end
  local params = request.params or {}
  return { sql = request.sql, shape = shape | (request.nulls and links.KEEP_NULLS or 0),
    types = types.read(what, request.types) }, params, math.max(#params, math.tointeger(params.n) or 0)
end

local function query(link, request, ...)
  local slot = link:query(request, ...)
  if slot.err then core.rethrow(slot.err) end
  return slot.value
end

local function perform(self, what, shape, sql, ...)
  if type(sql) == "table" then
    local request, params, count = read_request(what, shape, sql)
    return self:_query(request, table.unpack(params, 1, count))
  end
  check_statement(what, sql)
  return self:_query({ sql = sql, shape = shape, sent = false, types = nil }, ...)
end

function Session:_query(request, ...) return self:_use(query, request, ...) end

---Carries out a statement: `db:query("select * from t where id = $1", 7)`. Suspends.
---@param sql string|table a statement; or `{ sql, params = {...}, nulls = true, as = "lists", types = {...} }`: nulls:
--- NULL is braid.null in rows, and not left out; as lists, rows have columns of one name
---@param ... any its parameters
---@return table result a list of rows, which are tables by the names of the columns; `result.columns` is a list of
--- names, `.affected` the number of rows, `.command` as "SELECT"
function Session:query(sql, ...) return perform(self, "query", links.ROWS, sql, ...) end

---The first row, or nil. Suspends.
---@param sql string|table as for query
---@param ... any
---@return table?
function Session:row(sql, ...) return perform(self, "row", links.FIRST, sql, ...) end

---The first value of the first row; nil for NULL, and if there is no row. Suspends.
---@param sql string|table as for query
---@param ... any
---@return any
function Session:value(sql, ...) return perform(self, "value", links.VALUE, sql, ...) end

---Goes over rows while they come: `for row in db:rows("select ...") do`. Memory stays small. A loop that is left early
---cancels the statement on the server. Until its end the iterator has a connection for itself. Suspends.
---@param sql string|table as for query
---@param ... any
---@return braid.postgres.Rows
function Session:rows(sql, ...)
  local request, list, count
  if type(sql) == "table" then
    request, list, count = read_request("rows", links.ROWS, sql)
  else
    check_statement("rows", sql)
    request, list, count = { sql = sql, shape = links.ROWS }, { ... }, select("#", ...)
  end
  local link, give_back = self:_lend()
  local ok, slot, place = errors.try(link.stream, link, request, table.unpack(list, 1, count))
  if not ok then
    give_back()
    core.rethrow(slot, place)
  end
  local iterator = rows.new(link, slot, give_back)
  return iterator, nil, nil, iterator
end

-- ---- scripts and copies ---------------------------------------------------------------------------------------------

-- Sends a text outside of the pipeline and waits for its end, or for the begin of its copy.
local function run_text(conn, link, sql)
  local slot = { shape = links.ROWS, types = link.types }
  local flushed, reason = conn:send_script(sql)
  if flushed == nil then core.rethrow(errors.new("postgres", reason)) end
  local ok, err, place = errors.try(function()
    link:flush()
    link:finish(slot)
  end)
  if ok then return slot end
  if errors.is_echo(err) then copies.cancel(link, slot) end
  core.rethrow(err, place)
end

local function run_script(link, sql)
  local result = link:outside(function(conn)
    local slot = run_text(conn, link, sql)
    if slot.copy then copies.refuse(link, slot) end
    if slot.err then core.rethrow(slot.err) end
    return slot.value
  end)
  link:mind_changes(sql)
  return result
end

---Carries out a script: several statements with semicolons between them, without parameters. Suspends.
---@param script string
---@return table result of its last statement
function Session:execute(script)
  check_sql("execute", script)
  return self:_use(run_script, script)
end

local function put_all(link, sql, source)
  return link:outside(function(conn)
    local slot = run_text(conn, link, sql)
    if not slot.err then copies.put(link, slot, source) end
    if slot.err then core.rethrow(slot.err) end
    return slot.value.affected
  end)
end

---Copies rows to the server: `db:copy_in("copy t from stdin", next_line)`. If the source fails nothing is copied.
---Suspends.
---@param sql string
---@param source string|fun(): string|any[]|nil all bytes, or an iterator of pieces; a list is a row of the text format
---@return integer rows
function Session:copy_in(sql, source)
  check_sql("copy_in", sql)
  if type(source) ~= "string" then errors.check_function(1, "copy_in", "source", source) end
  return self:_use(put_all, sql, source)
end

---Copies rows from the server: `for line in db:copy_out("copy t to stdout") do`. Until its end the iterator has a
---connection for itself. Suspends.
---@param sql string
---@return braid.postgres.CopyOut
function Session:copy_out(sql)
  check_sql("copy_out", sql)
  local link, give_back = self:_lend()
  local ok, made, place = errors.try(copies.out, link, sql, run_text, give_back)
  if not ok then
    give_back()
    core.rethrow(made, place)
  end
  return made, nil, nil, made
end

-- ---- pipelines ------------------------------------------------------------------------------------------------------

---Statements that are sent one after the other, without waiting for their results. Made by `pipeline`.
---@class braid.postgres.Pipeline
---@field private _link braid.postgres.Link?
---@field private _list table[]
local Pipeline = { __name = "braid.postgres.pipeline" }
Pipeline.__index = Pipeline

-- A task waits for the result: it is the future.
local function wait_for(link, slot)
  if slot.event then link:await(slot) end
  if slot.err then core.rethrow(slot.err) end
  return slot.value
end

local function send(self, what, shape, sql, ...)
  if not self._link then errors.misuse(2, "postgres: this pipeline has ended") end
  local request, list, count
  if type(sql) == "table" then
    request, list, count = read_request(what, shape, sql)
  else
    check_statement(what, sql)
    request, list, count = { sql = sql, shape = shape }, { ... }, select("#", ...)
  end
  local statement, err = self._link:statement(request.sql)
  local slot = statement and self._link:send(statement, request, table.unpack(list, 1, count)) or { err = err }
  local future = core.spawn(wait_for, self._link, slot)
  self._list[#self._list + 1] = { slot = slot, future = future }
  return future
end

---Sends a statement. Suspends only when it is not yet prepared.
---@param sql string|table
---@param ... any
---@return braid.Future result
function Pipeline:query(sql, ...) return send(self, "query", links.ROWS, sql, ...) end

---@param sql string|table
---@param ... any
---@return braid.Future row
function Pipeline:row(sql, ...) return send(self, "row", links.FIRST, sql, ...) end

---@param sql string|table
---@param ... any
---@return braid.Future value
function Pipeline:value(sql, ...) return send(self, "value", links.VALUE, sql, ...) end

-- Waits for all; returns the results, or raises the first failure.
local function collect(list)
  local results, failure = setmetatable({}, core.List), nil
  for i, each in ipairs(list) do
    each.future:wait()
    local err = each.future:error()
    if err ~= nil then
      failure = failure or err
    else
      local value = each.future:result()
      results[i] = value == nil and core.null or value
    end
  end
  if failure then core.rethrow(failure) end
  return results
end

-- After a failure: nothing stays under way, and nobody else will ask for the futures' errors.
local function end_all(link, pipeline)
  link:cancel(function(seconds)
    if seconds and link.pending > 0 then core.sleep(math.min(seconds, 0.01)) end
    return link.pending == 0
  end)
  scopes.shield(function()
    for _, each in ipairs(pipeline._list) do
      each.future:wait()
      each.future:error()
    end
  end)
end

local function run_pipeline(link, fn)
  local pipeline = setmetatable({ _link = link, _list = {} }, Pipeline)
  local ok, results, place = errors.try(function()
    link:keep_for_me(fn, pipeline)
    return collect(pipeline._list)
  end)
  pipeline._link = nil
  if ok then return results end
  end_all(link, pipeline)
  core.rethrow(results, place)
end

---Sends statements without waiting for each result: `db:pipeline(function(p) p:query(...); p:query(...) end)`. Each is
---a transaction of its own, unless it is inside one. Suspends.
---@param fn fun(pipeline: braid.postgres.Pipeline)
---@return any[] results a row or value that is not there is braid.null
function Session:pipeline(fn)
  errors.check_function(1, "pipeline", "fn", fn)
  return self:_use(run_pipeline, fn)
end

-- ---- the rest -------------------------------------------------------------------------------------------------------

---Sends a notification to all who listen. Suspends.
---@param channel string
---@param payload? string
function Session:notify(channel, payload)
  if type(channel) ~= "string" then
    errors.misuse(1, "bad argument 'channel' to 'notify' (a string expected, got %s)", errors.described(channel))
  end
  self:value("select pg_notify($1, $2)", channel, payload or "")
end

---Whether the link can be used again by somebody else: a transaction that was left open is rolled back.
---@param link braid.postgres.Link
---@return boolean
function M.clean(link)
  if link.closed then return false end
  if not link:in_transaction() then return true end
  local ok = pcall(scopes.shield, link.command, link, "ROLLBACK")
  return ok and not link.closed and not link:in_transaction()
end

errors.guard(Pipeline)

return M
