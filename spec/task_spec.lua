-- SPDX-License-Identifier: MIT
-- Tasks as futures: run, spawn, sleep, result, callbacks, locals, wrap, and where Lua cannot yield.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local raises = expect.raises

describe("braid.run", function()
  test("returns all results of main, nils included", function()
    local results = table.pack(braid.run(function(...) return nil, select("#", ...), nil end, 1, nil, nil))
    assert.equal(3, results.n)
    assert.equal(3, results[2])
  end)

  test("waits for what main spawned", function()
    local log = {}
    braid.run(function()
      braid.spawn(function() braid.sleep(0.02) log[#log + 1] = "child" end)
      log[#log + 1] = "main"
    end)
    assert.same({ "main", "child" }, log)
  end)

  test("raises main's own error value", function()
    local value = {}
    local ok, err = pcall(braid.run, function() error(value) end)
    assert.is_false(ok)
    assert.equal(value, err)
  end)

  test("an error in main ends the children", function()
    local closed, finished = false, false
    local ok, err = pcall(braid.run, function()
      braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        braid.sleep(60)
        finished = true
      end)
      braid.sleep(0.01)
      error("main gave up", 0)
    end)
    assert.is_false(ok)
    assert.equal("main gave up", err)
    assert.is_true(closed)
    assert.is_false(finished)
  end, { deadline = 10 })

  test("inside a task is an error, and the task goes on", function()
    run(function()
      local entered = false
      local ok, err = pcall(braid.run, function() entered = true end)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("run", 1, true))
      assert.is_false(entered)
      braid.sleep(0)
    end)
  end)

  test("can be called again and again", function()
    local sum = 0
    for i = 1, 50 do
      sum = sum + braid.run(function() braid.sleep(0) return i end)
    end
    assert.equal(1275, sum)
  end)

  test("works again after a failure", function()
    pcall(braid.run, function() braid.spawn(function() braid.sleep(60) end) error("x") end)
    assert.equal(7, braid.run(function() braid.sleep(0.001) return 7 end))
  end, { deadline = 10 })

  test("leaves no task behind", function()
    braid.run(function() for _ = 1, 20 do braid.spawn(braid.sleep, 0.001) end end)
    assert.equal(0, #braid.tasks())
    assert.is_nil(braid.current())
  end)

  test("refuses what is not a function", function()
    assert.is_false((pcall(braid.run)))
    assert.is_false((pcall(braid.run, 42)))
    assert.is_false((pcall(braid.run, {})))
  end)
end)

describe("braid.spawn", function()
  test("passes arguments and returns results, nils included", function()
    run(function()
      local task = braid.spawn(function(...) return select("#", ...), nil, (select(2, ...)), nil end, nil, "b", nil)
      local results = table.pack(task:result())
      assert.equal(4, results.n)
      assert.equal(3, results[1])
      assert.equal("b", results[3])
    end)
  end)

  test("carries 200 arguments and results", function()
    run(function()
      local list = {}
      for i = 1, 200 do list[i] = i end
      local results = { braid.spawn(function(...) braid.sleep(0) return ... end, table.unpack(list)):result() }
      assert.same(list, results)
    end)
  end)

  test("a failure cancels nobody", function()
    in_virtual_time(function()
      local sibling = braid.spawn(function() braid.sleep(0.03) return "alive" end)
      local failing = braid.spawn(function() error("x", 0) end)
      braid.sleep(0.01)
      assert.equal("alive", sibling:result())
      assert.is_false((pcall(failing.result, failing)))
    end)
  end)

  test("refuses what is not a function, at the caller's line", function()
    run(function()
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, err = pcall(function() braid.spawn(nil) end)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("task_spec.lua:" .. line, 1, true), tostring(err))
    end)
  end)

  test("10,000 sleepers sleep at the same time", function()
    local start, count = braid.now(), 0
    run(function()
      for _ = 1, 10000 do braid.spawn(function() braid.sleep(0.2) count = count + 1 end) end
    end)
    assert.equal(10000, count)
    assert.is_true(braid.now() - start < 8)
  end, { deadline = 20 })

  test("tasks may nest 1,000 deep", function()
    local function dive(n)
      if n == 0 then return 0 end
      return 1 + braid.spawn(dive, n - 1):result()
    end
    assert.equal(1000, run(dive, 1000))
  end, { deadline = 20 })

  test("a dropped handle does not stop the task", function()
    local ended = 0
    run(function()
      for _ = 1, 100 do braid.spawn(function() braid.sleep(0.01) ended = ended + 1 end) end
      collectgarbage() collectgarbage()
      braid.sleep(0)
      collectgarbage() collectgarbage()
    end)
    assert.equal(100, ended)
  end)

  test("ended tasks are collected", function()
    local weak = setmetatable({}, { __mode = "k" })
    run(function()
      for _ = 1, 50 do
        local value = {}
        weak[value] = true
        braid.spawn(function() braid.sleep(0) return value end):result()
      end
      for _ = 1, 5 do braid.sleep(0) end
      collectgarbage() collectgarbage()
      local left = 0
      for _ in pairs(weak) do left = left + 1 end
      assert.is_true(left <= 5, left .. " of 50 results are still alive")
    end)
  end)

  test("a daemon is cancelled at the end, not awaited", function()
    local closed, ticks = false, 0
    in_virtual_time(function()
      local task = braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        while true do braid.sleep(0.005) ticks = ticks + 1 end
      end)
      task:daemon()
      braid.sleep(0.03)
    end)
    assert.is_true(closed)
    assert.is_true(ticks >= 1)
  end, { deadline = 10 })

  test("a daemon does not end before the other children have ended", function()
    local seen
    in_virtual_time(function()
      local ticks = 0
      local daemon = braid.spawn(function() while true do braid.sleep(0.005) ticks = ticks + 1 end end)
      daemon:daemon()
      braid.spawn(function() braid.sleep(0.05) seen = ticks end)
    end)
    assert.is_true(seen >= 2)
  end, { deadline = 10 })
end)

