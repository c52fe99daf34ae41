-- SPDX-License-Identifier: MIT
-- Errors: objects and kinds, the value that comes out, the report nobody asked for, SIGINT, deadlock.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run, lua = helper.test, helper.run, helper.lua_process
local contains = expect.contains

local function count(text, part)
  local found, at = 0, 1
  while true do
    local first, last = text:find(part, at, true)
    if not first then return found end
    found, at = found + 1, last + 1
  end
end

describe("error objects", function()
  test("have kind, message and a readable tostring", function()
    run(function()
      local value, err = braid.queue():get(0.001)
      assert.is_nil(value)
      assert.equal("timeout", err.kind)
      assert.equal("string", type(err.message))
      assert.is_true(#err.message > 0)
      contains(tostring(err), err.message)
    end)
  end)

  test("is_error knows them and their kind", function()
    run(function()
      local queue = braid.queue()
      queue:close()
      local _, closed = queue:get()
      assert.is_true(braid.is_error(closed))
      assert.is_true(braid.is_error(closed, "closed"))
      assert.is_false(braid.is_error(closed, "timeout"))
    end)
  end)

  test("is_error is false for everything else", function()
    for _, value in ipairs { "timeout", 1, {}, { kind = "timeout", message = "x" }, print, true, braid.null } do
      assert.is_false(braid.is_error(value))
      assert.is_false(braid.is_error(value, "timeout"))
    end
    assert.is_false(braid.is_error(nil))
  end)

  test("misuse names the caller's line", function()
    run(function()
      for _, misuse in ipairs {
        function() braid.sleep({}) end, function() braid.gather(1) end, function() braid.queue():put(nil) end,
        function() braid.scope(function() end, { bogus = 1 }) end, function() braid.lock():release() end,
        function() braid.spawn(1) end, function() braid.event():wait(-1) end,
      } do
        local ok, err = pcall(misuse)
        assert.is_false(ok)
        local line = debug.getinfo(misuse, "S").linedefined
        contains(tostring(err), "error_spec.lua:" .. line)
      end
    end)
  end)

  test("an unknown name in braid is nil or an error, never something", function()
    local ok, value = pcall(function() return braid.no_such_function end)
    assert.is_true(not ok or value == nil)
  end)
end)

describe("an error thrown in a task comes out as the same value", function()
  local table_value = setmetatable({ code = 7 }, { __tostring = function() return "code 7" end })
  test("by result, error, run, scope, gather, shield, whatever its type", function()
    for _, value in ipairs { "text", 42, 1.5, false, table_value, print, coroutine.create(print) } do
      run(function()
        local task = braid.spawn(function() braid.sleep(0) error(value, 0) end)
        for _ = 1, 2 do
          local ok, err = pcall(task.result, task)
          assert.is_false(ok)
          assert.is_true(rawequal(err, value))
        end
        assert.is_true(rawequal(task:error(), value))
        assert.equal("failed", task:state())
        for _, outer in ipairs { braid.scope, function(f) braid.gather { f } end, braid.shield } do
          local ok, err = pcall(outer, function() braid.sleep(0) error(value, 0) end)
          assert.is_false(ok)
          assert.is_true(rawequal(err, value))
        end
      end)
      local ok, err = pcall(braid.run, function() braid.sleep(0) error(value, 0) end)
      assert.is_false(ok)
      assert.is_true(rawequal(err, value))
    end
  end)

  test("error(nil) is a failure too", function()
    run(function()
      local task = braid.spawn(function() error() end)
      assert.is_false((pcall(task.result, task)))
      assert.equal("failed", task:state())
    end)
  end)

  test("an error with a position keeps it", function()
    run(function()
      local line = debug.getinfo(1, "l").currentline + 1
      local task = braid.spawn(function() error("boom") end)
      local _, err = pcall(task.result, task)
      assert.is_string(err)
      contains(err, "error_spec.lua:" .. line .. ": boom")
    end)
  end)

  test("runtime errors and stack overflow fail the task only", function()
    run(function()
      local function bottomless() return 1 + bottomless() end
      for _, bad in ipairs { function() return nil + 1 end, bottomless, function() return ("x"):rep(-1) .. nil end } do
        local task = braid.spawn(bad)
        local ok, err = pcall(task.result, task)
        assert.is_false(ok)
        assert.is_not_nil(err)
        assert.equal(1, braid.spawn(function() braid.sleep(0) return 1 end):result())
      end
    end)
  end)

  test("an error whose __tostring raises does not break the run", function()
    local stdout, _, code = lua [[
      local braid = require "braid"
      local bad = setmetatable({}, { __tostring = function() error "no text" end })
      local ok, err = pcall(braid.run, function() braid.spawn(function() error(bad) end) end)
      print(ok, rawequal(err, bad))
      print(braid.run(function() braid.sleep(0) return "again" end))
    ]]
    assert.equal("false\ttrue\nagain\n", stdout)
    assert.equal(0, code)
  end)

  test("an error raised by <close> replaces the first, as in Lua", function()
    run(function()
      local task = braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() error("second", 0) end })
        error("first", 0)
      end)
      local _, err = pcall(task.result, task)
      assert.equal("second", err)
    end)
  end)
