-- SPDX-License-Identifier: MIT
-- What a dump, SIGQUIT and the watchdog tell.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"

local test, describe = helper.test, require("busted").describe


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

  test("names worker processes, and what their pool has to do", function()
    helper.run(function()
      local pool <close> = braid.process_pool(1)
      local job = pool:submit(braid.sleep, 60)
      for _ = 1, 1000 do
        if job:running() then break end
        braid.sleep(0.005)
      end
      local text = braid.dump(false)
      assert.matches("pool of processes: 1 jobs run, 0 wait\n  worker process " .. pool:pids()[1] .. "\n", text)
      job:cancel()
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

