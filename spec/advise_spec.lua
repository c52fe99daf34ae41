-- SPDX-License-Identifier: MIT
-- Advice: on workloads of each kind the model that is chosen, what is predicted, and what is printed. Bounds are wide,
-- for other programs may run meanwhile; bench/advise.lua has the figures.
local helper = require "spec.helper"
local braid = require "braid"
local advice_words = require "braid.advice.advice"
local advise = require "braid.advice"
local profiles = require "braid.advice.profile"
local test = helper.test

local function compute(n)
  local sum = 0
  for i = 1, n do sum = sum + i % 7 end
  return sum
end

-- A function of the real globals: busted's own travel, and are not to be had over there.
local function plain(code) return assert(load(code, "=plain")) end

local function list_of(n, value)
  local list = {}
  for i = 1, n do list[i] = value or i end
  return list
end

-- Fierce garbage collection slows this state down and not the workers', so that another model may be right.
local tortured = os.getenv "BRAID_GC" and "the time goes into collecting garbage"

-- What is advised, asked some times: other programs may slow a pilot run down so much that another model looks better.
local function choice(expected, ask)
  local advice = ask()
  for _ = 1, 4 do
    if advice.model == expected then return advice end
    advice = ask()
  end
  if not tortured then assert.equal(expected, advice.model) end
  return advice
end

-- Seconds that a model really takes, the least of some runs.
local function real(advice, kind, fn, items)
  local one, least = advice.predictions[kind], math.huge
  for _ = 1, 3 do
    local start = braid.now()
    local pool <close> = braid.pool(one.model, one.workers)
    pool:map(fn, items, { chunk = one.chunk })
    pool:close()
    least = math.min(least, braid.now() - start)
  end
  return least
end

-- The advice for a workload: its choice is not much worse than any other model, its prediction of the right size.
local function check(fn, items, sample, opts)
  opts = opts or {}
  opts.items = #items
  local advice = braid.advise(fn, list_of(sample, items[1]), opts)
  if helper.slowness > 1 then return advice end -- figures of sanitizers are their own
  local own, least = nil, math.huge
  for _, kind in ipairs { "inline", "tasks", "threads", "processes" } do
    local seconds = real(advice, kind, fn, items)
    if kind == advice.model then own = seconds end
    least = math.min(least, seconds)
  end
  assert.is_true(own <= 2.5 * least + 0.01, ("%s took %g, the best %g\n%s"):format(advice.model, own, least, advice))
  local ratio = advice.predicted / own
  assert.is_true(ratio > 0.15 and ratio < 8, ("predicted %g, took %g"):format(advice.predicted, own))
  return advice
end

