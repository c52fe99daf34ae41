-- SPDX-License-Identifier: MIT
-- Transactions, and savepoints inside them.
local core = require "braid.core"
local errors = require "braid.errors"
local scopes = require "braid.tasks.scope"
local sessions = require "braid.postgres.session"

local M = {}

---An open transaction. It has the methods of a connection; `transaction` inside it makes a savepoint.
---@class braid.postgres.Transaction: braid.postgres.Session
---@field private _link braid.postgres.Link
---@field private _turn braid.Semaphore one task at a time
---@field private _depth integer
local Transaction = { __name = "braid.postgres.transaction" }
for name, method in pairs(sessions.Session) do Transaction[name] = Transaction[name] or method end
Transaction.__index = Transaction

local function myself() return core.current() or "script" end

-- Takes the turn. Inside a savepoint's function its own task reaches the savepoint.
function M.enter(self)
  if self._over then errors.misuse(3, "postgres: this transaction has ended") end
  local link = self._link
  if self._owner == myself() or (link and link.owner == myself()) then
    errors.misuse(3, "postgres: this task goes over rows of this connection, or is within its copy_in or pipeline: it "
      .. "is free only after that")
  end
  return self._turn:hold()
end

function Transaction:_use(fn, ...)
  local inner = self._inner
  if inner and inner._task == myself() then return inner:_use(fn, ...) end
  local held <close> = M.enter(self)
  return fn(self._link, ...)
end

function Transaction:_lend()
  local inner = self._inner
  if inner and inner._task == myself() then return inner:_lend() end
  M.enter(self)
  self._owner = myself()
  return self._link, function()
    self._owner = nil
    self._turn:release()
  end
end

local function new(link, depth)
  return setmetatable({ _link = link, _turn = core.semaphore_new(1, false), _depth = depth, _task = myself() },
    Transaction)
end

local OPTIONS = { isolation = "string", retry = "integer", read_only = "boolean", deferrable = "boolean" }
local ISOLATION = { ["read uncommitted"] = true, ["read committed"] = true, ["repeatable read"] = true,
  serializable = true }
local AGAIN = { ["40001"] = true, ["40P01"] = true } -- serialization failures, deadlocks

local function beginning(opts)
  local words = { "BEGIN" }
  if opts.isolation then words[#words + 1] = "ISOLATION LEVEL " .. opts.isolation:upper() end
  if opts.read_only ~= nil then words[#words + 1] = opts.read_only and "READ ONLY" or "READ WRITE" end
  if opts.deferrable ~= nil then words[#words + 1] = opts.deferrable and "DEFERRABLE" or "NOT DEFERRABLE" end
  return table.concat(words, " ")
end

---Checks what `transaction` was given.
function M.check(fn, opts)
  errors.check_function(2, "transaction", "fn", fn)
  errors.check_options(2, "transaction", opts, OPTIONS)
  errors.check_ranges(2, "transaction", opts, { retry = { 0 } })
  local isolation = opts and opts.isolation
  if isolation and not ISOLATION[isolation:lower()] then
    errors.misuse(2, "bad option 'isolation' to 'transaction' (\"serializable\", \"repeatable read\" or \"read "
      .. "committed\" expected, got %q)", isolation)
  end
end

-- Undoes everything, also for a caller that is cancelled.
local function undo(link, commands)
  if link.closed then return end
  local ok = pcall(scopes.shield, scopes.timeout, 5, function()
    for _, command in ipairs(commands) do link:command(command) end
  end)
  link.failure = nil
  if not ok then link:close("a transaction could not be rolled back") end
end

-- Runs fn with an inner transaction of `outer`. Returns whether all went well, and the results or the error.
local function run(outer, inner, fn, finish, back)
  local link = inner._link
  outer._inner, link.failure = inner, nil
  local outcome = table.pack(errors.try(fn, inner))
  if outcome[1] and link.failure then outcome = { false, link.failure, n = 2 } end
  inner._over = true
  outer._inner = nil
  if outcome[1] then
    local ok, err, place = errors.try(link.command, link, finish)
    if not ok then outcome = { false, err, place, n = 3 } end
  end
  if not outcome[1] then undo(link, back) end
  return outcome
end

local function give(outcome)
  if outcome[1] then return table.unpack(outcome, 2, outcome.n) end
  core.rethrow(outcome[2], outcome[3])
end

---Runs fn as a transaction on the link, which `outer` has lent. Suspends.
function M.run(link, outer, fn, opts)
  opts = opts or {}
  for try = 0, opts.retry or 0 do
    link:command(beginning(opts))
    local outcome = run(outer, new(link, 0), fn, "COMMIT", { "ROLLBACK" })
    local err = outcome[2]
    local again = not outcome[1] and errors.is_error(err, "postgres") and AGAIN[err.sqlstate]
    if not again or link.closed or try == (opts.retry or 0) then return give(outcome) end
  end
end

local function run_savepoint(link, self, fn)
  local name = "braid_" .. self._depth + 1
  link:command("SAVEPOINT " .. name)
  return give(run(self, new(link, self._depth + 1), fn, "RELEASE SAVEPOINT " .. name, {
    "ROLLBACK TO SAVEPOINT " .. name, "RELEASE SAVEPOINT " .. name,
  }))
end

---Runs fn with a savepoint: if it fails, what was done since is undone. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts? table none are known for savepoints
---@return any ... what fn returned
function Transaction:transaction(fn, opts)
  M.check(fn, opts)
  if opts and next(opts) then errors.misuse(1, "postgres: a savepoint has no options: they are the transaction's") end
  return self:_use(run_savepoint, self, fn)
end

errors.guard(Transaction)

return M
