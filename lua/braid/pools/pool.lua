-- SPDX-License-Identifier: MIT
-- Pools by the name of their kind, so that a program can choose the model at run time.
local errors = require "braid.errors"
local inline = require "braid.pools.inline"
local process_pool = require "braid.pools.process_pool"
local task_pool = require "braid.pools.task_pool"
local thread_pool = require "braid.pools.thread_pool"

local M = {}

local kinds = {
  inline = inline.inline_pool, tasks = task_pool.task_pool, threads = thread_pool.thread_pool,
  processes = process_pool.process_pool,
}

---Makes a pool of this kind.
---@param kind "inline"|"tasks"|"threads"|"processes"
---@param opts integer|braid.PoolOptions|nil
---@return braid.Executor
function M.pool(kind, opts)
  local make = kinds[kind]
  if not make then
    errors.misuse(1,
      "bad argument 'kind' to 'pool' (\"inline\", \"tasks\", \"threads\" or \"processes\" expected, got %s)",
      type(kind) == "string" and ("%q"):format(kind) or errors.text(kind))
  end
  return make(opts)
end

---The kinds of pools, in the order of how much care their use needs.
---@return string[]
function M.kinds()
  return { "inline", "tasks", "threads", "processes" }
end

return M
