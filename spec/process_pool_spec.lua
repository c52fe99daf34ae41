-- SPDX-License-Identifier: MIT
-- What only a pool of processes has: workers that can die, and what becomes of their jobs then. What all pools do is in
-- executor_spec.lua.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, pending, assert = describe, pending, assert
local test, run, lives = helper.test, helper.run, helper.lives
local failure, eventually = expect.failure, expect.eventually
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

-- A test of fn(pool) with a pool of its own.
local function with_pool(name, options, fn, opts)
  test(name, function()
    run(function()
      local pool <close> = braid.process_pool(options)
      fn(pool)
    end)
  end, opts)
end

local function died(err, field, value)
  assert.is_true(braid.is_error(err, "worker_died"), tostring(err))
  assert.equal(value, err[field], tostring(err))
  return err
end

local function kill(pid, signal) os.execute(("kill -%s %d 2>/dev/null"):format(signal or "KILL", pid)) end

local function echo(...) return ... end

local function spin() while true do end end

-- A pipe that nobody writes to; and a job that blocks in C: it opens that.
local function fifo()
  local name = os.tmpname()
  os.remove(name)
  os.execute("mkfifo " .. name)
  return name
end

local function block(name) io.open(name) end

-- A job: its process kills itself by this signal.
local function die_by(signal)
  os.execute(("kill -%s $PPID"):format(signal))
  spin()
end

-- ---- processes ------------------------------------------------------------------------------------------------------

describe("worker processes", function()
  with_pool("are processes of their own, as many as were asked for", 2, function(pool)
    local pids = pool:pids()
    eventually(function()
      pids = pool:pids()
      return #pids == 2
    end)
    local function parent_of() return (io.open "/proc/self/stat":read "a":match("^(%d+)")) end
    local mine = parent_of()
    local there = pool:submit(parent_of):result()
    assert.not_equal(mine, there)
    assert.is_true(tonumber(there) == pids[1] or tonumber(there) == pids[2])
  end)

  with_pool("have globals of their own", 1, function(pool)
    local function set(value)
      local before = rawget(_G, "left_behind")
      rawset(_G, "left_behind", value)
      return before
    end
    assert.is_nil(pool:submit(set, 1):result())
    assert.equal(1, pool:submit(set, 2):result())
    assert.is_nil(rawget(_G, "left_behind"))
  end)

  test("never run the script, and a print there is one line", function()
    local out, err, status = helper.lua_process [[
      print "script"
      io.stdout:flush()
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.process_pool(2)
        pool:map(function(i) print("job", i) end, { 1, 2, 3 }, { chunk = 1 })
      end)
    ]]
    assert.same({ "", 0 }, { err, status })
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "job\t1", "job\t2", "job\t3", "script" }, lines)
  end)

  test("do not touch the script's standard input", function()
    local out, err, status = helper.lua_process([[
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.process_pool(1)
        print(pool:submit(function() return io.read "a" end):result())
      end)
      print(io.read "l")
    ]], { stdin = "for the script\n" })
    assert.same({ "\nfor the script\n", "", 0 }, { out, err, status })
  end)

  test("end with the script, however it ends", function()
    local out = helper.lua_process [[
      local braid = require "braid"
      local pool = braid.process_pool(2)
      local a = pool:submit(function() while true do end end)
      while #pool:pids() < 2 or not a:running() do braid.sleep(0.001) end
      print(table.concat(pool:pids(), " "))
      io.stdout:flush()
      os.execute "kill -KILL $PPID"
    ]]
    local count = 0
    for pid in out:gmatch "%d+" do
      count = count + 1
      eventually(function() return not lives(pid) end, "a worker outlived its parent")
    end
    assert.equal(2, count)
  end)

  test("that run the script are told so, when that makes pools without end", function()
    local out, err = helper.lua_process [[
      local braid = require "braid"
      local script = ... or arg[0]
      local pool = braid.process_pool(1)
      print(pcall(function()
        return pool:submit(function(path) return assert(loadfile(path))(path) end, script):result()
      end))
      pool:close()
    ]]
    assert.matches("process pools in workers of process pools, 5 deep: does a job run the script", out .. err)
  end)

  with_pool("may have pools of their own", 1, function(pool)
    local function nested()
      local inner <close> = require "braid".process_pool(2)
      return table.concat(inner:map(function(x) return x * x end, { 1, 2, 3 }), " ")
    end
    assert.equal("1 4 9", pool:submit(nested):result())
  end)

  with_pool("run the jobs that they submit to their own pool themselves", 1, function(pool)
    assert.equal(5, pool:submit(function() return pool:submit(function(x) return x + 1 end, 4):result() end):result())
  end)

  with_pool("are counted", 2, function(pool)
    pool:map(echo, { 1, 2, 3 }, { chunk = 1 })
    local running = pool:submit(braid.sleep, 60)
    eventually(function() return running:running() end)
    local stats = pool:stats()
    assert.same({ 2, 3, 1, 0, 0 }, { stats.workers, stats.done, stats.running, stats.queued, stats.failed })
    assert.is_true(stats.bytes_in > 0 and stats.bytes_out > 0 and stats.busy > 0)
    running:cancel()
  end)

  with_pool("are new ones after max_jobs_per_worker jobs", { workers = 1, max_jobs_per_worker = 2 }, function(pool)
    local function process() return (io.open "/proc/self/stat":read "a":match("^(%d+)")) end
    local futures, seen, count = {}, {}, 0
    for i = 1, 10 do futures[i] = pool:submit(process) end
    for _, future in ipairs(futures) do
      local pid = future:result()
      seen[pid] = (seen[pid] or 0) + 1
      if seen[pid] == 1 then count = count + 1 end
      assert.is_true(seen[pid] <= 2)
    end
    assert.equal(5, count)
    assert.equal(0, pool:stats().failed)
  end)

  with_pool("keep no short job behind a long one", 2, function(pool)
    for _ = 1, 100 do pool:submit(echo, 1) end -- so that jobs are known to be short, and are sent ahead
    pool:submit(echo, 1):result()
    local long, short = pool:submit(braid.sleep, 60), {}
    for i = 1, 50 do short[i] = pool:submit(echo, i) end
    for i = 1, 50 do assert.equal(i, short[i]:result(5)) end
    long:cancel()
  end)

  test("end with a pool that was forgotten", function()
    run(function()
      local pool = braid.process_pool(1)
      pool:submit(echo, 1):result()
      local pid = pool:pids()[1]
      pool = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      eventually(function() return not lives(pid) end)
    end)
  end)
