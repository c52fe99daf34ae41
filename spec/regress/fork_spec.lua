-- SPDX-License-Identifier: MIT
-- A library that forks gave the child a loop, threads and locks that were the parent's; one that a job forked spoke to
-- the worker's parent, or did jobs that were the worker's.
local helper = require "spec.helper"

-- At its end a child would look for leaks, and wait for locks that threads of the parent may have held.
local WITHOUT_LEAKS = { ASAN_OPTIONS = "detect_leaks=0" }

-- What the child prints, and whether it and its parent come to their ends.
local function in_child(before, code)
  local start = os.time()
  local out, err, status = helper.lua_process(([[
    local braid = require "braid"
    local forker = require "forker"
    %s
    local pid = forker.fork()
    if pid == 0 then
      local ok, err = pcall(function() %s end)
      io.stdout:write(tostring(ok), " ", tostring(braid.is_error(err, "misuse")), " ", tostring(err), "\n")
      io.stdout:flush()
      os.exit(7, true)
    end
    print("child", forker.wait(pid))
    if pool then print("parent", pool:submit(function() return "goes on" end):result()) end
  ]]):format(before, code), { env = WITHOUT_LEAKS })
  assert.equal("", err)
  assert.equal(0, status)
  assert.is_true(os.time() - start <= 3 * helper.slowness, "the end took long")
  return out
end

-- Both workers have begun: the child's exit moves the positions of files that are being read, such as modules.
local with_pool = [[
  pool = braid.thread_pool(2)
  local both = braid.barrier(2)
  local one, other = pool:submit(both.wait, both), pool:submit(both.wait, both)
  one:result()
  other:result()
  queue = braid.queue()
  pool:submit(function(q) q:put(1) end, queue):result()
]]

describe("a process forked from one that uses braid", function()
  local calls = {
    sleep = "braid.sleep(0.01)", run = "braid.run(function() end)", spawn = "braid.spawn(function() end)",
    queue = "queue:put(1)", submit = "pool:submit(function() end)", close = "pool:close()",
    thread_pool = "braid.thread_pool(1)", scope = "braid.scope(function() end)",
  }
  for name, call in pairs(calls) do
    helper.test("is refused with a reason: " .. name, function()
      local out = in_child(with_pool, call)
      assert.matches("^false true [^\n]*was forked from one that uses braid", out)
      assert.matches("\nchild\t7\nparent\tgoes on\n$", out)
    end)
  end

  helper.test("is refused the worker processes of its parent", function()
    local with_processes = "pool = braid.process_pool(1) pool:submit(math.abs, -1):result()"
    for _, name in ipairs { "submit", "close" } do
      local out = in_child(with_processes, calls[name])
      assert.matches("^false true [^\n]*was forked from one that uses braid", out)
      assert.matches("\nchild\t7\nparent\tgoes on\n$", out)
    end
  end)

  helper.test("by a task does not go on with the other tasks", function()
    local out = helper.lua_process([[
      local braid = require "braid"
      local forker = require "forker"
      print(pcall(braid.run, function()
        local other = braid.spawn(function() io.write "other " end)
        local pid = forker.fork()
        if pid == 0 then return end
        forker.wait(pid)
        other:wait()
        return "own"
      end))
    ]], { env = WITHOUT_LEAKS })
    assert.matches("^false\t[^\n]*was forked from one that uses braid[^\n]*\nother true\town\n$", out)
  end)

  local elsewhere = {
    ["waits for signals"] = { 'while true do require "braid".signals("HUP"):close() end', "pcall(forks)" },
    ["is traced"] = { 'while true do require "braid".sleep(0) end', 'braid.trace("/dev/null", forks)' },
  }
  for name, code in pairs(elsewhere) do
    helper.test("by a task comes to its end, whatever a thread of the parent did then: " .. name, function()
      local host = os.getenv "BRAID_LUA" or ""
      if host:find "/asan/" then return pending "the thread may hold a lock of the sanitizer's malloc" end
      local start = os.time()
      local out = helper.lua_process(([[
        local braid = require "braid"
        local forker = require "forker"
        local pool = braid.thread_pool(1)
        pool:submit(function() %s end)
        local function forks()
          for _ = 1, 60 do
            local pid
            local ok = pcall(braid.run, function()
              pid = forker.fork()
              if pid > 0 then braid.sleep(0) end
            end)
            if pid == 0 then os.exit(ok and 1 or 0) end
            assert(forker.wait(pid) == 0)
          end
          print "all have ended"
        end
        %s
        os.exit(0)
      ]]):format(code[1], code[2]), { env = WITHOUT_LEAKS })
      assert.equal("all have ended\n", out)
      assert.is_true(os.time() - start <= 5 * helper.slowness, "the end took long")
    end)
  end

  helper.test("is refused without any thread, too", function()
    local out = in_child("braid.sleep(0)", "braid.sleep(0.01)")
    assert.matches("^false true [^\n]*was forked", out)
    assert.matches("child\t7\n$", out)
  end)

  helper.test("may use braid when it was not touched before", function()
    assert.matches("^true false nil\nchild\t7\n", in_child("", "braid.run(braid.sleep, 0.01)"))
  end)
end)

