-- SPDX-License-Identifier: MIT
-- Code that swallowed every error and let coroutines do its work, most of it in C functions, was stopped when each of
-- them had been looked at for long enough: after minutes, or never. SIGINT was lost on code in coroutines made before.
local helper = require "spec.helper"
local braid = require "braid"

local prelude = [[
  local braid = require "braid"
  braid.now()
  local wrap, create, resume, yield = coroutine.wrap, coroutine.create, coroutine.resume, coroutine.yield
  local function loop() while true do ("x"):rep(1000) end end
  local function short() for _ = 1, 300 do ("x"):rep(1e5) end end
  local function forever(fn, ...) while true do pcall(fn, ...) end end
]]

local programs = {
  ["coroutine.wrap"] = "while true do pcall(wrap(loop)) end",
  ["short coroutines"] = "while true do pcall(wrap(short)) end",
  ["coroutine.resume"] = "while true do resume(create(loop)) end",
  ["short coroutines that are resumed"] = "while true do resume(create(short)) end",
  ["coroutines in one another"] = "while true do pcall(wrap(function() while true do pcall(wrap(loop)) end end)) end",
  ["short ones in one another"] = "while true do pcall(wrap(function() pcall(wrap(short)) end)) end",
  ["one made before"] = [[
    local co = wrap(function() while true do yield() pcall(short) end end)
    forever(co)]],
  ["two by turns"] = [[
    local function turn() while true do yield() pcall(short) end end
    local one, other = wrap(turn), wrap(turn)
    while true do pcall(one) pcall(other) end]],
  ["C functions by turns"] = [[
    forever(function() string.gsub(("x"):rep(1e6), "x", wrap(function() forever(yield) end)) end)]],
  ["a C function that calls C functions"] = "forever(string.gsub, ('x'):rep(1e6), 'x', pcall)",
  ["generators"] = "while true do pcall(braid.wrap(short)) end",
  ["one generator"] = "forever(braid.wrap(function() while true do pcall(short) yield() end end))",
  ["string.gsub"] = "forever(string.gsub, ('x'):rep(1e6), 'x', function() pcall(wrap(short)) end)",
  ["table.sort"] = [[forever(function()
    local numbers = {}
    for i = 1, 1000 do numbers[i] = i * 7919 % 1000 end
    table.sort(numbers, function(a, b) pcall(wrap(short)) return a < b end)
  end)]],
  ["metamethods"] = [[
    local function work() pcall(wrap(short)) return 1 end
    local a = setmetatable({}, {
      __index = work, __add = work, __lt = work, __call = work, __close = work, __concat = work,
    })
    forever(function()
      local _ <close> = a
      return a.x + (a + a) + a() + (a < a and 1 or 2) + (a .. a)
    end)]],
  ["xpcall"] = "while true do xpcall(wrap(loop), function(err) return err end) end",
  ["xpcall with a handler that works"] = [[
    while true do xpcall(loop, function(err) pcall(wrap(short)) return err end) end]],
  ["a loaded chunk"] = "while true do pcall(load, wrap(function() while true do pcall(short) yield ' ' end end)) end",
  ["a linked task"] = [[braid.scope(function(scope)
    scope:spawn(function() while true do pcall(wrap(short)) end end)
  end)]],
  ["tasks again and again"] = [[while true do
    pcall(braid.scope, function(scope) scope:spawn(function() pcall(wrap(short)) end) end)
  end]],
  ["an inline pool"] = [[
    local pool <close> = braid.inline_pool()
    pool:submit(function() while true do pcall(wrap(short)) end end)]],
  ["a task pool"] = [[
    local pool <close> = braid.task_pool()
    pool:submit(function() while true do pcall(wrap(short)) end end)]],
  ["shields with little in between"] = "while true do pcall(braid.shield, short) end",
  ["coroutine.close"] = [[while true do
    local co = create(function() local _ <close> = setmetatable({}, { __close = short }) yield() end)
    resume(co)
    pcall(coroutine.close, co)
  end]],
}

-- Each in a worker of its own: most take their second, so that it is the same one.
local function submit_all(pool, began)
  local jobs = {}
  for name, text in pairs(programs) do
    jobs[name] = pool:submit(assert(load("local began = ... began:add(1) " .. prelude .. text)), began)
  end
  return jobs
end

local count = 0
for _ in pairs(programs) do count = count + 1 end

local function check_all(jobs, check)
  for name, job in pairs(jobs) do
    assert(job:wait(30), name)
    check(job, name)
  end
end

