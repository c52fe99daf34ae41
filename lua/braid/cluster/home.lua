-- SPDX-License-Identifier: MIT
-- The submitter's side: the jobs of all pools of a cluster object that have not ended, and the news of them. The first
-- news that ends a job counts; others are dropped.
local core = require "braid.core"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"
local wire = require "braid.cluster.wire"

local M = {}

local BEAT = 1.5 -- seconds between signs of life of a worker
local SILENT = 3 * BEAT -- a worker without a sign of life for so long is lost
local AUDIT = 10 -- seconds between looks whether the stream still has the jobs
local USUAL_SLOTS = 2

M.BEAT = BEAT

---@class braid.cluster.Home
---@field id string
---@field jobs table<string, table> by their ids
---@field workers table<string, table> by their ids: what they tell, and `seen`
---@field private _link braid.cluster.Link
---@field private _wire braid.cluster.Wire
---@field private _cargo braid.cluster.Cargo
---@field private _pieces braid.cluster.Pieces
---@field private _streams braid.cluster.Streams
local Home = {}
Home.__index = Home

-- ---- the end of a job -----------------------------------------------------------------------------------------------

---The body of the task that is a job's future. It is started when the job begins to run, or when it has ended.
---@param job table
---@return any ... the job's results; raises what the job raised
function M.body(job)
  if not job.outcome then
    job.event = core.event_new()
    job.event:wait()
  end
  return job.outcome(job)
end

local function give_results(job) return core.thaw(job.bytes, job.boxes) end

local function raise_failure(job)
  local err, traceback = core.thaw(job.bytes, job.boxes)
  core.rethrow(err, traceback)
end

local function raise_error(job) core.rethrow(job.err) end

---Ends a job. Does nothing if it has ended.
---@param job table
---@param outcome fun(job: table): ... returns the results, or raises
function Home:settle(job, outcome)
  if self.jobs[job.id] ~= job then return end
  self.jobs[job.id] = nil
  job.over, job.outcome = true, outcome
  if job.event then job.event:set() else core.start_now(job.task) end
end

---Ends a job with an error.
---@param job table
---@param err any
function Home:fail(job, err)
  job.err = err
  self:settle(job, raise_error)
end

local function end_cancelled(self, job)
  self.jobs[job.id] = nil
  job.over = true
  job.task:cancel()
end

---The error of a job whose workers were lost.
---@param job table
---@param text string?
---@return braid.Error err kind "worker_died"
function M.died(job, text)
  local where = job.worker and ("it was last on worker %s"):format(job.worker) or "no worker has told that it began"
  return errors.new("worker_died", ("%s (%s)"):format(text or "the workers that had this job were lost", where), {
    worker = job.worker, tries = job.try,
  })
end

-- ---- news -----------------------------------------------------------------------------------------------------------

-- Results that can be decoded at once, and those whose bytes must be fetched first.
local function take_values(self, job, outcome, cargo, bytes, in_pieces)
  local function finish()
    local ok, err, place = errors.try(function()
      if in_pieces then cargo, bytes = self._pieces:take_news(bytes) end
      job.boxes, job.bytes = self._cargo:unpack(cargo), bytes
    end)
    if ok then return self:settle(job, outcome) end
    if errors.is_echo(err) then core.rethrow(err, place) end
    self:fail(job, err)
  end
  if not in_pieces and self._cargo:is_here(cargo) then return finish() end
  link_of.start(finish)
end

local ENDS = {}
ENDS[wire.DONE] = function(self, job, cargo, bytes, in_pieces)
  take_values(self, job, give_results, cargo, bytes, in_pieces)
end
ENDS[wire.FAILED] = function(self, job, cargo, bytes, in_pieces)
  take_values(self, job, raise_failure, cargo, bytes, in_pieces)
end
ENDS[wire.CANCELLED] = function(self, job) end_cancelled(self, job) end
ENDS[wire.DIED] = function(self, job, _, bytes) self:fail(job, M.died(job, bytes ~= "" and bytes or nil)) end
ENDS[wire.REFUSED] = function(self, job, _, bytes)
  self:fail(job, errors.new("refused", "a worker has refused the job: " .. bytes, { worker = job.worker }))
