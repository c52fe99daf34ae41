-- SPDX-License-Identifier: MIT
-- Transactions: MULTI and EXEC, on a connection of their own, with WATCH.
local commands = require "braid.redis.commands"
local core = require "braid.core"
local errors = require "braid.errors"

local encode = core.resp_encode

local M = {}

local TRIES = 10
local CONFLICT = {} -- what a try returns when a watched key has changed

---A transaction. Every command is a method, as of the client. Before `multi` commands are carried out at once and
---return their replies; after it they are collected and return the transaction.
---@class braid.redis.Transaction
---@field private _link braid.redis.Link
---@field private _commands string[]? after `multi`
---@field private _over boolean?
local Transaction = { __name = "braid.redis.transaction" }

local function call(self, word, ...)
  if self._over then errors.misuse(1, "redis: this transaction has ended") end
  commands.check(word, ...)
  if self._commands then
    self._commands[#self._commands + 1] = encode(word, ...)
    return self
  end
  return self._link:call(word, ...)
end

---Calls or adds a command.
---@param word string
---@param ... string|number
---@return any
function Transaction:call(word, ...) return call(self, commands.word(word), ...) end

---From here on commands are collected. The server carries them out together when the function returns, if no watched
---key has changed.
function Transaction:multi() self._commands = self._commands or {} end

---Watches further keys. Only before `multi`. Suspends.
---@param ... string keys
function Transaction:watch(...)
  if self._commands then errors.misuse(1, "redis: watch keys before tx:multi()") end
  self._link:call("WATCH", ...)
end

commands.give(Transaction, call)
errors.guard(Transaction)

-- Returns the list of replies, or CONFLICT.
local function execute(link, list)
  if #list == 0 then
    link:call("UNWATCH")
    return setmetatable({}, core.List)
  end
  table.insert(list, 1, encode("MULTI"))
  list[#list + 1] = encode("EXEC")
  local replies = link:call_all(list)
  local outcome = replies[#list]
  if outcome == core.null then return CONFLICT end
  if not errors.is_error(outcome, "redis") then return outcome end
  for i = 1, #list - 1 do -- the refusal that made EXEC fail
    if errors.is_error(replies[i], "redis") then core.rethrow(replies[i]) end
  end
  core.rethrow(outcome)
end

local function try(link, fn, keys)
  if keys[1] then link:call("WATCH", table.unpack(keys)) end
  local transaction = setmetatable({ _link = link, _commands = not keys[1] and {}, _over = false }, Transaction)
  fn(transaction)
  transaction._over = true
  return execute(link, transaction._commands or {})
end

---Runs fn as a transaction on the link, again after each conflict. Raises when there were too many.
---@param link braid.redis.Link
---@param fn fun(transaction: braid.redis.Transaction)
---@param keys string[] to be watched
---@return any[] replies
function M.run(link, fn, keys)
  for _ = 1, TRIES do
    local outcome = try(link, fn, keys)
    if outcome ~= CONFLICT then return outcome end
  end
  core.rethrow(errors.new("redis", ("a watched key has changed in each of %d tries"):format(TRIES), {
    code = "CONFLICT",
  }))
end

return M
