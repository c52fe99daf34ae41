-- SPDX-License-Identifier: MIT
-- A worker of a cluster: takes jobs into pools of this machine. It only hands on bytes; the jobs are decoded where they
-- run. A job's message is in its hands until the submitter has the result; meanwhile it says that it goes on.
local cluster_of = require "braid.cluster"
local core = require "braid.core"
local courier = require "braid.cluster.courier"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local excerpt = require "braid.pools.excerpt"
local home_of = require "braid.cluster.home"
local inside = require "braid.cluster.inside"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"
local pools = require "braid.pools.pool"
local pull = require "braid.cluster.pull"
local results = require "braid.cluster.results"
local wire = require "braid.cluster.wire"

local M = {}

local BEAT = home_of.BEAT
local TELL = 0.02 -- seconds after which the submitter is told that a job runs
local AHEAD = 0.02 -- seconds of work that is fetched ahead
local MOST_AHEAD = 256
local CLASSES = 5 -- seconds between looks for new kinds of jobs
local STALE = 1 -- seconds that a fetched job waits here before it goes back, while others may be free
local MOST_POOLS = 8
local MOST_RECENT = 10000

---@class braid.cluster.Worker
---@field private _held table<string, table> job id -> its record
---@field private _count integer of these
---@field private _running integer
local Worker = {}
Worker.__index = Worker

-- ---- local pools ----------------------------------------------------------------------------------------------------

-- A pool of this machine has the same limits for all of its jobs: there is one for each pair of limits.
local function pool_for(self, job)
  local key = ("%s %s"):format(job.time_limit, job.memory_limit)
  local pool = self._pools[key]
  if pool then return pool end
  local other, old = next(self._pools)
  if self._pool_count >= MOST_POOLS then
    old:shutdown { wait = false }
    self._pools[other] = nil
  else
    self._pool_count = self._pool_count + 1
  end
  pool = pools.pool(self._kind, {
    workers = self._slots, time_limit = job.time_limit, memory_limit = job.memory_limit, name = "cluster",
    init = inside.prepare, init_args = { self._cluster.settings },
  })
  self._pools[key] = pool
  return pool
end

-- ---- the end of a job -----------------------------------------------------------------------------------------------

-- Remembers the last jobs that have ended: a message that comes twice is not run again.
local function remember(self, id)
  self._recent[id] = true
  self._recent_count = self._recent_count + 1
  if self._recent_count < MOST_RECENT then return end
  self._before, self._recent, self._recent_count = self._recent, {}, 0
end

local function acknowledge(self, record, how)
  self._held[record.id] = nil
  if not how then remember(self, record.id) end
  self._count = self._count - 1
  self._cluster.link:publish(record.ack, nil, how or "+ACK")
  for _, each in ipairs(self._pulls) do each:ask() end
end

