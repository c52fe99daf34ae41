-- SPDX-License-Identifier: MIT
-- Every call that is documented as suspending looks for a cancel first, also when it has nothing to wait for.
local braid = require "braid"
local helper = require "spec.helper"
local test, run = helper.test, helper.run

local function id(x) return x end

local calls = {
  ["queue:put_many of nothing"] = function() braid.queue():put_many {} end,
  ["condition:wait_for what holds"] = function()
    braid.condition():wait_for(function() return true end)
  end,
  ["wait for nothing"] = function() braid.wait {} end,
  ["gather of nothing"] = function() braid.gather {} end,
  ["gather of nothing that goes on"] = function() braid.gather({}, { on_error = "continue" }) end,
  ["map of nothing"] = function() braid.map(id, {}) end,
  ["as_completed of nothing"] = function() braid.as_completed {}() end,
  ["pool:map of nothing"] = function() braid.inline_pool():map(id, {}) end,
  ["pool:close without jobs"] = function() braid.task_pool():close() end,
  ["timeout of what does not wait"] = function() braid.timeout(1, id) end,
  ["timeout without a limit"] = function() braid.timeout(nil, id) end,
  ["move_on_after of what does not wait"] = function() braid.move_on_after(1, id) end,
}

describe("a cancelled task", function()
  for name, call in pairs(calls) do
    test("is stopped by " .. name, function()
      run(function()
        local ok, err
        local task = braid.spawn(function()
          braid.current():cancel()
          ok, err = pcall(call)
        end)
        task:wait()
        assert.is_false(ok)
        assert.is_true(braid.is_error(err, "cancelled"), tostring(err))
      end)
    end)
  end

  for name, main in pairs { timeout = braid.timeout, move_on_after = braid.move_on_after } do
    test("does not begin the body of " .. name, function()
      run(function()
        local began = false
        braid.spawn(function()
          braid.current():cancel()
          main(1, function() began = true end)
        end):wait()
        assert.is_false(began)
      end)
    end)
  end

  test("still begins the body of a shield", function()
    run(function()
      local ended = false
      braid.spawn(function()
        braid.current():cancel()
        braid.shield(function()
          braid.timeout(1, braid.sleep, 0)
          assert.same({}, (braid.wait {}))
          ended = true
        end)
      end):wait()
      assert.is_true(ended)
    end)
  end)
end)
