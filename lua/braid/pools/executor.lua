-- SPDX-License-Identifier: MIT
-- The parts that all kinds of pools share: options, map, imap, and the end of a pool. Each kind adds the methods
-- `submit`, `_close`, `_stop` and `_join`.
local core = require "braid.core"
local errors = require "braid.errors"
local items = require "braid.items"
local missing = require "braid.missing"
local progress = require "braid.progress"
local search = require "braid.search"
local scopes = require "braid.tasks.scope"
local Future = require "braid.tasks.future"

for _, name in ipairs { "braid.pools.excerpt", "braid.pools.worker", "braid.pools.outcome" } do search.load(name) end
local outcome = require "braid.pools.outcome"

local M = {}

---A pool: runs functions as jobs, in the calling task, as tasks, in threads or in processes. Close it, or hold it in a
---`<close>` variable.
---@class braid.Executor
---@field _slots integer the number of jobs that can run at once
---@field _ahead integer the number of unfinished jobs that map submits at most
---@field _measured boolean whether map puts several items into one job
local Executor = {}

-- ---- making one -----------------------------------------------------------------------------------------------------

local known = {
  workers = "integer", init = "function", init_args = "table", max_jobs_per_worker = "integer",
  tasks_per_worker = "integer", backlog = "integer", time_limit = "number", memory_limit = "number", name = "string",
}

-- Limits for options that C stores in a smaller integer, or that cost a thread, process or task each.
local ranges = {
  workers = { 1 }, max_jobs_per_worker = { 1 }, tasks_per_worker = { 1, 4096 }, backlog = { 1 },
  memory_limit = { 1 },
}
local most_workers = { thread_pool = { workers = { 1, 65536 } }, process_pool = { workers = { 1, 4096 } } }

---@class braid.PoolOptions
---@field workers integer? number of workers; default: the usable cores for threads and processes, 1000 for tasks
---@field init fun(...)? runs once in each worker; if it raises, the pool is broken
---@field init_args any[]? the arguments of init
---@field max_jobs_per_worker integer? after so many jobs the worker gets a new state or process. Not for tasks
---@field tasks_per_worker integer? jobs that a worker runs at once, as tasks of its loop; default 1
---@field backlog integer? submit suspends while so many jobs are unfinished
---@field time_limit number? seconds for a job; then it is stopped and fails with kind "limit". A job of an inline or
--- task pool is stopped at its next wait
---@field memory_limit number? bytes for a job; if it needs more it fails with kind "limit". Not for tasks
---@field name string? for reports

---Checks the options of a pool's constructor.
---@param what string the constructor, for messages
---@param opts integer|braid.PoolOptions|nil
---@return braid.PoolOptions
function M.options(what, opts)
  if type(opts) == "number" then opts = { workers = opts } end
  errors.check_options(1, what, opts, known)
  errors.check_ranges(1, what, opts, ranges)
  errors.check_ranges(1, what, opts, most_workers[what] or {})
  local options = {}
  for name, value in pairs(opts or {}) do
    if type(value) == "number" and (value <= 0 or value ~= value) then
      errors.misuse(1, "bad option '%s' to '%s' (a number above 0 expected, got %s)", name, what, value)
    end
    local none = known[name] == "number" and value >= 2 ^ 62 -- so large (math.huge) means no limit
    options[name] = not none and (known[name] == "integer" and math.tointeger(value) or value) or nil
  end
  return options
end

---Makes the class of a kind of pool.
---@param name string the name of its metatable
---@param base table? methods of another kind, which it takes over
---@return table class its metatable
---@return table methods
function M.class(name, base)
  local methods = {}
  for key, method in pairs(base or Executor) do methods[key] = method end
  missing.methods(methods, "pool")
  return { __name = name, __index = methods, __close = methods._leave, __tostring = methods._tostring }, methods
end

M.living = setmetatable({}, { __mode = "k" }) -- the pools of this state, for braid.metrics

---Finishes a new pool of this class. `self` has the fields of its kind, and `_slots`.
---@param class table
---@param self table
---@param options braid.PoolOptions
function M.new(class, self, options)
  self._name = options.name
  setmetatable(self, class)
  M.living[self] = true
  if options.backlog then M.take_turns(self, core.semaphore_new(options.backlog)) end
  return self