end)

describe("a failure nobody asked for", function()
  test("is reported once on stderr, with traceback, and raised by the scope", function()
    local stdout, stderr = lua [[
      local braid = require "braid"
      local function culprit() error("lost-and-found") end
      local ok, err = pcall(braid.run, function()
        braid.spawn(function() culprit() return 1 end)
      end)
      print(ok, err)
    ]]
    contains(stdout, "false\t")
    contains(stdout, "lost-and-found")
    assert.equal(1, count(stderr, "lost-and-found"), stderr)
    contains(stderr, "traceback")
    contains(stderr, ":4:")
  end)

  test("does not hide behind a table", function()
    local stdout, stderr = lua [[
      local braid = require "braid"
      local value = setmetatable({}, { __tostring = function() return "I am a table" end })
      local ok, err = pcall(braid.run, function() braid.spawn(function() error(value) end) end)
      print(ok, rawequal(err, value))
    ]]
    assert.equal("false\ttrue\n", stdout)
    contains(stderr, "I am a table")
  end)

  test("several are each reported once and come out as a group", function()
    local stdout, stderr = lua [[
      local braid = require "braid"
      local ok, err = pcall(braid.run, function()
        for i = 1, 3 do braid.spawn(function() error("failure-" .. i, 0) end) end
      end)
      print(ok, err.kind, #err.errors)
    ]]
    assert.equal("false\tgroup\t3\n", stdout)
    for i = 1, 3 do assert.equal(1, count(stderr, "failure-" .. i), stderr) end
  end)

  test("is not reported when somebody asked", function()
    local stdout, stderr, code = lua [[
      local braid = require "braid"
      braid.run(function()
        local task = braid.spawn(function() error "x" end)
        print((pcall(task.result, task)))
      end)
    ]]
    assert.equal("false\n", stdout)
    assert.equal("", stderr)
    assert.equal(0, code)
  end)

  test("is not reported when a scope raises it", function()
    local stdout, stderr = lua [[
      local braid = require "braid"
      braid.run(function()
        print(pcall(braid.scope, function(scope) scope:spawn(function() error("x", 0) end) end))
        print(pcall(braid.gather, { function() error("y", 0) end }))
      end)
    ]]
    assert.equal("false\tx\nfalse\ty\n", stdout)
    assert.equal("", stderr)
  end)

  test("goes to on_unhandled instead of stderr", function()
    local stdout, stderr = lua [[
      local braid = require "braid"
      local calls = 0
      braid.on_unhandled(function() calls = calls + 1 end)
      local ok, err = pcall(braid.run, function() braid.spawn(function() error("x", 0) end) end)
      print(ok, err, calls)
    ]]
    assert.equal("false\tx\t1\n", stdout)
    assert.equal("", stderr)
  end)

  test("an on_unhandled that raises does not break the run, and both errors are on stderr", function()
    local stdout, stderr, code = lua [[
      local braid = require "braid"
      braid.on_unhandled(function() error "handler" end)
      pcall(braid.run, function() braid.spawn(function() error("x", 0) end) end)
      print(braid.run(function() braid.sleep(0) return "again" end))
    ]]
    assert.equal("again\n", stdout)
    assert.matches("unhandled error: x\n", stderr, 1, true)
    assert.matches("handler", stderr, 1, true)
    assert.equal(0, code)
  end)

  test("an on_done callback that raises is reported, and the next still runs", function()
    local stdout, stderr, code = lua [[
      local braid = require "braid"
      braid.run(function()
        local task = braid.spawn(braid.sleep, 0.005)
        task:on_done(function() error "bad-callback" end)
        task:on_done(function() print "second" end)
        task:result()
        braid.sleep(0)
        task:on_done(function() error "late-callback" end)
        print "went on"
      end)
    ]]
    assert.equal("second\nwent on\n", stdout)
    assert.equal(1, count(stderr, "bad-callback"), stderr)
    assert.equal(1, count(stderr, "late-callback"), stderr)
    assert.equal(0, code)
  end)

  test("an uncaught error of main ends the script with 1 and shows where it came from", function()
    local stdout, stderr, code = lua [[
      local braid = require "braid"
      local function inner() error("main-error") end
      local function middle() inner() return 1 end
      braid.run(function() braid.sleep(0) middle() return 1 end)
      print "never"
    ]]
    assert.equal("", stdout)
    assert.equal(1, code)
    contains(stderr, "main-error")
    contains(stderr, ":3: in")
  end)
end)

describe("SIGINT", function()
  local interrupt = [[
    local function interrupt() io.popen("kill -INT $PPID"):close() end
  ]]

  test("cancels main with kind interrupted, runs <close>, ends with 130", function()
    local stdout, _, code = lua('local braid = require "braid"\n' .. interrupt .. [[
      braid.run(function()
        local _ <close> = setmetatable({}, { __close = function(_, err) print("main", err.kind) io.flush() end })
        braid.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() print "child" io.flush() end })
          braid.sleep(60)
        end)
        braid.sleep(0.01)
        interrupt()
        braid.sleep(60)
        print "never"
      end)
      print "never"
    ]])
    contains(stdout, "main\tinterrupted\n")
    contains(stdout, "child\n")
    assert.is_nil(stdout:find("never", 1, true))
    assert.equal(130, code)
  end, { deadline = 20 })

  test("ends a wait that has nothing else to wake it soon", function()
    local start = braid.now()
    local _, _, code = lua('local braid = require "braid"\n' .. interrupt .. [[
      braid.run(function()
        local queue = braid.queue()
        braid.spawn(function() braid.sleep(60) queue:put(1) end)
        braid.spawn(interrupt)
        queue:get()
      end)
    ]])
    assert.equal(130, code)
    assert.is_true(braid.now() - start < 10)
  end, { deadline = 20 })

  test("ends a plain script's wait too", function()
    local start = braid.now()
    local stdout, _, code = lua [[
      local braid = require "braid"
      braid.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        braid.sleep(60)
      end)
      killer = io.popen("sleep 0.1; kill -INT $PPID")
      braid.sleep(60)
      print "never"
    ]]
    assert.equal("closed\n", stdout)
    assert.equal(130, code)
    assert.is_true(braid.now() - start < 8)
  end, { deadline = 20 })

  test("can be caught around run", function()
    local stdout, _, code = lua('local braid = require "braid"\n' .. interrupt .. [[
      local ok, err = pcall(braid.run, function()
        interrupt()
        braid.sleep(60)
      end)
      print(ok, err.kind)
      print(braid.run(function() braid.sleep(0) return "again" end))
    ]])
    assert.equal("false\tinterrupted\nagain\n", stdout)
    assert.equal(0, code)
  end, { deadline = 20 })

  test("a second one exits at once", function()
    local stdout, _, code = lua('local braid = require "braid"\n' .. interrupt .. [[
      io.stdout:setvbuf "no"
      braid.run(function()
        pcall(function()
          interrupt()
          braid.sleep(30)
        end)
        print "first"
        interrupt()
        local start = os.time()
        while os.time() - start < 5 do end
        pcall(braid.shield, braid.sleep, 30)
        print "never"
      end)
    ]])
    assert.equal("first\n", stdout)
    assert.is_true(code ~= 0)
  end, { deadline = 20 })

  test("does not break a shield", function()
    local stdout = lua('local braid = require "braid"\n' .. interrupt .. [[
      pcall(braid.run, function()
        braid.shield(function()
          interrupt()
          local sum = 0
          for i = 1, 1000 do sum = sum + i end
          braid.sleep(0.02)
          print("shielded", sum)
        end)
        braid.sleep(30)
        print "never"
      end)
    ]])
    assert.equal("shielded\t500500\n", stdout)
  end, { deadline = 20 })

  test("after the run the interpreter's own handling is back", function()
    local stdout, stderr, code = lua('local braid = require "braid"\n' .. interrupt .. [[
      braid.run(function() braid.sleep(0.001) end)
      interrupt()
      local start = os.time()
      while os.time() - start < 3 do end
      print "never"
    ]])
    assert.is_nil(stdout:find("never", 1, true), stderr)
    assert.is_true(code ~= 0)
  end, { deadline = 20 })

  test("SIGCHLD is left alone: os.execute and popen give the status", function()
    run(function()
      braid.sleep(0)
      local _, how, status = os.execute("exit 3")
      assert.same({ "exit", 3 }, { how, status })
      local pipe = io.popen("echo hello; exit 4")
      assert.equal("hello", pipe:read("l"))
      _, how, status = pipe:close()
      assert.same({ "exit", 4 }, { how, status })
    end)
  end)
