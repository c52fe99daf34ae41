-- SPDX-License-Identifier: MIT
-- How good braid.advise is: for each workload the model it chose and the time it predicted, against real runs of every
-- model (pool opened and closed inside the time; medians of five, in turns). The goal: the chosen model is the fastest
-- or within 15 % of it, and the prediction within 30 %.
--   lua5.4 bench/advise.lua [workload]
local braid = require "braid"
local units = require "braid.units"

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function compute(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 7 end
  return sum
end

local function slice(list, n) return table.move(list, 1, n, 1, {}) end

-- name, function, items, how many of them are the sample, options
local workloads = {}

local function workload(name, fn, items, sample, opts)
  workloads[#workloads + 1] = { name = name, fn = fn, items = items, sample = sample, opts = opts or {} }
end

workload("CPU small", function(x) return x * x end, numbers(20000), 2000)
workload("CPU large", function() return compute(3000000) end, numbers(24), 3)
workload("sleep", function() braid.sleep(0.02) end, numbers(50), 3)
workload("blocking", function() os.execute "sleep 0.03" end, numbers(16), 3)

local path = os.tmpname()
do
  local file <close> = assert(io.open(path, "w"))
  for i = 1, 20000 do file:write(i, " some words of a line\n") end
end
workload("disk", function(name)
  local words = 0
  local file <close> = assert(io.open(name, "r"))
  for line in file:lines() do words = words + #line end
  return words
end, (function()
  local list = {}
  for i = 1, 40 do list[i] = path end
  return list
end)(), 4)

workload("mixed", function()
  braid.sleep(0.005)
  return compute(500000)
end, numbers(40), 4)

local big = {}
for i = 1, 30 do big[i] = numbers(20000) end
workload("big arguments", function(list)
  local sum = 0
  for i = 1, #list do sum = sum + list[i] end
  return sum
end, big, 4)

local function trial(n)
  local d = 2
  while d * d <= n do
    if n % d == 0 then return false end
    d = d + 1
  end
  return true
end
local primes = {}
for i = 1, 16 do primes[i] = 99999999977 end
workload("native kernel", trial, primes, 4, {
  kernel = function(list) return braid.kernels.factorize(list, { method = "trial" }) end,
})

-- ---- HTTP -----------------------------------------------------------------------------------------------------------

local function interpreter()
  local at = 0
  while arg[at - 1] do at = at - 1 end
  return arg[at]
end

local server = assert(braid.process.start({ interpreter(), "-e",
  "require 'braid.tutorial.delay_server'.main()" }, { env = { LUA_PATH = package.path, LUA_CPATH = package.cpath } }))
local url = "http://" .. assert(server:read("l", 10)):match "(%S+)$" .. "/delay/0.02"
workload("HTTP", function(address) return assert(braid.http.get(address)).status end, (function()
  local list = {}
  for i = 1, 40 do list[i] = url end
  return list
end)(), 4)

-- ---- measuring ------------------------------------------------------------------------------------------------------

local function run(one, w)
  if one.model == "kernel" then return w.opts.kernel(w.items) end
  local pool <close> = braid.pool(one.model, one.workers)
  return pool:map(w.fn, w.items, { chunk = one.chunk })
end

-- Medians of five rounds, each of all models, so that what else the machine does falls on all.
local function measure(predictions, w)
  local times, medians = {}, {}
  for _ = 1, 5 do
    for model, one in pairs(predictions) do
      collectgarbage()
      local start = braid.now()
      run(one, w)
      times[model] = times[model] or {}
      table.insert(times[model], braid.now() - start)
    end
  end
  for model, list in pairs(times) do
    table.sort(list)
    medians[model] = list[3]
  end
  return medians
end

local good, close, count = 0, 0, 0
print(("%-14s %-10s %10s %10s %6s  %-10s %10s %6s"):format("workload", "chosen", "predicted", "measured", "off",
  "fastest", "measured", "worse"))
for _, w in ipairs(workloads) do
  if not arg[1] or w.name == arg[1] then
    local opts = { items = #w.items, kernel = w.opts.kernel, lang = "en" }
    local advice = braid.advise(w.fn, slice(w.items, w.sample), opts)
    local fastest, least, own = nil, math.huge, nil
    local lines, measured = {}, measure(advice.predictions, w)
    for _, model in ipairs { "inline", "tasks", "threads", "processes", "kernel" } do
      local one = advice.predictions[model]
      if one then
        local seconds = measured[model]
        lines[#lines + 1] = ("%s %s/%s"):format(model, units.seconds(one.seconds), units.seconds(seconds))
        if seconds < least then fastest, least = model, seconds end
        if model == advice.model then own = seconds end
      end
    end
    local off, worse = advice.predicted / own - 1, own / least - 1
    count = count + 1
    if worse <= 0.15 then good = good + 1 end
    if math.abs(off) <= 0.3 then close = close + 1 end
    print(("%-14s %-10s %10s %10s %+5.0f%%  %-10s %10s %+5.0f%%"):format(w.name, advice.model,
      units.seconds(advice.predicted), units.seconds(own), off * 100, fastest, units.seconds(least), worse * 100))
    if arg[1] then print(advice) end
    print("    " .. table.concat(lines, "; ") .. (" (%d workers)"):format(advice.workers))
  end
end
print(("%d of %d within 15 %% of the fastest, %d of %d predicted within 30 %%"):format(good, count, close, count))

os.remove(path)
server:kill()
server:wait()
