-- SPDX-License-Identifier: MIT
-- The timeline of braid.trace.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local json = require "braid.json"

local test, describe = helper.test, require("busted").describe

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function spans(events, cat)
  local found = {}
  for _, event in ipairs(events) do
    if event.ph == "X" and event.cat == cat then found[#found + 1] = event end
  end
  return found
end

describe("trace", function()
  test("has tasks by name, jobs on the threads that ran them, and their arrows", function()
    local path = os.tmpname()
    local sum = helper.run(function()
      return braid.trace(path, function()
        local task = braid.spawn(braid.sleep, 0.01)
        task.name = "napper"
        local pool <close> = braid.thread_pool(2)
        local both = braid.barrier(2) -- one thread may begin so late that the other could do it all
        local results = pool:map(function(n)
          assert(both:wait(20))
          braid.sleep(0.01)
          return n
        end, { 1, 2, 3, 4 }, { chunk = 1 })
        task:result()
        return #results
      end)
    end)
    assert.equal(4, sum)
    local events = json.decode(read(path)).traceEvents
    os.remove(path)
    local napper = false
    for _, span in ipairs(spans(events, "task")) do napper = napper or span.name == "napper" end
    assert.is_true(napper)
    local jobs, threads = spans(events, "job"), {}
    assert.equal(4, #jobs)
    for _, job in ipairs(jobs) do
      threads[job.tid] = true
      assert.is_true(job.dur >= 9000)
      assert.matches("trace_spec.lua:%d+", job.name)
    end
    assert.is_truthy(next(threads, next(threads)))
    local arrows = { s = 0, t = 0, f = 0 }
    for _, event in ipairs(events) do
      if arrows[event.ph] then arrows[event.ph] = arrows[event.ph] + 1 end
    end
    assert.same({ s = 4, t = 4, f = 4 }, arrows)
  end)

  test("has the jobs of worker processes", function()
    local path = os.tmpname()
    helper.run(function()
      local pool <close> = braid.process_pool(1)
      braid.trace(path, pool.map, pool, function(n)
        braid.sleep(0.01)
        return n
      end, { 1, 2, 3 }, { chunk = 1 })
      pool:shutdown()
    end)
    local jobs = spans(json.decode(read(path)).traceEvents, "job")
    os.remove(path)
    assert.equal(3, #jobs)
    assert.is_true(jobs[1].dur >= 9000)
    assert.not_equal(require("braid.core").pid(), jobs[1].pid)
  end)

  test("writes a page that needs nothing else, also when fn raises", function()
    local path = os.tmpname() .. ".html"
    local ok, err = pcall(helper.run, function() braid.trace(path, error, "boom", 0) end)
    assert.is_false(ok)
    assert.matches("boom", tostring(err))
    local page = read(path)
    os.remove(path)
    assert.matches("^<!doctype html>", page)
    assert.is_nil(page:find("https?://"))
  end)

  test("refuses a second one, and what is no path", function()
    helper.run(function()
      local path = os.tmpname()
      braid.trace(path, function()
        local ok, err = pcall(braid.trace, path, print)
        assert.is_false(ok)
        assert.equal("misuse", err.kind)
      end)
      os.remove(path)
      assert.is_false((pcall(braid.trace, 7, print)))
    end)
  end)
end)