-- The bytes of the news that end a job. Large results are put into pieces. Suspends for what the servers do not have.
local function news_of(self, record, what, boxes, bytes)
  local cluster = self._cluster
  local packed = cluster.cargo:pack(boxes)
  if cluster.pieces:is_large(#packed + #bytes) then
    what, bytes, packed = what + home_of.IN_PIECES, cluster.pieces:put_news(packed, bytes), ""
  end
  return wire.pack_news(record.id, what, record.try, self.id, packed, bytes, record.seconds)
end

-- Until servers have it: its message stays here so long. Suspends.
local function keep_result(self, record, news)
  while not self.ended do
    local ok, err = pcall(results.keep, self._cluster, record.id, news)
    if ok then return end
    if errors.is_echo(err) then core.rethrow(err) end
    core.sleep(STALE)
  end
end

local function send_end(self, record, what, boxes, bytes)
  local plain = record.ttl == 0 and not boxes and not self._cluster.pieces:is_large(#bytes)
  local function send()
    local ok, news = pcall(news_of, self, record, what, boxes, bytes)
    if not ok then
      if errors.is_echo(news) then core.rethrow(news) end
      local sorry = core.freeze("error", errors.is_error(news) and news
        or errors.new("not_sendable", errors.text(news)))
      news = news_of(self, record, wire.FAILED, nil, sorry)
    end
    if record.ttl > 0 then keep_result(self, record, news) end
    self._courier:send(record.home, news, function() acknowledge(self, record) end)
  end
  if plain then send() else link_of.start(send) end
end

-- Why an error cannot be sent; nil: it can.
local function why_not(value)
  local ok, err = pcall(core.freeze, "error", value)
  return not ok and err or nil
end

local function send_failure(self, record, err, traceback)
  if why_not(err) then
    local rest = type(err) == "table" and excerpt.of(err, why_not)
    err = rest and not why_not(rest) and rest or errors.new("not_sendable", errors.text(err))
  end
  local bytes, boxes = core.freeze("error", err, traceback)
  self._failed = self._failed + 1
  send_end(self, record, wire.FAILED, boxes, bytes)
end

-- A local process has died under the job: it counts as a try.
local function try_again(self, record, err)
  if record.try - record.returns < record.max_tries then
    return acknowledge(self, record, "-NAK")
  end
  self._failed = self._failed + 1
  send_end(self, record, wire.DIED, nil, errors.text(err))
end

-- How long a job takes a slot: from the pauses between ends while all slots are in use, else from its own time.
local function learn(self, seconds, now)
  if self._running > self._slots then seconds = (now - self._ended) * self._slots end
  self._ended = now
  self._seconds = math.max(1e-6, self._seconds * 0.8 + seconds * 0.2)
end

local function finish(self, record)
  local future = record.future
  local state = future:_state()
  local now = core.now()
  record.seconds = now - record.began
  learn(self, record.seconds, now)
  self._running = self._running - 1
  if record.dropped then return acknowledge(self, record, record.nak and "-NAK" or nil) end
  if state == "done" then
    self._done = self._done + 1
    local bytes, boxes = future:result()
    send_end(self, record, wire.DONE, boxes, bytes)
  elseif state == "cancelled" then
    send_end(self, record, wire.CANCELLED, nil, "")
  else
    local err, traceback = future:error(), future:traceback()
    if errors.is_error(err, "worker_died") and not err.cluster then return try_again(self, record, err) end
    send_failure(self, record, err, traceback)
  end
end

-- ---- a job ----------------------------------------------------------------------------------------------------------

local function start(self, record, job)
  local cluster = self._cluster
  if job.flags & wire.PIECES ~= 0 then
    job.cargo, job.bytes = cluster.pieces:unpack_news(job.bytes)
  end
  local boxes = cluster.cargo:unpack(job.cargo)
  if record.dropped or self._held[record.id] ~= record then return end
  record.began = core.now()
  self._running = self._running + 1
  record.future = pool_for(self, job)._core:submit_frozen(job.bytes, boxes)
  record.future:on_done(function() finish(self, record) end)
end

-- Whether the submitter need not be asked: the job may run more than once, and was not delivered too often.
local function is_free(record)
  return record.try <= record.max_tries and (record.max_tries > 1 or record.ttl > 0)
end

-- A job that runs at most once begins when the submitter has noted that. Of others, which were delivered more often
-- than they may run, the submitter knows how often they came back unbegun.
local function may_run(self, record)
  if is_free(record) then return true end
  local answer = self._courier:ask(record.home, record.id)
  if answer == "-" then return false, "+TERM" end
  if not answer and record.ttl == 0 then return false, "-NAK" end
  record.returns = math.tointeger(tonumber(answer or "")) or 0
  return record.try - record.returns <= record.max_tries
end

local function begin(self, record, job)
  local ok, err, place = errors.try(function()
    local may, how = may_run(self, record)
    if may then return start(self, record, job) end
    if how then return acknowledge(self, record, how) end
    send_end(self, record, wire.DIED, nil,
      ("the workers that had this job were lost, %d times"):format(record.try - record.returns - 1))
  end)
  if ok then return end
  if errors.is_echo(err) then core.rethrow(err, place) end
  send_failure(self, record, err, place)
end

-- "$JS.ACK.stream.consumer.delivered.sequence...": how often it was delivered.
local function try_of(ack) return math.tointeger(tonumber(ack:match("^%$JS%.ACK%.[^.]+%.[^.]+%.(%d+)%.") or "1")) end

local function sequence_of(ack) return ack:match("^%$JS%.ACK%.[^.]+%.[^.]+%.%d+%.(%d+)%.") end

local function refuse(self, ack, reason, unsigned)
  local id, home = wire.peek_job(unsigned)
  if id then self._courier:refuse(home, id, self.id, reason) end
  self._cluster.link:publish(ack, nil, "+TERM")
  io.stderr:write(("braid worker: refused a job: %s\n"):format(reason))
end

local function take(self, ack, message)
  local body, reason, unsigned = self._cluster.wire:open("job", message)
  if not body then return refuse(self, ack, reason, unsigned) end
  local job = wire.unpack_job(body)
  local held = self._held[job.id]
  if held and held.sequence == sequence_of(ack) then -- delivered again, because we were slow: what is held goes on
    held.ack = ack
    return
  end
  if held or self._recent[job.id] or self._before[job.id] then
    return self._cluster.link:publish(ack, nil, "+TERM")
  end
  if job.ttl == 0 and self._courier:is_dead(job.home) then return self._cluster.link:publish(ack, nil, "+TERM") end
  local record = {
    id = job.id, ack = ack, sequence = sequence_of(ack), home = job.home, try = try_of(ack), returns = 0,
    max_tries = job.max_tries, ttl = job.ttl, since = core.now(),
  }
  self._held[job.id] = record
  self._count = self._count + 1
  if self._count == 1 then self._busy:set() end
  if self._draining then return self:give_back(record) end
  local plain = is_free(record) and job.flags & wire.PIECES == 0
    and self._cluster.cargo:is_here(job.cargo)
  if plain then begin(self, record, job) else link_of.start(begin, self, record, job) end
end

---A job that was only fetched goes back to the stream.
---@param record table of `_held`
function Worker:give_back(record)
  record.dropped = true
  self._courier:send(record.home, wire.pack_news(record.id, wire.RETURNED, record.try, self.id))
  acknowledge(self, record, "-NAK")
end

local function has_begun(record) return record.future ~= nil and record.future:running() end

local function cancel(self, id)
  local record = self._held[id]
  if not record then return remember(self, id) end -- it is still under way, or another worker's
  if record.dropped then return end
  record.dropped = true
  if record.future and not record.future:done() then record.future:cancel() else acknowledge(self, record) end
end

-- ---- from time to time ----------------------------------------------------------------------------------------------

local function room(self)
  if self._draining then return 0 end
  local ahead = math.min(MOST_AHEAD, self._slots * AHEAD / math.max(self._seconds, 1e-9)) // 1 | 0
  return math.max(0, self._slots + ahead - self._count)
end

-- Tells the submitters which jobs run, as soon as they are not short.
local function tell_begun(self)
  while not self.ended do
    if self._count == 0 then
      self._busy:wait()
      self._busy:clear()
    end
    core.sleep(TELL)
    local now = core.now()
    for _, record in pairs(self._held) do
      if not record.told and record.began and now - record.began >= TELL and has_begun(record) then
        record.told = true
        self._courier:send(record.home, wire.pack_news(record.id, wire.BEGUN, record.try, self.id))
      end
    end
  end
end

local function beat(self, leaving)
  local told = {
    id = self.id, host = self._host, pid = self._pid, pool = self._kind, slots = self._slots, running = self._running,
    fetched = self._count - self._running, done = self._done, failed = self._failed, tags = self._tags,
    since = self._since, format = wire.FORMAT, draining = self._draining or false, leaving = leaving,
  }
  local cluster = self._cluster
  cluster.link:publish(cluster.streams:subject("here"), nil, cluster.wire:seal("here", core.json_encode(told)))
end

-- What it has in its hands.
local function tell_held(self, reply)
  local list = setmetatable({}, core.List)
  for id, record in pairs(self._held) do
    list[#list + 1] = { id = id, try = record.try, running = has_begun(record), worker = self.id }
  end
  self._cluster.link:publish(reply, nil, self._cluster.wire:seal("held", core.json_encode(list)))
end

-- Says of each job that it goes on; gives those back that wait for long; cancels those of lost submitters.
local function look_at_jobs(self)
  local homes, now, list = {}, core.now(), {}
  for _, record in pairs(self._held) do list[#list + 1] = record end
  for _, record in ipairs(list) do
    if record.ttl == 0 then homes[record.home] = true end
    if record.ttl == 0 and self._courier:is_dead(record.home) then
      cancel(self, record.id)
    elseif record.future and not has_begun(record) and not record.future:done() and now - record.since > STALE then
      record.dropped = true
      record.future:cancel()
      self._courier:send(record.home, wire.pack_news(record.id, wire.RETURNED, record.try, self.id))
      record.nak = true
    else
      self._cluster.link:publish(record.ack, nil, "+WPI")
    end
  end
  self._courier:look(homes)
end

local function keep_alive(self)
  while not self.ended do
    beat(self)
    look_at_jobs(self)
    for _, each in ipairs(self._pulls) do each:look() end
    core.sleep(BEAT)
  end
end

-- ---- which jobs -----------------------------------------------------------------------------------------------------

-- Whether this worker has what the jobs of a consumer require.
local function has_tags(self, text)
  for tag, value in (text or ""):gmatch("([^=\n]+)=([^\n]*)") do
    if tostring(self._tags[tag]) ~= value then return false end
  end
  return true
end

local function open_pull(self, what, consumer)
  local name = self._cluster.streams:name(what)
  local key = name .. " " .. consumer.name
  if self._known[key] or not has_tags(self, consumer.config.description) then return end
  self._known[key] = true
  self._pulls[#self._pulls + 1] = pull.open(self._cluster.link, name, consumer.name, {
    take = function(ack, body) take(self, ack, body) end,
    room = function() return room(self) end,
    missing = function() self:look_for_classes() end,
  })
end

---Looks for kinds of jobs that this worker can run. Suspends.
function Worker:look_for_classes()
  local cluster = self._cluster
  cluster:prepare_jobs(cluster.streams.file and "jobs_file" or "jobs_memory", {})
  for _, storage in ipairs { "memory", "file" } do
    local what = "jobs_" .. storage
    for _, consumer in ipairs(jetstream.consumers(cluster.link, cluster.streams:name(what))) do
      if self._draining then return end
      open_pull(self, what, consumer)
    end
  end
end

local function watch_classes(self)
  while not self.ended do
    self._classes:wait(CLASSES)
    self._classes:clear()
    if not self._draining then pcall(self.look_for_classes, self) end
  end
end

-- ---- its life -------------------------------------------------------------------------------------------------------

---Takes no more jobs, ends what has begun, and gives the rest back. Suspends.
function Worker:drain()
  if self._draining then return end
  self._draining = true
  for _, each in ipairs(self._pulls) do each:stop() end
  beat(self)
  local list = {}
  for _, record in pairs(self._held) do list[#list + 1] = record end
  for _, record in ipairs(list) do
    if record.future and not has_begun(record) and not record.future:done() then
      record.dropped, record.nak = true, true
      record.future:cancel()
      self._courier:send(record.home, wire.pack_news(record.id, wire.RETURNED, record.try, self.id))
    end
  end
  while self._count > 0 or not self._courier:is_idle() do core.sleep(0.01) end
end

---Ends it. Suspends.
function Worker:close()
  if self.ended then return end
  self.ended = true
  beat(self, true)
  for _, each in ipairs(self._pulls) do each:close() end
  for _, task in ipairs(self._tasks) do task:cancel() end
  for _, each in pairs(self._pools) do each:shutdown { wait = false, cancel_pending = true } end
  self._cluster:close()
end

---The address of the server that it is connected to.
---@return string?
function Worker:server() return self._cluster.link:server() end

---Waits until its servers refuse it, for good. Returns why. Suspends.
---@return string
function Worker:lost()
  self._cluster.link.over:wait()
  return self._cluster.link.refusal
end

local function hostname()
  local file <close> = io.open("/proc/sys/kernel/hostname")
  return file and file:read("l") or "unknown"
end

---Starts a worker: it serves until `drain`. Suspends.
---@param settings table of the cluster, checked
---@param opts { id: string?, kind: string, slots: integer, tags: table<string, string> }
---@return braid.cluster.Worker
function M.start(settings, opts)
  local cluster = cluster_of.open(settings)
  local self = setmetatable({
    _cluster = cluster, _courier = courier.new(cluster.link, cluster.wire, cluster.streams), _held = {}, _count = 0,
    _running = 0, _done = 0, _failed = 0, _seconds = AHEAD * opts.slots, _ended = core.now(), _pools = {},
    _pool_count = 0, _pulls = {}, _recent = {}, _before = {}, _recent_count = 0,
    _known = {}, _kind = opts.kind, _slots = opts.slots, _tags = opts.tags, _host = hostname(), _pid = core.pid(),
    _since = os.time(), _classes = core.event_new(), _busy = core.event_new(),
  }, Worker)
  self.id = opts.id or ("%s-%d-%s"):format(self._host, self._pid, cluster.link.id:sub(1, 4))
  local link, streams = cluster.link, cluster.streams
  link:subscribe(streams:subject("cancel"), function(_, _, _, body)
    local id = cluster.wire:open("cancel", body)
    if id then cancel(self, id) end
  end)
  link:subscribe(streams:subject("ask"), function() beat(self) end)
  link:subscribe(streams:subject("held"), function(_, _, reply) tell_held(self, reply) end)
  link:subscribe(streams:subject("classes"), function() self._classes:set() end)
  self:look_for_classes()
  self._tasks = { daemon.start(keep_alive, self), daemon.start(tell_begun, self), daemon.start(watch_classes, self) }
  return self
end

return M
