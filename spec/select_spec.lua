-- SPDX-License-Identifier: MIT
-- select: of several cases exactly one happens, and the ready ones are picked fairly.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time

describe("select", function()
  test("gets from the queue that has an item", function()
    run(function()
      local a, b = braid.queue(), braid.queue()
      b:put("item")
      local index, value = braid.select { { a, "get" }, { b, "get" } }
      assert.equal(2, index)
      assert.equal("item", value)
      assert.equal(0, b:size())
    end)
  end)

  test("waits until a case is ready", function()
    in_virtual_time(function()
      local a, b = braid.queue(), braid.queue()
      braid.spawn(function() braid.sleep(0.01) a:put("later") end)
      local index, value = braid.select { { b, "get" }, { a, "get" } }
      assert.equal(2, index)
      assert.equal("later", value)
    end)
  end)

  test("gets false as false", function()
    run(function()
      local queue = braid.queue()
      queue:put(false)
      local index, value = braid.select { { queue, "get" } }
      assert.equal(1, index)
      assert.is_false(value)
    end)
  end)

  test("puts into the queue that has room", function()
    run(function()
      local full, free = braid.queue(1), braid.queue(1)
      full:put("old")
      assert.equal(2, (braid.select { { full, "put", "x" }, { free, "put", "y" } }))
      assert.equal("y", free:get())
      assert.equal("old", full:get())
      assert.is_true(full:is_empty())
    end)
  end)

  test("a waiting put happens when room is made", function()
    in_virtual_time(function()
      local queue = braid.queue(1)
      queue:put(1)
      local task = braid.spawn(function() return (braid.select { { queue, "put", 2 } }) end)
      braid.sleep(0.005)
      assert.equal(1, queue:get())
      assert.equal(1, task:result())
      assert.equal(2, queue:get())
    end)
  end)

  test("sees the end of a future", function()
    in_virtual_time(function()
      local queue = braid.queue()
      local task = braid.spawn(function() braid.sleep(0.01) return "done" end)
      assert.equal(2, (braid.select { { queue, "get" }, { task } }))
      assert.equal("done", task:result())
    end)
  end)

  test("sees an event", function()
    in_virtual_time(function()
      local queue, event = braid.queue(), braid.event()
      braid.spawn(function() braid.sleep(0.01) event:set() end)
      assert.equal(2, (braid.select { { queue, "get" }, { event } }))
      assert.equal(1, (braid.select { { event }, { queue, "get" } }))
    end)
  end)

  test("only one of several ready gets happens", function()
    run(function()
      local queues = { braid.queue(), braid.queue(), braid.queue() }
      for i, queue in ipairs(queues) do queue:put(i) end
      local index, value = braid.select { { queues[1], "get" }, { queues[2], "get" }, { queues[3], "get" } }
      assert.equal(index, value)
      local left = 0
      for _, queue in ipairs(queues) do left = left + queue:size() end
      assert.equal(2, left)
      assert.equal(0, queues[index]:size())
    end)
  end)

  test("when several become ready in one step, only one happens", function()
    in_virtual_time(function()
      local a, b = braid.queue(), braid.queue()
      local task = braid.spawn(function() return braid.select { { a, "get" }, { b, "get" } } end)
      braid.sleep(0.005)
      a:put("a")
      b:put("b")
      local index, value = task:result()
      assert.equal(index == 1 and "a" or "b", value)
      assert.equal(1, a:size() + b:size())
    end)
  end)

  test("picks fairly among the ready ones", function()
    run(function()
      local a, b = braid.queue(), braid.queue()
      for i = 1, 400 do a:put(i) b:put(i) end
      local picked = { 0, 0 }
      for _ = 1, 400 do
        local index = braid.select { { a, "get" }, { b, "get" } }
        picked[index] = picked[index] + 1
      end
      assert.is_true(picked[1] >= 80 and picked[2] >= 80, picked[1] .. " against " .. picked[2])
      assert.equal(400, a:size() + b:size())
    end)
  end)

  test("a put and a get of the same queue: one of them", function()
    run(function()
      local queue = braid.queue(2)
      queue:put("first")
      local index, value = braid.select { { queue, "get" }, { queue, "put", "second" } }
      if index == 1 then
        assert.equal("first", value)
        assert.equal(0, queue:size())
      else
        assert.equal(2, index)
        assert.equal(2, queue:size())
      end
    end)
  end)

  test("two selects meet: one puts, the other gets", function()
    run(function()
      local queue, never = braid.queue(1), braid.queue()
      local getter = braid.spawn(function() return braid.select { { never, "get" }, { queue, "get" } } end)
      local putter = braid.spawn(function() return (braid.select { { queue, "put", "v" }, { never, "get" } }) end)
      local index, value = getter:result()
      assert.same({ 2, "v", 1 }, { index, value, (putter:result()) })
      assert.is_true(queue:is_empty())
    end)
  end)

  test("after a timeout nothing has happened and nothing stays queued", function()
    in_virtual_time(function()
      local empty, full = braid.queue(), braid.queue(1)
      full:put("old")
      local ok, index = pcall(braid.select, { { empty, "get" }, { full, "put", "new" } }, 0.01)
      assert.is_true(not ok or index == nil)
      empty:put("kept")
      assert.equal("kept", empty:get(0))
      assert.equal("old", full:get(0))
      braid.sleep(0.005)
      assert.is_true(full:is_empty())
    end)
  end)

  test("timeout 0 takes what is ready", function()
    run(function()
      local queue = braid.queue()
      queue:put("ready")
      local index, value = braid.select({ { queue, "get" } }, 0)
      assert.equal(1, index)
      assert.equal("ready", value)
    end)
  end)

  test("a cancelled select has not taken its item", function()
    in_virtual_time(function()
      local a, b = braid.queue(), braid.queue()
      local task = braid.spawn(function() return braid.select { { a, "get" }, { b, "get" } } end)
      braid.sleep(0.005)
      a:put("a")
      task:cancel()
      task:wait()
      local taken = task:cancelled() and 0 or 1
      b:put("b")
      braid.sleep(0.005)
      assert.equal(2 - taken, a:size() + b:size())
    end)
  end)

  test("the losing branches are left: the next item goes to the next in line", function()
    in_virtual_time(function()
      local a, b = braid.queue(), braid.queue()
      local first = braid.spawn(function() return braid.select { { a, "get" }, { b, "get" } } end)
      braid.sleep(0.002)
      local second = braid.spawn(function() return b:get() end)
      braid.sleep(0.002)
      a:put("a")
      assert.equal(1, (first:result()))
      b:put("b")
      assert.equal("b", second:result(5))
    end)
  end)

  test("selects in line for one queue are served in order", function()
    run(function()
      local queue, never, order = braid.queue(), braid.queue(), {}
      local tasks = {}
      for i = 1, 5 do
        tasks[i] = braid.spawn(function()
          local _, value = braid.select { { never, "get" }, { queue, "get" } }
          order[i] = value
        end)
      end
      braid.sleep(0.005)
      for i = 1, 5 do queue:put(i) end
      braid.gather(tasks)
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  test("100 cases", function()
    in_virtual_time(function()
      local cases, queues = {}, {}
      for i = 1, 100 do
        queues[i] = braid.queue()
        cases[i] = { queues[i], "get" }
      end
      braid.spawn(function() braid.sleep(0.005) queues[77]:put("x") end)
      local index, value = braid.select(cases)
      assert.same({ 77, "x" }, { index, value })
    end)
  end)

  test("refuses bad cases", function()
    run(function()
      local queue = braid.queue()
      assert.is_false((pcall(braid.select)))
      assert.is_false((pcall(braid.select, { { queue, "steal" } })))
      assert.is_false((pcall(braid.select, { { 42 } })))
      assert.is_false((pcall(braid.select, { { queue, "put" } })))
      assert.is_false((pcall(braid.select, { { queue, "get" } }, -1)))
      assert.equal(0, queue:size())
    end)
  end)
end)