describe("braid.advise chooses well for", function()
  test("small computing", function()
    choice("inline", function() return check(function(x) return x * x end, list_of(2000), 200) end)
  end, { deadline = 30 })

  test("large computing", function()
    local advice = check(function() return compute(1000000) end, list_of(16), 3)
    assert.is_true(advice.cpu_bound)
    if braid.cpu_count() == 1 then assert.equal("inline", advice.model) end
  end, { deadline = 30 })

  test("waits that suspend", function()
    local advice = choice("tasks", function() return check(function() braid.sleep(0.02) end, list_of(12), 2) end)
    assert.is_false(advice.cpu_bound)
    assert.is_true(advice.profile.suspended > 0.9 * advice.profile.wall)
  end, { deadline = 30 })

  test("waits that block", function()
    local advice = choice("threads", function() return check(plain 'os.execute "sleep 0.05"', list_of(6), 2) end)
    assert.is_true(advice.workers > 1)
    assert.is_true(advice.profile.blocked > 0.5 * advice.profile.wall)
  end, { deadline = 60 })

  test("large arguments", function()
    check(function(list) return #list end, list_of(6, list_of(20000)), 3)
  end, { deadline = 30 })
end)

describe("braid.advise", function()
  test("chooses a kernel that is faster", function()
    local advice = braid.advise(function() return compute(300000) end, { 1, 2, 3 }, {
      kernel = function(items) return items end, lang = "en",
    })
    assert.equal("kernel", advice.model)
    assert.truthy(tostring(advice):find "braid.kernels: [^\n]*◀━━")
  end)

  test("does not send what cannot be sent", function()
    local held = coroutine.create(function() end)
    local function fn() return held and compute(300000) end
    local advice = braid.advise(fn, { 1, 2, 3 }, { items = 1000, lang = "en" })
    assert.equal("inline", advice.model)
    assert.truthy(tostring(advice):find "cannot be sent to threads or processes: ")
  end)

  test("tries what could be best, says so, and sees waits that do not overlap", function()
    if tortured then return pending(tortured) end
    local four = braid.semaphore(4)
    local function fn()
      four:acquire()
      braid.sleep(0.008)
      four:release()
    end
    for _, n in ipairs { 40, 400 } do -- all are run; some
      local advice = braid.advise(fn, { 1, 2, 3 }, { items = n, lang = "en" })
      local one = advice.predictions.tasks
      assert.is_true(one.pilot.items >= 40 and one.pilot.items <= 64)
      assert.is_true(one.pilot.seconds > 2 * one.pilot.estimated)
      assert.is_true(one.seconds > n / 4 * 0.0076, ("predicted %g"):format(one.seconds))
      assert.truthy(tostring(advice):find "%- pilot run of braid.task_pool: 4%d items took [%d.]+ ms %(estimated: ")
      assert.is_nil(advice.predictions.inline.pilot)
      assert.truthy(tostring(advice):find "braid.inline_pool: [^\n]*, only estimated")
    end
  end, { deadline = 30 })

  test("takes a sample of nothing", function()
    if tortured then return pending(tortured) end
    local advice = braid.advise(function() braid.sleep(0.01) end, { n = 2 }, { items = 20 })
    local pilot = advice.predictions.tasks.pilot
    assert.equal(20, pilot.items)
    assert.is_true(pilot.seconds > 0.009)
  end)

  test("does not count what only the first call does", function()
    local calls = 0
    local advice = braid.advise(function()
      calls = calls + 1
      braid.sleep(calls == 1 and 0.3 or 0.005)
    end, { 1, 2 }, { items = 20 })
    assert.is_true(advice.profile.wall < 0.1)
    assert.is_true(advice.predicted < 0.15)
  end)

  test("does not send what fails over there", function()
    plain "only_here = true" ()
    finally(plain "only_here = nil")
    local fn = plain 'os.execute "sleep 0.02" return only_here and 1 or error "not here"'
    local advice = braid.advise(fn, { 1, 2 }, { items = 50, lang = "en" })
    assert.is_false(advice.model == "threads" or advice.model == "processes")
    assert.truthy(tostring(advice):find "fails in braid.thread_pool: .*not here")
    advice = braid.advise(fn, { 1, 2 }, { items = 50, lang = "en", isolate = true })
    assert.is_false(advice.model == "threads" or advice.model == "processes")
    assert.truthy(tostring(advice):find "processes cannot be used here")
  end, { deadline = 20 })

  test("weighs isolation and unsafe modules", function()
    local function heavy() return compute(2000000) end
    local advice = braid.advise(heavy, { 1, 2 }, { items = 100, isolate = true })
    assert.equal("processes", advice.model)
    local lfs = require "lfs"
    local profile = profiles.measure(function(path) lfs.chdir(path) end, { "." })
    assert.equal("lfs", profile.unsafe)
    assert.is_nil(profiles.measure(function(path) return lfs.attributes(path) end, { "." }).unsafe)
  end, { deadline = 20 })

  test("keeps to the number of workers that there may be", function()
    local advice = choice("threads", function()
      return braid.advise(plain 'os.execute "sleep 0.02"', { 1, 2 }, { items = 100, workers = 3 })
    end)
    assert.equal(3, advice.workers)
  end, { deadline = 40 })

  test("prints the document's tree, with reasons, in both languages", function()
    if tortured then return pending(tortured) end
    local text = tostring(braid.advise(function() braid.sleep(0.01) end, { 1, 2, 3 }))
    for _, line in ipairs { "任务是 CPU 密集?", "否(I/O 密集)  ◀", "已有同步库(如 requests、psycopg2)",
      "asyncio(单机最高吞吐)", "ThreadPoolExecutor(改造成本低)" } do
      assert.truthy(text:find(line, 1, true), text)
    end
    assert.truthy(text:find "braid.task_pool: [^\n]*◀━━")
    text = advise.tree "en"
    assert.truthy(text:find "Is the task CPU%-bound%?")
    for model in ("inline task thread process"):gmatch "%S+" do
      assert.truthy(text:find("braid." .. model .. "_pool: start [%d.]+ .?.?s"), text)
    end
    assert.truthy(advise.tree():find "任务是 CPU 密集")
  end)

  test("says when the machine is busy, and how sure it is", function()
    local profile = { wall = 1, cpu = 0, elsewhere = 0, blocked = 0, suspended = 1, bytes_in = 0, bytes_out = 0,
      failures = {} }
    local function advice(others, pilot, second)
      return advice_words.new { items = 4, lang = "en", model = "tasks", predicted = 0.1, obstacles = {},
        costs = { cores = 2, gain = 1.9 }, profile = profile, others = others, load = 3.2,
        predictions = { tasks = { model = "tasks", seconds = 0.1, pilot = pilot },
          threads = { model = "threads", seconds = second } } }
    end
    local pilot = { items = 4, seconds = 0.1, estimated = 0.1 }
    for _, case in ipairs {
      { advice(0.1, pilot, 0.2), false, "high", "certainty: high" },
      { advice(nil, pilot, 0.2), false, "high", "certainty: high" },
      { advice(1.5, pilot, 0.2), true, "low", "used 1.5 of the 2 cores while it was measured %(load 3.2%)" },
      { advice(0, nil, 0.2), false, "low", "no pilot run" },
      { advice(0, pilot, 0.105), false, "low", "thread_pool is within 10 %%" },
    } do
      assert.equal(case[2], case[1].busy)
      assert.equal(case[3], case[1].certainty)
      local said = table.concat(case[1].reasons, "\n")
      assert.truthy(said:find(case[4]), said)
    end
  end)

  test("says why it takes the simpler of two that are nearly alike", function()
    local profile = { wall = 1, cpu = 0, elsewhere = 0, blocked = 0, suspended = 1, bytes_in = 0, bytes_out = 0,
      failures = {} }
    for seconds, said in pairs { [0.09] = true, [0.2] = false } do
      local reasons = advice_words.new({ items = 4, lang = "en", model = "tasks", predicted = 0.1, obstacles = {},
        costs = { cores = 1 }, profile = profile,
        predictions = { tasks = { seconds = 0.1 }, threads = { model = "threads", seconds = seconds } } }).reasons
      assert.truthy(reasons[#reasons]:find "^next best is braid.thread_pool")
      assert.equal(said, reasons[#reasons]:find "not so much faster" ~= nil)
    end
  end)

  test("works inside a task, raises what the function raises, and refuses nonsense", function()
    choice("tasks", function()
      return helper.run(function() return braid.advise(function() braid.sleep(0.02) end, { 1, 2, 3 }) end)
    end)
    local ok, err = pcall(braid.advise, function() error("no", 0) end, { 1 })
    assert.is_false(ok)
    assert.equal("no", err)
    for text, arguments in pairs {
      ["'fn' to 'advise'"] = { 3, { 1 } }, ["'sample' to 'advise'"] = { compute, {} },
      ["did you mean 'items'"] = { compute, { 1 }, { item = 3 } },
      ["'lang' to 'advise'"] = { compute, { 1 }, { lang = "la" } },
    } do
      ok, err = pcall(braid.advise, table.unpack(arguments))
      assert.is_false(ok)
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.truthy(err.message:find "advise_spec", err.message)
    end
  end)
end)
