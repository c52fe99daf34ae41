-- SPDX-License-Identifier: MIT
-- The pool of processes. It does what a thread pool does, but its workers share no memory with this process. A crash
-- ends one worker and its job, and nothing else.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local pools = require "braid.pools.registry"
local thread_pool = require "braid.pools.thread_pool"

local M = {}

---@class braid.ProcessPool: braid.ThreadPool
local ProcessPool, methods = executor.class("braid.process_pool", thread_pool.ThreadPool.__index)

---The process ids of the running workers.
---@return integer[]
function methods:pids()
  return self._core:pids()
end

---@private Makes the pool in another state, to which it was sent. In a worker process its jobs run in that process.
function M.unpack(...)
  return thread_pool.receive(ProcessPool, ...)
end

thread_pool.complete(ProcessPool, M.unpack)

---Makes a pool of processes. Each worker is a new process of the same interpreter, which does not run the script: it
---runs the functions that it is sent. Workers inherit package.path, package.cpath and the loaders in package.preload.
---They have no standard input. They end with this process, however it ends. A job whose worker dies fails with kind
---"worker_died" and the fields `pid` and `signal` or `status`; the worker is replaced. If a cancelled job does not end,
---its worker is killed some seconds later.
---@param opts integer|braid.PoolOptions|nil workers: the number of processes; default: the number of usable cores
---@return braid.ProcessPool
function M.process_pool(opts)
  local other = pools.stand_in("process_pool", opts)
  if other then return other end
  local options = executor.options("process_pool", opts)
  local workers = options.workers or core.cpu_count()
  local settings = thread_pool.settings(options)
  settings.process = true
  local pool = core.process_pool_new(workers, settings, thread_pool.modules())
  pools.add(pool)
  return thread_pool.new(ProcessPool, pool, workers, options)
end

errors.guard(ProcessPool, methods)

return M
