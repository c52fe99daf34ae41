-- SPDX-License-Identifier: MIT
-- A queue between tasks of one loop, between threads or between processes, in the form that the peers' runner expects:
--   queue.lua SIZE PRODUCERS CONSUMERS int|str N [tasks|threads|processes]    without arguments: room 10 and 1024,
--                                                                             integers, one to one, all models
-- Prints BENCH_NAME, BENCH_IMPL, items_per_s and value, separated by tabs.
local braid = require "braid"

-- The two functions are the same for all models; threads and processes get them as jobs.
local function produce(queue, kind, count)
  local text = ("x"):rep(1024)
  for i = 1, count do queue:put(kind == "int" and i or text) end
end

local function consume(queue)
  local count = 0
  for _ in queue:items() do count = count + 1 end
  return count
end

local function measure(size, producers, consumers, kind, n, model)
  local pool <close> = braid.pool(model, { workers = producers + consumers })
  for i = 1, producers + consumers do pool:submit(math.abs, i) end
  local queue, start = braid.queue(size), braid.now()
  local ends, makers = {}, {}
  for i = 1, consumers do ends[i] = pool:submit(consume, queue) end
  for i = 1, producers do makers[i] = pool:submit(produce, queue, kind, n // producers) end
  braid.wait(makers)
  queue:close()
  local count = 0
  for _, future in ipairs(ends) do count = count + future:result() end
  assert(count == n // producers * producers)
  local name = os.getenv "BENCH_NAME" or ("q%d_%dx%d_%s"):format(size, producers, consumers, kind)
  local impl = os.getenv "BENCH_IMPL" or "braid_" .. model
  print(("%s\t%s\titems_per_s\t%.6g"):format(name, impl, n / (braid.now() - start)))
end

braid.run(function()
  if arg[1] then
    local size, producers, consumers, n = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[5])
    return measure(size, producers, consumers, arg[4], n, arg[6] or "tasks")
  end
  for _, model in ipairs { "tasks", "threads", "processes" } do
    for _, size in ipairs { 10, 1024 } do measure(size, 1, 1, "int", 2000000, model) end
  end
end)
