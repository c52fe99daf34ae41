-- SPDX-License-Identifier: MIT
--- Many machines: pools and shared objects on NATS with JetStream. Functions run on the machines where `braid worker`
--- runs.
local cargo = require "braid.cluster.cargo"
local core = require "braid.core"
local errors = require "braid.errors"
local home = require "braid.cluster.home"
local inspection = require "braid.cluster.inspection"
local jetstream = require "braid.cluster.jetstream"
local link = require "braid.cluster.link"
local objects = require "braid.cluster.objects"
local pieces = require "braid.cluster.pieces"
local pool = require "braid.cluster.pool"
local results = require "braid.cluster.results"
local settings_of = require "braid.cluster.settings"
local streams = require "braid.cluster.streams"
local wire = require "braid.cluster.wire"

local M = {}

---A cluster, as one state uses it. Close it, or hold it in a `<close>` variable.
---@class braid.cluster.Cluster
---@field name string
---@field link braid.cluster.Link
---@field wire braid.cluster.Wire
---@field streams braid.cluster.Streams
---@field cargo braid.cluster.Cargo
---@field pieces braid.cluster.Pieces
---@field home braid.cluster.Home
local Cluster = { __name = "braid.cluster" }
Cluster.__index = Cluster

-- ---- jobs -----------------------------------------------------------------------------------------------------------

---The part of a subject for jobs with these requirements, and a text that tells them.
---@param requires table<string, string>
---@return string class
---@return string text
function Cluster.class_of(requires)
  local list = {}
  for tag, value in pairs(requires) do list[#list + 1] = ("%s=%s"):format(tag, value) end
  if #list == 0 then return "any", "" end
  table.sort(list)
  local text = table.concat(list, "\n")
  local hash = settings_of.nats().digest(text):sub(1, 8)
  return "x" .. hash:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end), text
end

local ACK_WAIT = 5

---Makes the stream and the consumer for jobs with these requirements. Suspends.
---@param stream string
---@param requires table<string, string>
function Cluster:prepare_jobs(stream, requires)
  local class, text = self.class_of(requires)
  self.streams:need(stream)
  local config = {
    durable_name = class, description = text, ack_policy = "explicit", ack_wait = ACK_WAIT * jetstream.SECOND,
    max_deliver = -1, max_ack_pending = -1, deliver_policy = "all",
    filter_subject = self.streams:subject("jobs", stream:match("_(.*)$"), class),
  }
  local ok, err = jetstream.make_consumer(self.link, self.streams:name(stream), config)
  if not ok and jetstream.is_missing(err) then
    self.streams:renew(stream)
    ok, err = jetstream.make_consumer(self.link, self.streams:name(stream), config)
  end
  if not ok then core.rethrow(err) end
end

---Tells the workers that there may be jobs of another kind. Does not suspend.
function Cluster:announce_jobs() self.link:publish(self.streams:subject("classes"), nil, "") end

---An id for a new job; of a detached one it tells how long its result stays.
---@param ttl integer seconds; 0: it is not detached
---@return string
function Cluster:next_id(ttl)
  self._number = self._number + 1
  local id = ("%s.%d"):format(self.link.id, self._number)
  return ttl > 0 and ("%s.%d"):format(id, ttl) or id
end

---A pool whose jobs run on the workers of the cluster. Suspends.
---@param opts { max_tries: integer?, time_limit: number?, memory_limit: number?, backlog: integer?, detached: boolean?,
--- result_ttl: number?, chunk: integer?, name: string?, storage: ("memory"|"file")?, requires: table? }? max_tries:
--- how often a job may run when workers are lost, default 3; detached: jobs go on without their submitter, and their
--- results stay for `result_ttl` seconds (default 3600); requires: only workers with these tags
---@return braid.ClusterPool
function Cluster:pool(opts) return pool.new(self, opts) end

---The future of a detached job, from any process. Suspends.
---@param id string `future.id`
---@return braid.Future? future
---@return braid.Error? err kind "unknown"
function Cluster:future(id)
  if type(id) ~= "string" then
    errors.misuse(1, "bad argument 'id' to 'future' (a string expected, got %s)", errors.described(id))
  end
  return results.future(self, id)
end

-- ---- shared objects -------------------------------------------------------------------------------------------------

---A queue: each item is given to one get, of any machine. Suspends.
---@param name string
---@param opts { maxsize: integer?, durable: boolean? }? durable: in files of the servers
---@return braid.cluster.Queue
function Cluster:queue(name, opts) return objects.get(self, "queue", name, opts) end

