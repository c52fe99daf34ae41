-- SPDX-License-Identifier: MIT
-- Steps at fixed times, in virtual time: so they are exact.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

local function in_virtual_time(fn) braid.testing.run(fn, { schedules = 10 }) end

describe("every", function()
  test("counts periods, the first after one, and does not drift", function()
    in_virtual_time(function()
      local last = 0
      for count in braid.every(10) do
        assert.equal(last + 1, count)
        assert.equal(count * 10, braid.now())
        last = count
        braid.sleep(3)
        if count >= 1000 then break end
      end
    end)
  end)

  test("skips what was missed, and counts it", function()
    in_virtual_time(function()
      local step = braid.every(10)
      assert.equal(1, step())
      braid.sleep(55)
      local count = step()
      assert.is_true(count >= 6)
      assert.equal(math.floor(braid.now() / 10), count)
    end)
  end)

  test("does at once what was missed when it is to catch up", function()
    in_virtual_time(function()
      local step = braid.every(10, { missed = "catch_up" })
      braid.sleep(55)
      for expected = 1, 5 do assert.equal(expected, step()) end
      assert.equal(55, braid.now())
      assert.equal(6, step())
      assert.equal(60, braid.now())
    end)
  end)

  test("puts off each time by less than a period with jitter", function()
    local least, most = 10, 0
    in_virtual_time(function()
      for count in braid.every(10, { jitter = 1, missed = "catch_up" }) do
        local off = braid.now() - count * 10
        assert.is_true(off >= 0)
        least, most = math.min(least, off), math.max(most, off)
        if count == 50 then break end
      end
    end)
    assert.is_true(least < 1 and most > 9)
  end)

  test("can be cancelled, and works outside tasks", function()
    assert.equal(1, braid.every(0.001)())
    run(function()
      local task = braid.spawn(function() for _ in braid.every(60) do end end)
      braid.checkpoint()
      task:cancel()
      assert.is_false(pcall(task.result, task))
      assert.is_true(task:cancelled())
    end)
  end)

  test("refuses what makes no sense", function()
    for _, seconds in ipairs { 0, -1, 0 / 0, math.huge, "1" } do
      local ok, err = pcall(braid.every, seconds)
      assert.is_false(ok)
      assert.matches("seconds", err.message)
    end
    assert.matches("missed", select(2, pcall(braid.every, 1, { missed = "never" })).message)
    assert.matches("jitter", select(2, pcall(braid.every, 1, { jitter = 2 })).message)
    assert.matches("missed", select(2, pcall(braid.every, 1, { miss = "skip" })).message)
  end)
end)
