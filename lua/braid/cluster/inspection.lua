-- SPDX-License-Identifier: MIT
-- What a cluster does: its workers, its numbers, its jobs; and taking jobs away.
local core = require "braid.core"
local jetstream = require "braid.cluster.jetstream"
local wire = require "braid.cluster.wire"

local M = {}

local ASK = 0.3 -- seconds that the workers have to answer
local STORAGES = { "memory", "file" }

---The workers that are there. Suspends.
---@param cluster braid.cluster.Cluster
---@return table[]
function M.workers(cluster)
  cluster.home:ask_workers()
  core.sleep(ASK)
  local list = {}
  for _, worker in pairs(cluster.home.workers) do list[#list + 1] = worker end
  table.sort(list, function(a, b) return a.id < b.id end)
  return setmetatable(list, core.List)
end

---Numbers of the whole cluster. Suspends.
---@param cluster braid.cluster.Cluster
---@return { workers: integer, slots: integer, queued: integer, running: integer, fetched: integer }
function M.stats(cluster)
  local stats = { workers = 0, slots = 0, queued = 0, running = 0, fetched = 0 }
  for _, worker in ipairs(M.workers(cluster)) do
    stats.workers, stats.slots = stats.workers + 1, stats.slots + worker.slots
    stats.running, stats.fetched = stats.running + worker.running, stats.fetched + worker.fetched
  end
  for _, storage in ipairs(STORAGES) do
    for _, consumer in ipairs(jetstream.consumers(cluster.link, cluster.streams:name("jobs_" .. storage))) do
      stats.queued = stats.queued + consumer.num_pending
    end
  end
  return stats
end

-- Job id -> what its worker tells of it.
local function held_jobs(cluster)
  local held, link = {}, cluster.link
  local inbox = link.inbox .. "held." .. cluster:next_id(0)
  local number = link:subscribe(inbox, function(_, _, _, body)
    local text = body and cluster.wire:open("held", body) -- no body: there is no worker
    for _, each in ipairs(text and core.json_decode(text) or {}) do held[each.id] = each end
  end)
  link:publish(cluster.streams:subject("held"), inbox, "")
  core.sleep(ASK)
  link:unsubscribe(number)
  return held
end

-- Appends the jobs of one stream.
local function add_jobs(cluster, storage, held, list)
  local name = cluster.streams:name("jobs_" .. storage)
  local sequence, every = 1, cluster.streams:subject("jobs", storage, ">")
  if not jetstream.stream(cluster.link, name) then return end
  while true do
    local message, at = jetstream.next(cluster.link, name, every, sequence)
    if not message then return end
    sequence = at + 1
    local body = cluster.wire:open("job", message)
    if body then
      local job = wire.unpack_job(body)
      local worker = held[job.id]
      list[#list + 1] = {
        id = job.id, pool = job.name, storage = storage, sequence = at, since = job.since, detached = job.ttl > 0,
        tries = worker and worker.try or 0, worker = worker and worker.worker,
        running = worker ~= nil and worker.running or false,
      }
    end
  end
end

---The jobs that have not ended, the oldest first: a list of { id, pool, storage, sequence, since, detached, tries,
---worker, running }. Suspends.
---@param cluster braid.cluster.Cluster
---@return table[]
function M.jobs(cluster)
  local list, held = {}, held_jobs(cluster)
  for _, storage in ipairs(STORAGES) do add_jobs(cluster, storage, held, list) end
  return setmetatable(list, core.List)
end

---Takes away the jobs that no worker has; they end as cancelled. Returns how many. Suspends.
---@param cluster braid.cluster.Cluster
---@return integer count
function M.purge(cluster)
  local gone = {}
  for _, job in ipairs(M.jobs(cluster)) do
    local stream = cluster.streams:name("jobs_" .. job.storage)
    if not job.worker and jetstream.delete(cluster.link, stream, job.sequence) then gone[#gone + 1] = job.id end
  end
  for first = 1, #gone, 1000 do
    local some = table.concat(gone, "\n", first, math.min(first + 999, #gone))
    cluster.link:publish(cluster.streams:subject("purged"), nil, cluster.wire:seal("purge", some))
  end
  return #gone
end

return M
