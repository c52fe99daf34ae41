-- SPDX-License-Identifier: MIT
-- The pool of a cluster: its jobs are messages of a stream, which the workers of all machines take.
local call = require "braid.cluster.call"
local core = require "braid.core"
local errors = require "braid.errors"
local executor = require "braid.pools.executor"
local home_of = require "braid.cluster.home"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"
local objects = require "braid.cluster.objects"
local pools = require "braid.pools.registry"
local results = require "braid.cluster.results"
local wire = require "braid.cluster.wire"

local freeze = core.freeze

local M = {}

local ANSWER = 5 -- seconds until a job is published again
local AHEAD = 1024 -- the number of unfinished jobs that map submits if the chunk size is given
local LINGER = 0.05 -- a detached job is not taken back while the script ends

---A pool of a cluster.
---@class braid.ClusterPool: braid.Executor
---@field private _cluster braid.cluster.Cluster
---@field private _home braid.cluster.Home
---@field private _live table<braid.Future, table> unfinished jobs
---@field private _submitting integer
---@field private _counts table<string, integer>
local ClusterPool, methods = executor.class("braid.cluster_pool")

-- ---- the options ----------------------------------------------------------------------------------------------------

local KNOWN = {
  max_tries = "integer", time_limit = "number", memory_limit = "number", backlog = "integer", detached = "boolean",
  result_ttl = "number", chunk = "integer", name = "string", storage = "string", requires = "table",
}
local RANGES = {
  max_tries = { 1, 65535 }, backlog = { 1 }, memory_limit = { 1 }, chunk = { 1 }, result_ttl = { 1, 31536000 },
}
local TTL = 3600

local function check_requires(requires)
  for tag, value in pairs(requires or {}) do
    if type(tag) ~= "string" or not tag:find("^[%w_.-]+$") or type(value) ~= "string" and type(value) ~= "number" then
      errors.misuse(3, "bad option 'requires' to 'pool' (tags of letters, digits and _ . -, with texts, expected)")
    end
  end
end

local function check(opts, usual)
  errors.check_options(2, "pool", opts, KNOWN)
  errors.check_ranges(2, "pool", opts, RANGES)
  opts = opts or {}
  if opts.time_limit and (opts.time_limit <= 0 or opts.time_limit ~= opts.time_limit) then
    errors.misuse(2, "bad option 'time_limit' to 'pool' (a number above 0 expected, got %s)", opts.time_limit)
  end
  if opts.storage and opts.storage ~= "memory" and opts.storage ~= "file" then
    errors.misuse(2, "bad option 'storage' to 'pool' (\"memory\" or \"file\" expected, got %q)", opts.storage)
  end
  if opts.result_ttl and not opts.detached then
    errors.misuse(2, "bad option 'result_ttl' to 'pool' (it is for detached = true)")
  end
  check_requires(opts.requires)
  local function whole(value) return value and math.ceil(value) end
  return {
    max_tries = whole(opts.max_tries) or 3, time_limit = opts.time_limit, memory_limit = opts.memory_limit,
    backlog = whole(opts.backlog), detached = opts.detached,
    ttl = opts.detached and whole(opts.result_ttl or TTL) or 0, chunk = whole(opts.chunk), name = opts.name,
    storage = opts.storage or usual, requires = opts.requires or {},
  }
end

-- ---- a job ----------------------------------------------------------------------------------------------------------

local function refuse(self)
  if self._stopped then
    core.rethrow(errors.new("cancelled", "cancelled: an error has ended what this pool was for"))
  end
  errors.misuse(2, "this pool is closed: it takes no more jobs")
end

-- Who reads the error does not know of `call`, which is in front of the function.
local function renumber(err)
  if errors.is_error(err, "not_sendable") then
    err.message = err.message:gsub("argument (%d+)", function(n) return "argument " .. n - 1 end)
  end
  return err
end

-- The bytes of the function and its arguments, and the boxes of what they refer to.
local function frozen(fn, ...)
  local ok, bytes, boxes = pcall(freeze, "argument", call.call, fn, ...)
  if not ok then core.rethrow(renumber(bytes)) end
  return bytes, boxes
