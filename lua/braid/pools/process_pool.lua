-- SPDX-License-Identifier: MIT
-- The pool of processes: what thread pools do, with workers that share nothing with us. A crash takes one of them along
-- and the job that it had, and nothing else.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local pools = require "braid.pools.registry"
local thread_pool = require "braid.pools.thread_pool"

local M = {}

---@class braid.ProcessPool: braid.ThreadPool
local ProcessPool, methods = executor.class("braid.process_pool", thread_pool.ThreadPool.__index)

---The numbers of the worker processes that run now.
---@return integer[]
function methods:pids()
  return self._core:pids()
end

---@private A pool that was sent to another state. In a worker process its jobs run right there.
function M.unpack(...)
  return thread_pool.receive(ProcessPool, ...)
end

thread_pool.complete(ProcessPool, M.unpack)

---Makes a pool of processes: the same interpreter, started anew. They never run the script; what they run is sent to
---them. They inherit package.path, package.cpath and the loaders in package.preload, have no standard input, and end
---with this process, however that ends. A job whose worker dies fails with kind "worker_died" and the fields `pid` and
---`signal` or `status`; the worker is replaced. A cancelled job that does not end is killed some seconds later.
---@param opts integer|braid.PoolOptions|nil workers: how many processes, by default one for each usable core
---@return braid.ProcessPool
function M.process_pool(opts)
  local options = executor.options("process_pool", opts)
  local workers = options.workers or core.cpu_count()
  local pool = core.process_pool_new(workers, thread_pool.settings(options))
  pools.add(pool)
  return thread_pool.new(ProcessPool, pool, workers, options)
end

errors.guard(ProcessPool, methods)

return M
