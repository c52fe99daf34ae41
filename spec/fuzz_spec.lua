-- SPDX-License-Identifier: MIT
-- Random timeouts and cancels over queues, locks and semaphores: values are conserved. BRAID_SEED repeats a run,
-- BRAID_FUZZ sets how many seeds each test gets.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

local rounds = tonumber(os.getenv "BRAID_FUZZ") or 2
local base = tonumber(os.getenv "BRAID_SEED") or os.time() % 1000000

--- One test per seed; the seed is in its name, so a failure prints it.
local function fuzz(name, fn)
  for i = 0, rounds - 1 do
    local seed = base + i
    test(("%s (BRAID_SEED=%d)"):format(name, seed), function()
      math.randomseed(seed)
      run(fn)
    end, { deadline = 30 })
  end
end

local random = math.random
local function pause() braid.sleep(random(0, 3) == 0 and 0 or random() * 0.002) end

--- A timeout that is none, zero or short.
local function some_timeout() return ({ false, 0, random() * 0.002 })[random(1, 3)] or nil end

--- Cancels random tasks of the list until `stop()` is true.
local function assassin(tasks, stop)
  return braid.spawn(function()
    while not stop() do
      pause()
      tasks[random(1, #tasks)]:cancel()
    end
  end)
end

describe("fuzz", function()
  fuzz("queue: no item is lost or doubled", function()
    local queue = braid.queue(random(0, 3))
    local sent, got, tasks, items, over = {}, {}, {}, 0, false
    -- A put that was interrupted has not put: what counts is what put said.
    for p = 1, 4 do
      tasks[#tasks + 1] = braid.spawn(function()
        for i = 1, 60 do
          if queue:put({ p, i }, some_timeout()) then
            sent[p * 1000 + i] = true
            items = items + 1
          end
          if random(4) == 1 then pause() end
        end
      end)
    end
    for _ = 1, 4 do
      tasks[#tasks + 1] = braid.spawn(function()
        while true do
          local item = queue:get(some_timeout())
          if item then got[#got + 1] = item else pause() end
        end
      end)
    end
    local killer = assassin(tasks, function() return over end)
    braid.wait(tasks, { timeout = 1 })
    over = true
    for _, task in ipairs(tasks) do task:cancel() end
    braid.wait(tasks)
    killer:wait()
    for _, task in ipairs(tasks) do assert.not_equal("failed", task:state(), tostring((task:error()))) end
    while true do
      local item = queue:try_get()
      if not item then break end
      got[#got + 1] = item
    end
    for _, item in ipairs(got) do
      local p, i = item[1], item[2]
      assert.is_true(sent[p * 1000 + i], "an item that was not put, or twice: " .. p .. "," .. i)
      sent[p * 1000 + i] = nil
    end
    assert.is_nil(next(sent))
    assert.equal(items, #got)
  end)

  fuzz("queue: join ends when as many are done as were put", function()
    local queue, done = braid.queue(2), 0
    local consumers, producers = {}, {}
    for i = 1, 3 do
      consumers[i] = braid.spawn(function()
        while true do
          local item, err = queue:get(some_timeout())
          if item then
            done = done + 1
            queue:task_done()
          elseif err.kind == "closed" then
            return
          else
            pause()
          end
        end
      end)
    end
    local put = 0
    for i = 1, 3 do
      producers[i] = braid.spawn(function()
        for _ = 1, 40 do if queue:put(i, some_timeout()) then put = put + 1 else pause() end end
      end)
    end
    braid.gather(producers)
    assert.is_true((queue:join(10)))
    assert.equal(put, done)
    queue:close()
    braid.gather(consumers)
  end)

  fuzz("lock: never two inside, free at the end", function()
    local lock, inside, entries, tasks, over = braid.lock(), 0, 0, {}, false
    for i = 1, 12 do
      tasks[i] = braid.spawn(function()
        for _ = 1, 30 do
          if lock:acquire(some_timeout()) then
            local _ <close> = setmetatable({}, { __close = function()
              inside = inside - 1
              lock:release()
            end })
            inside = inside + 1
            entries = entries + 1
            assert.equal(1, inside)
            pause()
          else
            pause()
          end
        end
      end)
    end
    local killer = assassin(tasks, function() return over end)
    braid.wait(tasks, { timeout = 5 })
    over = true
    killer:wait()
    braid.wait(tasks)
    for _, task in ipairs(tasks) do assert.not_equal("failed", task:state(), tostring((task:error()))) end
    assert.is_true(entries > 0)
    assert.is_true((lock:acquire(0)))
    lock:release()
  end)

  fuzz("semaphore: never more than n inside, n permits at the end", function()
    local n = random(1, 4)
    local semaphore, inside, tasks, over = braid.semaphore(n), 0, {}, false
    for i = 1, 12 do
      tasks[i] = braid.spawn(function()
        for _ = 1, 30 do
          if semaphore:acquire(some_timeout()) then
            local _ <close> = setmetatable({}, { __close = function()
              inside = inside - 1
              semaphore:release()
            end })
            inside = inside + 1
            assert.is_true(inside <= n)
            pause()
          else
            pause()
          end
        end
      end)
    end
    local killer = assassin(tasks, function() return over end)
    braid.wait(tasks, { timeout = 5 })
    over = true
    killer:wait()
    braid.wait(tasks)
    for _, task in ipairs(tasks) do assert.not_equal("failed", task:state(), tostring((task:error()))) end
    local left = 0
    while semaphore:acquire(0) do left = left + 1 end
    assert.equal(n, left)
  end)

  fuzz("select: each item reaches exactly one", function()
    local queues, got, tasks, over = {}, {}, {}, false
    for i = 1, 3 do queues[i] = braid.queue(random(0, 2)) end
    local function note(value)
      assert.is_nil(got[value], "twice: " .. tostring(value))
      got[value] = true
    end
    for i = 1, 5 do
      tasks[i] = braid.spawn(function()
        while true do
          local cases = {}
          for c, queue in ipairs(queues) do cases[c] = { queue, "get" } end
          local ok, index, value = pcall(braid.select, cases, random() * 0.002)
          if ok and index then note(value) end
          if not ok and braid.is_error(index, "cancelled") then error(index, 0) end
        end
      end)
    end
    local killer = assassin({ tasks[1], tasks[2] }, function() return over end)
    local put = 0
    braid.scope(function(scope)
      for p = 1, 3 do
        scope:spawn(function()
          for i = 1, 40 do
            queues[random(1, 3)]:put(p * 1000 + i)
            put = put + 1
            if random(3) == 1 then pause() end
          end
        end)
      end
    end)
    braid.sleep(0.01)
    over = true
    killer:wait()
    for _, task in ipairs(tasks) do task:cancel() end
    braid.wait(tasks)
    for _, task in ipairs(tasks) do assert.equal("cancelled", task:state(), tostring((task:error()))) end
    for _, queue in ipairs(queues) do
      for _ = 1, queue:size() do note(queue:try_get()) end
    end
    local count = 0
    for _ in pairs(got) do count = count + 1 end
    assert.equal(120, put)
    assert.equal(120, count)
  end)

  fuzz("condition: wake-ups are not lost to waiters that leave", function()
    local condition, tokens, taken, tasks, over = braid.condition(), 0, 0, {}, false
    for i = 1, 8 do
      tasks[i] = braid.spawn(function()
        while true do
          condition:with(function()
            if condition:wait_for(function() return tokens > 0 end, some_timeout()) then
              tokens = tokens - 1
              taken = taken + 1
            end
          end)
          pause()
        end
      end)
    end
    local killer = assassin({ tasks[1], tasks[2], tasks[3] }, function() return over end)
    for _ = 1, 60 do
      condition:with(function()
        tokens = tokens + 1
        condition:notify_all()
      end)
      pause()
    end
    local deadline = braid.now() + 10
    while tokens > 0 and braid.now() < deadline do braid.sleep(0.002) end
    over = true
    killer:wait()
    for _, task in ipairs(tasks) do task:cancel() end
    braid.wait(tasks)
    assert.equal(60, taken)
    assert.is_true((condition:acquire(0)))
    condition:release()
  end)

  fuzz("nested scopes: whoever is cancelled, every <close> runs once and nobody is left", function()
    local opened, closed = 0, 0
    local function tree(depth)
      opened = opened + 1
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      if depth == 0 then return braid.sleep(random() * 0.004) end
      braid.scope(function(scope)
        for _ = 1, random(1, 3) do scope:spawn(tree, depth - 1) end
        if random(4) == 1 then
          pause()
          scope:cancel()
        end
        pause()
      end, random(3) == 1 and { timeout = random() * 0.004 } or nil)
    end
    local before = #braid.tasks()
    for _ = 1, 15 do
      local task = braid.spawn(tree, 3)
      pause()
      if random(2) == 1 then task:cancel() end
      task:wait()
      task:error()
      pcall(task.result, task)
    end
    assert.equal(opened, closed)
    assert.equal(before, #braid.tasks())
  end)

  fuzz("futures: a result is the same for all who still wait", function()
    for _ = 1, 20 do
      local task = braid.spawn(function() pause() return {} end)
      local waiters, seen = {}, {}
      for i = 1, 6 do
        waiters[i] = braid.spawn(function()
          local ok, value = pcall(task.result, task, random() * 0.003)
          if ok then seen[#seen + 1] = value elseif braid.is_error(value, "cancelled") then error(value, 0) end
        end)
      end
      pause()
      waiters[random(1, 6)]:cancel()
      braid.wait(waiters)
      local value = task:result()
      for _, each in ipairs(seen) do assert.equal(value, each) end
    end
  end)
end)

-- SIGINT comes to a script of its own, at a random moment of a busy loop in main.
local interrupted_script = [[
local braid = require "braid"
local lock, semaphore = braid.lock(), braid.semaphore(1)
killer = io.popen("read go; sleep %.3f; kill -INT $PPID", "w")
local ok, err = pcall(braid.run, function()
  killer:write "go\n"
  killer:flush()
  while true do %s end
end)
print(ok, braid.is_error(err, "interrupted"), #braid.tasks(), (lock:acquire(0)), (semaphore:acquire(0)))
print(braid.run(function() return braid.gather { function() braid.sleep(0) return 3 end }[1] end))
]]

describe("fuzz SIGINT", function()
  for name, body in pairs {
    ["sleep"] = "braid.sleep(0)",
    ["lock:with"] = "lock:with(function() end)",
    ["semaphore:with"] = "semaphore:with(function() end)",
    ["semaphore:hold"] = "local _ <close> = semaphore:hold()",
    ["scope"] = "braid.scope(function(scope) scope:spawn(function() end) end)",
    ["shield"] = "braid.shield(function() braid.sleep(0) end) braid.sleep(0)",
    ["gather"] = "braid.gather { function() end }",
    ["timeout"] = "braid.timeout(1, function() braid.sleep(0) end)",
  } do
    test(("in %s: is not lost and leaves nothing held (BRAID_SEED=%d)"):format(name, base), function()
      math.randomseed(base)
      for _ = 1, 6 * rounds do
        local stdout, stderr, code = helper.lua_process(interrupted_script:format(0.01 + random() * 0.02, body),
          { timeout = 3 })
        assert.same({ "false\ttrue\t0\ttrue\ttrue\n3\n", "", 0 }, { stdout, stderr, code })
      end
    end, { deadline = 60 })
  end
end)
