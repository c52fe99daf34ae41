-- SPDX-License-Identifier: MIT
-- Results of detached jobs: a stream keeps them for their time. Its message says first that the job is there, then how
-- it ended. The id of the job tells the time, so that anybody who has the id finds the stream.
local core = require "braid.core"
local errors = require "braid.errors"
local home_of = require "braid.cluster.home"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"

local M = {}

local PENDING = "pending"
local LOOK = 2 -- seconds between looks for a result, beside the news of it

local function ttl_of(id) return id:match("^%x+%.%d+%.(%d+)$") end

local function place_of(cluster, id)
  local what = "results_" .. ttl_of(id)
  return what, cluster.streams:subject("results", ttl_of(id), (id:gsub("%.", "_")))
end

local function put(cluster, id, kind, content)
  local what, subject = place_of(cluster, id)
  cluster.streams:need(what)
  local ok, err = jetstream.publish(cluster.link, subject, cluster.wire:seal(kind, content), {
    missing = function() cluster.streams:renew(what) end,
  })
  if not ok then core.rethrow(err) end
  cluster.link:publish(subject:gsub("%.results%.", ".result.", 1), nil, "")
end

---Says that the job is there. Suspends.
---@param cluster braid.cluster.Cluster
---@param id string
function M.announce(cluster, id) put(cluster, id, "result", PENDING) end

---Keeps the news that ended the job. Suspends.
---@param news string
---@param cluster braid.cluster.Cluster
---@param id string
function M.keep(cluster, id, news) put(cluster, id, "result", news) end

-- The news that ended the job; "pending"; nil: nothing is known of it.
local function look(cluster, id)
  local what, subject = place_of(cluster, id)
  local message = jetstream.last(cluster.link, cluster.streams:name(what), subject)
  return message and cluster.wire:open("result", message)
end

-- Waits for the end of a job of another process.
local function watch(cluster, job)
  local _, subject = place_of(cluster, job.id)
  local came = core.event_new()
  local number = cluster.link:subscribe(subject:gsub("%.results%.", ".result.", 1), function() came:set() end)
  while not job.over do
    local ok, news = pcall(look, cluster, job.id)
    if ok and not news then
      cluster.home:fail(job, errors.new("unknown", "cluster: nothing is known of this job any more"))
    elseif ok and news ~= PENDING then
      cluster.home:take(news)
    else
      came:wait(LOOK)
      came:clear()
    end
  end
  cluster.link:unsubscribe(number)
end

---The future of a detached job. Suspends.
---@param cluster braid.cluster.Cluster
---@param id string
---@return braid.Future? future
---@return braid.Error? err kind "unknown"
function M.future(cluster, id)
  local mine = cluster.home.jobs[id]
  if mine then return mine.task end
  local is_there = ttl_of(id) and jetstream.stream(cluster.link, cluster.streams:name((place_of(cluster, id))))
  local news = is_there and look(cluster, id)
  if not news then
    return nil, errors.new("unknown", ("cluster: nothing is known of the job %q"):format(id))
  end
  local job = { id = id, max_tries = 1, try = 0, since = core.now(), foreign = true }
  job.task = core.prepare(home_of.body, job)
  job.task.id = id
  cluster.home.jobs[id] = job
  job.task:on_done(function(task)
    if job.over or task:_state() ~= "cancelled" then return end
    job.over, cluster.home.jobs[id] = true, nil
    link_of.start(cluster.home.withdraw, cluster.home, job)
  end)
  link_of.start(watch, cluster, job)
  return job.task
end

return M
