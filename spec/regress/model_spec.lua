-- SPDX-License-Identifier: MIT
-- What is said of jobs, pools and shared objects holds in each model. In each of these places one model was different.
local braid = require "braid"
local busted = require "busted"
local helper = require "spec.helper"

local test, describe = helper.test, busted.describe

local LOOPS = { "tasks", "threads", "processes" }
local ALL = { "inline", "tasks", "threads", "processes" }

local function for_each(kinds, name, fn)
  for _, kind in ipairs(kinds) do
    test(name .. ": " .. kind, function() helper.run(fn, kind) end)
  end
end

local function begin_all(counter, count)
  while counter:get() < count do braid.sleep(0.002) end
end

describe("in any model", function()
  for_each(LOOPS, "a closed queue that was drained a moment ago is closed, not empty", function(kind)
    local pool <close> = braid.pool(kind, 1)
    local queue = braid.queue()
    queue:put("last")
    queue:close()
    local ended, once = pool:submit(function(q)
      q:get()
      local _, try_err = q:try_get()
      local _, get_err = q:get(0)
      return try_err.kind, get_err.kind
    end, queue):result()
    assert.equal("closed", ended)
    assert.equal("closed", once)
  end)

  for_each(LOOPS, "tasks_per_worker times as many jobs run at once", function(kind)
    local pool <close> = braid.pool(kind, { workers = 2, tasks_per_worker = 2 })
    local barrier = braid.barrier(4)
    local futures = {}
    for i = 1, 4 do futures[i] = pool:submit(function(b) return (b:wait(20)) end, barrier) end
    local sum = 0
    for _, future in ipairs(futures) do sum = sum + future:result() end
    assert.equal(10, sum)
  end)

  for_each(LOOPS, "the reason of a cancel is in its error", function(kind)
    local pool <close> = braid.pool(kind, 1)
    local begun = braid.counter()
    local running = pool:submit(function(c) c:add() require "braid".sleep(100) end, begun)
    local waiting = pool:submit(function() end)
    begin_all(begun, 1)
    for _, future in ipairs { waiting, running } do
      future:cancel "not wanted"
      local _, err = pcall(future.result, future)
      assert.equal("cancelled", err.kind)
      assert.equal("not wanted", err.reason)
      assert.matches("not wanted", tostring(err), 1, true)
    end
    local done = pool:submit(function() return 1, 2 end)
    done:wait()
    assert.is_false(done:cancel "too late")
    assert.same({ 1, 2 }, { done:result() })
  end)

  for_each(LOOPS, "a cancelled job that gets a lock can still release it", function(kind)
    for _ = 1, 5 do
      local pool <close> = braid.pool(kind, { workers = 1, tasks_per_worker = 4 })
      local lock, begun, futures = braid.lock(), braid.counter(), {}
      lock:acquire()
      for i = 1, 4 do
        futures[i] = pool:submit(function(l, c)
          c:add()
          local held, err = l:acquire()
          if held then l:release() end
          return held, err and err.kind
        end, lock, begun)
      end
      begin_all(begun, 4)
      braid.sleep(0.005)
      for i = 1, 3 do futures[i]:cancel() end
      lock:release()
      assert.same({ true }, { futures[4]:result() })
    end
  end)

  for_each(ALL, "a pool stays open when its own job cannot close it", function(kind)
    local pool <close> = braid.pool(kind, 2)
    local function kind_of(fn)
      local future = pool:submit(fn, pool)
      future:wait()
      return type(future:error()) == "table" and future:error().kind or future:error()
    end
    assert.equal("misuse", kind_of(function(p) p:close() end))
    assert.equal("misuse", kind_of(function(p) local own <close> = p end)) -- luacheck: ignore
    assert.equal("the job's own", kind_of(function(p)
      local own <close> = p -- luacheck: ignore
      error("the job's own", 0)
    end))
    assert.equal(5, pool:submit(function() return 5 end):result())
  end)
end)

describe("a scope that has failed", function()
  test("has one failure, though a task wanted to spawn one more", function()
    helper.run(function()
      local queue = braid.queue()
      local ok, err = pcall(braid.scope, function(scope)
        scope:spawn(function() scope:spawn(print, queue:get()) end)
        scope:spawn(function()
          queue:put "work"
          error("the failure", 0)
        end)
      end)
      assert.is_false(ok)
      assert.equal("the failure", err)
    end)
  end)

  test("because of its deadline says so, though its body wanted to spawn", function()
    helper.run(function()
      local _, err = pcall(braid.scope, function(scope) scope:spawn(braid.sleep, 1) end, { timeout = 0 })
      assert.equal("timeout", err.kind)
    end)
  end)

  test("refuses tasks from outside as misuse", function()
    helper.run(function()
      local kept
      local holder = braid.spawn(braid.scope, function(scope)
        kept = scope
        braid.shield(braid.sleep, 0.02)
      end)
      braid.sleep(0)
      kept:cancel()
      local ok, err = pcall(kept.spawn, kept, print)
      assert.is_false(ok)
      assert.equal("misuse", err.kind)
      holder:result()
    end)
  end)
end)
