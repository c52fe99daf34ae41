-- SPDX-License-Identifier: MIT
--- Rows S10-S21: five slow pages serially, in threads, as tasks; and ten thousand of everything.

local braid = require "braid"

local function fetch(url) return assert(braid.http.get(url, { timeout = 10 })).status end

local function copies(url, count)
  local urls = {}
  for i = 1, count do urls[i] = url end
  return urls
end

local function list(statuses) return "[" .. table.concat(statuses, ", ") .. "]" end

local function all_ok(statuses, count)
  if #statuses ~= count then return false end
  for _, status in ipairs(statuses) do
    if status ~= 200 then return false end
  end
  return true
end

local function threads_now()
  local status = io.open "/proc/self/status"
  if not status then return 1 end
  local count = tonumber(status:read("a"):match "Threads:%s*(%d+)")
  status:close()
  return count
end

-- Runs in a new process, whose allocator has no free memory to reuse. Prints how many bytes its memory grows for each
-- of 500 running requests, and for each of 32 threads with a Lua state.
local MEMORY = [[
  local braid = require "braid"
  local function resident()
    for line in io.lines "/proc/self/status" do
      local size = line:match "^VmRSS:[^0-9]*([0-9]+)"
      if size then return size * 1024 end
    end
  end
  local function grows(count, fn, ...)
    fn(1, ...)
    local before = resident()
    return (fn(count, ...) - before) // count
  end
  local function request(count, url)
    local session <close> = braid.http.session { timeout = 20, max_per_host = count }
    local answers, size = {}, 0
    for i = 1, count do answers[i] = braid.spawn(session.get, session, url) end
    braid.sleep(0.7)
    size = resident()
    braid.gather(answers)
    return size
  end
  local function state(count)
    local pool <close> = braid.thread_pool(count)
    local barrier, items = braid.barrier(count), {}
    for i = 1, count do items[i] = i end
    pool:map(function() barrier:wait() end, items, { chunk = 1 })
    return resident()
  end
  print(grows(32, state), grows(500, request, "%s/delay/1"))]]

-- The default session keeps the connection.
local function stats(self)
  return assert(braid.http.get(self:server() .. "/stats")):json()
end

