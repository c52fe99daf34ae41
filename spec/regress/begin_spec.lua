-- SPDX-License-Identifier: MIT
-- A cancel, or the stop of a pool, that met a job just being begun was lost when the job never waited; and code that
-- swallowed every error was not stopped in a task of the job, nor in a coroutine, a pool or a finalizer of its own.
local helper = require "spec.helper"
local braid = require "braid"

-- What computes for ever. The thread sanitizer holds signals back until something of C is called.
local LOOP = os.getenv "BRAID_LATE_SIGNALS" and '("x"):rep(1000)' or ""
local endless = load(("while true do %s end"):format(LOOP))

local function spin(n)
  for _ = 1, n do end
end

describe("a job that has just begun is stopped", function()
  local settings = {
    { kind = "threads", rounds = 100 }, { kind = "threads", rounds = 50, tasks_per_worker = 3 },
    { kind = "threads", rounds = 50, time_limit = 60 }, { kind = "processes", rounds = 60 },
  }
  for _, s in ipairs(settings) do
    local name = ("%s, tasks_per_worker %s, time_limit %s"):format(s.kind, s.tasks_per_worker, s.time_limit)
    helper.test("by a cancel: " .. name, function()
      local pool <close> = braid.pool(s.kind,
        { workers = 1, tasks_per_worker = s.tasks_per_worker, time_limit = s.time_limit })
      for round = 1, s.rounds do
        local job = pool:submit(endless)
        while not job:running() do end
        spin(round * 7919 % 400)
        job:cancel()
        assert.is_true(job:wait(10))
        assert.equal("cancelled", job:state())
      end
    end, { deadline = 60 })
  end

  helper.test("by a cancel at any moment", function()
    local pool <close> = braid.thread_pool(2)
    for round = 1, 200 do
      local jobs = { pool:submit(endless), pool:submit(endless), pool:submit(endless) }
      spin(round * 7919 % 20000)
      for _, job in ipairs(jobs) do job:cancel() end
      for _, job in ipairs(jobs) do assert.is_true(job:wait(10)) end
    end
  end, { deadline = 60 })

  for kind, rounds in pairs { threads = 40, processes = 8 } do
    helper.test("by the end of a block that raises: " .. kind, function()
      for round = 1, rounds do
        local ok, err = pcall(function()
          local pool <close> = braid.pool(kind, 1)
          pool:submit(math.abs, -1):result()
          pool:submit(endless)
          spin(round * 7919 % 20000)
          error("something else", 0)
        end)
        assert.same({ false, "something else" }, { ok, err })
      end
    end, { deadline = 60 })
  end

  helper.test("by a cancel while another job of its worker goes on", function()
    local pool <close> = braid.thread_pool { workers = 1, tasks_per_worker = 2 }
    local done = braid.event()
    local other = pool:submit(load [[
      local done = ...
      local braid, sum = require "braid", 0
      while not done:is_set() do
        for i = 1, 1000 do sum = sum + i end
        braid.sleep(0)
      end
      return "undisturbed"
    ]], done)
    for _ = 1, 50 do
      local job = pool:submit(endless)
      while not job:running() do end
      job:cancel()
      assert.is_true(job:wait(10))
    end
    done:set()
    assert.equal("undisturbed", other:result(10))
  end, { deadline = 30 })
end)

local prelude = ([[
  local braid = require "braid"
  local function loop() while true do %s end end
  local function stubborn() while true do pcall(loop) end end
]]):format(LOOP)

