-- SPDX-License-Identifier: MIT
-- Rows S45-S50: which model? braid.advise runs a sample, measures it and this machine, and takes a branch of the
-- document's decision tree: for computing, for waiting that suspends, and for waiting that blocks the thread.
--   lua5.4 examples/advise.lua [--items 200] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { items = 200 }

local function compute()
  local sum = 0
  for i = 1, 1000000 do sum = sum + i % 7 end
  return sum
end

local workloads = {
  { "compute", compute },
  { "braid.sleep(0.02)", function() braid.sleep(0.02) end },
  { "os.execute 'sleep 0.02'", function() os.execute "sleep 0.02" end },
}

for _, workload in ipairs(workloads) do
  local advice = braid.advise(workload[2], { 1, 2, 3 }, { items = options.items, lang = options.lang })
  print("== " .. workload[1] .. ": " .. advice.model)
  advice:print()
  print()
end

-- == compute: threads
-- 任务是 CPU 密集?  [每项 23.0 ms: 计算 23.0 ms (100 %), 阻塞等待 0 s, 可让出的等待 0 s]
-- ├── 是 → multiprocessing / ProcessPoolExecutor  ◀
-- │   ├── braid.process_pool: 3.05 s, 2 个 worker, 仅推算
-- │   ├── (这里没有 GIL,线程同样并行)
-- │   │   └── braid.thread_pool: 1.76 s, 2 个 worker  ◀━━
-- │   └── (或考虑 numpy/numba/Cython 释放 GIL)
-- │       └── braid.kernels: 没有给出 kernel
-- ├── 否(I/O 密集)
-- │   ├── 已有同步库(如 requests、psycopg2)
-- │   │   └── ThreadPoolExecutor(改造成本低)
-- │   │       └── braid.thread_pool: 1.76 s, 2 个 worker
-- │   └── 有异步库(aiohttp、asyncpg、httpx)
-- │       └── asyncio(单机最高吞吐)
-- │           └── braid.task_pool: 4.61 s, 200 个 worker, 仅推算  ✗
-- └── 任务太小,或没有可以重叠的部分 → 直接调用
--     └── braid.inline_pool: 4.61 s, 仅推算
--
-- - 每项 23.0 ms: 计算 23.0 ms (100 %), 阻塞等待 0 s, 可让出的等待 0 s
-- - 大部分时间在计算: 只有更多的核心才有用
-- - 2 个核心合计是单核的 1.51 倍
-- - 试运行 braid.thread_pool: 6 项用了 51.8 ms (推算为 91.5 ms), 打开、预热和关闭用了 32.7 ms
-- - 选 braid.thread_pool: 200 项预计 1.76 s
-- - 其次是 braid.process_pool: 3.05 s
-- ...
