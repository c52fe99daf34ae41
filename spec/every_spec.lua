-- SPDX-License-Identifier: MIT
-- Steps at fixed times.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

describe("every", function()
  test("counts periods, the first after one, and does not drift", function()
    run(function()
      local start, last = braid.now(), 0
      for count in braid.every(0.01) do
        assert.is_true(count > last)
        assert.is_true(braid.now() - start >= count * 0.01)
        last = count
        braid.sleep(0.003)
        if count >= 10 then break end
      end
      assert.is_true(braid.now() - start < 10 * 0.013 * helper.slowness) -- with drift it would be 0.13 s
    end)
  end)

  test("skips what was missed, and counts it", function()
    run(function()
      local step, start = braid.every(0.01), braid.now()
      assert.equal(1, step())
      braid.sleep(0.05)
      local count = step()
      assert.is_true(count >= 5)
      assert.equal(math.floor((braid.now() - start) / 0.01), count)
    end)
  end)

  test("does at once what was missed when it is to catch up", function()
    run(function()
      local step = braid.every(0.01, { missed = "catch_up" })
      braid.sleep(0.055)
      local start = braid.now()
      for expected = 1, 5 do assert.equal(expected, step()) end
      assert.is_true(braid.now() - start < 0.01 * helper.slowness)
    end)
  end)

  test("puts off each time by less than a period with jitter", function()
    run(function()
      local start = braid.now()
      for count in braid.every(0.01, { jitter = 1, missed = "catch_up" }) do
        local off = braid.now() - start - count * 0.01
        assert.is_true(off >= 0)
        if count == 5 then break end
      end
    end)
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
