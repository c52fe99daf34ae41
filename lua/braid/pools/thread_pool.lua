-- SPDX-License-Identifier: MIT
-- The pool of threads, each with its own Lua state. A job is encoded here and decoded in the worker; its results come
-- back in the same way.
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local inline = require "braid.pools.inline"
local pools = require "braid.pools.registry"
local search = require "braid.search"

local M = {}

---@class braid.ThreadPool: braid.Executor
---@field _core userdata
---@field _made boolean? whether this state has made the pool
---@field _nested braid.InlinePool? in a worker of this same pool: runs jobs that would otherwise wait for a free worker
---@field _elsewhere boolean? in a worker process, whose parent has the pool: `_nested` runs all jobs
local ThreadPool, methods = executor.class("braid.thread_pool")
M.ThreadPool = ThreadPool

-- The number of unfinished jobs that map submits if the chunk size is given.
local AHEAD = 1024

---Sends fn(...) to a worker. Raises if something in it cannot be sent (kind "not_sendable", with its path), and if the
---pool is closed or broken.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future
methods.submit = core.Pool.submit

-- In a worker of this same pool: a job that would have to wait for a free worker runs at once.
local function submit_from_worker(self, fn, ...)
  local stats = self._core:stats()
  if self._elsewhere or stats.queued + stats.running >= self._slots then return self._nested:submit(fn, ...) end
  return self._core:submit(fn, ...)
end

---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } busy: seconds in which jobs have run
function methods:stats()
  return self._core:stats()
end

function methods:_close(cancel_pending)
  self._core:close(cancel_pending)
end

function methods:_stop()
  self._core:stop()
end

function methods:_serves_caller() return self._nested ~= nil end

function methods:_join()
  self._core:join()
end

local function fields(pool, slots)
  return { _core = pool, _slots = slots, _ahead = AHEAD, _measured = true }
end

---@private Makes the pool in another state, to which it was sent.
function M.receive(class, pool, slots, turns, name)
  local self = fields(pool, slots)
  local own, elsewhere = pool:own()
  if own then
    self._nested, self._elsewhere, self.submit = inline.inline_pool(), elsewhere, submit_from_worker
    errors.guard(class, self)
  end
  executor.new(class, self, { name = name })
  if turns then executor.take_turns(self, turns) end
  return self
end

---@private
function M.unpack(...)
  return M.receive(ThreadPool, ...)
end

---Completes a class of pools whose workers have their own states.
---@param class table
---@param unpack function
function M.complete(class, unpack)
  function class:__braid_pack()
    return unpack, self._core, self._slots, self._turns, self._name
  end

  -- Its maker has forgotten it: the workers end after the submitted jobs.
  function class:__gc()
    if self._made then self._core:close(false) end
  end
end

-- Replaces a loader that cannot be sent: only code that requires its module sees the error.
local function absent_loader(reason)
  return function(name)
    error(("the loader of module '%s' in package.preload could not be sent to this worker: %s"):format(name, reason), 2)
  end
end

-- The loaders in package.preload that are Lua functions. The C side gives threads those that are C functions.
local function lua_loaders()
  local loaders = {}
  for name, loader in pairs(package.preload) do
    if type(loader) ~= "function" or debug.getinfo(loader, "S").what ~= "C" then
      local ok, err = pcall(core.encode, loader)
      loaders[name] = ok and loader or absent_loader(errors.text(err))
    end
  end
  return loaders
end

-- Name -> the name and the code of a module, as the C side reads them.
local compiled = {}

local function compile(name)
  if not compiled[name] then
    local code = search.code(name)
    compiled[name] = code and string.pack("zs", name, code) or ""
  end
  return compiled[name]
end

---Braid's own modules that the state of a worker always loads, or when a job has not just returned. They are compiled
---once: a worker then needs no files for them.
---@return string modules
function M.modules()
  return compile "braid.pools.worker" .. compile "braid.pools.outcome" .. compile "braid.errors"
    .. compile "braid.pools.excerpt"
end

---The settings for the workers of a pool.
---@param options braid.PoolOptions
---@return table
function M.settings(options)
  local home, moved = errors.home()
  return {
    home = home, moved = moved,
    path = search.lasting(package.path), cpath = search.lasting(package.cpath), preload = lua_loaders(),
    init = options.init, init_args = options.init_args, tasks_per_worker = options.tasks_per_worker,
    max_jobs_per_worker = options.max_jobs_per_worker, time_limit = options.time_limit,
    memory_limit = options.memory_limit, name = options.name, deadlocks = core.deadlocks(),
  }
end

---Makes a pool in this state.
---@param class table
---@param pool userdata
---@param workers integer
---@param options braid.PoolOptions
---@return braid.ThreadPool
function M.new(class, pool, workers, options)
  local self = fields(pool, workers * (options.tasks_per_worker or 1))
  self._made = true
  return executor.new(class, self, options)
end

M.complete(ThreadPool, M.unpack)

local function make(options)
  local workers = options.workers or core.cpu_count()
  local pool = core.pool_new(workers, M.settings(options), M.modules())
  return M.new(ThreadPool, pool, workers, options)
end

---Makes a pool of threads. The threads start at once, and inherit package.path, package.cpath and the loaders in
---package.preload.
---@param opts integer|braid.PoolOptions|nil workers: the number of threads; default: the number of usable cores
---@return braid.ThreadPool
function M.thread_pool(opts)
  local other = pools.stand_in("thread_pool", opts)
  if other then return other end
  local pool = make(executor.options("thread_pool", opts))
  pools.add(pool._core)
  return pool
end

-- ---- the default pool -----------------------------------------------------------------------------------------------

local function usual_workers() return math.min(32, core.cpu_count() + 4) end

local default, default_options -- the pool, and what it is made with

---Says how the default pool, in which `to_thread` runs functions, is made: with the options of `thread_pool`. If the
---pool is there already, another one takes its place; what the old one has begun, or has in its queue, is still done.
---Does not suspend.
---@param opts integer|braid.PoolOptions workers: the number of threads
function M.default_pool(opts)
  local options, old = executor.options("default_pool", opts), default
  options.workers, options.name = options.workers or usual_workers(), options.name or "to_thread"
  default, default_options = nil, options
  if old then old:shutdown { wait = false } end
end

---Runs fn(...) in a thread of the default pool. The first call makes this pool. It has some more threads than cores,
---because functions for it mostly wait; `default_pool` sets how many. Suspends. If the caller is cancelled, the job is,
---too.
---@param fn fun(...): ...
---@param ... any the arguments
---@return any ... what fn returned
function M.to_thread(fn, ...)
  errors.check_function(1, "to_thread", "fn", fn)
  local other = pools.stand_in "to_thread"
  if other then return executor.await(other:submit(fn, ...)) end
  if not default then -- it belongs to no run: each call waits for its own job
    default = make(default_options or { workers = usual_workers(), name = "to_thread" })
    core.watch_end()
  end
  return executor.await(default:submit(fn, ...))
end

M.cpu_count = executor.cpu_count

errors.guard(ThreadPool, methods)

return M
