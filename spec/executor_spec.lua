-- SPDX-License-Identifier: MIT
-- What every pool does, whatever its kind: each case is run for each kind that it is not said to be beyond.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, pending, assert = describe, pending, assert
local test, run = helper.test, helper.run
local raises, misused, failure, eventually = expect.raises, expect.misused, expect.failure, expect.eventually
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

-- The thread sanitizer holds signals back until a call blocks.
local late_signals = os.getenv "BRAID_LATE_SIGNALS" and "signals come late"

-- What a kind cannot do, and why. spec/cluster_executor_spec.lua gives kinds of its own, with functions: `pool` makes a
-- pool, `ended` is called after each case, `beyond_it` tells from an error that a case is beyond the kind, and why.
-- `inner` is a kind for pools inside jobs.
local given = ... -- busted gives what it knows of the file
local kinds = given and given[1] and given or {
  { name = "inline", beyond = {
    later = "submit returns when the job has ended", cpu = "nobody else could stop it", workers = "it has none",
  } },
  { name = "tasks", beyond = { cpu = "nobody else could stop it", workers = "it has none" } },
  { name = "threads", beyond = { cpu = late_signals } },
  { name = "processes", beyond = { cpu = late_signals } },
}

-- The case is fn(pool_of, kind), run in a task; pool_of(opts) makes a pool. `needs`: what a kind must be able to do.
local function case(name, fn, needs, opts)
  for _, kind in ipairs(kinds) do
    local title = ("%s: %s"):format(kind.name, name)
    local why = needs and kind.beyond[needs] or kind.beyond[name]
    if why then
      describe(title, function() pending(why) end)
    else
      local make = kind.pool or function(options) return braid.pool(kind.name, options) end
      test(title, function()
        local ok, err = pcall(run, fn, make, kind.inner or kind.name)
        if kind.ended then kind.ended() end
        if ok then return end
        local reason = kind.beyond_it and kind.beyond_it(err)
        if reason then helper.leave_out(reason) end
        error(err, 0)
      end, kind.deadline and { deadline = kind.deadline } or opts)
    end
  end
end

