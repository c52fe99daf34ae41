-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.thread_pool, braid.ThreadPool:submit
braid.run(function()
  local pool <close> = braid.thread_pool(2)
  local future = pool:submit(function(n) return n * n end, 12)
  assert(future:result() == 144)
end)

--@ braid.process_pool
braid.run(function()
  local pool <close> = braid.process_pool(1)
  local dead = pool:submit(os.exit, 3)
  dead:wait()
  assert(dead:error().kind == "worker_died")     -- only this job
  assert(pool:submit(math.abs, -1):result() == 1)
end)

--@ braid.pool
for _, kind in ipairs { "inline", "tasks", "threads", "processes" } do
  local pool <close> = braid.pool(kind, 2)
  assert(pool:map(math.abs, { -1, -2 })[2] == 2)
end

--@ braid.task_pool
local pool <close> = braid.task_pool(2)          -- two tasks at a time
pool:map(braid.sleep, { 0.01, 0.01, 0.01 })

--@ braid.inline_pool
local pool <close> = braid.inline_pool()         -- runs each job at once: for tests
assert(pool:submit(math.abs, -1):result() == 1)

--@ braid.Executor:map
local pool <close> = braid.thread_pool(2)
local lengths = pool:map(function(word) return #word end, { "a", "bb", "ccc" })
assert(lengths[3] == 3)

--@ braid.Executor:imap
local pool <close> = braid.thread_pool(2)
local i = 0
local function numbers()
  i = i + 1
  return i <= 5 and i or nil
end
local sum = 0
for square in pool:imap(function(n) return n * n end, numbers, { buffer = 2 }) do sum = sum + square end
assert(sum == 55)                                -- the input is read as it is needed

--@ braid.ThreadPool:stats
local pool <close> = braid.thread_pool(2)
pool:map(math.abs, { 1, 2, 3 }, { chunk = 1 })
assert(pool:stats().done == 3)

--@ braid.to_thread
local total = braid.to_thread(function(n)
  local sum = 0
  for i = 1, n do sum = sum + i end
  return sum
end, 1000000)                                    -- other tasks go on meanwhile
assert(total == 500000500000)

--@ braid.cpu_count
assert(braid.cpu_count() >= 1)                   -- respects affinity and a container's quota

--@ braid.supervisor
braid.run(function()
  local runs = braid.queue()
  local supervisor <close> = braid.supervisor {
    on_failure = function() end,
    children = { {
      name = "worker", backoff = { first = 0.01 },
      run = function() runs:put(true) error "a bug" end,
    } },
  }
  runs:get()
  assert(runs:get(5))                            -- it was started again
end)
