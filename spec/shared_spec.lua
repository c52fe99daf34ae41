-- SPDX-License-Identifier: MIT
-- One object for tasks, threads and processes: what the primitives promise holds between jobs of every kind of pool.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local fails, eventually = expect.fails, expect.eventually
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

-- The case is fn(pool), with room for eight jobs at once. opts.skip: kind -> why it is not for that.
local function case(name, fn, opts)
  for _, kind in ipairs { "tasks", "threads", "processes" } do
    if not (opts and opts.skip and opts.skip[kind]) then
      test(("%s: %s"):format(kind, name), function()
        run(function()
          local pool <close> = braid.pool(kind, { workers = 8 })
          fn(pool, kind)
        end)
      end, opts)
    end
  end
end

-- Starts n jobs of fn(i, ...); results() gives what each returned.
local function start(pool, n, fn, ...)
  local futures = {}
  for i = 1, n do futures[i] = pool:submit(fn, i, ...) end
  return function()
    local list = {}
    for i, future in ipairs(futures) do list[i] = future:result(8 * helper.slowness) end
    return list
  end, futures
end

local function sorted(list)
  table.sort(list)
  return list
end

-- A job's answer to a call that gives nil, err: the kind of its error.
local function kind_of(value, err) return value == nil and err.kind or value end

-- ---- queue ----------------------------------------------------------------------------------------------------------

