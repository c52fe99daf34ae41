-- SPDX-License-Identifier: MIT
-- coroutine.running() in a task gives a coroutine that others could close or resume while the loop knew it as waiting.
local helper = require "spec.helper"
local braid = require "braid"

-- A task, and a generator in a task, that wait; fn(co) is called for the coroutine of each.
local function each_waiting(fn)
  local queue, other = braid.queue(), braid.queue()
  local co, inner
  local task = braid.spawn(function()
    co = coroutine.running()
    return select(2, braid.select { { queue, "get" }, { other, "get" } })
  end)
  local driver = braid.spawn(function()
    return braid.wrap(function()
      inner = coroutine.running()
      coroutine.yield(queue:get())
    end)()
  end)
  braid.sleep(0)
  fn(co)
  fn(inner)
  queue:put(1)
  queue:put(2)
  assert.equal(1, task:result())
  assert.equal(2, driver:result())
end

describe("a waiting task's coroutine", function()
  helper.test("is not resumed by others", function()
    helper.run(each_waiting, function(co)
      local ok, err = coroutine.resume(co, "x")
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
    end)
  end)

  helper.test("is not closed by others", function()
    helper.run(each_waiting, function(co)
      local ok, err = pcall(coroutine.close, co)
      assert.is_false(ok)
      assert.is_true(braid.is_error(err, "misuse"))
      assert.matches("foreign_resume_spec.lua:%d+: ", err.message)
    end)
  end)

  for _, verb in ipairs { "resume", "close", "status" } do
    helper.test("is not moved by what was taken before braid was loaded: coroutine." .. verb, function()
      local out, err, status = helper.lua_process(([[
        local use, running = coroutine.%s, coroutine.running
        local braid = require "braid"
        local seen = {}
        local function try()
          for co in pairs(seen) do
            pcall(use, co)
            pcall(debug.traceback, co)
            pcall(debug.getlocal, co, 1, 1)
          end
        end
        local function keep() seen[running()] = true end
        braid.run(function()
          local waits = braid.spawn(function() keep() braid.sleep(0.02) return "fine" end)
          local step = braid.wrap(function() keep() coroutine.yield(1) braid.sleep(0.001) coroutine.yield(2) end)
          local sum = step()
          braid.sleep(0)
          setmetatable({}, { __gc = try })
          collectgarbage()
          try()
          for _ = 1, 5 do -- tasks that have ended, and such as have not begun, in coroutines that were used before
            local tasks = {}
            for i = 1, 5 do tasks[i] = braid.spawn(function(...) keep() braid.sleep(0) return ... end, i) end
            try()
            braid.sleep(0)
            try()
            for i = 1, 5 do assert(tasks[i]:result() == i) end
            try()
          end
          print(waits:result(), sum + step())
        end)
      ]]):format(verb))
      assert.equal("", err)
      assert.equal("fine\t3\n", out)
      assert.equal(0, status)
    end)
  end

  helper.test("is not resumed in a worker", function()
    local pool <close> = braid.thread_pool(1)
    assert.is_true(pool:submit(load [[
      local b = require "braid"
      local co
      local task = b.spawn(function() co = coroutine.running() b.sleep(0.02) return "slept" end)
      b.sleep(0)
      local resumed, closed = coroutine.resume(co), pcall(coroutine.close, co)
      return not resumed and not closed and task:result() == "slept"
    ]]):result())
  end)

  helper.test("leaves other coroutines as they were", function()
    local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) error(c, 0) end)
    assert.same({ true, 3 }, { coroutine.resume(co, 1, 2) })
    assert.same({ false, "oops" }, { coroutine.resume(co, "oops") })
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    local ok, err = pcall(coroutine.resume, 1)
    assert.is_false(ok)
    assert.matches("coroutine expected", err)
    local closed = false
    co = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function() closed = true end })
      coroutine.yield()
      return guard
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    assert.is_false(pcall(coroutine.close, coroutine.running()))
  end)
end)
