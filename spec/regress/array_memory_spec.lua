-- SPDX-License-Identifier: MIT
-- Memory of arrays that processes share: nobody sees another's, or what was there before, whoever comes, goes or dies.
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

-- Every element is its number and the array's own mark, so that any other's can be told.
local function write(array, mark)
  for i = 1, #array, 97 do array[i] = mark + i end
  if #array > 0 then array[#array] = mark + #array end
  return array
end

local function check(array, mark)
  for i = 1, #array, 97 do assert(array[i] == mark + i, "another's memory") end
  assert(#array == 0 or array[#array] == mark + #array, "another's memory")
end

local function check_new(array)
  for i = 1, #array, 61 do assert(array[i] == 0, "old contents") end
end

-- A job: checks what it was given, and makes some; keeps of both what it likes, checks all of it the next time.
local function work(given, marks, seed)
  local new_array = require "braid".array
  math.randomseed(seed)
  _G.kept = _G.kept or {}
  for _, one in ipairs(_G.kept) do check(one[1], one[2]) end
  for i, array in ipairs(given) do
    check(array, marks[i])
    if math.random(3) == 1 then _G.kept[#_G.kept + 1] = { array, marks[i] } end
  end
  local home, home_marks = {}, {}
  for i = 1, math.random(0, 4) do
    local array = new_array("i64", math.random(0, 1 << math.random(4, 18)))
    check_new(array)
    home_marks[i] = seed * 1000003 + i * 7919
    home[i] = write(array, home_marks[i])
    if math.random(3) == 1 then _G.kept[#_G.kept + 1] = { home[i], home_marks[i] } end
  end
  while #_G.kept > 6 do table.remove(_G.kept, math.random(#_G.kept)) end
  if math.random(4) == 1 then collectgarbage() end
  return home, home_marks
end

describe("the memory of arrays", function()
  helper.test("is its holders' own, while all come, go and are killed", function()
    local pool <close> = braid.process_pool(3)
    local kept, mark = {}, 0
    local deadline, round = braid.now() + 3, 0
    math.randomseed(os.time())
    local function take(array, its)
      kept[#kept + 1] = { array, its }
      if #kept > 40 then table.remove(kept, math.random(#kept)) end
    end
    while braid.now() < deadline do
      round = round + 1
      local jobs = {}
      for j = 1, 4 do
        local given, marks = {}, {}
        for i = 1, math.random(0, 4) do
          local old = #kept > 0 and math.random(2) == 1 and kept[math.random(#kept)]
          if old then
            given[i], marks[i] = old[1], old[2]
          else
            mark = mark + 104729
            local array = braid.array("i64", math.random(0, 1 << math.random(4, 18)))
            check_new(array)
            given[i], marks[i] = write(array, mark), mark
            take(array, mark)
          end
          if math.random(3) == 1 and #given[i] > 97 then given[i] = given[i]:slice(1, 1) end
        end
        jobs[j] = pool:submit(work, given, marks, round * 4 + j)
      end
      local victim = round % 10 == 0 and pool:pids()[math.random(3)]
      if victim then os.execute("kill -9 " .. victim) end
      for _, job in ipairs(jobs) do
        job:wait()
        local err = job:error()
        assert.is_true(err == nil or braid.is_error(err, "worker_died"), tostring(err))
        if not err then
          local home, marks = job:result()
          for i, array in ipairs(home) do take(array, marks[i]) end
        end
      end
      for _, one in ipairs(kept) do check(one[1], one[2]) end
      if math.random(3) == 1 then collectgarbage() end
    end
  end, { deadline = 30 })

  helper.test("stays while any process holds it", function()
    local pool <close> = braid.process_pool(2)
    local function keep(array)
      _G.held = array
      return array
    end
    local function look() return _G.held[1], _G.held[#_G.held] end
    for _, n in ipairs { 10, 3000, 300000 } do
      local one <close> = braid.process_pool(1)
      one:submit(keep, write(braid.array("i64", n), 5)):result()
      local made = one:submit(function(size) return require "braid".array("i64", size):fill(size) end, n):result()
      for _ = 1, 20 do
        collectgarbage()
        check_new(braid.array("i64", n))
        braid.array("i64", n):fill(-1)
      end
      assert.same({ 6, 5 + n }, { one:submit(look):result() })
      os.execute("kill -9 " .. one:pids()[1])
      assert.equal(1, one:submit(function() return 1 end):result())
      assert.same({ n, n }, { made[1], made[n] })
      assert.same({ n, n }, { pool:submit(function(a) return a[1], a[#a] end, made):result() })
    end
  end, { deadline = 20 })

  helper.test("stays behind a slice that came home, when its worker has ended", function()
    local function tail(array) return array:slice(#array - 1), array:slice(2):slice(3, 4) end
    for _, n in ipairs { 10, 3000, 300000 } do
      local pool <close> = braid.process_pool { workers = 1, max_jobs_per_worker = 1 }
      local first, second = pool:submit(tail, write(braid.array("i64", n), 5)):result()
      local of_worker = pool:submit(function(m)
        return require "braid".array("i64", m):fill(m):slice(2):slice(1, 2)
      end, n):result()
      assert.equal(1, pool:submit(function() return 1 end):result()) -- the workers of the others have ended
      collectgarbage()
      collectgarbage()
      for _ = 1, 20 do braid.array("i64", n):fill(-1) end
      assert.equal(5 + n, first[2])
      assert.same({ 0, 0 }, second:totable())
      assert.same({ n, n }, of_worker:totable())
      local third = pool:submit(function(a, b) return a:slice(2), b end, first, of_worker):result()
      assert.equal(5 + n, third[1])
    end
  end, { deadline = 20 })

  helper.test("goes when its worker was killed, but for what is held", function()
    local lfs = require "lfs"
    local function kilobytes()
      local sum = 0
      for fd in lfs.dir("/proc/self/fd") do
        local path = "/proc/self/fd/" .. fd
        local target = lfs.symlinkattributes(path, "target")
        if target and target:find("^/memfd:braid ") then sum = sum + lfs.attributes(path, "blocks") / 2 end
      end
      return sum
    end
    if not io.open("/proc/self/fd") then return end
    local before = kilobytes()
    local pool <close> = braid.process_pool(1)
    local held, middle = pool:submit(function()
      local new_array = require "braid".array
      _G.many = {}
      for i = 1, 40 do _G.many[i] = new_array("i64", 100000):fill(i) end
      return _G.many[7], _G.many[20]:slice(50000, 60000)
    end):result()
    assert.is_true(kilobytes() > before + 15000)
    os.execute("kill -9 " .. pool:pids()[1])
    assert.equal(1, pool:submit(function() return 1 end):result())
    assert.is_true(kilobytes() < before + 1000, kilobytes() .. " KB")
    for i = 1, #held do assert(held[i] == 7) end
    for i = 1, #middle do assert(middle[i] == 20) end
  end)

  helper.test("is left alone by a process that was forked from its holder", function()
    local out, err, status = helper.lua_process([[
      local braid = require "braid"
      local forker = require "forker"
      local arrays = {}
      for i = 1, 20 do arrays[i] = braid.array("i64", i * i * i * 40):fill(i) end
      braid.sleep(0.001)
      local pid = forker.fork()
      if pid == 0 then
        local ok, err = pcall(braid.array, "f64", 10)
        io.stdout:write(tostring(ok), " ", tostring(braid.is_error(err, "misuse")), "\n")
        arrays = nil
        collectgarbage()
        collectgarbage()
        os.exit(0, true)
      end
      forker.wait(pid)
      for i = 1, 20 do assert(arrays[i][1] == i and arrays[i][#arrays[i] ] == i) end
      print "parent"
    ]], { env = { ASAN_OPTIONS = "detect_leaks=0" } })
    assert.same({ "false true\nparent\n", "", 0 }, { out, err, status })
  end)
end)
