-- SPDX-License-Identifier: MIT
-- A cancelled task that caught the error and tried again held the loop for ever: no timer, no other task ran.
local helper = require "spec.helper"
local braid = require "braid"

-- Each tries again for ever.
local insisting = {
  sleep = function() while true do pcall(braid.sleep, 1) end end,
  checkpoint = function() while true do pcall(braid.checkpoint) end end,
  ["queue:get"] = function()
    local queue = braid.queue()
    while true do pcall(queue.get, queue) end
  end,
  select = function()
    local queue, event = braid.queue(), braid.event()
    while true do pcall(braid.select, { { queue, "get" }, { event } }) end
  end,
  scope = function() while true do pcall(braid.scope, function() braid.sleep(1) end) end end,
  connect = function() while true do pcall(braid.net.connect, "127.0.0.1", 9) end end,
  ["a loop in a loop"] = function()
    while true do pcall(function() while true do pcall(braid.sleep, 1) end end) end
  end,
  ["a variable to be closed"] = function()
    local _ <close> = setmetatable({}, { __close = function() while true do pcall(braid.sleep, 1) end end })
    braid.sleep(1)
  end,
  generator = function()
    local step = braid.wrap(function() while true do pcall(braid.sleep, 1) coroutine.yield() end end)
    while true do pcall(step) end
  end,
  ["coroutines in between"] = function()
    while true do
      pcall(braid.sleep, 1)
      pcall(coroutine.wrap(function() for _ = 1, 500 do local _ = ("x"):rep(1000) end end))
    end
  end,
  ["a coroutine made before"] = function()
    local co = coroutine.wrap(function()
      coroutine.yield()
      while true do local _ = ("x"):rep(1000) end
    end)
    co()
    for _ = 1, 1100 do pcall(braid.sleep, 1) end
    while true do pcall(co) end
  end,
  ["coroutines by turns"] = function()
    local function turn() while true do coroutine.yield() pcall(string.rep, "x", 1e5) end end
    local one, other = coroutine.wrap(turn), coroutine.wrap(turn)
    for _ = 1, 1100 do pcall(braid.sleep, 1) end
    while true do pcall(one) pcall(other) end
  end,
  ["a function that C calls"] = function()
    pcall(braid.sleep, 1)
    while true do pcall(table.sort, { 3, 2, 1 }, function() braid.sleep(1) end) end
  end,
  ["a child in a scope"] = function()
    braid.scope(function(scope) scope:spawn(function() while true do pcall(braid.sleep, 1) end end) end)
  end,
  ["a scope in a shield"] = function()
    braid.shield(function()
      braid.move_on_after(0.01, function() while true do pcall(braid.sleep, 1) end end)
    end)
  end,
  ["scopes that are over, in between"] = function()
    while true do
      pcall(braid.sleep, 1)
      braid.shield(function() braid.move_on_after(0, braid.sleep, 1) end)
    end
  end,
}