describe("code that computes in coroutines and swallows every error is stopped", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("by a cancel: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, count)
        local began = braid.counter(0)
        local jobs = submit_all(pool, began)
        while began:get() < count do braid.sleep(0.001) end
        local pids = kind == "processes" and pool:pids() or {}
        for _, job in pairs(jobs) do job:cancel() end
        check_all(jobs, function(job, name) assert.equal("cancelled", job:state(), name) end)
        assert.same(pids, kind == "processes" and pool:pids() or {})
      end)
    end, { deadline = 60 })
  end

  helper.test("by time_limit", function()
    helper.run(function()
      local pool <close> = braid.thread_pool { workers = count, time_limit = 0.05 }
      check_all(submit_all(pool, braid.counter(0)), function(job, name)
        assert(braid.is_error(job:error(), "limit"), name)
      end)
    end)
  end, { deadline = 60 })

  helper.test("by the end of its pool", function()
    helper.run(function()
      local jobs
      pcall(function()
        local pool <close> = braid.thread_pool(count)
        local began = braid.counter(0)
        jobs = submit_all(pool, began)
        while began:get() < count do braid.sleep(0.001) end
        error "stops it"
      end)
      check_all(jobs, function(job, name) assert.equal("cancelled", job:state(), name) end)
    end)
  end, { deadline = 60 })
end)

describe("a worker process whose jobs are cancelled", function()
  -- The next job is cancelled before the last one has ended, so that at every moment some job is to end: five times as
  -- long as one job takes, and longer than the pool waits before it kills a worker.
  helper.test("lives on, for the time that each takes to end counts on its own", function()
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 1, tasks_per_worker = 2 }
      local function cancel_one()
        local began, release = braid.event(), braid.event()
        local job = pool:submit(load [[
          local began, release = ...
          local braid = require "braid"
          began:set()
          pcall(braid.sleep, 60)
          braid.shield(release.wait, release)
        ]], began, release)
        assert(began:wait(20 * helper.slowness))
        job:cancel()
        return job, release
      end
      local pids
      local job, release = cancel_one()
      for _ = 1, 5 do
        pids = pids or pool:pids()
        local next_job, next_release = cancel_one()
        braid.sleep(0.8)
        release:set()
        assert(job:wait(20 * helper.slowness))
        job, release = next_job, next_release
      end
      release:set()
      assert(job:wait(20 * helper.slowness))
      assert.same(pids, pool:pids())
    end)
  end, { deadline = 60 })
end)

describe("SIGINT stops code that computes", function()
  for name, text in pairs {
    ["in a coroutine made before"] = "local co = wrap(function() yield() ready() loop() end) co() co()",
    ["by turns with one made before"] = [[
      ready()
      local co = wrap(function() while true do yield() end end)
      while true do co() end]],
    ["in short coroutines"] = "ready() while true do wrap(short)() end",
    ["in a generator"] = "local step = braid.wrap(function() yield() ready() loop() end) step() step()",
    ["after a coroutine in which it came"] = "wrap(function() ready(); ('x'):rep(1e4):gsub('x+y', '') end)() loop()",
    ["when it is closed"] = [[
      local co = create(function()
        local _ <close> = setmetatable({}, { __close = function() ready() loop() end })
        yield()
      end)
      resume(co)
      coroutine.close(co)]],
  } do
    helper.test(name, function()
      local _, _, status = helper.lua_process(prelude .. ([[
        local function ready()
          local stat <close> = io.open "/proc/self/stat"
          io.popen("sleep 0.05; kill -INT " .. stat:read "n")
        end
        braid.run(function() %s end)
      ]]):format(text))
      assert.equal(130, status)
    end, { deadline = 20 })
  end
end)

describe("the end of a script", function()
  helper.test("stops a task that goes on in coroutines of functions from before braid", function()
    local _, _, status = helper.lua_process [[
      local wrap = coroutine.wrap
      local braid = require "braid"
      braid.spawn(function()
        pcall(braid.sleep, 60)
        while true do pcall(wrap(function() while true do ("x"):rep(1e5) end end)) end
      end)
      braid.sleep(0)
    ]]
    assert.equal(0, status)
  end, { deadline = 20 })

  helper.test("stops a task that goes on in short coroutines", function()
    local _, _, status = helper.lua_process(prelude .. [[
      braid.spawn(function()
        pcall(braid.sleep, 60)
        while true do pcall(wrap(short)) end
      end)
      braid.sleep(0)
    ]])
    assert.equal(0, status)
  end, { deadline = 20 })
end)