end

local IN_PIECES = 128 -- flag of a kind of news

M.IN_PIECES = IN_PIECES

local function begin(job)
  if job.event or job.over then return end
  core.start_now(job.task)
end

local function take_one(self, id, what, try, worker, cargo, bytes, seconds)
  local job = self.jobs[id]
  if not job then return end
  local in_pieces = what >= IN_PIECES
  if in_pieces then what = what - IN_PIECES end
  if what == wire.RETURNED then
    job.returns, job.asked = (job.returns or 0) + 1, nil
  else
    job.worker, job.try, job.seconds, job.bytes_in = worker, try, seconds, #bytes
    if what == wire.BEGUN then return begin(job) end
    if ENDS[what] then ENDS[what](self, job, cargo, bytes, in_pieces) end
  end
end

-- A refusal needs no signature: who refuses has another secret.
local function take_refusal(self, unsigned)
  local ok, next_at, id, what, try, worker, _, text = pcall(wire.each_news(unsigned), nil, 1)
  if ok and next_at and what == wire.REFUSED and self.jobs[id] then
    take_one(self, id, what, try, worker, "", text:gsub("[%c]", "?"):sub(1, 500))
  end
end

---Takes news whose signature was checked. Does not suspend.
---@param body string
function Home:take(body)
  for _, id, what, try, worker, cargo, bytes, seconds in wire.each_news(body) do
    take_one(self, id, what, try, worker, cargo, bytes, seconds)
  end
end

local function take_news(self, reply, message)
  local body, _, unsigned = self._wire:open("news", message)
  if body then
    self:take(body)
  elseif unsigned then
    take_refusal(self, unsigned)
  end
  if reply then self._link:publish(reply, nil, "") end
end

-- Answers whether this submitter lives; and how many deliveries of the job are no tries: it came back, or it runs at
-- most once and nobody has asked before. A job that runs at most once counts as begun when a worker asks.
local function answer(self, reply, body)
  local job = self.jobs[body]
  if not job then return self._link:publish(reply, nil, body == "" and "" or "-") end
  local free = job.returns or 0
  if job.max_tries == 1 and not job.asked then
    job.asked, free = true, 65535
  end
  self._link:publish(reply, nil, tostring(free))
end

local function take_beat(self, message)
  local body = self._wire:open("here", message)
  local ok, told = pcall(core.json_decode, body or "")
  if not ok then return end
  told.seen = core.now()
  if told.leaving then self.workers[told.id] = nil else self.workers[told.id] = told end
end

-- ---- what got lost --------------------------------------------------------------------------------------------------

local function delete_message(self, job)
  if job.sequence then jetstream.delete(self._link, self._streams:name(job.stream), job.sequence) end
end

---Takes a job back that nobody waits for any more: no worker can fetch it from now on, and who has it stops it.
---Suspends.
---@param job table
function Home:withdraw(job)
  local ok, err = pcall(delete_message, self, job)
  self._link:publish(self._streams:subject("cancel"), nil, self._wire:seal("cancel", job.id))
  if not ok and not errors.is_error(err, "disconnected") then core.rethrow(err) end
end

-- Jobs whose last permitted try was on a worker that is lost.
local function bury(self, worker)
  for _, job in pairs(self.jobs) do
    if job.worker == worker and job.try - (job.returns or 0) >= job.max_tries then
      self:fail(job, M.died(job, "the worker that had this job was lost"))
      link_of.start(delete_message, self, job)
    end
  end
end

local function look_for_workers(self)
  local now = core.now()
  for id, worker in pairs(self.workers) do
    if now - worker.seen > SILENT then
      self.workers[id] = nil
      bury(self, id)
    end
  end
end

