-- SPDX-License-Identifier: MIT
-- queue.lua SIZE PRODUCERS CONSUMERS int|str N: items/s through one queue between tasks of one loop.
local braid = require "braid"
local size, producers, consumers = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local kind, n = arg[4], tonumber(arg[5])

local function report(metric, value)
  local name, impl = os.getenv "BENCH_NAME" or "queue", os.getenv "BENCH_IMPL" or "braid"
  print(("%s\t%s\t%s\t%.6g"):format(name, impl, metric, value))
end

local function produce(queue, count)
  local text = ("x"):rep(1024)
  for i = 1, count do queue:put(kind == "int" and i or text) end
end

local function consume(queue)
  local count = 0
  for _ in queue:items() do count = count + 1 end
  return count
end

braid.run(function()
  local queue, start = braid.queue(size), braid.now()
  local ends, makers = {}, {}
  for i = 1, consumers do ends[i] = braid.spawn(consume, queue) end
  for i = 1, producers do makers[i] = braid.spawn(produce, queue, n // producers) end
  braid.wait(makers)
  queue:close()
  local count = 0
  for _, task in ipairs(ends) do count = count + task:result() end
  assert(count == n // producers * producers)
  report("items_per_s", n / (braid.now() - start))
end)
