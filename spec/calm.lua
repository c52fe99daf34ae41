-- SPDX-License-Identifier: MIT
-- A stress of the search for deadlocks: tasks, threads, worker processes and their own worker processes wait for each
-- other in many ways, most of the time all but one of them, and every wait ends at last. So no deadlock may be found.
-- usage: lua spec/calm.lua SECONDS [SEED]
local braid = require "braid"
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local M = {}

-- A pause of up to `most` seconds; often just about as long as the search needs.
local function pause(most)
  local draw = math.random()
  return draw < 0.2 and 0 or draw < 0.5 and 0.3 + math.random() * 0.5 or math.random() * most
end

-- A pool whose jobs run in worker processes of worker processes.
local function beyond(processes)
  local function relay(fn, ...)
    local pool <close> = require("braid").process_pool(1)
    return pool:submit(fn, ...):result()
  end
  return { submit = function(_, fn, ...) return processes:submit(relay, fn, ...) end }
end

-- A shared object, which a worker process has made now and then.
local function make(pools, class, ...)
  if math.random() < 0.7 then return braid[class](...) end
  return pools[2]:submit(function(...) return require("braid")[class](...) end, ...):result()
end

-- One token goes around; all wait for it but one.
local function pass(from, to, rounds, seed)
  math.randomseed(seed)
  for _ = 1, rounds do
    local token = from:get()
    if not token then return end
    require("braid").sleep(pause(1.5))
    to:put(token)
  end
end

local WAYS = {}

function WAYS.ring(pools)
  local count, rounds, queues = math.random(2, 5), math.random(1, 3), {}
  for i = 1, count do queues[i] = make(pools, "queue", math.random(0, 1)) end
  local jobs = {}
  for i = 1, count do
    local pool = pools[math.random(#pools + 1)]
    local from, to, seed = queues[i], queues[i % count + 1], math.random(1 << 30)
    jobs[i] = pool and pool:submit(pass, from, to, rounds, seed) or braid.spawn(pass, from, to, rounds, seed)
  end
  queues[1]:put "token"
  for _, job in ipairs(jobs) do job:result() end
end

local function hold(first, second, seconds)
  local one <close> = first:hold() -- luacheck: ignore
  local other <close> = second:hold() -- luacheck: ignore
  require("braid").sleep(seconds)
end

-- Two locks, always in the same order.
function WAYS.locks(pools)
  local first, second, jobs = make(pools, "lock"), make(pools, "lock"), {}
  for i = 1, math.random(2, 4) do
    local pool = pools[math.random(#pools + 1)]
    local submit = pool and function(...) return pool:submit(...) end or braid.spawn
    jobs[i] = submit(hold, first, second, pause(1.2))
  end
  for _, job in ipairs(jobs) do job:result() end
end

-- The only reference to what is waited for is inside an item that nobody has taken yet.
function WAYS.hidden(pools)
  local requests, kept = braid.queue(), braid.dict()
  local pool = pools[math.random(#pools)]
  local server = pool:submit(function(seconds)
    local b = require "braid"
    b.sleep(seconds)
    local reply = requests:get()
    b.sleep(seconds)
    if type(reply) == "string" then reply = kept:get(reply) end
    reply:put "answer"
  end, pause(1))
  local reply = braid.queue()
  if math.random() < 0.5 then
    requests:put(reply)
  else
    kept:set("name", reply)
    requests:put "name"
  end
  reply:get()
  server:result()
end

-- Everything waits; a callback of a job wakes it.
function WAYS.callback(pools)
  local event = braid.event()
  pools[math.random(#pools)]:submit(braid.sleep, pause(1.5)):on_done(function() event:set() end)
  braid.spawn(event.wait, event):wait()
end

function WAYS.barrier(pools)
  local parties = math.random(2, 3)
  local barrier, jobs = make(pools, "barrier", parties), {}
  for i = 1, parties do
    jobs[i] = pools[math.random(#pools)]:submit(function(seconds)
      require("braid").sleep(seconds)
      return barrier:wait()
    end, pause(1.2))
  end
  for _, job in ipairs(jobs) do job:result() end
end

function WAYS.semaphore(pools)
  local semaphore, jobs = make(pools, "semaphore", 1), {}
  for i = 1, math.random(2, 4) do
    jobs[i] = pools[math.random(#pools)]:submit(function(seconds)
      local turn <close> = semaphore:hold() -- luacheck: ignore
      require("braid").sleep(seconds)
    end, pause(0.8))
  end
  for _, job in ipairs(jobs) do job:result() end
end

function WAYS.condition(pools)
  local condition, ready = braid.condition(), braid.counter()
  local waiter = pools[math.random(#pools)]:submit(function()
    local lock = condition:lock()
    local held <close> = lock:hold() -- luacheck: ignore
    while ready:get() == 0 do condition:wait() end
  end)
  braid.sleep(pause(1.2))
  ready:add(1)
  condition:lock():acquire()
  condition:notify_all()
  condition:lock():release()
  waiter:result()
end

-- A full pool: the jobs that wait are behind one that only sleeps.
function WAYS.full()
  local pool <close> = math.random() < 0.7 and braid.thread_pool(1) or braid.process_pool(1)
  local event = braid.event()
  local jobs = { pool:submit(braid.sleep, pause(1.5)), pool:submit(function() event:set() end) }
  event:wait()
  for _, job in ipairs(jobs) do job:result() end
end

function WAYS.deadline(pools)
  local queue = braid.queue()
  local job = pools[math.random(#pools)]:submit(function(seconds)
    return (require("braid").move_on_after(seconds, function() return queue:get() end))
  end, 0.1 + pause(1.2))
  job:result()
end

-- It computes, and holds what others wait for.
function WAYS.computing(pools)
  local lock, begun = braid.lock(), braid.event()
  local job = pools[math.random(#pools)]:submit(function()
    local held <close> = lock:hold() -- luacheck: ignore
    begun:set()
    local sum = 0
    for i = 1, 2e7 do sum = sum + i end
  end)
  begun:wait()
  lock:acquire()
  lock:release()
  job:result()
end

---Runs for so long. Raises if a deadlock is found.
---@param seconds number
---@param seed integer
---@return integer rounds
function M.run(seconds, seed)
  math.randomseed(seed)
  local before = braid.deadlocks "raise"
  local names, rounds = {}, 0
  for name in pairs(WAYS) do names[#names + 1] = name end
  table.sort(names)
  local began = braid.now()
  local ok, err = pcall(braid.run, function()
    repeat
      local threads <close> = braid.thread_pool(8)
      local processes <close> = braid.process_pool(8)
      braid.scope(function(scope)
        local pools = { threads, processes, beyond(processes) }
        for _ = 1, math.random(1, 3) do scope:spawn(WAYS[names[math.random(#names)]], pools) end
      end)
      rounds = rounds + 1
    until braid.now() - began > seconds
  end)
  braid.deadlocks(before)
  if not ok then error(err, 0) end
  return rounds
end

if arg and arg[0] and arg[0]:find "calm%.lua$" then
  local seconds, seed = tonumber(arg[1]) or 60, math.tointeger(tonumber(arg[2])) or os.time()
  print(("seed %d"):format(seed))
  print(("%d rounds without a deadlock"):format(M.run(seconds, seed)))
end

return M