-- What is reported while fn runs, and becomes garbage by its end.
local function reports(fn)
  local list = {}
  braid.on_unhandled(function(err, traceback) list[#list + 1] = { err, traceback } end)
  local ok, err = pcall(fn)
  for _ = 1, 3 do
    collectgarbage()
    braid.sleep(0)
  end
  braid.on_unhandled(nil)
  assert(ok, err)
  return list
end

-- Jobs.
local function add(a, b) return a + b end
local function echo(...) return ... end
local function square(x) return x * x end
local function wait_for(event, value)
  event:wait()
  return value
end
local function begin_and_wait(begun, event)
  begun:set()
  event:wait()
end
local function fail_at_2(x)
  if x == 2 then error("item 2", 0) end
  return x
end

local function range(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

-- ---- submit and futures ---------------------------------------------------------------------------------------------

describe("submit", function()
  case("gives the function's result", function(pool_of)
    local pool <close> = pool_of()
    assert.equal(5, pool:submit(add, 2, 3):result())
  end)

  case("passes every argument and result, nil among them", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ 1, nil, "x", nil, n = 4 }, table.pack(pool:submit(echo, 1, nil, "x", nil):result()))
    assert.equal(0, select("#", pool:submit(echo):result()))
    assert.same({ n = 1 }, table.pack(pool:submit(echo, nil):result()))
  end)

  case("passes false, and many values", function(pool_of)
    local pool <close> = pool_of()
    assert.is_false(pool:submit(echo, false):result())
    assert.equal(200, select("#", pool:submit(echo, table.unpack(range(200))):result()))
  end)

  case("passes tables with what they share", function(pool_of)
    local pool <close> = pool_of()
    local shared = { 1 }
    local result = pool:submit(function(t) return { t.a == t.b, t.c.c == t.c, t.a[1] } end, (function()
      local t = { a = shared, b = shared, c = {} }
      t.c.c = t.c
      return t
    end)()):result()
    assert.same({ true, true, 1 }, result)
  end)

  case("takes a function's upvalues along", function(pool_of)
    local pool <close> = pool_of()
    local factor = 3
    local function triple(x) return factor * x end
    assert.equal(12, pool:submit(function(x) return triple(x) + factor end, 3):result())
  end)

  case("result can be asked again", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(echo, 1, 2)
    assert.same({ 1, 2 }, { future:result() })
    assert.same({ 1, 2 }, { future:result() })
  end)

  case("a done job: done, not running, not cancelled, no error", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(add, 1, 1)
    future:wait()
    assert.is_true(future:done())
    assert.is_false(future:running())
    assert.is_false(future:cancelled())
    assert.equal("done", future:state())
    assert.is_nil(future:error())
    assert.is_nil(future:traceback())
  end)

  case("goes on when a job has to wait", function(pool_of)
    local pool <close> = pool_of()
    assert.equal("slept", pool:submit(function()
      braid.sleep(0.005)
      return "slept"
    end):result())
  end)

  case("a job is pending, then running, then done", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local begun, event = braid.event(), braid.event()
    local first, second = pool:submit(begin_and_wait, begun, event), pool:submit(echo, 2)
    begun:wait()
    assert.equal("running", first:state())
    assert.is_true(first:running())
    assert.equal("pending", second:state())
    assert.is_false(second:running())
    assert.is_false(second:done())
    event:set()
    assert.equal(2, second:result())
    assert.equal("done", second:state())
  end, "later")

  case("result with a timeout raises, and the job goes on", function(pool_of)
    local pool <close> = pool_of()
    local event = braid.event()
    local future = pool:submit(wait_for, event, "late")
    raises("timeout", future.result, future, 0.01)
    raises("timeout", future.result, future, 0)
    assert.is_false(future:done())
    event:set()
    assert.equal("late", future:result(5))
  end, "later")

  case("wait tells whether it has ended, and never raises", function(pool_of)
    local pool <close> = pool_of()
    local event = braid.event()
    local future = pool:submit(wait_for, event)
    assert.is_false(future:wait(0.01))
    assert.is_false(future:wait(0))
    event:set()
    assert.is_true(future:wait(5))
    local failed = pool:submit(error, "x", 0)
    assert.is_true(failed:wait())
    assert.equal("x", failed:error())
  end, "later")

  case("a negative timeout is misuse", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(echo)
    raises("misuse", future.result, future, -1)
  end)

  case("what is not a function is misuse, at the caller's line", function(pool_of)
    local pool <close> = pool_of()
    misused("'fn'", pool.submit, pool, 5)
    raises("misuse", pool.submit, pool, nil)
    raises("misuse", pool.submit, pool)
  end)

  case("jobs of one worker begin in the order in which they came", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local queue, futures = braid.queue(), {}
    for i = 1, 50 do futures[i] = pool:submit(function() queue:put(i) end) end
    for i = 1, 50 do futures[i]:result() end
    for i = 1, 50 do assert.equal(i, queue:try_get()) end
  end)

  case("as many jobs as there are workers run at once", function(pool_of)
    local pool <close> = pool_of { workers = 3 }
    local barrier = braid.barrier(3)
    local turns = pool:map(function() return barrier:wait(5) end, { 1, 2, 3 }, { chunk = 1 })
    table.sort(turns)
    assert.same({ 1, 2, 3, n = 3 }, turns)
  end, "later")

  case("never more jobs than workers run at once", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local inside, peak, pairing = braid.counter(), braid.queue(), braid.barrier(2)
    pool:map(function()
      peak:put(inside:add(1))
      pairing:wait(5)
      braid.sleep(0.002)
      inside:add(-1)
    end, range(10), { chunk = 1 })
    local most = 0
    for _ = 1, 10 do most = math.max(most, peak:try_get()) end
    assert.equal(2, most)
  end, "later")

  case("many jobs, all of them answered", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local futures, sum = {}, 0
    for i = 1, 2000 do futures[i] = pool:submit(square, i) end
    for i = 1, 2000 do sum = sum + futures[i]:result() end
    assert.equal(2000 * 2001 * 4001 // 6, sum)
  end)

  case("several tasks may submit and wait for the same job", function(pool_of)
    local pool <close> = pool_of()
    local event = braid.event()
    local future = pool:submit(wait_for, event, 7)
    local tasks = {}
    for i = 1, 5 do tasks[i] = braid.spawn(function() return future:result() end) end
    braid.sleep(0)
    event:set()
    assert.same({ 7, 7, 7, 7, 7, n = 5 }, braid.gather(tasks))
  end, "later")

  case("arguments do not outlive the job", function(pool_of)
    local pool <close> = pool_of()
    local weak = setmetatable({ {} }, { __mode = "v" })
    pool:submit(function() end, weak[1]):result()
    eventually(function()
      collectgarbage()
      return weak[1] == nil
    end)
  end)
end)

describe("a failed job", function()
  case("raises the very error that its function raised", function(pool_of)
    local pool <close> = pool_of()
    assert.equal("boom", failure(pool:submit(error, "boom", 0)))
    assert.equal(42, failure(pool:submit(error, 42)))
    assert.is_false(failure(pool:submit(error, false)))
    assert.is_nil(failure(pool:submit(error, nil)))
  end)

  case("keeps the error when it is a table", function(pool_of)
    local pool <close> = pool_of()
    local err = failure(pool:submit(function() error({ code = 7, path = { "a", "b" } }) end))
    assert.equal(7, err.code)
    assert.same({ "a", "b" }, err.path)
  end)

  case("with something that cannot be sent keeps the rest", function(pool_of, kind)
    local pool <close> = pool_of()
    local err = failure(pool:submit(function()
      local _, timeout = braid.queue():get(0)
      timeout.code, timeout.file = 7, io.stdout
      error(timeout)
    end))
    assert.is_true(braid.is_error(err, "timeout"), tostring(err))
    assert.equal(7, err.code)
    if kind == "inline" or kind == "tasks" then return end
    assert.is_nil(err.file)
    assert.same({ file = "userdata (FILE*) cannot be sent" }, err.not_sent)
    err = failure(pool:submit(function() error({ code = 7, message = "full", file = io.stdout }) end))
    assert.same({ code = 7, message = "full", not_sent = { file = "userdata (FILE*) cannot be sent" } }, err)
    local broken <close> = pool_of { workers = 1, init = function() error({ 7, io.stdout }) end }
    for _ = 1, 1000 do
      local ok, job = pcall(broken.submit, broken, echo)
      err = ok and failure(job) or job
      if not ok then break end
      braid.sleep(0.001)
    end
    assert.is_true(braid.is_error(err, "broken"), tostring(err))
    assert.equal(7, err.cause[1])
    assert.matches("FILE", err.not_sent["cause[2]"])
  end)

  case("keeps what can travel, however deep and round, and names the rest", function(pool_of, kind)
    if kind == "inline" or kind == "tasks" then return end
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function()
      local log, shared = io.stdout, { "shared" }
      local list = { 1, coroutine.create(print), { deep = { log = log, left = "left" } }, shared }
      local whole = { list = list, shared = shared, fn = function() return log end, [log] = 1, ["odd key"] = log }
      list.whole = whole
      error(whole)
    end))
    assert.equal(1, err.list[1])
    assert.is_nil(err.list[2])
    assert.equal("left", err.list[3].deep.left)
    assert.equal(err, err.list.whole)
    assert.equal(err.shared, err.list[4])
    local named = {}
    for way, what in pairs(err.not_sent) do named[#named + 1] = way .. ": " .. what end
    table.sort(named)
    assert.same({
      "[\"odd key\"]: userdata (FILE*) cannot be sent", "[userdata] (key): userdata (FILE*) cannot be sent",
      "fn: (upvalue log): userdata (FILE*) cannot be sent", "list[2]: coroutine cannot be sent",
      "list[3].deep.log: userdata (FILE*) cannot be sent",
    }, named)
  end)

  case("with something that cannot be sent keeps its text", function(pool_of)
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function()
      local class = { __tostring = function(self) return "failed with " .. self.code end }
      error(setmetatable({ code = 7, file = io.stdout }, class))
    end))
    assert.equal("failed with 7", tostring(err))
    err = failure(pool:submit(function()
      local log = io.stdout
      local class = { __tostring = function(self) return log and "failed with " .. self.code end, name = "class" }
      class.__index = class
      error(setmetatable({ code = 7 }, class))
    end))
    assert.equal("failed with 7", tostring(err))
    assert.equal("class", err.name)
    err = failure(pool:submit(function()
      local class = { __gc = function() end, __tostring = function() return "text" end }
      error(setmetatable({ code = 7, file = io.stdout }, class))
    end))
    assert.equal("text", tostring(err))
  end)

  case("with a cause, or of several, keeps what can travel of each", function(pool_of)
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function()
      local _, timeout = braid.queue():get(0)
      timeout.cause = { code = 7, file = io.stdout }
      error(timeout)
    end))
    assert.is_true(braid.is_error(err, "timeout"))
    assert.equal(7, err.cause.code)
    err = failure(pool:submit(function()
      braid.scope(function(scope)
        for i = 1, 2 do
          scope:spawn(function()
            pcall(braid.sleep, i == 1 and 0 or 60)
            error { code = i, file = io.stdout }
          end)
        end
      end)
    end))
    assert.is_true(braid.is_error(err, "group"))
    assert.same({ 1, 2 }, { err.errors[1].code, err.errors[2].code })
    local _, failures = pool:map(function(n) error { code = n, file = io.stdout } end, { 1, 2, 3 },
      { return_errors = true, chunk = 3 })
    for i = 1, 3 do assert.equal(i, failures[i].code) end
  end)

  case("that passes several workers keeps what can travel, and the names of all that cannot", function(pool_of, kind)
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function(nested)
      local inner <close> = braid.pool(nested, 1)
      local job = inner:submit(function() error { code = 7, file = io.stdout } end)
      job:wait()
      local failed = job:error()
      failed.routine = coroutine.create(print)
      error(failed)
    end, kind))
    assert.equal(7, err.code)
    if kind == "inline" or kind == "tasks" then return end
    assert.matches("FILE", err.not_sent.file)
    assert.matches("coroutine", err.not_sent.routine)
  end, nil, { deadline = 20 })

  case("of braid's with a shared object keeps what can travel", function(pool_of)
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function()
      error { code = 7, message = "disk full", worker = coroutine.create(print), lock = braid.lock() }
    end))
    assert.same({ 7, "disk full" }, { err.code, err.message })
  end)

  case("may be deep and not be sendable", function(pool_of)
    local pool <close> = pool_of(1)
    local err = failure(pool:submit(function()
      local deep = { io.stdout, "here" }
      for _ = 1, 20000 do deep = { deep } end
      error(deep)
    end))
    for _ = 1, 20000 do err = err[1] end
    assert.equal("here", err[2])
  end)

  case("keeps kind, message and cause of braid's errors", function(pool_of)
    local pool <close> = pool_of()
    local err = failure(pool:submit(function() braid.timeout(0.001, braid.sleep, 5) end))
    assert.is_true(braid.is_error(err, "timeout"))
    assert.equal(tostring(err), err.message)
    local group = failure(pool:submit(function()
      braid.scope(function(scope)
        scope:spawn(function()
          braid.sleep(0)
          error("one", 0)
        end)
        scope:spawn(function()
          pcall(braid.sleep, 60)
          error("two", 0)
        end)
      end)
    end))
    assert.is_true(braid.is_error(group, "group"), tostring(group))
    assert.same({ "one", "two" }, { table.unpack(group.errors) })
  end)

  case("tells the line of a Lua error", function(pool_of)
    local pool <close> = pool_of()
    local err = failure(pool:submit(function() local nothing = nil; return nothing.field end))
    assert.matches("executor_spec%.lua:%d+: attempt to index a nil value %(local 'nothing'%)", err)
  end)

  case("error gives it without raising, traceback says where", function(pool_of)
    local pool <close> = pool_of()
    local function culprit() error("here") end
    local future = pool:submit(function() culprit() end)
    future:wait()
    assert.equal("failed", future:state())
    assert.is_true(future:done())
    assert.is_false(future:cancelled())
    assert.matches("here", future:error())
    assert.matches("executor_spec%.lua:%d+: in upvalue 'culprit'", future:traceback())
  end)

  case("raises again each time it is asked", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(error, "again", 0)
    assert.equal("again", failure(future))
    assert.equal("again", failure(future))
  end)

  case("leaves the worker fit for the next", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    for i = 1, 20 do
      assert.equal(i, failure(pool:submit(error, i)))
      assert.equal(i, pool:submit(echo, i):result())
    end
  end)

  case("that called coroutine.yield is told so, and the worker serves on", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local closed, child = braid.event(), braid.event()
    for _ = 1, 3 do
      local future = pool:submit(function()
        local _ <close> = setmetatable({}, { __close = function() closed:set() end })
        braid.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() child:set() end })
          braid.sleep(60)
        end)
        braid.sleep(0)
        coroutine.yield()
      end)
      assert.is_true(future:wait(5))
      assert.matches("coroutine.yield in a task", raises("misuse", future.result, future).message)
      assert.is_true(closed:is_set())
      assert.is_true(child:wait(5))
      assert.equal(2, pool:submit(echo, 2):result(5))
    end
  end)

  case("its <close> variables have run", function(pool_of)
    local pool <close> = pool_of()
    local closed = braid.event()
    local function leave(_, err) if err == "out" then closed:set() end end
    failure(pool:submit(function()
      local _ <close> = setmetatable({}, { __close = leave })
      error("out", 0)
    end))
    assert.is_true(closed:is_set())
  end)

  case("is reported once when nobody asks for it", function(pool_of)
    local list = reports(function()
      local pool <close> = pool_of()
      pool:submit(error, "lost", 0)
    end)
    assert.equal(1, #list)
    assert.equal("lost", list[1][1])
    assert.is_string(list[1][2])
  end)

  case("is not reported when somebody has asked", function(pool_of)
    assert.same({}, reports(function()
      local pool <close> = pool_of()
      failure(pool:submit(error, "result", 0))
      local future = pool:submit(error, "error", 0)
      future:wait()
      future:error()
    end))
  end)

  case("can be asked for after the pool's end, and is not reported then", function(pool_of)
    local list = reports(function()
      local future
      do
        local pool <close> = pool_of()
        future = pool:submit(error, "later", 0)
      end
      collectgarbage()
      collectgarbage()
      assert.equal("later", failure(future))
    end)
    assert.same({}, list)
  end)
end)

