-- SPDX-License-Identifier: MIT
-- Ten classic bugs of concurrent code: each is found by one call within 2,000 schedules, its schedule fails again, and
-- the mended program passes them all.
local helper = require "spec.helper"
local braid = require "braid"
local testing = braid.testing

local bugs = {}

local function bug(name, kind, program, options)
  bugs[#bugs + 1] = { name = name, kind = kind, program = program, options = options or {} }
end

local function both(...)
  local functions = { ... }
  braid.scope(function(scope)
    for _, fn in ipairs(functions) do scope:spawn(fn) end
  end)
end

bug("a lost update", nil, function(mended)
  local balance, lock = 0, braid.lock()
  local function deposit()
    local held <close> = mended and lock:hold() or nil
    local before = balance
    braid.checkpoint() -- a query, say
    balance = before + 10
  end
  both(deposit, deposit)
  assert(balance == 20, "an update was lost")
end)

bug("locks in opposite orders", "deadlock", function(mended)
  local a, b = braid.lock(), braid.lock()
  local function transfer(first, second)
    first:with(second.with, second, braid.checkpoint)
  end
  both(function() transfer(a, b) end, function() transfer(mended and a or b, mended and b or a) end)
end)

bug("a notification before anybody waits", "deadlock", function(mended)
  local lock, ready = braid.lock(), false
  local condition = braid.condition(lock)
  both(function()
    local held <close> = lock:hold()
    if mended then
      while not ready do condition:wait() end
    else
      condition:wait()
    end
  end, function()
    local held <close> = lock:hold()
    ready = true
    condition:notify()
  end)
end)

bug("a unit that is released twice", nil, function(mended)
  local free, inside, most = braid.semaphore(2), 0, 0
  free:acquire() -- only one unit is to be used; the other one stays taken
  local function work(fails)
    free:acquire()
    inside = inside + 1
    most = math.max(most, inside)
    braid.checkpoint()
    inside = inside - 1
    if fails and not mended then free:release() end -- the error path releases, and then the common one
    free:release()
  end
  both(function() work(true) end, function() work(false) end, function() work(false) end)
  assert(most == 1, "two were inside")
end)

bug("check, then act", nil, function(mended)
  local made, cache = 0, {}
  local lock = braid.lock()
  local function get(key)
    local held <close> = mended and lock:hold() or nil
    if not cache[key] then
      braid.sleep(0.1) -- it takes a while to make it
      made = made + 1
      cache[key] = made
    end
    return cache[key]
  end
  both(function() get "a" end, function() get "a" end)
  assert(made == 1, "it was made twice")
end)

bug("a helper that nobody cancels", "limit", function(mended)
  braid.scope(function()
    local beat = braid.spawn(function()
      while true do braid.sleep(1) end
    end)
    braid.sleep(10)
    if mended then beat:cancel() end
  end)
end, { max_steps = 1000 })

bug("a sentinel with two producers", nil, function(mended)
  local queue, sum = braid.queue(), 0
  local producers = 0
  local function produce(first)
    for i = first, first + 2 do
      queue:put(i)
      braid.checkpoint()
    end
    producers = producers + 1
    if not mended then
      queue:put "end"
    elseif producers == 2 then
      queue:close()
    end
  end
  both(function() produce(1) end, function() produce(4) end, function()
    for item in queue:items() do
      if item == "end" then break end
      sum = sum + item
    end
  end)
  assert(sum == 1 + 2 + 3 + 4 + 5 + 6, "items are left in the queue")
end)

bug("a retry without a bound", "limit", function(mended)
  local function request() return nil, "refused" end
  local pause, tries, answer = 0.1, 0
  repeat
    answer = request()
    tries = tries + 1
    braid.sleep(pause)
    pause = math.min(pause * 2, 60)
  until answer or (mended and tries == 5)
end, { max_steps = 5000 })

bug("a timeout that comes when the value is there", nil, function(mended)
  local answers, got = braid.queue(), nil
  both(function()
    braid.sleep(1)
    answers:put "answer"
  end, function()
    got = answers:get(1)
    if not got and mended then got = answers:try_get() or answers:get() end -- it is on its way
  end)
  assert(got == "answer", "the answer came, and nobody took it")
end)

bug("a lease that is not given back", "deadlock", function(mended)
  local pool = braid.resource_pool { max = 1, create = function() return {} end }
  local function use(fails)
    local lease = pool:acquire()
    local ok = pcall(function()
      braid.checkpoint()
      if fails then error "the query failed" end
    end)
    if ok or mended then lease:release() end
  end
  both(function() use(true) end, function() use(false) end)
end)

describe("testing.run finds", function()
  for _, each in ipairs(bugs) do
    local options = { schedules = 2000, max_steps = each.options.max_steps }

    local function failure(more)
      local opts = {}
      for name, value in pairs(options) do opts[name] = value end
      for name, value in pairs(more or {}) do opts[name] = value end
      local ok, err = pcall(testing.run, function() each.program(false) end, opts)
      assert.is_false(ok, each.name .. " was not found")
      assert.equal(each.kind, err.kind)
      return err
    end

    helper.test(each.name, function()
      local err = failure()
      assert.is_true(#err.trace > 0 and #tostring(err.trace) > 0)
      local again = failure { seed = err.seed, schedules = 1 }
      assert.equal(tostring(err), tostring(again))
      local shorter = failure { schedule = err.schedule, schedules = 1 }
      assert.equal(tostring(err.trace), tostring(shorter.trace))
    end)

    helper.test(each.name .. ", by priorities", function() failure { strategy = "pct" } end)

    helper.test(each.name .. ", and nothing when it is mended", function()
      testing.run(function() each.program(true) end, { schedules = 300, max_steps = 20000 })
    end)
  end
end)