end)

describe("deadlock", function()
  test("is raised instead of hanging, with place and reason", function()
    local line
    local ok, err = pcall(braid.run, function()
      local queue = braid.queue()
      line = debug.getinfo(1, "l").currentline + 1
      queue:get()
      return 1
    end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "deadlock"), tostring(err))
    contains(tostring(err), "error_spec.lua:" .. line)
    contains(tostring(err), "queue")
  end, { deadline = 10 })

  test("names each waiting task", function()
    local lines = {}
    local ok, err = pcall(braid.run, function()
      local lock, event = braid.lock(), braid.event()
      lock:acquire()
      braid.spawn(function()
        lines[1] = debug.getinfo(1, "l").currentline + 1
        lock:acquire()
        return 1
      end)
      braid.spawn(function()
        lines[2] = debug.getinfo(1, "l").currentline + 1
        event:wait()
        return 1
      end)
      lines[3] = debug.getinfo(1, "l").currentline + 1
      event:wait()
      return 1
    end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "deadlock"), tostring(err))
    for i = 1, 3 do contains(tostring(err), "error_spec.lua:" .. lines[i]) end
    contains(tostring(err), "lock")
    contains(tostring(err), "event")
  end, { deadline = 10 })

  test("of two tasks that wait for each other", function()
    local ok, err = pcall(braid.run, function()
      local first, second
      first = braid.spawn(function() braid.sleep(0) second:result() end)
      second = braid.spawn(function() braid.sleep(0) first:result() end)
      first:result()
    end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "deadlock"), tostring(err))
  end, { deadline = 10 })

  test("says who waits for whom", function()
    local ok, err = pcall(braid.run, function()
      local a, b = braid.lock(), braid.lock()
      local function take(name, first, second)
        braid.current().name = name
        first:acquire()
        braid.sleep(0)
        second:acquire()
      end
      local left = braid.spawn(take, "left", a, b)
      braid.spawn(take, "right", b, a)
      left:result()
    end)
    assert.is_false(ok)
    contains(err.message, "task left: lock:acquire at ")
    assert.matches("task left: [^\n]*, for the lock that is held by task right\n", err.message)
    assert.matches("task right: [^\n]*, for the lock that is held by task left", err.message)
    assert.matches("task main: [^\n]*, for the end of task left\n", err.message)
  end, { deadline = 10 })

  test("names the script beside its tasks", function()
    local lock = braid.lock()
    local task = braid.spawn(function()
      lock:acquire()
      braid.event():wait()
    end)
    braid.sleep(0)
    local ok, err = pcall(function() return (lock:acquire()) end)
    task:cancel()
    task:wait()
    assert.is_false(ok)
    contains(err.message, "the script itself: lock:acquire at ")
    contains(err.message, "task event:wait at ")
  end, { deadline = 10 })

  test("is not seen while a timer can still wake somebody", function()
    run(function()
      local queue = braid.queue()
      braid.spawn(function() braid.sleep(0.03) queue:put("late") end)
      assert.equal("late", queue:get())
      assert.is_nil((queue:get(0.01)))
    end)
  end)

  test("runs <close>, and the next run works", function()
    local closed = false
    pcall(braid.run, function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      braid.event():wait()
    end)
    assert.is_true(closed)
    assert.equal(1, run(function() braid.sleep(0) return 1 end))
  end, { deadline = 10 })

  test("outside a run too", function()
    local queue = braid.queue()
    local line
    local ok, err = pcall(function()
      line = debug.getinfo(1, "l").currentline + 1
      queue:get()
      return 1
    end)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "deadlock"), tostring(err))
    assert.matches("the script itself: queue:get at .*error_spec.lua:" .. line, tostring(err))
  end, { deadline = 10 })
