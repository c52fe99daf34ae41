-- SPDX-License-Identifier: MIT
-- Jobs on a cluster of three servers and four workers, of which some are killed or stopped all the time. Every job must
-- be accounted for exactly once. Prints what was done when, and what came of it.
-- usage: lua5.4 spec/cluster_stress.lua [jobs] [seconds between blows]      (in the root of the tree)
local braid = require "braid"
package.loaded["spec.helper"] = { lua = arg[-1] or "lua5.4", slowness = 4 }
local nats = require "spec.nats_server"

local JOBS, PAUSE = math.tointeger(tonumber(arg[1] or 100000)), tonumber(arg[2] or 2)
local TASKS, WORKERS = 64, 4

if not nats.is_there() then
  print "there is no nats-server here, or no libnats"
  os.exit(0)
end

local began = braid.now()
local function log(...) print(("%7.2f  %s"):format(braid.now() - began, string.format(...))) io.stdout:flush() end

local workers, count = {}, 0

local function start_worker(i, url)
  count = count + 1
  workers[i] = nats.worker(url, { workers = 2, words = { "--id", ("w%d"):format(count) }, stderr = "null" })
  workers[i].id = ("w%d"):format(count)
end

-- A small disk for the second server; nil: only root can mount one.
local disk = os.tmpname()
os.remove(disk)
if not os.execute(("mkdir %s && mount -t tmpfs -o size=1g none %s 2>/dev/null"):format(disk, disk)) then
  os.remove(disk)
  disk = nil
end

-- One blow, and its end: each is over before the next one.
local BLOWS = {
  function(servers)
    local i = math.random(#workers)
    log("SIGKILL worker %s", workers[i].id)
    workers[i]:kill("KILL")
    workers[i]:wait(5)
    start_worker(i, servers.url)
  end,
  function()
    local i, seconds = math.random(#workers), math.random() * 8
    log("SIGSTOP worker %s for %.1f s", workers[i].id, seconds)
    workers[i]:kill("STOP")
    braid.sleep(seconds)
    workers[i]:kill("CONT")
  end,
  function(servers)
    local i = math.random(3)
    log("SIGKILL server %d", i)
    servers[i]:stop()
    braid.sleep(1)
    servers[i]:start()
    braid.sleep(3) -- until it has caught up: two of three must be there
  end,
  function(servers)
    local i, seconds = math.random(3), math.random() * 10
    log("SIGSTOP server %d for %.1f s", i, seconds)
    servers[i]:kill("STOP")
    braid.sleep(seconds)
    servers[i]:kill("CONT")
    braid.sleep(3)
  end,
  function(servers)
    local i = math.random(3)
    log("SIGSTOP servers but %d for 10 s: no majority", i)
    for j = 1, 3 do
      if j ~= i then servers[j]:kill("STOP") end
    end
    braid.sleep(10)
    for j = 1, 3 do servers[j]:kill("CONT") end
    braid.sleep(3)
  end,
  function(servers)
    log("SIGTERM all workers, one after the other: a rolling upgrade")
    for i, old in ipairs(workers) do
      start_worker(i, servers.url)
      old:kill("TERM")
      local ended = old:wait(30)
      if not ended or ended.code ~= 0 then log("worker %s has not drained", old.id) end
    end
  end,
  function(servers)
    if not disk then return end
    log("the disk of server 2 is full for 5 s, then it is started again")
    os.execute(("dd if=/dev/zero of=%s/filler bs=256k 2>/dev/null"):format(disk))
    braid.sleep(5)
    os.remove(disk .. "/filler")
    servers[2]:stop()
    servers[2]:start()
    braid.sleep(3)
  end,
}

local function job(i) return i end

local function run()
  local servers <close> = nats.start_three(disk and { [2] = disk .. "/store" })
  for i = 1, WORKERS do start_worker(i, servers.url) end
  local cluster <close> = braid.cluster { servers = servers.url, insecure = true, replicas = 3, patience = 60 }
  local pool <close> = cluster:pool { max_tries = 1000 }
  local blows = braid.spawn(function()
    while true do
      braid.sleep(PAUSE * (0.5 + math.random()))
      BLOWS[math.random(#BLOWS)](servers)
    end
  end):daemon()
  local outcomes, next_job, done = {}, 0, 0
  braid.scope(function(scope)
    for _ = 1, TASKS do
      scope:spawn(function()
        while next_job < JOBS do
          next_job = next_job + 1
          local i = next_job
          local future = pool:submit(job, i)
          future:on_done(function(ended)
            done = done + 1
            local text = ended:_state() == "done" and (ended:result() == i and "right" or "wrong")
              or tostring(ended:error())
            outcomes[text] = (outcomes[text] or 0) + 1
          end)
          while next_job - done > 5000 do braid.sleep(0.01) end
        end
      end)
    end
  end)
  log("all %d submitted", next_job)
  while done < JOBS do braid.sleep(0.05) end
  blows:cancel()
  for text, n in pairs(outcomes) do log("%d x %s", n, text) end
  log("%.0f jobs/s", JOBS / (braid.now() - began))
  for _, worker in ipairs(workers) do
    worker:kill("CONT")
    worker:kill("KILL")
    worker:wait(5)
  end
  return done == JOBS and outcomes.right == JOBS
end

local ok = braid.run(run)
if disk then os.execute(("umount %s; rmdir %s"):format(disk, disk)) end
print(ok and "every job was accounted for exactly once" or "JOBS ARE MISSING")
os.exit(ok and 0 or 1)
