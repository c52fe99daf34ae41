-- SPDX-License-Identifier: MIT
-- What is idle uses no processor: tasks that wait, loops, pools of threads and processes, sessions, listeners.
local helper = require "spec.helper"

describe("a process in which nothing happens", function()
  helper.test("uses no processor time", function()
    local stdout, stderr, code = helper.lua_process([[
      local braid = require "braid"

      -- processor seconds of a process with all its threads
      local function used(pid)
        local handle <close> = assert(io.open(("/proc/%s/stat"):format(pid)))
        local fields = handle:read "a":match "%) (.*)"
        local user, system = fields:match("^" .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
        return (user + system) / 100
      end

      braid.run(function()
        local threads <close> = braid.thread_pool(2)
        local processes <close> = braid.process_pool(2)
        local queue, lock, counter = braid.queue(10), braid.lock(), braid.counter()
        local listener = assert(braid.net.listen("127.0.0.1", 0))
        for _ = 1, 200 do
          threads:submit(string.rep, "x", 3):result()
          processes:submit(string.rep, "x", 3):result()
        end
        local function get(from) return from:get() end
        threads:submit(function(to) to:put(1) end, queue):result()
        processes:submit(get, queue):result()
        threads:submit(function(shared) shared:add(1) end, counter):result()
        braid.kernels.sum(braid.array("f64", 100000))
        local waiting = {
          braid.spawn(get, queue), braid.spawn(braid.sleep, 3600), braid.spawn(listener.accept, listener),
          threads:submit(get, queue), processes:submit(get, queue),
        }
        lock:acquire()
        waiting[6] = braid.spawn(lock.acquire, lock)
        braid.sleep(1) -- whoever waits for a moment before it sleeps is asleep by now
        local pids = { "self", table.unpack(processes:pids()) }
        local before = {}
        for i, pid in ipairs(pids) do before[i] = used(pid) end
        braid.sleep(2)
        for i, pid in ipairs(pids) do print(pid, used(pid) - before[i]) end
        for _, task in ipairs(waiting) do task:cancel() end
        lock:release()
        listener:close()
      end)
    ]], { timeout = 30 })
    assert.equal(0, code, stderr)
    local processes = 0
    for name, seconds in stdout:gmatch "(%S+)\t(%S+)" do
      assert.is_true(tonumber(seconds) <= 0.03, name .. " has used " .. seconds .. " s") -- in two seconds
      processes = processes + 1
    end
    assert.equal(3, processes)
  end, { deadline = 40 })
end)
