-- SPDX-License-Identifier: MIT
-- Failures of tasks that nobody had a handle to were kept until the run ended, a server's for ever, and reported then.
-- And the cancel of jobs by an error or SIGINT was reported as a failure of those who waited for them.
local helper = require "spec.helper"
local braid = require "braid"

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Calls fn(reports), a list to which errors that nobody asked for go meanwhile.
local function with_reports(fn)
  local reports = {}
  braid.on_unhandled(function(err) reports[#reports + 1] = err end)
  finally(function() braid.on_unhandled(nil) end)
  return fn(reports)
end

local function fail(value) error(value, 0) end

-- Many tasks that fail, and nobody holds.
local function spawn_failing(n)
  for i = 1, n do
    braid.spawn(fail, ("failure %d"):format(i))
    if i % 100 == 0 then braid.sleep(0) end
  end
  braid.sleep(0)
end

describe("the failure of a task that nobody holds", function()
  helper.test("is reported when it is collected, and freed", function()
    with_reports(function(reports)
      pcall(helper.run, function()
        spawn_failing(1000)
        collect()
        assert(#reports == 1000, #reports)
        local before = collectgarbage "count"
        spawn_failing(5000)
        collect()
        assert(#reports == 6000, #reports)
        for i = #reports, 1001, -1 do reports[i] = nil end
        assert(collectgarbage "count" - before < 200)
      end)
    end)
  end)

  for name, collected in pairs { ["that was collected"] = true, ["that was not"] = false } do
    helper.test("is its scope's, once: " .. name, function()
      with_reports(function(reports)
        if not collected then
          collectgarbage "stop"
          finally(function() collectgarbage "restart" end)
        end
        for _, n in ipairs { 1, 2, 10, 25 } do
          local ok, err = pcall(helper.run, function()
            spawn_failing(n)
            if collected then collect() end
            assert(#reports == (collected and n or 0))
          end)
          assert.is_false(ok)
          assert.equal(n, #reports)
          for i = n, 1, -1 do reports[i] = nil end
          if n == 1 then
            assert.equal("failure 1", err)
          else
            assert.equal("group", err.kind)
            assert.matches("^" .. n .. " failures:\n  1. failure 1\n", err.message)
          end
          assert.equal(n > 10, tostring(err):find "more$" ~= nil)
        end
      end)
    end)
  end

  helper.test("is nobody's when somebody has asked for it", function()
    with_reports(function(reports)
      helper.run(function()
        for _ = 1, 100 do
          local task = braid.spawn(fail, "asked")
          assert(not pcall(task.result, task))
        end
        for _ = 1, 100 do
          local task = braid.spawn(fail, "asked")
          task:on_done(function(future) future:error() end)
        end
        braid.sleep(0)
        collect()
      end)
      collect()
      assert.same({}, reports)
    end)
  end)

  helper.test("may be asked for until it is collected", function()
    with_reports(function(reports)
      helper.run(function()
        local tasks = {}
        for i = 1, 20 do tasks[i] = braid.spawn(fail, i) end
        braid.sleep(0)
        collect()
        for i = 1, 20 do assert(tasks[i]:error() == i) end
      end)
      assert.same({}, reports)
    end)
  end)

  for _, kind in ipairs { "inline", "tasks", "threads", "processes" } do
    helper.test("is the failure of its job: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 1)
        local job = pool:submit(load [[
          local braid = require "braid"
          braid.on_unhandled(function() end)
          for i = 1, 3 do braid.spawn(error, "failure " .. i, 0) end
          braid.sleep(0)
          collectgarbage()
          collectgarbage()
          braid.on_unhandled(nil)
        ]])
        job:wait()
        assert.equal("failed", job:state())
        assert.matches("^3 failures:\n  1. failure 1\n", tostring(job:error()))
      end)
    end)
  end

  helper.test("is reported by a handler that cannot wait, but may fail", function()
    local _, err = helper.lua_process [[
      local braid = require "braid"
      braid.on_unhandled(function(err) if err == "wait" then braid.sleep(0) end error "the handler" end)
      pcall(braid.run, function()
        for _, value in ipairs { "wait", "fail" } do braid.spawn(error, value, 0) end
        braid.sleep(0)
        collectgarbage()
        collectgarbage()
        io.stderr:write "collected\n"
      end)
    ]]
    local before = err:match "^(.*)collected\n$"
    assert.is_truthy(before, err)
    assert.matches("cannot wait", before)
    assert.matches("the handler", before)
  end)
end)

describe("no failure is", function()
  local compute = load [[ -- busted would give it an environment of its own
    local now = require "braid".now
    local start, seconds = now(), ...
    while now() - start < seconds do end
  ]]

  -- Tasks that wait for jobs until an error, or `stop`, ends the pool.
  local function await_jobs(kind, stop)
    local pool <close> = braid.pool(kind, 2)
    local function await() while true do pool:submit(compute, 0.01):result() end end
    for _ = 1, 2 do braid.spawn(await) end
    braid.spawn(function() braid.scope(function(s) s:spawn(await) s:spawn(await) end) end)
    braid.spawn(function() braid.gather { await, await } end)
    braid.sleep(0.03)
    stop()
    braid.sleep(5)
  end

  for _, kind in ipairs { "tasks", "threads", "processes" } do
    helper.test("the cancel of a job by an error: " .. kind, function()
      with_reports(function(reports)
        for _ = 1, 5 do
          local ok, err = pcall(helper.run, await_jobs, kind, function() fail "the error" end)
          assert.same({ false, "the error" }, { ok, err })
        end
        assert.same({}, reports)
      end)
    end)

    helper.test("the cancel of a job by a timeout: " .. kind, function()
      with_reports(function(reports)
        local ok, err = pcall(helper.run, braid.timeout, 0.05, await_jobs, kind, function() end)
        assert.same({ false, "timeout", {} }, { ok, err.kind, reports })
      end)
    end)
  end

  helper.test("lost by os.exit inside the scope whose task has failed", function()
    for _, how in ipairs { "0", "0, true" } do
      local _, text, code = helper.lua_process(([[
        local braid = require "braid"
        braid.run(function()
          braid.scope(function(scope)
            local unseen = scope:spawn(function()
              pcall(braid.sleep, 1)
              error("unseen", 0)
            end)
            local seen = scope:spawn(function() error("seen", 0) end)
            pcall(braid.sleep, 1)
            braid.shield(unseen.wait, unseen)
            seen:error()
            os.exit(%s)
          end)
        end)
      ]]):format(how))
      assert.equal(0, code)
      assert.matches("^braid: unhandled error: unseen\nstack traceback:\n", text)
      assert.no_matches("unhandled.*unhandled", text)
    end
  end)

  helper.test("the cancel of a future whose callback asks for its result", function()
    with_reports(function(reports)
      helper.run(function()
        local pool <close> = braid.thread_pool(1)
        local futures = { braid.spawn(braid.sleep, 10), pool:submit(compute, 10) }
        local asked = 0
        for _, future in ipairs(futures) do
          future:on_done(function(this)
            asked = asked + 1
            this:result()
          end)
        end
        braid.sleep(0)
        for _, future in ipairs(futures) do future:cancel() end
        braid.wait(futures)
        assert.equal(2, asked)
      end)
      assert.same({}, reports)
    end)
  end)

  helper.test("the cancel of a job by SIGINT", function()
    for _ = 1, 3 do
      local _, err, status = helper.lua_process [[
        local braid = require "braid"
        local stat <close> = io.open "/proc/self/stat"
        local function slow(n) local t = braid.now() while braid.now() - t < n do end return n end
        braid.run(function()
          local pool <close> = braid.thread_pool(2)
          for _ = 1, 4 do braid.spawn(function() while true do pool:submit(slow, 0.01):result() end end) end
          braid.sleep(0.05)
          braid.process.run { "kill", "-INT", tostring(stat:read "n") }
          braid.sleep(10)
        end)
      ]]
      assert.same({ "braid: interrupted\n", 130 }, { err, status })
    end
  end)

  helper.test("silent, when a cancel that nothing stands for is all there is", function()
    with_reports(function(reports)
      local ok, err = pcall(helper.run, function()
        local pool <close> = braid.thread_pool(1)
        local job = pool:submit(compute, 5)
        braid.spawn(function() job:result() end)
        braid.sleep(0.01)
        job:cancel()
        braid.sleep(0.01)
        collect()
      end)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.equal(1, #reports)
    end)
  end)
end)
