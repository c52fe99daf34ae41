-- SPDX-License-Identifier: MIT
-- Pools that had ended were kept until the script's end, some 2 KiB each.
local helper = require "spec.helper"

local measure = [[
  local braid = require "braid"
  local lfs = require "lfs"
  braid.deadlocks "off" -- their search has a thread of its own, from the first long wait on
  local function resident()
    local file <close> = assert(io.open "/proc/self/status") -- a descriptor less before others are counted
    return tonumber(file:read("a"):match "\nVmRSS:%s+(%d+)")
  end
  local function entries(folder)
    local count = 0
    for _ in lfs.dir(folder) do count = count + 1 end
    return count
  end
  local function measure(work, warm, count)
    for _ = 1, warm do work() end
    braid.sleep(0.2) -- a thread opens what it waits with when it first has nothing to do
    collectgarbage() collectgarbage()
    local memory, files, threads = resident(), entries "/proc/self/fd", entries "/proc/self/task"
    for _ = 1, count do work() end
    collectgarbage() collectgarbage()
    local patience = braid.now() + 10 -- a thread that was forgotten ends a moment later
    local function is_back() return entries "/proc/self/task" <= threads and entries "/proc/self/fd" <= files end
    while not is_back() and braid.now() < patience do
      collectgarbage()
      braid.sleep(0.01)
    end
    print(resident() - memory, entries "/proc/self/fd" - files, entries "/proc/self/task" - threads)
  end
]]

-- What is left afterwards: KiB of memory, descriptors, threads.
local function growth(script)
  local out, err, code = helper.lua_process(measure .. script, { timeout = 60 })
  assert.equal(0, code, err)
  local memory, files, threads = out:match "^(%-?%d+)\t(%-?%d+)\t(%-?%d+)\n$"
  assert.is_true(tonumber(files) <= 0, files)
  assert.is_true(tonumber(threads) <= 0, threads)
  return tonumber(memory)
end

-- The sanitizers keep what was freed.
local function assert_below(most, memory)
  if helper.slowness == 1 then assert.is_true(memory < most, ("%d KiB more than before"):format(memory)) end
end

describe("the end of a pool", function()
  helper.test("leaves nothing of a thousand pools", function()
    assert_below(1000, growth [[
      local made = 0
      measure(function()
        local pool = braid.thread_pool(2)
        assert(pool:submit(function() return 1 end):result() == 1)
        pool:close()
        made = made + 1
        if made % 100 == 0 then collectgarbage() end -- what malloc keeps of many dead pools at once is no leak
      end, 1000, 1000)
    ]])
  end, { deadline = 60 })

  helper.test("leaves nothing of pools that nobody closed", function()
    assert_below(2000, growth [[
      local made = 0
      measure(function()
        braid.thread_pool(1):submit(function() return 1 end):result()
        made = made + 1
        if made % 20 == 0 then collectgarbage() braid.sleep(0.01) end
      end, 100, 300)
      braid.sleep(0)
    ]])
  end, { deadline = 60 })
end)

describe("a pool", function()
  helper.test("comes back to what it had before ten thousand jobs", function()
    assert_below(8000, growth [[ -- how much is under way at once varies; 40 bytes a job would be too many
      local pool <close> = braid.thread_pool(2)
      measure(function()
        local futures = {}
        for i = 1, 10000 do futures[i] = pool:submit(function(x) return { x } end, i) end
        for i = 1, 10000 do assert(futures[i]:result()[1] == i) end
      end, 5, 20)
    ]])
  end, { deadline = 60 })
end)
