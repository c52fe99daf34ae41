-- SPDX-License-Identifier: MIT
-- What only a pool of threads has: states of their own, values that travel, true parallelism. What all pools do is in
-- executor_spec.lua.
local expect = require "spec.expect"
local helper = require "spec.helper"
local http_server = require "spec.http_server"
local braid = require "braid"
local describe, pending, assert = describe, pending, assert
local test, run = helper.test, helper.run
local failure = expect.failure
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

-- A test of fn(pool) with a pool of its own.
local function with_pool(name, options, fn, opts)
  test(name, function()
    run(function()
      local pool <close> = braid.thread_pool(options)
      fn(pool)
    end)
  end, opts)
end

local function refused(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "nothing was refused")
  assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
  return err.message
end

-- The thread sanitizer holds signals back until a call blocks: what computes cannot be stopped then.
local late_signals = os.getenv "BRAID_LATE_SIGNALS"

local function with_pool_and_signals(name, options, fn)
  with_pool(name, options, function(pool)
    if late_signals then return pending "signals come late" end
    fn(pool)
  end)
end

local function echo(...) return ... end

local function spin(seconds)
  local deadline = braid.now() + seconds
  while braid.now() < deadline do end
end

-- Counts to n; takes time and no memory.
local function count_to(n)
  local x = 0
  for i = 1, n do x = x + i % 3 end
  return x
end

-- ---- parallel -------------------------------------------------------------------------------------------------------

describe("threads", function()
  with_pool("compute at the same time: each waits for the other without ever letting go", 2, function(pool)
    local mine, other = braid.counter(), braid.counter()
    local function turns(a, b)
      for i = 1, 50 do
        a:set(i)
        while b:get() < i do end
      end
      return "met"
    end
    local one, two = pool:submit(turns, mine, other), pool:submit(turns, other, mine)
    assert.same({ "met", "met" }, { one:result(8), two:result(8) })
  end)

  -- Of others who use the processors right now.
  local function is_busy()
    local file <close> = io.open "/proc/loadavg"
    for _ = 1, 5 do
      if file and tonumber(file:read("a"):match "(%d+)/") > 1 then return true end
      braid.sleep(0.01)
      if file then file:seek "set" end
    end
    return false
  end

  with_pool("are faster than one", 2, function(pool)
    if braid.cpu_count() < 2 then return pending "one core" end
    local jobs = {}
    for i = 1, 4 do jobs[i] = 4000000 end
    pool:map(count_to, jobs, { chunk = 1 }) -- warm
    local best = 0
    for _ = 1, 12 do
      local start = braid.now()
      for _, n in ipairs(jobs) do count_to(n) end
      local serial = braid.now() - start
      start = braid.now()
      pool:map(count_to, jobs, { chunk = 1 })
      best = math.max(best, serial / (braid.now() - start))
      if best > 1.3 then return end
    end
    if is_busy() then return pending "the processors are busy" end
    error(("speed-up of two threads: %.2f"):format(best))
  end, { deadline = 30 })

  with_pool("are other threads than the script's", 2, function(pool)
    local function thread_id()
      local file <close> = io.open "/proc/thread-self/stat"
      return file and file:read "n"
    end
    local here = thread_id()
    if not here then return pending "no /proc/thread-self" end
    local barrier = braid.barrier(2)
    local ids = pool:map(function()
      barrier:wait()
      return thread_id()
    end, { 1, 2 }, { chunk = 1 })
    assert.not_equal(here, ids[1])
    assert.not_equal(here, ids[2])
    assert.not_equal(ids[1], ids[2])
  end)

  with_pool("leave the script's loop free", 1, function(pool)
    local future, ticks = pool:submit(spin, 0.1), 0
    while not future:wait(0.005) do ticks = ticks + 1 end
    assert.is_true(ticks >= 5, ticks)
  end)

  with_pool("use no processor time while they wait for jobs", 2, function(pool)
    pool:submit(echo):result()
    local before = os.clock()
    braid.sleep(0.3)
    assert.is_true(os.clock() - before < 0.1 * helper.slowness, os.clock() - before)
  end)

  with_pool("serve several jobs at once with tasks_per_worker", { workers = 1, tasks_per_worker = 3 }, function(pool)
    local barrier = braid.barrier(3)
    local turns = pool:map(function() return barrier:wait(5) end, { 1, 2, 3 }, { chunk = 1 })
    table.sort(turns)
    assert.same({ 1, 2, 3, n = 3 }, turns)
    assert.equal(1, pool:stats().workers)
  end)
end)

