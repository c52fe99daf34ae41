-- SPDX-License-Identifier: MIT
-- Every array above 1 MiB kept a descriptor, which travelled with each job: many of them broke their pool, and what
-- could not be sent, received or mapped ended a worker, or came home as no value.
local helper = require "spec.helper"
local sanitized = helper.slowness > 1 -- which needs addresses without end

local function under_limit(limits, code)
  local out, err, status = helper.lua_process([[
    local braid = require "braid"
    local function failure(job)
      job:wait()
      local err = job:error()
      return err and ("%s %s"):format(err.kind, err.message:match ": ([^:]*)$")
    end
    local function collect() collectgarbage() collectgarbage() end
  ]] .. code, { limits = limits, timeout = 20 })
  assert.same({ "", 0 }, { err, status })
  return out
end

describe("arrays where descriptors are few", function()
  helper.test("any number of them can be made, and files opened", function()
    assert.equal("true\t500500\n", under_limit("-n 60", [[
      local arrays, sum = {}, 0
      for i = 1, 1000 do arrays[i] = braid.array("f64", 1000 + i * 700) arrays[i][#arrays[i] ] = i end
      for i = 1, 1000 do sum = sum + arrays[i][#arrays[i] ] end
      print(io.open "/dev/null" ~= nil, sum // 1 | 0)
    ]]))
  end)

  helper.test("they travel in any number, there and home, in queues and dicts", function()
    assert.equal("180300\t300\t45150\t90300\t7\n", under_limit("-n 64", [[
      local pool <close> = braid.process_pool(1)
      local arrays, queue, dict = {}, braid.queue(), braid.dict()
      for i = 1, 600 do arrays[i] = braid.array("f64", 131073 + i * 100) arrays[i][#arrays[i] ] = i end
      local sum, home = pool:submit(function(list)
        local braid = require "braid"
        local sum, home = 0, {}
        for i = 1, #list do sum = sum + list[i][#list[i] ] end
        for i = 1, 300 do
          home[i] = braid.array("i64", 131073 + i * 100)
          home[i][#home[i] ] = i
          queue:put(home[i])
          dict:set(i, home[i])
        end
        return sum, home
      end, arrays):result()
      local ours, again = 0, 0
      for i = 1, #home do ours = ours + home[i][#home[i] ] end
      for i = 1, 300 do
        local array, other = queue:get(), dict:get(i)
        again = again + array[#array] + other[#other]
      end
      arrays, home = nil, nil
      collect()
      print(sum // 1 | 0, 300, ours, again, pool:submit(function() return 7 end):result())
    ]]))
  end, { deadline = 20 })

  helper.test("a worker that has none left fails the job, and takes the array later", function()
    assert.equal("system Too many open files\n5.0\n", under_limit("-n 100", [[
      local pool <close> = braid.process_pool(1)
      local array = braid.array("f64", 1e7)
      array[1e7] = 5
      pool:submit(function()
        local held = {}
        _G.held = held
        for i = 1, 100 do held[i] = io.open "/dev/null" end
      end):result()
      local function last(array) return array[#array] end
      print(failure(pool:submit(last, array)))
      pool:submit(function() for _, file in ipairs(_G.held) do file:close() end end):result()
      print(pool:submit(last, array):result())
    ]]))
  end)

  helper.test("so does a parent that has none left for results", function()
    assert.equal("system Too many open files\n6.0\t7.0\n", under_limit("-n 100", [[
      local pool <close> = braid.process_pool(1)
      local function make(value)
        local array = require "braid".array("f64", 1e7)
        array[1e7] = value
        return array
      end
      pool:submit(function() end):result()
      local held = {}
      for i = 1, 100 do held[i] = io.open "/dev/null" end
      print(failure(pool:submit(make, 5)))
      for _, file in ipairs(held) do file:close() end
      local one, other = pool:submit(make, 6):result(), pool:submit(make, 7):result()
      print(one[#one], other[#other])
    ]]))
  end)

  helper.test("too many on their way to workers that do not read delay the jobs", function()
    local as = ""
    if io.popen("id -u"):read "n" == 0 then -- who may have any number
      as = "setpriv --bounding-set=-sys_resource,-sys_admin "
      if not os.execute(as .. "true 2>/dev/null") then return end
    end
    local script = os.tmpname()
    finally(function() os.remove(script) end)
    local file <close> = assert(io.open(script, "w"))
    file:write [[
      local braid = require "braid"
      local pool = braid.process_pool(6)
      local jobs, arrays = {}, {}
      for i = 1, 6 do jobs[i] = pool:submit(function() require "braid".sleep(0.1) end) end
      for i = 1, 6 do jobs[i]:result() end
      for i = 1, 16 do arrays[i] = braid.array("u8", 3 << 20 + i) arrays[i][#arrays[i] ] = i end
      for _, pid in ipairs(pool:pids()) do os.execute("kill -STOP " .. pid) end
      for i = 1, 6 do
        jobs[i] = pool:submit(function(list)
          local sum = 0
          for j = 1, #list do sum = sum + list[j][#list[j] ] end
          return sum
        end, arrays)
      end
      braid.sleep(0.3)
      for _, pid in ipairs(pool:pids()) do os.execute("kill -CONT " .. pid) end
      for i = 1, 6 do print(jobs[i]:result(8)) end
      pool:close()
    ]]
    file:close()
    local command = ("ulimit -n 40; %stimeout 20 %s %s 2>&1"):format(as, helper.lua, script)
    assert.equal(("136\n"):rep(6), io.popen(command):read "a")
  end, { deadline = 30 })
end)

describe("arrays where addresses are few", function()
  helper.test("one that the worker cannot map fails its job, and is taken later", function()
    if sanitized then return end
    assert.equal("system Cannot allocate memory\n5.0\n", under_limit("-v 3000000", [[
      local pool <close> = braid.process_pool(1)
      local array = braid.array("f64", 200e6)
      array[#array] = 5
      pool:submit(function() _G.held = require "braid".array("f64", 200e6) end):result()
      local function last(array) return array[#array] end
      print(failure(pool:submit(last, array)))
      pool:submit(function() _G.held = nil collectgarbage() collectgarbage() end):result()
      print(pool:submit(last, array):result())
    ]]))
  end)

  helper.test("results that cannot be mapped here are an error", function()
    if sanitized then return end
    assert.equal("system Cannot allocate memory\n7\t8\n5.0\n", under_limit("-v 3000000", [[
      local pool <close> = braid.process_pool(1)
      local hold = braid.array("f64", 200e6)
      local function make(n, value)
        local array = require "braid".array("f64", n)
        array[n] = value
        return array, 1
      end
      print(failure(pool:submit(make, 250000000, 1)))
      local one, other = pool:submit(make, 2000, 7):result(), pool:submit(make, 2000, 8):result()
      print(one[2000] // 1 | 0, other[2000] // 1 | 0)
      hold = nil
      collect()
      pool:submit(function() collectgarbage() collectgarbage() end):result()
      local large = pool:submit(make, 250000000, 5):result()
      print(large[#large])
    ]]))
  end)

  helper.test("a large one can be made again and again, and sent", function()
    if sanitized then return end
    assert.equal("20\n", under_limit("-v 3000000", [[
      local pool <close> = braid.process_pool(1)
      local count = 0
      for i = 1, 20 do
        local array = braid.array("f64", 150e6 + i * 1000)
        array[1] = i
        count = count + pool:submit(function(a)
          local value = a[1]
          a = nil
          return value
        end, array):result() // i
        array = nil
        collect()
        pool:submit(function() collectgarbage() collectgarbage() end):result()
      end
      print(count | 0)
    ]]))
  end)
end)
