-- SPDX-License-Identifier: MIT
-- Rows S29-S33: a producer and two consumers on a queue with room for ten: the same functions as tasks of one thread,
-- in three threads, or in three processes. The first form ends by closing the queue; `--form sentinel` as the document
-- does, by a value that stands for the end.
--   lua5.4 examples/pipeline.lua [--model tasks|threads|processes] [--form close|sentinel] [--count 10] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { model = "tasks", form = "close", count = 10 }
local sentinel = options.form == "sentinel"
local produced, consumed = tour.words.produced, tour.words.consumed

local function producer(queue, count)
  for _ = 1, count do
    local item = math.random(1, 100)
    queue:put(item)
    print(produced:format(item))
    braid.sleep(0.1)
  end
  if sentinel then queue:put(braid.null) else queue:close() end
end

local function consumer(queue, name)
  local count = 0
  for item in queue:items() do
    if item == braid.null then
      queue:put(item) -- for the other consumers; one stays behind in the queue, which close() would not leave
      break
    end
    print(consumed:format(name, item))
    braid.sleep(0.2)
    queue:task_done()
    count = count + 1
  end
  return count
end

braid.run(function()
  local queue = braid.queue(10)
  local pool <close> = braid.pool(options.model, 3)
  local start = braid.now()
  local results = braid.gather {
    pool:submit(producer, queue, options.count),
    pool:submit(consumer, queue, "C1"),
    pool:submit(consumer, queue, "C2"),
  }
  print(("%d produced, %d consumed, %.1f s"):format(options.count, results[2] + results[3], braid.now() - start))
end)

-- 生产 57
--  [C1] 消费 57
-- 生产 12
--  [C2] 消费 12
-- ...
-- 10 produced, 10 consumed, 1.1 s
