-- SPDX-License-Identifier: MIT
-- Rows S19-S21: ten thousand at once on one thread: tasks that sleep, then requests in flight, and what each costs.
--   lua5.4 examples/many.lua [--count 10000] [--seconds 1] [--base-url URL] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { count = 10000, seconds = 1, base_url = "" }
local count = options.count

-- A field of /proc/self/status; nil where there is no such file.
local function status(field)
  local file = io.open "/proc/self/status"
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return tonumber(text:match(field .. ":%s+(%d+)"))
end

local numbers = {}
for i = 1, count do numbers[i] = i end

braid.run(function()
  local before, start = status "VmRSS", braid.now()
  local threads, memory
  braid.scope(function()
    for _ = 1, count do braid.spawn(braid.sleep, options.seconds) end
    braid.sleep(options.seconds / 2)
    threads, memory = status "Threads", status "VmRSS"
  end)
  print(("%d tasks slept %g s: %.2f s"):format(count, options.seconds, braid.now() - start))
  if memory then print(("%d OS thread, %d bytes a task"):format(threads, (memory - before) * 1024 // count)) end
end)

local server <close> = tour.server(options.base_url)
braid.run(function()
  local session <close> = braid.http.session { timeout = 60 }
  local before, start = status "VmRSS", braid.now()
  local ok = 0
  braid.map(function()
    if assert(session:get(("%s/delay/%g"):format(server.url, options.seconds))).status == 200 then ok = ok + 1 end
  end, numbers)
  print(("%d requests at once, %d answered 200: %.2f s"):format(count, ok, braid.now() - start))
  if before then print(("%.1f KiB a request in flight"):format((status "VmHWM" - before) / count)) end
end)

-- 10000 tasks slept 1 s: 1.03 s
-- 1 OS thread, 1400 bytes a task
-- 10000 requests at once, 10000 answered 200: 3.10 s
-- 17.5 KiB a request in flight
