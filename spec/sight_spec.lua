-- SPDX-License-Identifier: MIT
-- What a dump, SIGQUIT and the watchdog tell.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local test, describe = helper.test, require("busted").describe

local function until_running(job)
  for _ = 1, 1000 do
    if job:running() then return end
    braid.sleep(0.005)
  end
end

describe("dump", function()
  test("names every task, where it stands, what it waits in and for how long", function()
    helper.run(function()
      local queue = braid.queue()
      local task = braid.spawn(function() return queue:get() end)
      task.name = "reader"
      braid.sleep(0.3)
      local text = braid.dump(false)
      assert.matches("task reader: waiting in queue:get at [^\n]*sight_spec.lua:%d+, for 0%.%d s", text)
      assert.matches("computing[^\n]*sight_spec.lua:%d+", text)
      queue:close()
      task:result()
    end)
  end)

  test("names the loop over a queue's items", function()
    helper.run(function()
      local queue = braid.queue()
      local task = braid.spawn(function()
        for _ in queue:items() do end -- luacheck: ignore 542
      end)
      braid.sleep(0.01)
      assert.matches("task waiting in queue:items at [^\n]*sight_spec.lua", braid.dump(false))
      queue:close()
      task:result()
    end)
  end)

  test("names worker processes, the jobs that they run, and what their pool has to do", function()
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 1, name = "resizers" }
      local jobs = { pool:submit(braid.sleep, 60), pool:submit(braid.sleep, 60) }
      until_running(jobs[1])
      local text = braid.dump(false)
      assert.matches("pool resizers %(processes%): workers 1, jobs running 1, waiting 1\n"
        .. "  worker process " .. pool:pids()[1] .. ": runs braid.sleep, for %d+%.%d s\n", text)
      for _, job in ipairs(jobs) do job:cancel() end
    end)
  end)

  test("names a process's job by where its function was defined, that of a map as well", function()
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 3, tasks_per_worker = 2 }
      local seconds = 60
      local jobs = {
        pool:submit(function() braid.sleep(60) end), pool:submit(function() braid.sleep(seconds) end),
        braid.spawn(function() pool:map(function(item) braid.sleep(item) end, { 60, 60 }, { chunk = 2 }) end),
      }
      for _ = 1, 1000 do
        if pool:stats().running == 3 then break end
        braid.sleep(0.005)
      end
      local text, here = braid.dump(false), debug.getinfo(1, "l").currentline
      for line = here - 7, here - 6 do assert.matches("runs [^\n]*sight_spec.lua:" .. line .. ", for", text) end
      for _, job in ipairs(jobs) do job:cancel() end
    end)
  end)

  test("names what threads work for", function()
    helper.run(function()
      local pool <close> = braid.thread_pool { workers = 1, name = "pixels" }
      pool:submit(function() end):result()
      local text = braid.dump(false)
      assert.matches("pool pixels %(threads%): workers 1, jobs running 0, waiting 0\n", text)
      assert.matches("worker 1 of pool pixels %(thread %d+%)", text)
    end)
  end)

  test("shows nested tasks under those that spawned them", function()
    helper.run(function()
      local task = braid.spawn(function()
        braid.scope(function(scope) scope:spawn(braid.sleep, 5).name = "inner" end)
      end)
      task.name = "outer"
      braid.sleep(0.02)
      local outer, inner = braid.dump(false):match("\n( +)task outer[^\n]*\n( +)task inner: waiting in sleep")
      assert.is_true(#inner > #outer)
      task:cancel()
    end)
  end)

  test("asks the workers, those that compute as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    helper.run(function()
      local pool <close> = braid.thread_pool(2)
      local queue, started = braid.queue(), braid.counter()
      local busy = pool:submit(function()
        started:add()
        while true do end
      end)
      local idle = pool:submit(function()
        started:add()
        return queue:get()
      end)
      while started:get() < 2 do braid.sleep(0.01) end
      braid.sleep(0.05)
      local text = braid.dump(false)
      assert.matches("worker 1[^\n]*\n", text)
      assert.matches("worker 2[^\n]*\n", text)
      assert.matches("waiting in queue:get at [^\n]*sight_spec.lua", text)
      assert.matches("computing [^\n]*sight_spec.lua", text)
      busy:cancel()
      idle:cancel()
    end)
  end)

  test("goes to a file, and refuses what is none", function()
    local file <close> = assert(io.tmpfile())
    local text = braid.dump(file)
    file:seek "set"
    assert.equal(text, file:read "a")
    local ok, err = pcall(braid.dump, "name")
    assert.is_false(ok)
    assert.matches("dump.*file", tostring(err))
  end)
