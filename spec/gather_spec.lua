-- SPDX-License-Identifier: MIT
-- gather, map, race, as_completed, wait: many futures, one answer.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local raises = expect.raises

local function after(seconds, value) return function() braid.sleep(seconds) return value end end
local function failing(value, seconds) return function() braid.sleep(seconds or 0) error(value, 0) end end

describe("gather", function()
  test("gives the results in the order of the list", function()
    in_virtual_time(function()
      local results = braid.gather { after(0.03, "a"), after(0.01, "b"), after(0.02, "c") }
      assert.same({ "a", "b", "c", n = 3 }, results)
    end)
  end)

  test("of an empty list is {n = 0}", function()
    run(function() assert.same({ n = 0 }, braid.gather {}) end)
  end)

  test("keeps the place of a nil result", function()
    run(function()
      local results = braid.gather { after(0, 1), after(0, nil), after(0, 3), after(0, nil) }
      assert.equal(4, results.n)
      assert.equal(1, results[1])
      assert.is_nil(results[2])
      assert.equal(3, results[3])
    end)
  end)

  test("takes functions and tasks mixed", function()
    in_virtual_time(function()
      local task = braid.spawn(after(0.02, "task"))
      assert.same({ "task", "function", n = 2 }, braid.gather { task, after(0.01, "function") })
    end)
  end)

  test("the same task twice runs once and gives its result twice", function()
    run(function()
      local calls = 0
      local task = braid.spawn(function() calls = calls + 1 braid.sleep(0) return {} end)
      local results = braid.gather { task, task }
      assert.equal(1, calls)
      assert.equal(2, results.n)
      assert.is_not_nil(results[1])
      assert.equal(results[1], results[2])
    end)
  end)

  test("takes tasks that have already ended", function()
    run(function()
      local task = braid.spawn(function() return "old" end)
      task:result()
      assert.same({ "old", "new", n = 2 }, braid.gather { task, after(0, "new") })
    end)
  end)

  test("the first failure cancels the rest and is raised as it is", function()
    in_virtual_time(function()
      local value, finished = {}, 0
      local task = braid.spawn(braid.sleep, 60)
      local ok, err = pcall(braid.gather, {
        function() braid.sleep(60) finished = finished + 1 end,
        failing(value, 0.01),
        task,
      })
      assert.is_false(ok)
      assert.equal(value, err)
      assert.equal(0, finished)
      assert.is_true(task:cancelled())
    end)
  end, { deadline = 10 })

  test("waits for the clean-up of those it cancelled", function()
    run(function()
      local cleaned = false
      pcall(braid.gather, {
        function()
          local _ <close> = setmetatable({}, { __close = function()
            braid.shield(braid.sleep, 0.03)
            cleaned = true
          end })
          braid.sleep(60)
        end,
        failing("x"),
      })
      assert.is_true(cleaned)
    end)
  end, { deadline = 10 })

  -- Functions alone are waited for in another way than a list with a future in it: both have to behave the same.
  for how, extra in pairs { ["functions only"] = 0, ["with a future"] = 1 } do
    local function list_of(...)
      local list = { ... }
      if extra > 0 then list[#list + 1] = braid.spawn(function() end) end
      return list
    end

    test("a function that is cancelled by itself counts as a failure, " .. how, function()
      run(function()
        local start, others = braid.now(), 0
        local ok, err = pcall(braid.gather, list_of(function()
          braid.sleep(0.01)
          braid.current():cancel()
          braid.sleep(60)
        end, function()
          local _ <close> = setmetatable({}, { __close = function() others = others + 1 end })
          braid.sleep(60)
        end))
        assert.is_false(ok)
        assert.equal("cancelled", err.kind)
        assert.equal(1, others)
        assert.is_true(braid.now() - start < 5)
        braid.sleep(0) -- the caller itself is not cancelled
      end)
    end, { deadline = 10 })

    test("what a second one fails with is reported, and not raised, " .. how, function()
      local _, stderr = helper.lua_process(([[
        local braid = require "braid"
        braid.run(function()
          local list = { function() braid.sleep(0.01) error("first", 0) end, function()
            pcall(braid.sleep, 60)
            error("second", 0)
          end }
          if %d > 0 then list[3] = braid.spawn(function() end) end
          local ok, err = pcall(braid.gather, list)
          assert(not ok and err == "first", err)
        end)
      ]]):format(extra))
      assert.truthy(stderr:find("second", 1, true), stderr)
    end)
  end

  test("the caller can go on after a failure", function()
    run(function()
      for _ = 1, 20 do
        local ok, err = pcall(braid.gather, { failing("x"), after(60) })
        assert.is_false(ok)
        assert.equal("x", err)
        braid.sleep(0)
      end
      assert.same({ 1, n = 1 }, braid.gather { after(0, 1) })
    end)
  end, { deadline = 10 })

  test("cancelled from outside it cancels its functions", function()
    in_virtual_time(function()
      local closed = 0
      local function worker()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        braid.sleep(60)
      end
      local task = braid.spawn(function() braid.gather { worker, worker } end)
      braid.sleep(0.01)
      task:cancel()
      raises("cancelled", task.result, task)
      assert.equal(2, closed)
    end)
  end, { deadline = 10 })

  -- What on_unhandled was told while fn ran in a task.
  local function reported(fn)
    local told = {}
    finally(function() braid.on_unhandled(nil) end)
    braid.on_unhandled(function(err) told[#told + 1] = err end)
    run(fn)
    return told
  end

  local function clean_up_badly(what)
    return function()
      local _ <close> = setmetatable({}, { __close = function() error(what, 0) end })
      braid.sleep(60)
    end
  end

  test("reports what a loser fails with in its clean-up, and not what failed before", function()
    local told = reported(function()
      assert.equal("good", braid.race { failing("early"), after(0.01, "good"), clean_up_badly("late") })
    end)
    assert.same({ "late" }, told)
  end, { deadline = 10 })

  test("reports what a task that was given fails with in its clean-up, once", function()
    local told = reported(function()
      local task = braid.spawn(clean_up_badly("late"))
      assert.equal("good", braid.race { task, after(0.01, "good"), task })
    end)
    assert.same({ "late" }, told)
  end, { deadline = 10 })

  test("that is cancelled reports what its tasks fail with in their clean-up", function()
    local told = reported(function()
      assert.is_false((braid.move_on_after(0.01, braid.race, { clean_up_badly("one"), clean_up_badly("two") })))
    end)
    table.sort(told)
    assert.same({ "one", "two" }, told)
  end, { deadline = 10 })

  test("on_error = continue raises at once, and the rest go on", function()
    local ended = 0
    run(function()
      local start = braid.now()
      local ok, err = pcall(braid.gather, {
        function() braid.sleep(0.1) ended = ended + 1 end,
        failing("x", 0.01),
        function() braid.sleep(0.1) ended = ended + 1 end,
      }, { on_error = "continue" })
      assert.is_false(ok)
      assert.equal("x", err)
      assert.equal(0, ended)
      assert.is_true(braid.now() - start < 5)
    end)
    assert.equal(2, ended)
  end, { deadline = 10 })

  test("return_errors never raises and lets all of them end", function()
    in_virtual_time(function()
      local value = {}
      local results, errors = braid.gather({ after(0.02, "a"), failing(value), after(0.01, "c"), failing("d", 0.02) },
        { return_errors = true })
      assert.equal("a", results[1])
      assert.is_nil(results[2])
      assert.equal("c", results[3])
      assert.equal(4, results.n)
      assert.is_nil(errors[1])
      assert.equal(value, errors[2])
      assert.is_nil(errors[3])
      assert.equal("d", errors[4])
    end)
  end)

  test("return_errors counts as asking: nothing is raised at the end of the scope", function()
    run(function()
      braid.scope(function() braid.gather({ failing("x"), failing("y") }, { return_errors = true }) end)
    end)
  end)

  test("limit is reached and never exceeded", function()
    in_virtual_time(function()
      local now, most, list = 0, 0, {}
      for i = 1, 20 do
        list[i] = function()
          now = now + 1
          most = math.max(most, now)
          braid.sleep(0.002)
          now = now - 1
          return i
        end
      end
      local results = braid.gather(list, { limit = 4 })
      assert.equal(4, most)
      assert.equal(20, results.n)
      for i = 1, 20 do assert.equal(i, results[i]) end
    end)
  end)

  test("with a limit, a failure keeps those that have not started from starting", function()
    in_virtual_time(function()
      local started, list = 0, {}
      for i = 1, 10 do
        list[i] = function()
          started = started + 1
          braid.sleep(0.005)
          if i == 2 then error("x", 0) end
          braid.sleep(60)
        end
      end
      local ok, err = pcall(braid.gather, list, { limit = 2 })
      assert.is_false(ok)
      assert.equal("x", err)
      braid.sleep(0.01)
      assert.equal(2, started)
    end)
  end, { deadline = 10 })

  test("refuses an unknown option, naming the nearest", function()
    run(function()
      local ok, err = pcall(braid.gather, {}, { on_eror = "cancel" })
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("on_error", 1, true), tostring(err))
    end)
  end)

  test("refuses an unknown policy, a bad limit and a bad list", function()
    run(function()
      local ran = false
      local function f() ran = true end
      assert.is_false((pcall(braid.gather, { f }, { on_error = "banana" })))
      assert.is_false((pcall(braid.gather, { f }, { limit = 0 })))
      assert.is_false((pcall(braid.gather, { f }, { limit = "two" })))
      assert.is_false((pcall(braid.gather, { 42 })))
      assert.is_false((pcall(braid.gather)))
      braid.sleep(0)
      assert.is_false(ran)
    end)
  end)
end)

describe("map", function()
  test("calls fn with item and index, results in order", function()
    in_virtual_time(function()
      local results = braid.map(function(item, index)
        braid.sleep(0.01 / index)
        return item .. index
      end, { "a", "b", "c" })
      assert.same({ "a1", "b2", "c3", n = 3 }, results)
    end)
  end)

  test("takes gather's options", function()
    in_virtual_time(function()
      local now, most = 0, 0
      local results, errors = braid.map(function(item)
        now = now + 1
        most = math.max(most, now)
        braid.sleep(0.002)
        now = now - 1
        if item == 3 then error("three", 0) end
        return item * 2
      end, { 1, 2, 3, 4, 5 }, { limit = 2, return_errors = true })
      assert.equal(2, most)
      assert.equal(10, results[5])
      assert.equal("three", errors[3])
    end)
  end)

  test("of an empty list is {n = 0}", function()
    run(function() assert.same({ n = 0 }, braid.map(function() end, {})) end)
  end)
end)

describe("race", function()
  test("gives the results of the first and cancels the others", function()
    in_virtual_time(function()
      local closed = 0
      local function loser()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        braid.sleep(60)
      end
      assert.equal("quick", braid.race { loser, after(0.01, "quick"), loser })
      braid.sleep(0.01)
      assert.equal(2, closed)
    end)
  end, { deadline = 10 })

  test("a failure does not win", function()
    run(function() assert.equal("good", braid.race { failing("bad"), after(0.01, "good") }) end)
  end)

  test("all failed: a group error holds them all", function()
    in_virtual_time(function()
      local err = raises("group", braid.race, { failing("a"), failing("b", 0.005) })
      local texts = {}
      for _, each in ipairs(err.errors) do texts[#texts + 1] = tostring(each) end
      table.sort(texts)
      assert.same({ "a", "b" }, texts)
    end)
  end)

  test("of several that are ready, exactly one wins", function()
    run(function()
      local winner = braid.race { function() return 1 end, function() return 2 end, function() return 3 end }
      assert.is_true(winner == 1 or winner == 2 or winner == 3)
    end)
  end)

  test("cancelled from outside it cancels its functions", function()
    in_virtual_time(function()
      local closed = 0
      local function loser()
        local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        braid.sleep(60)
      end
      local task = braid.spawn(braid.race, { loser, loser })
      braid.sleep(0.01)
      task:cancel()
      raises("cancelled", task.result, task)
      assert.equal(2, closed)
    end)
  end, { deadline = 10 })
end)

describe("as_completed", function()
  test("gives each future once, in the order in which they end", function()
    in_virtual_time(function()
      local futures = { braid.spawn(after(0.05, 3)), braid.spawn(after(0.01, 1)), braid.spawn(after(0.03, 2)) }
      local order = {}
      for future in braid.as_completed(futures) do
        assert.is_true(future:done())
        order[#order + 1] = future:result()
      end
      assert.same({ 1, 2, 3 }, order)
    end)
  end)

  test("finished ones come first", function()
    in_virtual_time(function()
      local slow, done = braid.spawn(after(0.02, "slow")), braid.spawn(function() return "done" end)
      done:result()
      local order = {}
      for future in braid.as_completed { slow, done } do order[#order + 1] = future:result() end
      assert.same({ "done", "slow" }, order)
    end)
  end)

  test("failed and cancelled futures come too", function()
    in_virtual_time(function()
      local futures = { braid.spawn(failing("x", 0.01)), braid.spawn(braid.sleep, 60) }
      futures[2]:cancel()
      local states = {}
      for future in braid.as_completed(futures) do
        states[#states + 1] = future:state()
        pcall(future.result, future)
      end
      assert.same({ "cancelled", "failed" }, states)
    end)
  end, { deadline = 10 })

  test("of an empty list ends at once", function()
    run(function()
      for _ in braid.as_completed {} do error "there is nothing" end
    end)
  end)

  test("its timeout raises how many are unfinished, after giving those that ended", function()
    in_virtual_time(function()
      local futures, given = {}, 0
      for i = 1, 2 do futures[i] = braid.spawn(after(0.001)) end
      for i = 3, 4 do futures[i] = braid.spawn(braid.sleep, 60) end
      local err = raises("timeout", function()
        for _ in braid.as_completed(futures, 0.05) do given = given + 1 end
      end)
      assert.equal(2, given)
      assert.is_truthy(tostring(err):find("2 (of 4) futures unfinished", 1, true), tostring(err))
      for i = 3, 4 do
        assert.is_false(futures[i]:done())
        futures[i]:cancel()
      end
    end)
  end, { deadline = 10 })

  test("may be left early", function()
    in_virtual_time(function()
      local futures = { braid.spawn(after(0.001)), braid.spawn(after(0.02, "rest")) }
      local next_done = braid.as_completed(futures)
      assert.equal(futures[1], next_done())
      assert.equal("rest", futures[2]:result())
    end)
  end)
end)

describe("wait", function()
  test("by default waits for all", function()
    in_virtual_time(function()
      local done, pending = braid.wait { braid.spawn(after(0.02)), braid.spawn(after(0.01)) }
      assert.equal(2, #done)
      assert.equal(0, #pending)
    end)
  end)

  test("never raises: not for failures", function()
    run(function()
      local task = braid.spawn(failing("x"))
      local done = braid.wait { task }
      assert.equal(task, done[1])
      assert.equal("failed", task:state())
      pcall(task.result, task)
    end)
  end)

  test("never raises on timeout, and cancels nobody", function()
    in_virtual_time(function()
      local quick, slow = braid.spawn(after(0.001)), braid.spawn(after(0.1, "slow"))
      local done, pending = braid.wait({ quick, slow }, { timeout = 0.02 })
      assert.same({ 1, 1 }, { #done, #pending })
      assert.equal(quick, done[1])
      assert.equal(slow, pending[1])
      assert.equal("slow", slow:result())
    end)
  end)

  test("return_when = first", function()
    in_virtual_time(function()
      local slow, quick = braid.spawn(braid.sleep, 60), braid.spawn(after(0.005))
      local done, pending = braid.wait({ slow, quick }, { return_when = "first" })
      assert.equal(quick, done[1])
      assert.equal(slow, pending[1])
      slow:cancel()
    end)
  end, { deadline = 10 })

  test("return_when = first_error returns at the first error, not before", function()
    in_virtual_time(function()
      local slow, quick, bad = braid.spawn(braid.sleep, 60), braid.spawn(after(0.001)), braid.spawn(failing("x", 0.02))
      local done, pending = braid.wait({ slow, quick, bad }, { return_when = "first_error" })
      assert.equal(2, #done)
      assert.equal(slow, pending[1])
      pcall(bad.result, bad)
      slow:cancel()
    end)
  end, { deadline = 10 })

  test("return_when = first_error without an error waits for all", function()
    in_virtual_time(function()
      local done, pending = braid.wait({ braid.spawn(after(0.01)), braid.spawn(after(0.001)) },
        { return_when = "first_error" })
      assert.same({ 2, 0 }, { #done, #pending })
    end)
  end)

  test("refuses an unknown return_when and an unknown option", function()
    run(function()
      assert.is_false((pcall(braid.wait, {}, { return_when = "never" })))
      local ok, err = pcall(braid.wait, {}, { return_wen = "all" })
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("return_when", 1, true), tostring(err))
    end)
  end)
end)
