-- SPDX-License-Identifier: MIT
-- Deadlocks across tasks, threads and processes: each is found, and nothing else is.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local expect = require "spec.expect"

local test, describe, pending = helper.test, require("busted").describe, require("busted").pending

local BEFORE = [[
  local braid = require "braid"
  local function both(counter, n) -- waits until n parties have come here
    counter:add(1)
    while counter:get() < n do braid.sleep(0.01) end
  end
]]

-- Runs the code in a process of its own. Returns what is on stderr, on stdout, and the status.
local function run(code, opts)
  local stdout, stderr, status = helper.lua_process(BEFORE .. code, opts)
  return stderr, stdout, status
end

-- The code stands still: it is reported within seconds. It ends by a `braid.timeout` around it, or the like.
local function reported(code)
  local stderr = run("braid.run(function() " .. code .. " end)", { timeout = 20 })
  assert.matches("braid: deadlock: nothing can wake these tasks any more:\n", stderr)
  return stderr
end

-- The same, but "raise" ends it.
local function raised(code)
  local stderr, stdout, status = run([[
    braid.deadlocks "raise"
    local began = braid.now()
    local ok, err = pcall(braid.run, function() ]] .. code .. [[ end)
    local kind = braid.is_error(err, "deadlock") and "deadlock" or tostring(err)
    print(ok, kind, braid.now() - began < 4 * (tonumber(os.getenv "BRAID_SLOWNESS") or 1) and "in time" or "late")
    print(err)
  ]], { timeout = 20 })
  assert.is_nil(stderr:find "braid: deadlock")
  assert.equal(0, status)
  assert.matches("^false\tdeadlock\tin time\n", stdout)
  return stdout
end