end)

describe("SIGQUIT", function()
  test("makes a waiting script dump on stderr and go on", function()
    local child <close> = braid.process.start({ helper.lua, "-e", [[
      local braid = require "braid"
      braid.run(function()
        local task = braid.spawn(braid.sleep, 0.6)
        task.name = "sleeper"
        braid.sleep(0.05)
        print "ready"
        io.stdout:flush()
        task:result()
        print "done"
      end)]] }, {})
    assert.equal("ready", child:read "l")
    child:kill(3)
    assert.equal("done", child:read "l")
    assert.matches("task sleeper: waiting in sleep", child.stderr:read "a")
    assert.equal(0, child:wait().code)
  end)

  test("is asked from outside as braid ps does", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local child <close> = braid.process.start({ helper.lua, "-e", [[
      local braid = require "braid"
      braid.run(function()
        braid.current().name = "busy"
        print "ready"
        io.stdout:flush()
        while true do end
      end)]] }, {})
    assert.equal("ready", child:read "l")
    local text = require("braid.sight").ask(child.pid)
    assert.matches("task busy: computing", text)
    child:kill(9)
  end)

  test("is answered by worker processes, those that compute as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local ask = require("braid.sight").ask
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 1, name = "diggers" }
      local job = pool:submit(function()
        while true do end
      end)
      until_running(job)
      local text = ask(pool:pids()[1])
      assert.matches("^worker of pool diggers of process %d+ %(thread", text)
      assert.matches("task computing at [^\n]*sight_spec.lua", text)
      assert.not_matches("inside a C function", text)
      job:cancel()
      assert.equal(7, pool:submit(math.abs, -7):result())
      braid.process.run { "kill", "-QUIT", tostring(pool:pids()[1]) } -- a terminal's: not for it
      assert.equal(8, pool:submit(math.abs, -8):result())
    end)
  end)

  test("of a worker process that is deaf names the process to ask", function()
    helper.run(function()
      local pool <close> = braid.process_pool(1)
      local job = pool:submit(os.execute, "sleep 1")
      until_running(job)
      local pid = pool:pids()[1]
      local text, err = require("braid.sight").ask(pid, 0.1)
      assert.is_nil(text)
      local parent = require("braid.core").pid()
      assert.equal(("process %d is a worker of process %d and inside a C function: ask process %d")
        :format(pid, parent, parent), err.message)
      job:result()
    end)
  end)

  test("is not sent to a process that ignores it", function()
    local child <close> = braid.process.start({ "sh", "-c", "trap '' QUIT; echo ready; sleep 5" }, {})
    assert.equal("ready", child:read "l")
    local text, err = require("braid.sight").ask(child.pid)
    assert.is_nil(text)
    assert.matches("ignores SIGQUIT", tostring(err))
    child:kill(9)
  end)

  test("is not sent to a process that would die of it", function()
    local child <close> = braid.process.start({ "sleep", "5" }, {})
    local text, err = require("braid.sight").ask(child.pid)
    assert.is_nil(text)
    assert.matches("not waiting in braid", tostring(err))
    child:kill(9)
  end)
end)

describe("BRAID_DEBUG=1", function()
  local script = [[
    local function compute() local stop = os.clock() + 0.3 while os.clock() < stop do end end
    local function block() os.execute "sleep 0.4" end
    braid.run(function()
      braid.current().name = "principal"
      braid.sleep(0.01)
      %s()
    end)]]

  local function run(what, debug)
    return braid.process.run({ helper.lua, "-e", "local braid = require 'braid'\n" .. script:format(what) },
      { env = { BRAID_DEBUG = debug } }).stderr
  end

  test("names a step that computes too long by task, function and line", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    assert.matches("slow step: task principal %(script%) has held its loop for 0%.%d+ s, compute at [^\n]+:2",
      run("compute", "1"))
  end)

  test("names one inside a C function, while it is still held", function()
    assert.matches("inside a C function for 0%.[123]%d* s, called block at [^\n]+:3", run("block", "1"))
  end)

  test("is silent otherwise", function() assert.equal("", run("compute", "0")) end)
end)