end

---From now on submit first takes a unit of the semaphore. The unit is released when the job has ended.
---@param self braid.Executor
---@param turns braid.Semaphore
function M.take_turns(self, turns)
  local submit = self.submit
  self._turns = turns
  function self.submit(pool, fn, ...)
    turns:acquire()
    local ok, future, place = errors.try(submit, pool, fn, ...)
    if not ok then
      turns:release()
      core.rethrow(future, place)
    end
    return future:on_done(function() turns:release() end)
  end
  errors.guard(getmetatable(self), self)
end

function Executor:_tostring()
  return ("%s: %s"):format(getmetatable(self).__name, self._name or ("%p"):format(self))
end

-- ---- map ------------------------------------------------------------------------------------------------------------

-- A chunk should take about so long. It is at most GROWTH times as large as the chunk that was measured.
local CHUNK_SECONDS, GROWTH = 1e-3, 16

---@class braid.Mapping
---@field pool braid.Executor
---@field fn fun(item: any): any
---@field list table
---@field n integer
---@field next integer the first item that is not submitted yet
---@field size integer? the size of every chunk; nil: from measurements
---@field single boolean each item is a job
---@field largest integer the largest size for the next chunk, from measurements
---@field ahead integer the number of unfinished jobs at most
---@field live table<braid.Future, integer> unfinished jobs -> their first items
---@field sizes table<braid.Future, integer> jobs -> the number of their items
---@field count integer the number of unfinished jobs
---@field arrived braid.Queue
---@field results table
---@field failures table? only with return_errors
---@field bar braid.Progress? only with progress

local function next_size(m)
  local left = m.n - m.next + 1
  if m.size then return math.min(m.size, left) end
  local fair = left // (m.pool._slots * 4)
  return math.max(1, math.min(m.largest, fair))
end

local function submit_items(m, first, size)
  if m.single then return m.pool:submit(m.fn, m.list[first]) end
  local chunk = m.pool._measured and core.slice(m.list, first, size) -- it is sent at once
    or table.move(m.list, first, first + size - 1, 1, { n = size })
  return m.pool:submit(outcome.chunk, m.fn, chunk, m.failures ~= nil)
end

local function hand_out(m)
  while m.next <= m.n and m.count < m.ahead do
    local first, size = m.next, next_size(m)
    local future = submit_items(m, first, size)
    m.next = first + size
    m.count = m.count + 1
    m.live[future] = first
    m.sizes[future] = size
    future:on_done(m.arrive)
  end
end

local function take_chunk(m, first, size, results, seconds, failed)
  core.list_fill(m.results, first, results, size)
  if failed then table.move(failed, 1, size, first, m.failures) end
  local fitting = seconds > 0 and CHUNK_SECONDS / seconds * size or math.huge
  m.largest = math.max(1, math.min(fitting, size * GROWTH)) // 1 | 0
end

local function late(m)
  local left = m.n - m.next + 1
  for other in pairs(m.live) do left = left + m.sizes[other] end
  core.rethrow(errors.new("timeout", ("%d (of %d) items unfinished"):format(left, m.n)))
end

-- Submitting can wait, too: for the backlog, or for a job that runs in the calling task.
local function hand_out_until(m, deadline)
  if not deadline then return hand_out(m) end
  if not scopes.move_on_after(math.max(0, deadline - core.now()), hand_out, m) then late(m) end
end

-- Takes the jobs as they end. Returns the first failed one, unless failures are kept.
local function take_all(m, deadline)
  hand_out_until(m, deadline)
  while m.count > 0 do
    local future = m.arrived:get(deadline and math.max(0, deadline - core.now()))
    if not future then late(m) end
    local first, size = m.live[future], m.sizes[future]
    m.live[future] = nil
    m.count = m.count - 1
    if future:_state() ~= "done" then
      if not m.failures then return future end
      for i = first, first + size - 1 do m.failures[i] = future:error() end
    elseif m.single then
      m.results[first] = (future:result())
    else
      take_chunk(m, first, size, future:result())
    end
    if m.bar then m.bar:advance(size) end
    if deadline and m.next <= m.n and core.now() >= deadline then late(m) end
    hand_out_until(m, deadline)
  end
end

