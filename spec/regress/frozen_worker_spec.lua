-- SPDX-License-Identifier: MIT
-- A worker process that was stopped (SIGSTOP, a debugger) kept jobs that it had not begun, and held up the end of its
-- pool; jobs went to workers that were still in their init.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local function signal(name, pid) os.execute(("kill -%s %d"):format(name, pid)) end

local function echo(...) return ... end

local function failure(future) return expect.failure(future, 20 * helper.slowness) end

-- A job that says that it has begun, by putting the number of its process, and then waits for ever, or what `fn` does.
local function begin(pool, ...)
  local queue = braid.queue()
  local future = pool:submit(function(begun, fn, ...)
    begun:put(tonumber(io.open("/proc/self/stat"):read("a"):match("^%d+")));
    (fn or function() require "braid".sleep(60) end)(...)
  end, queue, ...)
  return future, queue:get()
end

local function wait(future)
  assert.is_true(future:wait(20 * helper.slowness), "the job was not done")
  return future:result()
end

-- Two jobs that wait for each other: both workers do one.
local function meet(pool)
  local both = braid.barrier(2)
  local function come(barrier) barrier:wait() end
  local one, other = pool:submit(come, both), pool:submit(come, both)
  wait(one)
  wait(other)
end

-- Each takes some seconds: all of them at once, in one test.
local situations = {}

situations["an idle one keeps no job that it has not begun"] = function()
  local pool <close> = braid.process_pool(2)
  pool:map(echo, { 1, 2, 3, 4 })
  signal("STOP", pool:pids()[1])
  local jobs = {}
  for i = 1, 4 do jobs[i] = pool:submit(echo, i) end
  for i = 1, 4 do assert.equal(i, wait(jobs[i])) end
end

situations["the only one is replaced when a job waits for it"] = function()
  local pool <close> = braid.process_pool(1)
  wait(pool:submit(echo, 1))
  local pid = pool:pids()[1]
  signal("STOP", pid)
  assert.equal(2, wait(pool:submit(echo, 2)))
  assert.not_equal(pid, pool:pids()[1])
end

situations["one that goes on has lost nothing"] = function()
  local pool <close> = braid.process_pool(1)
  wait(pool:submit(echo, 1))
  local pid = pool:pids()[1]
  signal("STOP", pid)
  local future = pool:submit(echo, 2)
  assert.is_false(future:wait(0.3))
  signal("CONT", pid)
  assert.equal(2, wait(future))
  assert.equal(pid, pool:pids()[1])
end

situations["one that goes on after its jobs have gone elsewhere works as before"] = function()
  local pool <close> = braid.process_pool(2)
  pool:map(echo, { 1, 2, 3, 4 })
  local pid = pool:pids()[1]
  signal("STOP", pid)
  for i = 1, 4 do assert.equal(i, wait(pool:submit(echo, i))) end
  signal("CONT", pid)
  meet(pool)
end

situations["one in its init is replaced when a job waits for it"] = function()
  local turn = braid.counter()
  local pool <close> = braid.process_pool {
    workers = 1, init_args = { turn },
    init = function(counter) if counter:add() == 1 then os.execute "kill -STOP $PPID" end end,
  }
  assert.equal(1, wait(pool:submit(echo, 1)))
end

situations["one that has frozen in its init is replaced when a job comes"] = function()
  local turn = braid.counter()
  local pool <close> = braid.process_pool {
    workers = 1, init_args = { turn },
    init = function(counter) if counter:add() == 1 then os.execute "kill -STOP $PPID" end end,
  }
  while turn:get() == 0 do braid.sleep(0.01) end
  braid.sleep(0.3) -- until it is frozen
  assert.equal(1, wait(pool:submit(echo, 1)))
end

situations["the pool ends though all of them are frozen, and does what it was given"] = function()
  local pool = braid.process_pool(2)
  meet(pool)
  for _, pid in ipairs(pool:pids()) do signal("STOP", pid) end
  local future = pool:submit(echo, 1)
  pool:close()
  assert.equal(1, future:result())
end