-- ---- states of their own --------------------------------------------------------------------------------------------

describe("a worker's state", function()
  with_pool("has globals of its own", 1, function(pool)
    _G.braid_spec_global = "here"
    assert.is_nil(pool:submit(function() return _G.braid_spec_global end):result())
    pool:submit(function() _G.braid_spec_global = "there" end):result()
    assert.equal("there", pool:submit(function() return _G.braid_spec_global end):result())
    assert.equal("here", _G.braid_spec_global)
    _G.braid_spec_global = nil
  end)

  with_pool("tells what to do about a global that is nil there", 1, function(pool)
    _G.braid_spec_function = function() end
    local hint = "globals are not shared between workers: pass it as an argument or an upvalue"
    local uses = {
      function() braid_spec_function() end, -- luacheck: ignore 113
      function() return braid_spec_function.field end, -- luacheck: ignore 113
      function() return braid_spec_function + 1 end, -- luacheck: ignore 113
    }
    for _, use in ipairs(uses) do
      local err = failure(pool:submit(use))
      assert.matches("global 'braid_spec_function'", err)
      assert.matches(hint, err, 1, true)
    end
    assert.is_nil(failure(pool:submit(function() local x = nil; x() end)):find(hint, 1, true))
    local _, errors = pool:map(uses[1], { 1, 2 }, { return_errors = true, chunk = 2 })
    assert.matches(hint, errors[1], 1, true)
    _G.braid_spec_function = nil
  end)

  test("inherits loaders that are C functions", function()
    local file = assert(package.searchpath("forker", package.cpath))
    package.preload.part_of_the_program = assert(package.loadlib(file, "luaopen_forker"))
    finally(function() package.preload.part_of_the_program = nil end)
    local pool <close> = braid.thread_pool(1)
    assert.equal("function", pool:submit(function() return type(require("part_of_the_program").fork) end):result())
  end)

  test("inherits package.path and the loaders of package.preload", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert.is_true(os.execute("mkdir " .. folder))
    local file = assert(io.open(folder .. "/braid_spec_module.lua", "w"))
    file:write "return { name = 'from the path' }"
    file:close()
    local path = package.path
    package.path = folder .. "/?.lua;" .. package.path
    package.preload.braid_spec_preloaded = function(name) return { name = name } end
    run(function()
      local pool <close> = braid.thread_pool(1)
      assert.same({ "from the path", "braid_spec_preloaded" }, pool:submit(function()
        return { require("braid_spec_module").name, require("braid_spec_preloaded").name }
      end):result())
    end)
    package.path = path
    package.preload.braid_spec_preloaded = nil
    os.execute("rm -r " .. folder)
  end)

  test("is there though a loader of package.preload cannot be sent, which only its user is told", function()
    run(function()
      local file = io.stdout
      package.preload.braid_spec_unsendable = function() return file end
      local pool <close> = braid.thread_pool(1)
      package.preload.braid_spec_unsendable = nil
      assert.equal(1, pool:submit(math.abs, -1):result())
      local future = pool:submit(function() return require "braid_spec_unsendable" end)
      future:wait()
      assert.matches("braid_spec_unsendable.*could not be sent.*upvalue file.*userdata", future:error())
    end)
  end)

  test("is made anew after max_jobs_per_worker jobs, and init run in it", function()
    run(function()
      local inits = braid.counter()
      local pool <close> = braid.thread_pool {
        workers = 1, max_jobs_per_worker = 3,
        init = function(counter)
          counter:add()
          _G.jobs_here = 0
        end,
        init_args = { inits },
      }
      local seen = pool:map(function()
        _G.jobs_here = _G.jobs_here + 1
        return _G.jobs_here
      end, { 1, 2, 3, 4, 5, 6, 7 }, { chunk = 1 })
      assert.same({ 1, 2, 3, 1, 2, 3, 1, n = 7 }, seen)
      assert.equal(3, inits:get())
    end)
  end)

  test("init runs once in each", function()
    run(function()
      local inits = braid.counter()
      do
        local pool <close> = braid.thread_pool { workers = 3, init = function(c) c:add() end, init_args = { inits } }
        pool:map(echo, { 1, 2, 3, 4, 5, 6 }, { chunk = 1 })
      end
      assert.equal(3, inits:get())
    end)
  end)

  with_pool("loads C modules while others do", 4, function(pool)
    local barrier = braid.barrier(4)
    local texts = pool:map(function(i)
      barrier:wait()
      return require "cjson".encode { i }
    end, { 1, 2, 3, 4 }, { chunk = 1 })
    assert.same({ "[1]", "[2]", "[3]", "[4]", n = 4 }, texts)
  end)

  with_pool("os.exit ends the job, not the process", 1, function(pool)
    local err = failure(pool:submit(function() os.exit(3) end))
    assert.is_true(braid.is_error(err, "worker_died"), tostring(err))
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("io.popen and files work there", 2, function(pool)
    assert.same({ "a", "b", n = 2 }, pool:map(function(x)
      local pipe <close> = io.popen("echo " .. x)
      return pipe:read "l"
    end, { "a", "b" }, { chunk = 1 }))
  end)

  test("print writes whole lines", function()
    local out = helper.lua_process [[
      local braid = require "braid"
      local pool <close> = braid.thread_pool(4)
      pool:map(function(i)
        for _ = 1, 200 do print(i, ("x"):rep(30), i) end
      end, { 1, 2, 3, 4 }, { chunk = 1 })
    ]]
    local lines = 0
    for line in out:gmatch "[^\n]*\n" do
      assert.matches("^(%d)\t" .. ("x"):rep(30) .. "\t%1\n$", line)
      lines = lines + 1
    end
    assert.equal(800, lines)
  end)
end)

-- ---- values that travel ---------------------------------------------------------------------------------------------

describe("what travels", function()
  with_pool("is copied: what the job does to it is not seen here", 1, function(pool)
    local list, count = { 1, 2 }, 0
    local result = pool:submit(function(t)
      t[3] = 3
      count = count + 1
      return #t, count
    end, list)
    assert.same({ 3, 1 }, { result:result() })
    assert.same({ 1, 2 }, list)
    assert.equal(0, count)
  end)

  with_pool("functions of any nesting, with what they share", 1, function(pool)
    local total = 0
    local function add(n) total = total + n end
    local function get() return total end
    assert.equal(7, pool:submit(function(n)
      add(n)
      add(2)
      return get()
    end, 5):result())
    local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end
    assert.equal(55, pool:submit(fibonacci, 10):result())
  end)

  with_pool("modules by their name, also as upvalues", 1, function(pool)
    local text = string
    assert.equal("X", pool:submit(function(s, upper) return upper(text.lower(s)) end, "X", string.upper):result())
    assert.is_true(pool:submit(function(m) return m == require "math" end, math):result())
  end)

  with_pool("metatables, and functions that come back", 1, function(pool)
    local point = setmetatable({ x = 1 }, { __add = function(a, b) return a.x + b.x end })
    assert.equal(2, pool:submit(function(p) return p + p end, point):result())
    local double = pool:submit(function(k) return function(x) return k * x end end, 2):result()
    assert.equal(8, double(4))
  end)

  with_pool("an argument that cannot is refused at once, with the path to it", 1, function(pool)
    local message = refused(pool.submit, pool, echo, 1, { opts = { logger = { file = io.stdout } } })
    assert.matches("argument 3", message)
    assert.matches("opts", message)
    assert.matches("logger", message)
    assert.matches("file", message)
    assert.matches("FILE", message)
    refused(pool.submit, pool, echo, coroutine.create(echo))
    assert.same({ 0, 0 }, { pool:stats().done, pool:stats().queued })
    refused(pool.map, pool, echo, { 1, io.stdout })
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("a closure over something that cannot is refused, with its name", 1, function(pool)
    local socket = io.stdout
    assert.matches("socket", refused(pool.submit, pool, function() return socket end))
  end)

  with_pool("a result that cannot fails the job", 1, function(pool)
    local err = failure(pool:submit(function() return 1, { io.stdout } end))
    assert.is_true(braid.is_error(err, "not_sendable"), tostring(err))
    assert.matches("result 2", err.message)
    assert.equal(1, pool:submit(echo, 1):result())
  end)

  with_pool("an error that cannot comes as its text", 1, function(pool)
    local err = failure(pool:submit(function() error(io.stdout) end))
    assert.matches("^file %(", err)
  end)

  with_pool("the traceback of the far side comes with the error", 1, function(pool)
    local function deep() error("far") end
    local future = pool:submit(function()
      deep()
      return 1
    end)
    assert.matches("thread_pool_spec%.lua:%d+: far", failure(future))
    assert.matches("thread_pool_spec%.lua:%d+: in upvalue 'deep'", future:traceback())
  end)

  with_pool("a queue that has been sent copies its items", 1, function(pool)
    local queue, item = braid.queue(), { 1 }
    queue:put(item)
    assert.equal(item, queue:get())
    pool:submit(function(q) return q:size() end, queue):result()
    queue:put(item)
    local copy = queue:get()
    assert.not_equal(item, copy)
    assert.same({ 1 }, copy)
  end)

  with_pool("big and many values", 2, function(pool)
    local text = ("x"):rep(1 << 20)
    assert.equal(text, pool:submit(echo, text):result())
    local list = {}
    for i = 1, 100000 do list[i] = i end
    local back = pool:submit(echo, list):result()
    assert.equal(100000, #back)
    assert.equal(100000, back[100000])
  end)
end)

-- ---- stopping -------------------------------------------------------------------------------------------------------

describe("a job that computes", function()
  with_pool_and_signals("is stopped within moments, and its worker serves on", 1, function(pool)
    for _ = 1, 3 do
      local begun = braid.event()
      local future = pool:submit(function()
        begun:set()
        while true do end
      end)
      begun:wait()
      braid.sleep(0.01)
      local start = braid.now()
      assert.is_true(future:cancel())
      future:wait()
      assert.is_true(future:cancelled())
      assert.is_true(braid.now() - start < 0.3 * helper.slowness, braid.now() - start)
      assert.equal(1, pool:submit(echo, 1):result())
    end
  end)

  with_pool_and_signals("is stopped inside a coroutine, too", 1, function(pool)
    local begun = braid.event()
    local future = pool:submit(function()
      coroutine.wrap(function()
        begun:set()
        while true do end
      end)()
    end)
    begun:wait()
    future:cancel()
    assert.is_true(future:wait(5))
    assert.is_true(future:cancelled())
  end)

  with_pool_and_signals("beside one that waits", { workers = 1, tasks_per_worker = 2 }, function(pool)
    local event, begun = braid.event(), braid.event()
    local waiting = pool:submit(function()
      event:wait()
      return "waited"
    end)
    local computing = pool:submit(function()
      begun:set()
      while true do end
    end)
    begun:wait()
    computing:cancel()
    assert.is_true(computing:wait(5))
    event:set()
    assert.equal("waited", waiting:result(5))
  end)

  test("is stopped when its pool's block is left by an error", function()
    if late_signals then return pending "signals come late" end
    local start = braid.now()
    local ok, err = pcall(run, function()
      local pool <close> = braid.thread_pool(2)
      pool:submit(function() while true do end end)
      pool:submit(function() while true do end end)
      braid.sleep(0.02)
      error("left", 0)
    end)
    assert.is_false(ok)
    assert.equal("left", err)
    assert.is_true(braid.now() - start < 2 * helper.slowness)
  end)
end)

-- ---- nothing is left ------------------------------------------------------------------------------------------------

describe("a pool that is forgotten", function()
  test("still runs its jobs, and its threads end", function()
    run(function()
      local ended = braid.counter()
      local future = braid.thread_pool(2):submit(function()
        braid.sleep(0.02)
        ended:add()
        return "done"
      end)
      collectgarbage()
      collectgarbage()
      assert.equal("done", future:result())
      assert.equal(1, ended:get())
    end) -- and no thread is left
  end)
end)

describe("ten thousand jobs", function()
  local function resident_kib()
    for line in io.lines "/proc/self/status" do
      local value = line:match "^VmRSS:%s+(%d+)"
      if value then return tonumber(value) end
    end
  end

  test("leave the memory as it was", function()
    if helper.slowness > 1 then return pending "a sanitizer keeps what was freed" end
    if not io.open "/proc/self/status" then return pending "no /proc" end
    run(function()
      local pool <close> = braid.thread_pool(2)
      local function round()
        for i = 1, 10000 do
          local future = pool:submit(echo, i, { i })
          if i % 100 == 0 then future:result() end
        end
        pool:submit(echo):result()
        braid.sleep(0.01)
        collectgarbage()
        collectgarbage()
      end
      round()
      round()
      local before = resident_kib()
      for _ = 1, 3 do round() end
      assert.is_true(resident_kib() - before < 2048, resident_kib() - before)
    end)
  end, { deadline = 30 })
end)

-- ---- one after the other --------------------------------------------------------------------------------------------

-- A worker serves jobs in one task as long as they leave it as it was. Nobody may be able to tell.
describe("a job after another one", function()
  with_pool("has locals of its own", 1, function(pool)
    local function set()
      local own = require "braid"
      local before = own.locals().mine
      own.locals().mine = "left behind"
      return before == nil
    end
    for _ = 1, 3 do assert.is_true(pool:submit(set):result()) end
  end)

  with_pool("is another task", 1, function(pool)
    local function keep()
      local kept = _G.kept or {}
      _G.kept = kept
      kept[#kept + 1] = require "braid".current()
      local same = false
      for i = 1, #kept - 1 do same = same or rawequal(kept[i], kept[#kept]) or kept[i]:state() == "running" end
      return not same, kept[#kept].name
    end
    for _ = 1, 3 do assert.same({ true, nil }, { pool:submit(keep):result() }) end
    pool:submit(function() require "braid".current().name = "named" end):result()
    assert.same({ true, nil }, { pool:submit(keep):result() })
  end)

  with_pool("has no hook of the one before", 1, function(pool)
    pool:submit(function() debug.sethook(function() end, "", 1000) end):result()
    assert.is_nil(pool:submit(function() return (debug.gethook()) end):result())
  end)

  with_pool("does not hold the lock of the one before", 1, function(pool)
    local lock = braid.lock()
    pool:submit(function(l) l:acquire() end, lock):result()
    local ok, err = pool:submit(function(l) return l:acquire(5) end, lock):result()
    assert.is_nil(ok)
    assert.equal("owner_died", err.kind)
  end)

  with_pool("is not touched by what the one before has left open, spawned, cancelled or failed at", 1, function(pool)
    local function leave_open() local _ = require "braid".scope() end
    local function spawn() require "braid".spawn(function() require "braid".sleep(0.001) end) end
    local function daemon() require "braid".spawn(function() require "braid".sleep(60) end):daemon() end
    local function cancel() require "braid".current():cancel() end
    local function fail() error "mine" end
    local function yield() coroutine.yield() end
    for _, before in ipairs { leave_open, spawn, daemon, cancel, fail, yield } do
      pool:submit(before):error()
      assert.equal(7, pool:submit(function() require "braid".sleep(0) return 7 end):result(10 * helper.slowness))
    end
  end)

  with_pool("begins after other tasks of the worker had their turn", {
    workers = 1,
    init = function()
      _G.turns = 0
      require "braid".spawn(function()
        while true do
          require "braid".sleep(0.0005)
          _G.turns = _G.turns + 1
        end
      end):daemon()
    end,
  }, function(pool)
    local jobs = {}
    for i = 1, 500 do jobs[i] = pool:submit(spin, 0.0002) end
    local during = pool:submit(function() return _G.turns end)
    assert.is_true(during:result() > 10, during:result())
    for i = 1, 500 do jobs[i]:result() end
  end)
end)

-- ---- to_thread ------------------------------------------------------------------------------------------------------

describe("to_thread", function()
  -- The default pool stays, so these are scripts of their own.
  local function script(name, code, expected)
    test(name, function()
      local out, err, status = helper.lua_process("local braid = require 'braid'\n" .. code)
      assert.same({ expected, "", 0 }, { out, err, status })
    end)
  end

  script("gives the results, and raises the very error", [[
    print(braid.to_thread(function(a, b) return a + b, "two" end, 1, 2))
    print(pcall(braid.to_thread, error, "bad", 0))
    print(select(2, pcall(braid.to_thread, 5)).kind)
  ]], "3\ttwo\nfalse\tbad\nmisuse\n")

  script("leaves the loop free for a blocking call", [[
    braid.run(function()
      local ticks = 0
      local ticker = braid.spawn(function() while true do braid.sleep(0.01) ticks = ticks + 1 end end):daemon()
      braid.to_thread(os.execute, "sleep 0.3")
      print(ticks > 5)
    end)
  ]], "true\n")

  script("is cancelled with its caller", [[
    local start = braid.now()
    print(braid.move_on_after(0.05, braid.to_thread, braid.sleep, 60))
    print(braid.now() - start < 2)
  ]], "false\ntrue\n")

  script("many at once", [[
    local start = braid.now()
    braid.run(function() braid.map(function() braid.to_thread(os.execute, "sleep 0.2") end, { 1, 2, 3, 4, 5 }) end)
    print(braid.now() - start < 0.8)
  ]], "true\n")

  test("has as many threads as default_pool says", function()
    local said = helper.lua_process [[
      local braid = require "braid"
      local function measure()
        local before = braid.now()
        braid.run(function() braid.map(function() braid.to_thread(os.execute, "sleep 0.1") end, { 1, 2, 3, 4 }) end)
        return braid.now() - before
      end
      braid.default_pool { workers = 1 }
      local one = measure()
      braid.default_pool(4)
      print(one > 0.4, measure() < one * 0.8)
      print(select(2, pcall(braid.default_pool, { worker = 4 })).message:match "did you mean.*")
    ]]
    assert.equal("true\ttrue\ndid you mean 'workers'?)\n", said)
  end)
end)

-- ---- the end of the script ------------------------------------------------------------------------------------------

describe("the script ends", function()
  local doing = {
    idle = "",
    computing = "for _ = 1, 2 do pool:submit(function() while true do end end) end",
    waiting = "for _ = 1, 2 do pool:submit(function() braid.sleep(60) end) end",
    queued = "for _ = 1, 100 do pool:submit(function() braid.sleep(60) end) end",
    ["in a transfer"] = [[
      for _ = 1, 2 do pool:submit(function(url) require "braid".http.get(url) end, arg[1]) end
    ]],
  }
  local ways = {
    { "normally", "", 0, "" },
    { "with an error", "error('the end', 0)", 1, "the end" },
    { "by os.exit(3)", "os.exit(3)", 3, "^[^\n]*dropped\n$" },
    { "by os.exit(3, true)", "os.exit(3, true)", 3, "^[^\n]*dropped\n$" },
    { "by SIGTERM", "os.execute 'kill -TERM $PPID' braid.sleep(60)", 143, ".*" },
  }
  if late_signals then doing.computing = nil end
  for what, code in pairs(doing) do
    for i, way in ipairs(ways) do
      -- A script that ends by itself waits for them: see spec/regress/forgotten_spec.lua.
      local case = i == 1 and what ~= "idle" and function() end or test
      case(("%s, with threads %s"):format(way[1], what), function()
        if what == "in a transfer" then
          http_server.start()
          finally(http_server.stop)
        end
        local start = braid.now()
        local out, err, status = helper.lua_process(([[
          local braid = require "braid"
          local pool = braid.thread_pool(2)
          pool:submit(function() end):result()
          %s
          braid.sleep(0.02)
          print "last line"
          io.stdout:flush()
          %s
        ]]):format(code, way[2]), { args = { (http_server.base or "") .. "/never" } })
        assert.same({ "last line\n", way[3] }, { out, status })
        assert.matches(what == "idle" and way[3] == 3 and "^$" or way[4], err)
        if way[4] == "" and what == "idle" then assert.equal("", err) end
        assert.is_true(braid.now() - start < 5 * helper.slowness)
      end)
    end
  end

  test("by SIGINT, with threads computing", function()
    if late_signals then return pending "signals come late" end
    local out, err, status = helper.lua_process [[
      local braid = require "braid"
      braid.run(function()
        local pool <close> = braid.thread_pool(2)
        os.execute "(sleep 0.2; kill -INT $PPID) &"
        pool:map(function() while true do end end, { 1, 2, 3, 4 }, { chunk = 1 })
        print "not reached"
      end)
    ]]
    assert.same({ "", 130 }, { out, status })
    assert.matches("interrupted", err)
  end)
end)

describe("cpu_count", function()
  test("is at least one, and respects the affinity", function()
    assert.is_true(math.type(braid.cpu_count()) == "integer" and braid.cpu_count() >= 1)
    if not os.execute "command -v taskset >/dev/null" then return pending "no taskset" end
    local script = os.tmpname()
    local file = assert(io.open(script, "w"))
    file:write "print(require 'braid'.cpu_count())"
    file:close()
    local pipe <close> = assert(io.popen(("taskset -c 0 '%s' %s"):format(helper.lua, script)))
    assert.equal("1", pipe:read "l")
    os.remove(script)
  end)
end)