end)

-- ---- what travels ---------------------------------------------------------------------------------------------------

describe("between processes", function()
  with_pool("functions keep their upvalues and what they share", 1, function(pool)
    local count = 0
    local function add(n) count = count + n end
    local function get() return count end
    local result = pool:submit(function(a, g)
      a(3)
      return g(), a, g
    end, add, get)
    local n, far_add, far_get = result:result()
    assert.equal(3, n)
    far_add(4)
    assert.same({ 7, 0 }, { far_get(), count })
  end)

  with_pool("large values travel, both ways, while others do", 2, function(pool)
    local large = ("0123456789abcdef"):rep(1 << 20)
    local futures = {}
    for i = 1, 4 do futures[i] = pool:submit(echo, large) end
    for i = 1, 100 do assert.equal(i, pool:submit(echo, i):result()) end
    for i = 1, 4 do assert.is_true(futures[i]:result() == large) end
  end)

  with_pool("many functions travel, more than a connection keeps", 1, function(pool)
    for i = 1, 600 do assert.equal(i, pool:submit(load("return " .. i)):result()) end
  end)

  with_pool("an argument that cannot be made there fails its job alone", 1, function(pool)
    package.loaded["only.here"] = { call = function() return 1 end }
    finally(function() package.loaded["only.here"] = nil end)
    local err = failure(pool:submit(package.loaded["only.here"].call))
    assert.matches("only.here", tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("what was made in a worker comes home, and works there", 1, function(pool)
    local made = pool:submit(function() return { deep = { queue = require "braid".queue() } } end):result()
    assert.is_true(made.deep.queue:put("hello"))
    assert.equal("hello", pool:submit(function(queue) return queue:get(1) end, made.deep.queue):result())
  end)

  with_pool("a result that cannot be sent fails its job alone", 1, function(pool)
    assert.is_true(braid.is_error(failure(pool:submit(function() return io.stdout end)), "not_sendable"))
    assert.matches("file", tostring(failure(pool:submit(function() error(io.stdout) end))))
    assert.equal(1, pool:submit(echo, 1):result())
  end)
end)

-- ---- death ----------------------------------------------------------------------------------------------------------

describe("a worker that", function()
  for _, signal in ipairs { { "SEGV", 11 }, { "KILL", 9 }, { "ABRT", 6 }, { "TERM", 15 } } do
    with_pool(("is killed by SIG%s fails its own job and no other"):format(signal[1]), 2, function(pool)
      if signal[1] == "SEGV" and helper.slowness > 1 then return pending "sanitizers take SIGSEGV for themselves" end
      local other = pool:submit(function(seconds) require "braid".sleep(seconds) return "whole" end, 0.2)
      eventually(function() return other:running() end)
      local err = died(failure(pool:submit(die_by, signal[1])), "signal", signal[2])
      assert.is_true(math.type(err.pid) == "integer")
      assert.matches("pid " .. err.pid, tostring(err))
      assert.equal("whole", other:result())
      assert.same({ 1, 2, 3, n = 3 }, pool:map(echo, { 1, 2, 3 }, { chunk = 1 }))
    end)
  end

  with_pool("calls os.exit fails its job with the status", 1, function(pool)
    died(failure(pool:submit(os.exit, 3)), "status", 3)
    died(failure(pool:submit(os.exit, false)), "status", 1)
    died(failure(pool:submit(function() os.exit(true, true) end)), "status", 0)
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("is killed while it is idle is replaced", 2, function(pool)
    pool:map(echo, { 1, 2 }, { chunk = 1 })
    local pids = pool:pids()
    for _, pid in ipairs(pids) do kill(pid) end
    for i = 1, 20 do assert.equal(i, pool:submit(echo, i):result()) end
    eventually(function() -- all jobs may be done by then, and one of the two not even be dead
      local others = 0
      for _, pid in ipairs(pool:pids()) do
        if pid ~= pids[1] and pid ~= pids[2] then others = others + 1 end
      end
      return others == 2 and #pool:pids() == 2
    end)
    assert.equal(0, pool:stats().failed)
  end)

  with_pool("is killed while it takes in a large argument loses no job", 1, function(pool)
    pool:submit(echo, 1):result()
    local pid = pool:pids()[1]
    kill(pid, "STOP")
    local large = ("x"):rep(32 << 20)
    local future = pool:submit(function(s) return #s end, large)
    braid.sleep(0.02)
    assert.equal("pending", future:state())
    kill(pid)
    assert.equal(#large, future:result())
  end)

  with_pool("is killed while it sends a large result fails that job", 1, function(pool)
    local future = pool:submit(function()
      local large = ("x"):rep(64 << 20)
      os.execute "(sleep 0.02; kill -KILL $PPID) &"
      return large
    end)
    local ok, result = pcall(future.result, future)
    if ok then assert.equal(64 << 20, #result) else died(result, "signal", 9) end
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("dies in several jobs fails all of them", { workers = 1, tasks_per_worker = 3 }, function(pool)
    local sleepers = { pool:submit(braid.sleep, 60), pool:submit(braid.sleep, 60) }
    for _, future in ipairs(sleepers) do eventually(function() return future:running() end) end
    died(failure(pool:submit(die_by, "KILL")), "signal", 9)
    for _, future in ipairs(sleepers) do died(failure(future), "signal", 9) end
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  test("is killed during shutdown does not hold it up", function()
    run(function()
      local pool = braid.process_pool(2)
      local futures = {}
      for i = 1, 10 do futures[i] = pool:submit(function() require "braid".sleep(0.01) end) end
      pool:shutdown { wait = false }
      eventually(function() return futures[1]:running() end)
      for _, pid in ipairs(pool:pids()) do kill(pid) end
      pool:close()
      local ended = 0
      for _, future in ipairs(futures) do
        if future:state() == "done" or braid.is_error(future:error(), "worker_died") then ended = ended + 1 end
      end
      assert.equal(10, ended)
      assert.equal(0, pool:stats().workers)
    end)
  end)

  local ways = { { "os.exit(7)", "status", 7 }, { "os.execute 'kill -KILL $PPID' while true do end", "signal", 9 } }
  for _, way in ipairs(ways) do
    test("dies in its init breaks the pool: " .. way[1], function()
      run(function()
        local pool <close> = braid.process_pool { workers = 2, init = load(way[1]) }
        local err = died(failure(pool:submit(echo, 1)), way[2], way[3])
        assert.matches("before they are ready", err.message)
        local ok, refusal = pcall(pool.submit, pool, echo, 1)
        assert.is_false(ok)
        assert.is_true(braid.is_error(refusal, "broken"), tostring(refusal))
      end)
    end)
  end

  test("dies where the system keeps no status of children: how is not known", function()
    local out = helper.lua_process(([[
      local name = os.tmpname()
      local file = io.open(name, "w")
      file:write [==[
        local braid = require "braid"
        local pool = braid.process_pool(1)
        for _, code in ipairs { "os.exit(3)", "os.execute 'kill -KILL $PPID' while true do end" } do
          local err = select(2, pcall(function() pool:submit(load(code)):result(10) end))
          print(err.kind, err.status, err.signal, math.type(err.pid), err.message:match "its status was taken")
        end
        pool = braid.process_pool { workers = 1, init = function() os.exit(3) end }
        print(pcall(function() pool:submit(print):result() end))
      ]==]
      file:close()
      local done = os.execute("env --ignore-signal=CHLD %s " .. name)
      os.remove(name)
      os.exit(done)
    ]]):format(helper.lua))
    if out == "" then return pending "another env than GNU's" end
    local line = "worker_died\tnil\tnil\tinteger\tits status was taken\n"
    assert.equal(line .. line, out:sub(1, 2 * #line))
    local last = out:sub(2 * #line + 1)
    assert.matches("^false\t.*before they are ready: the last one ended, but its status was taken", last)
  end)

  test("cannot be started breaks the pool", function()
    local out, err, status = helper.lua_process([[
      local braid = require "braid"
      local pool = braid.process_pool(2)
      local ok, err = pcall(function() return pool:submit(print):result() end)
      print(ok, err.kind, err)
      pool:close()
    ]], { env = { BRAID_LUA = "/no/such/interpreter" } })
    assert.same({ "", 0 }, { err, status })
    assert.matches("^false\t%a+\t.*a worker process could not be started: No such file", out)
  end)

  test("cannot be replaced for want of descriptors is, once there are some", function()
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      local pool = braid.process_pool(1)
      local pid = pool:submit(math.abs, -1):result() and pool:pids()[1]
      local mark = os.tmpname()
      os.execute(("(while [ -e %s ]; do sleep 0.05; done; kill -KILL %d) &"):format(mark, pid))
      local held = {}
      repeat
        local file = io.open "/dev/null"
        held[#held + 1] = file
      until not file or #held > 30000
      os.remove(mark)
      if #held > 30000 then return print "no limit" end
      while pool:pids()[1] == pid do braid.sleep(0.01) end
      local future = pool:submit(math.abs, -2)
      print(future:wait(0.2))
      for _, file in ipairs(held) do file:close() end
      print(future:result(5))
      pool:close()
    ]]
    assert.same({ "", 0 }, { err, status })
    assert.is_true(out == "false\n2\n" or out == "no limit\n", out)
  end)

  test("is killed again and again: every job of a map is accounted for once", function()
    run(function()
      local n, pool <close> = 20000, braid.process_pool(2)
      local list, going = {}, true
      for i = 1, n do list[i] = i end
      local killer = braid.spawn(function()
        for _ = 1, 30 do
          local pids = pool:pids()
          if #pids > 0 then kill(pids[math.random(#pids)]) end
          braid.sleep(0.01)
        end
        going = false
      end)
      repeat
        local results, errors = pool:map(echo, list, { return_errors = true, chunk = 1 })
        for i = 1, n do
          if results[i] == nil then
            died(errors[i], "signal", 9)
          else
            assert.is_true(results[i] == i and errors[i] == nil)
          end
        end
      until not going
      killer:wait()
      assert.equal(0, pool:stats().queued)
    end)
  end, { deadline = 60 })
end)

-- ---- at random ------------------------------------------------------------------------------------------------------

-- Jobs of all lengths, sizes and fates, on workers that are killed, stopped and cancelled meanwhile.
local function storm(pool, count)
  local random = math.random
  local fates = {
    function() return pool:submit(echo, random(1000)) end,
    function() return pool:submit(function(s) return #s end, ("y"):rep(random(1 << random(10, 20)))) end,
    function() return pool:submit(string.rep, "z", random(1 << random(10, 20))) end,
    function() return pool:submit(braid.sleep, random() * 0.01) end,
    function() return pool:submit(error, "x") end,
    function() return pool:submit(os.exit, random(0, 9)) end,
  }
  local futures = {}
  for i = 1, count do
    futures[i] = fates[random() < 0.98 and random(5) or 6]()
    if random() < 0.1 then futures[random(i)]:cancel() end
    if random() < 0.05 then braid.sleep(random() * 0.005) end
  end
  return futures
end

describe("whatever happens", function()
  test("every job ends, once, and the pool after them", function()
    run(function()
      local signals, random, stop = { "KILL", "SEGV", "STOP", "TERM" }, math.random, braid.now() + 2
      while braid.now() < stop do
        local pool = braid.process_pool { workers = random(3), tasks_per_worker = random(3) }
        local killer = braid.spawn(function()
          while true do
            braid.sleep(random() * 0.05)
            local pids = pool:pids()
            if #pids > 0 then kill(pids[random(#pids)], signals[random(4)]) end
            for _, pid in ipairs(pids) do kill(pid, "CONT") end
          end
        end)
        local count = random(200)
        local futures = storm(pool, count)
        if random() < 0.3 then pool:shutdown { wait = false, cancel_pending = random() < 0.5 } end
        for _, future in ipairs(futures) do
          assert.is_true(future:wait(20 * helper.slowness))
          future:error()
        end
        pool:close()
        killer:cancel()
        local stats = pool:stats()
        assert.equal(count, stats.done + stats.failed + stats.cancelled)
        assert.same({ 0, 0, 0 }, { stats.queued, stats.running, stats.workers })
      end
    end)
  end, { deadline = 40 })
end)

-- ---- limits and cancels ---------------------------------------------------------------------------------------------

describe("a job in a process", function()
  with_pool("is stopped where it computes", 1, function(pool)
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local pid = pool:submit(echo, 1):result() and pool:pids()[1]
    local future = pool:submit(spin)
    eventually(function() return future:running() end)
    assert.is_true(future:cancel())
    assert.is_true(braid.is_error(failure(future), "cancelled"))
    assert.equal(1, pool:submit(echo, 1):result())
    assert.equal(pid, pool:pids()[1]) -- it did not take a signal
  end)

  with_pool("that cannot be stopped is killed after a while", 1, function(pool)
    local name = fifo()
    local future = pool:submit(block, name)
    eventually(function() return future:running() end)
    braid.sleep(0.1) -- until it blocks
    local start = braid.now()
    assert.is_true(future:cancel())
    assert.is_true(braid.is_error(failure(future), "cancelled"))
    assert.is_true(braid.now() - start > 1)
    os.remove(name)
    assert.equal(1, pool:submit(echo, 1):result())
  end, { deadline = 20 })

  with_pool("over its time limit is stopped", { workers = 1, time_limit = 0.1 }, function(pool)
    local err = failure(pool:submit(spin))
    assert.is_true(braid.is_error(err, "limit"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("over its time limit in C is killed after a while", { workers = 1, time_limit = 0.1 }, function(pool)
    local name = fifo()
    local err = failure(pool:submit(block, name))
    os.remove(name)
    assert.is_true(braid.is_error(err, "limit"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end, { deadline = 20 })

  with_pool("over its memory limit is stopped", { workers = 1, memory_limit = 8 << 20 }, function(pool)
    local err = failure(pool:submit(function()
      local list = {}
      while true do list[#list + 1] = ("x"):rep(1000) .. #list end
    end))
    assert.is_true(braid.is_error(err, "limit"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end)
end)

-- ---- the end of the script ------------------------------------------------------------------------------------------

describe("the script ends", function()
  local doing = {
    idle = "",
    computing = "for _ = 1, 2 do pool:submit(function() while true do end end) end",
    queued = "for _ = 1, 100 do pool:submit(function() require 'braid'.sleep(60) end) end",
    blocking = "for _ = 1, 2 do pool:submit(os.execute, 'exec sleep 60') end",
  }
  local ways = {
    { "normally", "", 0, "" },
    { "with an error", "error('the end', 0)", 1, "the end" },
    { "by os.exit(3)", "os.exit(3)", 3, "^[^\n]*dropped\n$" },
    { "by os.exit(3, true)", "os.exit(3, true)", 3, "^[^\n]*dropped\n$" },
  }
  for what, code in pairs(doing) do
    for i, way in ipairs(ways) do
      -- A script that ends by itself waits for them: see spec/regress/forgotten_spec.lua.
      local case = i == 1 and what ~= "idle" and function() end or test
      case(("%s, with processes %s"):format(way[1], what), function()
        local out, err, status = helper.lua_process(([[
          local braid = require "braid"
          local pool = braid.process_pool(2)
          pool:submit(function() end):result()
          %s
          braid.sleep(0.02)
          print(table.concat(pool:pids(), " "))
          io.stdout:flush()
          %s
        ]]):format(code, way[2]))
        assert.equal(way[3], status)
        assert.matches(what == "idle" and way[3] == 3 and "^$" or way[4], err)
        if way[4] == "" and what == "idle" then assert.equal("", err) end
        for pid in out:gmatch "%d+" do eventually(function() return not lives(pid) end, "a worker was left") end
      end)
    end
  end

  test("by SIGINT, with processes computing", function()
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.process_pool(2)
        os.execute "(sleep 0.2; kill -INT $PPID) &"
        pool:map(function() while true do end end, { 1, 2, 3, 4 }, { chunk = 1 })
        print "not reached"
      end)
    ]]
    assert.same({ "", 130 }, { out, status })
    assert.matches("interrupted", err)
  end)
end)
