-- SPDX-License-Identifier: MIT
-- What is different when shared objects are used in other processes: death, working ahead, what cannot cross. What is
-- the same is in shared_spec.lua.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local fails = expect.fails
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local function case(name, fn, opts)
  test(name, function()
    run(function()
      local pool <close> = braid.process_pool(2)
      fn(pool)
    end)
  end, opts)
end

-- With what a job failed.
local function failure(job)
  job:wait(8 * helper.slowness)
  return job:error()
end

-- Ends the process that it runs in, at once.
local function die()
  local file <close> = io.open("/proc/self/stat")
  os.execute("kill -KILL " .. file:read("l"):match("^%d+"))
  braid.sleep(60)
end

-- The names of an object's methods and metamethods that are written in C.
local function methods(object)
  local names = {}
  for name, value in pairs(debug.getmetatable(object)) do
    local is_method = type(name) == "string" and type(value) == "function" and debug.getinfo(value, "S").what == "C"
    if is_method and name ~= "__gc" and name ~= "__share" then names[#names + 1] = name end
  end
  table.sort(names)
  return table.concat(names, " ")
end

describe("a proxy", function()
  case("has the methods of its object", function(pool)
    for kind, object in pairs {
      queue = braid.queue(), lock = braid.lock(), semaphore = braid.semaphore(1), event = braid.event(),
      condition = braid.condition(), barrier = braid.barrier(2), counter = braid.counter(), dict = braid.dict(),
    } do
      local here = methods(object)
      assert.matches("%l", here)
      assert.equal(kind .. " " .. here, kind .. " " .. pool:submit(methods, object):result())
    end
  end)
end)

describe("a cancelled job", function()
  case("can still use what does not suspend", function(pool)
    local counter, dict, queue, begun = braid.counter(), braid.dict(), braid.queue(1), braid.event()
    local semaphore = braid.semaphore(0, { unbounded = true })
    local job = pool:submit(function()
      local _ <close> = setmetatable({}, { __close = function()
        counter:add()
        dict:set("cleaned", true)
        queue:try_put(queue:size())
        semaphore:release()
      end })
      begun:set()
      require "braid".sleep(60)
    end)
    begun:wait(8 * helper.slowness)
    job:cancel()
    assert.is_true(job:wait(8 * helper.slowness))
    assert.equal("cancelled", job:state())
    assert.same({ 1, true, 0 }, { counter:get(), dict:get "cleaned", (queue:try_get()) })
    assert.is_true((semaphore:try_acquire()))
  end)

  case("that does nothing else is stopped all the same", function(pool)
    local counter, begun = braid.counter(), braid.event()
    local job = pool:submit(function()
      begun:set()
      while counter:get() == 0 do counter:add(0) end
    end)
    begun:wait(8 * helper.slowness)
    job:cancel()
    assert.is_true(job:wait(8 * helper.slowness))
    assert.equal("cancelled", job:state())
  end)
end)

describe("a worker process that dies", function()
  case("leaves its lock to the next, who is told", function(pool)
    local lock, held = braid.lock(), braid.event()
    local job = pool:submit(function()
      lock:acquire()
      held:set()
      require "braid".sleep(0.05)
      die()
    end)
    held:wait()
    fails("owner_died", lock:acquire(5 * helper.slowness))
    assert.is_true((lock:acquire(5)))
    lock:release()
    assert.is_true(braid.is_error(failure(job), "worker_died"))
  end)

  case("is in no line any more", function(pool)
    local queue, lock, ready = braid.queue(), braid.lock(), braid.counter()
    local semaphore = braid.semaphore(0, { unbounded = true })
    lock:acquire()
    local job = pool:submit(function()
      local b = require "braid"
      b.spawn(function() ready:add() queue:get() end)
      b.spawn(function() ready:add() lock:acquire() end)
      b.spawn(function() ready:add() semaphore:acquire() end)
      b.sleep(0.05)
      die()
    end)
    while ready:get() < 3 do braid.sleep(0.001) end
    assert.is_true(braid.is_error(failure(job), "worker_died"))
    queue:put(1)
    assert.equal(1, queue:get(0))
    lock:release()
    assert.is_true((lock:acquire(0)))
    lock:release()
    semaphore:release()
    assert.is_true((semaphore:acquire(0)))
  end)

  case("gives back what it had ahead: items in order, places", function(pool)
    local queue, room, seen = braid.queue(), braid.queue(20), braid.counter()
    for i = 1, 1000 do queue:put(i) end
    local job = pool:submit(function()
      for i = 1, 15 do room:put(i) end
      for _ = 1, 100 do
        queue:get()
        seen:add()
      end
      die()
    end)
    assert.is_true(braid.is_error(failure(job), "worker_died"))
    assert.equal(100, seen:get())
    local before, count = 0, 0
    while not queue:is_empty() do
      local item = queue:get()
      assert.is_true(item > before)
      before, count = item, count + 1
    end
    assert.equal(1000, before)
    assert.is_true(count >= 900 and count <= 1000, count)
    for i = 16, 20 do assert.is_true((room:put(i, 5))) end
    for i = 1, 20 do assert.equal(i, room:get(0)) end
  end)

  case("in an update of a dict leaves the old value", function(pool)
    local dict, inside = braid.dict(), braid.event()
    dict:set("n", 1)
    local job = pool:submit(function()
      dict:update("n", function()
        inside:set()
        require "braid".sleep(0.05)
        die()
      end)
    end)
    inside:wait()
    assert.equal(11, dict:update("n", function(old) return old + 10 end, 5 * helper.slowness))
    assert.is_true(braid.is_error(failure(job), "worker_died"))
  end)

  case("breaks the barrier at which it stands", function(pool)
    local barrier = braid.barrier(2)
    local job = pool:submit(function()
      local b = require "braid"
      b.spawn(function() barrier:wait() end)
      b.sleep(0.05)
      die()
    end)
    assert.is_true(braid.is_error(failure(job), "worker_died"))
    fails("broken", barrier:wait(5))
  end)
end)

describe("working ahead", function()
  case("a consumer that stops leaves the rest to others, soon and in order", function(pool)
    local queue = braid.queue()
    for i = 1, 500 do queue:put(i) end
    local taken = pool:submit(function()
      local n = 0
      for _ = 1, 100 do n = queue:get() end
      return n
    end):result()
    assert.equal(100, taken)
    for i = 101, 500 do assert.equal(i, queue:get(5)) end
    assert.is_true(queue:is_empty())
  end)

  case("a producer that stops gives its places back", function(pool)
    local queue = braid.queue(64)
    local go, done = braid.event(), braid.event()
    local job = pool:submit(function()
      for i = 1, 40 do queue:put(i) end
      done:set()
      go:wait()
      return queue:size()
    end)
    done:wait()
    for i = 41, 64 do assert.is_true((queue:put(i, 5 * helper.slowness))) end
    fails("full", queue:try_put(65))
    go:set()
    assert.equal(64, job:result())
    for i = 1, 64 do assert.equal(i, queue:get(0)) end
  end)

  case("closing waits for what is on its way, and for nothing else", function(pool)
    for room = 0, 20, 5 do
      local queue = braid.queue(room)
      local sum = pool:submit(function()
        local total = 0
        for item in queue:items() do total = total + item end
        return total
      end)
      pool:submit(function()
        for i = 1, 300 do queue:put(i) end
        queue:close()
      end):result()
      assert.equal(300 * 301 // 2, sum:result())
      fails("closed", queue:get(5))
      fails("closed", queue:put(1))
    end
  end)

  case("places that cross on their way are counted once: the end is told", function(pool)
    for _ = 1, 5 do
      local queue, n = braid.queue(10), 10000
      local count = pool:submit(function()
        local taken = 0
        for item in queue:items() do
          taken = taken + 1
          if item ~= taken then return "out of order" end
        end
        return taken
      end)
      pool:submit(function() for i = 1, n do queue:put(i) end end):result()
      queue:close()
      assert.equal(n, count:result(10 * helper.slowness))
    end
  end, { deadline = 30 })

  case("keeps the order of each kind of queue", function(pool)
    local lifo, priority = braid.queue(0, { order = "lifo" }), braid.queue(0, { order = "priority" })
    pool:submit(function()
      for i = 1, 50 do
        lifo:put(i)
        priority:put { -i, "x" }
      end
    end):result()
    local ok = pool:submit(function()
      for i = 50, 1, -1 do
        if lifo:get() ~= i or priority:get()[1] ~= -i then return false end
      end
      return true
    end):result()
    assert.is_true(ok)
  end)
end)

describe("select in a worker", function()
  case("takes part in what is far and what is near, once each", function(pool)
    local queue, event, full = braid.queue(), braid.event(), braid.queue(1)
    full:put(0)
    local kinds = pool:submit(function()
      local b = require "braid"
      local near, list = b.queue(), {}
      local function note(index, value, err)
        list[#list + 1] = ("%s %s"):format(index, braid.is_error(value) and value.kind or err and err.kind or value)
      end
      note(b.select({ { queue, "get" }, { event }, { near, "get" } }, 0.01))
      near:put("near")
      note(b.select { { queue, "get" }, { near, "get" } })
      b.spawn(function() b.sleep(0.01) queue:put("far") end)
      note(b.select { { queue, "get" }, { full, "put", 1 }, { near, "get" } })
      event:set()
      note(b.select { { queue, "get" }, { event } })
      queue:close()
      note(b.select { { queue, "get" } })
      return list
    end):result()
    assert.same({ "nil timeout", "2 near", "1 far", "2 true", "1 closed" }, kinds)
    assert.equal(1, full:size())
  end)
end)

describe("what crosses", function()
  case("an object is one object on each side, and comes home as itself", function(pool)
    local lock, dict, condition = braid.lock(), braid.dict(), braid.condition()
    local a, b, c, same = pool:submit(function(l, d, cond)
      d:set("l", l)
      return l, { d }, cond, d:get("l") == l
    end, lock, dict, condition):result()
    assert.equal(lock, a)
    assert.equal(dict, b[1])
    assert.equal(condition, c)
    assert.is_true(same)
  end)

  case("what cannot be put is refused at the put", function(pool)
    local queue = braid.queue()
    local err = failure(pool:submit(function() queue:put { io.stdout } end))
    assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
    err = failure(pool:submit(function() queue:put(nil) end))
    assert.matches("braid.null stands for nothing", err.message)
  end)

  case("arrays are the same memory, wherever they were made", function(pool)
    local whole = braid.array("f64", 1000)
    local made = pool:submit(function(first, last)
      for i = 1, #first do first[i] = i end
      last[1] = -1
      return require "braid".array("i64", 100), last:slice(2, 2)
    end, whole:slice(1, 10), whole:slice(991))
    local array, slice = made:result()
    assert.equal(10.0, whole[10])
    assert.equal(-1.0, whole[991])
    whole[992] = 7
    assert.equal(7.0, slice[1])
    array[100] = 5
    assert.equal(5, pool:submit(function(a) return a[100] end, array):result())
    assert.equal(array, pool:submit(function(a) return a end, array):result())
  end)

  case("the memory of arrays goes when nobody has them any more", function(pool)
    local lfs = require "lfs"
    local function memory() -- in the segments that this process knows, its own and the worker's
      collectgarbage()
      collectgarbage()
      local both = braid.barrier(2) -- so that each worker does it
      local function collect() both:wait() collectgarbage() collectgarbage() end
      pool:map(collect, { 1, 2 }, { chunk = 1 })
      local kilobytes, count = 0, 0
      for fd in lfs.dir("/proc/self/fd") do
        local path = "/proc/self/fd/" .. fd
        local target = lfs.symlinkattributes(path, "target")
        if target and target:find("memfd") then
          kilobytes, count = kilobytes + lfs.attributes(path, "blocks") / 2, count + 1
        end
      end
      return kilobytes, count
    end
    local before = memory()
    for _ = 1, 50 do
      local array = braid.array("f64", 200000):fill(1)
      local job = pool:submit(function(a) return require "braid".array("f64", 150000 + #a):fill(1) end, array)
      local other = job:result()
      assert.equal(350000, #other)
    end
    local deadline = braid.now() + 5 * helper.slowness
    while memory() > before do assert.is_true(braid.now() < deadline, memory() .. " KB > " .. before .. " KB") end
    assert.is_true(select(2, memory()) < 10)
  end, { deadline = 20 })

  case("waits are cancelled with their jobs, and nothing is lost", function(pool)
    local queue, lock, semaphore = braid.queue(1), braid.lock(), braid.semaphore(1)
    for i = 1, 30 do
      local jobs = {
        pool:submit(function() return lock:with(function() return true end) end),
        pool:submit(function() return semaphore:with(function() return true end) end),
        pool:submit(function() return queue:put(i) end),
      }
      if i % 3 > 0 then braid.sleep(0.001 * (i % 3)) end
      for _, job in ipairs(jobs) do job:cancel() end
      braid.wait(jobs)
      if jobs[3]:state() == "done" then assert.equal(i, queue:get(0)) end
      assert.is_true(queue:is_empty())
      assert.is_true((lock:acquire(5)))
      lock:release()
      assert.is_true((semaphore:acquire(5)))
      semaphore:release()
    end
  end, { deadline = 20 })
end)