describe("on_done", function()
  case("is called with the future of a done, and of a failed job", function(pool_of)
    local pool <close> = pool_of()
    local seen = {}
    local done, failed = pool:submit(echo, 1), pool:submit(error, "x", 0)
    for _, future in ipairs { done, failed } do
      assert.equal(future, future:on_done(function(f) seen[#seen + 1] = { f, f:state() } end))
      future:wait()
    end
    eventually(function() return #seen == 2 end)
    assert.same({ { done, "done" }, { failed, "failed" } }, seen)
    failed:error()
  end)

  case("is called for a cancelled job", function(pool_of)
    local pool <close> = pool_of()
    local future, seen = pool:submit(wait_for, braid.event()), nil
    future:on_done(function(f) seen = f:state() end)
    future:cancel()
    eventually(function() return seen end)
    assert.equal("cancelled", seen)
  end, "later")

  case("is called at once when the job has ended", function(pool_of)
    local pool <close> = pool_of()
    local future, seen = pool:submit(echo), nil
    future:wait()
    future:on_done(function(f) seen = f end)
    assert.equal(future, seen)
  end)

  case("is called in the order of asking, and one that raises is reported", function(pool_of)
    local pool <close> = pool_of()
    local event, order = braid.event(), {}
    local future = pool:submit(wait_for, event)
    local list = reports(function()
      future:on_done(function() order[#order + 1] = 1 end)
      future:on_done(function() error("in a callback", 0) end)
      future:on_done(function() order[#order + 1] = 3 end)
      event:set()
      future:wait()
    end)
    assert.same({ 1, 3 }, order)
    assert.equal(1, #list)
    assert.equal("in a callback", list[1][1])
  end, "later")
end)

-- ---- what a job is --------------------------------------------------------------------------------------------------

describe("a job", function()
  case("may run tasks of its own", function(pool_of)
    local pool <close> = pool_of()
    local results = pool:submit(function()
      return braid.map(function(x)
        braid.sleep(0.001)
        return x + 1
      end, { 1, 2, 3 })
    end):result()
    assert.same({ 2, 3, 4, n = 3 }, results)
  end)

  case("has ended only when the tasks it spawned have", function(pool_of)
    local pool <close> = pool_of()
    local ended = braid.event()
    pool:submit(function()
      braid.spawn(function()
        braid.sleep(0.01)
        ended:set()
      end)
    end):result()
    assert.is_true(ended:is_set())
  end)

  case("fails with the failure of a task that nobody asked for", function(pool_of)
    local pool <close> = pool_of()
    assert.equal("child", failure(pool:submit(function()
      braid.spawn(error, "child", 0)
      return "fine"
    end)))
    assert.equal("fine", pool:submit(function()
      local task = braid.spawn(error, "child", 0)
      task:wait()
      task:error()
      return "fine"
    end):result())
  end)

  case("that fails cancels its tasks and waits for them", function(pool_of)
    local pool <close> = pool_of()
    local cleaned = braid.event()
    local function clean() cleaned:set() end
    assert.equal("body", failure(pool:submit(function()
      braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = clean })
        braid.sleep(60)
      end)
      braid.sleep(0)
      error("body", 0)
    end)))
    assert.is_true(cleaned:is_set())
  end)

  case("has several failures as a group", function(pool_of)
    local pool <close> = pool_of()
    local err = failure(pool:submit(function()
      braid.spawn(error, "one", 0)
      braid.spawn(error, "two", 0)
    end))
    assert.is_true(braid.is_error(err, "group"))
    assert.same({ "one", "two" }, { table.unpack(err.errors) })
  end)

  case("is a task: current() knows it, run() is misuse", function(pool_of)
    local pool <close> = pool_of()
    assert.is_true(pool:submit(function() return braid.current() ~= nil end):result())
    assert.is_true(braid.is_error(failure(pool:submit(function() braid.run(function() end) end)), "misuse"))
  end)

  case("does not hand its locals on to the next", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    pool:submit(function() braid.locals().mark = "left behind" end):result()
    assert.is_nil(pool:submit(function() return braid.locals().mark end):result())
  end)

  case("that ends with a lock tells the next who wants it", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local lock = braid.lock()
    pool:submit(function() lock:acquire() end):result()
    local ok, err = lock:acquire(5)
    assert.is_nil(ok)
    assert.is_true(braid.is_error(err, "owner_died"))
    assert.is_true(lock:acquire(5))
    lock:release()
  end)

  case("may call pcall, coroutines and generators across its waits", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ 1, 2, 3, "caught" }, pool:submit(function()
      local list = {}
      for i in braid.wrap(function()
        for i = 1, 3 do
          braid.sleep(0)
          coroutine.yield(i)
        end
      end) do list[i] = i end
      local co = coroutine.wrap(function() coroutine.yield(1) end)
      co()
      list[4] = select(2, pcall(function()
        braid.sleep(0)
        error("caught", 0)
      end))
      return list
    end):result())
  end)

  case("may wait for a job of its own pool, though all workers are busy", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local function nested(depth)
      if depth == 0 then return 1 end
      return 1 + pool:submit(nested, depth - 1):result()
    end
    local futures = {}
    for i = 1, 6 do futures[i] = pool:submit(nested, 3) end
    for i = 1, 6 do assert.equal(4, futures[i]:result(5)) end
  end)

  case("may map over its own pool", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local sums = pool:map(function(n)
      local sum, list = 0, {}
      for i = 1, n do list[i] = i end
      for _, value in ipairs(pool:map(square, list)) do sum = sum + value end
      return sum
    end, { 1, 2, 3, 4 }, { chunk = 1 })
    assert.same({ 1, 5, 14, 30, n = 4 }, sums)
  end)

  case("may use a pool of its own", function(pool_of, kind)
    local pool <close> = pool_of { workers = 1 }
    assert.equal(9, pool:submit(function()
      local inner <close> = braid.pool(kind, { workers = 1 })
      return inner:submit(square, 3):result()
    end):result())
  end)
end)

-- ---- cancel ---------------------------------------------------------------------------------------------------------

describe("cancel", function()
  case("of a queued job: it never starts", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local begun, event, started = braid.event(), braid.event(), braid.event()
    local first = pool:submit(begin_and_wait, begun, event)
    local second = pool:submit(function() started:set() end)
    begun:wait()
    assert.is_true(second:cancel())
    assert.is_true(second:done() and second:cancelled()) -- at once, not when the loop has turned
    assert.is_false(second:running())
    assert.equal("cancelled", second:state())
    assert.is_false(second:cancel())
    raises("cancelled", second.result, second)
    assert.is_true(braid.is_error(second:error(), "cancelled"))
    event:set()
    first:result()
    pool:submit(echo):result()
    assert.is_false(started:is_set())
  end, "later")

  case("of a job that has ended: false, and nothing changes", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(echo, 1)
    future:wait()
    assert.is_false(future:cancel())
    assert.is_false(future:cancelled())
    assert.equal(1, future:result())
    local failed = pool:submit(error, "x", 0)
    failed:wait()
    assert.is_false(failed:cancel())
    assert.equal("x", failed:error())
  end)

  case("of a running job ends its wait, and runs its <close> variables", function(pool_of)
    local pool <close> = pool_of()
    local begun, closed = braid.event(), braid.event()
    local function close() closed:set() end
    local future = pool:submit(function()
      local _ <close> = setmetatable({}, { __close = close })
      begun:set()
      braid.sleep(60)
    end)
    begun:wait()
    assert.is_true(future:cancel())
    assert.is_true(future:wait(5))
    assert.equal("cancelled", future:state())
    raises("cancelled", future.result, future)
    assert.is_true(closed:is_set())
  end, "later")

  case("is not swallowed by pcall", function(pool_of)
    local pool <close> = pool_of()
    local begun = braid.event()
    local future = pool:submit(function()
      begun:set()
      for _ = 1, 3 do pcall(braid.sleep, 60) end
      braid.sleep(60)
    end)
    begun:wait()
    future:cancel()
    assert.is_true(future:wait(5))
    assert.is_true(future:cancelled())
  end, "later")

  case("reaches the tasks of the job", function(pool_of)
    local pool <close> = pool_of()
    local begun = braid.event()
    local future = pool:submit(function()
      braid.gather {
        function() braid.sleep(60) end,
        function()
          begun:set()
          braid.sleep(60)
        end,
      }
    end)
    begun:wait()
    future:cancel()
    assert.is_true(future:wait(5))
    assert.is_true(future:cancelled())
  end, "later")

  case("waits for what is shielded", function(pool_of)
    local pool <close> = pool_of()
    local begun, event, finished = braid.event(), braid.event(), braid.event()
    local future = pool:submit(function()
      braid.shield(function()
        begun:set()
        event:wait()
        finished:set()
      end)
      braid.sleep(60)
    end)
    begun:wait()
    future:cancel()
    assert.is_false(future:wait(0.01))
    event:set()
    assert.is_true(future:wait(5))
    assert.is_true(finished:is_set())
    assert.is_true(future:cancelled())
  end, "later")

  case("of one job leaves the others and the worker alone", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local begun, event = braid.event(), braid.event()
    local victim, other = pool:submit(begin_and_wait, begun, braid.event()), pool:submit(wait_for, event, "well")
    begun:wait()
    victim:cancel()
    victim:wait()
    assert.is_false(other:done())
    event:set()
    assert.equal("well", other:result())
    for i = 1, 10 do
      assert.equal(i, pool:submit(function()
        braid.sleep(0)
        return i
      end):result())
    end
  end, "later")

  case("comes too late for a job that ends well all the same", function(pool_of)
    local pool <close> = pool_of()
    local begun, event = braid.event(), braid.event()
    local future = pool:submit(function()
      braid.shield(function()
        begun:set()
        event:wait()
      end)
      return "all the same"
    end)
    begun:wait()
    future:cancel()
    event:set()
    assert.equal("all the same", future:result(5))
    assert.equal("done", future:state())
  end, "later")

  case("wakes who waits for the job", function(pool_of)
    local pool <close> = pool_of()
    local future = pool:submit(wait_for, braid.event())
    local waiting = braid.spawn(function() return select(2, pcall(future.result, future)) end)
    braid.sleep(0.005)
    future:cancel()
    assert.is_true(braid.is_error(waiting:result(5), "cancelled"))
  end, "later")

  case("of one who waits leaves the job alone", function(pool_of)
    local pool <close> = pool_of()
    local event = braid.event()
    local future = pool:submit(wait_for, event, "kept")
    raises("timeout", braid.timeout, 0.01, future.result, future)
    event:set()
    assert.equal("kept", future:result(5))
  end, "later")

  case("stops a job that computes", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local begun = braid.event()
    local future = pool:submit(function()
      begun:set()
      while true do end
    end)
    begun:wait()
    braid.sleep(0.005)
    future:cancel()
    assert.is_true(future:wait(5))
    assert.equal("cancelled", future:state())
    assert.equal(1, pool:submit(echo, 1):result(5))
  end, "cpu")

  case("stops a job that computes after its cancelled wait, or after a shield", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local begun, event = braid.barrier(3), braid.event()
    local catching = pool:submit(function()
      begun:wait()
      pcall(event.wait, event)
      while true do end
    end)
    local shielded = pool:submit(function()
      begun:wait()
      braid.shield(braid.sleep, 0.02)
      while true do end
    end)
    begun:wait()
    braid.sleep(0.005)
    catching:cancel()
    shielded:cancel()
    assert.is_true(catching:wait(5))
    assert.is_true(shielded:wait(5))
    assert.same({ "cancelled", "cancelled" }, { catching:state(), shielded:state() })
  end, "cpu")

  case("stops a job that computes and catches every error", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local begun = braid.event()
    local future = pool:submit(function()
      begun:set()
      local function loop() while true do end end
      while true do pcall(loop) end
    end)
    begun:wait()
    future:cancel()
    assert.is_true(future:wait(5))
    assert.equal("cancelled", future:state())
  end, "cpu")
end)

-- ---- map ------------------------------------------------------------------------------------------------------------

describe("map", function()
  case("gives the results in the order of the items", function(pool_of)
    local pool <close> = pool_of { workers = 4 }
    assert.same({ 1, 4, 9, 16, 25, n = 5 }, pool:map(square, { 1, 2, 3, 4, 5 }))
    assert.same({ 4, 3, 2, 1, n = 4 }, pool:map(function(x)
      braid.sleep(0.002 * x)
      return x
    end, { 4, 3, 2, 1 }, { chunk = 1 }))
  end)

  case("of an empty list", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ n = 0 }, pool:map(square, {}))
    local results, errors = pool:map(square, {}, { return_errors = true })
    assert.same({ n = 0 }, results)
    assert.same({}, errors)
  end)

  case("takes a list with holes, and results that are nil", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ "nil", "number", "nil", n = 3 }, pool:map(type, { nil, 2, nil, n = 3 }))
    assert.same({ nil, 2, nil, n = 3 }, pool:map(function(x) if x == 2 then return x end end, { 1, 2, 3 }))
    assert.same({ false, false, n = 2 }, pool:map(function() return false end, { 1, 2 }))
  end)

  case("calls fn with the item alone, and takes its first value", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ 1, 1, n = 2 }, pool:map(function(...) return select("#", ...), "dropped" end, { "a", "b" }))
  end)

  case("gives the same whatever the chunk", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local expected = { n = 23 }
    for i = 1, 23 do expected[i] = i * i end
    for _, chunk in ipairs { 1, 2, 7, 23, 100 } do
      assert.same(expected, pool:map(square, range(23), { chunk = chunk }))
    end
  end)

  case("of many small items", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local n = 20000
    local results = pool:map(square, range(n))
    assert.equal(n, results.n)
    for i = 1, n do assert(results[i] == i * i, i) end
  end)

  case("raises the first error, the very value", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local ok, err = pcall(pool.map, pool, fail_at_2, { 1, 2, 3 })
    assert.is_false(ok)
    assert.equal("item 2", err)
    ok, err = pcall(pool.map, pool, function() error { code = 5 } end, { 1 }, { chunk = 2 })
    assert.is_false(ok)
    assert.equal(5, err.code)
    ok, err = pcall(pool.map, pool, function() error(nil) end, { 1 })
    assert.is_false(ok)
    assert.is_nil(err)
  end)

  case("does not begin what has not begun when one fails", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local calls = braid.counter()
    local ok = pcall(pool.map, pool, function(x)
      calls:add(1)
      if x > 2 then braid.sleep(0.05) end -- long enough for us to hear of the failure
      fail_at_2(x)
    end, range(50), { chunk = 1 })
    assert.is_false(ok)
    pool:submit(echo):result()
    assert.is_true(calls:get() < 10, calls:get())
  end)

  case("leaves the pool fit for more after an error", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    for _ = 1, 5 do
      reports(function() pcall(pool.map, pool, fail_at_2, range(9)) end)
      assert.same({ 1, 4, n = 2 }, pool:map(square, { 1, 2 }))
    end
  end)

  case("with return_errors raises nothing and tells which failed", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    for _, chunk in ipairs { 1, 2, 10, false } do
      local results, errors = pool:map(fail_at_2, { 1, 2, 3, 2, 5 }, { return_errors = true, chunk = chunk or nil })
      assert.same({ 1, nil, 3, nil, 5, n = 5 }, results)
      assert.same({ nil, "item 2", nil, "item 2" }, errors)
    end
  end)

  case("raises kind timeout when not all came in time, and cancels the rest", function(pool_of)
    for _, backlog in ipairs { 40, 1 } do -- with one turn handing out waits, too
      local pool <close> = pool_of { workers = 1, backlog = backlog }
      pool:submit(echo):result() -- it has started
      local event, calls = braid.event(), braid.counter()
      local err = raises("timeout", pool.map, pool, function()
        calls:add(1)
        event:wait()
      end, range(40), { timeout = 0.1, chunk = 1 })
      assert.equal("40 (of 40) items unfinished", err.message)
      pool:submit(echo):result(5)
      assert.equal(1, calls:get())
    end
  end)

  case("hands nothing out any more when its time is up", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local calls = braid.counter()
    raises("timeout", pool.map, pool, function()
      calls:add(1)
      braid.sleep(0.06)
    end, range(40), { timeout = 0.1, chunk = 1 })
    local begun = calls:get()
    braid.sleep(0.3)
    assert.is_true(begun < 40 and calls:get() <= begun + 1, calls:get())
  end)

  case("with time enough gives the results", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ 1, 4, n = 2 }, pool:map(square, { 1, 2 }, { timeout = 5 }))
  end)

  case("runs slow items side by side", function(pool_of)
    local pool <close> = pool_of { workers = 8 }
    local start = braid.now()
    pool:map(function() braid.sleep(0.1) end, range(16))
    assert.is_true(braid.now() - start < 0.1 * 8)
  end, "later")

  case("is cancelled with its caller, and its jobs are, too", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local begun = braid.event()
    local task = braid.spawn(function()
      pool:map(function()
        begun:set()
        braid.sleep(60)
      end, range(5), { chunk = 1 })
    end)
    begun:wait()
    task:cancel()
    task:wait()
    assert.is_true(task:cancelled())
    assert.equal(1, pool:submit(echo, 1):result(5))
  end, "later")

  case("several maps share the pool", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local sums = braid.map(function(k)
      local sum = 0
      for _, value in ipairs(pool:map(function(x) return k * x end, range(100))) do sum = sum + value end
      return sum
    end, { 1, 2, 3 })
    assert.same({ 5050, 10100, 15150, n = 3 }, sums)
  end)

  case("is misuse with wrong arguments", function(pool_of)
    local pool <close> = pool_of()
    raises("misuse", pool.map, pool, nil, {})
    raises("misuse", pool.map, pool, square, 5)
    raises("misuse", pool.map, pool, square, {}, { chunk = 0 })
    raises("misuse", pool.map, pool, square, {}, { chunk = 1.5 })
    raises("misuse", pool.map, pool, square, {}, { timeout = -1 })
    assert.matches("did you mean 'chunk'", raises("misuse", pool.map, pool, square, {}, { chunks = 2 }).message)
  end)
