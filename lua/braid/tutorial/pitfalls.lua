-- SPDX-License-Identifier: MIT
--- Rows S51-S58: what goes wrong, and free threading.

local braid = require "braid"
local lab = require "braid.tutorial.lab"

local function fail() error("boom", 0) end

local function count_global() tutorial_total = (tutorial_total or 0) + 1 end -- luacheck: ignore 111 113

local function count_shared(counter, dict, queue, i)
  counter:add()
  dict:update("total", function(value) return (value or 0) + 1 end)
  queue:put(i)
end

-- The longest time between two ticks of a task that ticks every 20 ms, while `work` runs.
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

local function block() os.execute "sleep 0.3" end

-- What happened to two slow siblings of a task that failed.
local function siblings(opts)
  local function slow()
    braid.sleep(0.05)
    return "slow"
  end
  local a, b = braid.spawn(slow), braid.spawn(slow)
  local ok = pcall(braid.gather, { a, braid.spawn(fail), b }, opts)
  braid.wait { a, b }
  return { ok = ok, a:state(), b:state() }
end

local function both(states, state) return states[1] == state and states[2] == state end

local STATES = { done = "完成", cancelled = "被取消" }

local function told(self, states)
  local first, second = states[1], states[2]
  return self:say("%s; 其他两个: %s, %s", "%s; the two others: %s, %s", states.ok and self:say("返回", "returns") or
    self:say("抛出错误", "raises"), self.lang == "zh" and STATES[first] or first,
    self.lang == "zh" and STATES[second] or second)
end

