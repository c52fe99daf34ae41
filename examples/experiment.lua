-- SPDX-License-Identifier: MIT
-- Row S4: the same work under every model, measured and drawn: half of it computes, half of it waits.
--   lua5.4 examples/experiment.lua [report.html]
local braid = require "braid"

local function half_and_half(n)
  local sum = 0
  for i = 1, 1500000 do sum = sum + i % n end
  braid.sleep(0.01)
  return sum
end

local report = braid.experiment {
  name = "Half computing, half waiting",
  work = half_and_half,
  items = { 3, 5, 7, 11, 13, 17, 19, 23 },
  models = { "inline", "tasks", "threads" },
  limit = 3,
}
report:print()
if arg[1] then assert(report:html(arg[1])) end

-- Half computing, half waiting: 8 items
-- AMD EPYC, 2 cores, Linux 6.18.44, Lua 5.4, load 2.57
--
-- model     median          quartiles  runs  speed-up  CPU time  cores    start
-- inline    198 ms    191 ms … 200 ms     5    1.00 ×   68.7 ms   0.33  22.5 µs  ████████████████████████
-- tasks    96.2 ms  95.5 ms … 99.7 ms     5    2.06 ×   66.7 ms   0.75  38.7 µs  ████████████
-- threads   113 ms    108 ms … 120 ms    10    1.75 ×   66.3 ms   0.70  3.78 ms  ██████████████
--
-- Fastest: tasks, 2.06 times as fast as inline: 96.2 ms instead of 198 ms for 8 items.
-- All models gave the same results.
