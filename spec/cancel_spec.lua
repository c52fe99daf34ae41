-- SPDX-License-Identifier: MIT
-- Cancellation: level-triggered, orderly, and never at the price of a value.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local raises = expect.raises

local function on_close(fn) return setmetatable({}, { __close = fn }) end

--- Spawns fn, lets it run until it waits, cancels it and waits for its end.
local function cancelled_midway(fn, ...)
  local task = braid.spawn(fn, ...)
  braid.sleep(0.005)
  assert.is_true(task:cancel())
  task:wait()
  return task
end

describe("cancel", function()
  test("interrupts a sleep", function()
    run(function()
      local start = braid.now()
      local task = cancelled_midway(braid.sleep, 60)
      raises("cancelled", task.result, task)
      assert.is_true(braid.now() - start < 5)
    end)
  end, { deadline = 10 })

  test("before the first step: the task ends cancelled and does nothing after its first wait", function()
    run(function()
      local went_on = false
      local task = braid.spawn(function() braid.sleep(0) went_on = true end)
      assert.is_true(task:cancel())
      task:wait()
      assert.is_true(task:cancelled())
      assert.is_false(went_on)
    end)
  end)

  test("of an ended task is false and changes nothing", function()
    run(function()
      local task = braid.spawn(function() return 1 end)
      task:result()
      assert.is_false(task:cancel())
      assert.equal(1, task:result())
      assert.equal("done", task:state())
      local failed = braid.spawn(function() error("x", 0) end)
      pcall(failed.result, failed)
      assert.is_false(failed:cancel())
      assert.equal("failed", failed:state())
    end)
  end)

  test("the task sees kind cancelled", function()
    run(function()
      local seen
      cancelled_midway(function()
        local ok, err = pcall(braid.sleep, 60)
        seen = not ok and err
        error(err)
      end)
      assert.is_true(braid.is_error(seen, "cancelled"), tostring(seen))
    end)
  end, { deadline = 10 })

  test("every later suspension raises again: pcall cannot swallow it", function()
    in_virtual_time(function()
      local swallowed = 0
      local queue, event, lock = braid.queue(), braid.event(), braid.lock()
      cancelled_midway(function()
        for _, wait in ipairs {
          function() braid.sleep(60) end,
          function() braid.sleep(0.001) end,
          function() queue:get() end,
          function() queue:get(0.01) end,
          function() event:wait() end,
          function() braid.gather { function() braid.sleep(1) end } end,
          function() braid.checkpoint() end,
        } do
          local ok, err = pcall(wait)
          if not ok and braid.is_error(err, "cancelled") then swallowed = swallowed + 1 end
        end
        braid.sleep(1)
      end)
      assert.equal(7, swallowed)
      assert.is_true(lock:acquire(0))
      lock:release()
    end)
  end, { deadline = 10 })

  test("checkpoint raises, pure computing does not", function()
    run(function()
      local seen
      local task = braid.spawn(function()
        local me = braid.current()
        me:cancel()
        local sum = 0
        for i = 1, 1000 do sum = sum + i end
        seen = sum
        braid.checkpoint()
        seen = "never"
      end)
      task:wait()
      assert.equal(500500, seen)
      assert.is_true(task:cancelled())
    end)
  end)

  test("<close> variables run, innermost first", function()
    run(function()
      local log = {}
      cancelled_midway(function()
        local _ <close> = on_close(function() log[#log + 1] = "outer" end)
        local function inner()
          local _ <close> = on_close(function() log[#log + 1] = "inner" end)
          braid.sleep(60)
        end
        inner()
      end)
      assert.same({ "inner", "outer" }, log)
    end)
  end, { deadline = 10 })

  test("the error reaches <close> handlers", function()
    run(function()
      local given
      cancelled_midway(function()
        local _ <close> = setmetatable({}, { __close = function(_, err) given = err end })
        braid.sleep(60)
      end)
      assert.is_true(braid.is_error(given, "cancelled"), tostring(given))
    end)
  end, { deadline = 10 })

  test("an error of the clean-up is the task's failure", function()
    run(function()
      local task = cancelled_midway(function()
        pcall(braid.sleep, 60)
        error("clean-up", 0)
      end)
      local ok, err = pcall(task.result, task)
      assert.is_false(ok)
      assert.equal("clean-up", err)
      assert.equal("failed", task:state())
    end)
  end, { deadline = 10 })

  test("cancelling a task ends the scope it is in the middle of", function()
    run(function()
      local child
      cancelled_midway(function()
        braid.scope(function(scope)
          child = scope:spawn(braid.sleep, 60)
        end)
      end)
      assert.is_true(child:cancelled())
    end)
  end, { deadline = 10 })

  for form, body in pairs {
    ["braid.scope(fn)"] = function(wait) braid.scope(function(scope) scope:spawn(wait) end) end,
    ["scope <close>"] = function(wait)
      local scope <close> = braid.scope()
      scope:spawn(wait)
    end,
  } do
    test("the end of " .. form .. " is a wait: cancelled there, it raises", function()
      run(function()
        local went_on = false
        local task = cancelled_midway(function()
          body(function() braid.sleep(60) end)
          went_on = true
        end)
        assert.is_false(went_on)
        assert.equal("cancelled", task:state())
      end)
    end, { deadline = 10 })

    test("a cancelled task that only enters and leaves " .. form .. " ends", function()
      run(function()
        local start = braid.now()
        local task = cancelled_midway(function()
          while braid.now() - start < 2 do body(function() braid.sleep(0) end) end
        end)
        assert.equal("cancelled", task:state())
      end)
    end, { deadline = 10 })
  end

  test("cancelling a task leaves its siblings alone", function()
    in_virtual_time(function()
      local sibling = braid.spawn(function() braid.sleep(0.02) return "whole" end)
      cancelled_midway(braid.sleep, 60)
      assert.equal("whole", sibling:result())
    end)
  end, { deadline = 10 })

  test("a cancelled task is not reported and does not fail the run", function()
    local stdout, stderr, code = helper.lua_process([[
      local braid = require "braid"
      braid.run(function()
        local task = braid.spawn(braid.sleep, 60)
        braid.sleep(0.01)
        task:cancel()
      end)
      print "fine"
    ]])
    assert.equal("fine\n", stdout)
    assert.equal("", stderr)
    assert.equal(0, code)
  end)

  test("1,000 tasks at once", function()
    run(function()
      local tasks, closed = {}, 0
      for i = 1, 1000 do
        tasks[i] = braid.spawn(function()
          local _ <close> = on_close(function() closed = closed + 1 end)
          braid.sleep(60)
        end)
      end
      braid.sleep(0)
      for _, task in ipairs(tasks) do task:cancel() end
      braid.wait(tasks)
      assert.equal(1000, closed)
    end)
  end, { deadline = 20 })

  test("the waiter of a cancelled task is told, and is not cancelled itself", function()
    in_virtual_time(function()
      local task = braid.spawn(braid.sleep, 60)
      local waiter = braid.spawn(function()
        local ok, err = pcall(task.result, task)
        braid.sleep(0.001)
        return ok, braid.is_error(err, "cancelled")
      end)
      braid.sleep(0.005)
      task:cancel()
      local ok, was_cancelled = waiter:result()
      assert.is_false(ok)
      assert.is_true(was_cancelled)
    end)
  end, { deadline = 10 })

  test("coroutines that were cancelled are fit for reuse", function()
    run(function()
      for i = 1, 100 do
        local task = braid.spawn(braid.sleep, 60)
        braid.sleep(0)
        task:cancel()
        task:wait()
        assert.equal(i, braid.spawn(function() braid.sleep(0) return i end):result())
      end
    end)
  end, { deadline = 10 })
end)

describe("shield", function()
  test("returns the results", function()
    run(function()
      local results = table.pack(braid.shield(function(...) braid.sleep(0) return ... end, 1, nil, 3))
      assert.same({ 1, nil, 3, n = 3 }, results)
    end)
  end)

  test("runs to its end though the caller is cancelled", function()
    in_virtual_time(function()
      local finished, after = false, false
      local task = cancelled_midway(function()
        braid.shield(function()
          braid.sleep(0.02)
          finished = true
        end)
        braid.sleep(60)
        after = true
      end)
      braid.sleep(0.05)
      assert.is_true(finished)
      assert.is_false(after)
      assert.is_true(task:cancelled())
    end)
  end, { deadline = 10 })

  test("lets clean-up wait in a cancelled task", function()
    in_virtual_time(function()
      local queue, unshielded = braid.queue(), nil
      cancelled_midway(function()
        local _ <close> = on_close(function()
          unshielded = pcall(braid.sleep, 0.001)
          braid.shield(function()
            braid.sleep(0.01)
            queue:put("goodbye")
          end)
        end)
        braid.sleep(60)
      end)
      assert.is_false(unshielded)
      assert.equal("goodbye", queue:get(5))
    end)
  end, { deadline = 10 })

  test("raises fn's error", function()
    run(function()
      local ok, err = pcall(braid.shield, function() braid.sleep(0) error("own", 0) end)
      assert.is_false(ok)
      assert.equal("own", err)
    end)
  end)
end)

describe("a cancelled wait gives back what it was given", function()
  test("a get has not taken its item", function()
    run(function()
      local queue = braid.queue()
      local task = cancelled_midway(queue.get, queue)
      assert.is_true(task:cancelled())
      queue:put("kept")
      assert.equal("kept", queue:get(0))
    end)
  end)

  test("a get cancelled in the step in which the item came", function()
    in_virtual_time(function()
      local queue = braid.queue()
      local task = braid.spawn(queue.get, queue)
      braid.sleep(0.005)
      queue:put(1)
      queue:put(2)
      task:cancel()
      task:wait()
      if task:cancelled() then
        assert.equal(1, queue:get(0))
      else
        assert.equal(1, task:result())
      end
      assert.equal(2, queue:get(0))
    end)
  end)

  test("a get cancelled in that step passes the item to the next in line", function()
    in_virtual_time(function()
      local queue = braid.queue()
      local first = braid.spawn(queue.get, queue)
      braid.sleep(0.002)
      local second = braid.spawn(queue.get, queue)
      braid.sleep(0.002)
      queue:put("only")
      first:cancel()
      first:wait()
      if first:cancelled() then
        assert.equal("only", second:result(5))
      else
        assert.equal("only", first:result())
        second:cancel()
      end
    end)
  end, { deadline = 10 })

  test("a cancelled put has not put", function()
    in_virtual_time(function()
      local queue = braid.queue(1)
      queue:put("old")
      local task = cancelled_midway(queue.put, queue, "new")
      assert.is_true(task:cancelled())
      assert.equal("old", queue:get())
      braid.sleep(0.005)
      assert.is_true(queue:is_empty())
    end)
  end)

  test("a cancelled waiter for a lock does not hold it", function()
    in_virtual_time(function()
      local lock = braid.lock()
      lock:acquire()
      local first = braid.spawn(function() lock:acquire() end)
      braid.sleep(0.002)
      local second = braid.spawn(function() return lock:with(function() return "in" end) end)
      braid.sleep(0.002)
      first:cancel()
      first:wait()
      lock:release()
      assert.equal("in", second:result(5))
      assert.is_true(lock:acquire(0))
      lock:release()
    end)
  end)

  test("a lock handed to a task that is cancelled in that step goes on to the next", function()
    in_virtual_time(function()
      local lock = braid.lock()
      lock:acquire()
      local first = braid.spawn(function() return lock:with(function() braid.sleep(0) return "first" end) end)
      braid.sleep(0.002)
      local second = braid.spawn(function() return lock:with(function() return "second" end) end)
      braid.sleep(0.002)
      lock:release()
      first:cancel()
      first:wait()
      assert.equal("second", second:result(5))
      assert.is_true(lock:acquire(0))
      lock:release()
    end)
  end)

  test("a semaphore's permits are all there after cancels", function()
    in_virtual_time(function()
      local semaphore = braid.semaphore(2)
      semaphore:acquire()
      semaphore:acquire()
      local tasks = {}
      for i = 1, 10 do tasks[i] = braid.spawn(function() semaphore:acquire() end) end
      braid.sleep(0.005)
      semaphore:release(2)
      for _, task in ipairs(tasks) do task:cancel() end
      braid.wait(tasks)
      local got = 0
      for _, task in ipairs(tasks) do if not task:cancelled() then got = got + 1 end end
      while semaphore:acquire(0) do got = got + 1 end
      assert.equal(2, got)
    end)
  end)

  test("a cancelled event wait leaves the others waiting", function()
    run(function()
      local event = braid.event()
      local other = braid.spawn(event.wait, event)
      cancelled_midway(event.wait, event)
      assert.is_false(other:done())
      event:set()
      assert.is_true((other:result(5)))
    end)
  end)

  test("a cancelled condition wait holds no lock and eats no notification", function()
    in_virtual_time(function()
      local condition = braid.condition()
      local function waiter()
        return condition:with(function() return condition:wait() end)
      end
      local first = braid.spawn(waiter)
      braid.sleep(0.002)
      local second = braid.spawn(waiter)
      braid.sleep(0.002)
      first:cancel()
      first:wait()
      assert.is_true(first:cancelled())
      condition:with(function() condition:notify() end)
      assert.is_true((second:result(5)))
      assert.is_true(condition:acquire(0))
      condition:release()
    end)
  end, { deadline = 10 })
end)
