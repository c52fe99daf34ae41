-- SPDX-License-Identifier: MIT
--- braid cluster ...: tells what a cluster does.

local braid = require "braid"
local cluster_of = require "braid.cluster"
local connection = require "braid.command.connection"
local options = require "braid.command.options"

local M = { summary = "tell what the workers of a cluster do" }

M.usage = [[
usage: braid cluster status [OPTION ...]    workers, slots, jobs
       braid cluster jobs [OPTION ...]      the jobs that have not ended
       braid cluster purge [OPTION ...]     takes away the jobs that no worker has; they end as cancelled

]] .. connection.USAGE

local ACTIONS = {}

local function ago(since)
  local seconds = math.max(0, os.time() - since)
  if seconds < 120 then return ("%d s"):format(seconds) end
  return seconds < 7200 and ("%d min"):format(seconds // 60) or ("%d h"):format(seconds // 3600)
end

local function tags_text(tags)
  local list = {}
  for key, value in pairs(tags or {}) do list[#list + 1] = ("%s=%s"):format(key, value) end
  table.sort(list)
  return table.concat(list, " ")
end

function ACTIONS.status(cluster)
  local workers, stats = cluster:workers(), cluster:stats()
  print(("cluster %s at %s: %d workers, %d slots; %d jobs queued, %d fetched, %d running"):format(cluster.name,
    cluster.link:server(), stats.workers, stats.slots, stats.queued, stats.fetched, stats.running))
  if #workers == 0 then return end
  print(("%-32s %-9s %5s %7s %7s %9s %7s %8s  %s"):format("worker", "pool", "slots", "running", "fetched", "done",
    "failed", "since", "tags"))
  for _, each in ipairs(workers) do
    print(("%-32s %-9s %5d %7d %7d %9d %7d %8s  %s%s"):format(each.id, each.pool, each.slots, each.running,
      each.fetched, each.done, each.failed, ago(each.since), tags_text(each.tags), each.draining and "draining" or ""))
  end
end

function ACTIONS.jobs(cluster)
  local jobs = cluster:jobs()
  print(("%-44s %-10s %5s %9s  %s"):format("job", "pool", "tries", "age", "worker"))
  for _, job in ipairs(jobs) do
    print(("%-44s %-10s %5d %9s  %s"):format(job.id, job.pool or "-", job.tries, ago(job.since), job.worker or "-"))
  end
end

function ACTIONS.purge(cluster)
  print(("%d jobs were taken away"):format(cluster:purge()))
end

function M.main(words)
  local given, rest = options.read(words, connection.KNOWN)
  local action = ACTIONS[rest[1] or ""]
  if not action or rest[2] then
    io.stderr:write(M.usage)
    return 2
  end
  braid.run(function()
    local cluster <close> = cluster_of.open(connection.settings(given))
    action(cluster)
  end)
  return 0
end

return M
