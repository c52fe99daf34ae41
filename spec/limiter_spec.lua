-- SPDX-License-Identifier: MIT
-- Limits of a rate. That no turn comes too early is exact; how late one may come depends on the machine.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local require = require -- known to workers, as this file's globals are not

-- Of turns at these times, none may come earlier than rate and burst allow since `start`, when nobody had asked yet.
local function assert_rate(times, start, cost, burst)
  table.sort(times)
  for i = burst + 1, #times do
    local least = start + (i - burst) * cost
    assert.is_true(times[i] >= least - 1e-6, ("turn %d came %.6f s too early"):format(i, least - times[i]))
  end
end

local function turn(limiter)
  limiter:acquire()
  return require("braid").now()
end

describe("a limiter", function()
  for _, kind in ipairs { "tasks", "threads", "processes" } do
    test("gives no turn too early: " .. kind, function()
      run(function()
        local limiter = braid.limiter { rate = 400, burst = 4 }
        local pool <close> = braid.pool(kind, { workers = 2 })
        local work, list = turn, {}
        for i = 1, 30 do list[i] = limiter end
        local start = braid.now()
        assert_rate(pool:map(work, list, { chunk = 1 }), start, 1 / 400, 4)
      end)
    end)
  end

  test("is one for tasks, threads and processes at once", function()
    run(function()
      local limiter = braid.limiter { rate = 200 }
      local threads <close> = braid.thread_pool(1)
      local processes <close> = braid.process_pool(1)
      local futures, start = {}, braid.now()
      for _ = 1, 8 do
        futures[#futures + 1] = threads:submit(turn, limiter)
        futures[#futures + 1] = processes:submit(turn, limiter)
        futures[#futures + 1] = braid.spawn(turn, limiter)
      end
      assert_rate(braid.gather(futures), start, 1 / 200, 1)
    end)
  end)

  test("serves in the order of coming, and lets nothing small overtake", function()
    run(function()
      local limiter, order = braid.limiter { rate = 500, burst = 5 }, {}
      limiter:acquire(5)
      braid.scope(function(scope)
        for i, n in ipairs { 5, 1, 3, 1 } do
          scope:spawn(function()
            limiter:acquire(n)
            order[#order + 1] = i
          end)
        end
      end)
      assert.same({ 1, 2, 3, 4 }, order)
    end)
  end)

  test("says that there is no turn now, or in time, and takes none then", function()
    run(function()
      local limiter = braid.limiter { rate = 1, per = 60, burst = 2 }
      assert.is_true(limiter:try_acquire(2))
      local none, err = limiter:try_acquire()
      assert.is_nil(none)
      assert.equal("empty", err.kind)
      assert.equal("timeout", select(2, limiter:acquire(1, 0.01)).kind)
      assert.equal("timeout", select(2, limiter:acquire(1, 0)).kind)
      assert.is_true(limiter:acquire(1, 0) == nil)
    end)
  end)

  test("gives back the turns of who is cancelled, if nobody stands behind", function()
    run(function()
      local limiter = braid.limiter { rate = 1, per = 60, burst = 2 }
      limiter:acquire()
      limiter:acquire()
      local task = braid.spawn(limiter.acquire, limiter)
      braid.checkpoint()
      local before = braid.now()
      task:cancel()
      task:wait()
      local second = braid.spawn(limiter.acquire, limiter, 1, 61)
      braid.checkpoint()
      assert.is_false(second:done()) -- it has the place of the first, and does not wait for 120 s
      assert.is_true(braid.now() - before < 10)
      second:cancel()
      second:wait()
    end)
  end)

  test("fills up to its burst in a rest, and no more", function()
    in_virtual_time(function()
      local limiter = braid.limiter { rate = 1000, burst = 3 }
      limiter:acquire(3)
      braid.sleep(0.02)
      assert.is_true(limiter:try_acquire(3))
      assert.is_true(braid.limiter { rate = 0.001 }:try_acquire())
    end)
  end)

  test("calls a function in a turn", function()
    run(function()
      assert.same({ 1, 2 }, { braid.limiter { rate = 1 }:with(function(a, b) return a, b end, 1, 2) })
    end)
  end)

  test("refuses what makes no sense, at the caller's line", function()
    local function refused(opts)
      local ok, err = pcall(braid.limiter, opts)
      assert.is_false(ok)
      return err.message
    end
    assert.matches("rate", refused {})
    assert.matches("rate", refused { rate = 0 })
    assert.matches("per", refused { rate = 1, per = -1 })
    assert.matches("burst", refused { rate = 1, burst = 0.5 })
    assert.matches("burst", refused { rate = 1, bursts = 2 })
    local limiter = braid.limiter { rate = 1, burst = 2 }
    assert.matches("burst of 2", select(2, pcall(limiter.acquire, limiter, 3)).message)
    assert.matches("n", select(2, pcall(limiter.acquire, limiter, 0)).message)
    assert.matches("colon", select(2, pcall(limiter.acquire)).message)
  end)
end)
