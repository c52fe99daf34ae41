-- SPDX-License-Identifier: MIT
--- Rows S39-S50: the primitives, in both columns of the document's table with the same objects; the decision.

local braid = require "braid"

local function add_under(lock, total, count)
  for _ = 1, count do
    lock:with(function() total:set(total:get() + 1) end)
  end
end

local function hold(semaphore, inside, peak)
  semaphore:with(function()
    local now = inside:add()
    if now > peak:get() then peak:set(now) end
    braid.sleep(0.01)
    inside:add(-1)
  end)
end

local function wait_for(event, woken)
  event:wait()
  woken:add()
end

local function take_all(queue)
  local count = 0
  for _ in queue:items() do
    count = count + 1
    queue:task_done()
  end
  return count
end

-- One column of the table: what each primitive did.
local function column(kind)
  local found = {}
  local pool <close> = braid.pool(kind, 4)
  pool:map(math.abs, { 1, 2, 3, 4, 5, 6, 7, 8 })
  local lock, total = braid.lock(), braid.counter()
  braid.gather { pool:submit(add_under, lock, total, 2000), pool:submit(add_under, lock, total, 2000) }
  found.lock = total:get()
  local semaphore, inside, peak = braid.semaphore(2), braid.counter(), braid.counter()
  local holders = {}
  for i = 1, 4 do holders[i] = pool:submit(hold, semaphore, inside, peak) end
  braid.gather(holders)
  found.semaphore = peak:get()
  local event, woken, waiters = braid.event(), braid.counter(), {}
  for i = 1, 3 do waiters[i] = pool:submit(wait_for, event, woken) end
  braid.sleep(0.02)
  found.event = woken:get()
  event:set()
  braid.gather(waiters)
  found.event = found.event .. "→" .. woken:get()
  local queue = braid.queue(10)
  local taker = pool:submit(take_all, queue)
  for i = 1, 100 do queue:put(i) end
  queue:close()
  found.queue = taker:result()
  found.joined = queue:join(1) and "join" or "-"
  local future = pool:submit(error, "boom", 0)
  found.result = tostring(select(2, pcall(future.result, future)))
  return found
end

return {
  {
    row = "S39-S43", says = { zh = "互斥 Lock | 信号量 Semaphore | 事件 Event | 队列 Queue | 等待 join / await: 两套类型",
      en = "Lock, Semaphore, Event, Queue, join / await: two sets of types" },
    needs = { zh = "三种模型: 锁 4000, 信号量最多 2, 事件 0→3, 队列 100, 错误 boom; 200000 次自增不丢",
      en = "in all three models: lock 4,000, semaphore 2 at most, event 0→3, queue 100, the error boom; no increment of 200,000 is lost" },
    run = function(self)
      local cells, ok = { { "", self:say("锁", "lock"), self:say("信号量(2)", "semaphore(2)"), self:say("事件", "event"),
        self:say("队列", "queue"), "join", self:say("结果", "result") } }, true
      for _, kind in ipairs { "tasks", "threads", "processes" } do
        local found = column(kind)
        cells[#cells + 1] = { self:kind(kind), tostring(found.lock), tostring(found.semaphore), found.event,
          tostring(found.queue), found.joined, found.result }
        ok = ok and found.lock == 4000 and found.semaphore == 2 and found.event == "0→3" and found.queue == 100 and
          found.result == "boom"
      end
      local pool <close> = braid.thread_pool(2)
      local lock, total = braid.lock(), braid.counter()
      local _, seconds = self:time(braid.gather,
        { pool:submit(add_under, lock, total, 100000), pool:submit(add_under, lock, total, 100000) })
      return {
        measured = self:table(cells) .. "\n" .. self:say("2 线程 × 100000 次加锁自增 = %d, %.2fs",
          "2 threads x 100,000 increments under a lock = %d, %.2fs", total:get(), seconds),
        ok = ok and total:get() == 200000, verdict = "better",
        reason = self:say("一套对象, 三种模型", "one set of objects for all models"),
      }
    end,
  },
  {
    row = "S44", says = { zh = "asyncio.Semaphore(10): 最多 10 个并发请求; 完成 100 个请求",
      en = "asyncio.Semaphore(10): at most 10 at once; 100 requests done" },
    needs = { zh = "100 个请求, 服务器同时看到的最多正好 10 个",
      en = "100 requests, and the server sees exactly 10 at once at most" },
    run = function(self)
      local base = self:server()
      assert(braid.http.post(base .. "/reset"))
      local semaphore, urls = braid.semaphore(10), {}
      for i = 1, 100 do urls[i] = ("%s/get?id=%d"):format(base, i) end
      local session <close> = braid.http.session()
      local results = braid.map(function(url)
        return semaphore:with(function() return assert(session:get(url)).body end)
      end, urls)
      local peak = assert(braid.http.get(base .. "/stats")):json().peak
      return {
        measured = self:say("完成 %d 个请求; 服务器同时最多看到 %d 个", "%d requests done; the server saw %d at once at most",
          #results, peak),
        ok = #results == 100 and peak == 10,
      }
    end,
  },
  {
    row = "S45-S50", says = { zh = "决策树: CPU 密集 → 多进程 (或 numpy/numba/Cython); 有同步库 → 线程池; 有异步库 → asyncio",
      en = "the decision tree: CPU-bound: processes (or numpy/numba/Cython); blocking library: threads; else asyncio" },
    needs = { zh = "计算: 建议线程或进程; 等待: 建议协程; 原生内核比 Lua 快",
      en = "computing: threads or processes are advised; waiting: tasks; the kernel is faster than Lua" },
    run = function(self)
      local advise = require "braid.advice"
      local lab = require "braid.tutorial.lab"
      local computing = braid.advise(lab.factorize, { lab.PRIME, lab.PRIME, lab.PRIME, lab.PRIME })
      local waiting = braid.advise(function() braid.sleep(0.05) end, { 1, 2, 3, 4, 5, 6 })
      local numbers = {}
      for i = 1, 8 do numbers[i] = lab.PRIME end
      local _, kernel = self:time(braid.kernels.factorize, numbers)
      local start = braid.now()
      for _, n in ipairs(numbers) do lab.factorize(n) end
      local lua = braid.now() - start
      return {
        measured = self:say("%s\nfactorize × 8: %s; sleep × 6: %s; 原生内核 %.4fs, Lua %.2fs",
          "%s\nfactorize x 8: %s; sleep x 6: %s; kernel %.4fs, Lua %.2fs", tostring(advise.tree(self.lang)),
          self:kind(computing.model), self:kind(waiting.model), kernel, lua),
        ok = (computing.model == "threads" or computing.model == "processes" or self.cores < 2) and
          waiting.model == "tasks" and kernel < lua,
        verdict = "better", reason = self:say("由测量决定", "measured, not guessed"),
      }
    end,
  },
}
