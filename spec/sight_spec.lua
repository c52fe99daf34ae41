-- SPDX-License-Identifier: MIT
-- What a dump, SIGQUIT and the watchdog tell.
local assert = require "luassert"
local braid = require "braid"
local helper = require "spec.helper"
local dump = require "braid.debug.dump"

local test, describe = helper.test, require("busted").describe

local function until_running(job)
  for _ = 1, 1000 do
    if job:running() then return end
    braid.sleep(0.005)
  end
end

describe("dump", function()
  test("names every task, where it stands, what it waits in and for how long", function()
    helper.run(function()
      local queue = braid.queue()
      local task = braid.spawn(function() return queue:get() end)
      task.name = "reader"
      braid.sleep(0.3)
      local text = braid.dump(false)
      assert.matches("task reader: waiting in queue:get at [^\n]*sight_spec.lua:%d+, for %d%.%d s", text)
      assert.matches("computing[^\n]*sight_spec.lua:%d+", text)
      queue:close()
      task:result()
    end)
  end)

  test("names the loop over a queue's items", function()
    helper.run(function()
      local queue = braid.queue()
      local task = braid.spawn(function()
        for _ in queue:items() do end -- luacheck: ignore 542
      end)
      braid.sleep(0.01)
      assert.matches("task waiting in queue:items at [^\n]*sight_spec.lua", braid.dump(false))
      queue:close()
      task:result()
    end)
  end)

  test("names worker processes, the jobs that they run, and what their pool has to do", function()
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 1, name = "resizers" }
      local jobs = { pool:submit(braid.sleep, 60), pool:submit(braid.sleep, 60) }
      until_running(jobs[1])
      local text = braid.dump(false)
      assert.matches("pool resizers %(processes%): workers 1, jobs running 1, waiting 1\n"
        .. "  worker process " .. pool:pids()[1] .. ": runs braid.sleep, for %d+%.%d s\n", text)
      for _, job in ipairs(jobs) do job:cancel() end
    end)
  end)

  test("names a process's job by where its function was defined, that of a map as well", function()
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 3, tasks_per_worker = 2 }
      local seconds = 60
      local jobs = {
        pool:submit(function() braid.sleep(60) end), pool:submit(function() braid.sleep(seconds) end),
        braid.spawn(function() pool:map(function(item) braid.sleep(item) end, { 60, 60 }, { chunk = 2 }) end),
      }
      for _ = 1, 1000 do
        if pool:stats().running == 3 then break end
        braid.sleep(0.005)
      end
      local text, here = braid.dump(false), debug.getinfo(1, "l").currentline
      for line = here - 7, here - 6 do assert.matches("runs [^\n]*sight_spec.lua:" .. line .. ", for", text) end
      for _, job in ipairs(jobs) do job:cancel() end
    end)
  end)

  test("names what threads work for", function()
    helper.run(function()
      local pool <close> = braid.thread_pool { workers = 1, name = "pixels" }
      pool:submit(function() end):result()
      local text = braid.dump(false)
      assert.matches("pool pixels %(threads%): workers 1, jobs running 0, waiting 0\n", text)
      assert.matches("worker 1 of pool pixels %(thread %d+%)", text)
    end)
  end)

  test("shows nested tasks under those that spawned them", function()
    helper.run(function()
      local task = braid.spawn(function()
        braid.scope(function(scope) scope:spawn(braid.sleep, 5).name = "inner" end)
      end)
      task.name = "outer"
      braid.sleep(0.02)
      local outer, inner = braid.dump(false):match("\n( +)task outer[^\n]*\n( +)task inner: waiting in sleep")
      assert.is_true(#inner > #outer)
      task:cancel()
    end)
  end)

  test("asks the workers, those that compute as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    helper.run(function()
      local pool <close> = braid.thread_pool(2)
      local queue, started = braid.queue(), braid.counter()
      local busy = pool:submit(function()
        started:add()
        while true do end
      end)
      local idle = pool:submit(function()
        started:add()
        return queue:get()
      end)
      while started:get() < 2 do braid.sleep(0.01) end
      braid.sleep(0.05)
      local text = braid.dump(false)
      assert.matches("worker 1[^\n]*\n", text)
      assert.matches("worker 2[^\n]*\n", text)
      assert.matches("waiting in queue:get at [^\n]*sight_spec.lua", text)
      assert.matches("computing [^\n]*sight_spec.lua", text)
      busy:cancel()
      idle:cancel()
    end)
  end)

  test("goes to a file, and refuses what is none", function()
    local file <close> = assert(io.tmpfile())
    local text = braid.dump(file)
    file:seek "set"
    assert.equal(text, file:read "a")
    local ok, err = pcall(braid.dump, "name")
    assert.is_false(ok)
    assert.matches("dump.*file", tostring(err))
  end)
