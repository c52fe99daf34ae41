-- SPDX-License-Identifier: MIT
--- Rows S29-S33: a producer and two consumers, in threads and as tasks, with the same two functions.

local braid = require "braid"
local core = require "braid.core"

local function produce(queue, count, sentinel)
  for i = 1, count do
    queue:put(i)
    braid.sleep(0.1)
  end
  if sentinel then queue:put(braid.null) else queue:close() end
  return core.thread_id()
end

local function consume(queue)
  local count = 0
  for item in queue:items() do
    if item == braid.null then
      queue:put(braid.null)
      break
    end
    count = count + 1
    braid.sleep(0.2)
    queue:task_done()
  end
  return { count = count, thread = core.thread_id() }
end

local function run(kind, sentinel)
  local queue, start = braid.queue(10), braid.now()
  local pool <close> = braid.pool(kind, 3)
  local producer = pool:submit(produce, queue, 10, sentinel)
  local first, second = pool:submit(consume, queue), pool:submit(consume, queue)
  local threads = { [producer:result()] = true }
  local consumed = 0
  for _, consumer in ipairs { first, second } do
    consumed = consumed + consumer:result().count
    threads[consumer:result().thread] = true
  end
  local count = 0
  for _ in pairs(threads) do count = count + 1 end
  return { consumed = consumed, seconds = braid.now() - start, left = queue:size(), threads = count,
    joined = (queue:join(0.05)) and true or false }
end

local function yes(self, joined)
  return joined and self:say("返回了", "returned") or self:say("还在等", "still waits")
end

return {
  {
    row = "S29-S32", says = { zh = "线程 + Queue(10): 生产 10, 消费 10; 哨兵 q.put(None)",
      en = "threads + Queue(10): 10 produced, 10 consumed; a sentinel ends it" },
    needs = { zh = "两种方式都消费 10 个; 哨兵留下 1 个, join 等不到; close() 不留下, < 1.6 s",
      en = "both ways consume 10; a sentinel leaves 1 and join() waits; close() leaves none, in < 1.6 s" },
    run = function(self)
      local sentinel, closing = run("threads", true), run("threads", false)
      return {
        measured = self:say(
          "哨兵: 消费 %d, %.2fs, 队列里剩下 %d, join %s\nclose(): 消费 %d, %.2fs, 队列里剩下 %d, join %s",
          "sentinel: %d consumed, %.2fs, left in the queue %d, join %s\nclose():  %d consumed, %.2fs, left in the queue %d, join %s",
          sentinel.consumed, sentinel.seconds, sentinel.left, yes(self, sentinel.joined), closing.consumed, closing.seconds,
          closing.left, yes(self, closing.joined)),
        ok = sentinel.consumed == 10 and closing.consumed == 10 and sentinel.left == 1 and closing.left == 0 and
          closing.joined and not sentinel.joined and closing.seconds < 1.6,
        verdict = "wrong", reason = self:say("哨兵留在队列里, 之后的 join() 会一直等; close() 才对",
          "the sentinel stays in the queue, so a join() after it would hang; close() is the right way"),
      }
    end,
  },
  {
    row = "S33", says = { zh = "asyncio 版本: 另写一遍", en = "the asyncio version: written anew" },
    needs = { zh = "消费 10 个, 1 个线程, < 1.6 s",
      en = "10 consumed on 1 thread in < 1.6 s" },
    run = function(self)
      local result = run("tasks", false)
      return {
        measured = self:say("同样的两个函数: 消费 %d, %.2fs, %d 个线程", "the same two functions: %d consumed, %.2fs, %d thread",
          result.consumed, result.seconds, result.threads),
        ok = result.consumed == 10 and result.threads == 1 and result.seconds < 1.6, verdict = "better",
        reason = self:say("函数没有颜色", "functions have no colour"),
      }
    end,
  },
}
