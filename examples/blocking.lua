-- SPDX-License-Identifier: MIT
-- Row S52: a call that blocks holds the loop, and every task on it. to_thread lets the loop go on.
--   lua5.4 examples/blocking.lua                  with BRAID_DEBUG=1 the blocking line is named while it blocks
local braid = require "braid"

local function block() os.execute "sleep 0.3" end

-- The longest time between two ticks of a task that wants one every 20 ms, while `work` runs beside it.
local function longest_gap(work)
  local longest, last = 0, braid.now()
  local ticker = braid.spawn(function()
    while true do
      braid.sleep(0.02)
      longest, last = math.max(longest, braid.now() - last), braid.now()
    end
  end)
  braid.sleep(0.05)
  work()
  braid.sleep(0.05)
  ticker:cancel()
  return longest
end

braid.run(function()
  braid.current().name = "main"
  print(("called in a task:  the ticker stood still for %.2f s"):format(longest_gap(block)))
  print(("through to_thread: the ticker stood still for %.2f s"):format(
    longest_gap(function() braid.to_thread(block) end)))
end)

-- called in a task:  the ticker stood still for 0.31 s
-- through to_thread: the ticker stood still for 0.02 s