return {
  {
    row = "S51", says = { zh = "多进程下全局变量不共享, 需用 Manager 或 Queue", en = "globals are not shared; use a Manager or a Queue" },
    needs = { zh = "全局变量仍是 0; counter、dict、queue 都是 4",
      en = "the global stays 0; counter, dict and queue are 4" },
    run = function(self)
      local lines, ok = {}, true
      for _, kind in ipairs { "threads", "processes" } do
        local pool <close> = braid.pool(kind, 2)
        tutorial_total = 0 -- luacheck: ignore 111
        pool:map(count_global, { 1, 2, 3, 4 })
        local counter, dict, queue = braid.counter(), braid.dict(), braid.queue()
        pool:map(function(i) count_shared(counter, dict, queue, i) end, { 1, 2, 3, 4 })
        lines[#lines + 1] = self:say("%s: 全局变量 %d; counter %d, dict %d, queue %d",
          "%s: the global %d; counter %d, dict %d, queue %d", self:kind(kind), tutorial_total, counter:get(), -- luacheck: ignore 113
          dict:get "total", queue:size())
        ok = ok and tutorial_total == 0 and counter:get() == 4 and dict:get "total" == 4 and queue:size() == 4 -- luacheck: ignore 113
      end
      tutorial_total = nil -- luacheck: ignore 111
      return { measured = table.concat(lines, "\n"), ok = ok }
    end,
  },
  {
    row = "S52", says = { zh = "协程中调用阻塞函数会阻塞整个事件循环: 用 asyncio.to_thread",
      en = "a blocking call in a coroutine blocks the whole loop: use asyncio.to_thread" },
    needs = { zh = "阻塞时间隔 >= 290 ms; to_thread 时 < 150 ms; BRAID_DEBUG=1 指出那个函数",
      en = "blocking: a gap of >= 290 ms; to_thread: < 150 ms; BRAID_DEBUG=1 names the function" },
    run = function(self)
      braid.to_thread(math.abs, 1)
      local held, free = longest_gap(block), longest_gap(function() braid.to_thread(block) end)
      local child = self:script([[
        local braid = require "braid"
        local function block() os.execute "sleep 0.3" end
        braid.run(function() braid.sleep(0.01) block() end)]], { "env", "BRAID_DEBUG=1" })
      local named = child.stderr:match "slow step: [^\n]*block at [^\n]*"
      return {
        measured = self:say("阻塞: 间隔 %.0f ms; to_thread: 间隔 %.0f ms", "blocking: a gap of %.0f ms; to_thread: %.0f ms",
          held * 1000, free * 1000) .. "\nBRAID_DEBUG=1: " .. tostring(named),
        ok = held >= 0.29 and free < 0.15 and named ~= nil,
      }
    end,
  },
  {
    row = "S53", says = { zh = "线程池中异常会被吞掉: 必须 future.result()", en = "a pool swallows errors: call future.result()" },
    needs = { zh = "error() 和 result() 都是 boom; 没人问的错误报告一次",
      en = "error() and result() give boom; what nobody asks for is reported once" },
    run = function(self)
      local reported = {}
      braid.on_unhandled(function(err) reported[#reported + 1] = tostring(err) end)
      do
        local pool <close> = braid.thread_pool(1)
        local future = pool:submit(fail)
        future:wait()
        reported.error = future:error()
        reported.result = select(2, pcall(future.result, future))
        pool:submit(fail)
      end
      collectgarbage()
      collectgarbage()
      braid.on_unhandled(nil)
      return {
        measured = ("error(): %s; result(): %s; %s: %s"):format(reported.error, reported.result,
          self:say("没有人问: 报告", "nobody asked: reported"), tostring(reported[1])),
        ok = reported.error == "boom" and reported.result == "boom" and #reported == 1, verdict = "better",
        reason = self:say("没有人取走的错误会报告一次", "what nobody fetches is reported once"),
      }
    end,
  },
  {
    row = "S54", says = { zh = "lambda、嵌套函数会报错", en = "lambdas and nested functions fail" },
    needs = { zh = "嵌套函数得到 42; 文件被拒绝, 错误里有 sinks",
      en = "a nested function gives 42; a file is refused, and the error names sinks" },
    run = function(self)
      local pool <close> = braid.process_pool(1)
      local factor = 3
      local function times(x) return factor * x end
      local nested = pool:submit(function(x) return times(x) end, 14):result()
      local log <close> = assert(io.tmpfile())
      local sinks = { file = log }
      local ok, err = pcall(pool.submit, pool, function() sinks.file:write "x" end)
      return { measured = self:say("嵌套函数: %d; %s", "nested: %d; %s", nested, tostring(err)),
        ok = nested == 42 and not ok and tostring(err):find("sinks", 1, true), verdict = "better",
        reason = self:say("这里它们能传递", "here they travel") }
    end,
  },
  {
    row = "S55", says = { zh = "asyncio.gather 中一个失败会取消其他", en = "one failure in asyncio.gather cancels the others" },
    needs = { zh = "默认: 其他任务被取消; continue 和 return_errors: 其他任务完成",
      en = "default: the others are cancelled; continue and return_errors: they finish" },
    run = function(self)
      local default, continue, collect = siblings(), siblings { on_error = "continue" }, siblings { return_errors = true }
      return {
        measured = ("gather                    %s\non_error = \"continue\"     %s\nreturn_errors = true      %s"):format(
          told(self, default), told(self, continue), told(self, collect)),
        ok = not default.ok and both(default, "cancelled") and not continue.ok and both(continue, "done") and
          collect.ok and both(collect, "done"), verdict = "wrong",
        reason = self:say("asyncio.gather 其实让其他任务继续 (on_error = \"continue\"); 这里默认取消",
          "asyncio.gather in fact lets them run on (on_error = \"continue\"); here they are cancelled by default"),
      }
    end,
  },
  {
    row = "S56-S57", says = { zh = "Python 3.13 自由线程: 未来多线程也能真正并行", en = "Python 3.13: threads may become parallel some day" },
    needs = { zh = "线程 >= 0.75 × 核数 (最多 8) 倍",
      en = "threads get >= 0.75 x cores (8 at most)" },
    run = function(self)
      local numbers, cells = {}, {}
      for i = 1, 8 do numbers[i] = lab.PRIME end
      local start = braid.now()
      for _, n in ipairs(numbers) do lab.factorize(n) end
      local serial, best = braid.now() - start, 0
      for _, count in ipairs { 1, 2, 4, 8 } do
        local pool <close> = braid.thread_pool(count)
        pool:map(math.abs, numbers)
        local seconds = self:least(3, pool.map, pool, lab.factorize, numbers)
        best = math.max(best, serial / seconds)
        cells[#cells + 1] = ("%d: %.2f x"):format(count, serial / seconds)
      end
      local ok, busy = self:holds(best, math.min(8, self.cores))
      return { measured = self:say("线程 %s", "threads %s", table.concat(cells, "   ")), ok = ok, busy = busy,
        verdict = "better",
        reason = self:say("这里现在就能", "here they are today") }
    end,
  },
  {
    row = "S58", says = { zh = "多进程仍是 CPU 并行的稳妥选择", en = "processes remain the safe choice" },
    needs = { zh = "崩溃的任务: worker_died; 进程池继续工作",
      en = "the crashed job fails with worker_died; the pool goes on" },
    run = function(self)
      local pool <close> = braid.process_pool(2)
      local core = pool:submit(function() return require("braid.core").pid() end):result()
      local future = pool:submit(function()
        braid.process.run { "sh", "-c", "kill -SEGV $PPID" }
        braid.sleep(5)
      end)
      local err = future:error() or (future:wait(10) and future:error())
      local after = pool:submit(function() return require("braid.core").pid() end):result()
      return {
        measured = self:say("崩溃的任务: %s (%s); 之后进程池继续: %s", "the crashed job: %s (%s); the pool goes on: %s",
          tostring(err and err.kind), tostring(err), after > 0 and core > 0),
        ok = err and err.kind == "worker_died" and after > 0,
      }
    end,
  },
}
