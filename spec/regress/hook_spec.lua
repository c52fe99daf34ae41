-- SPDX-License-Identifier: MIT
-- A debug hook that a task had set met later tasks, whose coroutine was the same; and the hook of a profiler or of a
-- debugger was gone after a dump, SIGINT, or the cancel of a job.
local helper = require "spec.helper"
local braid = require "braid"

-- Functions that can travel: busted gives those of this file an environment of its own.

-- Sets a hook that breaks whatever it meets, when this function has returned.
local leave_hook = load [[
  local function broken() error "left-over hook" end
  debug.sethook(broken, "", 1000)
]]

local function compute()
  local sum = 0
  for i = 1, 1e5 do sum = sum + i end
  return sum
end

-- Keeps a coroutine with a hook that counts, and ends only when it is stopped, which the coroutine survives.
local compute_inside = load [[
  local began = ...
  calls = 0
  co = coroutine.create(function()
    debug.sethook(function() calls = calls + 1 end, "", 100)
    pcall(function()
      began:set()
      while true do end
    end)
    while true do coroutine.yield() end
  end)
  coroutine.resume(co)
  while true do end
]]

local go_on = load [[
  local before = calls
  for _ = 1, 1e3 do coroutine.resume(co) end
  return calls > before
]]

describe("a debug hook", function()
  helper.test("of a task stays with it", function()
    helper.run(function()
      for _ = 1, 3 do
        assert.equal("done", (function(task) task:wait() return task:state() end)(braid.spawn(leave_hook)))
        assert.equal(5000050000, braid.spawn(compute):result())
      end
    end)
  end)

  for _, kind in ipairs { "inline", "tasks", "threads", "processes" } do
    helper.test("of a job stays with it: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        for _ = 1, 3 do
          pool:submit(leave_hook):result()
          assert.equal(5000050000, pool:submit(compute):result())
        end
      end)
    end)
  end

  helper.test("of a task does not run in what it spawns", function()
    helper.run(function()
      for _ = 1, 3 do
        braid.spawn(function()
          local calls = 0
          debug.sethook(function() calls = calls + 1 end, "", 1000)
          assert.equal(5000050000, braid.spawn(compute):result())
          assert.is_nil(debug.gethook(coroutine.create(compute)))
          debug.sethook()
          assert.equal(0, calls)
        end):result()
      end
    end)
  end)
end)

-- A script that counts hooks of its own while it computes; `what` is done meanwhile. Prints whether it still counts.
local function still_called(what, setup)
  local out, err, status = helper.lua_process(([[
    local braid = require "braid"
    local stat <close> = io.open "/proc/self/stat"
    local pid = stat:read "n"
    local calls, pool = 0, nil
    local function busy(done)
      local limit = os.time() + 8
      repeat local start = calls for _ = 1, 1e4 do end until done(start) or os.time() > limit
    end
    %s
    braid.run(function()
      debug.sethook(function() calls = calls + 1 end, "", 100)
      %s
      braid.sleep(0.01)
      local before = calls
      for _ = 1, 1e5 do end
      print(calls > before and "still called" or "gone")
    end)
  ]]):format(setup or "", what), { timeout = 20 })
  return out, err, status
end

describe("the user's debug hook is there", function()
  helper.test("after SIGQUIT", function()
    local out, err = still_called [[
      os.execute("{ sleep 0.1; kill -QUIT " .. pid .. "; } &")
      local stop = os.clock() + 0.4
      busy(function() return os.clock() > stop end)
    ]]
    assert.matches("computing", err)
    assert.equal("still called\n", out)
  end)

  helper.test("after a thread asked for a dump", function()
    local out, err = still_called([[
      local job = pool:submit(function() return require "braid".dump(false) end)
      local limit = os.time() + 8
      while not job:done() and os.time() < limit do busy(function() return true end) braid.checkpoint() end
      assert(job:result():find "script")
      pool:close()
    ]], "pool = braid.thread_pool(1)")
    assert.equal("", err)
    assert.equal("still called\n", out)
  end)

  helper.test("after SIGINT that meets a shield", function()
    local out, err = still_called [[
      pcall(braid.shield, function()
        braid.process.run { "kill", "-INT", tostring(pid) }
        for _ = 1, 3e7 do end
        local before = calls
        for _ = 1, 1e5 do end
        print(calls > before and "still called" or "gone")
      end)
    ]]
    assert.matches("interrupted", err)
    assert.matches("^still called\n", out)
  end)

  for _, kind in ipairs { "threads", "processes" } do
    helper.test("after a job in its coroutine was cancelled: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        local began = braid.event()
        local job = pool:submit(compute_inside, began)
        began:wait()
        job:cancel()
        job:wait()
        assert.equal("cancelled", job:state())
        assert.is_true(pool:submit(go_on):result())
      end)
    end)
  end
end)
