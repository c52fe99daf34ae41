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

-- Asynchronous events: { name, tid, pid, dur } of each pair of beginning and end.
local function pairs_of(events, cat)
  local open, found = {}, {}
  for _, event in ipairs(events) do
    if event.cat == cat and event.ph == "b" then
      open[event.id] = event
    elseif event.cat == cat and event.ph == "e" then
      local begun = open[event.id]
      found[#found + 1] = { name = begun.name, tid = begun.tid, pid = begun.pid, dur = event.ts - begun.ts }
    end
  end
  return found
end

describe("trace", function()
  test("names the steps of workers by their jobs", function()
    local path = os.tmpname() .. ".json"
    braid.trace(path, helper.run, function()
      local pool <close> = braid.thread_pool(1)
      for i = 1, 3 do pool:submit(function() braid.sleep(0.01 * i) end):result() end
    end)
    local here, count = debug.getinfo(1, "l").currentline - 2, 0
    for _, event in ipairs(json.decode(read(path)).traceEvents) do
      assert.are_not.equal("a C function", event.name)
      if event.ph == "X" and event.cat == "task" and event.name == "trace_spec.lua:" .. here then count = count + 1 end
    end
    assert.is_true(count >= 4, count)
    os.remove(path)
  end)

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
    local jobs, threads = pairs_of(events, "job"), {}
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
    local jobs = pairs_of(json.decode(read(path)).traceEvents, "job")
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

  -- What Perfetto's rules ask for: slices of a thread are apart or nested, and arrows begin and end in slices.
  test("has slices that nest, arrows between slices, and kernels by name", function()
    local path = os.tmpname()
    local numbers = braid.kernels.random(200000)
    helper.run(function()
      braid.trace(path, function()
        local pool <close> = braid.thread_pool(2)
        pool:map(function(n)
          for _ = 1, n % 3 do require "braid".sleep(0.001) end
          return n
        end, { 1, 2, 3, 4, 5, 6, 7, 8 }, { chunk = 1 })
        braid.kernels.sort(numbers)
      end)
    end)
    local events = json.decode(read(path)).traceEvents
    os.remove(path)
    local lanes = {}
    for _, slice in ipairs(events) do
      if slice.ph == "X" then
        local lane = slice.pid .. "/" .. slice.tid
        lanes[lane] = lanes[lane] or {}
        table.insert(lanes[lane], slice)
      end
    end
    for _, lane in pairs(lanes) do
      for _, a in ipairs(lane) do
        for _, b in ipairs(lane) do
          assert.is_false(a.ts < b.ts and b.ts < a.ts + a.dur and a.ts + a.dur < b.ts + b.dur)
        end
      end
    end
    local arrows = 0
    for _, point in ipairs(events) do
      if point.ph == "s" or point.ph == "t" or point.ph == "f" then
        local inside = false
        for _, slice in ipairs(lanes[point.pid .. "/" .. point.tid] or {}) do
          inside = inside or slice.ts <= point.ts and point.ts <= slice.ts + slice.dur
        end
        assert.is_true(inside)
        arrows = arrows + 1
      end
    end
    assert.equal(24, arrows)
    assert.equal("sort", pairs_of(events, "kernel")[1].name)
  end)

  test("writes a page of a size that a browser opens, however long the run", function()
    local path = os.tmpname()
    helper.run(function()
      braid.trace(path .. ".html", function()
        braid.scope(function(scope)
          for _ = 1, 4 do
            scope:spawn(function() for _ = 1, 40000 do braid.sleep(0) end end)
          end
        end)
      end)
    end)
    local page = read(path .. ".html")
    os.remove(path)
    os.remove(path .. ".html")
    assert.is_true(#page < 8e6, #page .. " bytes")
    assert.matches("steps%)", page)
  end, { deadline = 30 })
end)