end)

describe("require", function()
  for _, interpreter in ipairs { "lua5.1", "luajit", "lua5.3" } do
    local found = os.execute("command -v " .. interpreter .. " > /dev/null 2>&1")
    if found then
      test("under " .. interpreter .. " fails with one sentence", function()
        local file <close> = assert(io.popen("LUA_PATH='./lua/?.lua;./lua/?/init.lua' " .. interpreter
          .. " -e 'print(pcall(require, \"braid\"))' 2>&1"))
        local text = file:read("a")
        contains(text, "false")
        contains(text, "5.4")
        assert.is_nil(text:find("syntax error", 1, true), text)
        assert.is_nil(text:find("unexpected symbol", 1, true), text)
        assert.is_nil(text:find("not found:", 1, true), text)
      end)
    end
  end

  test("starts no thread, opens no socket, sets no signal handler", function()
    local stdout = lua [[
      local function shell(command)
        local pipe = io.popen(command .. " 2>/dev/null")
        local text = pipe:read("a")
        pipe:close()
        return text
      end
      local function look()
        return shell("ls /proc/$PPID/task | wc -l"), shell("ls -l /proc/$PPID/fd | grep -c socket:"),
          shell("grep SigCgt /proc/$PPID/status")
      end
      local threads, sockets, handlers = look()
      require("braid").queue()
      local threads_after, sockets_after, handlers_after = look()
      print(threads == threads_after, sockets == sockets_after, handlers == handlers_after)
    ]]
    assert.equal("true\ttrue\ttrue\n", stdout)
  end)

  test("defines no global", function()
    local stdout = lua [[
      local before = {}
      for name in pairs(_G) do before[name] = true end
      local braid = require "braid"
      braid.run(function() braid.gather { function() braid.queue(1):put(1) end } end)
      for name in pairs(_G) do if not before[name] then print(name) end end
    ]]
    assert.equal("", stdout)
  end)

  test("null is cjson's null", function()
    local found, cjson = pcall(require, "cjson")
    if found then assert.equal(cjson.null, braid.null) end
    assert.is_true(braid.null ~= nil)
    assert.equal(braid.null, braid.null)
  end)
end)
