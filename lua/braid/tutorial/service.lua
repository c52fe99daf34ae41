-- SPDX-License-Identifier: MIT
--- Rows S34-S38: a service that asks three others at once, and its worker processes.

local braid = require "braid"

-- The handler of the document.
local function aggregate_app(base)
  local app = braid.web.app()
  app:get("/aggregate", function(request)
    local session <close> = braid.http.session { timeout = 5 }
    local path = request.query.fail and "/status/503" or "/delay/1"
    local user, order, stock = table.unpack(braid.map(function(url) return assert(session:get(url)).status end,
      { base .. path, base .. "/delay/1", base .. "/delay/1" }))
    if user ~= 200 then
      return braid.web.response { status = 502, body = { error = "user", status = user } }
    end
    return { user = user, order = order, stock = stock }
  end)
  return app
end

-- A service with worker processes, as a user starts it.
local SERVICE = [[
  local braid = require "braid"
  local app = braid.web.app()
  app:get("/pid", function() return { pid = require("braid.core").pid() } end)
  app:get("/compute", function() return { factors = require("braid.tutorial.lab").factorize(112272535095293) } end)
  app:serve { port = %d, workers = %d, access_log = false }]]

-- Starts the service; returns its process and address.
local function serve(workers)
  local lab = require "braid.tutorial.lab"
  local listener = assert(braid.net.listen("127.0.0.1", 0)) -- to find a free port
  local port = listener.port
  listener:close()
  local process = assert(braid.process.start({ lab.interpreter(), "-e", SERVICE:format(port, workers) }, {
    env = { LUA_PATH = package.path, LUA_CPATH = package.cpath },
  }))
  local url = ("http://127.0.0.1:%d"):format(port)
  local deadline = braid.now() + 10
  repeat braid.sleep(0.05) until braid.http.get(url .. "/pid", { timeout = 1 }) or braid.now() > deadline
  return process, url
end

local function stop(process)
  process:kill(15)
  process:wait(5)
end

-- Seconds for `count` requests that compute, sent at once, each on its own connection.
local function seconds_to_compute(workers, count)
  local process <close>, url = serve(workers)
  local headers = { Connection = "close" }
  local start = braid.now()
  local asks = {}
  for i = 1, count do asks[i] = function() assert(braid.http.get(url .. "/compute", { headers = headers })) end end
  braid.gather(asks)
  local seconds = braid.now() - start
  stop(process)
  return seconds
end

-- The process ids that answered `count` requests.
local function pids(url, count)
  local seen, list = {}, {}
  for _ = 1, count do
    local response = braid.http.get(url, { timeout = 2, headers = { Connection = "close" } })
    local pid = response and response.status == 200 and response:json().pid
    if pid and not seen[pid] then
      seen[pid] = true
      list[#list + 1] = pid
    end
  end
  return list
end

return {
  {
    row = "S34-S36", says = { zh = "并发聚合 3 个下游服务: {\"user\":200,\"order\":200,\"stock\":200}",
      en = "three downstream services at once: {\"user\":200,\"order\":200,\"stock\":200}" },
    needs = { zh = "三个 200, < 1.4 s; 一个下游失败时 502 并说明",
      en = "three times 200 in < 1.4 s; 502 with its reason when one of them fails" },
    run = function(self)
      local server = assert(aggregate_app(self:server()):start { port = 0, access_log = false })
      local url = ("http://127.0.0.1:%d/aggregate"):format(server.port)
      local response, seconds = self:time(braid.http.get, url)
      local failed = assert(braid.http.get(url .. "?fail=1"))
      server:stop()
      local body = response and response:json() or {}
      return {
        measured = ("%.2fs %s; %d %s"):format(seconds, response and response.body, failed.status, failed.body),
        ok = body.user == 200 and body.order == 200 and body.stock == 200 and seconds < 1.4 and failed.status == 502 and
          failed.body ~= "",
      }
    end,
  },
  {
    row = "S37-S38", says = { zh = "uvicorn main:app --workers 4: 多进程并行 + 协程并发 = 双层加速",
      en = "uvicorn main:app --workers 4: processes and tasks, both at once" },
    needs = { zh = "4 个工作进程, 杀死一个后仍是 4 个; 计算 >= 0.6 × min(4, 核数) 倍",
      en = "4 workers, and 4 again after a kill; computing gets >= 0.6 x min(4, cores)" },
    run = function(self)
      local process <close>, base = serve(4)
      local url = base .. "/pid"
      local before = pids(url, 60)
      if before[1] then braid.process.run { "kill", "-9", tostring(before[1]) } end
      braid.sleep(0.5)
      local after = pids(url, 60)
      stop(process)
      local workers, count = math.min(4, self.cores), 16
      local ratio = seconds_to_compute(1, count) / seconds_to_compute(workers, count)
      local scales, busy = self:holds(ratio, workers, 0.6)
      return {
        measured = self:say("主进程 %d, 工作进程 %s; kill -9 %s 之后 %s\n计算: %d 个工作进程是 1 个的 %.2f 倍",
          "parent %d, workers %s; after kill -9 %s: %s\ncomputing: %d workers do %.2f times what one does",
          process.pid, table.concat(before, " "), tostring(before[1]), table.concat(after, " "), workers, ratio),
        ok = #before == 4 and #after == 4 and scales, busy = busy,
      }
    end,
  },
}
