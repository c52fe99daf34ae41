-- SPDX-License-Identifier: MIT
--- Rows S22-S28: factorization, serially, in threads and in processes; what can be sent, and what that costs.

local braid = require "braid"
local lab = require "braid.tutorial.lab"

local factorize, PRIME, LARGE = lab.factorize, lab.PRIME, lab.LARGE

local function copies(n, count)
  local list = {}
  for i = 1, count do list[i] = n end
  return list
end

local function serially(numbers)
  for _, n in ipairs(numbers) do factorize(n) end
end

return {
  {
    row = "S22-S23", says = { zh = "串行耗时 ~12.0s (8 个 112272535095293)", en = "serial: ~12.0 s (112272535095293 eight times)" },
    needs = { zh = "factorize(360) = {2,2,2,3,3,5}, factorize(1) = {}",
      en = "factorize(360) = {2,2,2,3,3,5}, factorize(1) = {}" },
    run = function(self)
      local _, seconds = self:time(serially, copies(PRIME, 8))
      local _, large = self:time(factorize, LARGE)
      local small, one = factorize(360), factorize(1)
      return {
        measured = self:say("串行耗时 %.2fs; factorize(360) = {%s}; factorize(1) = {%s}; 9007199254740881: %.2fs",
          "serial: %.2fs; factorize(360) = {%s}; factorize(1) = {%s}; 9007199254740881: %.2fs", seconds,
          table.concat(small, ","), table.concat(one, ","), large),
        ok = table.concat(small, ",") == "2,2,2,3,3,5" and #one == 0, verdict = "better",
        reason = self:say("同样的算法, 用 Lua 写", "the same algorithm in Lua"),
      }
    end,
  },
  {
    row = "S24", says = { zh = "多线程耗时 ~12.0s (GIL 导致无加速)", en = "threads: ~12.0 s (no speed-up because of the GIL)" },
    needs = { zh = "线程 >= 0.75 × 核数 (最多 8) 倍",
      en = "threads get >= 0.75 x cores (8 at most)" },
    run = function(self)
      local k = math.min(8, self.cores)
      local numbers = copies(PRIME, 8)
      local serial = self:least(3, serially, numbers)
      local times = {}
      for _, kind in ipairs { "tasks", "threads" } do
        local pool <close> = braid.pool(kind, k)
        pool:map(math.abs, numbers)
        times[kind] = self:least(3, pool.map, pool, factorize, numbers)
      end
      local ok, busy = self:holds(serial / times.threads, k)
      return {
        measured = self:say("多线程耗时 %.2fs (%.2f 倍); 协程 %.2fs (%.2f 倍)",
          "threads: %.2fs (%.2f x); tasks: %.2fs (%.2f x)",
          times.threads, serial / times.threads, times.tasks, serial / times.tasks),
        ok = ok, busy = busy, verdict = "better",
        reason = self:say("没有 GIL: %d 核 %.2f 倍", "no GIL: %.0f cores, %.2f x", k, serial / times.threads),
      }
    end,
  },
  {
    row = "S25", says = { zh = "多进程耗时 ~1.6s (8 核接近线性加速)", en = "processes: ~1.6 s (8 cores, nearly linear)" },
    needs = { zh = "进程 >= 0.7 × 核数 (最多 8) 倍",
      en = "processes get >= 0.7 x cores (8 at most)" },
    run = function(self)
      local k = math.min(8, self.cores)
      local numbers = copies(LARGE, 2 * k)
      local serial = self:least(2, serially, numbers)
      local pool <close> = braid.process_pool(k)
      pool:map(math.abs, numbers)
      local seconds = self:least(2, pool.map, pool, factorize, numbers)
      local ok, busy = self:holds(serial / seconds, k, 0.7)
      return {
        measured = self:say("多进程耗时 %.2fs; 串行 %.2fs; %d 核 %.2f 倍",
          "processes: %.2fs; serial %.2fs; %d cores, %.2f x", seconds, serial, k, serial / seconds),
        ok = ok, busy = busy,
      }
    end,
  },
  {
    row = "S26", says = { zh = "必须有 __main__ 守卫, 否则子进程会无限递归 fork", en = "without a __main__ guard: endless forks" },
    needs = { zh = "脚本只运行一次, 结果 2 4 6",
      en = "the script runs once, the result is 2 4 6" },
    run = function(self)
      local output = self:script [[
        local braid = require "braid"
        print "script"
        local pool <close> = braid.process_pool(2)
        print(table.concat(pool:map(function(n) return n * 2 end, { 1, 2, 3 }), " "))]]
      local _, times = output.stdout:gsub("script", "")
      return {
        measured = self:say("没有守卫的脚本运行了 %d 次, 结果 %s", "a script without a guard ran %d time, result %s", times,
          output.stdout:match "\n([^\n]*)"),
        ok = times == 1 and output.stdout:find "2 4 6", verdict = "better",
        reason = self:say("工作进程从不运行用户脚本", "workers never run the script"),
      }
    end,
  },
  {
    row = "S27", says = { zh = "函数与参数必须可 pickle 序列化", en = "functions and arguments must be picklable" },
    needs = { zh = "闭包和循环引用能传递; 文件被拒绝, 错误里有 log.file",
      en = "closures and cycles travel; a file is refused with its path, log.file" },
    run = function(self)
      local pool <close> = braid.process_pool(1)
      local factor = 3
      local shared = { 1 }
      shared.self = shared
      local closure = pool:submit(function(x) return factor * x end, 14):result()
      local cycle = pool:submit(function(t) return t.self == t end, shared):result()
      local file <close> = assert(io.tmpfile())
      local ok, err = pcall(pool.submit, pool, function(t) return t end, { log = { file = file } })
      return {
        measured = self:say("闭包: %s; 循环引用: %s; 被拒绝: %s", "closure: %s; cycle: %s; refused: %s", closure, cycle,
          tostring(err)),
        ok = closure == 42 and cycle and not ok and tostring(err):find("log.file", 1, true), verdict = "better",
        reason = self:say("闭包和循环引用都能传递; 不能传递的在提交时报出路径", "closures and cycles travel; what cannot is refused with its path"),
      }
    end,
  },
  {
    row = "S28", says = { zh = "进程启动有固定开销(~50-200ms), 任务太小反而变慢", en = "a process costs 50-200 ms to start; small tasks get slower" },
    needs = { zh = "逐个提交的小任务比直接调用慢",
      en = "small jobs one by one are slower than inline" },
    run = function(self)
      local start = self:median(3, function()
        local pool <close> = braid.process_pool(1)
        pool:submit(math.abs, 1):result()
      end)
      local items = copies(3, 1000)
      local cells = { { self:say("1000 个极小的任务", "1,000 trivial jobs"), "ms" } }
      local function add(what, seconds) cells[#cells + 1] = { what, ("%.2f"):format(seconds * 1000) } end
      local inline = self:median(3, serially, items)
      add(self:kind "inline", inline)
      local one_by_one
      for _, kind in ipairs { "threads", "processes" } do
        local pool <close> = braid.pool(kind, 2)
        pool:map(math.abs, items)
        local each = self:median(3, pool.map, pool, factorize, items, { chunk = 1 })
        add(self:kind(kind) .. self:say(", 逐个", ", one by one"), each)
        add(self:kind(kind) .. self:say(", 分块", ", in chunks"), self:median(3, pool.map, pool, factorize, items))
        one_by_one = each
      end
      return {
        measured = self:say("进程启动到第一个结果 %.1f ms\n%s", "process start to first result %.1f ms\n%s", start * 1000,
          self:table(cells)),
        ok = one_by_one > inline, verdict = "wrong",
        reason = self:say("启动只需 %.1f ms; 小任务确实变慢", "a start costs %.1f ms; small tasks do get slower", start * 1000),
      }
    end,
  },
}