local function reports_of(fn)
  local reports = {}
  braid.on_unhandled(function(err, traceback, name)
    reports[#reports + 1] = { err = err, traceback = traceback, name = name }
  end)
  local ok, err = pcall(helper.run, fn)
  braid.on_unhandled(nil)
  assert(ok, err)
  return reports
end

describe("a cancelled task that tries again and again", function()
  for what, fn in pairs(insisting) do
    helper.test("lets others run, and is stopped: " .. what, function()
      local reports = reports_of(function()
        local task = braid.spawn(fn)
        task.name = "stubborn"
        braid.sleep(0.02)
        task:cancel()
        for _ = 1, 50 do braid.checkpoint() end
        braid.sleep(0.001)
        assert.is_true(task:wait(30), "it goes on")
      end)
      assert.equal(1, #reports)
      assert.is_true(braid.is_error(reports[1].err, "misuse"))
      assert.matches("%.lua:%d+: what was cancelled went on", tostring(reports[1].err))
      assert.matches("insistence_spec.lua:%d+", reports[1].traceback)
      if not what:find "child" then assert.equal("stubborn", reports[1].name) end
    end)
  end

  helper.test("outside braid.run, as a scope of the script", function()
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      local ticks = 0
      braid.spawn(function() while true do braid.sleep(0.001) ticks = ticks + 1 end end)
      local in_time = braid.move_on_after(0.05, function() while true do pcall(braid.sleep, 1) end end)
      braid.sleep(0.05)
      print(in_time, ticks > 3)
    ]]
    assert.equal("false\ttrue\n", out)
    assert.matches("went on again and again", err)
    assert.equal(0, status)
  end)

  helper.test("in turns with what is ready", function()
    helper.run(function()
      local log = {}
      local task = braid.spawn(function()
        for i = 1, 4 do
          pcall(braid.sleep, 1)
          log[#log + 1] = "caught " .. i
        end
      end)
      braid.checkpoint()
      task:cancel()
      for i = 1, 3 do
        braid.checkpoint()
        log[#log + 1] = "other " .. i
      end
      task:wait()
      assert.equal("caught 1, other 1, caught 2, other 2, caught 3, other 3, caught 4", table.concat(log, ", "))
    end)
  end)

  helper.test("is left alone while it cleans up", function()
    local closed = 0
    local reports = reports_of(function()
      local task = braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          for _ = 1, 900 do
            pcall(braid.sleep, 1)
            closed = closed + 1
          end
        end })
        braid.sleep(1)
      end)
      braid.checkpoint()
      task:cancel()
      task:wait()
      assert.equal("cancelled", task:state())
    end)
    assert.equal(900, closed)
    assert.equal(0, #reports)
  end)
end)

describe("the time that is needed grows with the number", function()
  -- How much longer twice as much takes: some 2, and 4 if it were quadratic.
  local function growth(n, fn)
    local function cost(count)
      collectgarbage()
      local clock = os.clock()
      helper.run(fn, count)
      return os.clock() - clock
    end
    cost(n)
    local ratio = math.huge
    for _ = 1, 5 do
      ratio = math.min(ratio, cost(4 * n) / math.max(cost(n), 1e-4))
      if ratio < 8 then break end
    end
    return ratio
  end

  helper.test("of failures in one scope", function()
    assert.is_true(growth(1000, function(n)
      local ok, err = pcall(braid.scope, function(scope)
        for i = 1, n do scope:spawn(function() braid.sleep(0) error { i } end) end
      end)
      assert.is_false(ok)
      assert.equal(n, #err.errors)
    end) < 12)
  end)

  helper.test("of groups of failures in one another", function()
    assert.is_true(growth(50, function(n)
      local err = "innermost"
      local function nest(left)
        braid.scope(function(scope)
          scope:spawn(error, { left })
          if left == 0 then error(err, 0) end
          nest(left - 1)
        end)
      end
      local ok, group = pcall(nest, n)
      assert.is_false(ok)
      assert.equal("group", group.kind)
      assert.is_true(#group.message < 20000)
    end) < 12)
  end)

  local function nested(n, stop)
    local tasks = {}
    local function nest(left)
      braid.scope(function(scope)
        if left > 0 then tasks[#tasks + 1] = scope:spawn(nest, left - 1) end
        braid.sleep(1000)
      end)
    end
    tasks[1] = braid.spawn(nest, n)
    for _ = 1, n + 10 do braid.checkpoint() end
    stop(tasks)
    tasks[1]:wait()
  end

  local depth = os.getenv "BRAID_GC" and 500 or 1500 -- the fiercest collector walks all of them again and again

  helper.test("of nested tasks that are cancelled", function()
    assert.is_true(growth(depth, function(n) nested(n, function(tasks) tasks[1]:cancel() end) end) < 12)
  end)

  helper.test("of nested tasks that are cancelled one by one", function()
    assert.is_true(growth(depth, function(n)
      nested(n, function(tasks) for _, task in ipairs(tasks) do task:cancel() end end)
    end) < 12)
  end)
end)
