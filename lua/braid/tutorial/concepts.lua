-- SPDX-License-Identifier: MIT
--- Rows S1-S9: concurrency and parallelism, the global lock, and what the three models cost.

local braid = require "braid"
local core = require "braid.core"
local lab = require "braid.tutorial.lab"
local units = require "braid.units"

local factorize, PRIME = lab.factorize, lab.PRIME

-- Runs three slices of work with a wait between them; returns who ran when.
local function slices(origin, gap)
  local spans = {}
  for i = 1, 3 do
    local start = braid.now()
    repeat until braid.now() - start > 0.03
    spans[i] = { start - origin, braid.now() - origin }
    if gap then braid.sleep(gap) end
  end
  return { thread = core.thread_id(), spans = spans }
end

local function overlap(a, b)
  local sum = 0
  for _, x in ipairs(a.spans) do
    for _, y in ipairs(b.spans) do sum = sum + math.max(0, math.min(x[2], y[2]) - math.max(x[1], y[1])) end
  end
  return sum
end

local function draw(who)
  local line = {}
  for i = 1, 40 do line[i] = "·" end
  for _, span in ipairs(who.spans) do
    for i = math.floor(span[1] * 100) + 1, math.min(40, math.ceil(span[2] * 100)) do line[math.max(1, i)] = "█" end
  end
  return table.concat(line)
end

local function timeline(kind)
  local pool <close> = braid.pool(kind, 2)
  pool:map(math.abs, { 1, 2, 3, 4 })
  local origin = braid.now()
  local first, second = pool:submit(slices, origin, 0.001), pool:submit(slices, origin, 0.001)
  return first:result(), second:result()
end

local MODELS = { "inline", "tasks", "threads", "processes" }

-- The four kinds of work; each runs unchanged in every model.
local function network(url) return assert(braid.http.get(url .. "/delay/0.1")).status end
local function disk(path)
  local file <close> = assert(io.open(path, "rb"))
  return #file:read "a"
end
local function compute() return #factorize(PRIME) end
local function checksum(text)
  local hash = 0xcbf29ce484222325
  for i = 1, #text do hash = (hash ~ text:byte(i)) * 1099511628211 end
  return hash
end

local function workloads(self, url)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(("x"):rep(4 << 20)))
  local function repeated(item)
    local list = {}
    for i = 1, 4 do list[i] = item end
    return list
  end
  return {
    { self:say("网络 4 x 0.1 s", "network 4 x 0.1 s"), network, repeated(url) },
    { self:say("磁盘 4 x 4 MB", "disk 4 x 4 MB"), disk, repeated(path) },
    { self:say("计算 4 个质数", "compute 4 primes"), compute, repeated(0) },
    { self:say("校验 4 x 1 MB", "hash 4 x 1 MB"), checksum, repeated(("y"):rep(1 << 20)) },
  }, path
end

local function echo(value) return value end

local function ping(there, back, count)
  for i = 1, count do
    there:put(i)
    back:get()
  end
end

local function pong(there, back, count)
  for _ = 1, count do back:put(there:get()) end
end

-- Microseconds for one switch to another task, thread or process.
local function switch_cost(kind, count)
  local pool <close> = braid.pool(kind, 2)
  pool:map(math.abs, { 1, 2, 3, 4 })
  local there, back = braid.queue(), braid.queue()
  local answers = pool:submit(pong, there, back, count)
  local start = braid.now()
  pool:submit(ping, there, back, count):result()
  local seconds = braid.now() - start
  answers:result()
  return seconds / count / 2 * 1e6
end

-- Milliseconds from creating a pool to its first result.
local function start_cost(self, kind)
  return self:median(5, function()
    local pool <close> = braid.pool(kind, 1)
    pool:submit(math.abs, 1):result()
  end) * 1000
end

