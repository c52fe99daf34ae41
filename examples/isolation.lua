-- SPDX-License-Identifier: MIT
-- Row S58: processes remain the safe choice. A job that crashes takes its worker process along, and nothing else: the
-- other jobs go on, the worker is replaced, and the script is told how it died.
--   lua5.4 examples/isolation.lua [--workers 2]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { workers = 2 }

local function careful(n)
  require("braid").sleep(0.05)
  return n * n
end

-- As a C library with a bug in it would: memory that is not there is written to.
local function crash()
  os.execute "kill -SEGV $PPID"
  while true do end
end

braid.run(function()
  local pool <close> = braid.process_pool(options.workers)
  local jobs = {}
  for i = 1, 6 do jobs[i] = pool:submit(i == 3 and crash or careful, i) end
  for i, job in ipairs(jobs) do
    local ok, result = pcall(job.result, job)
    if ok then
      print(("job %d: %d"):format(i, result))
    else
      print(("job %d: %s, signal %s"):format(i, result.kind, result.signal))
    end
  end
  local stats = pool:stats()
  print(("%d done, %d failed, %d workers"):format(stats.done, stats.failed, stats.workers))
end)

-- job 1: 1
-- job 2: 4
-- job 3: worker_died, signal 11
-- job 4: 16
-- job 5: 25
-- job 6: 36
-- 5 done, 1 failed, 2 workers