describe("a deadlock", function()
  test("of two threads that take two locks in two orders is reported, with holders and waiters", function()
    local text = reported [[
      local a, b, come = braid.lock(), braid.lock(), braid.counter()
      local pool = braid.thread_pool { workers = 2, name = "takers" }
      local function take(first, second)
        first:acquire()
        both(come, 2)
        second:acquire()
      end
      local jobs = { pool:submit(take, a, b), pool:submit(take, b, a) }
      braid.sleep(2.5)
      for _, job in ipairs(jobs) do job:cancel() end
    ]]
    local job = "job [^\n]-:%d+ %(worker %d of pool takers, thread %d+%)"
    assert.matches("\n  " .. job .. ": waits in lock:acquire at [^\n]*:%d+, for %d+%.%d s, for the lock that is "
      .. "held by " .. job .. "\n", text)
    local _, count = text:gsub("\n  ", "")
    assert.equal(2, count)
    local _, reports = text:gsub("braid: deadlock", "")
    assert.equal(1, reports)
  end, { deadline = 30 })

  test("of two tasks is reported although others go on", function()
    reported [[
      local a, b = braid.lock(), braid.lock()
      local function take(first, second)
        first:acquire()
        braid.sleep(0.05)
        second:acquire()
      end
      local tasks = { braid.spawn(take, a, b), braid.spawn(take, b, a) }
      local began = braid.now()
      while braid.now() - began < 3 do braid.sleep(0.01) end
      for _, task in ipairs(tasks) do task:cancel() end
    ]]
  end, { deadline = 30 })

  test("is raised in one of the waits where that is wanted", function()
    local text = raised [[
      local a, b, come = braid.lock(), braid.lock(), braid.counter()
      local pool = braid.thread_pool(2)
      local function take(first, second)
        local hold <close> = first:hold()
        both(come, 2)
        local other <close> = second:hold()
      end
      braid.gather { pool:submit(take, a, b), pool:submit(take, b, a) }
    ]]
    expect.contains(text, "for the lock that is held by job")
  end, { deadline = 30 })

  test("of a full and an empty queue between threads", function()
    raised [[
      local a, b = braid.queue(1), braid.queue(1)
      local pool = braid.thread_pool(2)
      local first = pool:submit(function() a:get() b:put(1) end)
      local second = pool:submit(function() a:put(1) a:put(2) a:put(3) b:get() b:get() end)
      first:result() second:result()
    ]]
  end, { deadline = 30 })

  test("of a task and a thread that both wait for an item of the other", function()
    raised [[
      local a, b = braid.queue(), braid.queue()
      local pool = braid.thread_pool(1)
      pool:submit(function() return b:put(a:get()) end)
      a:put(b:get())
    ]]
  end, { deadline = 30 })

  test("of a semaphore, an event, a condition, a barrier", function()
    for _, wait in ipairs {
      "semaphore:acquire() semaphore:acquire()", "event:wait()", "barrier:wait()",
      "condition:lock():acquire() condition:wait()",
    } do
      raised([[
        local semaphore, event, barrier = braid.semaphore(1), braid.event(), braid.barrier(2)
        local condition = braid.condition()
        braid.thread_pool(1):submit(function() ]] .. wait .. [[ end):result()
      ]])
    end
  end, { deadline = 60 })

  test("of a job that waits for a job of the same full pool", function()
    raised [[
      local event = braid.event()
      local pool = braid.thread_pool(1)
      local first = pool:submit(function() event:wait() end)
      local second = pool:submit(function() event:set() end)
      first:result() second:result()
    ]]
  end, { deadline = 30 })

  test("of tasks that wait for each other's end", function()
    reported [[
      local one, other
      one = braid.spawn(function() braid.checkpoint() other:wait() end)
      other = braid.spawn(function() one:wait() end)
      one.name = "one"
      braid.sleep(2.5)
      one:cancel()
    ]]
  end, { deadline = 30 })

  test("of two processes that take two locks in two orders", function()
    local text = raised [[
      local a, b, come = braid.lock(), braid.lock(), braid.counter()
      local pool = braid.process_pool(2)
      local function take(first, second)
        local hold <close> = first:hold()
        both(come, 2)
        local other <close> = second:hold()
      end
      braid.gather { pool:submit(take, a, b), pool:submit(take, b, a) }
    ]]
    expect.contains(text, "for the lock that is held by process ")
  end, { deadline = 30 })

  test("of a task, a thread and a process in a ring of locks", function()
    local text = reported [[
      local a, b, c, come = braid.lock(), braid.lock(), braid.lock(), braid.counter()
      local function take(first, second)
        first:acquire()
        both(come, 3)
        second:acquire()
      end
      local threads, processes = braid.thread_pool(1), braid.process_pool(1)
      local jobs = { braid.spawn(take, a, b), threads:submit(take, b, c), processes:submit(take, c, a) }
      braid.sleep(3.5)
      for _, job in ipairs(jobs) do job:cancel() end
    ]]
    assert.matches("\n  process %d+, job [^\n]* for the lock that is held by a task %(script", text)
    local _, count = text:gsub("\n  ", "")
    assert.equal(3, count)
  end, { deadline = 30 })

  test("of a task, a thread and a process in a ring of queues", function()
    raised [[
      local a, b, c = braid.queue(), braid.queue(), braid.queue()
      local function pass(from, to) to:put(from:get()) end
      local threads, processes = braid.thread_pool(1), braid.process_pool(1)
      threads:submit(pass, a, b)
      processes:submit(pass, b, c)
      pass(c, a)
    ]]
  end, { deadline = 30 })

  -- A job of a worker process that runs in a worker process of its own.
  local RELAY = [[
    local processes = braid.process_pool(2)
    local function relay(fn, ...)
      local pool <close> = require("braid").process_pool(1)
      return pool:submit(fn, ...):result()
    end
  ]]

  test("of a task, a thread, a process and the process's own process in a ring of locks", function()
    local text = reported(RELAY .. [[
      local a, b, c, d, come = braid.lock(), braid.lock(), braid.lock(), braid.lock(), braid.counter()
      local function take(first, second)
        first:acquire()
        both(come, 4)
        second:acquire()
      end
      local threads = braid.thread_pool(1)
      local jobs = {
        braid.spawn(take, a, b), threads:submit(take, b, c), processes:submit(take, c, d),
        processes:submit(relay, take, d, a),
      }
      braid.sleep(4)
      for _, job in ipairs(jobs) do job:cancel() end
    ]])
    local _, count = text:gsub("%(worker of a pool of process %d+, thread %d+%): waits in lock:acquire", "")
    assert.equal(2, count)
    _, count = text:gsub("\n  ", "")
    assert.equal(5, count) -- with the process in the middle, which waits for the job of its own one
  end, { deadline = 30 })

  test("of a task that holds what its worker's worker needs", function()
    raised(RELAY .. [[
      local lock, threads = braid.lock(), braid.thread_pool(1)
      lock:acquire()
      threads:submit(function() processes:submit(relay, function() lock:acquire() end):result() end):result()
    ]])
    raised(RELAY .. [[
      local queue = braid.queue()
      processes:submit(relay, function() queue:get() end):result()
    ]])
  end, { deadline = 60 })

  test("of objects that a worker process has made", function()
    raised(RELAY .. [[
      local a, b = processes:submit(function()
        local braid = require "braid"
        return braid.lock(), braid.lock()
      end):result()
      local come = braid.counter()
      local function take(first, second)
        local hold <close> = first:hold()
        both(come, 2)
        local other <close> = second:hold()
      end
      braid.gather { processes:submit(take, a, b), braid.spawn(take, b, a) }
    ]])
    raised(RELAY .. [[
      local queue = processes:submit(function() return require("braid").queue() end):result()
      local jobs = {}
      for i = 1, 2 do jobs[i] = processes:submit(function() queue:get() end) end
      jobs[3] = processes:submit(relay, function() queue:get() end)
      for _, job in ipairs(jobs) do job:result() end
    ]])
  end, { deadline = 60 })

  test("is told by braid ps as long as it stands", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local child <close> = braid.process.start({ helper.lua, "-e", BEFORE .. [[
      local a, b, come = braid.lock(), braid.lock(), braid.counter()
      local function take(first, second)
        first:acquire()
        both(come, 2)
        second:acquire()
      end
      braid.run(function()
        local pool <close> = braid.thread_pool(2)
        local jobs = { pool:submit(take, a, b), pool:submit(take, b, a) }
        print(braid.sleep(0.5))
        io.stdout:flush()
        io.read()
        for _, job in ipairs(jobs) do job:cancel() end
        braid.sleep(0.1)
        print "gone"
        io.stdout:flush()
        io.read()
      end)
    ]] }, { stdin = "pipe", stdout = "pipe", stderr = "null" })
    local dump = require "braid.debug.dump"
    child.stdout:read("l", 10 * helper.slowness)
    expect.contains(assert(dump.ask(child.pid)), "deadlock: nothing can wake these tasks any more\n  job ")
    child.stdin:write "\n"
    child.stdout:read("l", 10 * helper.slowness)
    assert.is_nil(assert(dump.ask(child.pid)):find "deadlock")
    child.stdin:write "\n"
    child:wait()
  end, { deadline = 30 })
end)

