-- SPDX-License-Identifier: MIT
-- What a worker has to have at hand without the job's asking: the Lua part of shared objects, and an ear for a cancel.
local helper = require "spec.helper"
local braid = require "braid"

-- A job whose upvalues are only these: its worker has loaded nothing but what it needs itself.
local function in_worker(code, ...)
  local pool <close> = braid.thread_pool(1)
  return pool:submit(load("local a, b = ... " .. code, "=job"), ...):result()
end

describe("a job that has not required braid", function()
  helper.test("uses every method of the objects that it is given", function()
    local queue = braid.queue()
    assert.equal("1 2 3", in_worker([[
      a:put_many { 1, 2 }
      a:put(3)
      local list = a:get_many(3)
      a:close()
      for _ in a:items() do end
      return table.concat(list, " ")
    ]], queue))
    assert.equal("done true", in_worker(
      [[ return a:with(function() return "done " .. tostring(a:locked()) end) ]], braid.lock()))
    assert.equal(1, in_worker([[ return a:with(function() return a:value() end) ]], braid.semaphore(2)))
    assert.equal("held", in_worker([[
      local held <close> = a:hold()
      return a:wait_for(function() return "held" end)
    ]], braid.condition()))
    assert.equal(true, in_worker([[ a:set() return a:wait(1) ]], braid.event()))
    assert.equal(1, in_worker([[ return a:wait(1) ]], braid.barrier(1)))
    assert.equal(5, in_worker([[ return a:add(5) ]], braid.counter()))
    assert.equal(2, in_worker([[
      a:set("n", 1)
      a:update("n", function(n) return n + 1 end)
      return a:get "n"
    ]], braid.dict()))
    assert.equal(6, in_worker([[
      local sum = 0
      for i = 1, #a do sum = sum + a[i] end
      return sum + #a:slice(1, 1):totable() - 1
    ]], braid.array("i64", { 1, 2, 3 })))
    assert.equal("refused", in_worker([[
      local ok, err = pcall(a.close, a, { imediate = true })
      return not ok and err.kind == "misuse" and "refused" or tostring(err)
    ]], braid.queue()))
  end)
end)

describe("a job that computes for ever", function()
  local function milliseconds_to_stop(code)
    local pool <close> = braid.thread_pool(1)
    local best = math.huge
    for _ = 1, 10 do
      local begun = braid.event()
      local future = pool:submit(load("local event = ... event:set() " .. code, "=job"), begun)
      begun:wait()
      braid.sleep(0.005)
      local start = braid.now()
      future:cancel()
      future:wait()
      best = math.min(best, braid.now() - start)
      assert.equal("cancelled", future:state())
    end
    assert.equal(1, pool:submit(function() return 1 end):result())
    return best * 1000
  end

  for name, code in pairs {
    ["in an empty loop"] = "while true do end",
    ["in a loop that swallows every error"] = "while true do pcall(function() while true do end end) end",
    ["in calls"] = "local function f(x) return x end while true do f(1) end",
    ["in a coroutine"] = "coroutine.wrap(function() while true do end end)()",
  } do
    helper.test(("is cancelled within 20 ms %s"):format(name), function()
      if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
      local most = name:find "swallows" and 100 or 20 -- it gets some time to clean up, twice
      local took = milliseconds_to_stop(code)
      assert.is_true(took < most * helper.slowness, ("it took %g ms"):format(took))
    end, { deadline = 30 })
  end
end)
