-- SPDX-License-Identifier: MIT
-- The small parts of a program: a limiter, a clock without drift, connections that are shared, a signal that ends it.
--   lua5.4 examples/parts.lua [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local zh = require "tour".options({}).lang == "zh"

local function say(chinese, english, ...) print((zh and chinese or english):format(...)) end

braid.run(function()
  local limiter <const>, start = braid.limiter { rate = 50, per = 1, burst = 5 }, braid.now()
  braid.map(function() limiter:acquire() end, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
  say("每秒 50 个, 一次最多 5 个: 10 个用了 %.2f s", "50 a second, 5 at once: 10 took %.2f s", braid.now() - start)

  local made = 0
  local connections <close> = braid.resource_pool {
    create = function() made = made + 1 return { id = made } end, max = 2,
  }
  braid.map(function() connections:with(function() braid.sleep(0.01) end) end, { 1, 2, 3, 4, 5, 6 })
  say("6 个任务用了 %d 个连接", "6 tasks used %d connections", made)

  start = braid.now()
  local ticks
  for count in braid.every(0.02) do
    ticks = count
    if count >= 5 then break end
    braid.sleep(0.005)                       -- the work of a tick does not delay the next one
  end
  say("第 %d 次在 %.2f s", "tick %d after %.2f s", ticks, braid.now() - start)

  local signals <close> = braid.signals("HUP", "TERM")
  braid.process.run { "sh", "-c", "kill -HUP $PPID" }
  say("收到信号 %s", "received the signal %s", signals:get(5))
end)

-- 每秒 50 个, 一次最多 5 个: 10 个用了 0.10 s
-- 6 个任务用了 2 个连接
-- 第 5 次在 0.10 s
-- 收到信号 HUP