---A dict. Suspends.
---@param name string
---@return braid.cluster.Dict
function Cluster:dict(name) return objects.get(self, "dict", name) end

---A counter. Suspends.
---@param name string
---@return braid.cluster.Counter
function Cluster:counter(name) return objects.get(self, "counter", name) end

---An event. Suspends.
---@param name string
---@return braid.cluster.Event
function Cluster:event(name) return objects.get(self, "event", name) end

---A lock. Suspends.
---@param name string
---@param opts { lease: number? }? lease: seconds after which the lock of a lost owner is free, default 10
---@return braid.cluster.Lock
function Cluster:lock(name, opts) return objects.get(self, "lock", name, opts) end

---A semaphore with n units. Suspends.
---@param name string
---@param n integer
---@param opts { lease: number? }?
---@return braid.cluster.Semaphore
function Cluster:semaphore(name, n, opts) return objects.get(self, "semaphore", name, n, opts) end

---A limiter. The clocks of the machines must agree. Suspends.
---@param name string
---@param opts { rate: number, per: number?, burst: integer? }
---@return braid.Limiter
function Cluster:limiter(name, opts) return objects.get(self, "limiter", name, opts) end

Cluster.__braid_pack = objects.refuse_to_be_sent

-- ---- what it tells --------------------------------------------------------------------------------------------------

---The workers that are there: a list of { id, host, pid, pool, slots, running, fetched, done, failed, tags, since }.
---Suspends.
---@return table[]
function Cluster:workers() return inspection.workers(self) end

---Numbers of the whole cluster; `queued`: no worker has fetched them. Suspends.
---@return { workers: integer, slots: integer, queued: integer, running: integer, fetched: integer }
function Cluster:stats() return inspection.stats(self) end

---The jobs that have not ended, the oldest first: a list of { id, pool, storage, since, detached, tries, worker,
---running }. Suspends.
---@return table[]
function Cluster:jobs() return inspection.jobs(self) end

---Takes away the jobs that no worker has; they end as cancelled. Suspends.
---@return integer count
function Cluster:purge() return inspection.purge(self) end

-- ---- opening and closing --------------------------------------------------------------------------------------------

---Ends the connection. Jobs that have not ended fail with kind "closed". Suspends.
function Cluster:close()
  if self.closed then return end
  self.closed = true
  for _, object in pairs(self.objects) do
    if object._stop then object:_stop() end
  end
  self.home:close()
  self.link:close()
end

Cluster.__close = Cluster.close

function Cluster:__tostring() return ("braid.cluster: %s"):format(self.name) end

---@private Connects with checked settings. Suspends.
---@param settings table
---@return braid.cluster.Cluster
function M.open(settings)
  local made, err = link.open(settings)
  if not made then core.rethrow(err) end
  local nats = settings_of.nats()
  local self = { name = settings.cluster, link = made, settings = settings, objects = {}, _number = 0 }
  setmetatable(self, Cluster)
  self.wire = wire.new(nats, settings.secret)
  self.streams = streams.new(made, settings)
  self.cargo = cargo.new(nats, made, self.streams)
  self.pieces = pieces.new(nats, made, self.streams)
  local ok, failed, place = errors.try(function()
    local _, refused = jetstream.ask(made, "INFO")
    if refused then core.rethrow(refused) end
    self.home = home.new(made, self.wire, self.cargo, self.pieces, self.streams)
  end)
  if ok then return self end
  made:close()
  core.rethrow(failed, place)
end

---Connects to the servers of a cluster. Raises kind "disconnected" when none answers within `patience`. Suspends.
---@param opts { servers: (string|string[])?, name: string?, secret: string?, insecure: boolean?,
--- credentials: (string|table)?, tls: (boolean|table)?, replicas: integer?, patience: number? }? servers: default
--- "nats://127.0.0.1:4222"; secret: workers run only what is signed with it; insecure: without a secret, for servers on
--- this machine; credentials: a file of NATS, or { user, password }, { token }, or { nkey, file } with the file of its
--- seed; tls: true, or { ca_file, cert, key, server_name, verify }; replicas: servers that have each message, default
--- 1; patience: seconds without a server until waits fail, default 30
---@return braid.cluster.Cluster
function M.cluster(opts) return M.open(settings_of.read("cluster", opts)) end

errors.guard(Cluster, Cluster, { class_of = true })

return M