-- Not those whose submit has not returned: it raises.
local function fail_all(self, err, stream)
  local list = {}
  for _, job in pairs(self.jobs) do
    local submitted = job.sequence or job.foreign
    if submitted and (not stream or job.stream == stream) then list[#list + 1] = job end
  end
  for _, job in ipairs(list) do self:fail(job, err) end
end

local function error_of_loss()
  return errors.new("disconnected", "cluster: the servers have lost this job: their memory is gone")
end

-- The oldest job that has not been heard of for long: is its message still there? Else somebody has purged it, or its
-- end was lost.
local function audit(self)
  local oldest
  for _, job in pairs(self.jobs) do
    local since = job.looked or job.since
    if job.sequence and (not oldest or since < (oldest.looked or oldest.since)) then oldest = job end
  end
  local now = core.now()
  if not oldest or now - (oldest.looked or oldest.since) < AUDIT then return end
  oldest.looked = now
  local found, err = jetstream.ask(self._link, "STREAM.MSG.GET." .. self._streams:name(oldest.stream),
    { seq = oldest.sequence })
  if found or err.code ~= 10037 then return end
  core.sleep(SILENT) -- its result may be on the way
  if self.jobs[oldest.id] == oldest then self:fail(oldest, M.died(oldest, "this job has disappeared")) end
end

-- A thread that has only computed has not read the signs of life: they count from now on.
local function forgive(self)
  for _, worker in pairs(self.workers) do worker.seen = core.now() end
end

local function watch(self)
  local before, audited = core.now(), core.now()
  while not self._link.closed do
    core.sleep(BEAT / 2)
    local now = core.now()
    if now - before > 2 * BEAT or self._link.lost_at then forgive(self) end
    before = now
    if self._link.lost_at then
      if now - self._link.lost_at > self._link.patience then
        fail_all(self, errors.new("disconnected", ("cluster: no server has answered for %g s"):format(
          self._link.patience)))
      end
    else
      look_for_workers(self)
      if now - audited > AUDIT / 4 then
        audited = now
        if next(self.jobs) then link_of.start(function() pcall(audit, self) end) end
      end
    end
  end
  if self._link.refusal then fail_all(self, link_of.disconnected(self._link.refusal)) end
end

---The slots of all workers.
---@return integer
function Home:slots()
  local count = 0
  for _, worker in pairs(self.workers) do count = count + (worker.slots or 0) end
  return count > 0 and count or USUAL_SLOTS
end

---Asks the workers to tell of themselves at once. Does not suspend.
function Home:ask_workers() self._link:publish(self._streams:subject("ask"), nil, "") end

-- A purge tells which jobs it has taken away.
local function take_purge(self, message)
  local body = self._wire:open("purge", message)
  for id in (body or ""):gmatch("[^\n]+") do
    local job = self.jobs[id]
    if job then end_cancelled(self, job) end
  end
end

---Makes it, and subscribes. Suspends.
---@param link braid.cluster.Link
---@param sealing braid.cluster.Wire
---@param cargo braid.cluster.Cargo
---@param pieces braid.cluster.Pieces
---@param streams braid.cluster.Streams
---@return braid.cluster.Home
function M.new(link, sealing, cargo, pieces, streams)
  local self = setmetatable({
    id = link.id, jobs = {}, workers = {}, _link = link, _wire = sealing, _cargo = cargo, _pieces = pieces,
    _streams = streams,
  }, Home)
  local function on(handler) return function(_, _, reply, body) handler(self, reply, body) end end
  link:subscribe(streams:subject("home", self.id), on(take_news))
  link:subscribe(streams:subject("alive", self.id), on(answer))
  link:subscribe(streams:subject("here"), function(_, _, _, body) take_beat(self, body) end)
  link:subscribe(streams:subject("purged"), function(_, _, _, body) take_purge(self, body) end)
  streams:on_loss(function(what)
    cargo:forget()
    fail_all(self, error_of_loss(), what)
  end)
  self:ask_workers()
  self._watch = daemon.start(watch, self)
  return self
end

---Ends it: what has not ended fails with kind "closed".
function Home:close()
  self._watch:cancel()
  fail_all(self, errors.new("closed", "cluster: it was closed before this job had ended"))
end

return M