local programs = {
  ["a loop of pcall"] = "for _ in pcall, loop do end",
  ["a linked task"] = "braid.scope(function(scope) scope:spawn(stubborn) end)",
  ["a loose task"] = "braid.spawn(stubborn)",
  ["a daemon"] = "braid.spawn(stubborn):daemon() braid.sleep(60)",
  ["a task of a task"] = [[braid.scope(function(scope)
    scope:spawn(function() braid.scope(function(inner) inner:spawn(stubborn) end) end)
  end)]],
  ["a task in a scope cancelled before"] = [[braid.scope(function(scope)
    scope:spawn(stubborn)
    braid.sleep(0)
    scope:cancel()
  end)]],
  ["scopes again and again"] = "while true do pcall(braid.scope, function(scope) scope:spawn(stubborn) end) end",
  ["two tasks by turns"] = [[
    local function some() while true do pcall(function() for _ = 1, 1e5 do end end) pcall(braid.sleep, 0) end end
    braid.scope(function(scope) scope:spawn(some) scope:spawn(some) end)]],
  ["coroutine.wrap"] = "while true do pcall(coroutine.wrap(loop)) end",
  ["short coroutines"] = "while true do pcall(coroutine.wrap(function() for _ = 1, 4000 do end end)) end",
  ["coroutine.resume"] = "while true do coroutine.resume(coroutine.create(loop)) end",
  ["coroutine.close"] = [[while true do
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = loop })
      coroutine.yield()
    end)
    coroutine.resume(co)
    pcall(coroutine.close, co)
  end]],
  ["braid.wrap"] = "while true do pcall(braid.wrap(loop)) end",
  ["a <close> variable"] = [[local _ <close> = setmetatable({}, { __close = stubborn }) loop()]],
  ["a task pool"] = "local pool = braid.task_pool() pool:submit(stubborn) braid.sleep(60)",
  ["a task pool that is closed"] = "local pool <close> = braid.task_pool() pool:submit(stubborn) braid.sleep(60)",
  ["an inline pool"] = "local pool <close> = braid.inline_pool() pool:submit(stubborn)",
  ["an inline pool in a coroutine"] = "coroutine.wrap(function() braid.inline_pool():submit(stubborn) end)()",
  ["string.gsub"] = [[while true do pcall(string.gsub, ("x"):rep(1e6), "x", function() pcall(loop) end) end]],
  ["slow C functions"] = 'while true do pcall(function() while true do local _ = ("x"):rep(2e6) end end) end',
  ["waits"] = "while true do pcall(braid.sleep, 60) end",
  ["a debug hook of its own"] = "debug.sethook(function() end, 'l') stubborn()",
}

describe("code that swallows every error is stopped", function()
  for name, text in pairs(programs) do
    helper.test("in " .. name, function()
      local program = load(prelude .. text)
      local limited <close> = braid.thread_pool { workers = 1, time_limit = 0.02 }
      local job = limited:submit(program)
      assert.is_true(job:wait(20))
      assert.is_true(braid.is_error(job:error(), "limit"))
      local pool <close> = braid.thread_pool(1)
      job = pool:submit(program)
      while not job:running() do end
      braid.sleep(0.002)
      job:cancel()
      assert.is_true(job:wait(20))
      assert.equal("cancelled", job:state())
    end, { deadline = 60 })
  end

  helper.test("in a task of a worker process, which lives on", function()
    local pool <close> = braid.process_pool { workers = 1, time_limit = 0.1 }
    local pid = pool:submit(math.abs, -1):result() and pool:pids()[1]
    local job = pool:submit(load(prelude .. programs["a linked task"]))
    assert.is_true(job:wait(20))
    assert.is_true(braid.is_error(job:error(), "limit"))
    assert.equal(pid, pool:pids()[1])
  end, { deadline = 60 })

  helper.test("in the init of a pool", function()
    local began = braid.event()
    pcall(function()
      local pool <close> = braid.thread_pool {
        workers = 1, init_args = { began }, init = load("local began = ... began:set() " .. prelude .. "stubborn()"),
      }
      pool:submit(math.abs, -1)
      began:wait()
      error "stops it"
    end)
  end, { deadline = 30 })
end)