return {
  {
    row = "S10", says = { zh = "串行耗时 ~5.20s (5 × delay/1)", en = "serial: ~5.20 s (5 x delay/1)" },
    needs = { zh = "5 个 200, 5.0 到 5.8 s",
      en = "five times 200, 5.0 to 5.8 s" },
    run = function(self)
      local urls = copies(self:server() .. "/delay/1", 5)
      local statuses, seconds = self:time(function()
        local results = {}
        for i, url in ipairs(urls) do results[i] = fetch(url) end
        return results
      end)
      return { measured = self:say("串行耗时 %.2fs, 结果 %s", "serial: %.2fs, results %s", seconds, list(statuses)),
        ok = all_ok(statuses, 5) and seconds >= 5 and seconds < 5.8 }
    end,
  },
  {
    row = "S11", says = "time.perf_counter()",
    needs = { zh = "最小间隔 < 0.1 ms",
      en = "the smallest step is < 0.1 ms" },
    run = function()
      local least = math.huge
      for _ = 1, 1000 do
        local start = braid.now()
        local stop = braid.now()
        if stop > start then least = math.min(least, stop - start) end
      end
      return { measured = ("braid.now(): %.0f ns"):format(least * 1e9), ok = least < 1e-4 }
    end,
  },
  {
    row = "S12", says = "requests.get(url, timeout=10)",
    needs = { zh = "timeout = 1 的请求在 1.0 到 1.3 s 后失败, 错误里有 URL",
      en = "a request with timeout = 1 fails after 1.0 to 1.3 s, and the error names the URL" },
    run = function(self)
      local url = self:server() .. "/delay/30"
      local start = braid.now()
      local response, err = braid.http.get(url, { timeout = 1 })
      local seconds = braid.now() - start
      return { measured = ("%.2fs: %s"):format(seconds, tostring(err)),
        ok = not response and err.kind == "timeout" and tostring(err):find(url, 1, true) and seconds >= 1 and
          seconds < 1.3 }
    end,
  },
  {
    row = "S13-S16", says = { zh = "多线程耗时 ~1.10s (ThreadPoolExecutor(5), with, map)",
      en = "threads: ~1.10 s (ThreadPoolExecutor(5), with, map)" },
    needs = { zh = "5 个 200, < 1.4 s; 之后没有多余的线程",
      en = "five times 200 in < 1.4 s; no thread is left" },
    run = function(self)
      local urls, before = copies(self:server() .. "/delay/1", 5), threads_now()
      local statuses, seconds = self:time(function()
        local pool <close> = braid.thread_pool(5)
        return pool:map(fetch, urls)
      end)
      braid.sleep(0.05) -- the system removes a thread a moment after its end
      return {
        measured = self:say("多线程耗时 %.2fs, 结果 %s; 之后还剩 %d 个线程", "threads: %.2fs, results %s; %d threads left after it",
          seconds, list(statuses), threads_now() - before),
        ok = all_ok(statuses, 5) and seconds < 1.4 and threads_now() <= before,
      }
    end,
  },
  {
    row = "S17", says = "aiohttp.ClientSession",
    needs = { zh = "第一轮最多 5 个连接, 第二轮不开新连接",
      en = "at most 5 connections in the first round, no new one in the second" },
    run = function(self)
      stats(self)
      local url, before = self:server() .. "/delay/0.1", stats(self).accepted
      local session <close> = braid.http.session()
      local function round() return braid.map(function() return assert(session:get(url)).status end, copies(url, 5)) end
      round()
      local first = stats(self).accepted - before
      round()
      local second = stats(self).accepted - before - first
      return { measured = self:say("第一轮 %d 个连接, 第二轮 %d 个新连接", "first round %d connections, second round %d new ones",
        first, second), ok = first <= 5 and second == 0 }
    end,
  },
  {
    row = "S18", says = { zh = "协程耗时 ~1.05s (asyncio.gather)", en = "tasks: ~1.05 s (asyncio.gather)" },
    needs = { zh = "5 个 200, < 1.3 s",
      en = "five times 200 in < 1.3 s" },
    run = function(self)
      local urls = copies(self:server() .. "/delay/1", 5)
      local statuses, seconds = self:time(function()
        local session <close> = braid.http.session { timeout = 10 }
        return braid.map(function(url) return assert(session:get(url)).status end, urls)
      end)
      return { measured = self:say("协程耗时 %.2fs, 结果 %s", "tasks: %.2fs, results %s", seconds, list(statuses)),
        ok = all_ok(statuses, 5) and seconds < 1.3 }
    end,
  },
  {
    row = "S19", says = { zh = "单线程内即可处理上万并发", en = "tens of thousands at once in one thread" },
    needs = { zh = "10000 个 1 s 的休眠 < 1.5 s; 10000 个请求全部 200",
      en = "10,000 sleeps of 1 s take < 1.5 s; all 10,000 requests get 200" },
    run = function(self)
      local _, sleepers = self:time(braid.map, function() braid.sleep(1) end, copies("", 10000))
      local url, good = self:server() .. "/delay/1", 0
      local session <close> = braid.http.session { timeout = 20, max_per_host = 10000 }
      local _, seconds = self:time(braid.map, function()
        local response = session:get(url)
        if response and response.status == 200 then good = good + 1 end
      end, copies(url, 10000))
      return {
        measured = self:say("10000 个休眠 1s 的任务: %.2fs; 10000 个同时的请求: %.2fs, %d 个 200",
          "10,000 tasks that sleep 1 s: %.2fs; 10,000 requests at once: %.2fs, %d are 200", sleepers, seconds, good),
        ok = sleepers < 1.5 and good == 10000,
      }
    end,
  },
  {
    row = "S20-S21", says = { zh = "每个连接占用内存远低于线程(~KB vs ~MB); 无线程切换成本",
      en = "much less memory than a thread (KB against MB); no thread switches" },
    needs = { zh = "每个任务 < 4096 字节, 不增加线程",
      en = "a task needs < 4,096 bytes, and no thread is added" },
    run = function(self)
      collectgarbage()
      local before, threads = collectgarbage "count", threads_now()
      local tasks = {}
      for i = 1, 10000 do tasks[i] = braid.spawn(braid.sleep, 60) end
      braid.sleep(0)
      collectgarbage()
      local each = (collectgarbage "count" - before) * 1024 / 10000
      local more = threads_now() - threads
      for _, task in ipairs(tasks) do task:cancel() end
      local state, request = self:script(MEMORY:format(self:server())).stdout:match "(%d+)%s+(%d+)"
      return {
        measured = self:say("每个任务 %.0f 字节; 增加的线程 %d\n每个请求 %s KB; 每个线程及其 Lua 状态 %s KB",
          "%.0f bytes a task; %d more threads\n%s KB a request in flight; %s KB a thread with its Lua state", each, more,
          (tonumber(request) or 0) // 1000, (tonumber(state) or 0) // 1000),
        ok = each < 4096 and more == 0,
      }
    end,
  },
}
