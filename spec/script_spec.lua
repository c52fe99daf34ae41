-- SPDX-License-Identifier: MIT
-- Without braid.run: a plain script waits, spawns, ends, fails or exits, each in an interpreter of its own.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, lua = helper.test, helper.lua_process
local contains = expect.contains

local head = [[
local braid = require "braid"
io.stdout:setvbuf "no"
local function on_close(text)
  return setmetatable({}, { __close = function() print(text) end })
end
]]

--- Runs the script, which must print `expected`, say nothing on stderr and end with 0.
local function prints(expected, script)
  local stdout, stderr, code = lua(head .. script)
  assert.equal("", stderr)
  assert.equal(expected, stdout)
  assert.equal(0, code)
end

describe("a plain script", function()
  test("sleeps", function()
    prints("true\n", [[
      local start = braid.now()
      braid.sleep(0.02)
      print(braid.now() - start >= 0.02)
    ]])
  end)

  test("has no current task", function()
    prints("nil\t0\n", [[ print(braid.current(), #braid.tasks()) ]])
  end)

  test("spawned tasks move whenever it waits", function()
    prints("1\n2\n3\n", [[
      local queue = braid.queue(1)
      braid.spawn(function() for i = 1, 3 do queue:put(i) end queue:close() end)
      for value in queue:items() do print(value) end
    ]])
  end)

  test("tasks move while it sleeps", function()
    prints("true\n", [[
      local ticks = 0
      braid.spawn(function() while true do braid.sleep(0.002) ticks = ticks + 1 end end)
      braid.sleep(0.05)
      print(ticks >= 3)
    ]])
  end)

  test("waits for a task's result", function()
    prints("3\tnil\n", [[
      local task = braid.spawn(function(a, b) braid.sleep(0.005) return a + b, nil end, 1, 2)
      print(task:result())
    ]])
  end)

  test("gets a task's error", function()
    prints("false\tx\n", [[
      local task = braid.spawn(function() braid.sleep(0) error("x", 0) end)
      print(pcall(task.result, task))
    ]])
  end)

  test("result and get time out", function()
    prints("false\ttimeout\nnil\ttimeout\n", [[
      local task = braid.spawn(braid.sleep, 60)
      local ok, err = pcall(task.result, task, 0.01)
      print(ok, err.kind)
      local value, why = braid.queue():get(0.01)
      print(value, why.kind)
    ]])
  end)

  test("cancels a task", function()
    prints("closed\ncancelled\n", [[
      local task = braid.spawn(function() local _ <close> = on_close "closed" braid.sleep(60) end)
      braid.sleep(0.005)
      task:cancel()
      task:wait()
      print(task:state())
    ]])
  end)

  test("gathers, and the first failure is raised", function()
    prints("1 2 2\nfalse\tx\n", [[
      local results = braid.gather { function() braid.sleep(0.01) return 1 end, function() return 2 end }
      print(results[1] .. " " .. results[2] .. " " .. results.n)
      print(pcall(braid.gather, { function() braid.sleep(60) end, function() error("x", 0) end }))
    ]])
  end)

  test("has scopes", function()
    prints("child\nbody's\n", [[
      print(braid.scope(function(scope)
        scope:spawn(function() braid.sleep(0.005) print "child" end)
        return "body's"
      end))
    ]])
  end)

  test("has timeouts", function()
    prints("false\ttimeout\nfalse\n", [[
      local ok, err = pcall(braid.timeout, 0.01, braid.sleep, 60)
      print(ok, err.kind)
      print(braid.move_on_after(0.01, braid.sleep, 60))
    ]])
  end)

  test("selects, races and waits", function()
    prints("2\tv\nquick\n1\t1\n", [[
      local a, b = braid.queue(), braid.queue()
      braid.spawn(function() braid.sleep(0.005) b:put("v") end)
      print(braid.select { { a, "get" }, { b, "get" } })
      print(braid.race { function() braid.sleep(60) end, function() return "quick" end })
      local done, pending = braid.wait({ braid.spawn(braid.sleep, 0), braid.spawn(braid.sleep, 60) },
        { return_when = "first" })
      print(#done, #pending)
    ]])
  end)

  test("uses locks, semaphores, events and barriers", function()
    prints("true\ttrue\ntrue\t2\n", [[
      local lock, semaphore, event, barrier = braid.lock(), braid.semaphore(1), braid.event(), braid.barrier(2)
      print(lock:acquire(), semaphore:acquire())
      lock:release()
      semaphore:release()
      braid.spawn(function()
        lock:with(function() braid.sleep(0.002) event:set() end)
        barrier:wait()
      end)
      print(event:wait(), (select(2, pcall(function()
        local place = barrier:wait()
        return place == 1 and 2 or place
      end))))
    ]])
  end)

  test("may use run before and after", function()
    prints("1\n2\n3\n", [[
      braid.sleep(0)
      print(braid.run(function() braid.sleep(0) return 1 end))
      print(braid.spawn(function() return 2 end):result())
      print(braid.run(function() braid.sleep(0) return 3 end))
    ]])
  end)

  test("a task spawned before run moves during run", function()
    prints("inside\n", [[
      local queue = braid.queue()
      braid.spawn(function() braid.sleep(0.002) queue:put("inside") end)
      braid.run(function() print(queue:get()) end)
    ]])
  end)

  test("run does not wait for a task spawned before it", function()
    prints("false\n", [[
      local task = braid.spawn(braid.sleep, 60)
      braid.run(function() braid.sleep(0.002) end)
      print(task:done())
    ]])
  end)
end)

describe("when a script ends", function()
  test("what is unfinished is cancelled, and <close> runs", function()
    prints("main ends\nclosed\n", [[
      braid.spawn(function() local _ <close> = on_close "closed" braid.sleep(60) print "never" end)
      braid.sleep(0.005)
      print "main ends"
    ]])
  end)

  test("that does not take longer than the tasks' own clean-up", function()
    local function seconds(script)
      local start = braid.now()
      lua(head .. script)
      return braid.now() - start
    end
    local plain = seconds "braid.sleep(0.005)"
    local unfinished = seconds "braid.spawn(braid.sleep, 60) braid.sleep(0.005)"
    assert.is_true(unfinished < plain + 0.5 * helper.slowness, ("%.2f s against %.2f s"):format(unfinished, plain))
  end, { deadline = 20 })

  test("it is cancelled in every kind of wait", function()
    local stdout, stderr, code = lua(head .. [[
      local queue, lock, event, semaphore = braid.queue(), braid.lock(), braid.event(), braid.semaphore(0)
      lock:acquire()
      local never = braid.spawn(braid.sleep, 60)
      for name, wait in pairs {
        sleep = function() braid.sleep(60) end,
        get = function() queue:get() end,
        lock = function() lock:acquire() end,
        event = function() event:wait() end,
        semaphore = function() semaphore:acquire() end,
        result = function() never:result() end,
        select = function() braid.select { { queue, "get" }, { event } } end,
        gather = function() braid.gather { function() braid.sleep(60) end } end,
        scope = function() braid.scope(function() braid.sleep(60) end) end,
        timeout = function() braid.timeout(60, braid.sleep, 60) end,
      } do
        braid.spawn(function() local _ <close> = on_close(name) wait() print "never" end)
      end
      braid.sleep(0.01)
    ]])
    local lines = {}
    for line in stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    assert.equal("event gather get lock result scope select semaphore sleep timeout", table.concat(lines, " "))
    assert.equal("", stderr)
    assert.equal(0, code)
  end)

  test("a task that has not started does not start late", function()
    prints("end\n", [[
      braid.spawn(function() braid.sleep(0) print "never" end)
      print "end"
    ]])
  end)

  test("a task that swallows its cancellation does not keep it alive", function()
    local stdout, _, code = lua(head .. [[
      braid.spawn(function()
        for _ = 1, 100 do pcall(braid.sleep, 60) end
        print "let go"
      end)
      braid.sleep(0.005)
    ]])
    assert.equal("let go\n", stdout)
    assert.equal(0, code)
  end, { deadline = 20 })

  test("tasks that swallow their cancellation again and again do not keep it alive", function()
    local stdout, stderr, code = lua(head .. [[
      for _, fn in ipairs { braid.sleep, function() braid.checkpoint() error "again" end } do
        braid.spawn(function() while true do pcall(fn, 60) end end)
      end
      braid.sleep(0.005)
      print "last line"
    ]])
    assert.same({ "last line\n", "", 0 }, { stdout, stderr, code })
  end, { deadline = 20 })

  test("what would not end is named", function()
    local stdout, stderr, code = lua(head .. [[
      local pool = braid.thread_pool { workers = 1, name = "stuck" }
      pool:submit(function() (("a"):rep(1e5)):find((".-"):rep(8) .. "b") end) -- a C function that takes for ever
      local task = braid.spawn(function()
        braid.shield(function() braid.sleep(60) end)
      end)
      task.name = "stubborn"
      braid.sleep(0.1)
      print "last line"
      os.exit(0, true)
    ]])
    assert.equal("last line\n", stdout)
    assert.matches("the workers of pool 'stuck' would not end with the script", stderr, 1, true)
    assert.matches("1 tasks would not end with the script: braid.task: stubborn", stderr, 1, true)
    assert.equal(0, code)
  end, { deadline = 20 })

  test("after an error of the main chunk too, with exit status 1", function()
    local stdout, stderr, code = lua(head .. [[
      braid.spawn(function() local _ <close> = on_close "closed" braid.sleep(60) end)
      braid.sleep(0.005)
      error "main-chunk"
    ]])
    assert.equal("closed\n", stdout)
    contains(stderr, "main-chunk")
    assert.equal(1, code)
  end)

  test("an error inside run ends the script in time", function()
    local stdout, stderr, code = lua(head .. [[
      braid.run(function()
        braid.spawn(function() local _ <close> = on_close "closed" braid.sleep(60) end)
        braid.sleep(0.005)
        error "in-run"
      end)
    ]])
    assert.equal("closed\n", stdout)
    contains(stderr, "in-run")
    assert.equal(1, code)
  end)

  test("os.exit(n, true) from the script cancels what is unfinished", function()
    local stdout, stderr, code = lua(head .. [[
      braid.spawn(function() local _ <close> = on_close "closed" braid.sleep(60) end)
      braid.sleep(0.005)
      os.exit(5, true)
    ]])
    assert.equal("closed\n", stdout)
    assert.equal("", stderr)
    assert.equal(5, code)
  end)

  test("os.exit(n) from the script ends at once", function()
    local stdout, stderr, code = lua(head .. [[
      for _ = 1, 10 do braid.spawn(braid.sleep, 60) end
      braid.sleep(0.005)
      os.exit(6)
    ]])
    assert.equal("", stdout .. stderr)
    assert.equal(6, code)
  end)

  for _, closing in ipairs { "", ", true" } do
    test("os.exit(n" .. closing .. ") inside a task ends the process with n", function()
      local _, stderr, code = lua(head .. [[
        braid.run(function()
          for _ = 1, 10 do braid.spawn(braid.sleep, 60) end
          braid.spawn(function() braid.sleep(0.005) os.exit(7]] .. closing .. [[) end)
          braid.sleep(60)
        end)
      ]])
      assert.equal("", stderr)
      assert.equal(7, code)
    end)

    test("os.exit(n" .. closing .. ") in the body of run ends the process with n", function()
      local _, stderr, code = lua(head .. [[
        local queue, lock = braid.queue(1), braid.lock()
        braid.run(function()
          lock:acquire()
          braid.spawn(queue.get, queue)
          braid.spawn(lock.acquire, lock)
          braid.sleep(0.005)
          os.exit(8]] .. closing .. [[)
        end)
      ]])
      assert.equal("", stderr)
      assert.equal(8, code)
    end)
  end

  test("SIGTERM ends it, in a run and outside", function()
    for _, wait in ipairs { "braid.run(braid.sleep, 60)", "braid.sleep(60)" } do
      local _, _, code = lua(head .. "io.popen('sleep 0.1; kill -TERM $PPID')\n" .. wait)
      assert.is_true(code ~= 0)
    end
  end, { deadline = 20 })

  test("a failure nobody asked for is reported once", function()
    local stdout, stderr = lua(head .. [[
      braid.spawn(function() error("script-failure", 0) end)
      braid.sleep(0.005)
      print "end"
    ]])
    assert.equal("end\n", stdout)
    contains(stderr, "script-failure")
    local _, times = stderr:gsub("script%-failure", "")
    assert.equal(1, times, stderr)
  end)

  test("queues with items, held locks and waiting tasks do not disturb the end", function()
    prints("end\n", [[
      queue = braid.queue(1)
      queue:put({ queue })
      braid.spawn(queue.put, queue, "more")
      lock = braid.lock()
      lock:acquire()
      braid.spawn(lock.acquire, lock)
      event = braid.event()
      task = braid.spawn(event.wait, event)
      task:on_done(function() end)
      braid.sleep(0)
      print "end"
    ]])
  end)

  test("finalizers that touch braid at the end do no harm", function()
    local stdout, _, code = lua(head .. [[
      local queue, event = braid.queue(), braid.event()
      keep = setmetatable({}, { __gc = function()
        pcall(queue.try_put, queue, 1)
        pcall(event.set, event)
        pcall(braid.sleep, 0)
        pcall(braid.spawn, print, "never")
      end })
      braid.spawn(queue.get, queue)
      braid.sleep(0)
      print "end"
    ]])
    assert.equal("end\n", stdout)
    assert.equal(0, code)
  end)
end)
