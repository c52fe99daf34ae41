-- SPDX-License-Identifier: MIT
-- A worker's proxy of a queue was collected while a job with the same queue was on its way to it. The new proxy counted
-- the items that were taken from 0, the home went on counting, and ended the connection.
local helper = require "spec.helper"
local braid = require "braid"

local ROUNDS = 200

local get, sweep = load "return (...):get()", load "collectgarbage() collectgarbage()"

describe("a queue that comes to a worker again", function()
  helper.test("when its proxy is just going, is the same queue", function()
    helper.run(function()
      local pool <close> = braid.process_pool(1)
      local queue = braid.queue()
      for i = 1, ROUNDS do
        queue:put(i)
        assert.equal(i, pool:submit(get, queue):result())
        local swept = pool:submit(sweep)
        local later = braid.now() + i * 5e-6 -- so that one of the rounds meets the worker in the middle of it
        repeat until braid.now() > later
        queue:put(-i)
        assert.equal(-i, pool:submit(get, queue):result())
        swept:result()
      end
      assert.equal(0, queue:size())
    end)
  end, { deadline = 20 })
end)
