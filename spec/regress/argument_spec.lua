-- SPDX-License-Identifier: MIT
-- Arguments: what is as good as an integer or a function, and what a refusal says.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local misused = expect.misused

describe("an argument", function()
  test("that is a whole float is an integer", function()
    run(function()
      assert.equal("2", tostring(braid.queue(2.0):maxsize()))
      assert.equal(2, braid.semaphore(4 / 2):value())
      assert.equal(1, braid.barrier(1.0):wait())
      assert.equal(3, #braid.array("u8", 3.0))
      local queue = braid.queue()
      queue:put_many { 1, 2, 3 }
      assert.same({ 1, 2 }, queue:get_many(2.0))
      assert.same({ 1, 2, n = 2 }, braid.map(function(x) return x end, { 1, 2 }, { limit = 1e0 }))
      for _, kind in ipairs { "inline", "tasks", "threads" } do
        local pool <close> = braid.pool(kind, { workers = 2.0, memory_limit = 1e9, backlog = 8.0 })
        assert.same({ 1, 2, n = 2 }, pool:map(math.abs, { -1, 2 }, { chunk = 2.0 }))
      end
      local pool <close> = braid.thread_pool(2.0)
      assert.equal("2", tostring(pool:stats().workers))
    end)
  end)

  test("that is no whole number is none", function()
    for _, bad in ipairs { 1.5, 0 / 0, math.huge, "2", {} } do
      misused("'maxsize' to 'queue' (an integer", braid.queue, bad)
      misused("'n' to 'semaphore' (an integer from 0 expected", braid.semaphore, bad)
      misused("option 'workers' to 'thread_pool' (integer expected", braid.thread_pool, { workers = bad })
    end
  end)

  test("that is a time is a number, not negative", function()
    for _, bad in ipairs { -1, 0 / 0 } do
      misused("'timeout' to 'scope' (seconds", braid.scope, function() end, { timeout = bad })
      misused("'timeout' to 'process.run' (seconds", braid.process.run, { "true" }, { timeout = bad })
      misused("'timeout' to 'wait' (seconds", braid.wait, {}, { timeout = bad })
      misused("'s' to 'timeout' (seconds", braid.timeout, bad, print)
    end
  end)

  test("may be called though its metatable is hidden", function()
    run(function()
      local callable = setmetatable({}, { __call = function(_, x) return x end, __metatable = true })
      assert.equal(4, braid.spawn(callable, 4):result())
      local locked = setmetatable({}, { __metatable = true })
      misused("'fn' to 'map' (a function expected, got a table)", braid.map, locked, {})
    end)
  end)

  test("that is missing is spoken of as nil, by the name of what was called", function()
    local counter, dict, file = braid.counter(), braid.dict(), io.stdout
    misused("'value' to 'set' (an integer expected, got nil)", function() counter:set() end)
    misused("'key' to 'set' (a string, number or boolean expected, got nil)", function() dict:set(nil, 1) end)
    misused("'fn' to 'to_thread' (a function expected, got nil)", function() braid.to_thread() end)
    misused("'list' to 'gather' (a list expected, got nil)", function() braid.gather() end)
    misused("'list' to 'put_many' (a list expected, got a userdata)", function() braid.queue():put_many(file) end)
  end)
end)
