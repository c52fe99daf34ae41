-- SPDX-License-Identifier: MIT
-- Looking inside: who waits for what, numbers for a monitor, a timeline, a deadlock that is found.
--   lua5.4 examples/sight.lua [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local zh = require "tour".options({}).lang == "zh"

local function title(chinese, english) print("-- " .. (zh and chinese or english)) end

braid.run(function()
  local queue = braid.queue()
  local waiter = braid.spawn(function() return queue:get() end)
  waiter.name = "waiter"
  braid.sleep(0.01)
  title("每个任务在做什么", "what each task does")
  for line in braid.dump():gmatch "[^\n]*waiter[^\n]*" do print((line:gsub("%d+%.%d+ s", "... s"))) end
  queue:put(true)
  waiter:result()

  title("给监控系统的数字", "numbers for a monitor")
  local count = 0
  for _ in braid.metrics("prometheus"):gmatch "\nbraid_[%w_]+" do count = count + 1 end
  print(count > 5)
end)

title("互相等待的两个任务", "two tasks that wait for each other")
local ok, err = pcall(braid.run, function()
  local first, second = braid.lock(), braid.lock()
  local function take(a, b)
    return function()
      local one <close> = a:hold()
      braid.sleep(0.01)
      local two <close> = b:hold()
      return one and two
    end
  end
  braid.gather { take(first, second), take(second, first) }
end)
print(ok, err.kind)

-- -- 每个任务在做什么
--   task waiter: waiting in queue:get at examples/sight.lua:13, for ... s
-- -- 给监控系统的数字
-- true
-- -- 互相等待的两个任务
-- false	deadlock
