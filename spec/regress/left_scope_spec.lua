-- SPDX-License-Identifier: MIT
-- What failed in a scope that nobody had closed was lost: the run ended with the echo of its cancel, or well.
local helper = require "spec.helper"
local braid = require "braid"

-- How fn ends in a run, and what is reported meanwhile.
local function outcome(fn)
  local reports = {}
  braid.on_unhandled(function(err) reports[#reports + 1] = tostring(err) end)
  local ok, err = pcall(helper.run, fn)
  braid.on_unhandled(nil)
  return ok, err, table.concat(reports, "\n")
end

local function fail(text)
  braid.sleep(0)
  error(text, 0)
end

local function forget(text)
  local scope = braid.scope()
  scope:spawn(fail, text)
  braid.sleep(10)
end

describe("a scope that was not closed", function()
  local bodies = {
    ["by a task"] = function() forget "the real error" end,
    ["by a task that someone waits for"] = function() braid.spawn(forget, "the real error"):result() end,
    ["in a scope"] = function() braid.scope(function() forget "the real error" end) end,
    ["in a scope that is closed"] = function()
      local _ <close> = braid.scope()
      forget "the real error"
    end,
    ["in a timeout"] = function() braid.timeout(100, forget, "the real error") end,
    ["in a shield"] = function() braid.shield(forget, "the real error") end,
    ["in a generator"] = function() braid.wrap(function() forget "the real error" end)() end,
    ["in gather"] = function() braid.gather { function() forget "the real error" end } end,
    ["in a job of tasks"] = function()
      local pool <close> = braid.pool("tasks", 1)
      pool:submit(forget, "the real error"):result()
    end,
    ["in a job of a thread"] = function()
      local pool <close> = braid.thread_pool(1)
      pool:submit(load [[
        local braid = require "braid"
        braid.on_unhandled(function() end)
        local scope = braid.scope()
        scope:spawn(function() braid.sleep(0) error("the real error", 0) end)
        braid.sleep(10)
      ]]):result()
    end,
    ["in another one"] = function()
      local scope = braid.scope()
      scope:spawn(braid.sleep, 10)
      forget "the real error"
    end,
  }

  for where, body in pairs(bodies) do
    helper.test("raises what failed in it, and is reported: " .. where, function()
      local ok, err, reports = outcome(body)
      assert.is_false(ok)
      assert.equal("the real error", tostring(err))
      if not where:find "thread" then
        assert.matches("left_scope_spec.lua:%d+: this scope was never closed", reports)
      end
    end)
  end

  helper.test("raises the failure of a loose task in it", function()
    local ok, err, reports = outcome(function()
      local scope = braid.scope()
      braid.spawn(fail, "the loose error")
      braid.sleep(0.001)
      return scope
    end)
    assert.is_false(ok)
    assert.equal("the loose error", err)
    assert.matches("the loose error", reports)
    assert.matches("never closed", reports)
  end)

  helper.test("waits for its tasks", function()
    local done
    local ok, _, reports = outcome(function()
      local scope = braid.scope()
      scope:spawn(function()
        braid.sleep(0.005)
        done = true
      end)
    end)
    assert.is_true(ok)
    assert.is_true(done)
    assert.matches("never closed", reports)
  end)

  helper.test("keeps the results, and is not spoken of when nothing is lost", function()
    helper.run(function()
      local task = braid.spawn(function()
        local scope = braid.scope()
        scope:spawn(function() end):wait()
        return 1, nil, 3
      end)
      local results = table.pack(task:result())
      assert.equal(3, results.n)
      assert.equal(3, results[3])
    end)
    local _, _, reports = outcome(function() braid.scope() end)
    assert.equal("", reports)
  end)

  helper.test("keeps an error of the body, with that of its tasks", function()
    local ok, err = outcome(function()
      local scope = braid.scope()
      local task = scope:spawn(fail, "of the task")
      while task:state() == "pending" or task:state() == "running" do pcall(braid.sleep, 0) end
      error("of the body", 0)
    end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "group"))
    assert.matches("of the task", tostring(err))
    assert.matches("of the body", tostring(err))
  end)

  helper.test("is reported at the end of the script", function()
    local _, err, status = helper.lua_process [[
      local braid = require "braid"
      local scope = braid.scope()
      scope:spawn(function() error("of the script's scope", 0) end)
      pcall(braid.sleep, 1)
    ]]
    assert.matches("of the script's scope", err)
    assert.matches("never closed", err)
    assert.equal(0, status)
  end)
end)

describe("a scope", function()
  helper.test("is not closed by another task", function()
    helper.run(function()
      local scope <close> = braid.scope()
      local event = braid.event()
      local child = scope:spawn(function()
        event:wait()
        return "goes on"
      end)
      local other = braid.spawn(function() local _ <close> = scope end)
      other:wait()
      assert.equal("failed", other:state())
      assert.is_true(braid.is_error(other:error(), "misuse"))
      assert.is_false(scope:cancelled())
      event:set()
      assert.equal("goes on", child:result())
    end)
  end)

  helper.test("is not closed from inside a generator", function()
    helper.run(function()
      local scope <close> = braid.scope()
      local ok, err = pcall(braid.wrap(function() local _ <close> = scope end))
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
      assert.equal(1, scope:spawn(function() return 1 end):result())
    end)
  end)
end)
