-- SPDX-License-Identifier: MIT
-- braid.testing: schedules by seed, virtual time, pools as tasks, and proofs that nothing is left.
local helper = require "spec.helper"
local expect = require "spec.expect"
local braid = require "braid"
local testing = braid.testing

-- Runs tasks that note their numbers, and returns the order.
local function order_of(count, opts)
  local order, report = testing.run(function()
    local order = {}
    braid.scope(function()
      for i = 1, count do
        braid.spawn(function()
          braid.checkpoint()
          order[#order + 1] = i
        end)
      end
    end)
    return table.concat(order, " ")
  end, opts)
  return order, report
end

describe("testing.run", function()
  helper.test("returns the results and a report", function()
    local a, b, report = testing.run(function() return 1, nil end)
    assert.equal(1, a)
    assert.is_nil(b)
    assert.equal(1, report.schedules)
    assert.equal("random", report.strategy)
    assert.is_true(report.steps >= 1 and report.seconds == 0)
  end)

  helper.test("runs a program that calls braid.run itself", function()
    local a, b = testing.run(function()
      return braid.run(function(x)
        local task = braid.spawn(braid.sleep, 60)
        return x, task:state()
      end, 5)
    end, { schedules = 10 })
    assert.equal(5, a)
    assert.truthy(b == "pending" or b == "running")
    braid.run(function() expect.misused("inside a task", braid.run, print) end)
  end)

  helper.test("orders the ready tasks by the seed, and the same seed orders them alike", function()
    local orders, different = {}, 0
    for seed = 1, 20 do
      local order = order_of(4, { seed = seed })
      assert.equal(order, (order_of(4, { seed = seed })))
      if not orders[order] then different = different + 1 end
      orders[order] = true
    end
    assert.is_true(different >= 8)
    assert.equal((order_of(6)), (order_of(6)))
  end)

  helper.test("finds every order with the strategy exhaustive, each once", function()
    local orders = {}
    local report = testing.run(function()
      local order = {}
      braid.scope(function()
        for i = 1, 4 do braid.spawn(function() order[#order + 1] = i end) end
      end)
      orders[#orders + 1] = table.concat(order)
    end, { strategy = "exhaustive" })
    table.sort(orders)
    assert.equal(24, #orders)
    for i = 2, 24 do assert.not_equal(orders[i - 1], orders[i]) end
    assert.is_true(report.complete)
    local bounded = testing.run(function()
      braid.scope(function()
        for _ = 1, 4 do braid.spawn(function() end) end
      end)
    end, { strategy = "exhaustive", schedules = 10 })
    assert.equal(10, bounded.schedules)
    assert.is_false(bounded.complete)
  end)

  helper.test("lets every call that may suspend do so", function()
    local function fills_in_between()
      local queue, seen = braid.queue(), false
      braid.scope(function()
        braid.spawn(function() for i = 1, 3 do queue:put(i) end end)
        braid.spawn(function() seen = queue:size() == 1 or queue:size() == 2 end)
      end)
      assert(not seen, "in between")
    end
    local ok, err = pcall(testing.run, fills_in_between, { schedules = 200 })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("in between", 1, true))
  end)

  helper.test("begins a select with any case", function()
    local first = {}
    testing.run(function()
      local a, b = braid.queue(), braid.queue()
      a:put "a"
      b:put "b"
      first[braid.select { { a, "get" }, { b, "get" } }] = true
    end, { schedules = 30 })
    assert.same({ true, true }, first)
  end)

  helper.test("lets a deadline meet the event of the same time in any order", function()
    local seen = {}
    testing.run(function()
      local event = braid.event()
      braid.spawn(function()
        braid.sleep(1)
        event:set()
      end)
      seen[tostring((event:wait(1)))] = true
    end, { schedules = 50 })
    assert.is_true(seen["true"] and seen["nil"])
  end)

  helper.test("seeds math.random", function()
    local function draw() return math.random(1000000), math.random(1000000) end
    local a, b = testing.run(draw, { seed = 7 })
    local c, d = testing.run(draw, { seed = 7 })
    assert.equal(a, c)
    assert.equal(b, d)
    assert.not_equal(a, (testing.run(draw, { seed = 8 })))
  end)

  helper.test("gives the same trace in another process", function()
    local code = [[
      local braid = require "braid"
      local ok, err = pcall(braid.testing.run, function()
        local n = 0
        for i = 1, 5 do
          braid.spawn(function()
            local before = n
            braid.sleep(i % 2)
            n = before + 1
          end).name = "t" .. i
        end
        braid.sleep(2)
        assert(n == 5)
      end, { seed = 5 })
      print(ok, err.seed, err.schedule, err.trace)
    ]]
    local one, two = helper.lua_process(code):gsub("/tmp/[%w_]+", ""), helper.lua_process(code):gsub("/tmp/[%w_]+", "")
    assert.equal(one, two)
    assert.truthy(one:find "^false\t5\t5/.*main: sleep at ")
  end)
end)

-- A program in which everything is used at once, with random timeouts and cancels. What is put in comes out.
local function everything()
  local queue, done, lock = braid.queue(2), braid.event(), braid.lock()
  local put, got, semaphore, random = 0, 0, braid.semaphore(2), math.random
  local pool <close> = braid.thread_pool(2)
  local function producer()
    for _ = 1, 4 do
      if queue:put(1, random() < 0.3 and random() or nil) then put = put + 1 end
    end
  end
  local function consumer()
    while not done:is_set() do
      local which, value = braid.select({ { queue, "get" }, { done, "wait" } }, 2)
      if which == 1 and value == 1 then got = got + 1 end
      if random() < 0.2 then braid.sleep(random()) end
    end
  end
  local function worker()
    local held <close> = semaphore:hold()
    local ok = pcall(braid.timeout, random(), function()
      lock:with(braid.sleep, random())
      return pool:submit(function(s) require "braid".sleep(s) end, random()):result()
    end)
    return ok
  end
  braid.scope(function()
    for _ = 1, 2 do braid.spawn(consumer) end
    braid.scope(function(scope)
      local tasks = {}
      for i = 1, 3 do
        scope:spawn(producer)
        tasks[i] = braid.spawn(worker)
      end
      braid.sleep(random())
      tasks[random(3)]:cancel()
      for i = 1, 3 do tasks[i]:wait() end
      for i = 1, 3 do pcall(tasks[i].result, tasks[i]) end
    end)
    while queue:size() > 0 do braid.sleep(0.1) end
    done:set()
  end)
  assert(put == got, ("%d were put, %d came out"):format(put, got))
end

describe("a program that uses everything", function()
  helper.test("repeats itself by its seed and by its schedule", function()
    for seed = 1, 40 do
      local first = testing.run(everything, { seed = seed })
      for _, again in ipairs { testing.run(everything, { seed = seed }),
        testing.run(everything, { schedule = first.schedule }) } do
        assert.equal(first.schedule, again.schedule)
        assert.equal(first.steps, again.steps)
        assert.equal(first.seconds, again.seconds)
      end
    end
  end, { deadline = 30 })

  helper.test("loses nothing in many schedules", function()
    testing.run(everything, { schedules = 500 })
    testing.run(everything, { schedules = 500, strategy = "pct" })
    testing.run(everything, { schedules = 500, strategy = "exhaustive" })
  end, { deadline = 30 })
end)

describe("a failed schedule", function()
  local function fails(fn, opts)
    local ok, err = pcall(testing.run, fn, opts)
    assert.is_false(ok)
    return err
  end

  helper.test("has its seed, its schedule and its trace", function()
    local err = fails(function()
      braid.spawn(function() braid.sleep(5) error("late", 0) end).name = "worker"
    end)
    assert.equal(1, err.seed)
    assert.equal("string", type(err.schedule))
    local last = err.trace[#err.trace]
    assert.equal("worker", last.task)
    assert.truthy(last.at:find("sleep at .*testing_spec.lua:%d+"))
    assert.equal(5, last.time)
    assert.equal("late", tostring(err))
    assert.equal("late", err.cause)
  end)

  helper.test("raises an error that is a table as it is", function()
    local mine = setmetatable({ code = 3 }, { __newindex = error })
    assert.equal(mine, fails(function() error(mine) end))
    assert.equal(1, mine.seed)
  end)

  helper.test("may be a deadlock, also where a pcall caught it", function()
    assert.equal("deadlock", fails(function() braid.event():wait() end).kind)
    assert.equal("deadlock", fails(function() pcall(function() braid.event():wait() end) end).kind)
  end)

  helper.test("may take too many steps", function()
    local err = fails(function() while true do braid.checkpoint() end end, { max_steps = 500 })
    assert.equal("limit", err.kind)
    assert.truthy(tostring(err):find "500 steps")
    assert.equal("limit", fails(function() -- it does not want to end
      while true do pcall(braid.sleep, 1) end
    end, { max_steps = 500 }).kind)
  end)

  helper.test("may break the invariant", function()
    local inside
    local function program()
      inside = 0
      for _ = 1, 2 do
        braid.spawn(function()
          inside = inside + 1
          braid.checkpoint()
          inside = inside - 1
        end)
      end
    end
    local err = fails(program, { schedules = 100, invariant = function() return inside < 2 end })
    assert.truthy(tostring(err):find "invariant")
    err = fails(program, { schedules = 100, invariant = function() assert(inside < 2, "two inside") end })
    assert.truthy(tostring(err):find "two inside")
    testing.run(program, { schedules = 100, invariant = function() return inside <= 2 end })
  end)

  helper.test("may be a failure that nobody asked for, in a callback too", function()
    assert.equal("alone", tostring(fails(function() braid.spawn(error, "alone", 0) end)))
    assert.truthy(tostring(fails(function()
      braid.spawn(function() end):on_done(function() error("in the callback", 0) end)
    end)):find "in the callback")
  end)

  helper.test("does not disturb the next one", function()
    for _ = 1, 3 do
      fails(function()
        braid.spawn(function() braid.event():wait() end)
        error "no"
      end)
      assert.equal(0, #braid.tasks())
    end
    assert.equal("1 2 3", (order_of(3, { schedule = "1/" })))
  end)

  helper.test("says when it does not fail again", function()
    local calls = 0
    local _, stderr = helper.lua_process [[
      local calls = 0
      pcall(require "braid".testing.run, function()
        calls = calls + 1
        assert(calls ~= 3, "only once")
      end, { schedules = 10 })
    ]]
    assert.truthy(stderr:find "schedule 3 of 10 has failed: .*only once.*seed = 3.*did not fail again")
    assert.equal(0, calls)
  end)
end)

describe("virtual time", function()
  helper.test("passes at once when nobody can go on", function()
    local took = os.clock()
    local now, report = testing.run(function()
      assert(braid.now() == 1000)
      braid.scope(function()
        for i = 1, 10 do braid.spawn(function() for _ = 1, 10 do braid.sleep(3600 * i) end end) end
      end)
      assert(not pcall(braid.timeout, 5, braid.sleep, 10))
      assert(braid.queue():get(7) == nil)
      return braid.now()
    end, { start = 1000 })
    assert.equal(1000 + 36000 * 10 + 5 + 7, now)
    assert.equal(360012, report.seconds)
    assert.is_true(os.clock() - took < 2 * helper.slowness)
  end)

  helper.test("is that of testing.clock, which can be moved by hand", function()
    testing.run(function()
      local clock, seen = testing.clock(), {}
      assert(clock == testing.clock() and clock:now() == braid.now())
      clock:auto(false)
      for _, at in ipairs { 3, 1, 2, 2, 9 } do
        braid.spawn(function()
          braid.sleep(at)
          seen[#seen + 1] = at .. "@" .. braid.now()
        end):daemon()
      end
      clock:advance(0)
      assert(#seen == 0)
      clock:advance(2)
      assert(table.concat(seen, " ") == "1@1.0 2@2.0 2@2.0")
      clock:advance(1.5)
      assert(seen[4] == "3@3.0" and braid.now() == 3.5)
      clock:auto(true)
      braid.sleep(100)
      assert(seen[5] == "9@9.0")
    end, { schedules = 50 })
  end)

  helper.test("that nobody moves is a deadlock", function()
    local ok, err = pcall(testing.run, function()
      testing.clock():auto(false)
      braid.sleep(1)
    end)
    assert.is_false(ok)
    assert.equal("deadlock", err.kind)
  end)

  helper.test("can be had outside of a run", function()
    local before = braid.now()
    do
      local clock <close> = testing.clock()
      assert.equal(0, braid.now())
      assert.equal(clock, testing.clock())
      local ticks = 0
      braid.run(function()
        braid.spawn(function() for _ = 1, 10 do braid.sleep(60) ticks = ticks + 1 end end)
        clock:advance(301)
        assert.equal(5, ticks)
        clock:auto(true)
      end)
      assert.equal(10, ticks)
      assert.equal(600, clock:now())
      expect.misused("close that clock before", function() testing.run(print) end)
    end
    assert.is_true(braid.now() >= before)
    local clock = testing.clock()
    clock:close()
    clock:close()
    expect.misused("has been closed", function() clock:now() end)
  end)

  helper.test("waits for real descriptors and programs", function()
    local took, report = testing.run(function()
      local before = braid.now()
      local result = assert(braid.timeout(3600, braid.process.run, { "sh", "-c", "sleep 0.2; echo done" }))
      assert(result.stdout == "done\n")
      return braid.now() - before
    end)
    assert.is_true(took >= 0.15 and took < 60)
    assert.is_true(report.seconds < 60)
  end)

  helper.test("runs on while a descriptor is waited for", function()
    testing.run(function()
      local process = braid.process.start { "sleep", "100" }
      local ok, err = pcall(braid.timeout, 0.1, process.wait, process)
      assert(not ok and err.kind == "timeout")
      process:kill()
      process:wait()
    end)
  end)

  helper.test("is not there with the real clock", function()
    local took = testing.run(function()
      local before = braid.now()
      braid.sleep(0.05)
      assert(not pcall(function() testing.clock():advance(1) end))
      return braid.now() - before
    end, { clock = "real" })
    assert.is_true(took >= 0.05 and took < 5 * helper.slowness)
  end)

  helper.test("holds for a web application", function()
    local app = braid.web.app()
    app:get("/slow", function()
      braid.sleep(3600)
      return { slept = 3600 }
    end)
    local report = testing.run(function()
      local client = app:test_client()
      local answers = braid.gather {
        function() return client:get "/slow" end, function() return client:get "/slow" end }
      assert(answers[1]:json().slept == 3600 and answers[2].status == 200)
    end, { schedules = 20 })
    assert.equal(3600, report.seconds)
  end)
end)

describe("pools in a test", function()
  helper.test("are tasks", function()
    for _, make in ipairs { braid.thread_pool, braid.process_pool } do
      local orders = {}
      testing.run(function()
        local pool <close> = make(2)
        local list, order = { 1 }, braid.queue()
        local futures = {}
        for i = 1, 3 do
          futures[i] = pool:submit(function(items)
            items[1] = items[1] + i
            braid.sleep(1)
            order:put(i)
            return items
          end, list)
        end
        for i = 1, 3 do assert(futures[i]:result()[1] == 1 + i) end
        assert(list[1] == 1) -- the jobs had copies
        orders[table.concat({ order:get(), order:get(), order:get() }, " ")] = true
        assert(pool:stats().workers == 2)
      end, { schedules = 50 })
      assert.is_true(orders["1 2 3"] and orders["2 1 3"])
    end
  end)

  helper.test("refuse what cannot be sent, and map", function()
    testing.run(function()
      local pool <close> = braid.thread_pool(2)
      local ok, err = pcall(pool.submit, pool, print, coroutine.create(print))
      assert(not ok and err.kind == "not_sendable")
      local results = pool:map(function(x) return x * x end, { 1, 2, 3 })
      assert(table.concat(results, " ") == "1 4 9")
      assert(braid.to_thread(function(a) return a + 1 end, 1) == 2)
    end, { schedules = 20 })
  end)

  helper.test("are real when that is asked for, and hold the clock", function()
    testing.run(function()
      local pool <close> = braid.thread_pool(1)
      local started = braid.now()
      local job = pool:submit(load [[
        require "braid".sleep(0.1)
        return "real"
      ]])
      assert(job:result(3600) == "real" and braid.now() - started < 60)
    end, { pools = "real" })
  end)
end)

describe("testing.nothing_left", function()
  local function left(fn)
    local ok, err = pcall(braid.run, function() testing.nothing_left(fn) end)
    assert.is_false(ok)
    return tostring(err)
  end

  helper.test("returns what the function returned", function()
    assert.equal(3, testing.nothing_left(function(a, b) return a + b end, 1, 2))
    braid.run(function()
      testing.nothing_left(function()
        local lock = braid.lock()
        lock:with(braid.sleep, 0.001)
        braid.scope(function() braid.spawn(braid.sleep, 0.01) end)
        braid.process.run { "true" }
        local pool <close> = braid.thread_pool(2)
        pool:submit(string.rep, "x", 3):result()
      end)
    end)
    local ok, err = pcall(testing.nothing_left, error, "mine", 0)
    assert.is_false(ok)
    assert.equal("mine", err)
  end)

  helper.test("names tasks, locks and timers", function()
    assert.truthy(left(function()
      braid.spawn(function() braid.sleep(0.05) end).name = "straggler"
    end):find "left behind: task straggler")
    local lock = braid.lock()
    assert.truthy(left(function() lock:acquire() end):find "held lock")
    local scopes = {}
    assert.truthy(left(function() scopes[1] = braid.scope { timeout = 0.2 } end):find "timer")
    assert.is_true(scopes[1]:ended())
  end)

  helper.test("names descriptors, threads, jobs and child processes", function()
    local kept = {}
    assert.truthy(left(function() kept[1] = io.open "/dev/null" end):find "descriptor %d+, /dev/null")
    kept[1]:close()
    local text = left(function()
      kept[2] = braid.thread_pool(1)
      kept[3] = kept[2]:submit(load 'require "braid".sleep(0.5)')
    end)
    assert.truthy(text:find "a job")
    assert.truthy(text:find "thread %d+")
    kept[2]:close()
    text = left(function() kept[4] = braid.process.start { "sleep", "30" } end)
    assert.truthy(text:find "child process %d+")
    braid.run(function()
      kept[4]:kill()
      kept[4]:wait()
    end)
  end, { deadline = 30 })

  helper.test("works in virtual time", function()
    testing.run(function() testing.nothing_left(braid.sleep, 100) end, { schedules = 5 })
    local ok, err = pcall(testing.run, function()
      testing.nothing_left(function() braid.spawn(braid.sleep, 100) end)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find "left behind: task")
  end)
end)

describe("testing.it", function()
  local calls = 0
  testing.it("runs its function in virtual time", function()
    braid.sleep(1e6)
    calls = calls + 1
  end, { schedules = 3 })

  helper.test("has run it", function() assert.equal(3, calls) end)
end)

describe("misuse of braid.testing", function()
  helper.test("is told at the caller's line", function()
    expect.misused("bad argument 'fn' to 'run' (a function expected", function() testing.run(1) end)
    expect.misused("unknown option 'schedulez' to 'run' (did you mean 'schedules'?)", function()
      testing.run(print, { schedulez = 1 })
    end)
    expect.misused("\"random\" or \"pct\" or \"exhaustive\" expected", function()
      testing.run(print, { strategy = "rnd" })
    end)
    expect.misused("err.schedule of a failed run expected", function() testing.run(print, { schedule = "x" }) end)
    expect.misused("schedules", function() testing.run(print, { schedules = 0 }) end)
    expect.misused("seconds, not negative", function()
      local clock <close> = testing.clock()
      clock:advance(-1)
    end)
    braid.run(function()
      expect.misused("inside a task", function() testing.run(print) end)
    end)
  end)

  helper.test("is told in a worker", function()
    local pool <close> = braid.thread_pool(1)
    local err = expect.failure(pool:submit(load 'require "braid".testing.run(print)'))
    expect.contains(tostring(err), "inside a task")
  end)
end)

describe("figures of braid.testing", function()
  helper.test("100,000 virtual hours of 1,000 sleepers pass in a second", function()
    local before = os.clock()
    local report = testing.run(function()
      for i = 1, 1000 do
        braid.spawn(function() for _ = 1, 100 do braid.sleep(1000 * 3600 + i) end end)
      end
    end)
    assert.is_true(report.seconds >= 100000 * 3600)
    assert.is_true(os.clock() - before < 2 * helper.slowness)
  end, { deadline = 60 })

  helper.test("10,000 schedules of a program with five tasks take at most 5 s", function()
    local before = os.clock()
    testing.run(function()
      local queue, sum = braid.queue(1), 0
      local function add(item) sum = sum + item end
      braid.scope(function()
        for _ = 1, 2 do braid.spawn(function() for i = 1, 3 do queue:put(i) end end) end
        for _ = 1, 2 do braid.spawn(function() for _ = 1, 3 do add(queue:get()) end end) end
      end)
      assert(sum == 12)
    end, { schedules = 10000 })
    assert.is_true(os.clock() - before < 5 * helper.slowness)
  end, { deadline = 60 })
end)