describe("sleep, checkpoint, now", function()
  test("sleepers wake in the order of their deadlines", function()
    local order = {}
    run(function()
      for _, delay in ipairs { 0.06, 0.02, 0.04 } do
        braid.spawn(function() braid.sleep(delay) order[#order + 1] = delay end)
      end
    end)
    assert.same({ 0.02, 0.04, 0.06 }, order)
  end)

  test("sleep is never early", function()
    run(function()
      for _, delay in ipairs { 0.001, 0.01, 0.03 } do
        local start = braid.now()
        braid.sleep(delay)
        assert.is_true(braid.now() - start >= delay)
      end
    end)
  end)

  for _, name in ipairs { "sleep(0)", "checkpoint()" } do
    local step = name == "sleep(0)" and function() braid.sleep(0) end or function() braid.checkpoint() end
    test(name .. " lets others run", function()
      local log = {}
      run(function()
        local other = braid.spawn(function() for i = 1, 3 do log[#log + 1] = i step() end end)
        while not other:done() do step() end
      end)
      assert.same({ 1, 2, 3 }, log)
    end)

    test(name .. " does not starve a timer", function()
      run(function()
        local late = false
        local spinner = braid.spawn(function() while not late do step() end return true end)
        braid.sleep(0.02)
        late = true
        assert.is_true(spinner:result())
      end)
    end)
  end

  test("two tasks take turns", function()
    local log = {}
    run(function()
      for _, name in ipairs { "a", "b" } do
        braid.spawn(function() for _ = 1, 3 do log[#log + 1] = name braid.sleep(0) end end)
      end
    end)
    assert.equal("ababab", table.concat(log))
  end)

  test("now is a float that does not go back", function()
    local last = braid.now()
    assert.equal("float", math.type(last))
    for _ = 1, 1000 do
      local now = braid.now()
      assert.is_true(now >= last)
      last = now
    end
  end)

  test("sleep refuses what is not a number", function()
    run(function()
      assert.is_false((pcall(braid.sleep, {})))
      assert.is_false((pcall(braid.sleep, "soon")))
      assert.is_false((pcall(braid.sleep)))
    end)
  end)
end)

describe("current and tasks", function()
  test("current is the task itself, in main and in a child", function()
    run(function()
      local main = braid.current()
      assert.is_not_nil(main)
      local task
      task = braid.spawn(function() braid.sleep(0) return braid.current() == task, braid.current() ~= main end)
      local is_itself, is_other = task:result()
      assert.is_true(is_itself)
      assert.is_true(is_other)
      assert.equal(main, braid.current())
    end)
  end)

  test("current is nil outside every task", function()
    assert.same({ n = 1 }, table.pack(braid.current()))
  end)

  test("tasks lists those that have not ended", function()
    in_virtual_time(function()
      local before = #braid.tasks()
      local task = braid.spawn(braid.sleep, 0.01)
      local found = false
      for _, listed in ipairs(braid.tasks()) do found = found or listed == task end
      assert.is_true(found)
      assert.equal(before + 1, #braid.tasks())
      task:result()
      assert.equal(before, #braid.tasks())
    end)
  end)
end)

describe("a task as a future", function()
  test("several may wait for one result", function()
    in_virtual_time(function()
      local task = braid.spawn(function() braid.sleep(0.01) return {} end)
      local first = braid.spawn(function() return task:result() end)
      local second = braid.spawn(function() return task:result() end)
      assert.equal(first:result(), second:result())
    end)
  end)

  test("result's timeout raises and leaves the task alone", function()
    in_virtual_time(function()
      local task = braid.spawn(function() braid.sleep(0.05) return "later" end)
      raises("timeout", task.result, task, 0.005)
      raises("timeout", task.result, task, 0)
      assert.is_false(task:done())
      assert.equal("later", task:result(10))
    end)
  end)

  test("wait says whether it has ended", function()
    in_virtual_time(function()
      local task = braid.spawn(function() braid.sleep(0.03) end)
      assert.is_false(task:wait(0))
      assert.is_false(task:wait(0.005))
      assert.is_true(task:wait())
      assert.is_true(task:wait(0))
    end)
  end)

  test("wait does not raise the task's error", function()
    run(function()
      local task = braid.spawn(function() error("x") end)
      assert.is_true(task:wait())
      assert.is_false((pcall(task.result, task)))
    end)
  end)

  test("refuses a negative timeout", function()
    run(function()
      local task = braid.spawn(function() end)
      assert.is_false((pcall(task.result, task, -1)))
      assert.is_false((pcall(task.wait, task, -1)))
      task:result()
    end)
  end)

  test("states of a task that succeeds", function()
    run(function()
      local task = braid.spawn(braid.sleep, 0.01)
      assert.is_false(task:done())
      braid.sleep(0)
      assert.equal("running", task:state())
      assert.is_true(task:running())
      task:result()
      assert.equal("done", task:state())
      assert.is_true(task:done())
      assert.is_false(task:running())
      assert.is_false(task:cancelled())
      assert.equal(1, select("#", task:error())) -- nil, not nothing: tostring(task:error()) must work
      assert.is_nil(task:error())
    end)
  end)

  test("states of a task that fails", function()
    run(function()
      local value = {}
      local task = braid.spawn(function() error(value) end)
      pcall(task.result, task)
      assert.equal("failed", task:state())
      assert.is_true(task:done())
      assert.is_false(task:cancelled())
      assert.equal(value, task:error())
    end)
  end)

  test("states of a task that was cancelled", function()
    run(function()
      local task = braid.spawn(braid.sleep, 60)
      braid.sleep(0)
      assert.is_true(task:cancel())
      task:wait()
      assert.equal("cancelled", task:state())
      assert.is_true(task:cancelled())
      assert.is_true(task:done())
      raises("cancelled", task.result, task)
    end)
  end)

  test("traceback names where it failed", function()
    run(function()
      local line
      local function culprit()
        line = debug.getinfo(1, "l").currentline + 1
        error("x")
      end
      local task = braid.spawn(function() culprit() return 1 end)
      pcall(task.result, task)
      assert.is_truthy(task:traceback():find("task_spec.lua:" .. line, 1, true), task:traceback())
    end)
  end)

  test("on_done is called once, with the future", function()
    in_virtual_time(function()
      local calls, given = 0, nil
      local task = braid.spawn(function() braid.sleep(0.01) end)
      task:on_done(function(future) calls = calls + 1 given = future end)
      assert.equal(0, calls)
      task:result()
      braid.sleep(0)
      assert.equal(1, calls)
      assert.equal(task, given)
    end)
  end)

  test("on_done is called at once if it has ended", function()
    run(function()
      local task = braid.spawn(function() return 5 end)
      task:result()
      local got
      task:on_done(function(future) got = future:result() end)
      assert.equal(5, got)
    end)
  end)

  test("on_done callbacks run in order, for failures and cancels too", function()
    run(function()
      local log = {}
      local failing = braid.spawn(function() braid.sleep(0) error("x") end)
      failing:on_done(function() log[#log + 1] = 1 end)
      failing:on_done(function() log[#log + 1] = 2 end)
      pcall(failing.result, failing)
      local cancelled = braid.spawn(braid.sleep, 60)
      cancelled:on_done(function(future) log[#log + 1] = future:state() end)
      cancelled:cancel()
      cancelled:wait()
      braid.sleep(0)
      assert.same({ 1, 2, "cancelled" }, log)
    end)
  end)
end)

describe("braid.locals", function()
  test("is copied from the parent at spawn", function()
    run(function()
      local mine = braid.locals()
      mine.user = "ann"
      local task = braid.spawn(function()
        local theirs = braid.locals()
        local inherited = theirs.user
        theirs.user = "bob"
        braid.sleep(0)
        return inherited, braid.locals().user, theirs.late
      end)
      mine.late = true
      local inherited, own = task:result()
      assert.equal("ann", inherited)
      assert.equal("bob", own)
      assert.equal("ann", braid.locals().user)
    end)
  end)

  test("does not leak into a later task or run", function()
    run(function() braid.spawn(function() braid.locals().secret = 1 end):result() end)
    run(function()
      assert.is_nil(braid.locals().secret)
      assert.is_nil(braid.spawn(function() return braid.locals().secret end):result())
    end)
  end)
end)

describe("braid.wrap", function()
  test("is an iterator whose inside may suspend", function()
    in_virtual_time(function()
      local got = {}
      for value in braid.wrap(function()
        for i = 1, 3 do braid.sleep(0.001) coroutine.yield(i) end
      end) do got[#got + 1] = value end
      assert.same({ 1, 2, 3 }, got)
    end)
  end)

  test("passes values both ways, like coroutine.wrap", function()
    run(function()
      local step = braid.wrap(function(a)
        local b, c = coroutine.yield(a + 1)
        braid.sleep(0)
        return b + c, nil, "end"
      end)
      assert.equal(2, step(1))
      local sum, gap, last = step(3, 4)
      assert.equal(7, sum)
      assert.is_nil(gap)
      assert.equal("end", last)
    end)
  end)

  test("raises what the inside raised", function()
    run(function()
      local value = {}
      local step = braid.wrap(function() braid.sleep(0) error(value) end)
      local ok, err = pcall(step)
      assert.is_false(ok)
      assert.equal(value, err)
    end)
  end)

  test("may be nested", function()
    run(function()
      local outer = braid.wrap(function()
        for value in braid.wrap(function() for i = 1, 3 do braid.sleep(0) coroutine.yield(i) end end) do
          braid.sleep(0)
          coroutine.yield(value * 10)
        end
      end)
      assert.equal(10, outer())
      assert.equal(20, outer())
      assert.equal(30, outer())
    end)
  end)
end)

describe("where Lua can and cannot yield", function()
  test("suspending works through pcall, metamethods, iterators and <close>", function()
    in_virtual_time(function()
      local log = {}
      pcall(function() braid.sleep(0) log[#log + 1] = "pcall" end)
      local object = setmetatable({}, {
        __add = function() braid.sleep(0) return "add" end,
        __index = function() braid.sleep(0) return "index" end,
        __close = function() braid.sleep(0) log[#log + 1] = "close" end,
      })
      log[#log + 1] = object + 1
      log[#log + 1] = object.field
      for value in function(_, last) braid.sleep(0) if not last then return "iterator" end end do
        log[#log + 1] = value
      end
      do local _ <close> = object end
      assert.same({ "pcall", "add", "index", "iterator", "close" }, log)
    end)
  end)

  local impossible = {
    ["table.sort"] = function(suspend) table.sort({ 3, 2, 1 }, function(a, b) suspend() return a < b end) end,
    ["string.gsub"] = function(suspend) string.gsub("abc", ".", function() suspend() end) end,
    ["__tostring"] = function(suspend)
      tostring(setmetatable({}, { __tostring = function() suspend() return "x" end }))
    end,
    ["a debug hook"] = function(suspend)
      debug.sethook(function()
        debug.sethook()
        suspend()
      end, "", 1)
      return 1 + 1
    end,
    ["require"] = function(suspend)
      package.loaded["braid_spec_suspends"] = nil
      package.preload["braid_spec_suspends"] = function() suspend() return true end
      require "braid_spec_suspends"
    end,
  }
  for place, call in pairs(impossible) do
    test("inside " .. place .. " a suspending call says why it cannot", function()
      run(function()
        local task = braid.current()
        local ok, err = pcall(call, function() braid.sleep(0.001) end)
        assert.is_false(ok)
        local text = tostring(err)
        assert.is_nil(text:find("attempt to yield across a C-call boundary", 1, true))
        assert.is_truthy(text:find("inside " .. place:gsub("^__", "") .. ",", 1, true), text)
        assert.equal(task, braid.current())
        braid.sleep(0)
      end)
    end)
  end

  test("in a plain coroutine a suspending call says why it cannot, and the task goes on", function()
    in_virtual_time(function()
      local thread = coroutine.create(function() braid.sleep(0.001) end)
      local ok, err = coroutine.resume(thread)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("coroutine", 1, true), tostring(err))
      assert.equal("dead", coroutine.status(thread))
      braid.sleep(0)
    end)
  end)

  test("in a plain coroutine outside a run too", function()
    local ok, err = coroutine.resume(coroutine.create(function() braid.sleep(0.001) end))
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("coroutine", 1, true), tostring(err))
  end)

  test("a plain generator that does not suspend works in a task", function()
    run(function()
      local sum = 0
      for value in coroutine.wrap(function() for i = 1, 4 do coroutine.yield(i) end end) do
        braid.sleep(0)
        sum = sum + value
      end
      assert.equal(10, sum)
    end)
  end)

  test("a stray coroutine.yield does not break the loop, and <close> runs", function()
    local other, closed = false, false
    run(function()
      braid.spawn(function() braid.sleep(0.01) other = true end)
      local stray = braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        pcall(coroutine.yield, "stray")
      end)
      stray:daemon()
      braid.sleep(0.03)
      pcall(stray.result, stray, 0)
    end)
    assert.is_true(other)
    assert.is_true(closed)
    assert.equal(1, run(function() braid.sleep(0) return 1 end))
  end, { deadline = 10 })
end)
