-- SPDX-License-Identifier: MIT
-- Calls that count a timeout themselves took a negative one for 0.
local helper = require "spec.helper"
local braid = require "braid"

describe("a negative timeout", function()
  helper.test("is refused by what waits for several things in turn", function()
    local queue, condition = braid.queue(1), braid.condition()
    for _, call in ipairs {
      function() return braid.as_completed({}, -1) end,
      function() return braid.wait({}, { timeout = -1 }) end,
      function() return queue:put_many({}, -1) end,
      function() return condition:wait_for(function() return true end, -1) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
      assert.matches("negative_timeout_spec.lua:%d+: .*timeout", err.message)
    end
  end)
end)
