-- SPDX-License-Identifier: MIT
-- Calls that never had to wait never let others run, and some of them did not look for a cancel.
local helper = require "spec.helper"
local braid = require "braid"

local function ready_calls()
  local semaphore, lock, event, empty = braid.semaphore(1), braid.lock(), braid.event(), braid.queue()
  local queue, barrier = braid.queue(), braid.barrier(1)
  local ended = braid.spawn(function() end)
  ended:wait()
  event:set()
  return {
    ["semaphore:acquire"] = function() semaphore:acquire() semaphore:release() end,
    ["lock:acquire"] = function() lock:acquire() lock:release() end,
    ["lock:with"] = function() lock:with(function() end) end,
    ["event:wait"] = function() event:wait() end,
    ["barrier:wait"] = function() barrier:wait() end,
    ["queue:put"] = function() queue:put(1) end,
    ["queue:join"] = function() empty:join() end,
    ["future:result"] = function() ended:result() end,
    ["future:wait"] = function() ended:wait() end,
    select = function() braid.select { { event }, { empty, "get" } } end,
    scope = function() braid.scope(function() end) end,
    gather = function() braid.gather {} end,
  }
end

describe("a call that need not wait", function()
  helper.test("lets others run now and then", function()
    helper.run(function()
      for name, call in pairs(ready_calls()) do
        local ran = false
        braid.spawn(function() ran = true end)
        for _ = 1, 600 do call() end
        assert.is_true(ran, name)
      end
    end)
  end)

  helper.test("looks for a cancel", function()
    helper.run(function()
      for name, call in pairs(ready_calls()) do
        braid.scope(function(scope)
          scope:cancel()
          local ok, err = pcall(call)
          assert.is_false(ok, name)
          assert.is_true(braid.is_error(err, "cancelled"), name)
        end)
      end
    end)
  end)

  helper.test("refuses a negative timeout", function()
    local queue, lock, event = braid.queue(), braid.lock(), braid.event()
    local ended = braid.spawn(function() end)
    ended:wait()
    for name, call in pairs {
      put = function() queue:put(1, -1) end, get = function() queue:get(-1) end, join = function() queue:join(-1) end,
      get_many = function() queue:get_many(1, -1) end, acquire = function() lock:acquire(-1) end,
      hold = function() lock:hold(-1) end, wait = function() event:wait(-1) end,
      result = function() ended:result(-1) end, sleep = function() braid.sleep(-1) end,
      select = function() braid.select({ { event } }, -1) end, timeout = function() braid.timeout(-1, print) end,
      move_on_after = function() braid.move_on_after(-1, print) end,
      scope = function() braid.scope(print, { timeout = -1 }) end,
      map = function() braid.inline_pool():map(print, {}, { timeout = -1 }) end,
      time_limit = function() braid.task_pool { time_limit = -1 } end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok, name)
      assert.is_true(braid.is_error(err, "misuse"), name)
      assert.matches("fairness_spec.lua:%d+: ", err.message, name)
      assert.not_matches("scope_enter", err.message)
    end
  end)
end)

describe("messages", function()
  local function refusal(fn)
    local ok, err = pcall(fn)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "misuse"), tostring(err))
    assert.matches("fairness_spec.lua:%d+: ", err.message)
    return err.message
  end

  helper.test("name what the caller called", function()
    local queue, task = braid.queue(), braid.spawn(function() end)
    task:wait()
    assert.matches("'timeout' to 'scope'", refusal(function() braid.scope(print, { timeout = -1 }) end))
    assert.matches("to 'map'", refusal(function() braid.map(print, {}, { on_error = "x" }) end))
    assert.matches("to 'map'", refusal(function() braid.map(print, {}, { limit = 0 }) end))
    assert.matches("to 'get_many'", refusal(function() queue:get_many(1, -1) end))
    assert.matches("to 'put_many' %(element 2", refusal(function() queue:put_many { 1, nil, 3 } end))
    assert.matches("name", refusal(function() task.name = 1 end))
    assert.matches("'list.n' to 'gather'", refusal(function() braid.gather { n = "x" } end))
  end)

  helper.test("name a known option only when it is like the unknown one", function()
    assert.matches("did you mean 'timeout'", refusal(function() braid.scope(print, { timeot = 1 }) end))
    assert.not_matches("did you mean", refusal(function() braid.queue(1, { colour = 1 }) end))
  end)
end)

describe("on_done of an ended future", function()
  helper.test("runs outside the caller's task, as it does later", function()
    local reported
    braid.on_unhandled(function(err) reported = err end)
    finally(function() braid.on_unhandled(nil) end)
    helper.run(function()
      local task = braid.spawn(function() end)
      task:wait()
      local current = "not called"
      task:on_done(function() current = braid.current() end)
      assert.is_nil(current)
      task:on_done(function() braid.sleep(0.01) end)
    end)
    assert.matches("inside a callback", tostring(reported))
  end)
end)

describe("items by reference", function()
  local function gone(make)
    local weak = setmetatable({}, { __mode = "k" })
    local kept = { make(function() local item = {} weak[item] = true return item end) }
    for _ = 1, 3 do collectgarbage() end
    return next(weak) == nil, kept
  end

  helper.test("are given up when the queue is closed at once", function()
    assert.is_true((gone(function(item)
      local queue = braid.queue()
      queue:put(item())
      queue:close { immediate = true }
      assert.is_true(queue:join(0))
      return queue
    end)))
  end)

  helper.test("are given up when a select is refused", function()
    local queue = braid.queue(1)
    queue:put(0)
    assert.is_true((gone(function(item) pcall(braid.select, { { queue, "put", item() }, { 42 } }) end)))
    assert.is_true((gone(function(item)
      helper.run(function()
        pcall(table.sort, { 1, 2 }, function() braid.select { { queue, "put", item() } } end)
      end)
    end)))
  end)

  helper.test("come from one closure", function()
    local queue = braid.queue()
    queue:put_many { 1, 2 }
    queue:close()
    local next_item = queue:items()
    assert.equal(1, select("#", queue:items()))
    assert.same({ 1, 2 }, { next_item(), next_item() })
    assert.is_nil(next_item())
  end)
end)
