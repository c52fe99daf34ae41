-- SPDX-License-Identifier: MIT
-- Rows S27, S28: what can be sent to a worker, and what small jobs cost: a thousand of them, one at a time and several
-- in one parcel.
--   lua5.4 examples/overhead.lua [--models inline,tasks,threads,processes] [--count 1000] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { models = "inline,tasks,threads,processes", count = 1000 }

-- ---- S27: what travels ---------

local cycle = { name = "cycle" }
cycle.itself = cycle
local file <close> = assert(io.tmpfile())
local values = {
  { "a number", 1 }, { "a string of any bytes", "\0\255" }, { "a table that contains itself", cycle },
  { "a function with an upvalue", function() return cycle.name end },
  { "a table with a metatable", setmetatable({}, { __index = cycle }) }, { "a queue, by reference", braid.queue() },
  { "braid.null", braid.null }, { "an open file", { log = { file = file } } },
  { "a coroutine", coroutine.create(print) },
}

do
  local pool <close> = braid.thread_pool(1)
  for _, case in ipairs(values) do
    local ok, future = pcall(pool.submit, pool, type, case[2])
    print(("S27  %-29s %s"):format(case[1], ok and "travels as a " .. future:result() or future.message))
  end
end

-- ---- S28: a thousand small jobs ---------

local function trivial(x) return x + 1 end

local items = {}
for i = 1, options.count do items[i] = i end

local function milliseconds(fn)
  local start = braid.now()
  local results = fn()
  assert(results[options.count] == options.count + 1)
  return (braid.now() - start) * 1000
end

local function plain_loop()
  local results = {}
  for i, item in ipairs(items) do results[i] = trivial(item) end
  return results
end

print(("S28  %-10s %12s %12s %12s %12s"):format(options.count .. " jobs", "start", "one by one", "chunk = 1",
  "by measure"))
print(("     %-10s %12s %9.2f ms"):format("no pool", "", milliseconds(plain_loop)))
for model in options.models:gmatch "%w+" do
  local began = braid.now()
  local pool <close> = braid.pool(model)
  pool:submit(trivial, 1):result()
  local started = (braid.now() - began) * 1000
  local function one_by_one()
    local results = {}
    for i, item in ipairs(items) do results[i] = pool:submit(trivial, item):result() end
    return results
  end
  print(("     %-10s %9.2f ms %9.2f ms %9.2f ms %9.2f ms"):format(model, started, milliseconds(one_by_one),
    milliseconds(function() return pool:map(trivial, items, { chunk = 1 }) end),
    milliseconds(function() return pool:map(trivial, items) end)))
end

-- S27  a number                      travels as a number
-- S27  a string of any bytes         travels as a string
-- S27  a table that contains itself  travels as a table
-- S27  a function with an upvalue    travels as a function
-- S27  a table with a metatable      travels as a table
-- S27  a queue, by reference         travels as a userdata
-- S27  braid.null                    travels as a userdata
-- S27  an open file                  examples/overhead.lua:27: argument 2 -> .log.file: userdata (FILE*) cannot be sent
-- S27  a coroutine                   examples/overhead.lua:27: argument 2: coroutine cannot be sent
-- S28  1000 jobs         start   one by one    chunk = 1   by measure
--      no pool                      0.13 ms
--      inline          0.25 ms      3.34 ms      3.94 ms      9.27 ms
--      tasks           0.02 ms      9.06 ms     25.46 ms     18.17 ms
--      threads         1.75 ms     66.65 ms      7.08 ms      2.79 ms
--      processes      17.31 ms     62.46 ms      6.39 ms      7.52 ms