-- Nobody waits for these jobs any more: cancels those that have not begun. With `running`, cancels the others as well;
-- they come last, because each of them would make place for a pending one.
local function give_up(live, running)
  for future in pairs(live) do
    if future:_state() == "pending" then future:cancel() end
  end
  if not running then return end
  for future in pairs(live) do future:cancel() end
end

local map_options = {
  chunk = "integer", timeout = "number", return_errors = "boolean", progress = "boolean|table",
}

local function check_map_options(opts)
  if opts.chunk and opts.chunk < 1 then
    errors.misuse(1, "bad option 'chunk' to 'map' (an integer from 1 expected, got %d)", opts.chunk)
  end
  errors.check_seconds(1, "map", opts, "timeout")
end

---Calls fn(item) for each item of the list, as jobs of this pool. Raises the first failure, and then cancels the jobs
---that have not begun. Without `chunk` the pool measures how many items to put into one job. Suspends.
---@param fn fun(item: any): any
---@param list any[] may have named items
---@param opts { chunk: integer?, timeout: number?, return_errors: boolean?, progress: (boolean|table)? }? timeout:
--- seconds for all items; then raises kind "timeout" and cancels the rest; return_errors: errors of fn are returned,
--- not raised; progress: true, the options of a bar, or a bar
---@return table results in order, with `n`; results of named items under their names; only the first value of each call
---@return table? errors only with return_errors: errors[i], or errors[name]
function Executor:map(fn, list, opts)
  errors.check_function(1, "map", "fn", fn)
  local row = items.row("map", "list", list)
  errors.check_options(1, "map", opts, map_options)
  opts = opts or {}
  check_map_options(opts)
  core.look()
  local n, arrived = row.n, core.queue_new(0)
  local bar, held <close> = progress.from_option(opts.progress, n)
  local size = opts.chunk and math.tointeger(opts.chunk) or (not self._measured and 1 or nil)
  local m = {
    pool = self, fn = fn, list = row.items, n = n, next = 1, size = size, single = size == 1, largest = 1,
    ahead = size and self._ahead or math.min(self._ahead, self._slots * 4), live = {}, sizes = {}, count = 0,
    arrived = arrived, arrive = function(future) arrived:try_put(future) end,
    results = core.list_new(n), failures = opts.return_errors and {} or nil, bar = bar,
  }
  local ok, failed, place = errors.try(take_all, m, opts.timeout and core.now() + opts.timeout)
  if not ok then
    give_up(m.live, true)
    core.rethrow(failed, place)
  elseif failed then
    give_up(m.live, false)
    core.rethrow(failed:error(), failed:traceback())
  end
  local results = items.results(row, m.results)
  if opts.return_errors then return results, items.by_key(row, m.failures) end
  return results
end

-- ---- imap -----------------------------------------------------------------------------------------------------------

local function is_list(input) return type(input) == "table" and not (getmetatable(input) or {}).__call end

-- The iterator of a list or a queue, and the number of its items if known. Any other value is returned as it is.
local function iterate(input)
  if getmetatable(input) == core.Queue then return function() return (input:get()) end end
  if not is_list(input) then return input end
  local i, _, n = 0, items.list("imap", "iterator", input)
  return function()
    i = i + 1
    if i <= n then return input[i] end
  end, n
end

-- A task that submits items while it gets units of `turns`. It puts each future into the queue `arrived`, in order or
-- as they end, and at the end itself.
local function feeder(pool, fn, iterator, s)
  local function arrive(future) s.arrived:try_put(future) end
  local function may_go_on()
    s.turns:acquire() -- a unit can still arrive after the task was cancelled
    return not s.ended
  end
  local task = core.spawn(function()
    if not may_go_on() then return end
    for item in iterator do
      if s.ended then return end
      local future = pool:submit(fn, item)
      s.live[future] = true
      s.count = s.count + 1
      if s.ordered then arrive(future) else future:on_done(arrive) end
      if not may_go_on() then return end
    end
  end)
  return task:daemon():on_done(arrive)
end

local function stop(s)
  s.ended = true
  if s.own_bar then s.own_bar:done() end
  s.task:cancel()
  give_up(s.live, true)
end

