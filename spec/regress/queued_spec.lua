-- SPDX-License-Identifier: MIT
-- A pool whose workers are made anew after some jobs left what was queued pending for ever when it was closed: closed
-- is not empty. And whatever workers end of, no job of theirs stays pending.
local helper = require "spec.helper"
local braid = require "braid"

local square = load "local n = ... return n * n"

local settings = {
  { workers = 1, max_jobs_per_worker = 1 }, { workers = 2, max_jobs_per_worker = 1 },
  { workers = 1, max_jobs_per_worker = 2, tasks_per_worker = 3 }, { workers = 3, max_jobs_per_worker = 2 },
}

describe("what is queued when a pool is closed is done", function()
  for _, kind in ipairs { "tasks", "threads", "processes" } do
    for i, options in ipairs(settings) do
      helper.test(("%s, settings %d"):format(kind, i), function()
        for _ = 1, kind == "processes" and 1 or 10 do
          local futures = {}
          do
            local pool <close> = braid.pool(kind, options)
            for n = 1, 8 do futures[n] = pool:submit(square, n) end
          end
          for n = 1, 8 do
            assert.equal("done", futures[n]:state())
            assert.equal(n * n, futures[n]:result())
          end
        end
      end, { deadline = 30 })
    end
  end
end)

describe("a job that no worker will begin ends", function()
  local fails_later = load [[
    local starts = ...
    if starts:add(1) > 1 then error("not again", 0) end
  ]]

  for _, kind in ipairs { "threads", "processes" } do
    helper.test("when a worker cannot be made anew: " .. kind, function()
      for close = 0, 1 do
        local starts = braid.counter(0)
        local pool = braid.pool(kind,
          { workers = 1, max_jobs_per_worker = 1, init = fails_later, init_args = { starts } })
        local futures = {}
        for n = 1, 6 do futures[n] = pool:submit(square, n) end
        if close == 1 then pool:shutdown { wait = false } end
        assert.equal(1, futures[1]:result(20))
        for n = 2, 6 do
          assert.is_true(futures[n]:wait(20))
          assert.matches("not again", tostring(futures[n]:error()))
        end
        pool:close()
      end
    end, { deadline = 60 })

    helper.test("with cancel_pending: " .. kind, function()
      local pool = braid.pool(kind, { workers = 1, max_jobs_per_worker = 1 })
      local futures = {}
      for n = 1, 6 do futures[n] = pool:submit(square, n) end
      pool:shutdown { cancel_pending = true }
      for n = 1, 6 do assert.is_true(futures[n]:done()) end
      local state = {}
      for n = 1, 6 do state[futures[n]:state()] = true end
      state.done, state.cancelled = nil, nil
      assert.is_nil(next(state))
    end, { deadline = 30 })
  end

  for _, kind in ipairs { "tasks", "threads", "processes" } do
    helper.test("in the order of submit when each job has a worker of its own: " .. kind, function()
      local order, numbers = braid.queue(), {}
      do
        local pool <close> = braid.pool(kind, { workers = 1, max_jobs_per_worker = 1 })
        for n = 1, 10 do pool:submit(function(queue, number) queue:put(number) end, order, n) end
      end
      for n = 1, 10 do numbers[n] = order:try_get() end
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, numbers)
    end, { deadline = 30 })
  end

  helper.test("when jobs are cancelled while they are queued", function()
    local pool = braid.thread_pool { workers = 1, max_jobs_per_worker = 1 }
    local futures = {}
    for n = 1, 8 do futures[n] = pool:submit(square, n) end
    for n = 8, 2, -2 do futures[n]:cancel() end
    pool:close()
    for n = 1, 8 do assert.is_true(futures[n]:done()) end
  end)
end)
