-- SPDX-License-Identifier: MIT
-- Scopes: who waits for whom, who cancels whom, and which error comes out.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local in_virtual_time = helper.in_virtual_time
local raises = expect.raises

local function on_close(fn) return setmetatable({}, { __close = fn }) end

describe("braid.scope", function()
  test("returns the results of its body, nils included", function()
    run(function()
      local results = table.pack(braid.scope(function() return nil, 2, nil end))
      assert.equal(3, results.n)
      assert.equal(2, results[2])
    end)
  end)

  test("ends when its children have ended", function()
    in_virtual_time(function()
      local log = {}
      braid.scope(function(scope)
        scope:spawn(function() braid.sleep(0.02) log[#log + 1] = "slow" end)
        scope:spawn(function() log[#log + 1] = "quick" end)
      end)
      log[#log + 1] = "after"
      assert.same({ "quick", "slow", "after" }, log)
    end)
  end)

  test("waits for braid.spawn'ed children too, and for theirs", function()
    in_virtual_time(function()
      local ended = 0
      braid.scope(function()
        braid.spawn(function()
          braid.spawn(function() braid.sleep(0.02) ended = ended + 1 end)
          ended = ended + 1
        end)
      end)
      assert.equal(2, ended)
    end)
  end)

  test("does not wait for tasks of the outer scope", function()
    in_virtual_time(function()
      local outer = braid.spawn(braid.sleep, 0.2)
      braid.scope(function(scope) scope:spawn(braid.sleep, 0.001) end)
      assert.is_false(outer:done())
      outer:cancel()
    end)
  end)

  test("a failing child cancels its siblings and the body, and its error comes out as it is", function()
    in_virtual_time(function()
      local value, log = {}, {}
      local ok, err = pcall(braid.scope, function(scope)
        scope:spawn(function()
          local _ <close> = on_close(function() log[#log + 1] = "sibling" end)
          braid.sleep(60)
          log[#log + 1] = "never"
        end)
        scope:spawn(function() braid.sleep(0.01) error(value) end)
        local _ <close> = on_close(function() log[#log + 1] = "body" end)
        braid.sleep(60)
        log[#log + 1] = "never"
      end)
      assert.is_false(ok)
      assert.equal(value, err)
      table.sort(log)
      assert.same({ "body", "sibling" }, log)
    end)
  end, { deadline = 10 })

  test("a failing child cancels them also when its result was fetched", function()
    run(function()
      local sibling
      local ok, err = pcall(braid.scope, function(scope)
        sibling = scope:spawn(braid.sleep, 60)
        local failing = scope:spawn(function() braid.sleep(0) error("x", 0) end)
        pcall(failing.result, failing)
      end)
      assert.is_false(ok)
      assert.equal("x", err)
      assert.is_true(sibling:cancelled())
    end)
  end, { deadline = 10 })

  test("an error of the body cancels the children and comes out as it is", function()
    run(function()
      local value, child = {}, nil
      local ok, err = pcall(braid.scope, function(scope)
        child = scope:spawn(braid.sleep, 60)
        braid.sleep(0)
        error(value)
      end)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.is_true(child:cancelled())
    end)
  end, { deadline = 10 })

  test("two failures come out as a group", function()
    in_virtual_time(function()
      local err = raises("group", braid.scope, function(scope)
        scope:spawn(function()
          pcall(braid.sleep, 60)
          error("second", 0)
        end)
        scope:spawn(function() braid.sleep(0.01) error("first", 0) end)
      end)
      local texts = {}
      for _, each in ipairs(err.errors) do texts[#texts + 1] = tostring(each) end
      table.sort(texts)
      assert.same({ "first", "second" }, texts)
    end)
  end, { deadline = 10 })

  test("the cancellation's echo is not part of the failure", function()
    run(function()
      local ok, err = pcall(braid.scope, function(scope)
        for _ = 1, 5 do scope:spawn(braid.sleep, 60) end
        scope:spawn(function() braid.sleep(0) error("only me", 0) end)
        braid.sleep(60)
      end)
      assert.is_false(ok)
      assert.equal("only me", err)
    end)
  end, { deadline = 10 })

  test("waits for a sibling's clean-up before it raises", function()
    run(function()
      local cleaned = false
      pcall(braid.scope, function(scope)
        scope:spawn(function()
          local _ <close> = on_close(function()
            braid.shield(braid.sleep, 0.03)
            cleaned = true
          end)
          braid.sleep(60)
        end)
        scope:spawn(function() braid.sleep(0) error("x") end)
      end)
      assert.is_true(cleaned)
    end)
  end, { deadline = 10 })

  test("an unfetched failure of a braid.spawn'ed child comes out at the end, and cancels nobody", function()
    local stdout, stderr = helper.lua_process([[
      local braid = require "braid"
      braid.run(function()
        local sibling
        local ok, err = pcall(braid.scope, function()
          sibling = braid.spawn(function() braid.sleep(0.02) return "whole" end)
          braid.spawn(function() error("kept", 0) end)
        end)
        print(ok, err, sibling:state())
      end)
    ]])
    assert.equal("false\tkept\tdone\n", stdout)
    assert.is_truthy(stderr:find("kept", 1, true), stderr)
  end)

  test("a fetched failure of a braid.spawn'ed child is not raised", function()
    run(function()
      braid.scope(function()
        local task = braid.spawn(function() error("x") end)
        pcall(task.result, task)
      end)
    end)
  end)

  test("a cancelled child is no failure", function()
    in_virtual_time(function()
      local sibling
      braid.scope(function(scope)
        local task = scope:spawn(braid.sleep, 60)
        sibling = scope:spawn(function() braid.sleep(0.01) return "whole" end)
        braid.sleep(0)
        task:cancel()
      end)
      assert.equal("whole", sibling:result())
    end)
  end, { deadline = 10 })

  test("cancel ends the scope early and is not an error", function()
    run(function()
      local child, reached
      braid.scope(function(scope)
        child = scope:spawn(braid.sleep, 60)
        braid.sleep(0)
        scope:cancel("enough")
        braid.sleep(60)
        reached = true
      end)
      assert.is_true(child:cancelled())
      assert.is_nil(reached)
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("cancel may come from a child", function()
    in_virtual_time(function()
      local others = {}
      braid.scope(function(scope)
        others[1] = scope:spawn(braid.sleep, 60)
        scope:spawn(function() braid.sleep(0.01) scope:cancel() end)
        others[2] = scope:spawn(braid.sleep, 60)
      end)
      assert.is_true(others[1]:cancelled() and others[2]:cancelled())
    end)
  end, { deadline = 10 })

  test("a failure after cancel still comes out", function()
    run(function()
      local ok, err = pcall(braid.scope, function(scope)
        scope:spawn(function() pcall(braid.sleep, 60) error("clean-up failed", 0) end)
        braid.sleep(0)
        scope:cancel()
      end)
      assert.is_false(ok)
      assert.equal("clean-up failed", err)
    end)
  end, { deadline = 10 })

  test("cancelling an inner scope leaves the outer one alone", function()
    in_virtual_time(function()
      local outer_child
      braid.scope(function(outer)
        outer_child = outer:spawn(function() braid.sleep(0.02) return "whole" end)
        braid.scope(function(inner)
          inner:spawn(braid.sleep, 60)
          inner:cancel()
        end)
        braid.sleep(0)
      end)
      assert.equal("whole", outer_child:result())
    end)
  end, { deadline = 10 })

  test("cancelling an outer scope ends the inner one", function()
    in_virtual_time(function()
      local closed = 0
      braid.scope(function(outer)
        outer:spawn(function()
          braid.scope(function(inner)
            for _ = 1, 2 do
              inner:spawn(function()
                local _ <close> = on_close(function() closed = closed + 1 end)
                braid.sleep(60)
              end)
            end
          end)
        end)
        braid.sleep(0.01)
        outer:cancel()
      end)
      assert.equal(2, closed)
    end)
  end, { deadline = 10 })

  test("its timeout ends the children", function()
    run(function()
      local start, child = braid.now(), nil
      pcall(braid.scope, function(scope)
        child = scope:spawn(braid.sleep, 60)
        braid.sleep(60)
      end, { timeout = 0.02 })
      assert.is_true(child:cancelled())
      assert.is_true(braid.now() - start < 5)
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("its timeout does nothing when it ends in time", function()
    in_virtual_time(function()
      assert.equal("in time", braid.scope(function() braid.sleep(0.001) return "in time" end, { timeout = 0.05 }))
      braid.sleep(0.08)
    end)
  end)

  test("spawning into a scope that has ended is an error", function()
    run(function()
      local kept
      braid.scope(function(scope) kept = scope end)
      local started = false
      assert.is_false((pcall(kept.spawn, kept, function() started = true end)))
      braid.sleep(0)
      assert.is_false(started)
    end)
  end)

  test("spawning into a scope that has failed is an error", function()
    in_virtual_time(function()
      local refused
      pcall(braid.scope, function(scope)
        scope:spawn(function() error("x") end)
        pcall(braid.sleep, 0.01)
        refused = not pcall(scope.spawn, scope, function() end)
      end)
      assert.is_true(refused)
    end)
  end)

  test("an unknown option is refused with the nearest name", function()
    run(function()
      local ok, err = pcall(braid.scope, function() end, { timout = 1 })
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find("timeout", 1, true), tostring(err))
    end)
  end)

  test("100 scopes inside each other", function()
    run(function()
      local function nest(n)
        if n == 0 then return 0 end
        return 1 + braid.scope(function() braid.sleep(0) return nest(n - 1) end)
      end
      assert.equal(100, nest(100))
    end)
  end)
end)

describe("local scope <close>", function()
  test("waits for the children at the end of the block", function()
    in_virtual_time(function()
      local log = {}
      do
        local scope <close> = braid.scope()
        scope:spawn(function() braid.sleep(0.02) log[#log + 1] = "child" end)
        log[#log + 1] = "body"
      end
      log[#log + 1] = "after"
      assert.same({ "body", "child", "after" }, log)
    end)
  end)

  test("braid.spawn in the block belongs to it, after the block no longer", function()
    in_virtual_time(function()
      local inside
      do
        local _ <close> = braid.scope()
        inside = braid.spawn(braid.sleep, 0.01)
      end
      assert.is_true(inside:done())
      local outside = braid.spawn(function() braid.sleep(0.01) return "outside" end)
      assert.is_false(outside:done())
      assert.equal("outside", outside:result())
    end)
  end)

  test("raises a child's failure as it is", function()
    run(function()
      local value, sibling = {}, nil
      local ok, err = pcall(function()
        local scope <close> = braid.scope()
        sibling = scope:spawn(braid.sleep, 60)
        scope:spawn(function() braid.sleep(0) error(value) end)
      end)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.is_true(sibling:cancelled())
    end)
  end, { deadline = 10 })

  test("an error of the block cancels the children and comes out", function()
    run(function()
      local child
      local ok, err = pcall(function()
        local scope <close> = braid.scope()
        child = scope:spawn(braid.sleep, 60)
        error("block", 0)
      end)
      assert.is_false(ok)
      assert.equal("block", err)
      assert.is_true(child:cancelled())
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("cancel, then the end of the block, is not an error", function()
    run(function()
      local child
      do
        local scope <close> = braid.scope()
        child = scope:spawn(braid.sleep, 60)
        scope:cancel()
      end
      assert.is_true(child:cancelled())
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("a return from the block keeps its values", function()
    in_virtual_time(function()
      local function f()
        local scope <close> = braid.scope()
        scope:spawn(braid.sleep, 0.01)
        return 1, nil, 3
      end
      assert.equal(3, select("#", f()))
    end)
  end)
end)

describe("timeout and move_on_after", function()
  test("timeout returns the results when fn is in time", function()
    run(function()
      local results = table.pack(braid.timeout(5, function(...) braid.sleep(0) return ... end, nil, 2, nil))
      assert.equal(3, results.n)
      assert.equal(2, results[2])
    end)
  end)

  test("timeout cancels fn at the deadline and raises", function()
    run(function()
      local closed = false
      raises("timeout", braid.timeout, 0.01, function()
        local _ <close> = on_close(function() closed = true end)
        braid.sleep(60)
      end)
      assert.is_true(closed)
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("timeout of nil never fires", function()
    in_virtual_time(function() assert.equal(3, braid.timeout(nil, function(a) braid.sleep(0.01) return a end, 3)) end)
  end)

  test("fn's own error wins", function()
    run(function()
      local value = {}
      local ok, err = pcall(braid.timeout, 5, function() error(value) end)
      assert.is_false(ok)
      assert.equal(value, err)
      ok, err = pcall(braid.timeout, 0.01, function() pcall(braid.sleep, 60) error(value) end)
      assert.is_false(ok)
      assert.equal(value, err)
    end)
  end, { deadline = 10 })

  test("an outer deadline is not claimed by the inner timeout", function()
    run(function()
      local inner
      raises("timeout", braid.timeout, 0.02, function()
        local ok
        ok, inner = pcall(braid.timeout, 60, braid.sleep, 60)
        assert.is_false(ok)
        braid.sleep(60)
      end)
      assert.is_true(braid.is_error(inner, "cancelled"), tostring(inner))
    end)
  end, { deadline = 10 })

  test("an inner deadline leaves the outer body going", function()
    in_virtual_time(function()
      local after = braid.timeout(5, function()
        raises("timeout", braid.timeout, 0.01, braid.sleep, 60)
        braid.sleep(0.001)
        return "after"
      end)
      assert.equal("after", after)
    end)
  end, { deadline = 10 })

  test("a timeout that was in time does not fire later", function()
    in_virtual_time(function()
      for _ = 1, 100 do braid.timeout(0.01, braid.sleep, 0) end
      braid.sleep(0.03)
    end)
  end)

  test("move_on_after returns true and the results, or false", function()
    in_virtual_time(function()
      local ok, a, b = braid.move_on_after(5, function(x) braid.sleep(0) return x, 2 end, 1)
      assert.same({ true, 1, 2 }, { ok, a, b })
      assert.is_false(braid.move_on_after(0.01, braid.sleep, 60))
      braid.sleep(0)
    end)
  end, { deadline = 10 })

  test("move_on_after raises fn's own error, even a timeout that is not its own", function()
    run(function()
      local ok, err = pcall(braid.move_on_after, 5, function() error("own", 0) end)
      assert.is_false(ok)
      assert.equal("own", err)
      raises("timeout", braid.move_on_after, 5, braid.timeout, 0.01, braid.sleep, 60)
    end)
  end, { deadline = 10 })

  test("a negative time is refused", function()
    run(function()
      assert.is_false((pcall(braid.timeout, -1, function() end)))
      assert.is_false((pcall(braid.move_on_after, -1, function() end)))
    end)
  end)
end)
