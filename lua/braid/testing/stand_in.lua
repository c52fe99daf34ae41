-- SPDX-License-Identifier: MIT
--- Pools that stand in for those of threads and processes while a test runs: their jobs are tasks of this state. A job
--- still gets copies of its function and arguments, and what cannot be sent is refused as in a real pool.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local task_pool = require "braid.pools.task_pool"

local M = {}

local WORKERS = 4 -- where none are given: not the number of cores, because a schedule repeats on any machine

local function run_copy(parcel)
  local function call(fn, ...) return core.decode(core.encode(fn(...))) end
  return call(core.decode(parcel))
end

-- Makes `submit` of this pool send copies.
local function send_copies(pool)
  local submit = pool.submit
  function pool.submit(self, fn, ...)
    errors.check_function(1, "submit", "fn", fn)
    return submit(self, run_copy, core.encode(fn, ...))
  end
  return pool
end

local function make(kind, opts)
  local options = executor.options(kind, opts)
  local pool = task_pool.task_pool {
    workers = (options.workers or WORKERS) * (options.tasks_per_worker or 1), name = options.name,
    backlog = options.backlog, time_limit = options.time_limit, init = options.init, init_args = options.init_args,
  }
  function pool.pids() return {} end
  return send_copies(pool)
end

---A function that makes pools for one run. "to_thread" gives the run's default pool.
---@return fun(kind: string, opts: integer|braid.PoolOptions|nil): braid.Executor
function M.maker()
  local default
  return function(kind, opts)
    if kind ~= "to_thread" then return make(kind, opts) end
    default = default or make("thread_pool", { workers = 8, name = "to_thread" })
    return default
  end
end

return M