end)

-- The line of the stream in which that stands.
local function line_with(stream, pattern)
  repeat
    local line = assert(stream:read("l", 10 * helper.slowness))
  until line:find(pattern)
end

describe("SIGQUIT", function()
  test("makes a waiting script dump on stderr and go on", function()
    local child <close> = braid.process.start({ helper.lua, "-e", [[
      local braid = require "braid"
      braid.run(function()
        local task = braid.spawn(braid.sleep, 60)
        task.name = "sleeper"
        braid.sleep(0)
        print "ready"
        io.stdout:flush()
        braid.wait_fd(0, "r")
        task:cancel()
        print "done"
      end)]] }, {})
    assert.equal("ready", child:read "l")
    child:kill(3)
    line_with(child.stderr, "task sleeper: waiting in sleep")
    child:write "\n"
    assert.equal("done", child:read "l")
    assert.equal(0, child:wait().code)
  end)

  -- The program that the script reads of waits until the script sleeps, which it does in that read only.
  test("is answered though no Lua runs: the script is inside a C function", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    local child <close> = braid.process.start({ helper.lua, "-e", [[
      local braid = require "braid"
      braid.run(function()
        local program = "until grep -q '^State:.S' /proc/$PPID/status; do :; done; echo ready >&2; read -r line"
        assert(io.popen(program):read "a" == "")
      end)]] }, {})
    assert.equal("ready", child.stderr:read "l")
    child:kill(3)
    line_with(child.stderr, "script %(thread %d+%): inside a C function")
    child:write "\n"
    assert.equal(0, child:wait().code)
  end)
end)