-- ---- forked by a job ------------------------------------------------------------------------------------------------

-- What becomes of the copy: code, its exit status, and what it says on standard error.
local ends = {
  { "returns", "return 'copy'", 0 },
  { "calls os.exit", "os.exit(5)", 5 },
  { "calls os.exit and closes", "os.exit(6, true)", 6 },
  { "raises", "error('oops', 0)", 1, "a process that a job forked ends with an error: oops" },
  { "uses braid", "require 'braid'.sleep(0.01)", 1, "was forked from one that uses braid" },
  { "uses a shared object", "queue:put(1)", 1, "was forked from one that uses braid" },
  { "runs a program", "os.execute 'exit 0' os.exit(3)", 3 },
  { "returns from a task of the job", nil, 0 },
}

local job = [[
  local queue = ...
  local forker = require "forker"
  io.write "before "
  local pid = forker.fork()
  if pid == 0 then
    io.write "copy "
    %s
  end
  return forker.wait(pid)
]]

local in_task = [[
  local braid = require "braid"
  local forker = require "forker"
  return braid.scope(function(scope)
    io.write "before "
    return scope:spawn(function()
      local pid = forker.fork()
      if pid == 0 then io.write "copy " return end
      return forker.wait(pid)
    end):result()
  end)
]]

describe("a process forked by a job", function()
  for _, kind in ipairs { "processes", "threads" } do
    for _, how in ipairs(ends) do
      helper.test(("that %s ends, and the pool goes on: %s"):format(how[1], kind), function()
        local code = how[2] and job:format(how[2]) or in_task
        local out, err, status = helper.lua_process(([[
          local braid = require "braid"
          local pool <close> = braid.pool("%s", { workers = 1 })
          local queue = braid.queue()
          local first = pool:submit(load(%q), queue)
          local done = {}
          for i = 1, 5 do done[i] = pool:submit(function(q) q:put(1) return i end, queue) end
          local said = first:result(10)
          for i = 1, 5 do assert(done[i]:result(10) == i) end
          print(said, queue:size())
        ]]):format(kind, code), { env = { ASAN_OPTIONS = "detect_leaks=0" } })
        assert.equal(("before copy %d\t5\n"):format(how[3]), out)
        assert.equal(0, status)
        if how[4] then
          assert.matches(how[4], err)
        else
          assert.equal("", err)
        end
      end)
    end
  end

  helper.test("does not become a worker when the init has forked it", function()
    local out, err, status = helper.lua_process([[
      local braid = require "braid"
      for _, kind in ipairs { "processes", "threads" } do
        local pool <close> = braid.pool(kind, { workers = 1, init = function()
          local forker = require "forker"
          local pid = forker.fork()
          if pid ~= 0 then forked = forker.wait(pid) end
        end })
        print(pool:submit(function() return forked end):result(10))
      end
    ]], { env = { ASAN_OPTIONS = "detect_leaks=0" } })
    assert.same({ "0\n0\n", "", 0 }, { out, err, status })
  end)
end)

describe("databases of a process that forks", function()
  -- A script in which `db` is open: the child may not use it, and its end does not disturb the parent.
  local function check(open, query, answer)
    local out, err, status = helper.lua_process(([[
      local braid = require "braid"
      local forker = require "forker"
      braid.run(function()
        %s
        for _, closes in ipairs { true, false } do
          local pid = forker.fork()
          if pid == 0 then
            local ok, reason = pcall(function() return %s end)
            io.stdout:write(tostring(ok), " ", tostring(braid.is_error(reason, "misuse")), "\n")
            io.stdout:flush()
            pcall(function() db:close() end)
            db = nil
            collectgarbage()
            os.exit(7, closes)
          end
          print(forker.wait(pid), %s)
        end
      end)
    ]]):format(open, query, query), { env = { ASAN_OPTIONS = "detect_leaks=0" } })
    assert.equal("", err)
    assert.equal(("false true\n7\t%s\n"):format(answer):rep(2), out)
    assert.equal(0, status)
  end

  helper.test("stay the parent's: SQLite", function()
    if not pcall(require, "braid.sqlite_core") then return pending "no SQLite here" end
    local open = [[db = assert(braid.sqlite.open()) db:execute "create table t (a)"]]
    check(open, [[db:value "select count(*) from t"]], 0)
  end)

  helper.test("stay the parent's: Redis", function()
    local servers = require "spec.redis_server"
    if not servers.is_there() then return pending "no redis-server here" end
    servers.with(function(_, _, path)
      check(("db = assert(braid.redis.connect { unix = %q })"):format(path), [[db:incrby("key", 0)]], 0)
    end)()
  end)
end)
