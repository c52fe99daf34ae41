-- SPDX-License-Identifier: MIT
-- A computing job was stopped between taking a lock and knowing it: the lock stayed with a task that had ended. And an
-- item was lost with a job that had waited for it when it was stopped.
local helper = require "spec.helper"
local braid = require "braid"
local abs = math.abs

describe("a job that is stopped", function()
  for _, kind in ipairs { "threads", "processes" } do
    helper.test("never loses a lock that it takes with a scope: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 2)
        local lock = braid.lock()
        for i = 1, kind == "threads" and 150 or 40 do
          local job = pool:submit(function()
            while true do lock:with(abs, 1) end
          end)
          braid.sleep(0.001 + i % 7 * 0.0003)
          job:cancel()
          braid.wait { job }
          assert(lock:acquire(10))
          lock:release()
        end
      end)
    end, { deadline = 60 })

    helper.test("loses no item that it waited for: " .. kind, function()
      helper.run(function()
        local pool <close> = braid.pool(kind, 2)
        local queue = braid.queue()
        for i = 1, kind == "threads" and 100 or 40 do
          local job = pool:submit(function()
            local item = queue:get()
            return item
          end)
          if i % 2 == 0 then braid.sleep(0.001) end
          job:cancel()
          queue:put(i)
          job:wait()
          assert.equal(i, job:state() == "done" and job:result() or queue:get(5))
        end
      end)
    end, { deadline = 60 })
  end
end)