-- The next result; nil at the end.
local function take_next(s)
  while not s.ended and not (s.fed and s.count == 0) do
    local future = s.arrived:get()
    if future == s.task then
      s.fed = true
    else
      future:wait()
      s.live[future] = nil
      s.count = s.count - 1
      s.turns:release()
      if s.bar then s.bar:advance() end
    end
    if future:_state() ~= "done" then
      stop(s)
      core.rethrow(future:error(), future:traceback())
    end
    if future ~= s.task then
      local value = future:result()
      return value == nil and core.null or value
    end
  end
  if s.own_bar then s.own_bar:done() end
end

local imap_options = { buffer = "integer", ordered = "boolean", progress = "boolean|table" }

---Iterates over the results of fn(item) for the items of an iterator. It takes a new item only if there is room: at
---most `buffer` items are in work, or done and not yet fetched. A nil result comes as braid.null. The first failure is
---raised and ends the iteration. Leaving the loop cancels the jobs in work. Each step suspends; the iterator may
---suspend, too.
---@param fn fun(item: any): any
---@param iterator (fun(): any)|any[]|braid.Queue ends with its first nil, or with the queue's end
---@param opts { buffer: integer?, ordered: boolean?, progress: (boolean|table)? }? ordered = false: results in the
--- order in which they are ready; progress: true, the options of a bar, or a bar
---@return fun(): any
function Executor:imap(fn, iterator, opts)
  errors.check_function(1, "imap", "fn", fn)
  local total
  iterator, total = iterate(iterator)
  errors.check_function(1, "imap", "iterator", iterator)
  errors.check_options(1, "imap", opts, imap_options)
  opts = opts or {}
  if opts.buffer and opts.buffer < 1 then
    errors.misuse(1, "bad option 'buffer' to 'imap' (an integer from 1 expected, got %d)", opts.buffer)
  end
  local s = {
    turns = core.semaphore_new(opts.buffer or math.min(2 * self._slots, 64)), arrived = core.queue_new(0),
    ordered = opts.ordered ~= false, live = {}, count = 0, fed = false, ended = false,
  }
  s.bar, s.own_bar = progress.from_option(opts.progress, total)
  s.task = feeder(self, fn, iterator, s)
  return function() return take_next(s) end, nil, nil, setmetatable({}, { __close = function() stop(s) end })
end

-- ---- the end --------------------------------------------------------------------------------------------------------

local shutdown_options = { wait = "boolean", cancel_pending = "boolean" }

-- Whether a job of this pool calls.
function Executor._serves_caller() return false end

local function refuse_own(self)
  if not self:_serves_caller() then return end
  errors.misuse(1, "a job cannot wait for the end of its own pool: use shutdown{wait = false} there")
end

---Takes no more jobs. Submitted jobs still run; with `cancel_pending` those that have not begun are cancelled. With
---`wait` (the default) it returns when all jobs have ended. It can be called again. Suspends.
---@param opts { wait: boolean?, cancel_pending: boolean? }?
function Executor:shutdown(opts)
  errors.check_options(1, "shutdown", opts, shutdown_options)
  opts = opts or {}
  local waits = opts.wait ~= false
  if waits then refuse_own(self) end
  self:_close(opts.cancel_pending or false)
  if waits then self:_join() end
end

---Takes no more jobs, and waits until all have ended. Suspends.
function Executor:close()
  self:shutdown()
end

-- The end of a `<close>` variable. If an error ends the block, or a cancel ends the wait, all jobs are cancelled.
function Executor:_leave(err)
  if err == nil then refuse_own(self) end
  if self:_serves_caller() then return end
  self:_close(err ~= nil)
  local ok, failure, place = true, nil, nil
  if err == nil then ok, failure, place = errors.try(self._join, self) end
  if ok and err == nil then return end
  self:_close(true)
  self:_stop()
  scopes.shield(self._join, self)
  if not ok then core.rethrow(failure, place) end
end

---Waits for a job that only the caller waits for: if the caller is cancelled, the job is, too.
---@param future braid.Future
---@return any ... the results of the job
function M.await(future)
  local ok, err, place = errors.try(Future.wait, future)
  if not ok then
    future:cancel()
    core.rethrow(err, place)
  end
  return future:result()
end

---The number of cores that this process may use. Respects the affinity and the quota of the control group.
---@return integer
M.cpu_count = core.cpu_count

return M
