-- SPDX-License-Identifier: MIT
-- A cancel took quadratic time in deep nests; its reason was lost for a task that had not begun.
local helper = require "spec.helper"
local braid = require "braid"

describe("a cancel", function()
  helper.test("takes as long for each of the scopes in a deep nest as in a flat one", function()
    local function nest(depth)
      if depth == 0 then braid.sleep(1000) end
      braid.scope(function(scope) scope:spawn(nest, depth - 1) end)
    end
    local function seconds(depth)
      local start = os.clock()
      helper.run(function() braid.move_on_after(0.3 * helper.slowness, nest, depth) end)
      return os.clock() - start
    end
    seconds(1000)
    local shallow, deep = seconds(2000), seconds(40000)
    assert.is_true(deep < 100 * shallow, ("%g s for 2000, %g s for 40000"):format(shallow, deep))
  end, { deadline = 60 })

  helper.test("keeps its reason for a task that has not begun", function()
    helper.run(function()
      local early, late = braid.spawn(print, "never"), braid.spawn(print, "never")
      early:cancel("because")
      late:cancel("why")
      local function check(task, reason)
        local ok, err = pcall(task.result, task)
        assert.is_false(ok)
        assert.is_true(braid.is_error(err, "cancelled"))
        assert.equal(reason, err.reason)
        assert.matches(reason, err.message)
        assert.equal(reason, task:error().reason)
      end
      check(early, "because")
      braid.sleep(0.01)
      check(late, "why")
      local of_scope
      braid.scope(function(scope)
        of_scope = scope:spawn(print, "never")
        scope:cancel("enough")
      end)
      check(of_scope, "enough")
    end)
  end)

  helper.test("does not reach through a shield, and reaches what is spawned outside of it", function()
    helper.run(function()
      local inside, outside
      braid.move_on_after(0.01, function()
        braid.scope(function(outer)
          outside = outer:spawn(braid.sleep, 100)
          braid.shield(function()
            braid.scope(function(scope) inside = scope:spawn(braid.sleep, 0.05) end)
          end)
          braid.sleep(100)
        end)
      end)
      assert.equal("done", inside:state())
      assert.equal("cancelled", outside:state())
    end)
  end)

  helper.test("of a scope that was left leaves nothing behind in scopes that were forgotten in it", function()
    helper.run(function()
      local forgotten
      braid.move_on_after(0.01, function()
        forgotten = braid.scope()
        pcall(braid.sleep, 100)
      end)
      braid.sleep(0.01)
      assert.is_true(pcall(braid.sleep, 0))
      forgotten:cancel() -- it ended with what was around it
      assert.is_true(pcall(braid.sleep, 0))
      local close = getmetatable(forgotten).__close
      pcall(close, forgotten)
    end)
  end)
end)
