-- SPDX-License-Identifier: MIT
-- Programs: run and start, their pipes, their end, and that nothing of them is left.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local process = braid.process
local test, run = helper.test, helper.run
local fails, misused, eventually = expect.fails, expect.misused, expect.eventually

-- Whether a process exists, zombies included.
local function exists(pid) return (os.execute(("kill -0 %d 2>/dev/null"):format(pid))) == true end

local function in_run(fn)
  return function() run(fn) end
end

local function contents(name)
  local file <close> = assert(io.open(name))
  return file:read("a")
end

describe("process.run", function()
  test("gives exit code and output", in_run(function()
    local result = assert(process.run { "echo", "hello", "two  words", "$HOME", "" })
    assert.same({ code = 0, stdout = "hello two  words $HOME \n", stderr = "" }, result)
    result = assert(process.run { "sh", "-c", "echo out; echo err >&2; exit 7" })
    assert.same({ code = 7, stdout = "out\n", stderr = "err\n" }, result)
    assert.equal("3.5 2\n", process.run({ "echo", 3.5, 2 }).stdout)
  end))

  test("tells the signal that ended the program", in_run(function()
    local result = assert(process.run { "sh", "-c", "kill -9 $$" })
    assert.is_nil(result.code)
    assert.equal(9, result.signal)
  end))

  test("sends 10 MB through a program without a deadlock", in_run(function()
    local data = {}
    for i = 1, 10 * 1024 do data[i] = ("%08d"):format(i):rep(128) end
    data = table.concat(data)
    local result = assert(process.run({ "cat" }, { stdin = data }))
    assert.is_true(result.stdout == data)
    assert.equal(0, result.code)
  end), { deadline = 30 })

  test("reads both outputs at once, however much they are", in_run(function()
    local line = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"
    local result = assert(process.run(line, { shell = true }))
    assert.equal(3000000, #result.stdout)
    assert.equal(6000000, #result.stderr)
  end), { deadline = 30 })

  test("takes any text as stdin, and nothing without", in_run(function()
    for _, text in ipairs { "x", "null", "inherit", "pipe", "\0\n\255" } do
      assert.equal(text, process.run({ "cat" }, { stdin = text }).stdout)
    end
    assert.equal("", process.run({ "cat" }, { stdin = "" }).stdout)
    assert.equal("", process.run({ "cat" }).stdout)
  end))

  test("survives a program that does not read its stdin", in_run(function()
    local result = assert(process.run({ "true" }, { stdin = ("x"):rep(1000000) }))
    assert.equal(0, result.code)
    result = assert(process.run({ "head", "-c", "5" }, { stdin = ("x"):rep(1000000) }))
    assert.equal("xxxxx", result.stdout)
  end))

  test("merges stderr into stdout when asked to", in_run(function()
    local result = assert(process.run({ "sh", "-c", "echo a; echo b >&2; echo c" }, { stderr = "stdout" }))
    assert.equal("a\nb\nc\n", result.stdout)
    assert.is_nil(result.stderr)
  end))

  test("throws outputs away, or writes them to files", in_run(function()
    local result = assert(process.run({ "sh", "-c", "echo a; echo b >&2" }, { stdout = "null", stderr = "null" }))
    assert.same({ code = 0 }, result)
    local name = os.tmpname()
    finally(function() os.remove(name) end)
    local file <close> = assert(io.open(name, "w"))
    file:write("first\n")
    assert(process.run({ "sh", "-c", "echo a; echo b >&2" }, { stdout = file, stderr = "stdout" }))
    assert.equal("first\na\nb\n", contents(name))
    local input <close> = assert(io.open(name))
    assert.equal("first\na\nb\n", process.run({ "cat" }, { stdin = input }).stdout)
  end))

  test("starts in another directory", in_run(function()
    assert.equal("/\n", process.run({ "pwd" }, { cwd = "/" }).stdout)
    local err = fails("system", process.run({ "pwd" }, { cwd = "/no/such/directory" }))
    assert.is_truthy(err.message:find("/no/such/directory", 1, true))
  end))

  test("changes the environment, and keeps the rest of it", in_run(function()
    local line = 'echo "$BRAID_A-$BRAID_B-${HOME-none}-${PATH:+path}"'
    local result = process.run({ "sh", "-c", line }, { env = { BRAID_A = "x=y", BRAID_B = 5, HOME = false } })
    assert.equal("x=y-5-none-path\n", result.stdout)
    assert.equal("\n", process.run({ "sh", "-c", 'echo "$BRAID_A"' }).stdout)
  end))

  test("uses a shell only when asked to", in_run(function()
    assert.equal("3\n", process.run("echo $((1 + 2)) | cat", { shell = true }).stdout)
    fails("system", process.run { "echo $((1 + 2))" })
  end))

  test("names the program that was not found", in_run(function()
    local err = fails("system", process.run { "no-such-program", "x" })
    assert.is_truthy(err.message:find('"no-such-program": No such file', 1, true), err.message)
    err = fails("system", process.run { "/" })
    assert.is_truthy(err.message:find("Permission denied", 1, true), err.message)
  end))

  test("gives the program clean signals and no descriptors of ours", in_run(function()
    local reader <close>, writer = require "braid.io.stream".pipe()
    local _ <close> = writer
    assert.equal("0\n1\n2\n3\n", process.run { "ls", "/proc/self/fd" }.stdout) -- 3 is the directory itself
    local status = process.run({ "grep", "^Sig[BI]", "/proc/self/status" }).stdout
    for _, field in ipairs { "SigBlk", "SigIgn" } do -- signal 32 and up are the C library's own
      assert.equal(0, tonumber(status:match(field .. ":%s*(%x+)"), 16) & 0x7fffffff, status)
    end
    assert.is_truthy(reader.fd)
  end))

  test("ends the program at its timeout and gives what had come", in_run(function()
    local before = braid.now()
    local err = fails("timeout", process.run({ "sh", "-c", "echo $$; echo err >&2; exec sleep 100" },
      { timeout = 0.1 }))
    assert.is_true(braid.now() - before < 3 * helper.slowness)
    assert.equal("err\n", err.stderr)
    assert.is_false(exists(tonumber(err.stdout)))
    assert.equal("x", process.run({ "printf", "x" }, { timeout = 10 }).stdout)
  end))

  test("kills a program that does not listen", in_run(function()
    local before = braid.now()
    local err = fails("timeout", process.run({ "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done" },
      { timeout = 0.1 }))
    assert.is_true(braid.now() - before >= 1)
    assert.is_false(exists(tonumber(err.stdout)))
  end))

  test("ends with a shell all that it started", in_run(function()
    local line = "(trap '' TERM; echo $$; exec sleep 100) | { read pid; echo $pid; sleep 100; }"
    local err = fails("timeout", process.run(line, { shell = true, timeout = 0.3 }))
    assert.is_truthy(tonumber(err.stdout))
    -- nobody holds the pipe any more, or this would wait for it
    local reader = assert(process.start({ "sh", "-c", "sleep 100 & sleep 100 & wait" }, { group = true }))
    do
      local _ <close> = reader
      braid.sleep(0.05)
    end
    fails("closed", reader:read())
  end))

  test("does not wait for a grandchild's pipe beyond its timeout", in_run(function()
    local before = braid.now()
    local err = fails("timeout", process.run({ "sh", "-c", "sleep 3 & echo started" }, { timeout = 0.1 }))
    assert.equal("started\n", err.stdout)
    assert.is_true(braid.now() - before < 2.5 * helper.slowness)
  end))

  test("that is cancelled ends its program first", in_run(function()
    local name = os.tmpname()
    finally(function() os.remove(name) end)
    local task = braid.spawn(process.run, { "sh", "-c", ("echo $$ >%s; exec sleep 100"):format(name) })
    eventually(function() return contents(name):find("\n") end)
    local pid = tonumber(contents(name))
    assert.is_true(exists(pid))
    task:cancel()
    task:wait()
    assert.is_true(task:cancelled())
    assert.is_false(exists(pid))
  end))

  test("inside braid.timeout ends its program", in_run(function()
    local before = braid.now()
    local ok, err = pcall(braid.timeout, 0.05, process.run, { "sleep", "100" })
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "timeout"))
    assert.is_true(braid.now() - before < 3 * helper.slowness)
  end))

  test("runs a hundred programs at once", in_run(function()
    local jobs = {}
    for i = 1, 100 do
      local line = "read x; echo $x; exit " .. i % 50
      jobs[i] = function() return process.run(line, { shell = true, stdin = i .. "\n" }) end
    end
    local results = braid.gather(jobs)
    for i = 1, 100 do
      assert.equal(i .. "\n", results[i].stdout)
      assert.equal(i % 50, results[i].code)
    end
  end), { deadline = 60 })

  test("runs programs of several threads at once", in_run(function()
    local pool <close> = braid.thread_pool(3)
    local said = pool:map(function(word)
      local all = ""
      for _ = 1, 60 do all = all .. process.run({ "echo", word }).stdout end
      return all
    end, { "a", "b", "c" }, { chunk = 1 })
    for i, word in ipairs { "a", "b", "c" } do assert.equal((word .. "\n"):rep(60), said[i]) end
  end), { deadline = 20 })

  test("works outside every task", function()
    assert.equal("hi\n", process.run({ "echo", "hi" }).stdout)
    fails("timeout", process.run({ "sleep", "100" }, { timeout = 0.05 }))
  end)

  test("says when descriptors have run out", function()
    local out, err, code = helper.lua_process([[
      local process = require "braid".process -- loaded now: later there is no descriptor to load it with
      local held = {}
      while true do
        local file = io.open("/dev/null")
        if not file then break end
        held[#held + 1] = file
      end
      held[#held]:close()
      held[#held - 1]:close()
      local result, failure = process.run { "true" }
      print(result, failure.kind, failure.message)
      for _, file in ipairs(held) do if io.type(file) == "file" then file:close() end end
      print(process.run({ "true" }).code)
    ]])
    assert.equal(0, code, err)
    assert.equal('nil\tsystem\tcannot start "true": Too many open files\n0\n', out)
  end)

  local function folder_with(name, text, mode)
    local folder = os.tmpname()
    os.remove(folder)
    assert(process.run({ "mkdir", folder }, { check = true }))
    local file <close> = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    assert(process.run({ "chmod", mode, folder .. "/" .. name }, { check = true }))
    finally(function() os.execute("rm -r " .. folder) end)
    return folder
  end

  test("looks for the program in the PATH that it gets", in_run(function()
    local folder = folder_with("braid-own", "#!/bin/sh\necho found $1\n", "755")
    local other = folder_with("braid-own", "#!/bin/sh\n", "644")
    local path = ("/nonexistent:%s:%s:/bin:/usr/bin"):format(other, folder)
    assert.equal("found x\n", assert(process.run({ "braid-own", "x" }, { env = { PATH = path } })).stdout)
    local err = fails("system", process.run({ "braid-own" }, { env = { PATH = other } }))
    assert.matches("Permission denied", err.message)
    err = fails("system", process.run({ "ls" }, { env = { PATH = "/nonexistent" } }))
    assert.matches('"ls": No such file', err.message)
    assert.equal(0, assert(process.run({ "ls", "/" }, { env = { PATH = false } })).code)
    assert.equal("found\n", assert(process.run({ folder .. "/braid-own" }, { env = { PATH = "/x" } })).stdout)
  end))

  test("may begin with an empty environment", in_run(function()
    local result = assert(process.run({ "env" }, { clear_env = true, env = { A = "1" } }))
    assert.equal("A=1\n", result.stdout)
    assert.equal("", assert(process.run({ "env" }, { clear_env = true })).stdout)
  end))

  test("ends a program that says more than max_output", in_run(function()
    local err = fails("limit", process.run({ "yes" }, { max_output = 1000, timeout = 10 }))
    assert.equal(("y\n"):rep(500), err.stdout)
    err = fails("limit", process.run({ "sh", "-c", "echo out; exec yes >&2" }, { max_output = 10 }))
    assert.equal(("y\n"):rep(5), err.stderr)
    assert.equal("12345", assert(process.run({ "printf", "12345" }, { max_output = 5 })).stdout)
    assert.equal("", assert(process.run({ "true" }, { max_output = 0 })).stdout)
    misused("max_output", function() process.run({ "ls" }, { max_output = -1 }) end)
  end))

  test("makes an error of a failure on request", in_run(function()
    local err = fails("process", process.run({ "sh", "-c", "echo out; echo why >&2; exit 3" }, { check = true }))
    assert.equal(3, err.code)
    assert.equal("out\n", err.stdout)
    assert.equal("why\n", err.stderr)
    assert.equal('"sh" ended with exit code 3: why', err.message)
    err = fails("process", process.run({ "sh", "-c", "kill -9 $$" }, { check = true }))
    assert.equal(9, err.signal)
    assert.is_nil(err.code)
    assert.equal(0, assert(process.run({ "true" }, { check = true })).code)
  end))

  test("hands on descriptors, under their numbers, and no others", in_run(function()
    local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
    local other <close> = assert(braid.net.listen("127.0.0.1", 0))
    local script = ("ls /proc/self/fd; ls -L /proc/self/fd/%d >/dev/null"):format(listener.fd)
    if not io.open "/proc/self/fd" then return end
    local result = assert(process.run({ "sh", "-c", script }, { pass_fds = { listener } }))
    local seen = {}
    for number in result.stdout:gmatch "%d+" do seen[tonumber(number)] = true end
    assert.is_true(seen[listener.fd])
    assert.is_nil(seen[other.fd])
    result = assert(process.run({ "ls", "/proc/self/fd" }))
    assert.is_nil(result.stdout:find("%f[%d]" .. listener.fd .. "%f[%D]"))
    fails("system", process.run({ "ls" }, { pass_fds = { 999999 } }))
    misused("pass_fds[1]", function() process.run({ "ls" }, { pass_fds = { 1 } }) end)
    misused("pass_fds[2]", function() process.run({ "ls" }, { pass_fds = { other, {} } }) end)
  end))

  test("gives the program a terminal", in_run(function()
    local script = "test -t 0 && test -t 2 && stty size && echo on stderr >&2; exit 3"
    local result = assert(process.run({ "sh", "-c", script }, { pty = { rows = 40, columns = 100 }, timeout = 10 }))
    assert.equal("40 100\r\non stderr\r\n", result.stdout)
    assert.equal(3, result.code)
    assert.is_nil(result.stderr)
    result = assert(process.run({ "cat" }, { pty = true, stdin = "hello\n", timeout = 10 }))
    assert.matches("hello\r\nhello\r\n", result.stdout) -- its echo, and the answer
    fails("limit", process.run({ "yes" }, { pty = true, max_output = 1000, timeout = 10 }))
    misused("'stdout'", function() process.run({ "ls" }, { pty = true, stdout = "null" }) end)
    misused("did you mean 'rows'", function() process.run({ "ls" }, { pty = { row = 1 } }) end)
    misused("rows", function() process.run({ "ls" }, { pty = { rows = 0 } }) end)
  end))

  test("talks with a program at a terminal, and interrupts it", in_run(function()
    local shell <close> = assert(process.start({ "sh" }, { pty = true, env = { PS1 = "$ " } }))
    assert(shell:write("echo a$((1+1))\n"))
    assert.matches("a2\r\n$", shell.stdout:read_until("a2\r\n", nil, 10))
    assert(shell:write("cat\nping\n"))
    for _ = 1, 2 do assert(shell.stdout:read_until("ping\r\n", nil, 10)) end -- its echo, and the answer of cat
    assert(shell:write("\3"))
    assert(shell.stdout:read_until("$ ", nil, 10)) -- a shell that is interrupted drops what was typed ahead
    assert(shell:write("echo code $?\n"))
    assert(shell.stdout:read_until("code 130", nil, 10))
    shell:write("\n")
    shell:close_stdin()
    assert.is_not_nil(shell:wait(10).code)
  end))

  test("refuses what is wrong", in_run(function()
    misused("argv", function() process.run() end)
    misused("argv", function() process.run("ls -l") end)
    misused("argv", function() process.run({}) end)
    misused("argv", function() process.run({ "ls" }, { shell = true }) end)
    misused("argv[2]", function() process.run { "ls", {} } end)
    misused("zero byte", function() process.run { "ls", "a\0b" } end)
    misused("timeout", function() process.run({ "ls" }, { timeout = -1 }) end)
    misused("did you mean 'timeout'", function() process.run({ "ls" }, { timout = 1 }) end)
    misused("cwd", function() process.run({ "ls" }, { cwd = 1 }) end)
    misused("zero byte", function() process.run({ "ls" }, { cwd = "/\0" }) end)
    misused("env", function() process.run({ "ls" }, { env = { ["A=B"] = "x" } }) end)
    misused("env", function() process.run({ "ls" }, { env = { "x" } }) end)
    misused("env.A", function() process.run({ "ls" }, { env = { A = {} } }) end)
    misused("stdout", function() process.run({ "ls" }, { stdout = "pip" }) end)
    misused("stdout", function() process.run({ "ls" }, { stdout = "stdout" }) end)
    misused("stdin", function() process.start({ "ls" }, { stdin = "some text" }) end)
    local file = assert(io.open("/dev/null"))
    file:close()
    misused("closed file", function() process.run({ "ls" }, { stdout = file }) end)
  end))
end)

describe("process.start", function()
  test("lets one talk with the program", in_run(function()
    local cat <close> = assert(process.start { "cat" })
    assert.equal("integer", math.type(cat.pid))
    for i = 1, 100 do
      assert.is_true(cat:write(i .. "\n"))
      assert.equal(tostring(i), cat:read("l", 5))
    end
    fails("timeout", cat:read("l", 0.01))
    cat:write("last")
    cat:close_stdin()
    assert.equal("last", cat:read("a"))
    assert.is_nil((cat:read()))
    assert.same({ code = 0 }, cat:wait())
  end))

  test("gives lines as they come, and stderr apart", in_run(function()
    local script = "for i in 1 2 3; do echo $i; done; echo no >&2; exit 3"
    local program <close> = assert(process.start(script, { shell = true }))
    local lines = {}
    for line in program:lines() do lines[#lines + 1] = line end
    assert.same({ "1", "2", "3" }, lines)
    assert.equal("no\n", program.stderr:read("a"))
    assert.equal(3, program:wait().code)
  end))

  test("waits twice, in several tasks, with timeouts", in_run(function()
    local program <close> = assert(process.start { "sh", "-c", "read x; exit 5" })
    fails("timeout", program:wait(0))
    fails("timeout", program:wait(0.01))
    local tasks = {}
    for i = 1, 5 do tasks[i] = braid.spawn(function() return program:wait() end) end
    local cancelled = braid.spawn(function() return program:wait() end)
    braid.sleep(0.005)
    cancelled:cancel()
    program:write("\n")
    for _, task in ipairs(tasks) do assert.equal(5, task:result().code) end
    assert.is_true(cancelled:cancelled())
    assert.equal(5, program:wait().code)
    assert.equal(5, program:wait(0).code)
  end))

  test("sends signals by number and name", in_run(function()
    for _, case in ipairs { { nil, 15 }, { "KILL", 9 }, { "SIGINT", 2 }, { 10, 10 } } do
      local program <close> = assert(process.start { "sleep", "100" })
      assert.is_true((program:kill(case[1])))
      assert.equal(case[2], program:wait().signal)
      assert.is_false((program:kill()))
    end
    local program <close> = assert(process.start { "sleep", "100" })
    assert.is_true((program:kill(0)))
    misused("signal", function() program:kill("BOGUS") end)
    misused("signal", function() program:kill(-1) end)
    misused("signal", function() program:kill({}) end)
  end))

  test("ends and reaps the program when its variable is closed", in_run(function()
    local pid
    do
      local program <close> = assert(process.start { "sleep", "100" })
      pid = program.pid
      assert.is_true(exists(pid))
    end
    assert.is_false(exists(pid))
  end))

  test("ends it in a task that is cancelled", in_run(function()
    local pid
    local task = braid.spawn(function()
      local program <close> = assert(process.start { "sleep", "100" })
      pid = program.pid
      program:wait()
    end)
    braid.sleep(0.01)
    task:cancel()
    task:wait()
    assert.is_true(task:cancelled())
    assert.is_false(exists(pid))
  end))

  test("leaves no zombie when it is dropped, before or after its end", in_run(function()
    local pids = {}
    for _, seconds in ipairs { "0", "0.05", "0.2" } do
      pids[#pids + 1] = assert(process.start({ "sleep", seconds })).pid
    end
    collectgarbage()
    collectgarbage()
    for _, pid in ipairs(pids) do eventually(function() return not exists(pid) end) end
  end))

  test("dropped while it runs, a program goes on", in_run(function()
    local pid = assert(process.start { "sleep", "100" }).pid
    collectgarbage()
    collectgarbage()
    braid.sleep(0.01)
    assert.is_true(exists(pid))
    os.execute("kill " .. pid)
    eventually(function() return not exists(pid) end)
  end))

  test("writing to a program that has ended is kind closed", in_run(function()
    local program <close> = assert(process.start { "true" })
    program:wait()
    fails("closed", program:write("x"))
    fails("closed", program:write("x"))
  end))

  test("says which of the three is not a pipe", in_run(function()
    local program <close> = assert(process.start({ "true" }, { stdin = "null", stdout = "null", stderr = "null" }))
    assert.is_nil(program.stdin)
    assert.is_nil(program.stderr)
    misused("stdin", function() program:write("x") end)
    misused("stdin", function() program:close_stdin() end)
    misused("stdout", function() program:read() end)
    misused("stdout", function() program:lines() end)
  end))

  test("hands on our own descriptors, in the order of writing", function()
    local out, err, code = helper.lua_process([[
      local process = require "braid".process
      io.write("before ")
      process.run({ "cat" }, { stdin = io.stdin, stdout = "inherit" })
      local program = process.start({ "sh", "-c", "cat; echo err; echo out >&2" },
        { stdin = "inherit", stdout = io.stderr, stderr = io.stdout })
      program:wait()
      io.write("after")
    ]], { stdin = "input\n" })
    assert.equal(0, code, err)
    assert.equal("before input\nout\nafter", out)
    assert.equal("err\n", err)
  end)

  test("says when somebody else took the exit status", in_run(function()
    local name = os.tmpname()
    finally(function() os.remove(name) end)
    local script <close> = assert(io.open(name, "w"))
    script:write [[
      local result, failure = require "braid".process.run { "true" }
      print(result, failure.kind, (failure.message:gsub("%d+", "N")))
    ]]
    script:close()
    local result = assert(process.run { "env", "--ignore-signal=CHLD", helper.lua, name })
    if result.code ~= 0 then return pending(result.stderr) end -- another env than GNU's
    assert.equal("nil\tsystem\tprocess N has ended, but its status was taken by somebody else (is SIGCHLD ignored?)\n",
      result.stdout)
  end))

  test("the end of the script ends what closes, and waits for nothing else", function()
    local out, err, code = helper.lua_process([[
      local braid = require "braid"
      local task = braid.spawn(function()
        local program <close> = braid.process.start { "sleep", "100" }
        print(program.pid)
        program:wait()
      end)
      braid.sleep(0.05)
      dropped = braid.process.start { "sleep", "0.5" }
    ]])
    assert.equal(0, code, err)
    assert.equal("", err)
    assert.is_false(exists(tonumber(out)))
  end)

  test("an interrupt ends the program that run waits for", function()
    local out, err, code = helper.lua_process([[
      local braid = require "braid"
      braid.run(function()
        braid.spawn(function()
          braid.sleep(0.1)
          braid.process.run("kill -INT $PPID", { shell = true })
        end)
        print((braid.process.run({ "sh", "-c", "echo $$ >&2; exec sleep 100" }, { stderr = "inherit" })))
      end)
    ]])
    assert.equal("", out)
    assert.equal(130, code, err)
    assert.is_false(exists(tonumber(err:match("%d+"))))
  end)
end)

describe("another user", function()
  local is_root = io.popen("id -u"):read "n" == 0

  test("runs the program, with its groups and nothing of ours", function()
    local none, err = process.run({ "true" }, { user = "no such user" })
    assert.is_nil(none)
    assert.matches('there is no user "no such user"', err.message)
    assert.error_matches(function() process.run({ "true" }, { user = {} }) end, "bad option 'user'")
    if not is_root then
      assert.equal("system", select(2, process.run({ "true" }, { user = 0 })).kind)
      return
    end
    local script = "id -u; id -G; cat /proc/self/status | grep -c 'SigBlk:\t0*$'; cat; ls /proc/self/fd | wc -l"
    local said = process.run(script, { user = "nobody", shell = true, stderr = "stdout" })
    assert.equal("65534\n65534\n1\n4\n", said.stdout)
    assert.equal("65534\n", process.run({ "id", "-u" }, { user = 65534 }).stdout)
    local refused, why = process.run({ "/root/nothing" }, { user = "nobody" })
    assert.is_nil(refused)
    assert.equal(13, why.code)
    assert.equal(2, select(2, process.run({ "no-such-program" }, { user = "nobody" })).code)
    local shell = process.start({ "sh", "-c", "tty; read word; echo $word" }, { user = "nobody", pty = true })
    shell:write "yes\n"
    local lines = shell:read("a", 5)
    assert.matches("^yes\r\n/dev/pts/%d+\r\nyes\r\n$", (lines:gsub("^(/dev/pts/%d+\r\n)yes\r\n", "yes\r\n%1")))
    shell:wait(5)
  end)
end)
