-- SPDX-License-Identifier: MIT
-- Queues between tasks: order, room, close, join, and the value that is never lost.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local fails = expect.fails

local function misuse(fn, ...) return expect.misused(nil, fn, ...) end

describe("queue", function()
  test("first in, first out", function()
    run(function()
      local queue = braid.queue()
      for i = 1, 5 do assert.is_true((queue:put(i))) end
      for i = 1, 5 do assert.equal(i, queue:get()) end
    end)
  end)

  test("lifo: last in, first out", function()
    run(function()
      local queue = braid.queue(0, { order = "lifo" })
      for i = 1, 3 do queue:put(i) end
      assert.same({ 3, 2, 1 }, { queue:get(), queue:get(), queue:get() })
    end)
  end)

  test("priority: the smallest number first", function()
    run(function()
      local queue = braid.queue(0, { order = "priority" })
      for _, value in ipairs { 5, 1, 4, 2.5, 3, -1 } do queue:put(value) end
      local got = {}
      while not queue:is_empty() do got[#got + 1] = queue:get() end
      assert.same({ -1, 1, 2.5, 3, 4, 5 }, got)
    end)
  end)

  test("items go by reference", function()
    run(function()
      local queue, item = braid.queue(), { function() end, coroutine.create(print) }
      queue:put(item)
      assert.equal(item, queue:get())
    end)
  end)

  test("false, null, integers and floats come out as they went in", function()
    run(function()
      local queue = braid.queue()
      for _, value in ipairs { false, braid.null, 1, 1.0, math.mininteger, "" } do queue:put(value) end
      assert.is_false(queue:get())
      assert.equal(braid.null, queue:get())
      assert.equal("integer", math.type(queue:get()))
      assert.equal("float", math.type(queue:get()))
      assert.equal(math.mininteger, queue:get())
      assert.equal("", queue:get())
    end)
  end)

  test("refuses nil, at the caller's line", function()
    run(function()
      local queue = braid.queue()
      local line = debug.getinfo(1, "l").currentline + 1
      local err = misuse(function() queue:put(nil) end)
      assert.is_truthy(tostring(err):find("queue_spec.lua:" .. line, 1, true), tostring(err))
      misuse(queue.try_put, queue, nil)
      misuse(queue.put, queue)
      assert.equal(0, queue:size())
    end)
  end)

  test("a getter waits for a putter", function()
    in_virtual_time(function()
      local queue, log = braid.queue(), {}
      braid.spawn(function()
        local value = queue:get()
        log[#log + 1] = "get " .. value
      end)
      braid.sleep(0.005)
      log[#log + 1] = "put"
      queue:put("x")
      braid.sleep(0.005)
      assert.same({ "put", "get x" }, log)
    end)
  end)

  test("a putter waits for room", function()
    in_virtual_time(function()
      local queue, put = braid.queue(2), 0
      local producer = braid.spawn(function() for i = 1, 5 do queue:put(i) put = put + 1 end end)
      braid.sleep(0.005)
      assert.equal(2, put)
      assert.equal(1, queue:get())
      braid.sleep(0.005)
      assert.equal(3, put)
      for i = 2, 5 do assert.equal(i, queue:get()) end
      producer:result()
    end)
  end)

  test("getters are served first come, first served", function()
    run(function()
      local queue, got, tasks = braid.queue(), {}, {}
      for i = 1, 5 do tasks[i] = braid.spawn(function() got[i] = queue:get() end) end
      braid.sleep(0.005)
      for i = 1, 5 do queue:put(i) end
      braid.gather(tasks)
      assert.same({ 1, 2, 3, 4, 5 }, got)
    end)
  end)

  test("putters get room first come, first served", function()
    run(function()
      local queue = braid.queue(1)
      queue:put(0)
      for i = 1, 5 do braid.spawn(queue.put, queue, i) end
      braid.sleep(0.005)
      for i = 0, 5 do assert.equal(i, queue:get()) end
    end)
  end)

  test("a getter in line is not overtaken by one that comes later", function()
    in_virtual_time(function()
      local queue = braid.queue()
      local first = braid.spawn(queue.get, queue)
      braid.sleep(0.005)
      queue:put("first")
      local second = braid.spawn(queue.get, queue, 5)
      braid.sleep(0.005)
      queue:put("second")
      assert.equal("first", first:result())
      assert.equal("second", second:result())
    end)
  end)

  test("try_put and try_get do not wait", function()
    run(function()
      local queue = braid.queue(1)
      fails("empty", queue:try_get())
      assert.is_true((queue:try_put("a")))
      fails("full", queue:try_put("b"))
      assert.equal("a", queue:try_get())
      fails("empty", queue:try_get())
    end)
  end)

  test("get and put time out and leave nothing behind", function()
    in_virtual_time(function()
      local queue = braid.queue(1)
      fails("timeout", queue:get(0.005))
      queue:put("a")
      fails("timeout", queue:put("b", 0.005))
      assert.equal("a", queue:get(0))
      braid.sleep(0.005)
      assert.equal(0, queue:size())
      assert.is_nil((queue:get(0)))
    end)
  end)

  test("timeout 0 takes what is there", function()
    run(function()
      local queue = braid.queue(1)
      assert.is_true((queue:put("a", 0)))
      assert.is_nil((queue:put("b", 0)))
      assert.equal("a", queue:get(0))
    end)
  end)

  test("a negative timeout and one that is no number are refused", function()
    run(function()
      local queue = braid.queue(1)
      misuse(queue.get, queue, -1)
      misuse(queue.put, queue, "x", -0.5)
      assert.is_false((pcall(queue.get, queue, "soon")))
      assert.is_false((pcall(queue.get, queue, {})))
      assert.equal(0, queue:size())
    end)
  end)

  test("size, maxsize, is_full, is_empty", function()
    run(function()
      local queue = braid.queue(2)
      assert.same({ 0, 2, false, true }, { queue:size(), queue:maxsize(), queue:is_full(), queue:is_empty() })
      queue:put(1)
      assert.same({ 1, false, false }, { queue:size(), queue:is_full(), queue:is_empty() })
      queue:put(2)
      assert.same({ 2, true, false }, { queue:size(), queue:is_full(), queue:is_empty() })
    end)
  end)

  test("without a maxsize it is never full", function()
    run(function()
      for _, queue in ipairs { braid.queue(), braid.queue(0), braid.queue(nil, { order = "fifo" }) } do
        for i = 1, 10000 do assert(queue:try_put(i)) end
        assert.is_false(queue:is_full())
        assert.equal(10000, queue:size())
      end
    end)
  end)

  test("refuses a bad maxsize, an unknown order and an unknown option", function()
    assert.is_false((pcall(braid.queue, -1)))
    assert.is_false((pcall(braid.queue, "ten")))
    assert.is_false((pcall(braid.queue, 1.5)))
    assert.is_false((pcall(braid.queue, 1, { order = "random" })))
    local ok, err = pcall(braid.queue, 1, { ordr = "fifo" })
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("order", 1, true), tostring(err))
  end)

  test("methods refuse a foreign self", function()
    local queue = braid.queue()
    assert.is_false((pcall(queue.get, {})))
    assert.is_false((pcall(queue.put, braid.event(), 1)))
    assert.is_false((pcall(queue.size)))
  end)

  test("put_many and get_many keep the order", function()
    run(function()
      local queue = braid.queue()
      queue:put_many { 1, 2, 3, 4, 5 }
      assert.same({ 1, 2, 3 }, queue:get_many(3))
      assert.same({ 4, 5 }, queue:get_many(10))
      fails("timeout", queue:get_many(2, 0.005))
    end)
  end)

  test("get_many waits for the first item only", function()
    in_virtual_time(function()
      local queue = braid.queue()
      local task = braid.spawn(queue.get_many, queue, 10)
      braid.sleep(0.005)
      queue:put("x")
      assert.same({ "x" }, task:result(5))
    end)
  end)

  test("put_many waits for room", function()
    in_virtual_time(function()
      local queue, got = braid.queue(2), {}
      local task = braid.spawn(queue.put_many, queue, { 1, 2, 3, 4, 5 })
      braid.sleep(0.005)
      assert.is_false(task:done())
      for i = 1, 5 do got[i] = queue:get(5) end
      task:result(5)
      assert.same({ 1, 2, 3, 4, 5 }, got)
    end)
  end)

  test("put_many that is cancelled says how many went in", function()
    run(function()
      local queue, err = braid.queue(3), nil
      local task = braid.spawn(function()
        local _
        _, err = pcall(queue.put_many, queue, { 1, 2, 3, 4, 5 })
      end)
      braid.sleep(0)
      task:cancel()
      task:wait()
      assert.is_true(braid.is_error(err, "cancelled"), tostring(err))
      assert.equal(3, err.count)
    end)
  end)

  test("may hold itself, and be collected", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function fill()
      local queue, token = braid.queue(), {}
      weak[token] = true
      queue:put(queue)
      queue:put(token)
      assert.equal(queue, queue:get(0))
      queue:put(queue)
      queue:close { immediate = true }
    end
    fill()
    collectgarbage() collectgarbage()
    assert.is_nil((next(weak)))
  end)

  test("dropped with items in it, they are collected", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function fill()
      local queue = braid.queue()
      for _ = 1, 10 do
        local token = {}
        weak[token] = true
        queue:put(token)
      end
    end
    fill()
    collectgarbage() collectgarbage() collectgarbage()
    assert.is_nil((next(weak)))
  end)

  test("two tasks that always have something to pass do not starve a timer", function()
    run(function()
      local ping, pong, stop = braid.queue(1), braid.queue(1), false
      local player = braid.spawn(function() while not stop do pong:put(ping:get()) end end)
      player:daemon()
      local other = braid.spawn(function() while not stop do ping:put(1) pong:get() end end)
      other:daemon()
      braid.sleep(0.02)
      stop = true
    end)
  end, { deadline = 10 })
end)

describe("close", function()
  test("puts fail, gets drain and then fail", function()
    run(function()
      local queue = braid.queue()
      queue:put(1)
      queue:put(2)
      assert.is_false(queue:closed())
      queue:close()
      assert.is_true(queue:closed())
      fails("closed", queue:put(3))
      fails("closed", queue:try_put(3))
      assert.equal(1, queue:get())
      assert.equal(2, queue:try_get())
      fails("closed", queue:get())
      fails("closed", queue:try_get())
      fails("closed", queue:get_many(2))
    end)
  end)

  test("releases waiting getters", function()
    in_virtual_time(function()
      local queue, released = braid.queue(), 0
      local tasks = {}
      for i = 1, 3 do
        tasks[i] = braid.spawn(function()
          fails("closed", queue:get())
          released = released + 1
        end)
      end
      braid.sleep(0.005)
      queue:close()
      braid.gather(tasks)
      assert.equal(3, released)
    end)
  end, { deadline = 10 })

  test("a waiting put fails", function()
    in_virtual_time(function()
      local queue = braid.queue(1)
      queue:put("in")
      local task = braid.spawn(function() fails("closed", queue:put("out")) end)
      braid.sleep(0.005)
      queue:close()
      task:result(5)
      assert.equal("in", queue:get())
      fails("closed", queue:get())
    end)
  end, { deadline = 10 })

  test("twice is fine", function()
    run(function()
      local queue = braid.queue()
      queue:close()
      queue:close()
      assert.is_true(queue:closed())
    end)
  end)

  test("immediate drops the rest and releases getters, putters and joiners", function()
    in_virtual_time(function()
      local full, empty = braid.queue(1), braid.queue()
      full:put("dropped")
      local putter = braid.spawn(function() fails("closed", full:put("x")) return "putter" end)
      local joiner = braid.spawn(function() full:join() return "joiner" end)
      local getter = braid.spawn(function() fails("closed", empty:get()) return "getter" end)
      braid.sleep(0.005)
      full:close { immediate = true }
      empty:close { immediate = true }
      assert.same({ "putter", "joiner", "getter", n = 3 }, braid.gather { putter, joiner, getter })
      fails("closed", full:get())
      assert.equal(0, full:size())
    end)
  end, { deadline = 10 })

  test("an unknown option is refused", function()
    local queue = braid.queue()
    local ok, err = pcall(queue.close, queue, { imediate = true })
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("immediate", 1, true), tostring(err))
  end)

  test("items ends when closed and drained", function()
    run(function()
      local queue, got = braid.queue(2), {}
      local consumer = braid.spawn(function() for value in queue:items() do got[#got + 1] = value end end)
      for i = 1, 5 do queue:put(i) end
      queue:close()
      consumer:result()
      assert.same({ 1, 2, 3, 4, 5 }, got)
    end)
  end, { deadline = 10 })

  test("items gives false and goes on", function()
    run(function()
      local queue, count = braid.queue(), 0
      queue:put_many { 1, false, 2 }
      queue:close()
      for _ in queue:items() do count = count + 1 end
      assert.equal(3, count)
    end)
  end)

  test("two producers and two consumers end by close, each item once", function()
    run(function()
      local queue, seen, count = braid.queue(3), {}, 0
      local consumers = {}
      for i = 1, 2 do
        consumers[i] = braid.spawn(function()
          for value in queue:items() do
            seen[value] = (seen[value] or 0) + 1
            count = count + 1
            braid.sleep(0)
          end
        end)
      end
      braid.scope(function(scope)
        for p = 0, 1 do scope:spawn(function() for i = 1, 50 do queue:put(p * 50 + i) end end) end
      end)
      queue:close()
      braid.gather(consumers)
      assert.equal(100, count)
      for i = 1, 100 do assert.equal(1, seen[i]) end
    end)
  end, { deadline = 10 })

  test("the sentinel form works too", function()
    run(function()
      local queue, sum = braid.queue(10), 0
      local consumer = braid.spawn(function()
        while true do
          local item = queue:get()
          if item == braid.null then break end
          sum = sum + item
        end
      end)
      for i = 1, 10 do queue:put(i) end
      queue:put(braid.null)
      consumer:result()
      assert.equal(55, sum)
    end)
  end, { deadline = 10 })
end)

describe("join", function()
  test("waits until each item is done", function()
    in_virtual_time(function()
      local queue, done = braid.queue(), 0
      for i = 1, 5 do queue:put(i) end
      local worker = braid.spawn(function()
        for _ in queue:items() do
          braid.sleep(0.001)
          done = done + 1
          queue:task_done()
        end
      end)
      assert.is_true((queue:join()))
      assert.equal(5, done)
      queue:close()
      worker:result()
    end)
  end, { deadline = 10 })

  test("of a queue that had no item returns at once", function()
    run(function() assert.is_true((braid.queue():join(0))) end)
  end)

  test("waits for items that were got but are not done", function()
    run(function()
      local queue = braid.queue()
      queue:put(1)
      queue:get()
      fails("timeout", queue:join(0.005))
      queue:task_done()
      assert.is_true((queue:join(0)))
    end)
  end)

  test("one task_done too many is an error", function()
    run(function()
      local queue = braid.queue()
      assert.is_false((pcall(queue.task_done, queue)))
      queue:put(1)
      queue:get()
      queue:task_done()
      assert.is_false((pcall(queue.task_done, queue)))
      assert.is_true((queue:join(0)))
    end)
  end)
end)
