-- SPDX-License-Identifier: MIT
-- Supervisors: strategies, limits, pauses, order, health, and that nothing is left of a child.
local helper = require "spec.helper"
local braid = require "braid"

local test, run = helper.test, helper.run

-- Runs fn(supervise), where supervise(opts) makes a supervisor that reports to us; returns the reported errors.
local function quietly(fn)
  local reported = {}
  run(fn, function(opts)
    opts.on_failure = function(err) reported[#reported + 1] = err end
    return braid.supervisor(opts)
  end)
  return reported
end

-- A child that notes its start and its end in the log, and waits.
local function noted(log, name, more)
  local child = {
    name = name,
    run = function()
      log[#log + 1] = "+" .. name
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "-" .. name end })
      braid.sleep(100)
    end,
  }
  for key, value in pairs(more or {}) do child[key] = value end
  return child
end

local function wait_until(fn)
  braid.timeout(5 * helper.slowness, function()
    while not fn() do braid.sleep(0.002) end
  end)
end

local function said(log) return table.concat(log, " ") end

describe("a supervisor", function()
  test("starts in order, and stops in the opposite order", function()
    run(function()
      local log = {}
      do
        local supervisor <close> = braid.supervisor { children = { noted(log, "a"), noted(log, "b"), noted(log, "c") } }
        wait_until(function() return #log == 3 end)
        local names = {}
        for i, child in ipairs(supervisor:children()) do names[i] = child.name .. child.state .. child.restarts end
        assert.same({ "arunning0", "brunning0", "crunning0" }, names)
      end
      assert.equal("+a +b +c -c -b -a", said(log))
    end)
  end)

  test("stops in order when its scope is cancelled", function()
    run(function()
      local log = {}
      local task = braid.spawn(braid.scope, function()
        braid.supervisor { children = { noted(log, "a"), noted(log, "b"), noted(log, "c") } }
        braid.sleep(100)
      end)
      wait_until(function() return #log == 3 end)
      task:cancel()
      assert.is_true(task:wait(5))
      assert.equal("+a +b +c -c -b -a", said(log))
    end)
  end)

  test("restarts what has failed, and ends at the fourth failure", function()
    local count = 0
    local reported = quietly(function(supervise)
      local supervisor = supervise {
        children = { { name = "a", run = function() count = count + 1 error("failure " .. count, 0) end,
          backoff = { first = 0.001 } } },
      }
      local ok, err = pcall(supervisor.wait, supervisor)
      assert.is_false(ok)
      assert.equal("restarts", err.kind)
      assert.equal("failure 4", err.cause)
      assert.equal("a", err.child)
      assert.is_true(supervisor:stop())
      assert.equal("closed", select(2, supervisor:restart "a").kind)
    end)
    assert.equal(4, count)
    assert.same({ "failure 1", "failure 2", "failure 3" }, reported)
  end)

  test("raises its failure in the scope where nobody has asked", function()
    local ok, err
    quietly(function(supervise)
      ok, err = pcall(braid.scope, function()
        supervise { max_restarts = 0, children = { { name = "a", run = function() error "no" end } } }
      end)
    end)
    assert.is_false(ok)
    assert.equal("restarts", err.kind)
  end)

  test("forgets failures that are older than its period", function()
    quietly(function(supervise)
      local count = 0
      local supervisor <close> = supervise {
        max_restarts = 1, period = 0.02,
        children = { { name = "a", run = function() count = count + 1 error "again" end,
          backoff = { first = 0.05, factor = 1 } } },
      }
      wait_until(function() return count == 4 end)
      assert.is_false(braid.move_on_after(0, supervisor.wait, supervisor))
    end)
  end)

  test("restarts by its strategy", function()
    for strategy, expected in pairs {
      one_for_one = "+a +b +c -b +b", rest_for_one = "+a +b +c -b -c +b +c", all_for_one = "+a +b +c -b -c -a +a +b +c",
    } do
      local log, fail = {}, nil
      quietly(function(supervise)
        fail = braid.event()
        local b = noted(log, "b", { backoff = { first = 0.01 } })
        b.run = function()
          log[#log + 1] = "+b"
          local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "-b" end })
          fail:wait()
          fail:clear()
          error "b fails"
        end
        local supervisor <close> = supervise { strategy = strategy, children = {
          noted(log, "a"), b, noted(log, "c") } }
        wait_until(function() return #log == 3 end)
        fail:set()
        wait_until(function() return said(log) == expected end)
        assert.equal(1, supervisor:children()[2].restarts)
      end)
    end
  end)

  test("knows when not to restart", function()
    local reported = quietly(function(supervise)
      local runs = { always = 0, on_error = 0, never = 0 }
      local function child(restart, fn)
        return { name = restart, restart = restart, backoff = { first = 0.001 }, run = function()
          runs[restart] = runs[restart] + 1
          fn(runs[restart])
        end }
      end
      local supervisor = supervise { children = {
        child("on_error", function(i) if i < 3 then error "no" end end),
        child("never", function() error "never" end),
      } }
      assert.is_true(supervisor:wait(5))
      assert.same({ always = 0, on_error = 3, never = 1 }, runs)
      local forever <close> = supervise { children = { child("always", function() end) } }
      wait_until(function() return runs.always > 10 end)
      assert.error_matches(function() forever:wait(0.01) end, "")
    end)
    assert.equal(3, #reported)
  end)

  test("restarts by name without counting it", function()
    run(function()
      local log = {}
      local supervisor <close> = braid.supervisor { max_restarts = 0, children = { noted(log, "a"), noted(log, "b") } }
      wait_until(function() return #log == 2 end)
      assert.is_true(supervisor:restart "a")
      wait_until(function() return said(log) == "+a +b -a +a" end)
      assert.error_matches(function() supervisor:restart "x" end, "the name of a child expected")
    end)
  end)

  test("runs threads and processes, and replaces those that die", function()
    local reported = quietly(function(supervise)
      local threads, processes, here = braid.counter(), braid.counter(), braid.queue()
      do
        local supervisor <close> = supervise { max_restarts = 10, children = {
          { name = "thread", model = "thread", backoff = { first = 0.001 }, run = function()
            if threads:add() < 3 then error "in a thread" end
            here:put "thread"
            require "braid".sleep(100)
          end },
          { name = "process", model = "process", backoff = { first = 0.001 }, run = function()
            if processes:add() < 3 then os.exit(3) end
            here:put "process"
            while true do end -- luacheck: ignore
          end },
        } }
        local names = { here:get(20 * helper.slowness), here:get(20 * helper.slowness) }
        table.sort(names)
        assert.same({ "process", "thread" }, names)
        assert.equal(2, supervisor:children()[1].restarts)
      end
    end)
    assert.equal(4, #reported)
    local kinds = {}
    for _, err in ipairs(reported) do kinds[#kinds + 1] = braid.is_error(err) and err.kind or "error" end
    table.sort(kinds)
    assert.same({ "error", "error", "worker_died", "worker_died" }, kinds)
  end, { deadline = 60 })

  test("refuses at once what cannot be sent", function()
    quietly(function(supervise)
      local file <close> = assert(io.open "/dev/null")
      local supervisor = supervise { children = { { name = "a", model = "thread", run = function()
        return file
      end } } }
      local ok, err = pcall(supervisor.wait, supervisor)
      assert.is_false(ok)
      assert.equal("not_sendable", err.kind)
    end)
  end)

  test("restarts a child that is not healthy", function()
    local reported = quietly(function(supervise)
      local log, sick = {}, true
      local supervisor <close> = supervise { children = { noted(log, "a", {
        backoff = { first = 0.001 },
        health = function(child)
          assert.equal("a", child.name)
          local was_sick = sick
          sick = false
          return not was_sick
        end,
      }) } }
      wait_until(function() return said(log) == "+a -a +a" end)
      assert.equal(1, supervisor:children()[1].restarts)
    end)
    assert.matches("not healthy", reported[1].message)
  end)

  test("leaves a child alone that does not stop", function()
    local reported = quietly(function(supervise)
      local free = braid.event()
      local supervisor = supervise { children = { { name = "a", stop_timeout = 0.02, run = function()
        braid.shield(free.wait, free)
      end } } }
      braid.sleep(0.01)
      local stopping = braid.spawn(supervisor.stop, supervisor)
      braid.sleep(0.1)
      free:set()
      assert.is_true(stopping:result(5))
    end)
    assert.matches("has not stopped within 0.02 s", reported[1].message)
  end)

  test("pauses longer from failure to failure, and forgets them in good times", function()
    local begins = {}
    braid.testing.run(function()
      local supervisor <close> = braid.supervisor { max_restarts = 100, on_failure = function() end, children = { {
        name = "a", backoff = { first = 1, factor = 3, most = 20 },
        run = function()
          begins[#begins + 1] = braid.now()
          if #begins == 5 then braid.sleep(10) end
          error "again"
        end,
      } } }
      repeat braid.sleep(1) until #begins == 7
      assert.equal("waiting", supervisor:children()[1].state)
    end)
    local pauses = {}
    for i = 2, #begins do pauses[i - 1] = (begins[i] - begins[i - 1] + 0.5) // 1 end
    assert.same({ 1, 3, 9, 20, 11, 3 }, pauses)
  end)

  test("is shown as a tree", function()
    run(function()
      local log = {}
      local supervisor <close> = braid.supervisor { name = "crawler", children = { noted(log, "reader") } }
      wait_until(function() return #log == 1 and supervisor end)
      assert.matches("task crawler %(children%)[^\n]*\n    task reader", braid.dump(false))
    end)
  end)

  test("says what is wrong with its options", function()
    local function refused(opts, text) assert.error_matches(function() braid.supervisor(opts) end, text) end
    local function fn() end
    refused(nil, "children are missing")
    refused({ children = {} }, "children are missing")
    refused({ children = { { run = fn } } }, "a child lacks 'name'")
    refused({ children = { { name = "a" } } }, "a child lacks 'run'")
    refused({ children = { { name = "a", run = fn }, { name = "a", run = fn } } }, "two children have the name \"a\"")
    refused({ children = { { name = "a", run = fn, modell = "task" } } }, "did you mean 'model'")
    refused({ children = { { name = "a", run = fn, model = "fiber" } } }, 'bad option \'model\'.*"process", "task"')
    refused({ strategy = "none", children = { { name = "a", run = fn } } }, "bad option 'strategy'")
    refused({ children = { { name = "a", run = fn, backoff = { first = -1 } } } }, "bad option 'backoff.first'")
    refused({ max_restart = 1, children = { { name = "a", run = fn } } }, "did you mean 'max_restarts'")
  end)
end)
