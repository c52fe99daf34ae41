-- SPDX-License-Identifier: MIT
-- Rows S51, S53-S55: the document's pitfalls, and what becomes of them in threads and processes here.
--   lua5.4 examples/pitfalls.lua
local braid = require "braid"

local function show(row, what, ...)
  print(("%s  %-52s %s"):format(row, what, table.concat({ ... }, " ")))
end

-- S51: globals are not shared, for each worker has a state of its own; counters, dicts, queues and the like are.
total = 0 -- luacheck: ignore 111
for _, kind in ipairs { "threads", "processes" } do
  braid.run(function()
    local pool <close> = braid.pool(kind, 2)
    pool:map(function() total = (total or 0) + 1 end, { 1, 2, 3, 4 }) -- luacheck: ignore 111 113
    show("S51", kind .. ": a global that four jobs add to", total) -- luacheck: ignore 113
    local counter, dict, queue = braid.counter(), braid.dict(), braid.queue()
    pool:map(function(i)
      counter:add()
      dict:update("total", function(old) return (old or 0) + 1 end)
      queue:put(i)
    end, { 1, 2, 3, 4 })
    show("S51", kind .. ": a counter that they add to", counter:get())
    show("S51", kind .. ": a dict's value that they add to", dict:get("total"))
    show("S51", kind .. ": items that they put into a queue", queue:size())
  end)
end

-- S53: an error in a job waits to be asked for, and is reported when nobody can ask any more.
local function fail() error("boom", 0) end
braid.on_unhandled(function(err) show("S53", "nobody asked: reported", err) end)
braid.run(function()
  local pool <close> = braid.thread_pool(1)
  local future = pool:submit(fail)
  future:wait()
  show("S53", "error() gives it", future:error())
  show("S53", "result() raises it", select(2, pcall(future.result, future)))
  pool:submit(fail)
end)
collectgarbage()
braid.on_unhandled(nil)

-- S54: anonymous and nested functions travel, with their upvalues. What cannot travel is refused at the call.
braid.run(function()
  local pool <close> = braid.thread_pool(1)
  local factor = 3
  local function times(x) return factor * x end
  show("S54", "a nested function with an upvalue", pool:submit(function(x) return times(x) end, 14):result())
  local log <close> = assert(io.tmpfile())
  local sinks = { file = log }
  local _, err = pcall(pool.submit, pool, function() sinks.file:write "x" end)
  print("S54  " .. tostring(err))
end)

-- S55: one of several fails: what becomes of the others?
local function siblings(what, opts)
  local pool <close> = braid.thread_pool(3)
  local function slow() braid.sleep(0.05) return "slow" end
  local a, b = pool:submit(slow), pool:submit(slow)
  local ok, results, errors = pcall(braid.gather, { a, pool:submit(fail), b }, opts)
  local outcome = "raised " .. tostring(results)
  if ok then outcome = ("results %s, %s; errors[2] %s"):format(results[1], results[3], errors[2]) end
  braid.wait { a, b }
  show("S55", what, ("%s; siblings %s, %s"):format(outcome, a:state(), b:state()))
end
braid.run(function()
  siblings("gather: the others are cancelled")
  siblings("on_error = \"continue\": they go on (asyncio's way)", { on_error = "continue" })
  siblings("return_errors: all are collected", { return_errors = true })
end)

-- S51  threads: a global that four jobs add to              0
-- S51  threads: a counter that they add to                  4
-- S51  threads: a dict's value that they add to             4
-- S51  threads: items that they put into a queue            4
-- S51  processes: a global that four jobs add to            0
-- S51  processes: a counter that they add to                4
-- S51  processes: a dict's value that they add to           4
-- S51  processes: items that they put into a queue          4
-- S53  error() gives it                                     boom
-- S53  result() raises it                                   boom
-- S53  nobody asked: reported                               boom
-- S54  a nested function with an upvalue                    42
-- S54  examples/pitfalls.lua:51: argument 1 -> (upvalue sinks).file: userdata (FILE*) cannot be sent
-- S55  gather: the others are cancelled                     raised boom; siblings cancelled, cancelled
-- S55  on_error = "continue": they go on (asyncio's way)    raised boom; siblings done, done
-- S55  return_errors: all are collected                     results slow, slow; errors[2] boom; siblings done, done
