-- SPDX-License-Identifier: MIT
-- A server of several processes: how it starts, survives, is reloaded and stops; and the command that runs it.
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local web = braid.web

local function write_file(text)
  local file = os.tmpname()
  local handle <close> = assert(io.open(file, "w"))
  handle:write(text)
  return file
end

local app_code = [[
  local braid = require "braid"
  local app = braid.web.app()
  local greeting = "hello"
  local function pid() return io.open("/proc/self/stat"):read("n") end
  app:get("/", function() return { greeting = greeting, pid = pid() } end)
  app:get("/slow", function() braid.sleep(0.5) return app and "slow" end)
  app:get("/hang", function() while true do end end)
]]

-- A server's process; its lines on stderr are collected.
local function start(argv, env)
  local process = assert(braid.process.start(argv, { env = env }))
  local server = { process = process, lines = {}, pids = {} }
  function server.read_until(pattern)
    while true do
      local line, err = process.stderr:read("l", 10 * helper.slowness)
      if not line then error(table.concat(server.lines, "\n") .. "\nand then " .. tostring(err or "the end")) end
      server.lines[#server.lines + 1] = line
      server.url = server.url or line:match("serving on (%S+)")
      local found = { line:match(pattern) }
      if #found > 0 then return table.unpack(found) end
    end
  end
  return server
end

-- Calls fn(server, session) with so many workers of the script; then it is told to stop.
local function with_workers(count, tail, fn)
  return function()
    local file = write_file(app_code .. tail)
    run(function()
      local server = start { helper.lua, file }
      local process <close> = server.process
      server.supervisor = tonumber(server.read_until("supervisor pid (%d+)"))
      for i = 1, count do server.pids[i] = tonumber((server.read_until("worker %d+ pid (%d+)"))) end
      local session <close> = braid.http.session { base_url = server.url, timeout = 10 }
      fn(server, session)
      process:kill("TERM")
      assert.equal(0, assert(process:wait(15)).code)
    end)
    os.remove(file)
  end
end

-- The pids that answer, each request on a connection of its own.
local function pids_of(url, count)
  local seen = {}
  for _ = 1, count or 40 do
    local session <close> = braid.http.session { base_url = url, timeout = 10 }
    seen[assert(session:get("/")):json().pid] = true
  end
  return seen
end

local function size_of(set)
  local count = 0
  for _ in pairs(set) do count = count + 1 end
  return count
end

local serve = "app:serve { port = 0, workers = %d, grace = 5 }"

local function kill(pid, signal) assert(braid.process.run { "kill", "-" .. signal, tostring(pid) }) end

describe("a server with workers", function()
  test("names its processes, which all serve the same application", with_workers(4, serve:format(4), function(server)
    assert.equal(server.process.pid, server.supervisor)
    local seen = pids_of(server.url, 60)
    assert.equal(4, size_of(seen))
    for _, pid in ipairs(server.pids) do assert.is_true(seen[pid]) end
  end), { deadline = 20 })

  test("replaces a worker that was killed", with_workers(2, serve:format(2), function(server)
    kill(server.pids[1], "KILL")
    assert.equal(tostring(server.pids[1]), (server.read_until("worker (%d+) was ended by signal 9; it is replaced")))
    local next_pid = tonumber((server.read_until("worker (%d+) serves")))
    local seen = pids_of(server.url)
    assert.is_true(seen[next_pid] and seen[server.pids[2]])
    assert.equal(2, size_of(seen))
  end), { deadline = 20 })

  local impatient = "app:serve { port = 0, workers = 2, grace = 5, worker_timeout = 2 }"
  test("replaces a worker that hangs", with_workers(2, impatient, function(server, session)
    local hanging = braid.spawn(function() return session:get("/hang") end)
    server.read_until("gives no sign of life")
    server.read_until("worker %d+ serves")
    assert.is_nil((hanging:result()))
    assert.equal(2, size_of(pids_of(server.url)))
  end), { deadline = 30 })

  test("loses only what a killed worker had in hand", with_workers(3, serve:format(3), function(server)
    local over, count, failed = false, 0, 0
    local function ask()
      local session <close> = braid.http.session { base_url = server.url, timeout = 10 }
      while not over do
        local response = session:get("/", { retries = 0 })
        if response then count = count + 1 else failed = failed + 1 end
      end
    end
    local clients = {}
    for i = 1, 12 do clients[i] = braid.spawn(ask) end
    for _ = 1, 5 do
      local line = assert(braid.process.run { "pgrep", "-P", tostring(server.supervisor) }).stdout
      kill(line:match("%d+"), "KILL")
      server.read_until("worker %d+ serves")
    end
    over = true
    braid.gather(clients)
    assert.is_true(failed <= 5 * 12, failed)
    assert.is_true(count > 5 * failed, count)
  end), { deadline = 30 })

  test("obeys a signal from the moment it has said whom to send it to", with_workers(2, [[
    local files = getmetatable(io.stderr).__index
    local write = files.write
    function files.write(file, text)
      write(file, text)
      if text:find("worker 2 pid", 1, true) then os.execute "kill -HUP $PPID" end
      return file
    end
  ]] .. serve:format(2), function(server)
    for _ = 1, 2 do server.read_until("takes the place") end
  end))

  test("loses no request when it is reloaded", with_workers(2, serve:format(2), function(server, session)
    local over, count = false, 0
    local function ask()
      while not over do
        assert.equal(200, assert(session:get("/")).status)
        count = count + 1
      end
    end
    local clients = {}
    for i = 1, 8 do clients[i] = braid.spawn(ask) end
    for _ = 1, 2 do
      kill(server.supervisor, "HUP")
      for _ = 1, 2 do server.read_until("takes the place") end
    end
    braid.sleep(0.7)
    over = true
    braid.gather(clients)
    assert.is_true(count > 100, count)
    local seen = pids_of(server.url)
    assert.equal(2, size_of(seen))
    for _, pid in ipairs(server.pids) do assert.is_nil(seen[pid]) end
  end), { deadline = 30 })

  if os.execute("command -v wrk >/dev/null 2>&1") then
    test("loses no request of wrk's when it is reloaded", with_workers(3, serve:format(3), function(server)
      local wrk = braid.spawn(function()
        return assert(braid.process.run { "wrk", "-t1", "-c32", "-d3s", server.url .. "/" }).stdout
      end)
      for _ = 1, 2 do
        braid.sleep(0.6)
        kill(server.supervisor, "HUP")
        for _ = 1, 3 do server.read_until("takes the place") end
      end
      local output = wrk:result()
      assert.is_truthy(output:find("requests in", 1, true), output)
      assert.is_nil(output:find("Socket errors", 1, true), output)
      assert.is_nil(output:find("Non-2xx", 1, true), output)
    end), { deadline = 30 })
  end

  test("gets one more, and one fewer", with_workers(2, serve:format(2), function(server)
    kill(server.supervisor, "TTIN")
    server.read_until("worker %d+ serves")
    assert.equal(3, size_of(pids_of(server.url, 60)))
    kill(server.supervisor, "TTOU")
    local leaving = tonumber((server.read_until("worker (%d+) stops")))
    braid.sleep(0.2)
    local seen = pids_of(server.url)
    assert.equal(2, size_of(seen))
    assert.is_nil(seen[leaving])
  end), { deadline = 20 })

  test("lets requests end when it is stopped", function()
    local file = write_file(app_code .. serve:format(2))
    run(function()
      local server = start { helper.lua, file }
      local process <close> = server.process
      server.read_until("worker 2 pid")
      local session <close> = braid.http.session { base_url = server.url, timeout = 10 }
      local slow = braid.spawn(function() return assert(session:get("/slow")).body end)
      braid.sleep(0.2)
      process:kill("TERM")
      assert.equal("slow", slow:result())
      assert.equal(0, assert(process:wait(10)).code)
    end)
    os.remove(file)
  end)

  test("ends with status 130 when it is interrupted, and so do its workers", function()
    local file = write_file(app_code .. serve:format(2))
    run(function()
      local server = start { helper.lua, file }
      local process <close> = server.process
      local pid = server.read_until("worker 2 pid (%d+)")
      process:kill("INT")
      assert.equal(130, assert(process:wait(10)).code)
      assert.not_equal(0, assert(braid.process.run { "kill", "-0", pid }).code)
    end)
    os.remove(file)
  end)

  test("does not start when a worker cannot", function()
    local tail = 'app:on_start(function() error("no database", 0) end) ' .. serve:format(2)
    local file = write_file(app_code .. tail)
    local _, stderr, code = helper.lua_process(app_code .. tail)
    assert.equal(1, code)
    assert.is_truthy(stderr:find("a worker cannot start: no database", 1, true), stderr)
    os.remove(file)
  end)

  test("refuses an application that cannot be sent", function()
    local tail = 'local file = io.stdout app:get("/x", function() return file end) ' .. serve:format(2)
    local _, stderr, code = helper.lua_process(app_code .. tail)
    assert.equal(1, code)
    assert.is_truthy(stderr:find("FILE*", 1, true), stderr)
  end)

  test("leaves no worker when its own process is killed", function()
    local file = write_file(app_code .. serve:format(2))
    run(function()
      local server = start { helper.lua, file }
      local process <close> = server.process
      local pid = server.read_until("worker 2 pid (%d+)")
      process:kill("KILL")
      process:wait(5)
      local deadline = braid.now() + 5
      while assert(braid.process.run { "kill", "-0", pid }).code == 0 do
        assert.is_true(braid.now() < deadline, "the worker lives on")
        braid.sleep(0.05)
      end
    end)
    os.remove(file)
  end)

  test("is a server like any other inside a program", function()
    run(function()
      local app = braid.web.app()
      local word = "upvalue"
      app:get("/", function() return word end)
      app:use(function(request, next)
        local response = next(request)
        response.headers["X-Word"] = word
        return response
      end)
      local server <close> = assert(app:start { port = 0, workers = 2 })
      local session <close> = braid.http.session { base_url = server.url }
      local response = assert(session:get("/"))
      assert.equal("upvalue", response.body)
      assert.equal("upvalue", response.headers["x-word"])
      assert.equal(2, #server:pids())
      assert.is_true(server:reload())
      assert.equal("upvalue", assert(session:get("/")).body)
      assert.equal(2, #server:pids())
    end)
  end, { deadline = 20 })
end)

describe("shared objects that were made before serve", function()
  test("are one object for all workers, and the program's", function()
    run(function()
      local app = web.app()
      local counter, queue, seen = braid.counter(), braid.queue(), braid.dict()
      local limiter = braid.limiter { rate = 0.001, per = 1, burst = 3 }
      app:get("/count", function()
        seen:set(io.open("/proc/self/stat"):read("n"), true)
        return { count = counter:add(1) }
      end)
      app:post("/item", function(request) queue:put(request:json()) return "", 201 end)
      app:get("/limited", function() return "", limiter:try_acquire(1) and 200 or 429 end)
      local server <close> = assert(app:start { port = 0, workers = 3 })
      local function ask(method, path, opts)
        local session <close> = braid.http.session { base_url = server.url }
        return assert(session[method](session, path, opts))
      end
      local most = 0
      for _ = 1, 40 do most = math.max(most, ask("get", "/count"):json().count) end
      assert.equal(40, most)
      assert.equal(40, counter:get())
      assert.is_true(seen:size() > 1)
      ask("post", "/item", { json = { n = 7 } })
      assert.same({ n = 7 }, queue:get(2))
      local allowed = 0
      for _ = 1, 12 do
        if ask("get", "/limited").status == 200 then allowed = allowed + 1 end
      end
      assert.equal(3, allowed)
      assert.is_true(server:reload())
      assert.equal(41, ask("get", "/count"):json().count)
    end)
  end, { deadline = 20 })
end)

describe("a place that loses its worker", function()
  test("keeps nobody waiting while it cannot be replaced", function()
    local file = write_file(app_code .. "return app")
    run(function()
      local server = start { helper.lua, "bin/braid", "serve", file, "--port", "0", "--workers", "2" }
      local _ <close> = server.process
      local first = tonumber((server.read_until("worker 1 pid (%d+)")))
      server.read_until("worker 2 pid")
      local handle = assert(io.open(file, "w"))
      handle:write("this is no Lua")
      handle:close()
      kill(first, "KILL")
      server.read_until("it is replaced")
      for _ = 1, 30 do
        local session <close> = braid.http.session { base_url = server.url, timeout = 5 }
        assert.equal(200, assert(session:get("/")).status)
      end
      handle = assert(io.open(file, "w"))
      handle:write(app_code .. "return app")
      handle:close()
      server.read_until("worker %d+ serves")
      assert.equal(2, size_of(pids_of(server.url, 60)))
    end)
    os.remove(file)
  end, { deadline = 30 })

  local hasty = "app:serve { port = 0, workers = 2, grace = 0.2 }"
  test("gives the connections of a worker that hangs to others", with_workers(2, hasty, function(server)
    local hanging = braid.spawn(function()
      local session <close> = braid.http.session { base_url = server.url, timeout = 20 }
      return session:get("/hang")
    end)
    braid.sleep(3) -- it gives no sign of life meanwhile
    for _ = 1, 20 do
      local session <close> = braid.http.session { base_url = server.url, timeout = 5 }
      assert.equal(200, assert(session:get("/")).status)
    end
    hanging:cancel()
  end), { deadline = 60 })
end)

describe("braid serve", function()
  local function command(file, ...) return { helper.lua, "bin/braid", "serve", file, "--port", "0", ... } end

  test("serves what a file returns, and loads it anew", function()
    local file = write_file(app_code .. "return app")
    run(function()
      local server = start(command(file, "--workers", "2", "--access-log"))
      local process <close> = server.process
      server.read_until("worker 2 pid")
      assert.equal("hello", assert(braid.http.get(server.url .. "/")):json().greeting)
      server.read_until("127.0.0.1 GET / 200")
      local handle = assert(io.open(file, "w"))
      handle:write((app_code:gsub('"hello"', '"good day"')), "return app")
      handle:close()
      process:kill("HUP")
      for _ = 1, 2 do server.read_until("takes the place") end
      local session <close> = braid.http.session { base_url = server.url }
      assert.equal("good day", assert(session:get("/")):json().greeting)
      handle = assert(io.open(file, "w"))
      handle:write("return 5")
      handle:close()
      process:kill("HUP")
      assert.is_truthy(server.read_until("the workers are not replaced: (.*)"):find("has to return an application"))
      assert.equal("good day", assert(session:get("/")):json().greeting)
      process:kill("TERM")
      assert.equal(0, assert(process:wait(10)).code)
      braid.http.close()
    end)
    os.remove(file)
  end, { deadline = 20 })

  test("says what it can do, and what it cannot find", function()
    local result = assert(braid.process.run { helper.lua, "bin/braid", "serve", "--help" })
    assert.is_truthy(result.stdout:find("--workers N", 1, true))
    assert.equal(0, result.code)
    result = assert(braid.process.run(command("/no/such/file.lua")))
    assert.equal(1, result.code)
    assert.is_truthy(result.stderr:find("No such file", 1, true))
  end)
end)
