-- SPDX-License-Identifier: MIT
-- A worker that could not be made, or not go on, for want of memory or descriptors: the jobs were "cancelled", their
-- error was a bare table, or a module was "not found", and the pool was broken for good.
local helper = require "spec.helper"
local braid = require "braid"

-- Runs a script under a limit of the shell's; what it prints.
local function limited(limit, code, ...)
  local command = ("ulimit %s; exec \"$0\" -e \"$@\""):format(limit)
  local result = assert(braid.process.run({ "sh", "-c", command, helper.lua, "local arg = { ... } " .. code, ... },
    { timeout = 30 * helper.slowness }))
  return result.stdout
end

-- `want` descriptors are free, then all of them.
local with_descriptors = [[
  local braid = require "braid"
  braid.run(function()
    for _, kind in ipairs { "threads", "processes" } do -- so that all that the script itself needs is loaded
      local pool <close> = braid.pool(kind, 1)
      pool:submit(math.abs, -1):result()
    end
    for free = 1, 14 do
      local held = {}
      for i = 1, 400 do held[i] = io.open "/dev/null" end
      for _ = 1, free do table.remove(held):close() end
      local made, pool = pcall(braid.pool, KIND, 2)
      if not made then
        assert(pool.kind == "system", pool)
        for _, file in ipairs(held) do file:close() end
      else
        local jobs = {}
        local ok, err = pcall(function()
          for i = 1, 4 do jobs[i] = pool:submit(function() return require "braid".now() and 1 end) end
          for i = 1, 4 do jobs[i]:result(10) end
        end)
        assert(ok or err.kind == "system" and tostring(err):find "Too many open files", tostring(err))
        for _, file in ipairs(held) do file:close() end
        -- Threads are made as soon as it is possible again.
        if KIND == "threads" then assert(pool:submit(math.abs, -2):result(10) == 2) end
        pool:close()
      end
    end
    print "right"
  end)
  os.exit(0)
]]

local with_memory = [[
  local braid = require "braid"
  local pools = {}
  for i = 1, 40 do
    local ok, err = pcall(function()
      local jobs = {}
      pools[i] = braid.thread_pool { workers = 4, tasks_per_worker = i % 2 + 1 }
      for j = 1, 4 do jobs[j] = pools[i]:submit(function() require "braid".sleep(0.005) return 1 end) end
      for j = 1, 4 do jobs[j]:result(10) end
    end)
    assert(ok or type(err) == "table" and err.kind == "system" or tostring(err):find "memory", tostring(err))
  end
  print "right"
  os.exit(0)
]]

-- Jobs that ask for more than the process can have.
local with_jobs = [[
  local braid = require "braid"
  local pool <close> = braid.pool(KIND, 1)
  local function failure(fn)
    local job = pool:submit(fn)
    job:wait(20)
    return job:error()
  end
  local function hoard() local list = {} for i = 1, 1e9 do list[i] = { i } end end
  local jobs = {
    hoard,
    function() return #require "braid".array("f64", 2 ^ 33 | 0) end,
    function() local text = "x" while true do text = text .. text end end,
  }
  for _, fn in ipairs(jobs) do
    local err = failure(fn)
    assert(type(err) == "table" and err.kind == "system" and err.code == 12, tostring(err))
    assert(tostring(err):find "Cannot allocate memory", tostring(err))
  end
  print(pool:submit(math.abs, -1):result(10))
]]

-- An item that its getter has no descriptor for is an error, whichever way it was asked for.
local with_items = [[
  local braid = require "braid"
  local pool <close> = braid.process_pool(1)
  local queue = braid.queue()
  for i = 1, 4 do queue:put(braid.array("u8", 1 << 20)) end
  queue:close()
  local job = pool:submit(function(q)
    local b, held = require "braid", {}
    local warm = b.select({ { b.queue(), "get" } }, 0), q.get_many
    for i = 1, 400 do held[i] = io.open "/dev/null" end
    local function kind(_, err) return err and err.kind end
    local kinds = { kind(q:get()), kind(select(2, b.select { { q, "get" } })), kind(q:get_many(1)) }
    local ok, err = pcall(function() for _ in q:items() do end end)
    kinds[#kinds + 1] = not ok and err.kind
    return table.concat(kinds, " ")
  end, queue)
  print(job:result(20))
]]

describe("a worker", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("that wants descriptors fails its jobs with the system's reason, and them alone: " .. kind, function()
      local out = limited("-n 300", with_descriptors:gsub("KIND", ("%q"):format(kind)))
      assert.equal("right\n", out)
    end, { deadline = 40 })
  end

  helper.test("that wants memory fails its jobs with the system's reason", function()
    if helper.slowness > 1 then return pending "a sanitizer wants more address space than any limit here" end
    for _, kilobytes in ipairs { 560000, 660000 } do
      assert.equal("right\n", limited("-v " .. kilobytes, with_memory))
    end
  end, { deadline = 60 })

  for _, kind in ipairs { "threads", "processes" } do
    helper.test("fails a job that asks for too much memory with the system's reason: " .. kind, function()
      if helper.slowness > 1 then return pending "a sanitizer wants more address space than any limit here" end
      assert.equal("1\n", limited("-v 900000", with_jobs:gsub("KIND", ("%q"):format(kind))))
    end, { deadline = 60 })
  end

  helper.test("fails what waits when the last worker process cannot be replaced, and then goes on", function()
    local out = limited("-n 100", [[
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.process_pool(1)
        pool:submit(math.abs, -1):result()
        local held = {}
        for i = 1, 100 do held[i] = io.open "/dev/null" end
        local dies = pool:submit(os.exit, 1)
        dies:wait()
        local waits = pool:submit(math.abs, -1)
        waits:wait(20)
        print(dies:error().kind, waits:error().kind, waits:error())
        for _, file in ipairs(held) do file:close() end
        print(pool:submit(math.abs, -2):result(10))
      end)
      os.exit(0)
    ]])
    assert.equal("worker_died\tsystem\tno worker could be made for this job: Too many open files\n2\n", out)
  end, { deadline = 60 })

  helper.test("says so where a part of braid cannot be loaded", function()
    local out = limited("-n 60", [[
      local braid = require "braid"
      braid.sleep(0)
      local held = {}
      for i = 1, 60 do held[i] = io.open "/dev/null" end
      local ok, err = pcall(function() return braid.array end)
      print(ok, err.kind, err.code, err)
      for _, file in ipairs(held) do file:close() end
      print(#braid.array("u8", 3))
    ]])
    assert.matches("^false\tsystem\t24\tmodule 'braid.sync.array' cannot be looked for: Too many open files\n3\n$", out)
  end)

  helper.test("says so where an item of a queue could not be taken in", function()
    assert.equal("system system system system\n", limited("-n 100", with_items))
  end)

  helper.test("raises a low limit of descriptors when a job requires a module", function()
    local out = limited("-Sn 60", [[
      local braid = require "braid"
      local held = {}
      local pool <close> = braid.thread_pool(1)
      pool:submit(math.abs, -1):result()
      while true do
        local file = io.open "/dev/null"
        if not file then break end
        held[#held + 1] = file
      end
      print(pool:submit(function() return type(require "braid.json") end):result())
    ]])
    assert.equal("table\n", out)
  end)
end)