end

local function message_of(self, job, bytes, boxes)
  local cluster = self._cluster
  job.flags = self._options.detached and wire.DETACHED or 0
  job.cargo, job.bytes = cluster.cargo:pack(boxes), bytes
  if cluster.pieces:is_large(#job.cargo + #bytes) then
    job.pieces = cluster.pieces:put_news(job.cargo, bytes)
    job.flags, job.cargo, job.bytes = job.flags | wire.PIECES, "", job.pieces
  end
  local message = cluster.wire:seal("job", wire.pack_job(job))
  job.cargo, job.bytes = nil, nil
  self._bytes_out = self._bytes_out + #message
  return message
end

function methods:_end_job(task)
  local job, state = self._live[task], task:_state()
  self._live[task] = nil
  self._counts[state] = self._counts[state] + 1
  self._busy, self._bytes_in = self._busy + (job.seconds or 0), self._bytes_in + (job.bytes_in or 0)
  if self._tally then self._tally:remove() end
  if job.pieces then link_of.start(pcall, self._cluster.pieces.drop, self._cluster.pieces, job.pieces) end
  if job.over then return end
  job.over, self._home.jobs[job.id] = true, nil
  link_of.start(function()
    if self._options.detached then core.sleep(LINGER) end
    self._home:withdraw(job)
  end)
end

-- Publishes until a server has the job. Most often the first answer says so.
local function publish(self, job, message)
  local link = self._cluster.link
  local deadline = core.now() + link.patience
  link:ready(deadline)
  local answer, status = link:await(link:ask(self._subject, message, job.id), math.min(ANSWER, link.patience))
  local sequence = answer and not status and answer:match('^{"stream".*"seq":(%d+)') -- else it is an error
  if not sequence then
    local err
    sequence, err = jetstream.publish(link, self._subject, message, {
      id = job.id, missing = function() self:_prepare() end, patience = math.max(0, deadline - core.now()),
    })
    if not sequence then core.rethrow(err) end
  end
  job.sequence = math.tointeger(tonumber(sequence))
end

---Sends fn(...) to a worker of any machine. Returns when a server has the job. Raises if something in it cannot be
---sent (kind "not_sendable", with its path), if the pool is closed, and kind "disconnected" when no server takes it
---within the cluster's patience. Suspends.
---@param fn fun(...): ...
---@param ... any the arguments
---@return braid.Future future `future.id` is the name of a detached job: cluster:future(id)
function methods:submit(fn, ...)
  if getmetatable(self) ~= ClusterPool then errors.no_self(1, ClusterPool, "submit", self) end
  errors.check_function(1, "submit", "fn", fn)
  if self._closed then refuse(self) end
  local bytes, boxes = frozen(fn, ...)
  local home, options = self._home, self._options
  local job = {
    id = self._cluster:next_id(options.ttl), home = home.id, name = options.name, max_tries = options.max_tries,
    time_limit = options.time_limit, memory_limit = options.memory_limit, ttl = options.ttl, stream = self._stream,
    since = core.now(),
  }
  job.task = core.prepare(home_of.body, job)
  self._live[job.task] = job
  home.jobs[job.id] = job
  self._handle.count = self._handle.count + 1
  if self._tally then self._tally:add() end
  job.task:on_done(self._ended)
  if options.detached then job.task.id = job.id end
  local ok, err, place = errors.try(function()
    if options.detached then results.announce(self._cluster, job.id) end
    publish(self, job, message_of(self, job, bytes, boxes))
  end)
  if ok then return job.task end
  job.task:cancel()
  core.rethrow(err, place)
end

-- ---- map ------------------------------------------------------------------------------------------------------------

local map = methods.map

---As of other pools. A chunk is one message. Raises the first failure, and then cancels the jobs that have not begun.
---Suspends.
---@param fn fun(item: any): any
---@param list any[] may have named items
---@param opts { chunk: integer?, timeout: number?, return_errors: boolean?, progress: (boolean|table)? }? chunk: items
--- of one job, default: the pool's `chunk`, or as many as it measures; timeout: seconds for all items; then raises kind
--- "timeout" and cancels the rest; return_errors: errors of fn are returned, not raised; progress: true, the options of
--- a bar, or a bar
---@return table results in order, with `n`; results of named items under their names; only the first value of each call
---@return table? errors only with return_errors: errors[i], or errors[name]
function methods:map(fn, list, opts)
  self._slots = self._home:slots()
  if self._options.chunk and (opts == nil or type(opts) == "table" and opts.chunk == nil) then
    local with_chunk = { chunk = self._options.chunk }
    for name, value in pairs(opts or {}) do with_chunk[name] = value end
    opts = with_chunk
  end
  return map(self, fn, list, opts)
end

-- ---- what it tells --------------------------------------------------------------------------------------------------

---Numbers of this pool. Does not suspend.
---@return { workers: integer, queued: integer, running: integer, done: integer, failed: integer, cancelled: integer,
--- bytes_in: integer, bytes_out: integer, busy: number } of this pool's jobs; `workers` of the whole cluster
function methods:stats()
  local queued, running, workers, counts = 0, 0, 0, self._counts
  for task in pairs(self._live) do
    if task:_state() == "pending" then queued = queued + 1 else running = running + 1 end
  end
  for _ in pairs(self._home.workers) do workers = workers + 1 end
  return {
    workers = workers, queued = queued, running = running, done = counts.done, failed = counts.failed,
    cancelled = counts.cancelled, bytes_in = self._bytes_in, bytes_out = self._bytes_out, busy = self._busy,
  }
end

-- ---- the end --------------------------------------------------------------------------------------------------------

function methods:_close(cancel_pending)
  self._closed = true
  if not cancel_pending then return end
  local list = {}
  for task in pairs(self._live) do
    if task:_state() == "pending" then list[#list + 1] = task end
  end
  for _, task in ipairs(list) do task:cancel() end
end

function methods:_stop()
  self._stopped = true
  local list = {}
  for task in pairs(self._live) do list[#list + 1] = task end
  for _, task in ipairs(list) do task:cancel() end
end

function methods:_join()
  core.look()
  if self._options.detached then return end
  while true do
    local task = next(self._live)
    if not task then return end
    task:wait()
    core.checkpoint()
  end
end

-- The handle of the pool for its run. It refers to the pool weakly; an unfinished job keeps the pool alive.
local Handle = {}
Handle.__index = Handle

function Handle:submitted() return self.count end
function Handle:over() return not self.weak.pool end

function Handle:rest()
  local pool = self.weak.pool
  if pool then pool:_join() end
end

function Handle:abort()
  local pool = self.weak.pool
  if not pool then return end
  pool:_close(true)
  pool:_stop()
end

-- ---- making one -----------------------------------------------------------------------------------------------------

-- Makes the stream, and the consumer for what the jobs require. Suspends.
function methods:_prepare()
  self._cluster:prepare_jobs(self._stream, self._options.requires)
  self._cluster:announce_jobs()
end

---Makes a pool. Suspends.
---@param cluster braid.cluster.Cluster
---@param opts table?
---@return braid.ClusterPool
function M.new(cluster, opts)
  local options = check(opts, cluster.streams.file and "file" or "memory")
  local self = {
    _cluster = cluster, _home = cluster.home, _options = options, _slots = cluster.home:slots(), _ahead = AHEAD,
    _measured = true, _live = {}, _bytes_in = 0, _bytes_out = 0, _busy = 0,
    _counts = { done = 0, failed = 0, cancelled = 0 },
  }
  self._stream = "jobs_" .. options.storage
  self._subject = cluster.streams:subject("jobs", options.storage, (cluster.class_of(options.requires)))
  self._ended = function(task) self:_end_job(task) end
  self._handle = setmetatable({ count = 0, weak = setmetatable({ pool = self }, { __mode = "v" }) }, Handle)
  methods._prepare(self)
  if not options.detached then
    self._tally = core.tally_new("cluster", options.name)
    pools.add(self._handle)
  end
  return executor.new(ClusterPool, self, options)
end

ClusterPool.__braid_pack = objects.refuse_to_be_sent

errors.guard(ClusterPool, methods, { submit = true })

return M