return {
  {
    row = "S1", says = { zh = "并发: 多任务交替执行; 并行: 多任务同时执行",
      en = "concurrency: tasks alternate; parallelism: at the same instant" },
    needs = { zh = "两个协程在同一线程里且从不重叠; 两个线程同时运行 (多于一核时重叠 > 20 ms)",
      en = "two tasks share a thread and never overlap; two threads run at the same time (overlap > 20 ms on two cores)" },
    run = function(self)
      local a, b = timeline "tasks"
      local c, d = timeline "threads"
      local parallel = overlap(c, d)
      return {
        measured = self:say("协程  线程号 %-7d %s\n      线程号 %-7d %s\n线程  线程号 %-7d %s\n      线程号 %-7d %s",
          "tasks    thread %-7d %s\n         thread %-7d %s\nthreads  thread %-7d %s\n         thread %-7d %s",
          a.thread, draw(a), b.thread, draw(b), c.thread, draw(c), d.thread, draw(d)),
        ok = a.thread == b.thread and overlap(a, b) == 0 and c.thread ~= d.thread and
          (self.cores < 2 or parallel > 0.02),
      }
    end,
  },
  {
    row = "S2", says = { zh = "并发: 单核即可; 并行: 必须多核", en = "one core suffices; many are needed" },
    needs = { zh = "单核: 两次等待 < 0.35 s, 线程 < 1.25 倍; 全部核: 线程 >= 0.7 × 2 倍",
      en = "one core: two waits take < 0.35 s, threads get < 1.25 x; all cores: threads get >= 0.7 x 2" },
    run = function(self)
      local chunk = [[
        local braid = require "braid"
        local lab = require "braid.tutorial.lab"
local units = require "braid.units"
        braid.run(function()
          local start = braid.now()
          braid.gather { function() braid.sleep(0.2) end, function() braid.sleep(0.2) end }
          local waits = braid.now() - start
          local pool <close> = braid.thread_pool(2)
          pool:map(math.abs, { 1, 2, 3, 4 })
          start = braid.now()
          for _ = 1, 4 do lab.factorize(lab.PRIME) end
          local serial = braid.now() - start
          start = braid.now()
          pool:map(lab.factorize, { lab.PRIME, lab.PRIME, lab.PRIME, lab.PRIME })
          print(braid.cpu_count(), waits, serial / (braid.now() - start))
        end)]]
      local one = self:script(chunk, { "taskset", "-c", "0" }).stdout
      local all = self:script(chunk).stdout
      local count, waits, speed = one:match "(%S+)%s+(%S+)%s+(%S+)"
      local cores, all_waits, all_speed = all:match "(%S+)%s+(%S+)%s+(%S+)"
      local ok, busy = self:holds(tonumber(all_speed), math.min(2, self.cores), 0.7)
      local line = self:say("cpu_count %%s, 两次 0.2 s 的等待用 %%.2f s, 2 个线程 %%.2f 倍",
        "cpu_count %%s, two waits of 0.2 s take %%.2f s, 2 threads %%.2f x")
      return {
        measured = ("taskset -c 0: %s\n%s%s"):format(line:format(count, waits, speed),
          self:say("全部核:       ", "all cores:    "), line:format(cores, all_waits, all_speed)),
        ok = count == "1" and tonumber(waits) < 0.35 and ok and tonumber(speed) < 1.25, busy = busy,
      }
    end,
  },
  {
    row = "S3", says = { zh = "Python: threading / asyncio 与 multiprocessing 是不同的接口",
      en = "threading / asyncio and multiprocessing: different interfaces" },
    needs = { zh = "四种模型的结果相同",
      en = "the results are the same in all four models" },
    run = function(self)
      local lines, ok, first = {}, true, nil
      for i, kind in ipairs(MODELS) do
        local pool <close> = braid.pool(kind, 2)
        local results = pool:map(factorize, { 360, 97, 1001 })
        local told = ("{%s} {%s} {%s}"):format(table.concat(results[1], ","), table.concat(results[2], ","),
          table.concat(results[3], ","))
        lines[i], first = ("%s %s"):format(units.pad(self:kind(kind), 10), told), first or told
        ok = ok and told == first
      end
      return { measured = table.concat(lines, "\n"), ok = ok, verdict = "better",
        reason = self:say("同一个函数, 四种模型, 一个接口", "one function, four models, one interface") }
    end,
  },
  {
    row = "S4", says = { zh = "I/O 密集型(网络、磁盘); CPU 密集型(计算、加解密)",
      en = "I/O-bound (network, disk); CPU-bound (computing, hashing)" },
    needs = { zh = "网络: 协程 < 1/2, 线程 < 1/1.5 的串行时间; 计算: 线程 >= 0.7 × 2 倍",
      en = "network: tasks need < 1/2, threads < 1/1.5 of the serial time; computing: threads get >= 0.7 x 2" },
    run = function(self)
      local list, path = workloads(self, self:server())
      local cells, times = { { "s" } }, {}
      for i, work in ipairs(list) do
        cells[i + 1], times[i] = { work[1] }, {}
        for m, kind in ipairs(MODELS) do
          local pool <close> = braid.pool(kind, math.max(2, math.min(4, self.cores)))
          cells[1][m + 1] = self:kind(kind)
          pool:map(math.abs, { 1, 2, 3, 4 })
          times[i][kind] = select(2, self:time(pool.map, pool, work[2], work[3], { chunk = 1 }))
          cells[i + 1][m + 1] = ("%.3f"):format(times[i][kind])
        end
      end
      os.remove(path)
      local ok, busy = self:holds(times[3].inline / times[3].threads, math.min(2, self.cores), 0.7)
      return {
        measured = self:table(cells), busy = busy,
        ok = ok and times[1].tasks < times[1].inline / 2 and times[1].threads < times[1].inline / 1.5,
      }
    end,
  },
  {
    row = "S5", says = { zh = "GIL 限制线程的 CPU 并行; 进程间通信开销大",
      en = "the GIL limits threads; talk between processes is dear" },
    needs = { zh = "只列出数字",
      en = "none: the figures are shown" },
    run = function(self)
      local cells = { { "", self:say("微秒/次", "us/call"), "MB/s 1 KB", "MB/s 1 MB" } }
      for _, kind in ipairs(MODELS) do
        local pool <close> = braid.pool(kind, 1)
        pool:submit(echo, 1):result()
        local function cost(value, count)
          return self:median(3, function()
            for _ = 1, count do pool:submit(echo, value):result() end
          end) / count
        end
        local call, small, large = cost(1, 300), cost(("x"):rep(1024), 300), cost(("x"):rep(1 << 20), 10)
        cells[#cells + 1] = { self:kind(kind), ("%.1f"):format(call * 1e6), ("%.0f"):format(2 * 1024 / small / 1e6),
          ("%.0f"):format(2 * 1048576 / large / 1e6) }
      end
      return { measured = self:table(cells), ok = true, verdict = "better",
        reason = self:say("没有 GIL; 通信的代价如上", "there is no GIL; talk costs what the table says") }
    end,
  },
  {
    row = "S6", says = { zh = "多线程对 CPU 密集型任务无加速, 但对 I/O 密集型任务有效",
      en = "threads do not speed up computing, but they do speed up waiting" },
    needs = { zh = "线程 >= 0.75 × 核数倍; 有一把大锁时 < 1.25 倍",
      en = "threads get >= 0.75 x cores; with one lock around each job < 1.25 x" },
    run = function(self)
      local k = math.min(8, self.cores)
      local numbers, gil = {}, braid.lock()
      for i = 1, 4 * k do numbers[i] = PRIME end
      local pool <close> = braid.thread_pool(k)
      pool:map(math.abs, numbers)
      local serial = self:least(2, function()
        for _, n in ipairs(numbers) do factorize(n) end
      end)
      local threads = self:least(3, pool.map, pool, factorize, numbers)
      local locked = self:least(2, pool.map, pool, function(n) return gil:with(factorize, n) end, numbers, { chunk = 1 })
      local ok, busy = self:holds(serial / threads, k)
      return {
        measured = self:say("线程 %.2f 倍; 每个任务外面加一把大锁 (相当于 GIL) %.2f 倍",
          "threads %.2f x; with one lock around each job (a GIL) %.2f x", serial / threads, serial / locked),
        ok = ok and serial / locked < 1.25, busy = busy, verdict = "better",
        reason = self:say("线程真正并行", "threads are parallel here"),
      }
    end,
  },
  {
    row = "S7-S9", says = { zh = "切换成本: 多进程 高, 多线程 中, 协程 低", en = "switch cost: processes high, threads medium, tasks low" },
    needs = { zh = "切换成本: 进程 > 线程 > 协程",
      en = "a switch costs most for processes, less for threads, least for tasks" },
    run = function(self)
      local task, thread, process = switch_cost("tasks", 20000), switch_cost("threads", 3000),
        switch_cost("processes", 1000)
      local function sleepy(kind) -- without the short spin before a sleep, which makes warm threads as fast as tasks
        return self:median(30, function()
          local pool = kind
          braid.sleep(0.002)
          pool:submit(math.abs, 1):result()
        end) * 1e6 - 2000
      end
      local threads <close> = braid.thread_pool(1)
      local processes <close> = braid.process_pool(1)
      threads:submit(math.abs, 1):result()
      processes:submit(math.abs, 1):result()
      local cells = { { "", self:say("切换 µs", "switch us"), self:say("闲置后的任务 µs", "job after a rest us"),
        self:say("启动 ms", "start ms") }, { self:kind "processes", ("%.1f"):format(process), ("%.0f"):format(sleepy(processes)),
          ("%.2f"):format(start_cost(self, "processes")) },
        { self:kind "threads", ("%.1f"):format(thread), ("%.0f"):format(sleepy(threads)),
          ("%.2f"):format(start_cost(self, "threads")) },
        { self:kind "tasks", ("%.2f"):format(task), "", ("%.3f"):format(start_cost(self, "tasks")) } }
      return { measured = self:table(cells), ok = process > thread and thread > task }
    end,
  },
}
