-- SPDX-License-Identifier: MIT
-- A queue becomes shared with all that it holds, or not at all: also where queues hold each other.
local helper = require "spec.helper"
local braid = require "braid"
local test = helper.test

local function send(pool, queue) return pool:submit(function() end, queue):result() end

describe("a queue that holds what cannot be sent", function()
  test("stays its state's, as does a queue in it that holds it", function()
    local pool <close> = braid.thread_pool(1)
    local outer, inner, kept = braid.queue(), braid.queue(), { "by reference" }
    inner:put(outer)
    outer:put(inner)
    outer:put(kept)
    outer:put(coroutine.create(print))
    for _, queue in ipairs { outer, inner } do
      local ok, err = pcall(send, pool, queue)
      assert.is_false(ok)
      assert.equal("not_sendable", err.kind)
    end
    assert.equal(outer, inner:get())
    assert.equal(inner, outer:get())
    assert.is_true(rawequal(kept, outer:get()))
  end)

  test("can be sent when that is out, with all that it holds", function()
    local pool <close> = braid.thread_pool(1)
    local outer, inner = braid.queue(), braid.queue()
    inner:put { outer }
    for _, item in ipairs { coroutine.create(print), inner, { "text" } } do outer:put(item) end
    assert.is_false(pcall(send, pool, outer))
    outer:get()
    local job = pool:submit(function(taken)
      local first, list = taken:get(0), taken:get(0)
      first:get(0)[1]:put(list[1])
    end, outer)
    job:result()
    assert.equal("text", outer:get(0))
  end)
end)
