-- SPDX-License-Identifier: MIT
-- A __tostring of the user's that raises, or waits, put another error in the place of the one that was to be told, and
-- made a cancel none.
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local function untold() return setmetatable({}, { __tostring = function() error "no text" end }) end

describe("a value whose __tostring fails", function()
  helper.test("is a reason to cancel like any other", function()
    helper.run(function()
      local late, early = braid.spawn(braid.sleep, 60), braid.spawn(braid.sleep, 60)
      early:cancel(untold())
      braid.sleep(0)
      local reason = untold()
      late:cancel(reason)
      for _, task in ipairs { late, early } do
        assert.is_true(task:wait(5))
        assert.equal("cancelled", task:state())
        assert.is_true(braid.is_error(task:error(), "cancelled"))
        assert.matches("a table whose __tostring fails", task:error().message)
      end
      assert.equal(reason, late:error().reason)
      assert.is_nil(braid.scope(function(scope)
        scope:spawn(braid.sleep, 60)
        scope:cancel(setmetatable({}, { __tostring = function() braid.sleep(1) end }))
      end))
    end)
  end, { deadline = 10 })

  helper.test("fails a job as any error does", function()
    helper.run(function()
      for _, kind in ipairs { "threads", "processes" } do
        local pool <close> = braid.pool(kind, 1)
        local job = pool:submit(function()
          error(setmetatable({ io.stdout }, { __tostring = function() error "no text" end }))
        end)
        assert.is_true(job:wait(8 * helper.slowness))
        assert.equal("failed", job:state())
        assert.is_nil(tostring(job:error().message):find("no text", 1, true))
      end
    end)
  end, { deadline = 20 })

  helper.test("breaks a pool as any error does", function()
    helper.run(function()
      local pool = braid.thread_pool { workers = 1, init = function()
        error(setmetatable({}, { __tostring = function() error "no text" end }))
      end }
      local ok, err
      for _ = 1, 1000 do
        ok, err = pcall(function() return pool:submit(print):wait() end)
        if not ok then break end
        braid.sleep(0.001)
      end
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "broken"), tostring(err))
      pcall(pool.close, pool)
    end)
  end, { deadline = 20 })

  helper.test("is named in errors about arguments", function()
    for _, call in ipairs {
      function() braid.timeout(untold(), print) end,
      function() braid.condition(untold()) end,
      function() braid.pool(untold()) end,
      function() braid.scope(print, { [untold()] = 1 }) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"), tostring(err))
    end
  end)

  helper.test("is raised by on_done without harm", function()
    local told
    braid.on_unhandled(function(err) told = err end)
    helper.run(function()
      braid.spawn(print, ""):on_done(function() error(untold()) end):cancel()
    end)
    braid.on_unhandled(nil)
    assert.is_table(told)
  end)
end)

describe("an error of braid's whose message was changed", function()
  helper.test("can still be told", function()
    local _, err = braid.queue():get(0)
    err.message = nil
    assert.matches("timeout", tostring(err))
  end)
end)
