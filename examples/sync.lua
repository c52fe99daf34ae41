-- SPDX-License-Identifier: MIT
-- Rows S39-S43: the table of primitives, each shown by what it guarantees. What they wait for is the same object
-- between tasks as, later, between threads and processes.
--   lua5.4 examples/sync.lua
local braid = require "braid"

local function show(name, expected, got)
  print(("%-10s %-46s %s"):format(name, expected, got))
end

braid.run(function()
  -- Lock: read, let others run, write. Without the lock most of the increments would be lost.
  local lock, total = braid.lock(), 0
  local function increment()
    for _ = 1, 1000 do
      local held <close> = lock:hold()
      local seen = total
      braid.checkpoint()
      total = seen + 1
    end
  end
  braid.gather { increment, increment }
  show("lock", "2 tasks x 1,000 increments = 2000", total)

  -- Semaphore: never more inside than it has turns.
  local semaphore, inside, peak = braid.semaphore(3), 0, 0
  braid.map(function()
    local turn <close> = semaphore:hold()
    inside = inside + 1
    peak = math.max(peak, inside)
    braid.sleep(0.001)
    inside = inside - 1
  end, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
  show("semaphore", "10 tasks, 3 turns: at most 3 at once", peak)

  -- Event: all who wait go on together.
  local event, woken = braid.event(), 0
  local waiters = {}
  for i = 1, 5 do
    waiters[i] = braid.spawn(function()
      event:wait()
      woken = woken + 1
    end)
  end
  braid.sleep(0.001)
  local before = woken
  event:set()
  braid.wait(waiters)
  show("event", "5 wait, then all go on", before .. ", then " .. woken)

  -- Queue: what is put comes out once, in order; join waits until all of it is done.
  local queue, order = braid.queue(2), {}
  braid.spawn(function()
    for item in queue:items() do
      order[#order + 1] = item
      queue:task_done()
    end
  end)
  queue:put_many { 1, 2, 3, 4, 5 }
  queue:join()
  queue:close()
  show("queue", "1 2 3 4 5, and join returns", table.concat(order, " "))

  -- Condition and barrier.
  local condition, stock = braid.condition(), 0
  local buyer = braid.spawn(function()
    condition:acquire()
    condition:wait_for(function() return stock >= 3 end)
    condition:release()
    return stock
  end)
  for _ = 1, 3 do
    condition:with(function()
      stock = stock + 1
      condition:notify()
    end)
  end
  show("condition", "waits for a stock of 3", buyer:result())
  local barrier = braid.barrier(3)
  local turns = braid.gather { function() return barrier:wait() end, function() return barrier:wait() end,
    function() return barrier:wait() end }
  table.sort(turns)
  show("barrier", "3 meet: turns 1 2 3", table.concat(turns, " "))

  -- Thread.join() / await task: the result, or the very error.
  local ok, err = pcall(function() return braid.spawn(error, "boom", 0):result() end)
  show("result", "the task's own error comes out", ok and "no error" or err)
end)

-- lock       2 tasks x 1,000 increments = 2000              2000
-- semaphore  10 tasks, 3 turns: at most 3 at once           3
-- event      5 wait, then all go on                         0, then 5
-- queue      1 2 3 4 5, and join returns                    1 2 3 4 5
-- condition  waits for a stock of 3                         3
-- barrier    3 meet: turns 1 2 3                            1 2 3
-- result     the task's own error comes out                 boom