describe("braid ps", function()
  local ask = dump.ask

  -- Runs a script that prints a line when it is ready, and hands it and what it tells to `look`. With `shell` the words
  -- before it are a shell's.
  local function with(script, look, words)
    local argv = words or {}
    table.move({ helper.lua, "-e", 'local braid = require "braid"\n' .. script }, 1, 3, #argv + 1, argv)
    local child <close> = braid.process.start(argv, {})
    assert.equal("ready", child:read "l")
    look(child)
    child:kill(9)
  end

  local READY = 'print "ready" io.stdout:flush() '

  test("asks a task that computes", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    with("braid.run(function() braid.current().name = 'busy' " .. READY .. "while true do end end)", function(child)
      assert.matches("task busy: computing", ask(child.pid))
      assert.matches("task busy: computing", ask(child.pid))
    end)
  end)

  test("asks a script that computes outside its loop, in a coroutine of its own as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    with("braid.sleep(0) " .. READY .. "while true do end", function(child)
      assert.matches("^script %(thread %d+%): computing at [^\n]+:2\n$", ask(child.pid))
    end)
    local compute = "coroutine.resume(coroutine.create(function() while true do end end))"
    with("braid.sleep(0) " .. READY .. compute, function(child)
      assert.matches("^script %(thread %d+%)", ask(child.pid))
      assert.not_matches("inside a C function", ask(child.pid))
    end)
  end)

  test("asks what was started with & by a shell, which ignores SIGQUIT", function()
    with("braid.run(function() braid.current().name = 'watch' " .. READY .. "braid.sleep(20) end)", function(child)
      assert.matches("task watch: ", ask(child.pid))
    end, { "sh", "-c", "trap '' QUIT; exec \"$@\"", "sh" })
  end)

  test("names a state that is inside a C function, and tells the others", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    with([[
      braid.run(function()
        local pool <close> = braid.thread_pool { workers = 1, name = "pixels" }
        pool:submit(function() braid.sleep(20) end)
        while pool:stats().running == 0 do braid.sleep(0.01) end
        os.execute "echo ready; exec sleep 3"
      end)]], function(child)
      local text = ask(child.pid)
      assert.matches("^script %(thread %d+%): inside a C function", text)
      assert.matches("worker 1 of pool pixels %(thread %d+%)\n +task", text)
    end)
  end)

  test("says within a second that no loop has turned there yet", function()
    if helper.slowness > 1 then return pending "braid is linked into this interpreter: it cannot be seen in it yet" end
    with("local _ = braid.sleep " .. READY .. "io.read()", function(child)
      local text, err = ask(child.pid, 0.1)
      assert.is_nil(text)
      assert.equal(("process %d does not answer: no loop of braid's has turned in it yet, and no pool was started")
        :format(child.pid), err.message)
    end)
  end)

  test("says that a process is stopped; it is none the worse for the question", function()
    with("braid.run(function() " .. READY .. "braid.sleep(0.3) print 'done' end)", function(child)
      child:kill "STOP"
      local text, err = ask(child.pid, 0.1)
      assert.is_nil(text)
      assert.matches("does not answer: it is stopped", err.message)
      child:kill "CONT"
      assert.equal("done", child:read "l")
      assert.equal(0, child:wait().code)
    end)
  end)

  test("is answered by worker processes, those that compute as well", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    helper.run(function()
      local pool <close> = braid.process_pool { workers = 1, name = "diggers" }
      local job = pool:submit(function()
        while true do end
      end)
      until_running(job)
      local text = ask(pool:pids()[1])
      assert.matches("^worker of pool diggers of process %d+ %(thread", text)
      assert.matches("task computing at [^\n]*sight_spec.lua", text)
      assert.not_matches("inside a C function", text)
      job:cancel()
      assert.equal(7, pool:submit(math.abs, -7):result())
      braid.process.run { "kill", "-QUIT", tostring(pool:pids()[1]) } -- a terminal's: not for it
      assert.equal(8, pool:submit(math.abs, -8):result())
      job = pool:submit(function() (("a"):rep(1e5)):find((".-"):rep(8) .. "b") end) -- takes for ever
      until_running(job)
      local deadline = braid.now() + 10 -- the job has begun, but may not have called the C function yet
      repeat text = ask(pool:pids()[1]) until text:find "inside a C function" or braid.now() > deadline
      assert.matches("^worker of pool diggers [^\n]+: inside a C function", text)
      os.execute("kill -KILL " .. pool:pids()[1])
      job:wait()
      assert.is_true(braid.is_error(job:error(), "worker_died"))
    end)
  end)

  test("does not stop a job that it asks of", function()
    helper.run(function()
      local pool <close> = braid.process_pool(1)
      local job = pool:submit(function()
        local sum = 0
        for i = 1, 2e7 do sum = sum + i % 7 end
        return sum
      end)
      until_running(job)
      for _ = 1, 5 do assert.matches("task", ask(pool:pids()[1])) end
      assert.equal(60000003, math.tointeger(job:result()))
    end)
  end)

  test("says that a process has ended for which nobody has waited", function()
    -- It ends after its parent has become cat, which waits for nobody.
    local script = [[(until [ "$(cat /proc/$$/comm)" = cat ]; do :; done) & echo $!; exec cat]]
    local child <close> = braid.process.start({ "sh", "-c", script }, { stdin = "pipe" })
    local pid = tonumber(child:read "l")
    local function state()
      local stat <close> = assert(io.open(("/proc/%d/stat"):format(pid)))
      return stat:read "a":match "%) (%a)"
    end
    while state() ~= "Z" do braid.sleep(0.005) end
    local text, err = ask(pid)
    assert.is_nil(text)
    assert.equal(("process %d has ended"):format(pid), err.message)
  end)

  test("sends nothing to other programs, though they have a handler", function()
    local child <close> = braid.process.start({ "sh", "-c",
      "trap 'echo got' QUIT URG; echo ready; read -r line; echo end" }, { stdin = "pipe" })
    assert.equal("ready", child:read "l")
    local text, err = ask(child.pid)
    assert.is_nil(text)
    assert.equal(("process %d does not use braid"):format(child.pid), err.message)
    child.stdin:write "\n"
    assert.equal("end", child:read "l")
    child:wait()
    text, err = ask(child.pid)
    assert.is_nil(text)
    assert.matches("no process", err.message)
  end)

  test("lets no name write lines of its own, or order a terminal about", function()
    with([[
      braid.run(function()
        braid.current().name = "evil\27[2J\u{9b}m\n  worker process 1: caf\u{e9}\127"
        ]] .. READY .. [[
        braid.sleep(20)
      end)]], function(child)
      assert.matches("task evil\\x1b[2J\\xc2\\x9bm\\x0a  worker process 1: caf\u{e9}\\x7f: ",
        ask(child.pid), 1, true)
    end)
  end)

  test("lists processes of braid's only", function()
    with("braid.sleep(0) " .. READY .. "io.read()", function(child)
      local other <close> = braid.process.start({ "sleep", "5" }, {})
      local listed = {}
      for _, pid in ipairs(dump.processes()) do listed[pid] = true end
      assert.is_true(listed[child.pid])
      assert.is_nil(listed[other.pid])
      assert.matches("braid.sleep%(0%)", dump.command_line(child.pid))
      assert.not_matches("\n", dump.command_line(child.pid))
      other:kill(9)
    end)
  end)

  test("says that it has no descriptors to look with", function()
    local source = [[
      local dump, files = require "braid.debug.dump", {}
      repeat
        local file = io.open "/dev/null"
        files[#files + 1] = file
      until not file
      local ok, err = pcall(dump.processes)
      print(ok, err.kind, err.code, err.message)]]
    local result = braid.process.run { "sh", "-c", 'ulimit -n 40; exec "$@"', "sh", helper.lua, "-e", source }
    assert.equal("", result.stderr)
    assert.equal("false\tsystem\t24\t/proc: Too many open files\n", result.stdout)
  end)
end)

describe("BRAID_DEBUG=1", function()
  local script = [[
    local function compute() local stop = os.clock() + 0.3 while os.clock() < stop do end end
    local function block() os.execute "sleep 0.4" end
    braid.run(function()
      braid.current().name = "principal"
      braid.sleep(0.01)
      %s()
    end)]]

  local function run(what, debug)
    return braid.process.run({ helper.lua, "-e", "local braid = require 'braid'\n" .. script:format(what) },
      { env = { BRAID_DEBUG = debug } }).stderr
  end

  test("names a step that computes too long by task, function and line", function()
    if os.getenv "BRAID_LATE_SIGNALS" then return pending "signals come late" end
    assert.matches("slow step: task principal %(script%) has held its loop for 0%.%d+ s, compute at [^\n]+:2",
      run("compute", "1"))
  end)

  test("names one inside a C function, while it is still held", function()
    assert.matches("inside a C function for 0%.[123]%d* s, called block at [^\n]+:3", run("block", "1"))
  end)

  test("is silent otherwise", function() assert.equal("", run("compute", "0")) end)
end)