describe("clean-up", function()
  helper.test("of tasks that compute has its time when their job is stopped", function()
    local pool <close> = braid.thread_pool(1)
    local cleaned, began = braid.counter(0), braid.counter(0)
    local job = pool:submit(load [[
      local began, cleaned = ...
      local braid = require "braid"
      local function work()
        local _ <close> = setmetatable({}, { __close = function()
          local sum = 0
          for i = 1, 1e5 do sum = sum + i end
          cleaned:add(1)
        end })
        began:add(1)
        while true do
          for _ = 1, 1e3 do end
          braid.sleep(0)
        end
      end
      braid.scope(function(scope)
        for _ = 1, 20 do scope:spawn(work) end
      end)
    ]], began, cleaned)
    while began:get() < 20 do end
    job:cancel()
    assert.is_true(job:wait(10))
    assert.equal(20, cleaned:get())
  end, { deadline = 30 })

  for _, kind in ipairs { "tasks", "threads", "processes" } do
    helper.test("of a job whose wait was cancelled goes on, and what it fails with is not lost: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        local began, cleaned = braid.event(), braid.counter()
        local job = pool:submit(load [[
          local began, cleaned = ...
          local braid = require "braid"
          pcall(function()
            began:set()
            braid.sleep(100)
          end)
          for _ = 1, 100 do cleaned:add(1) end
          error("the clean-up failed", 0)
        ]], began, cleaned)
        began:wait()
        job:cancel()
        assert.is_true(job:wait(10))
        assert.equal("the clean-up failed", job:error())
        assert.equal(100, cleaned:get())
      end)
    end, { deadline = 30 })
  end
end)

describe("clean-up", function()
  local cleaning = {
    ["of tasks by turns, in shields, is not cut short"] = [[
      for _ = 1, 20 do
        braid.shield(braid.sleep, 0)
        for _ = 1, 3000 do end
      end]],
    ["after a wait is not cut short"] = "for _ = 1, 1e4 do pcall(tostring, 1) end",
  }
  for name, text in pairs(cleaning) do
    for _, wait in ipairs { 0, 60 } do
      helper.test(("%s: sleep(%d)"):format(name, wait), function()
        local pool <close> = braid.thread_pool(1)
        local cleaned, began = braid.counter(0), braid.counter(0)
        local job = pool:submit(load(([[
          local began, cleaned = ...
          local braid = require "braid"
          local function work()
            local _ <close> = setmetatable({}, { __close = function()
              %s
              cleaned:add(1)
            end })
            began:add(1)
            while true do
              for _ = 1, 1e3 do end
              braid.sleep(%d)
            end
          end
          braid.scope(function(scope)
            for _ = 1, 8 do scope:spawn(work) end
          end)
        ]]):format(text, wait)), began, cleaned)
        while began:get() < 8 do end
        job:cancel()
        assert.is_true(job:wait(10))
        assert.equal(8, cleaned:get())
      end, { deadline = 30 })
    end
  end
end)

describe("SIGINT", function()
  for name, text in pairs { wrap = "coroutine.wrap(loop)()", resume = "coroutine.resume(coroutine.create(loop))" } do
    helper.test("stops code that computes in a coroutine: coroutine." .. name, function()
      local _, _, status = helper.lua_process(([[
        local braid = require "braid"
        local function loop() while true do %s end end
        local stat <close> = io.open "/proc/self/stat"
        braid.run(function()
          io.popen("sleep 0.05; kill -INT " .. stat:read "n")
          %s
        end)
      ]]):format(LOOP, text))
      assert.equal(130, status)
    end)
  end
end)

describe("the end of a script", function()
  helper.test("stops a task that computes in a coroutine and goes on after its cancel", function()
    local _, _, status = helper.lua_process [[
      local braid = require "braid"
      braid.spawn(function()
        pcall(braid.sleep, 60)
        while true do pcall(coroutine.wrap(function() while true do end end)) end
      end)
      braid.sleep(0)
    ]]
    assert.equal(0, status)
  end)
end)