situations["the pool ends though one is frozen in the middle of a job"] = function()
  local pool = braid.process_pool(2)
  local lock = braid.lock()
  local held, pid = begin(pool, function(l) l:with(function() require "braid".sleep(60) end) end, lock)
  while not lock:locked() do braid.sleep(0.001) end
  signal("STOP", pid)
  local waiting = begin(pool, function(l) l:with(function() end) end, lock)
  pool:close()
  assert.equal("done", waiting:state())
  local err = failure(held)
  assert.equal("worker_died", err.kind)
  assert.matches("gave no sign of life", tostring(err))
  assert.same({ 9, pid }, { err.signal, err.pid })
end

situations["a job that it has begun is left alone while the pool is open"] = function()
  local pool <close> = braid.process_pool(1)
  local go = braid.event()
  local future, pid = begin(pool, function(event) event:wait() end, go)
  signal("STOP", pid)
  local queued = pool:submit(echo, 1)
  braid.sleep(5)
  go:set()
  assert.is_false(future:done() or queued:done())
  signal("CONT", pid)
  wait(future)
  assert.equal(1, wait(queued))
  assert.equal(pid, pool:pids()[1])
end

situations["a cancel ends it"] = function()
  local pool <close> = braid.process_pool(1)
  local future, pid = begin(pool)
  signal("STOP", pid)
  future:cancel()
  assert.is_true(future:wait(20 * helper.slowness))
  assert.equal("cancelled", future:state())
  assert.equal(1, wait(pool:submit(echo, 1)))
end

situations["a time limit ends it"] = function()
  local pool <close> = braid.process_pool { workers = 1, time_limit = 0.3 }
  local future, pid = begin(pool)
  signal("STOP", pid)
  assert.equal("limit", failure(future).kind)
end

situations["an error that leaves the pool's block ends it"] = function()
  local ok, err = pcall(function()
    local pool <close> = braid.process_pool(2)
    local _, pid = begin(pool)
    signal("STOP", pid)
    begin(pool)
    error("mine", 0)
  end)
  assert.same({ false, "mine" }, { ok, err })
end

situations["what is not frozen but busy with its own is not killed"] = function()
  local pool <close> = braid.process_pool {
    workers = 1,
    init = function()
      local own = require "braid"
      own.spawn(function()
        own.sleep(0.2)
        local start = own.now()
        while own.now() - start < 5 do end
      end):daemon()
    end,
  }
  wait(pool:submit(echo, 1))
  local pid = pool:pids()[1]
  braid.sleep(0.3)
  assert.equal(2, wait(pool:submit(echo, 2)))
  assert.equal(pid, pool:pids()[1])
end

describe("a worker process that is frozen", function()
  helper.test("holds nobody up who does not need it", function()
    braid.run(function()
      local failed = {}
      braid.map(function(name)
        local ok, err = xpcall(situations[name], debug.traceback)
        if not ok then failed[#failed + 1] = name .. ": " .. tostring(err) end
      end, (function()
        local names = {}
        for name in pairs(situations) do names[#names + 1] = name end
        return names
      end)())
      assert.equal("", table.concat(failed, "\n"))
    end)
  end, { deadline = 60 })
end)

describe("a worker process of several jobs at once", function()
  helper.test("gives those away that it does not begin", function()
    braid.run(function()
      local pool <close> = braid.process_pool { workers = 2, tasks_per_worker = 2 }
      local computing = begin(pool, function() while true do end end)
      local jobs = {}
      for i = 1, 3 do jobs[i] = pool:submit(echo, i) end
      for i = 1, 3 do assert.equal(i, wait(jobs[i])) end
      computing:cancel()
    end)
  end)
end)

describe("a worker process that is still in its init", function()
  helper.test("gets no job that a ready one can do", function()
    braid.run(function()
      local turn, go = braid.counter(), braid.event()
      local pool <close> = braid.process_pool {
        workers = 2, init_args = { turn, go },
        init = function(counter, event) if counter:add() == 1 then event:wait() end end,
      }
      for i = 1, 20 do assert.equal(i, wait(pool:submit(echo, i))) end
      go:set()
      meet(pool)
    end)
  end)
end)
