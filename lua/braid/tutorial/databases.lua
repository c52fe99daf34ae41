-- SPDX-License-Identifier: MIT
--- Rows S48 and S49: the leaves of the decision tree for libraries. The same queries through a library that blocks, in
--- threads, and through braid.postgres, in tasks.

local braid = require "braid"
local cluster = require "braid.tutorial.cluster"

local QUERIES, SECONDS = 10, 0.1
local SQL = "select pg_sleep(0.1), %d as i"

-- Code as it was before braid: it knows nothing of threads or tasks.
local function ask(conninfo, sql)
  local driver = require "luasql.postgres"
  local environment = driver.postgres()
  local connection = assert(environment:connect(conninfo))
  local cursor = assert(connection:execute(sql))
  local row = cursor:fetch({}, "a")
  cursor:close()
  connection:close()
  environment:close()
  return tonumber(row.i)
end

local function sum_of(list)
  local sum = 0
  for _, i in ipairs(list) do sum = sum + i end
  return sum
end

local function statements()
  local list = {}
  for i = 1, QUERIES do list[i] = SQL:format(i) end
  return list
end

-- Without a server: SQLite, whose connections have threads of their own.
local function in_sqlite()
  local db <close> = assert(braid.sqlite.open())
  local list = {}
  for i = 1, QUERIES do list[i] = function() return db:value("select ?", i) end end
  return sum_of(braid.gather(list))
end

local function fall_back(self, missing)
  if not pcall(require, "braid.sqlite_core") then
    return { measured = self:say("缺少 %s", "missing: %s", missing), ok = true }
  end
  return {
    measured = self:say("缺少 %s; 改用 SQLite: 总和 %d", "missing: %s; SQLite instead: the sum is %d", missing, in_sqlite()),
    ok = true,
  }
end

return {
  {
    row = "S48", says = { zh = "有同步库 (psycopg2) → 线程池", en = "a synchronous library (psycopg2): a thread pool" },
    needs = { zh = "10 个 0.1 s 的查询 < 0.7 s (没有 PostgreSQL 时用 SQLite 代替)",
      en = "10 queries of 0.1 s in < 0.7 s (SQLite where there is no PostgreSQL)" },
    run = function(self)
      if not pcall(require, "luasql.postgres") then return fall_back(self, "luasql (Debian: lua-sql-postgres)") end
      local ran, result = cluster.with(function(conninfo)
        local pool <close> = braid.thread_pool(QUERIES)
        local jobs = {}
        local function in_threads()
          for i, sql in ipairs(statements()) do jobs[i] = pool:submit(ask, conninfo, sql) end
          for i, job in ipairs(jobs) do jobs[i] = job:result() end
          return sum_of(jobs)
        end
        in_threads() -- the library is loaded in each thread
        local sum, seconds = self:time(in_threads)
        return {
          measured = self:say("%d 次 pg_sleep(%.1f), 代码未改, %d 个线程: %.2fs, 总和 %d",
            "%d times pg_sleep(%.1f), unchanged code, %d threads: %.2fs, the sum is %d", QUERIES, SECONDS, QUERIES,
            seconds, sum),
          ok = sum == QUERIES * (QUERIES + 1) // 2 and seconds < QUERIES * SECONDS * 0.7,
        }
      end)
      return ran and result or fall_back(self, result)
    end,
  },
  {
    row = "S49", says = { zh = "有异步库 (asyncpg) → asyncio", en = "an asynchronous library (asyncpg): asyncio" },
    needs = { zh = "10 个 0.1 s 的查询 < 0.7 s; 取消的查询在服务器上也结束",
      en = "10 queries of 0.1 s in < 0.7 s; a cancelled query ends on the server, too" },
    run = function(self)
      local ran, result = cluster.with(function(conninfo)
        local db <close> = braid.postgres.pool { conninfo = conninfo, max = QUERIES }
        local function in_tasks()
          local list = {}
          for i, sql in ipairs(statements()) do list[i] = function() return db:row(sql).i end end
          return sum_of(braid.gather(list))
        end
        in_tasks() -- the connections are made
        local sum, seconds = self:time(in_tasks)
        local cancelled = not braid.move_on_after(0.05, db.query, db, "select pg_sleep(60)")
        local left = db:value "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
        return {
          measured = self:say("同样的查询, 一个线程里的任务: %.2fs, 总和 %d; 取消的查询在服务器上还剩 %d 个",
            "the same queries in tasks on one thread: %.2fs, the sum is %d; cancelled queries left on the server: %d", seconds,
            sum, left),
          ok = sum == QUERIES * (QUERIES + 1) // 2 and seconds < QUERIES * SECONDS * 0.7 and cancelled and left == 0,
        }
      end)
      return ran and result or fall_back(self, result)
    end,
  },
}
