-- SPDX-License-Identifier: MIT
-- Lock, semaphore, event, condition, barrier, counter between tasks.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local fails = expect.fails

local function misused(fn, ...) return expect.misused(nil, fn, ...) end

describe("lock", function()
  test("lets one in at a time", function()
    run(function()
      local lock, value = braid.lock(), 0
      braid.scope(function(scope)
        for _ = 1, 20 do
          scope:spawn(function()
            for _ = 1, 10 do
              assert.is_true((lock:acquire()))
              local read = value
              braid.sleep(0)
              value = read + 1
              lock:release()
            end
          end)
        end
      end)
      assert.equal(200, value)
    end)
  end)

  test("first come, first served", function()
    run(function()
      local lock, order = braid.lock(), {}
      lock:acquire()
      for i = 1, 5 do braid.spawn(function() lock:with(function() order[#order + 1] = i braid.sleep(0) end) end) end
      braid.sleep(0.005)
      lock:release()
      assert.is_true((lock:acquire(5)))
      lock:release()
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  test("acquire times out, and is not in line afterwards", function()
    in_virtual_time(function()
      local lock = braid.lock()
      lock:acquire()
      local other = braid.spawn(function()
        fails("timeout", lock:acquire(0.005))
        assert.is_nil((lock:acquire(0)))
      end)
      other:result()
      lock:release()
      braid.sleep(0.005)
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)

  test("with returns fn's results and releases", function()
    run(function()
      local lock = braid.lock()
      local results = table.pack(lock:with(function(...) braid.sleep(0) return ... end, 1, nil, 3))
      assert.same({ 1, nil, 3, n = 3 }, results)
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)

  test("with releases when fn raises, and raises the same value", function()
    run(function()
      local lock, value = braid.lock(), {}
      local ok, err = pcall(lock.with, lock, function() error(value) end)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)

  test("hold releases at the end of the block, also by an error", function()
    run(function()
      local lock = braid.lock()
      local other = function() return (braid.spawn(lock.acquire, lock, 0):result()) end
      do
        local held <close> = lock:hold()
        assert.is_truthy(held)
        assert.is_nil(other())
      end
      pcall(function()
        local _ <close> = lock:hold()
        error("x")
      end)
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)

  test("release by another than the owner is an error and does not release", function()
    run(function()
      local lock = braid.lock()
      lock:acquire()
      local other = braid.spawn(function()
        misused(lock.release, lock)
        assert.is_nil((lock:acquire(0)))
      end)
      other:result()
      lock:release()
    end)
  end)

  test("release of a lock that nobody holds is an error", function()
    run(function()
      local lock = braid.lock()
      misused(lock.release, lock)
      lock:acquire()
      lock:release()
      misused(lock.release, lock)
    end)
  end)

  test("its owner ended while holding: the next waiter is told, and the lock stays usable", function()
    in_virtual_time(function()
      local lock = braid.lock()
      local owner = braid.spawn(function()
        lock:acquire()
        braid.sleep(0.01)
      end)
      braid.sleep(0.002)
      local told = braid.spawn(function() return lock:acquire() end)
      owner:result()
      fails("owner_died", told:result(5))
      assert.is_true((lock:acquire(5)))
      lock:release()
    end)
  end, { deadline = 10 })

  test("of two waiters of an owner that ended, the second still gets in", function()
    in_virtual_time(function()
      local lock = braid.lock()
      local owner = braid.spawn(function()
        lock:acquire()
        braid.sleep(0.01)
      end)
      braid.sleep(0.002)
      local told = braid.spawn(function() return lock:acquire() end)
      braid.sleep(0.001)
      local second = braid.spawn(function() return lock:with(function() return "in" end) end)
      owner:result()
      fails("owner_died", told:result(5))
      assert.equal("in", second:result(5))
    end)
  end, { deadline = 10 })

  test("a negative timeout is refused", function()
    run(function()
      local lock = braid.lock()
      misused(lock.acquire, lock, -1)
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)
end)

describe("semaphore", function()
  test("lets exactly n in", function()
    in_virtual_time(function()
      local semaphore, inside, most = braid.semaphore(3), 0, 0
      braid.scope(function(scope)
        for _ = 1, 20 do
          scope:spawn(function()
            assert.is_true((semaphore:acquire()))
            inside = inside + 1
            most = math.max(most, inside)
            braid.sleep(0.001)
            inside = inside - 1
            semaphore:release()
          end)
        end
      end)
      assert.equal(3, most)
    end)
  end)

  test("first come, first served", function()
    run(function()
      local semaphore, order, tasks = braid.semaphore(1), {}, {}
      semaphore:acquire()
      for i = 1, 5 do
        tasks[i] = braid.spawn(function() semaphore:with(function() order[#order + 1] = i end) end)
      end
      braid.sleep(0.005)
      semaphore:release()
      braid.gather(tasks)
      assert.same({ 1, 2, 3, 4, 5 }, order)
    end)
  end)

  test("one that comes later does not overtake those in line", function()
    in_virtual_time(function()
      local semaphore = braid.semaphore(1)
      semaphore:acquire()
      local waiter = braid.spawn(function() return semaphore:acquire() end)
      braid.sleep(0.005)
      semaphore:release()
      assert.is_nil((semaphore:acquire(0)))
      assert.is_true((waiter:result(5)))
      semaphore:release()
    end)
  end)

  test("release takes a count", function()
    in_virtual_time(function()
      local semaphore, entered = braid.semaphore(3), 0
      for _ = 1, 3 do semaphore:acquire() end
      local tasks = {}
      for i = 1, 3 do tasks[i] = braid.spawn(function() semaphore:acquire() entered = entered + 1 end) end
      braid.sleep(0.005)
      semaphore:release(2)
      braid.sleep(0.005)
      assert.equal(2, entered)
      semaphore:release()
      braid.gather(tasks)
    end)
  end)

  test("acquire times out", function()
    run(function()
      local semaphore = braid.semaphore(1)
      semaphore:acquire()
      fails("timeout", semaphore:acquire(0.005))
      semaphore:release()
      assert.is_true((semaphore:acquire(0)))
      assert.is_nil((semaphore:acquire(0)))
    end)
  end)

  test("over-release is an error and changes nothing", function()
    run(function()
      local semaphore = braid.semaphore(2)
      misused(semaphore.release, semaphore)
      semaphore:acquire()
      misused(semaphore.release, semaphore, 2)
      semaphore:release()
      assert.is_true((semaphore:acquire(0)))
      assert.is_true((semaphore:acquire(0)))
      assert.is_nil((semaphore:acquire(0)))
    end)
  end)

  test("unbounded allows it", function()
    run(function()
      local semaphore = braid.semaphore(0, { unbounded = true })
      assert.is_nil((semaphore:acquire(0)))
      semaphore:release(2)
      assert.is_true((semaphore:acquire(0)))
      assert.is_true((semaphore:acquire(0)))
      assert.is_nil((semaphore:acquire(0)))
    end)
  end)

  test("any task may release", function()
    run(function()
      local semaphore = braid.semaphore(1)
      semaphore:acquire()
      braid.spawn(function() semaphore:release() end):result()
      assert.is_true((semaphore:acquire(0)))
    end)
  end)

  test("hold and with give the permit back", function()
    run(function()
      local semaphore = braid.semaphore(1)
      do
        local _ <close> = semaphore:hold()
        assert.is_nil((semaphore:acquire(0)))
      end
      pcall(semaphore.with, semaphore, function() error("x") end)
      assert.is_true((semaphore:acquire(0)))
    end)
  end)

  test("refuses a bad number", function()
    assert.is_false((pcall(braid.semaphore, -1)))
    assert.is_false((pcall(braid.semaphore, "two")))
    assert.is_false((pcall(braid.semaphore, 1, { unbouded = true })))
  end)
end)

describe("event", function()
  test("releases all waiters, and those that come later", function()
    in_virtual_time(function()
      local event, released, tasks = braid.event(), 0, {}
      for i = 1, 5 do
        tasks[i] = braid.spawn(function()
          assert.is_true((event:wait()))
          released = released + 1
        end)
      end
      braid.sleep(0.005)
      assert.equal(0, released)
      event:set()
      braid.gather(tasks)
      assert.equal(5, released)
      assert.is_true((event:wait(0)))
    end)
  end)

  test("is_set, clear, set twice", function()
    run(function()
      local event = braid.event()
      assert.is_false(event:is_set())
      event:set()
      event:set()
      assert.is_true(event:is_set())
      event:clear()
      assert.is_false(event:is_set())
      assert.is_nil((event:wait(0)))
    end)
  end)

  test("set and clear in one step still releases who waited", function()
    in_virtual_time(function()
      local event = braid.event()
      local waiter = braid.spawn(event.wait, event)
      braid.sleep(0.005)
      event:set()
      event:clear()
      assert.is_true((waiter:result(5)))
      assert.is_false(event:is_set())
    end)
  end, { deadline = 10 })

  test("wait times out", function()
    run(function()
      local event = braid.event()
      fails("timeout", event:wait(0.005))
      misused(event.wait, event, -1)
    end)
  end)
end)

describe("condition", function()
  test("wait releases the lock, and has it again afterwards", function()
    in_virtual_time(function()
      local condition, log = braid.condition(), {}
      local waiter = braid.spawn(function()
        condition:acquire()
        assert.is_true((condition:wait()))
        log[#log + 1] = "woken"
        braid.sleep(0.01)
        log[#log + 1] = "releasing"
        condition:release()
      end)
      braid.sleep(0.005)
      assert.is_true((condition:acquire(1)))
      condition:notify()
      log[#log + 1] = "notified"
      condition:release()
      braid.sleep(0.002)
      condition:with(function() log[#log + 1] = "after" end)
      waiter:result()
      assert.same({ "notified", "woken", "releasing", "after" }, log)
    end)
  end, { deadline = 10 })

  test("notify(n) wakes n in order, notify_all the rest", function()
    run(function()
      local condition, woken, tasks = braid.condition(), {}, {}
      for i = 1, 5 do
        tasks[i] = braid.spawn(function()
          condition:with(function()
            condition:wait()
            woken[#woken + 1] = i
          end)
        end)
      end
      braid.sleep(0.005)
      condition:with(function() condition:notify() end)
      braid.sleep(0.005)
      assert.same({ 1 }, woken)
      condition:with(function() condition:notify(2) end)
      braid.sleep(0.005)
      assert.same({ 1, 2, 3 }, woken)
      condition:with(function() condition:notify_all() end)
      braid.gather(tasks)
      assert.equal(5, #woken)
    end)
  end, { deadline = 10 })

  test("a notification without a waiter is not kept", function()
    run(function()
      local condition = braid.condition()
      condition:with(function()
        condition:notify_all()
        fails("timeout", condition:wait(0.005))
      end)
    end)
  end)

  test("after a timed out wait the lock is held", function()
    run(function()
      local condition = braid.condition()
      condition:acquire()
      fails("timeout", condition:wait(0.005))
      assert.is_nil((braid.spawn(condition.acquire, condition, 0):result()))
      condition:release()
    end)
  end)

  test("wait_for waits until the predicate holds", function()
    in_virtual_time(function()
      local condition, value = braid.condition(), 0
      local waiter = braid.spawn(function()
        return condition:with(function()
          local ok = condition:wait_for(function() return value >= 3 end)
          return ok and value
        end)
      end)
      for i = 1, 3 do
        braid.sleep(0.002)
        assert.is_false(waiter:done())
        condition:with(function() value = i condition:notify_all() end)
      end
      assert.equal(3, waiter:result(5))
    end)
  end, { deadline = 10 })

  test("wait_for does not wait when the predicate holds, and times out when it never does", function()
    run(function()
      local condition = braid.condition()
      condition:with(function()
        assert.is_truthy((condition:wait_for(function() return true end, 0)))
        fails("timeout", condition:wait_for(function() return false end, 0.005))
      end)
    end)
  end)

  test("takes a lock that others use", function()
    run(function()
      local lock = braid.lock()
      local first, second = braid.condition(lock), braid.condition(lock)
      first:acquire()
      assert.is_nil((braid.spawn(second.acquire, second, 0):result()))
      assert.is_nil((braid.spawn(lock.acquire, lock, 0):result()))
      first:release()
      assert.is_true((lock:acquire(0)))
      lock:release()
    end)
  end)

  test("refuses what is not a lock", function()
    assert.is_false((pcall(braid.condition, {})))
    assert.is_false((pcall(braid.condition, braid.event())))
  end)
end)

describe("barrier", function()
  test("holds n back and numbers them 1..n", function()
    in_virtual_time(function()
      local barrier, passed, tasks = braid.barrier(3), 0, {}
      for i = 1, 3 do
        tasks[i] = braid.spawn(function()
          braid.sleep(i * 0.002)
          local place = barrier:wait()
          passed = passed + 1
          return place
        end)
      end
      braid.sleep(0.005)
      assert.equal(0, passed)
      local places = braid.gather(tasks)
      table.sort(places)
      assert.same({ 1, 2, 3, n = 3 }, places)
    end)
  end)

  test("serves round after round", function()
    run(function()
      local barrier, log = braid.barrier(2), {}
      local function runner()
        for round = 1, 5 do
          log[#log + 1] = round
          barrier:wait()
        end
      end
      braid.gather { runner, runner }
      assert.same({ 1, 1, 2, 2, 3, 3, 4, 4, 5, 5 }, log)
    end)
  end, { deadline = 10 })

  test("abort releases the waiters with an error", function()
    in_virtual_time(function()
      local barrier = braid.barrier(3)
      local function waiter()
        local place, err = barrier:wait()
        return place == nil and braid.is_error(err)
      end
      local tasks = { braid.spawn(waiter), braid.spawn(waiter) }
      braid.sleep(0.005)
      barrier:abort()
      assert.same({ true, true, n = 2 }, braid.gather(tasks))
    end)
  end, { deadline = 10 })

  test("reset after abort makes it whole", function()
    run(function()
      local barrier = braid.barrier(2)
      barrier:abort()
      assert.is_nil((barrier:wait(0.01)))
      barrier:reset()
      local function waiter() return (barrier:wait(5)) end
      local places = braid.gather { waiter, waiter }
      table.sort(places)
      assert.same({ 1, 2, n = 2 }, places)
    end)
  end, { deadline = 10 })

  test("wait times out", function()
    run(function() fails("timeout", braid.barrier(2):wait(0.005)) end)
  end)

  test("refuses a bad number", function()
    assert.is_false((pcall(braid.barrier, 0)))
    assert.is_false((pcall(braid.barrier)))
    assert.is_false((pcall(braid.barrier, "two")))
  end)
end)

describe("counter", function()
  test("starts at 0 or where told, adds 1 or n", function()
    local counter = braid.counter()
    assert.equal(0, counter:get())
    counter:add()
    counter:add(5)
    counter:add(-2)
    assert.equal(4, counter:get())
    assert.equal(10, braid.counter(10):get())
  end)

  test("set", function()
    local counter = braid.counter(1)
    counter:set(-7)
    assert.equal(-7, counter:get())
    assert.equal("integer", math.type(counter:get()))
  end)

  test("holds 64 bits", function()
    local counter = braid.counter(math.maxinteger)
    assert.equal(math.maxinteger, counter:get())
    counter:set(math.mininteger)
    assert.equal(math.mininteger, counter:get())
  end)

  test("2 tasks x 10,000 additions", function()
    run(function()
      local counter = braid.counter()
      local function adder() for i = 1, 10000 do counter:add() if i % 1000 == 0 then braid.sleep(0) end end end
      braid.gather { adder, adder }
      assert.equal(20000, counter:get())
    end)
  end)

  test("refuses what is not an integer", function()
    assert.is_false((pcall(braid.counter, "x")))
    assert.is_false((pcall(braid.counter, {})))
    local counter = braid.counter()
    assert.is_false((pcall(counter.add, counter, "x")))
    assert.is_false((pcall(counter.set, counter)))
    assert.equal(0, counter:get())
  end)
end)
