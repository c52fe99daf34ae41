-- SPDX-License-Identifier: MIT
-- Objects away from home: made in a worker and used in the parent, handed on to workers of workers, and what happens to
-- those who use them when a process dies. What is the same for all models is in shared_spec.lua.
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local patience = 8 * helper.slowness

local function case(name, workers, fn)
  test(name, function()
    run(function()
      local pool <close> = braid.process_pool(workers)
      fn(pool)
    end)
  end)
end

local function fails(kind, value, err)
  assert.is_nil(value)
  assert.is_true(braid.is_error(err, kind), tostring(err))
end

local function raises(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(braid.is_error(err, kind), tostring(err))
end

-- Makes one of each in a worker, and keeps the worker's process busy with nothing.
local function make_all(pool)
  return pool:submit(function()
    local b = require "braid"
    return { queue = b.queue(), small = b.queue(2), stack = b.queue(0, { order = "lifo" }), lock = b.lock(),
      semaphore = b.semaphore(1), event = b.event(), condition = b.condition(), barrier = b.barrier(2),
      counter = b.counter(5), dict = b.dict(), first = b.queue(0, { order = "priority" }) }
  end):result()
end

describe("an object that a worker made", function()
  case("works in the parent", 1, function(pool)
    local made = make_all(pool)
    for i = 1, 300 do assert.is_true(made.queue:put { i }) end
    for i = 1, 300 do assert.same({ i }, made.queue:get(patience)) end
    fails("timeout", made.queue:get(0.001))
    fails("empty", made.queue:try_get())
    made.small:put(1)
    made.small:put(2)
    fails("full", made.small:try_put(3))
    fails("timeout", made.small:put(3, 0.001))
    assert.equal(2, made.small:size())
    assert.is_true(made.small:is_full())
    for i = 1, 3 do made.stack:put(i) end
    assert.same({ 3, 2, 1 }, { made.stack:get(), made.stack:get(), made.stack:get() })
    for _, key in ipairs { 5, 1, 3 } do made.first:put { key, "x" } end
    assert.equal(1, made.first:get()[1])
    assert.is_true(made.lock:with(function() return true end))
    assert.is_true(made.semaphore:acquire())
    fails("timeout", made.semaphore:acquire(0.001))
    made.semaphore:release()
    made.event:set()
    assert.is_true(made.event:wait(patience))
    assert.equal(7, made.counter:add(2))
    made.dict:set("a", { 1 })
    assert.equal(2, made.dict:update("a", function(old) return old[1] + 1 end))
    assert.same({ "a" }, made.dict:keys())
    local other = braid.spawn(function() return made.barrier:wait(patience) end)
    assert.equal(3, made.barrier:wait(patience) + other:result())
    local waits = braid.spawn(function()
      return made.condition:lock():with(function() return made.condition:wait(patience) end)
    end)
    repeat
      braid.sleep(0.001)
      made.condition:lock():with(function() made.condition:notify() end)
    until waits:done()
    assert.is_true(waits:result())
  end)

  case("is the same object in another worker, and at home", 2, function(pool)
    local both = braid.barrier(2)
    local function make() both:wait() return require "braid".queue(), require "braid".counter() end
    local first = pool:submit(make)
    local second = pool:submit(make)
    local queue, counter = first:result()
    second:result()
    local function use(q, c)
      for i = 1, 200 do
        q:put(i)
        c:add(i)
      end
      return q
    end
    both = braid.barrier(2)
    local jobs = {}
    for i = 1, 2 do jobs[i] = pool:submit(function(q, c) both:wait() return use(q, c) end, queue, counter) end
    for i = 1, 2 do assert.equal(queue, (jobs[i]:result())) end
    assert.equal(40200, counter:get())
    local sum = 0
    for _ = 1, 400 do sum = sum + queue:get(patience) end
    assert.equal(40200, sum)
    assert.is_true(queue:is_empty())
  end)

  case("is waited for by tasks of many, each item once", 2, function(pool)
    local queue = pool:submit(function() return require "braid".queue(16) end):result()
    local seen = braid.counter()
    local function consume(q, n)
      local b = require "braid"
      b.scope(function(scope)
        for _ = 1, 5 do
          scope:spawn(function() for item in q:items() do n:add(item) end end)
        end
      end)
    end
    local jobs = { pool:submit(consume, queue, seen), braid.spawn(consume, queue, seen) }
    for i = 1, 1000 do queue:put(i) end
    queue:close()
    for _, job in ipairs(jobs) do job:result() end
    assert.equal(500500, seen:get())
  end)

  case("is gone with its worker: waits end, and everything says so", 2, function(pool)
    local made = make_all(pool)
    local pid = pool:submit(function(queue)
      local file <close> = io.open("/proc/self/stat")
      return file:read("l"):match("^%d+"), queue:size()
    end, made.queue)
    assert.is_string((pid:result()))
    local waits = {
      braid.spawn(function() return made.queue:get() end),
      braid.spawn(function() made.semaphore:acquire() return made.semaphore:acquire() end),
      braid.spawn(function() return made.event:wait() end),
      braid.spawn(function() return made.barrier:wait() end),
      braid.spawn(function() made.small:put(1) made.small:put(2) return made.small:put(3) end),
    }
    braid.sleep(0.05)
    for _, process in ipairs(pool:pids()) do os.execute("kill -KILL " .. process) end
    for _, task in ipairs(waits) do fails("worker_died", task:result(patience)) end
    fails("worker_died", made.queue:get())
    fails("worker_died", made.queue:put(1))
    fails("worker_died", made.queue:try_get())
    fails("worker_died", made.lock:acquire())
    raises("worker_died", function() for _ in made.queue:items() do end end) -- that is no queue that is drained
    raises("worker_died", made.counter.add, made.counter)
    raises("worker_died", made.dict.get, made.dict, "a")
    raises("worker_died", made.queue.size, made.queue)
    made.event:set()
    made.queue:close()
    -- Others can still be sent it, and learn it there.
    local ok, kind = pool:submit(function(q)
      local value, err = q:get(1)
      return value == nil, err.kind
    end, made.queue):result()
    assert.same({ true, "worker_died" }, { ok, kind })
  end)
end)

describe("an object in a worker of a worker", function()
  -- Runs fn in a worker's worker.
  local function inside(pool, fn, ...)
    return pool:submit(function(f, ...)
      local inner <close> = require "braid".process_pool(1)
      return inner:submit(f, ...):result()
    end, fn, ...):result()
  end

  case("is the parent's", 1, function(pool)
    local queue, counter, dict, lock = braid.queue(10), braid.counter(), braid.dict(), braid.lock()
    local task = braid.spawn(function()
      local sum = 0
      for item in queue:items() do sum = sum + item[1] end
      return sum
    end)
    local same = inside(pool, function(q, c, d, l)
      for i = 1, 500 do q:put { i } end
      c:add(3)
      d:set("q", q)
      l:with(function() c:add(4) end)
      return d:get("q") == q and q
    end, queue, counter, dict, lock)
    assert.equal(queue, same)
    queue:close()
    assert.equal(125250, task:result(patience))
    assert.equal(7, counter:get())
    assert.equal(queue, dict:get("q"))
  end)

  case("may be one that was made there, and reaches the parent", 1, function(pool)
    local answers = braid.queue()
    local job = pool:submit(function(q)
      local inner <close> = require "braid".process_pool(1)
      return inner:submit(function(home)
        local reply = require "braid".queue()
        home:put(reply)
        return reply:get(8)
      end, q):result()
    end, answers)
    local reply = answers:get(patience)
    reply:put { "from the parent" }
    assert.same({ "from the parent" }, job:result(patience))
    fails("worker_died", reply:put(1))
  end)

  case("gives back what a killed process had", 1, function(pool)
    local queue, lock, taken = braid.queue(), braid.lock(), braid.queue()
    for i = 1, 400 do queue:put(i) end
    local job = pool:submit(function(q, l, t)
      local b = require "braid"
      local inner = b.process_pool(1)
      local lost = inner:submit(function()
        l:acquire()
        for _ = 1, 10 do t:put((q:get())) end
        t:size() -- what was put has arrived
        local file <close> = io.open("/proc/self/stat")
        os.execute("kill -KILL " .. file:read("l"):match("^%d+"))
        b.sleep(60)
      end)
      lost:wait()
      return lost:error().kind
    end, queue, lock, taken)
    assert.equal("worker_died", job:result(patience))
    fails("owner_died", lock:acquire(patience))
    local seen, again = {}, 0
    while not taken:is_empty() do seen[taken:get()] = true end
    for _ = 1, queue:size() do
      local item = queue:get()
      if seen[item] then again = again + 1 end
      seen[item] = true
    end
    for i = 1, 400 do assert.is_true(seen[i], i) end
    assert.is_true(again <= 10, again)
  end)

  case("is given back by a process in the middle that is killed", 2, function(pool)
    local queue, held = braid.queue(), braid.queue()
    for i = 1, 50 do queue:put(i) end
    local job = pool:submit(function(q, h)
      local b = require "braid"
      local file <close> = io.open("/proc/self/stat")
      h:put(file:read("l"):match("^%d+"))
      local inner = b.process_pool(1)
      inner:submit(function()
        for _ = 1, 5 do h:put((q:get())) end
        h:put("all")
        require "braid".sleep(60)
      end)
      b.sleep(60)
    end, queue, held)
    local pid, count = held:get(patience), 0
    while held:get(patience) ~= "all" do count = count + 1 end
    assert.equal(5, count)
    os.execute("kill -KILL " .. pid)
    assert.is_true(job:wait(patience))
    assert.is_true(braid.is_error(job:error(), "worker_died"))
    local deadline = braid.now() + patience
    while queue:size() < 45 do
      assert.is_true(braid.now() < deadline)
      braid.sleep(0.001)
    end
  end)
end)
