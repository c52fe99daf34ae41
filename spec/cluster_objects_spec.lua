-- SPDX-License-Identifier: MIT
-- Shared objects of clusters, used by two connections and by jobs.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local raises, fails = expect.raises, expect.fails
local _ENV = _G -- luacheck: ignore 211/_ENV

-- fn(one, two, server): two connections of one cluster.
local function test(name, fn)
  nats.test(name, function()
    helper.run(function()
      local server <close> = nats.start()
      local one <close> = braid.cluster { servers = server.url, insecure = true }
      local two <close> = braid.cluster { servers = server.url, insecure = true }
      fn(one, two, server)
    end)
  end, { deadline = 30 })
end

describe("a cluster's queue", function()
  test("gives each item to one get, in order", function(one, two)
    local a, b = one:queue "q", two:queue "q"
    for i = 1, 10 do assert.is_true(a:put(i)) end
    assert.equal(10, b:size())
    local got = {}
    for i = 1, 5 do got[#got + 1] = a:get(); got[#got + 1] = b:get(); assert.equal(2 * i, #got) end
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, got)
    fails("empty", a:try_get())
    fails("timeout", b:get(0.1))
    assert.is_true(a:is_empty())
  end)

  test("wakes who waits", function(one, two)
    local a, b = one:queue "q", two:queue "q"
    local task = braid.spawn(function() return a:get(5) end)
    braid.sleep(0.1)
    b:put { deep = { "x" } }
    assert.same({ deep = { "x" } }, task:result())
  end)

  test("keeps what a cancelled get would have had", function(one, two)
    local a, b = one:queue "q", two:queue "q"
    local task = braid.spawn(function() return a:get() end)
    braid.sleep(0.1)
    task:cancel()
    b:put "item"
    assert.equal("item", b:get(5))
  end)

  test("is closed for all", function(one, two)
    local a, b = one:queue "q", two:queue "q"
    a:put_many { 1, 2 }
    b:close()
    local rest = {}
    for item in a:items() do rest[#rest + 1] = item end
    assert.same({ 1, 2 }, rest)
    fails("closed", a:put(3))
    fails("closed", a:get())
  end)

  test("has a bound, and knows when all is done", function(one, two)
    local a, b = one:queue("q", { maxsize = 2 }), two:queue("q", { maxsize = 2 })
    a:put_many { 1, 2 }
    fails("full", b:try_put(3))
    fails("timeout", b:put(3, 0.1))
    assert.is_true(a:is_full())
    local task = braid.spawn(function() return b:put(3, 5) end)
    assert.equal(1, a:get())
    assert.is_true(task:result())
    a:task_done()
    fails("timeout", a:join(0.1))
    raises("misuse", a.task_done, a)
    a:get() a:get()
    a:task_done() b:task_done()
    assert.is_true(a:join(5))
    raises("misuse", one.queue, one, "other", { order = "lifo" })
    raises("misuse", a.put, a, nil)
  end)

  test("holds large items", function(one, two)
    local text = ("x"):rep(3000000)
    one:queue "q":put(text)
    assert.is_true(two:queue "q":get(5) == text)
  end)
end)

describe("a cluster's dict", function()
  test("knows its keys by type, and removes by nil", function(one, two)
    local a, b = one:dict "d", two:dict "d"
    a:set(42, "integer")
    a:set("42", "string")
    a:set(1.5, { 1 })
    a:set(true, "yes")
    a:set("any\0\xff.*>", "bytes")
    assert.equal("integer", b:get(42))
    assert.equal("integer", b:get(42.0))
    assert.equal("string", b:get "42")
    assert.same({ 1 }, b:get(1.5))
    assert.equal("bytes", b:get "any\0\xff.*>")
    assert.equal(5, b:size())
    b:set(42, nil)
    assert.is_nil(a:get(42))
    assert.equal(4, #a:keys())
    raises("misuse", a.get, a, {})
    raises("misuse", a.set, a, 0 / 0, 1)
  end)

  test("updates atomically", function(one, two)
    local a, b = one:dict "d", two:dict "d"
    local function bump(dict) for _ = 1, 10 do dict:update("n", function(n) return (n or 0) + 1 end) end end
    braid.gather { function() bump(a) end, function() bump(b) end, function() bump(a) end }
    assert.equal(30, a:get "n")
    assert.is_nil(b:update("n", function() return nil end))
    assert.equal(0, a:size())
  end)

  test("holds large values", function(one, two)
    local text = ("y"):rep(2500000)
    one:dict "d":set("k", text)
    assert.is_true(two:dict "d":get "k" == text)
    one:dict "d":set("k", nil)
  end)
end)

describe("a cluster's", function()
  test("counter counts all", function(one, two)
    local a, b = one:counter "c", two:counter "c"
    assert.equal(5, a:add(5))
    braid.gather {
      function() for _ = 1, 20 do a:add() end end, function() for _ = 1, 20 do b:add() end end,
    }
    assert.equal(45, a:get())
    b:set(7)
    assert.equal(8, a:add(1))
  end)

  test("event wakes all", function(one, two)
    local a, b = one:event "e", two:event "e"
    assert.is_false(a:is_set())
    fails("timeout", a:wait(0.1))
    local task = braid.spawn(function() return a:wait(5) end)
    braid.sleep(0.05)
    b:set()
    assert.is_true(task:result())
    assert.is_true(a:is_set())
    a:clear()
    assert.is_false(b:is_set())
  end)

  test("lock has one owner, whose token grows", function(one, two)
    local a, b = one:lock "l", two:lock "l"
    assert.is_true(a:acquire())
    local first = a.token
    fails("timeout", b:acquire(0.1))
    fails("empty", b:try_acquire())
    assert.is_true(b:locked())
    raises("misuse", b.release, b)
    local task = braid.spawn(function()
      local ok = b:acquire(5)
      local token = b.token
      b:release()
      return ok, token
    end)
    braid.sleep(0.05)
    a:release()
    local ok, second = task:result()
    assert.is_true(ok)
    assert.is_true(second > first)
    raises("misuse", a.release, a)
    assert.equal("inside", a:with(function() return "inside" end))
    assert.is_false(b:locked())
  end)

  test("lock tells the next one that its owner ended", function(one, two)
    local a, b = one:lock "l", two:lock "l"
    braid.spawn(function() a:acquire() end):result()
    fails("owner_died", b:acquire(5))
    assert.is_true(b:acquire(5))
    b:release()
  end)

  test("lock is free when its owner's process was killed", function(one, _, server)
    local script = [[
      local braid = require "braid"
      local cluster = braid.cluster { servers = arg[1], insecure = true }
      cluster:lock("l", { lease = 2 }):acquire()
      print "held"
      io.stdout:flush()
      braid.sleep(60)
    ]]
    local name = os.tmpname()
    local file <close> = io.open(name, "w")
    file:write(script)
    file:flush()
    local process <close> = braid.process.start { helper.lua, name, server.url }
    assert.equal("held", process:read("l", 10))
    process:kill("KILL")
    local lock = one:lock("l", { lease = 2 })
    fails("owner_died", lock:acquire(10))
    assert.is_true(lock:acquire(5))
    lock:release()
    process:wait(5)
    os.remove(name)
  end)

  test("semaphore has n units", function(one, two)
    local a, b = one:semaphore("s", 2), two:semaphore("s", 2)
    assert.is_true(a:acquire())
    assert.is_true(b:acquire())
    assert.equal(0, a:value())
    fails("empty", a:try_acquire())
    fails("timeout", b:acquire(0.1))
    b:release()
    assert.is_true(a:acquire(5))
    raises("misuse", b.release, b)
    a:release(2)
    assert.equal(2, b:value())
  end)

  test("limiter limits all", function(one, two)
    local opts = { rate = 1, per = 2 * helper.slowness, burst = 2 }
    local a, b = one:limiter("r", opts), two:limiter("r", opts)
    assert.is_true(a:try_acquire())
    assert.is_true(b:try_acquire())
    fails("empty", a:try_acquire())
    assert.is_true(b:acquire(1, 5 * helper.slowness))
  end)

  test("objects travel to jobs", function(one, _, server)
    local worker <close> = nats.worker(server.url)
    local queue, counter, dict = one:queue "q", one:counter "c", one:dict "d"
    local pool <close> = one:pool()
    pool:map(function(x)
      counter:add(x)
      queue:put(x * x)
      dict:set(x, "done")
    end, { 1, 2, 3 }, { chunk = 1 })
    assert.equal(6, counter:get())
    assert.equal(14, queue:get(5) + queue:get(5) + queue:get(5))
    assert.equal(3, dict:size())
    worker:kill("TERM")
    worker:wait(5)
  end)
end)