end)

-- ---- imap -----------------------------------------------------------------------------------------------------------

-- An iterator that counts how often it was asked.
local function counting(n)
  local state = { asked = 0 }
  function state.next()
    state.asked = state.asked + 1
    if state.asked <= n then return state.asked end
  end
  return state
end

local function collect(...)
  local list = {}
  for value in ... do list[#list + 1] = value end
  return list
end

describe("imap", function()
  case("gives the results in order", function(pool_of)
    local pool <close> = pool_of { workers = 4 }
    assert.same({ 1, 4, 9, 16, 25 }, collect(pool:imap(square, counting(5).next)))
    assert.same({ 3, 2, 1 }, collect(pool:imap(function(x)
      braid.sleep(0.003 * x)
      return x
    end, { 3, 2, 1 })))
  end)

  case("takes nothing more of its input after a failure", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local input, taken = counting(100), 0
    local function next_item()
      taken = taken + 1
      return input.next()
    end
    assert.is_false(pcall(function()
      for _ in pool:imap(fail_at_2, next_item, { buffer = 2 }) do end
    end))
    local by_then = taken
    braid.sleep(0)
    braid.sleep(0.001)
    assert.equal(by_then, taken)
  end)

  case("gives them as they come when asked to", function(pool_of)
    local pool <close> = pool_of { workers = 3 }
    local events = { braid.event(), braid.event(), braid.event() }
    events[3]:set()
    local results = {}
    for value in pool:imap(function(i)
      events[i]:wait()
      return i
    end, { 1, 2, 3 }, { ordered = false, buffer = 3 }) do
      results[#results + 1] = value
      if value > 1 then events[value - 1]:set() end
    end
    assert.same({ 3, 2, 1 }, results)
  end, "later")

  case("takes no more than it has room for", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local input = counting(100)
    local taken = 0
    for _ in pool:imap(square, input.next, { buffer = 5 }) do
      taken = taken + 1
      braid.sleep(0)
      assert.is_true(input.asked <= taken + 5, input.asked .. " after " .. taken)
    end
    assert.equal(100, taken)
    assert.equal(101, input.asked)
  end)

  case("works with room for one", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    assert.same({ 1, 4, 9 }, collect(pool:imap(square, counting(3).next, { buffer = 1 })))
  end)

  case("takes an endless iterator; leaving the loop ends it", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local input, last = counting(math.huge), nil
    for value in pool:imap(square, input.next, { buffer = 4 }) do
      last = value
      if value >= 100 then break end
    end
    assert.equal(100, last)
    braid.sleep(0)
    local asked = input.asked
    braid.sleep(0.005)
    assert.equal(asked, input.asked)
    assert.is_true(asked <= 15, asked)
  end)

  case("raises the first failure after the results before it", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local results = {}
    local list = reports(function()
      local ok, err = pcall(function()
        for value in pool:imap(function(x)
          if x == 3 then error("item 3", 0) end
          return x
        end, counting(50).next, { buffer = 2 }) do results[#results + 1] = value end
      end)
      assert.is_false(ok)
      assert.equal("item 3", err)
    end)
    assert.same({}, list)
    assert.same({ 1, 2 }, results)
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  case("raises what the iterator raises", function(pool_of)
    local pool <close> = pool_of()
    local n, results = 0, {}
    local ok, err = pcall(function()
      for value in pool:imap(square, function()
        n = n + 1
        if n == 3 then error("no more input", 0) end
        return n
      end) do results[#results + 1] = value end
    end)
    assert.is_false(ok)
    assert.equal("no more input", err)
    assert.same({ 1, 4 }, results)
  end)

  case("gives braid.null for nil, and false", function(pool_of)
    local pool <close> = pool_of()
    assert.same({ braid.null, false }, collect(pool:imap(function(x)
      if x == 2 then return false end
    end, { 1, 2 })))
  end)

  case("takes an iterator that waits", function(pool_of)
    local pool <close> = pool_of()
    local n = 0
    assert.same({ 1, 4, 9 }, collect(pool:imap(square, function()
      braid.sleep(0.001)
      n = n + 1
      if n <= 3 then return n end
    end)))
  end)

  case("takes a queue, and does not wait for it with a result at hand", function(pool_of)
    local pool <close> = pool_of()
    local queue = braid.queue()
    queue:put(1)
    local step = pool:imap(square, queue, { buffer = 10 })
    assert.equal(1, step())
    queue:put(2)
    assert.equal(4, step())
    queue:close()
    assert.is_nil(step())
    assert.is_nil(step())
  end)

  case("of nothing", function(pool_of)
    local pool <close> = pool_of()
    assert.same({}, collect(pool:imap(square, {})))
    assert.same({}, collect(pool:imap(square, function() end, { ordered = false })))
  end)

  case("of many", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local sum = 0
    for value in pool:imap(square, counting(1000).next, { ordered = false, buffer = 50 }) do sum = sum + value end
    assert.equal(1000 * 1001 * 2001 // 6, sum)
  end)

  case("is misuse with wrong arguments", function(pool_of)
    local pool <close> = pool_of()
    raises("misuse", pool.imap, pool, nil, {})
    raises("misuse", pool.imap, pool, square, nil)
    raises("misuse", pool.imap, pool, square, 5)
    raises("misuse", pool.imap, pool, square, {}, { buffer = 0 })
    raises("misuse", pool.imap, pool, square, {}, { bufer = 1 })
  end)
end)

-- ---- the end --------------------------------------------------------------------------------------------------------

describe("the end of a pool", function()
  case("is close: then it takes no more", function(pool_of)
    local pool = pool_of()
    pool:close()
    assert.matches("closed", raises("misuse", pool.submit, pool, echo).message)
    raises("misuse", pool.map, pool, square, { 1 })
    raises("misuse", collect, pool:imap(square, { 1 }))
    assert.same({ n = 0 }, pool:map(square, {}))
  end)

  case("waits for what runs and for what is queued", function(pool_of)
    local ended = braid.counter()
    local pool = pool_of { workers = 2 }
    for _ = 1, 6 do
      pool:submit(function()
        braid.sleep(0.003)
        ended:add(1)
      end)
    end
    pool:close()
    assert.equal(6, ended:get())
  end)

  case("can come twice, from two tasks at once", function(pool_of)
    local pool = pool_of()
    local event = braid.event()
    local future = pool:submit(wait_for, event, 1)
    local a, b = braid.spawn(pool.close, pool), braid.spawn(pool.close, pool)
    braid.sleep(0.002)
    event:set()
    a:result()
    b:result()
    pool:close()
    pool:shutdown()
    assert.equal(1, future:result())
  end, "later")

  case("leaves the results to be asked for", function(pool_of)
    local futures = {}
    do
      local pool <close> = pool_of { workers = 2 }
      for i = 1, 20 do futures[i] = pool:submit(square, i) end
    end
    for i = 1, 20 do assert.equal(i * i, futures[i]:result(0)) end
  end)

  case("has brought every result home when close returns", function(pool_of)
    local pool = pool_of { workers = 1 }
    local futures = {}
    for i = 1, 5 do futures[i] = pool:submit(square, i) end
    pool:shutdown { wait = false }
    local start = braid.now()
    while braid.now() - start < 0.02 do end -- the workers may end meanwhile; we look at nothing
    pool:close()
    for i = 1, 5 do assert.is_true(futures[i]:done()) end
  end)

  case("with cancel_pending cancels what has not begun", function(pool_of)
    local pool = pool_of { workers = 1 }
    local begun, event = braid.event(), braid.event()
    local first = pool:submit(begin_and_wait, begun, event)
    local rest = {}
    for i = 1, 3 do rest[i] = pool:submit(echo, i) end
    begun:wait()
    local closing = braid.spawn(pool.shutdown, pool, { cancel_pending = true })
    for i = 1, 3 do
      rest[i]:wait()
      assert.is_true(rest[i]:cancelled())
    end
    assert.is_false(first:done())
    event:set()
    closing:result()
    assert.equal("done", first:state())
  end, "later")

  case("without wait returns at once, and the jobs go on", function(pool_of)
    local pool = pool_of { workers = 1 }
    local event = braid.event()
    local first, second = pool:submit(wait_for, event, 1), pool:submit(echo, 2)
    pool:shutdown { wait = false }
    assert.is_false(first:done())
    raises("misuse", pool.submit, pool, echo)
    event:set()
    assert.same({ 1, 2 }, { first:result(5), second:result(5) })
    pool:close()
  end, "later")

  case("without wait, with cancel_pending", function(pool_of)
    local pool = pool_of { workers = 1 }
    local begun, event = braid.event(), braid.event()
    local first, second = pool:submit(begin_and_wait, begun, event), pool:submit(echo, 2)
    begun:wait()
    pool:shutdown { wait = false, cancel_pending = true }
    second:wait()
    assert.is_true(second:cancelled())
    event:set()
    first:result(5)
    pool:close()
  end, "later")

  case("of a block that raises: its jobs are cancelled, the error goes on", function(pool_of)
    local running, queued
    local begun = braid.event()
    local ok, err = pcall(function()
      local pool <close> = pool_of { workers = 1 }
      running, queued = pool:submit(begin_and_wait, begun, braid.event()), pool:submit(echo)
      begun:wait()
      error("out of here", 0)
    end)
    assert.is_false(ok)
    assert.equal("out of here", err)
    assert.is_true(running:cancelled())
    assert.is_true(queued:cancelled())
  end, "later")

  case("of a block that is cancelled: its jobs are, too", function(pool_of)
    local begun, future = braid.event(), nil
    local in_time = braid.move_on_after(0.05, function()
      local pool <close> = pool_of()
      future = pool:submit(begin_and_wait, begun, braid.event())
    end)
    assert.is_false(in_time)
    assert.is_true(future:cancelled())
  end, "later")

  case("cannot be awaited by one of its own jobs", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local err = failure(pool:submit(function() pool:close() end))
    assert.is_true(braid.is_error(err, "misuse"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result()) -- what is refused has no effect
  end)

  case("refuses unknown options", function(pool_of)
    local pool <close> = pool_of()
    assert.matches("did you mean 'wait'", raises("misuse", pool.shutdown, pool, { wiat = false }).message)
    raises("misuse", pool.shutdown, pool, { wait = 1 })
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  case("comes for many pools, one after the other", function(pool_of)
    for i = 1, 20 do
      local pool <close> = pool_of { workers = 2 }
      assert.equal(i, pool:submit(echo, i):result())
    end
  end)
end)

-- ---- options --------------------------------------------------------------------------------------------------------

describe("options", function()
  case("are checked", function(pool_of, kind)
    for _, bad in ipairs { { workers = 0 }, { workers = -1 }, { workers = 1.5 }, { workers = "2" }, { backlog = 0 },
      { time_limit = 0 }, { time_limit = 0 / 0 }, { init = 5 }, { init_args = 5 }, { name = 5 } } do
      raises("misuse", pool_of, bad)
    end
    misused("did you mean 'workers'", pool_of, { worker = 2 })
    raises("misuse", pool_of, "2")
    raises("misuse", braid.pool, kind .. "x")
    raises("misuse", braid.pool)
  end)

  case("a number is the number of workers", function(pool_of)
    local pool <close> = pool_of(1)
    assert.equal(1, pool:stats().workers)
  end)

  case("name: it is called so", function(pool_of)
    local pool <close> = pool_of { name = "resizers" }
    assert.matches("resizers", tostring(pool))
    local anonymous <close> = pool_of()
    assert.matches("^braid%.", tostring(anonymous))
  end)

  case("init runs in each worker before its jobs, with its arguments", function(pool_of)
    local pool <close> = pool_of {
      workers = 2, init = function(a, b, c) _G.braid_spec_mark = { a, b, c } end, init_args = { 1, nil, 3, n = 3 },
    }
    for _ = 1, 10 do
      assert.same({ 1, nil, 3 }, pool:submit(function() return _G.braid_spec_mark end):result())
    end
    _G.braid_spec_mark = nil
  end)

  case("init that raises breaks the pool, which says why", function(pool_of)
    local pool <close> = pool_of { workers = 2, init = function() error("no database", 0) end }
    eventually(function()
      local ok, future = pcall(pool.submit, pool, echo, 1)
      if not ok then
        assert.is_true(braid.is_error(future, "broken"), tostring(future))
        assert.matches("no database", future.message)
        return true
      end
      local err = raises("broken", future.result, future, 5)
      assert.matches("its init failed: no database", err.message)
      assert.equal("no database", err.cause)
    end)
  end)

  local endless = {
    computes = function() while true do end end,
    waits = function() braid.sleep(60) end,
    ["swallows what stops it"] = function() while true do pcall(braid.sleep, 60) end end,
  }
  for what, init in pairs(endless) do
    case(("init that %s for ever is stopped with its pool"):format(what), function(pool_of)
      local ok, err = pcall(function()
        local pool <close> = pool_of { workers = 2, init = init }
        pool:submit(echo, 1):result(0.05)
      end)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "timeout"), tostring(err))
    end, what == "computes" and "cpu" or "workers", { deadline = 20 })
  end

  case("backlog: submit waits while so many jobs have not ended", function(pool_of)
    local pool <close> = pool_of { workers = 1, backlog = 2 }
    local event, submitted = braid.event(), 0
    local task = braid.spawn(function()
      for i = 1, 5 do
        pool:submit(wait_for, event, i)
        submitted = submitted + 1
      end
    end)
    braid.sleep(0.01)
    assert.equal(2, submitted)
    event:set()
    task:result()
    assert.equal(5, submitted)
  end, "later")

  case("backlog: a job that was refused takes no place", function(pool_of)
    local pool <close> = pool_of { workers = 1, backlog = 1 }
    for _ = 1, 3 do raises("misuse", pool.submit, pool, nil) end
    assert.equal("x", failure(pool:submit(error, "x", 0)))
    assert.equal(2, braid.timeout(5, function() return pool:submit(echo, 2):result() end))
  end)

  case("backlog: map and imap keep to it", function(pool_of)
    local pool <close> = pool_of { workers = 2, backlog = 3 }
    assert.equal(100, #pool:map(square, range(100), { chunk = 1 }))
    assert.equal(100, #collect(pool:imap(square, range(100))))
  end)

  case("time_limit stops a job that waits, and the next is run", function(pool_of)
    local pool <close> = pool_of { workers = 1, time_limit = 0.02 }
    local start = braid.now()
    local err = failure(pool:submit(braid.sleep, 60))
    assert.is_true(braid.is_error(err, "limit"), tostring(err))
    assert.matches("0%.02 s", err.message)
    assert.is_true(braid.now() - start < 5)
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  case("time_limit is for each job, not for the time in line", function(pool_of)
    local pool <close> = pool_of { workers = 1, time_limit = 0.3 * helper.slowness }
    local futures = {}
    for i = 1, 5 do
      futures[i] = pool:submit(function()
        braid.sleep(0.1)
        return i
      end)
    end
    for i = 1, 5 do assert.equal(i, futures[i]:result()) end
  end)

  case("time_limit leaves a job's own error alone", function(pool_of)
    local pool <close> = pool_of { time_limit = 5 }
    assert.equal("own", failure(pool:submit(error, "own", 0)))
    assert.is_true(braid.is_error(failure(pool:submit(function() braid.timeout(0.001, braid.sleep, 9) end)), "timeout"))
  end)

  case("time_limit stops a job that computes", function(pool_of)
    local pool <close> = pool_of { workers = 1, time_limit = 0.02 }
    local err = failure(pool:submit(function() while true do end end))
    assert.is_true(braid.is_error(err, "limit"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end, "cpu")

  case("memory_limit stops a job that needs more, and no other", function(pool_of)
    local pool <close> = pool_of { workers = 2, memory_limit = 4e6 }
    local function grow(size)
      local list = {}
      for i = 1, size do list[i] = { i } end
      return #list
    end
    local fine, greedy = pool:submit(grow, 100), pool:submit(grow, 1e7)
    assert.equal(100, fine:result())
    assert.is_true(braid.is_error(failure(greedy), "limit"))
    for _ = 1, 4 do assert.equal(100, pool:submit(grow, 100):result()) end
  end, "workers")

  case("stats count", function(pool_of)
    local pool = pool_of { workers = 2 }
    assert.same({ 2, 0, 0, 0, 0 }, (function(s)
      return { math.max(s.workers, 2), s.queued, s.running, s.done, s.failed }
    end)(pool:stats()))
    for i = 1, 3 do pool:submit(echo, i):result() end
    failure(pool:submit(error, "x", 0))
    pool:submit(braid.sleep, 0.01):result()
    pool:close()
    local stats = pool:stats()
    assert.same({ 4, 1, 0, 0, 0 }, { stats.done, stats.failed, stats.cancelled, stats.queued, stats.running })
    assert.is_true(stats.busy >= 0.009, stats.busy)
    assert.is_number(stats.bytes_in)
    assert.is_number(stats.bytes_out)
  end)

  case("stats tell what runs and what waits", function(pool_of)
    local pool <close> = pool_of { workers = 1 }
    local begun, event = braid.event(), braid.event()
    pool:submit(begin_and_wait, begun, event)
    pool:submit(echo)
    local third = pool:submit(echo)
    begun:wait()
    local stats = pool:stats()
    assert.same({ 1, 1, 2 }, { stats.workers, stats.running, stats.queued })
    third:cancel()
    event:set()
    third:wait()
    eventually(function() return pool:stats().cancelled == 1 end)
  end, "later")
end)

-- ---- with the rest of braid -----------------------------------------------------------------------------------------

describe("futures of jobs", function()
  case("gather takes them", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local one = pool:submit(echo, 1)
    assert.same({ 1, 2, 3, 1, n = 4 }, braid.gather { one, pool:submit(echo, 2), function() return 3 end, one })
  end)

  case("gather raises a job's failure and cancels the others", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local slow = pool:submit(wait_for, braid.event())
    local ok, err = pcall(braid.gather, { slow, pool:submit(error, "bad", 0) })
    assert.is_false(ok)
    assert.equal("bad", err)
    assert.is_true(slow:cancelled())
  end, "later")

  case("race takes them, and cancels the losers", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local loser = pool:submit(wait_for, braid.event())
    assert.equal("first", braid.race { loser, pool:submit(echo, "first") })
    assert.is_true(loser:cancelled())
  end, "later")

  case("as_completed gives them as they end, each once", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local event = braid.event()
    local slow, quick = pool:submit(wait_for, event, "slow"), pool:submit(echo, "quick")
    local order = {}
    for future in braid.as_completed { slow, quick, slow } do
      order[#order + 1] = future:result()
      event:set()
    end
    assert.same({ "quick", "slow" }, order)
  end, "later")

  case("as_completed tells what was unfinished at the timeout", function(pool_of)
    local pool <close> = pool_of { workers = 2 }
    local event = braid.event()
    local futures = { pool:submit(echo), pool:submit(wait_for, event), pool:submit(wait_for, event) }
    futures[1]:wait()
    local err = raises("timeout", function() for _ in braid.as_completed(futures, 0.03) do end end)
    assert.equal("2 (of 3) futures unfinished", err.message)
    event:set()
  end, "later")

  case("wait: all, the first, the first error, and the timeout", function(pool_of)
    local pool <close> = pool_of { workers = 3 }
    local event = braid.event()
    local slow, quick = pool:submit(wait_for, event), pool:submit(echo)
    local done, rest = braid.wait({ slow, quick }, { return_when = "first" })
    assert.same({ { quick }, { slow } }, { done, rest })
    done, rest = braid.wait({ slow, quick }, { timeout = 0.01 })
    assert.same({ { quick }, { slow } }, { done, rest })
    local bad = pool:submit(error, "x", 0)
    done, rest = braid.wait({ slow, bad }, { return_when = "first_error" })
    assert.same({ { bad }, { slow } }, { done, rest })
    bad:error()
    event:set()
    done, rest = braid.wait { slow, quick, bad }
    assert.same({ 3, 0 }, { #done, #rest })
    done, rest = braid.wait { quick, quick }
    assert.same({ { quick }, {} }, { done, rest })
  end, "later")

  case("select waits for one beside a queue", function(pool_of)
    local pool <close> = pool_of()
    local queue, event = braid.queue(), braid.event()
    local future = pool:submit(wait_for, event, 1)
    queue:put("item")
    local index, value = braid.select { { future }, { queue, "get" } }
    assert.same({ 2, "item" }, { index, value })
    event:set()
    index = braid.select({ { future }, { queue, "get" } }, 5)
    assert.equal(1, index)
  end, "later")

  if kinds[1].pool then return end
  test("of all kinds stand in one list", function()
    run(function()
      local pools, futures = {}, {}
      for i, kind in ipairs(kinds) do
        pools[i] = braid.pool(kind.name, { workers = 1 })
        futures[i] = pools[i]:submit(square, i)
      end
      local sum = 0
      for future in braid.as_completed(futures, 5) do sum = sum + future:result() end
      assert.equal(30, sum)
      for _, pool in ipairs(pools) do pool:close() end
    end)
  end)
end)

describe("outside every task", function()
  for _, kind in ipairs(kinds[1].pool and {} or kinds) do
    test(kind.name .. ": a script uses a pool", function()
      local pool <close> = braid.pool(kind.name, { workers = 2 })
      assert.equal(3, pool:submit(add, 1, 2):result())
      assert.same({ 1, 4, n = 2 }, pool:map(square, { 1, 2 }))
      assert.same({ 1, 4 }, collect(pool:imap(square, { 1, 2 })))
    end)

    test(kind.name .. ": the end of the script reports what failed unseen, once", function()
      local out, err, code = helper.lua_process(([[
        local braid = require "braid"
        pool = braid.pool(%q, { workers = 1 })
        future = pool:submit(error, "unseen", 0)
        future:wait()
        seen = pool:submit(error, "seen", 0)
        pcall(seen.result, seen)
        print "end"
      ]]):format(kind.name))
      assert.same({ "end\n", 0 }, { out, code })
      assert.equal(1, select(2, err:gsub("unseen", "")), err)
      assert.is_nil(err:find("seen\n", 1, true) and err:find("error: seen", 1, true))
    end)

    test(kind.name .. ": an error of the script's does not wait for what runs", function()
      local out, err, code = helper.lua_process(([[
        local braid = require "braid"
        local pool = braid.pool(%q, { workers = 1 })
        if %q ~= "inline" then pool:submit(braid.sleep, 60) end
        braid.sleep(0.01)
        error("end", 0)
      ]]):format(kind.name, kind.name))
      assert.same({ "", 1 }, { out, code })
      assert.matches("^[^\n]*: end\nstack traceback:\n\t%[C%]: in function 'error'\n[^\n]*main chunk\n[^\n]*\n$", err)
    end, { deadline = 8 })
  end
end)
