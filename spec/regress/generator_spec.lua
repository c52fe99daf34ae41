-- SPDX-License-Identifier: MIT
-- Scopes that were opened inside a generator of braid.wrap applied to its consumer between the steps, and for ever when
-- it was left by break.
local helper = require "spec.helper"
local braid = require "braid"

local function closing(fn) return setmetatable({}, { __close = fn }) end

-- As a loop does that is left by break.
local function first(step) return step() end

-- The errors that were reported while fn ran in a run, how the run ended, and its error.
local function reports_of(fn)
  local reports = {}
  local places = {}
  braid.on_unhandled(function(err, place)
    reports[#reports + 1] = tostring(err)
    places[#places + 1] = place
  end)
  local ok, err = pcall(helper.run, fn)
  braid.on_unhandled(nil)
  return reports, ok, err, places
end

-- Collects until `event` is set by what that brings about.
local function collect_until(event)
  for _ = 1, 20 do
    collectgarbage()
    if event:wait(0.05) then return true end
  end
end

describe("between the steps of a generator", function()
  helper.test("its deadline is not the consumer's", function()
    helper.run(function()
      assert.equal(1, first(braid.wrap(function()
        braid.timeout(0.01, function() coroutine.yield(1) end)
      end)))
      braid.sleep(0.03)
    end)
  end)

  helper.test("its shield is not the consumer's", function()
    helper.run(function()
      local at = braid.event()
      local task = braid.spawn(function()
        first(braid.wrap(function() braid.shield(function() coroutine.yield(1) end) end))
        at:set()
        braid.sleep(100)
      end)
      at:wait()
      task:cancel()
      task:wait()
      assert.equal("cancelled", task:state())
    end)
  end)

  helper.test("the consumer's tasks are not its scope's", function()
    local reports, ok, err = reports_of(function()
      first(braid.wrap(function() braid.scope(function() coroutine.yield(1) end) end))
      braid.spawn(error, "of the consumer's task", 0)
      braid.sleep(0)
    end)
    assert.is_false(ok)
    assert.equal("of the consumer's task", err)
    assert.same({ "of the consumer's task" }, reports)
  end)

  helper.test("its deadline fires, and ends its next step", function()
    helper.run(function()
      local step = braid.wrap(function()
        braid.timeout(0.01, function()
          coroutine.yield(1)
          braid.sleep(100)
        end)
      end)
      assert.equal(1, step())
      braid.sleep(0.03)
      local ok, err = pcall(step)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "timeout"))
    end)
  end)

  helper.test("its children run, and their failure is raised by the next step", function()
    helper.run(function()
      local step = braid.wrap(function()
        braid.scope(function(scope)
          local queue = braid.queue()
          scope:spawn(function()
            queue:put(1)
            queue:put(2)
            error("of the child", 0)
          end)
          for value in queue:items() do coroutine.yield(value) end
        end)
      end)
      assert.equal(1, step())
      braid.sleep(0)
      local ok, err = pcall(function() repeat until step() == nil end)
      assert.is_false(ok)
      assert.equal("of the child", err)
    end)
  end)

  helper.test("other tasks take it over", function()
    helper.run(function()
      local step = braid.wrap(function()
        braid.scope(function(scope)
          local queue = braid.queue(1)
          scope:spawn(function()
            for i = 1, 4 do queue:put(i) end
            queue:close()
          end)
          for value in queue:items() do coroutine.yield(value) end
        end)
      end)
      local got = { step() }
      for _ = 1, 3 do
        braid.scope(function(scope) got[#got + 1] = scope:spawn(step):result() end)
      end
      assert.equal("1 2 3 4", table.concat(got, " "))
      assert.is_nil(step())
    end)
  end)

  helper.test("those of a generator inside it are aside, too", function()
    helper.run(function()
      local function inner()
        return braid.wrap(function()
          braid.scope(function()
            for i = 1, 3 do
              braid.sleep(0)
              coroutine.yield(i)
            end
          end)
        end)
      end
      local got = {}
      for value in braid.wrap(function()
        braid.timeout(100, function() for i in inner() do coroutine.yield(10 * i) end end)
      end) do
        got[#got + 1] = value
        assert.is_false(pcall(braid.timeout, 0.001, braid.sleep, 100))
      end
      assert.equal("10 20 30", table.concat(got, " "))
    end)
  end)

  helper.test("a cancel that came to them in a step stays with them", function()
    helper.run(function()
      local step
      local inside = braid.event()
      local consumer = braid.spawn(function()
        step = braid.wrap(function()
          braid.scope(function()
            coroutine.yield(1)
            inside:set()
            pcall(braid.sleep, 100)
            coroutine.yield(2)
            braid.sleep(100)
          end)
        end)
        step()
        return step()
      end)
      inside:wait()
      consumer:cancel()
      assert.equal(2, consumer:result())
      local ok, err = pcall(step)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err))
    end)
  end)

  helper.test("it does not go on where its scopes could not wait", function()
    helper.run(function()
      local step = braid.wrap(function()
        braid.scope(function()
          coroutine.yield(1)
          coroutine.yield(2)
        end)
      end)
      step()
      local ok, err
      local task = braid.spawn(function() end)
      task:on_done(function() ok, err = pcall(step) end)
      task:wait()
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
      assert.equal(2, step())
    end)
  end)
end)

describe("a generator with a scope that is left", function()
  helper.test("is closed by a task when it is collected", function()
    local log = {}
    local function fail() error("in clean-up", 0) end
    local reports, ok, err, places = reports_of(function()
      local closed = braid.event()
      do
        local step = braid.wrap(function()
          local _ <close> = closing(function()
            braid.shield(braid.sleep, 0.001)
            log[#log + 1] = "closed"
            closed:set()
            fail()
          end)
          braid.scope(function(scope)
            scope:spawn(function()
              local _ <close> = closing(function() log[#log + 1] = "child" end)
              braid.sleep(100)
            end)
            coroutine.yield(1)
          end)
        end)
        assert.equal(1, step())
      end
      braid.sleep(0)
      assert.is_true(collect_until(closed))
    end)
    assert.equal("child, closed", table.concat(log, ", "))
    assert.same({ "in clean-up" }, reports)
    assert.matches("upvalue 'fail'", places[1])
    assert.no_matches("%[C%]: in %?", places[1])
    assert.is_false(ok)
    assert.equal("in clean-up", err)
  end)

  helper.test("keeps what its variables need until they are closed", function()
    helper.run(function()
      local closed = braid.event()
      local got
      do
        local step = braid.wrap(function()
          local queue = braid.queue()
          local _ <close> = closing(function()
            queue:try_put("still there")
            got = queue:try_get()
            closed:set()
          end)
          braid.scope(function() coroutine.yield(1) end)
        end)
        step()
      end
      assert.is_true(collect_until(closed))
      assert.equal("still there", got)
    end)
  end)

  helper.test("is closed at the end of the scope in which it was made", function()
    helper.run(function()
      local log, step = {}, nil
      braid.scope(function()
        step = braid.wrap(function()
          local _ <close> = closing(function() log[#log + 1] = "closed" end)
          braid.scope(function(scope)
            scope:spawn(braid.sleep, 100)
            coroutine.yield(1)
          end)
        end)
        step()
      end)
      assert.equal("closed", log[1])
      local ok, err = pcall(step)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
    end)
  end)

  helper.test("is closed though it catches the error", function()
    local _, ok = reports_of(function()
      local step = braid.wrap(function()
        braid.scope(function() while true do pcall(coroutine.yield, 1) end end)
      end)
      step()
    end)
    assert.is_true(ok)
    local reports
    reports, ok = reports_of(function()
      local step = braid.wrap(function()
        local function stay() coroutine.yield(1) end
        braid.scope(function() while true do pcall(function() while true do pcall(stay) end end) end end)
      end)
      step()
    end)
    assert.is_false(ok)
    assert.matches("goes on yielding", reports[1])
  end)

  helper.test("is closed with the script", function()
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      step = braid.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        braid.scope(function(scope)
          scope:spawn(braid.sleep, 100)
          coroutine.yield(1)
        end)
      end)
      print(step())
    ]]
    assert.equal("1\nclosed\n", out)
    assert.equal("", err)
    assert.equal(0, status)
  end)

  helper.test("does so in a worker's job", function()
    helper.run(function()
      local pool <close> = braid.thread_pool(1)
      local queue = braid.queue()
      pool:submit(load [[
        local queue = ...
        local braid = require "braid"
        local step = braid.wrap(function()
          local _ <close> = setmetatable({}, { __close = function() queue:try_put "closed" end })
          braid.scope(function(scope)
            scope:spawn(braid.sleep, 100)
            coroutine.yield(1)
          end)
        end)
        step()
      ]], queue):result()
      assert.equal("closed", queue:try_get())
    end)
  end)
end)