-- Ends with status 0 and without a word.
local function quiet(code)
  local stderr, _, status = run("braid.run(function() " .. code .. " end)", { timeout = 20 })
  assert.equal("", stderr)
  assert.equal(0, status)
end

describe("no deadlock", function()
  test("is a wait for a task that sleeps or computes", function()
    quiet [[
      local lock = braid.lock()
      local pool = braid.thread_pool(2)
      local held = braid.event()
      pool:submit(function()
        local hold <close> = lock:hold()
        held:set()
        braid.sleep(1.5)
      end)
      held:wait()
      local ended = pool:submit(function()
        local hold <close> = lock:hold()
        local sum = 0
        for i = 1, 3e7 do sum = sum + i end
      end)
      lock:acquire()
      lock:release()
      ended:result()
    ]]
  end, { deadline = 30 })

  test("is a wait with a timeout, or inside one", function()
    quiet [[
      local queue, pool = braid.queue(), braid.thread_pool(2)
      local one = pool:submit(function() return (queue:get(2)) end)
      local other = pool:submit(function() return (braid.move_on_after(2, function() return queue:get() end)) end)
      one:wait()
      other:wait()
    ]]
  end, { deadline = 30 })

  test("is an idle pool, a script that computes, a consumer whose producer lives", function()
    quiet [[
      local queue = braid.queue()
      local pool = braid.thread_pool(2)
      local consumer = pool:submit(function() for _ in queue:items() do end end)
      local began = braid.now()
      while braid.now() - began < 1.5 do end
      braid.sleep(1)
      queue:close()
      consumer:result()
    ]]
  end, { deadline = 30 })

  test("is a wait for a task beyond a process in the middle", function()
    quiet [[
      local function relay(fn, ...)
        local pool <close> = require("braid").process_pool(1)
        return pool:submit(fn, ...):result()
      end
      local queue, processes = braid.queue(), braid.process_pool(2)
      local getter = processes:submit(relay, function() return queue:get() end)
      local putter = processes:submit(relay, function()
        require("braid").sleep(2.5)
        queue:put "item"
      end)
      assert(getter:result() == "item")
      putter:result()
    ]]
  end, { deadline = 30 })

  test("is found while everything but one waits, again and again", function()
    require("spec.calm").run(5, os.time())
  end, { deadline = 60 })

  test("is looked for when that is switched off", function()
    local stderr, stdout = run [[
      print(braid.deadlocks "off", braid.deadlocks())
      braid.run(function()
        local a, b = braid.lock(), braid.lock()
        local function take(first, second)
          first:acquire()
          braid.sleep(0.05)
          second:acquire()
        end
        local tasks = { braid.spawn(take, a, b), braid.spawn(take, b, a) }
        braid.sleep(2.5)
        for _, task in ipairs(tasks) do task:cancel() end
      end)
    ]]
    assert.equal("", stderr)
    assert.equal("report\toff\n", stdout)
  end, { deadline = 30 })

  test("is what a wrong mode asks for", function()
    expect.misused('"raise" or "off" expected, got "raised", did you mean "raise"?', braid.deadlocks, "raised")
    expect.misused("mode", braid.deadlocks, 1)
  end)
end)
