-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.run
local answer = braid.run(function(name)
  braid.sleep(0.01)
  return "hello " .. name
end, "world")
assert(answer == "hello world")

--@ braid.spawn, braid.Future:result
local task = braid.spawn(function(a, b)
  braid.sleep(0.01)
  return a + b, a * b
end, 3, 4)
local sum, product = task:result()       -- waits; raises what the function raised
assert(sum == 7 and product == 12)

--@ braid.sleep
local start = braid.now()
braid.sleep(0.05)
assert(braid.now() - start >= 0.05)

--@ braid.checkpoint
local steps = 0
local counter = braid.spawn(function()
  while true do
    steps = steps + 1
    braid.checkpoint()                   -- others run; a cancel is raised here
  end
end)
braid.sleep(0.01)
counter:cancel()
assert(steps > 1)

--@ braid.now
local begin = braid.now()                -- monotonic: no clock that somebody sets
assert(braid.now() >= begin)

--@ braid.current, braid.Task
braid.run(function()
  braid.current().name = "main task"     -- shown by dumps and reports
  assert(braid.current() ~= nil)
end)
assert(braid.current() == nil)

--@ braid.tasks
braid.run(function()
  local sleeper = braid.spawn(braid.sleep, 10)
  assert(#braid.tasks() == 2)
  sleeper:cancel()
end)

--@ braid.locals
braid.run(function()
  braid.locals().request = 7
  local child = braid.spawn(function() return braid.locals().request end)
  assert(child:result() == 7)            -- a copy of its parent's
end)

--@ braid.wrap
braid.run(function()
  local next_page = braid.wrap(function()
    for page = 1, 3 do
      braid.sleep(0.01)                  -- coroutine.wrap could not wait here
      coroutine.yield(page)
    end
  end)
  assert(next_page() == 1 and next_page() == 2)
end)

--@ braid.scope, braid.Scope:spawn
local first = braid.scope(function(scope)
  local fast = scope:spawn(function() return "fast" end)
  scope:spawn(braid.sleep, 0.01)
  return fast:result()
end)                                     -- both tasks have ended here
assert(first == "fast")

--@ braid.Scope:cancel
braid.scope(function(scope)
  scope:spawn(braid.sleep, 60)
  scope:cancel()                         -- ends early, and is no error
end)

--@ braid.timeout
local ok, err = pcall(braid.timeout, 0.01, braid.sleep, 60)
assert(not ok and err.kind == "timeout")

--@ braid.move_on_after
local in_time, value = braid.move_on_after(1, function() return 42 end)
assert(in_time and value == 42)
assert(braid.move_on_after(0.01, braid.sleep, 60) == false)

--@ braid.shield
braid.run(function()
  local saved = false
  local task = braid.spawn(function()
    braid.shield(function()
      braid.sleep(0.02)                  -- runs to its end, though the task is cancelled
      saved = true
    end)
  end)
  braid.sleep(0.01)
  task:cancel()
  task:wait()
  assert(saved)
end)

--@ braid.gather
local results = braid.gather {
  function() return 1 end,
  function() braid.sleep(0.01) return 2 end,
}
assert(results[1] == 1 and results[2] == 2)
local values, errors = braid.gather({ function() error("boom", 0) end, function() return 2 end },
  { return_errors = true })
assert(values[2] == 2 and errors[1] == "boom")

--@ braid.map
local doubled = braid.map(function(n)
  braid.sleep(0.01)
  return 2 * n
end, { 1, 2, 3 }, { limit = 2 })         -- at most two at a time
assert(doubled[3] == 6)

--@ braid.race
local winner = braid.race {
  function() braid.sleep(60) return "slow" end,
  function() return "fast" end,
}
assert(winner == "fast")                 -- the slow one was cancelled

--@ braid.as_completed
local slow, fast = braid.spawn(braid.sleep, 0.03), braid.spawn(braid.sleep, 0.01)
local order = {}
for future in braid.as_completed { slow, fast } do order[#order + 1] = future end
assert(order[1] == fast and order[2] == slow)

--@ braid.wait
local quick, endless = braid.spawn(function() end), braid.spawn(braid.sleep, 60)
local done, pending = braid.wait({ quick, endless }, { timeout = 0.05 })
assert(#done == 1 and #pending == 1)
endless:cancel()

--@ braid.select
local requests, stop = braid.queue(), braid.event()
requests:put "a request"
local which, request = braid.select({ { stop }, { requests, "get" } }, 1)
assert(which == 2 and request == "a request")

--@ braid.every
local ticks = 0
for count in braid.every(0.01) do
  ticks = count
  if count >= 3 then break end
end
assert(ticks >= 3)

--@ braid.Future:wait
local task = braid.spawn(braid.sleep, 60)
assert(task:wait(0.01) == false)         -- never raises
task:cancel()

--@ braid.Future:cancel, braid.Future:cancelled, braid.Future:state
local task = braid.spawn(braid.sleep, 60)
braid.sleep(0)
assert(task:cancel() == true)
task:wait()
assert(task:cancelled() and task:state() == "cancelled")

--@ braid.Future:error, braid.Future:traceback
local task = braid.spawn(function() error { code = 7 } end)
task:wait()
assert(task:error().code == 7)           -- the very value
assert(task:traceback():find "stack traceback")

--@ braid.Future:on_done
local told
braid.spawn(function() return 1 end):on_done(function(future) told = future:state() end)
braid.sleep(0.01)
assert(told == "done")

--@ braid.Task:daemon
braid.run(function()
  braid.spawn(function()
    while true do braid.sleep(1) end
  end):daemon()                          -- the run does not wait for it
end)

--@ braid.is_error
local ok, err = pcall(braid.timeout, 0.01, braid.sleep, 60)
assert(not ok and braid.is_error(err, "timeout") and not braid.is_error("text"))

--@ braid.on_unhandled
local lost = {}
braid.on_unhandled(function(err, traceback, name) lost[#lost + 1] = err end)
pcall(braid.run, function() braid.spawn(error, "nobody asked", 0) end)
braid.on_unhandled(nil)                  -- the report on stderr again
assert(lost[1] == "nobody asked")
