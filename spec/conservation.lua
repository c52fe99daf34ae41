-- SPDX-License-Identifier: MIT
-- A stress of queues: tasks, threads, worker processes and workers of workers put and get, give up at random, are
-- cancelled and killed, and the queue is closed under them. Every item must come out, and where nobody was killed once.
-- usage: lua spec/conservation.lua SECONDS [SEED]
local braid = require "braid"
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local M = {}

-- Puts id .. ":" .. number until `stop` is set; tells how many.
local function put(queue, stop, id, seed)
  local state, count = seed, 0
  local function random(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return (state >> 8) % n
  end
  while not stop:is_set() do
    local item = id .. ":" .. (count + 1)
    if random(4) == 0 then item = { item } end
    local ok, err
    if random(8) == 0 then
      ok, err = queue:try_put(item)
    elseif random(3) == 0 then
      ok, err = queue:put(item, random(200) / 1e5)
    else
      ok, err = queue:put(item, 5)
    end
    if ok then count = count + 1 elseif err.kind == "closed" then break end
  end
  return count
end

-- Hands every item on until the queue is closed and drained, in `tasks` tasks.
local function get(queue, results, tasks, seed)
  local b = require "braid"
  b.scope(function(scope)
    for i = 1, tasks do
      scope:spawn(function()
        local state = seed + i
        local function random(n)
          state = (state * 1103515245 + 12345) % 2147483648
          return (state >> 8) % n
        end
        while true do
          local item, err
          if random(8) == 0 then
            item, err = queue:try_get()
          else
            item, err = queue:get(random(3) == 0 and random(200) / 1e5 or nil)
          end
          if item then
            b.shield(results.put, results, type(item) == "table" and item[1] or item)
          elseif err.kind == "closed" then
            return
          end
        end
      end)
    end
  end)
end

local function nested(fn, ...)
  local inner <close> = require "braid".process_pool { workers = 1, tasks_per_worker = 2 }
  return inner:submit(fn, ...):result()
end

local function pick(list) return list[math.random(#list)] end

local function start(round, executor, deep, kind, id)
  local seed = math.random(1 << 30)
  if kind == "put" then
    local fn, args = put, { round.queue, round.stop, id, seed }
    if deep then fn, args = nested, { put, table.unpack(args) } end
    return { future = executor:submit(fn, table.unpack(args)), id = id }
  end
  local tasks = math.random(6)
  local fn, args = get, { round.queue, round.results, tasks, seed }
  if deep then fn, args = nested, { get, table.unpack(args) } end
  return { future = executor:submit(fn, table.unpack(args)), id = id, tasks = tasks }
end

-- Reads "id:number" items into seen[id][number] = how often.
local function collect(results, seen)
  for item in results:items() do
    local id, number = item:match("^(%w+):(%d+)$")
    assert(id, "an item is broken: " .. tostring(item))
    seen[id] = seen[id] or {}
    seen[id][tonumber(number)] = (seen[id][tonumber(number)] or 0) + 1
  end
end

-- Computing code is stopped wherever it stands: a getter that was cancelled may have had one item in each of its tasks.
local function most_lost(round)
  local most = 0
  for _, getter in ipairs(round.getters) do
    local err = getter.future:error()
    assert(not err or braid.is_error(err, "worker_died") or braid.is_error(err, "cancelled"), tostring(err))
    if err then most = most + getter.tasks end
  end
  return most
end

local function check(round, seen, killed)
  local lost = {}
  for _, putter in ipairs(round.putters) do
    local numbers, most = seen[putter.id] or {}, 0
    for number, times in pairs(numbers) do
      most = math.max(most, number)
      assert(times == 1 or killed, ("%s:%d came %d times"):format(putter.id, number, times))
    end
    local state = putter.future:state()
    if state == "done" then
      local count = putter.future:result()
      assert(most <= count, ("%s put %d items, and number %d came out"):format(putter.id, count, most))
      most = count
    else
      local err = putter.future:error()
      assert(braid.is_error(err, "worker_died") or braid.is_error(err, "cancelled"), tostring(err))
    end
    for number = 1, most do
      if not numbers[number] then lost[#lost + 1] = putter.id .. ":" .. number end
    end
    round.total = round.total + most
  end
  local most = most_lost(round)
  assert(#lost <= most, ("%d items were lost where %d may be: %s"):format(#lost, most, table.concat(lost, " ", 1,
    math.min(#lost, 20))))
end

local rooms = { 0, 1, 2, 10, 100, 1000 }

-- Kills a worker, or cancels somebody, now and then. Returns whether somebody was killed.
local function trouble(round, pool, kills, seconds)
  local killed, deadline = false, braid.now() + seconds
  while braid.now() < deadline do
    braid.sleep(math.random() * seconds / 4)
    local choice = math.random(4)
    if choice == 1 then
      pick(math.random(2) == 1 and round.putters or round.getters).future:cancel()
    elseif choice == 2 and kills then
      local pid = pick(pool:pids())
      if pid then
        killed = true
        os.execute("kill -KILL " .. pid .. " 2>/dev/null")
      end
    end
  end
  return killed
end

---One round: everybody works for so many seconds, then the queue is closed and drained.
function M.round(seconds, kills)
  local round = { queue = braid.queue(pick(rooms)), results = braid.queue(), stop = braid.event(), putters = {},
    getters = {}, total = 0 }
  local seen = {}
  local collector = braid.spawn(collect, round.results, seen)
  local threads <close> = braid.thread_pool { workers = 2, tasks_per_worker = 8 }
  local tasks <close> = braid.task_pool(16)
  local processes <close> = braid.process_pool { workers = 2, tasks_per_worker = 8 }
  local executors = { threads, tasks, processes }
  for i = 1, 6 do
    local executor = executors[i % 3 + 1]
    local deep = executor == processes and math.random(4) == 1
    round.putters[i] = start(round, executor, deep, "put", "p" .. i)
    round.getters[i] = start(round, executor, deep, "get", "g" .. i)
  end
  local killed = trouble(round, processes, kills, seconds)
  round.stop:set()
  for _, putter in ipairs(round.putters) do assert(putter.future:wait(30), putter.id .. " does not end") end
  -- Getters may all be gone: these get what is left.
  round.getters[#round.getters + 1] = start(round, tasks, false, "get", "last")
  round.queue:close()
  for _, getter in ipairs(round.getters) do assert(getter.future:wait(30), getter.id .. " does not end") end
  round.results:close()
  assert(collector:wait(30), "the collector does not end")
  check(round, seen, killed)
  return round.total
end

---Rounds for so many seconds; how many, and how many items went through.
function M.run(seconds, seed)
  math.randomseed(seed)
  return braid.run(function()
    local deadline, rounds, items = braid.now() + seconds, 0, 0
    repeat
      rounds = rounds + 1
      items = items + M.round(0.3, rounds % 2 == 0)
    until braid.now() >= deadline
    return rounds, items
  end)
end

if arg and arg[0] and arg[0]:find("conservation.lua$") then
  local seed = tonumber(arg[2]) or os.time()
  print("seed " .. seed)
  print(("%d rounds, %d items, none lost"):format(M.run(tonumber(arg[1]) or 10, seed)))
end

return M