describe("queue", function()
  case("gives what was put, in order, each once", function(pool)
    local queue = braid.queue(3)
    local produced = start(pool, 1, function(_, q)
      for i = 1, 100 do q:put(i) end
      q:close()
      return true
    end, queue)
    local list = {}
    for item in queue:items() do list[#list + 1] = item end
    produced()
    for i = 1, 100 do assert.equal(i, list[i]) end
    assert.equal(100, #list)
  end)

  case("loses and doubles nothing between many producers and consumers", function(pool)
    local queue, n = braid.queue(5), 500
    local consumed = start(pool, 4, function(_, q)
      local sum, count = 0, 0
      for item in q:items() do sum, count = sum + item, count + 1 end
      return { sum, count }
    end, queue)
    start(pool, 4, function(i, q, each)
      for k = 1, each do q:put((i - 1) * each + k) end
      return true
    end, queue, n)()
    queue:close()
    local sum, count = 0, 0
    for _, result in ipairs(consumed()) do sum, count = sum + result[1], count + result[2] end
    assert.equal(4 * n, count)
    assert.equal(4 * n * (4 * n + 1) // 2, sum)
  end)

  case("a put waits for room, and is woken by a get", function(pool)
    local queue, put = braid.queue(1), braid.event()
    queue:put("first")
    local done = start(pool, 1, function(_, q, event)
      q:put("second")
      event:set()
      return true
    end, queue, put)
    assert.is_false((put:wait(0.01)) or false)
    assert.equal("first", queue:get())
    done()
    assert.equal("second", queue:get(0))
  end)

  case("a get waits for an item, and is woken by a put", function(pool)
    local queue = braid.queue()
    local got = start(pool, 1, function(_, q) return q:get() end, queue)
    braid.sleep(0.005)
    queue:put("item")
    assert.same({ "item" }, got())
  end)

  case("who waits longest is served first", function(pool)
    local queue, order = braid.queue(), braid.queue()
    local results = {}
    for i = 1, 4 do
      results[i] = pool:submit(function()
        order:put(i)
        return queue:get()
      end)
      order:get()
      braid.sleep(0.02)
    end
    for i = 1, 4 do queue:put(i) end
    for i = 1, 4 do assert.equal(i, results[i]:result()) end
  end)

  case("get and put time out", function(pool)
    local queue = braid.queue(1)
    assert.same({ "timeout", "timeout", "empty" }, start(pool, 1, function(_, q, kind)
      return { kind(q:get(0.005)), kind(q:get(0)), kind(q:try_get()) }
    end, queue, kind_of)()[1])
    queue:put(1)
    assert.same({ "timeout", "full" }, start(pool, 1, function(_, q, kind)
      return { kind(q:put(2, 0.005)), kind(q:try_put(2)) }
    end, queue, kind_of)()[1])
    assert.equal(1, queue:size())
  end)

  case("tells its size, room and state", function(pool)
    local queue = braid.queue(2)
    queue:put(1)
    queue:put(2)
    assert.same({ 2, 2, true, false, false }, start(pool, 1, function(_, q)
      return { q:size(), q:maxsize(), q:is_full(), q:is_empty(), q:closed() }
    end, queue)()[1])
  end)

  case("lifo and priority order", function(pool)
    local function drain(_, q)
      local list = {}
      while true do
        local item = q:try_get()
        if not item then return list end
        list[#list + 1] = item
      end
    end
    local lifo, priority = braid.queue(0, { order = "lifo" }), braid.queue(0, { order = "priority" })
    for _, x in ipairs { 3, 1, 2 } do
      lifo:put(x)
      priority:put(x)
    end
    assert.same({ 2, 1, 3 }, start(pool, 1, drain, lifo)()[1])
    assert.same({ 1, 2, 3 }, start(pool, 1, drain, priority)()[1])
    priority:put { 2, "b" }
    priority:put { 1, "a" }
    assert.same({ { 1, "a" }, { 2, "b" } }, start(pool, 1, drain, priority)()[1])
  end)

  case("carries tables, functions and other queues", function(pool)
    local questions, answers = braid.queue(), braid.queue()
    start(pool, 1, function(_, q)
      local item = q:get()
      item.reply:put { item.fn(item.list[1]), item.list[2].deep }
      return true
    end, questions)
    local k = 10
    questions:put { reply = answers, fn = function(x) return x + k end, list = { 1, { deep = "yes" } } }
    assert.same({ 11, "yes" }, answers:get(5))
  end)

  case("join waits until every item is done", function(pool)
    local queue = braid.queue()
    start(pool, 3, function(_, q)
      for _ in q:items() do
        braid.sleep(0.001)
        q:task_done()
      end
      return true
    end, queue)
    queue:put_many { 1, 2, 3, 4, 5, 6, 7 }
    assert.is_true(queue:join(5))
    assert.equal(0, queue:size())
    queue:put(8)
    assert.is_true(queue:join(5))
    queue:close()
  end)

  case("one task_done too many is an error", function(pool)
    local queue = braid.queue()
    queue:put(1)
    assert.same({ true, "misuse" }, start(pool, 1, function(_, q)
      q:get()
      q:task_done()
      local ok, err = pcall(q.task_done, q)
      return { not ok, err.kind }
    end, queue)()[1])
  end)

  case("close lets gets drain, then tells them; puts fail at once", function(pool)
    local queue = braid.queue()
    queue:put(1)
    queue:put(2)
    queue:close()
    assert.same({ 1, 2, "closed", "closed" }, start(pool, 1, function(_, q, kind)
      return { q:get(), q:get(), kind(q:get()), kind(q:put(3)) }
    end, queue, kind_of)()[1])
  end)

  case("close wakes gets that wait", function(pool)
    local queue = braid.queue()
    local results = start(pool, 3, function(_, q, kind) return kind(q:get()) end, queue, kind_of)
    braid.sleep(0.01)
    queue:close()
    assert.same({ "closed", "closed", "closed" }, results())
  end)

  case("close wakes puts that wait", function(pool)
    local queue = braid.queue(1)
    queue:put(1)
    local results = start(pool, 3, function(_, q, kind) return kind(q:put(2)) end, queue, kind_of)
    braid.sleep(0.01)
    queue:close { immediate = true }
    assert.same({ "closed", "closed", "closed" }, results())
  end)

  case("close at once drops the rest and lets joiners go", function(pool)
    local queue = braid.queue()
    queue:put_many { 1, 2, 3 }
    local joined = start(pool, 2, function(_, q) return (q:join()) or "ended" end, queue)
    braid.sleep(0.01)
    queue:close { immediate = true }
    joined()
    fails("closed", queue:get())
    assert.equal(0, queue:size())
  end)

  case("put_many and get_many", function(pool)
    local queue = braid.queue(4)
    local produced = start(pool, 1, function(_, q)
      local list = {}
      for i = 1, 20 do list[i] = i end
      q:put_many(list)
      q:close()
      return true
    end, queue)
    local list = {}
    while true do
      local some = queue:get_many(3)
      if not some then break end
      assert.is_true(#some >= 1 and #some <= 3)
      for _, item in ipairs(some) do list[#list + 1] = item end
    end
    produced()
    assert.equal(20, #list)
    for i = 1, 20 do assert.equal(i, list[i]) end
  end)

  case("put_many that is cut short says how many went in", function(pool)
    local queue = braid.queue(3)
    local function fill(q, list, timeout)
      local ok, value, err = pcall(q.put_many, q, list, timeout)
      err = ok and err or value
      return err.kind, err.count
    end
    local items = { 1, 2, 3, 4, 5 }
    assert.same({ "timeout", 3 }, { pool:submit(fill, queue, items, 0.05):result(8 * helper.slowness) })
    assert.same({ "timeout", 0 }, { pool:submit(fill, queue, items, 0):result(8 * helper.slowness) })
    assert.equal(3, queue:size())
    queue:get()
    local cut = pool:submit(fill, queue, items)
    eventually(function() return queue:is_full() end)
    queue:close()
    assert.same({ "closed", 1 }, { cut:result(8 * helper.slowness) })
    assert.same({ "closed", 0 }, { pool:submit(fill, queue, items):result(8 * helper.slowness) })
  end)

  case("put_many says how many went in before an item that cannot be sent", function(pool, kind)
    local queue, none = braid.queue(), kind == "tasks"
    local count, size = pool:submit(function(q)
      local ok, err = pcall(q.put_many, q, { 1, 2, coroutine.create(print), 4 })
      return not ok and err.count, q:size()
    end, queue):result(8 * helper.slowness)
    assert.same(none and { false, 4 } or { 2, 2 }, { count, size })
  end)

  case("wait_for asks once more when its time is over", function(pool)
    local condition, ready = braid.condition(), braid.counter()
    local begun = braid.event()
    local waiting = pool:submit(function(c, r, b, seconds)
      return c:with(function()
        return c:wait_for(function()
          b:set()
          return r:get() == 1
        end, seconds)
      end)
    end, condition, ready, begun, 0.02)
    begun:wait()
    condition:acquire()
    braid.sleep(0.05)
    ready:set(1)
    condition:release()
    assert.is_true(waiting:result(8 * helper.slowness))
    assert.is_true(pool:submit(function(c)
      local asked = 0
      return c:with(function()
        return c:wait_for(function()
          asked = asked + 1
          return asked == 2
        end, 0)
      end)
    end, condition):result(8 * helper.slowness))
  end)

  case("a get that is cancelled has not taken its item", function(pool)
    local queue = braid.queue()
    for i = 1, 20 do
      local future = pool:submit(function() return queue:get() end)
      if i % 2 == 0 then braid.sleep(0.002) end
      future:cancel()
      queue:put(i)
      future:wait()
      local value = future:state() == "done" and future:result() or queue:get(5)
      assert.equal(i, value)
      assert.is_true(queue:is_empty())
    end
  end)

  case("select takes from whichever has an item, and from it only", function(pool)
    local a, b = braid.queue(), braid.queue()
    local chosen = start(pool, 1, function(_, x, y)
      local list = {}
      for i = 1, 40 do
        local index, value = braid.select { { x, "get" }, { y, "get" } }
        list[i] = { index, value }
      end
      return list
    end, a, b)
    for i = 1, 20 do
      a:put(i)
      b:put(100 + i)
    end
    local next_a, next_b = 1, 101
    for _, choice in ipairs(chosen()[1]) do
      if choice[1] == 1 then
        assert.equal(next_a, choice[2])
        next_a = next_a + 1
      else
        assert.equal(next_b, choice[2])
        next_b = next_b + 1
      end
    end
    assert.same({ 21, 121 }, { next_a, next_b })
  end)

  case("a pipeline of three stages", function(pool)
    local first, second = braid.queue(2), braid.queue(2)
    local sums = start(pool, 1, function(_, q)
      local sum = 0
      for item in q:items() do sum = sum + item end
      return sum
    end, second)
    local doubled = start(pool, 1, function(_, from, to)
      for item in from:items() do to:put(2 * item) end
      to:close()
      return true
    end, first, second)
    for i = 1, 200 do first:put(i) end
    first:close()
    doubled()
    assert.same({ 200 * 201 }, sums())
  end)
end)

-- ---- lock -----------------------------------------------------------------------------------------------------------

-- A lock's or a semaphore's holders at once, at most: n jobs each enter it 20 times.
local function crowd(pool, gate, n)
  local peaks = start(pool, n, function(_, g, count)
    local peak = 0
    for _ = 1, 20 do
      g:acquire()
      peak = math.max(peak, count:add(1))
      braid.sleep(0.0005)
      count:add(-1)
      g:release()
    end
    return peak
  end, gate, braid.counter())()
  return math.max(table.unpack(peaks))
end

describe("lock", function()
  case("lets one in at a time", function(pool)
    assert.equal(1, crowd(pool, braid.lock(), 6))
  end)

  case("makes read and write one step", function(pool)
    local lock, cell = braid.lock(), braid.counter()
    start(pool, 4, function(_, l, c)
      for _ = 1, 250 do
        l:with(function() c:set(c:get() + 1) end)
      end
      return true
    end, lock, cell)()
    assert.equal(1000, cell:get())
  end)

  case("is had by one; who tries gets nothing, who waits times out", function(pool)
    local lock = braid.lock()
    lock:acquire()
    assert.same({ "empty", "timeout", true }, start(pool, 1, function(_, l, kind)
      return { kind(l:try_acquire()), kind(l:acquire(0.005)), l:locked() }
    end, lock, kind_of)()[1])
    lock:release()
    assert.is_true(start(pool, 1, function(_, l)
      local ok = l:acquire(0)
      l:release()
      return ok
    end, lock)()[1])
    assert.is_false(lock:locked())
  end)

  case("a waiter gets it from the holder's release", function(pool)
    local lock = braid.lock()
    lock:acquire()
    local got = start(pool, 3, function(i, l)
      l:acquire()
      l:release()
      return i
    end, lock)
    braid.sleep(0.01)
    lock:release()
    assert.same({ 1, 2, 3 }, got())
  end)

  case("only its holder may release it", function(pool)
    local lock = braid.lock()
    lock:acquire()
    assert.same({ "misuse" }, start(pool, 1, function(_, l)
      return select(2, pcall(l.release, l)).kind
    end, lock)())
    lock:release()
    assert.is_false(pcall(lock.release, lock))
  end)

  case("twice by the same job is misuse", function(pool)
    assert.same({ "misuse" }, start(pool, 1, function(_, l)
      l:acquire()
      local _, err = pcall(l.acquire, l)
      l:release()
      return err.kind
    end, braid.lock())())
  end)

  case("hold gives it back when the block ends, however it does", function(pool)
    local lock = braid.lock()
    start(pool, 3, function(i, l)
      pcall(function()
        local held <close> = l:hold()
        if i == 2 then error("out") end
      end)
      return true
    end, lock)()
    assert.is_true(lock:acquire(0))
    lock:release()
  end)

  case("a holder that ends is told to the next, and the lock goes on", function(pool)
    local lock, holding, event = braid.lock(), braid.event(), braid.event()
    pool:submit(function()
      lock:acquire()
      holding:set()
      event:wait()
    end)
    holding:wait()
    local waiting = start(pool, 2, function(_, l, kind)
      local result = kind(l:acquire())
      if result == true then l:release() end
      return result
    end, lock, kind_of)
    braid.sleep(0.01)
    event:set()
    local results = waiting()
    table.sort(results, function(a) return a == "owner_died" end)
    assert.same({ "owner_died", true }, results)
  end)

  case("a job that is cancelled while it waits is out of the line", function(pool)
    local lock = braid.lock()
    lock:acquire()
    local future = pool:submit(function() return lock:acquire() end)
    braid.sleep(0.005)
    future:cancel()
    future:wait()
    lock:release()
    assert.is_true(lock:acquire(0))
    lock:release()
  end)
end)

-- ---- semaphore ------------------------------------------------------------------------------------------------------

describe("semaphore", function()
  case("lets so many in, and so many come in", function(pool)
    assert.equal(3, crowd(pool, braid.semaphore(3), 8))
    assert.equal(1, crowd(pool, braid.semaphore(1), 4))
  end)

  case("of none lets nobody in until it is released", function(pool)
    local semaphore = braid.semaphore(0, { unbounded = true })
    local got = start(pool, 4, function(_, s) return s:acquire() end, semaphore)
    braid.sleep(0.005)
    semaphore:release(3)
    semaphore:release()
    assert.same({ true, true, true, true }, got())
    assert.equal(0, semaphore:value())
  end)

  case("tries and times out", function(pool)
    local semaphore = braid.semaphore(1)
    assert.same({ true, "empty", "timeout", true }, start(pool, 1, function(_, s, kind)
      local list = { s:try_acquire(), kind(s:try_acquire()), kind(s:acquire(0.005)) }
      s:release()
      list[4] = s:try_acquire()
      s:release()
      return list
    end, semaphore, kind_of)()[1])
  end)

  case("released more often than acquired is an error, also from elsewhere", function(pool)
    local semaphore = braid.semaphore(2)
    assert.same({ "misuse" }, start(pool, 1, function(_, s)
      return select(2, pcall(s.release, s)).kind
    end, semaphore)())
    semaphore:acquire()
    start(pool, 1, function(_, s) s:release() return true end, semaphore)()
    assert.equal(2, semaphore:value())
  end)

  case("with gives the turn back when fn raises", function(pool)
    local semaphore = braid.semaphore(1)
    start(pool, 3, function(_, s) return (pcall(s.with, s, error, "x")) end, semaphore)()
    assert.equal(1, semaphore:value())
  end)
end)

-- ---- event ----------------------------------------------------------------------------------------------------------

describe("event", function()
  case("wakes all who wait, and lets pass who comes later", function(pool)
    local event = braid.event()
    local results = start(pool, 6, function(_, e) return e:wait() end, event)
    braid.sleep(0.005)
    event:set()
    assert.same({ true, true, true, true, true, true }, results())
    assert.same({ true }, start(pool, 1, function(_, e) return e:wait(0) end, event)())
  end)

  case("times out while it is not set, and again when it is cleared", function(pool)
    local event = braid.event()
    local function look(_, e, kind) return { e:is_set(), kind(e:wait(0.005)) } end
    assert.same({ false, "timeout" }, start(pool, 1, look, event, kind_of)()[1])
    event:set()
    assert.same({ true, true }, start(pool, 1, look, event, kind_of)()[1])
    event:clear()
    assert.same({ false, "timeout" }, start(pool, 1, look, event, kind_of)()[1])
  end)

  case("set and cleared at once still wakes who waited", function(pool)
    local event, ready = braid.event(), braid.counter()
    local results = start(pool, 4, function(_, e, count)
      count:add(1)
      return e:wait()
    end, event, ready)
    eventually(function() return ready:get() == 4 end)
    braid.sleep(0.02)
    event:set()
    event:clear()
    assert.same({ true, true, true, true }, results())
    assert.is_false(event:is_set())
  end)

  case("set by a job wakes the submitter", function(pool)
    local event = braid.event()
    start(pool, 1, function(_, e) e:set() return true end, event)
    assert.is_true(event:wait(5))
  end)
end)

-- ---- condition ------------------------------------------------------------------------------------------------------

describe("condition", function()
  case("notify wakes as many as it says, notify_all the rest", function(pool)
    local condition, waiting, woken = braid.condition(), braid.counter(), braid.counter()
    local done = start(pool, 6, function(_, c, before, after)
      c:acquire()
      before:add(1)
      c:wait()
      after:add(1)
      c:release()
      return true
    end, condition, waiting, woken)
    local function notify(n)
      condition:acquire()
      if n then condition:notify(n) else condition:notify_all() end
      condition:release()
    end
    eventually(function()
      condition:acquire()
      local count = waiting:get()
      condition:release()
      return count == 6
    end)
    notify(2)
    eventually(function() return woken:get() == 2 end)
    braid.sleep(0.01)
    assert.equal(2, woken:get())
    notify(1)
    eventually(function() return woken:get() == 3 end)
    notify()
    done()
    assert.equal(6, woken:get())
  end)

  case("wait times out with the lock held again", function(pool)
    assert.same({ "timeout", true }, start(pool, 1, function(_, c, kind)
      c:acquire()
      local result = kind(c:wait(0.005))
      local held = c:locked()
      c:release()
      return { result, held }
    end, braid.condition(), kind_of)()[1])
  end)

  case("waiting or notifying without the lock is misuse", function(pool)
    assert.same({ "misuse", "misuse" }, start(pool, 1, function(_, c)
      return { select(2, pcall(c.wait, c)).kind, select(2, pcall(c.notify, c)).kind }
    end, braid.condition())()[1])
  end)

  case("wait_for waits until it holds", function(pool)
    local condition, stock = braid.condition(), braid.counter()
    local bought = start(pool, 3, function(_, c, s)
      c:acquire()
      c:wait_for(function() return s:get() >= 2 end)
      s:add(-2)
      c:release()
      return true
    end, condition, stock)
    for _ = 1, 6 do
      condition:with(function()
        stock:add(1)
        condition:notify_all()
      end)
      braid.sleep(0.001)
    end
    assert.same({ true, true, true }, bought())
    assert.equal(0, stock:get())
  end)

  case("wait_for times out", function(pool)
    assert.same({ "timeout" }, start(pool, 1, function(_, c, kind)
      c:acquire()
      local result = kind(c:wait_for(function() return false end, 0.01))
      c:release()
      return result
    end, braid.condition(), kind_of)())
  end)

  case("two conditions share a lock", function(pool)
    local lock = braid.lock()
    local full, empty, cell = braid.condition(lock), braid.condition(lock), braid.counter()
    local taken = start(pool, 1, function(_, f, e, c)
      local sum = 0
      for _ = 1, 20 do
        f:acquire()
        f:wait_for(function() return c:get() ~= 0 end)
        sum = sum + c:get()
        c:set(0)
        e:notify()
        f:release()
      end
      return sum
    end, full, empty, cell)
    for i = 1, 20 do
      lock:acquire()
      empty:wait_for(function() return cell:get() == 0 end)
      cell:set(i)
      full:notify()
      lock:release()
    end
    assert.same({ 210 }, taken())
  end)
end)

-- ---- barrier --------------------------------------------------------------------------------------------------------

describe("barrier", function()
  case("nobody passes before all have come, round after round", function(pool)
    local barrier, arrived = braid.barrier(4), braid.counter()
    local results = start(pool, 4, function(_, b, count)
      for round = 1, 25 do
        count:add(1)
        b:wait()
        if count:get() < 4 * round then return "passed early" end
        b:wait()
      end
      return "fine"
    end, barrier, arrived)()
    assert.same({ "fine", "fine", "fine", "fine" }, results)
    assert.equal(100, arrived:get())
  end)

  case("gives each its turn", function(pool)
    assert.same({ 1, 2, 3, 4, 5 }, sorted(start(pool, 5, function(_, b) return b:wait() end, braid.barrier(5))()))
  end)

  case("a wait that times out breaks it for the others", function(pool)
    local barrier = braid.barrier(3)
    local results = start(pool, 2, function(i, b, kind)
      return kind(b:wait(i == 1 and 0.02 or nil))
    end, barrier, kind_of)()
    assert.same({ "timeout", "broken" }, results)
    fails("broken", barrier:wait(0))
  end)

  case("abort breaks it, reset mends it", function(pool)
    local barrier = braid.barrier(3)
    local broken = start(pool, 2, function(_, b, kind) return kind(b:wait()) end, barrier, kind_of)
    braid.sleep(0.01)
    barrier:abort()
    assert.same({ "broken", "broken" }, broken())
    barrier:reset()
    assert.same({ 1, 2, 3 }, sorted(start(pool, 3, function(_, b) return b:wait() end, barrier)()))
  end)

  case("reset sends away who waits", function(pool)
    local barrier = braid.barrier(3)
    local results = start(pool, 2, function(_, b, kind) return kind(b:wait()) end, barrier, kind_of)
    local resetting = braid.spawn(function() -- again and again: who comes after a reset waits for the next
      while true do
        braid.sleep(0.01)
        barrier:reset()
      end
    end)
    assert.same({ "broken", "broken" }, results())
    resetting:cancel()
    resetting:wait()
    assert.same({ 1, 2, 3 }, sorted(start(pool, 3, function(_, b) return b:wait() end, barrier)()))
  end)

  case("of one lets everybody pass", function(pool)
    assert.same({ 1, 1, 1 }, start(pool, 3, function(_, b) return b:wait() end, braid.barrier(1))())
  end)
end)

-- ---- counter and null -----------------------------------------------------------------------------------------------

describe("counter", function()
  case("loses no addition", function(pool)
    local counter = braid.counter(5)
    local results = start(pool, 8, function(_, c)
      for _ = 1, 1000 do c:add() end
      return c:add(0) >= 1000
    end, counter)()
    assert.equal(8005, counter:get())
    for _, ok in ipairs(results) do assert.is_true(ok) end
  end)

  case("is set for all", function(pool)
    local counter = braid.counter()
    start(pool, 1, function(_, c) c:set(-7) return true end, counter)()
    assert.equal(-7, counter:get())
  end)
end)

describe("identity", function()
  case("an object comes back as the same object", function(pool)
    for _, object in ipairs { braid.queue(), braid.lock(), braid.semaphore(1), braid.event(), braid.condition(),
      braid.barrier(2), braid.counter() } do
      assert.equal(object, (start(pool, 1, function(_, o) return o end, object)()[1]))
      local pair = start(pool, 1, function(_, t) return { t.a == t.b } end, { a = object, b = object })()[1]
      assert.is_true(pair[1])
    end
  end)

  case("braid.null is itself everywhere", function(pool)
    local queue = braid.queue()
    queue:put(braid.null)
    assert.is_true(start(pool, 1, function(_, q) return q:get() == braid.null end, queue)()[1])
    assert.equal(braid.null, start(pool, 1, function() return braid.null end)()[1])
  end)
end)
