-- SPDX-License-Identifier: MIT
-- A server as a service: where it listens, what it tells its service manager and Prometheus, and as which user it runs.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local web = braid.web
local test, run = helper.test, helper.run
local misused, eventually, contains = expect.misused, expect.eventually, expect.contains

local APP = [[
  local braid = require "braid"
  local app = braid.web.app()
  app:get("/", function(request) return (request.ip or "unix") .. " " .. request.url end)
  app:get("/pid", function() return io.open("/proc/self/stat"):read("n") .. "" end)
  app:get("/who", function()
    local status = io.open("/proc/self/status"):read("a")
    return status:match "Uid:%s*(%d+)" .. " " .. status:match "Gid:%s*(%d+)"
  end)
  app:metrics():health()
]]

local function write_file(name, text)
  local handle <close> = assert(io.open(name, "w"))
  handle:write(text)
end

-- Whether there is such a program. Without it a test passes, and says so.
local function has(program)
  local found = braid.process.run { "which", program }.stdout:find "%S" ~= nil
  if not found then print(("# no %s here: not tested"):format(program)) end
  return found
end

-- A folder for a test, removed after it.
local function folder()
  local path = assert(braid.process.run { "mktemp", "-d" }).stdout:gsub("\n", "")
  return path, setmetatable({}, { __close = function() braid.process.run { "rm", "-rf", path } end })
end

-- A server's process, as workers_spec has it.
local function start(argv, env)
  local process = assert(braid.process.start(argv, { env = env }))
  local server = { process = process, lines = {} }
  function server.read_until(pattern)
    while true do
      local line, err = process.stderr:read("l", 15 * helper.slowness)
      if not line then error(table.concat(server.lines, "\n") .. "\nand then " .. tostring(err or "the end")) end
      server.lines[#server.lines + 1] = line
      server.url = server.url or line:match "serving on (%S+)"
      local found = { line:match(pattern) }
      if #found > 0 then return table.unpack(found) end
    end
  end
  function server.stop(signal)
    process:kill(signal or "TERM")
    return assert(process:wait(15 * helper.slowness)).code
  end
  return server
end

local function serve_argv(file, ...) return { helper.lua, "bin/braid", "serve", file, ... } end

-- A request without a session: the body.
local function get(place, path)
  local stream <close> = assert(braid.net.connect(table.unpack(place)))
  stream:write("GET " .. (path or "/") .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
  return (assert(stream:read "a"):match "\r\n\r\n(.*)$")
end

describe("listen", function()
  test("takes several addresses, IPv6 and Unix sockets, and removes their files", function()
    run(function()
      local path, _ <close> = folder()
      path = path .. "/app.sock"
      local app = web.app()
      app:get("/", function(request) return (request.ip or "unix") .. " " .. request.url end)
      local server <close> = assert(app:start { listen = { "127.0.0.1:0", "[::1]:0", "unix:" .. path } })
      assert.equal(3, #server.urls)
      local four = server.urls[1]:match "^http://127%.0%.0%.1:(%d+)$"
      local six = server.urls[2]:match "^http://%[::1%]:(%d+)$"
      assert.equal("unix:" .. path, server.urls[3])
      assert.same({ "127.0.0.1", math.tointeger(four), server.urls[1] }, { server.host, server.port, server.url })
      assert.equal("127.0.0.1 http://x/", get { "127.0.0.1", math.tointeger(four) })
      assert.equal("::1 http://x/", get { "::1", math.tointeger(six) })
      assert.equal("unix http://x/", get { { unix = path } })
      assert.equal(3, server:stats().accepted)
      server:stop()
      server:wait()
      assert.is_nil(braid.file.stat(path))
    end)
  end)

  test("replaces a socket at which nobody listens, and no other", function()
    if not has "python3" then return end
    run(function()
      local path, _ <close> = folder()
      path = path .. "/app.sock"
      local old = assert(braid.process.run { "python3", "-c",
        "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path })
      assert.equal(0, old.code)
      local app = web.app()
      app:get("/", function() return "x" end)
      local server <close> = assert(app:start { listen = "unix:" .. path })
      assert.same({ nil, nil, "unix:" .. path }, { server.host, server.port, server.url })
      assert.equal("x", get { { unix = path } })
      local second, err = app:start { listen = { "127.0.0.1:0", "unix:" .. path } }
      assert.is_nil(second)
      contains(tostring(err), "cannot listen on unix:" .. path)
      assert.equal("x", get { { unix = path } })
      write_file(path .. ".txt", "a file")
      second, err = app:start { listen = "unix:" .. path .. ".txt" }
      assert.is_nil(second)
      contains(tostring(err), "cannot listen on unix:")
      local abstract <close> = assert(app:start { listen = "unix:@" .. path })
      assert.equal("unix:@" .. path, abstract.url)
      assert.equal("x", get { { unix = "@" .. path } })
    end)
  end)

  test("refuses what is no address", function()
    local app = web.app()
    for _, text in ipairs { "8000", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "[::1]", "", "unix:" } do
      misused("bad option 'listen' to 'start'", function() app:start { listen = { text } } end)
    end
    misused("bad option 'listen'", function() app:start { listen = {} } end)
    misused("'listen' and 'port'", function() app:start { listen = "127.0.0.1:1", port = 2 } end)
  end)

  test("is the same for workers: each accepts everywhere", function()
    run(function()
      local path, _ <close> = folder()
      write_file(path .. "/app.lua", APP .. "return app")
      local sock = path .. "/app.sock"
      local server = start(serve_argv(path .. "/app.lua", "--workers", "2", "--listen",
        "127.0.0.1:0,[::1]:0,unix:" .. sock))
      local process <close> = server.process
      server.read_until "worker 2 pid"
      local six = table.concat(server.lines, "\n"):match "http://%[::1%]:(%d+)"
      local seen, count = {}, 0
      eventually(function()
        for _, place in ipairs { { "127.0.0.1", math.tointeger(server.url:match ":(%d+)$") },
          { "::1", math.tointeger(six) }, { { unix = sock } } } do
          local key = tostring(place[1]):sub(1, 3) .. get(place, "/pid")
          if not seen[key] then seen[key], count = true, count + 1 end
        end
        return count >= 5
      end, "not all workers answer")
      assert.equal(0, server.stop())
      assert.is_nil(braid.file.stat(sock))
      assert.is_not_nil(process)
    end)
  end)
end)

describe("socket activation", function()
  for _, workers in ipairs { "1", "2" } do
    test("serves what the service manager has opened, with workers " .. workers, function()
      if not has "systemd-socket-activate" then return end
      run(function()
        local path, _ <close> = folder()
        write_file(path .. "/app.lua", APP .. "return app")
        local sock = path .. "/passed.sock"
        local argv = { "systemd-socket-activate", "-l", sock, "-E", "LUA_PATH", "-E", "LUA_CPATH" }
        for _, word in ipairs(serve_argv(path .. "/app.lua", "--socket-activation", "--workers", workers)) do
          argv[#argv + 1] = word
        end
        local server = start(argv)
        local process <close> = server.process
        server.read_until "Listening on"
        assert.equal("unix http://x/", get { { unix = sock } })
        server.read_until "serving on unix:"
        assert.equal("unix:" .. sock, server.url)
        assert.equal(0, server.stop())
        assert.is_not_nil(braid.file.stat(sock)) -- it is the service manager's
        assert.is_not_nil(process)
      end)
    end)
  end

  test("says so when nothing was passed", function()
    run(function()
      local server, err = web.app():start { socket_activation = true }
      assert.is_nil(server)
      contains(tostring(err), "no sockets were passed to this process (LISTEN_FDS)")
    end)
  end)
end)

describe("the service manager", function()
  test("is told of READY, RELOADING, WATCHDOG and STOPPING", function()
    if not has "python3" then return end
    run(function()
      local path, _ <close> = folder()
      write_file(path .. "/app.lua", APP .. "return app")
      -- a datagram socket that prints what comes
      local manager = assert(braid.process.start { "python3", "-uc", [[
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True: print(s.recv(1000).decode().split("\n")[0], flush=True)
]], path .. "/notify" })
      local _ <close> = manager
      assert.equal("bound", assert(manager.stdout:read("l", 10)))
      local server = start(serve_argv(path .. "/app.lua", "--port", "0"),
        { NOTIFY_SOCKET = path .. "/notify", WATCHDOG_USEC = "100000" })
      local process <close> = server.process
      assert.equal("READY=1", manager.stdout:read("l", 10))
      for _ = 1, 3 do assert.equal("WATCHDOG=1", manager.stdout:read("l", 10)) end
      local function await(word)
        local line
        repeat line = assert(manager.stdout:read("l", 10)) until line ~= "WATCHDOG=1"
        assert.equal(word, line)
      end
      process:kill "HUP"
      await "RELOADING=1"
      await "READY=1"
      assert.equal(0, server.stop())
      await "STOPPING=1"
      manager:kill "KILL"
    end)
  end)
end)

describe("reload", function()
  test("replaces the workers when a file changes, but not by a broken one", function()
    run(function()
      local path, _ <close> = folder()
      write_file(path .. "/part.lua", "return 'one'")
      write_file(path .. "/app.lua", ("package.path = %q .. package.path\n"):format(path .. "/?.lua;") .. APP
        .. "local part = require 'part' app:get('/part', function() return part end) return app")
      local server = start(serve_argv(path .. "/app.lua", "--port", "0", "--reload"))
      local process <close> = server.process
      server.read_until "worker 1 pid"
      local place = { "127.0.0.1", math.tointeger(server.url:match ":(%d+)$") }
      assert.equal("one", get(place, "/part"))
      write_file(path .. "/part.lua", "return 'two'")
      server.read_until "part%.lua has changed"
      server.read_until "takes the place of"
      assert.equal("two", get(place, "/part"))
      write_file(path .. "/part.lua", "return return")
      server.read_until "the workers are not replaced"
      assert.equal("two", get(place, "/part"))
      write_file(path .. "/note.txt", "not a Lua file")
      write_file(path .. "/.hidden.lua", "")
      write_file(path .. "/part.lua", "return 'three'")
      server.read_until "part%.lua has changed"
      server.read_until "takes the place of"
      assert.equal("three", get(place, "/part"))
      assert.equal(0, server.stop())
      assert.is_not_nil(process)
    end)
  end)

  test("is for a file", function()
    misused("for `braid serve FILE --reload`", function()
      run(function() web.app():start { port = 0, reload = true } end)
    end)
  end)
end)

describe("the user", function()
  local root = braid.process.run { "id", "-u" }.stdout:match "^0" ~= nil

  for _, workers in ipairs { "1", "2" } do
    test("is another one when the addresses are open, with workers " .. workers, function()
      if not root then return end
      run(function()
        local path, _ <close> = folder()
        write_file(path .. "/app.lua", "assert(not io.open('/etc/shadow'))\n" .. APP .. "return app")
        assert(braid.process.run { "chmod", "755", path })
        local server = start(serve_argv(path .. "/app.lua", "--port", "0", "--user", "nobody", "--workers", workers))
        local process <close> = server.process
        server.read_until "serving on"
        local place = { "127.0.0.1", math.tointeger(server.url:match ":(%d+)$") }
        local expected = braid.process.run { "sh", "-c", "echo $(id -u nobody) $(id -g nobody)" }.stdout:match "%d+ %d+"
        assert.equal(expected, get(place, "/who"))
        if workers == "2" then -- the workers end with their supervisor
          local pid = get(place, "/pid")
          process:kill "KILL"
          eventually(function() return not braid.file.stat("/proc/" .. pid .. "/fd") end, "a worker goes on")
        else
          assert.equal(0, server.stop())
        end
      end)
    end)
  end

  test("must be one", function()
    misused("bad option 'user' to 'start'", function() web.app():start { user = "no such user" } end)
    misused("bad option 'group' to 'start'", function() web.app():start { group = "no such group" } end)
  end)
end)

describe("metrics", function()
  test("count requests by route, method and status, and their times", function()
    local app, inner = web.app(), web.app()
    app:get("/items/{id:int}", function() return "x" end)
    app:get("/bad", function() error "bad" end)
    inner:get("/deep", function() return "y" end)
    app:mount("/in", inner)
    app:metrics()
    local client = app:test_client()
    expect.stderr_of(function()
      for id = 1, 3 do client:get("/items/" .. id) end
      client:get "/bad"
      client:get "/none"
      client:get "/in/deep"
      client:request("BREW", "/none")
    end)
    local answer = client:get "/metrics"
    assert.matches("^text/plain; version=0%.0%.4", answer.headers["content-type"])
    for _, line in ipairs {
      '# TYPE braid_web_requests_total counter',
      'braid_web_requests_total{method="GET",route="/items/{id:int}",status="200"} 3',
      'braid_web_requests_total{method="GET",route="/bad",status="500"} 1',
      'braid_web_requests_total{method="GET",route="",status="404"} 1',
      'braid_web_requests_total{method="other",route="",status="404"} 1',
      'braid_web_requests_total{method="GET",route="/in/deep",status="200"} 1',
      '# TYPE braid_web_request_seconds histogram',
      'braid_web_request_seconds_bucket{method="GET",route="/items/{id:int}",le="+Inf"} 3',
      'braid_web_request_seconds_count{method="GET",route="/items/{id:int}"} 3',
      'braid_web_workers 1', 'braid_web_requests_in_flight 0', '# TYPE braid_loop_lag_seconds gauge',
      '# TYPE braid_tasks gauge',
    } do
      contains(answer.body, line .. "\n")
    end
  end)

  test("are those of all workers, also of ended ones", function()
    run(function()
      local path, _ <close> = folder()
      write_file(path .. "/app.lua", APP .. "app:get('/die', function() os.exit(3) end) return app")
      local server = start(serve_argv(path .. "/app.lua", "--port", "0", "--workers", "3"))
      local process <close> = server.process
      server.read_until "worker 3 pid"
      local place = { "127.0.0.1", math.tointeger(server.url:match ":(%d+)$") }
      for _ = 1, 40 do get(place, "/pid") end
      local function counted()
        local text = get(place, "/metrics")
        return math.tointeger(tonumber(text:match 'requests_total{method="GET",route="/pid",status="200"} (%d+)')),
          math.tointeger(tonumber(text:match "braid_web_workers (%d+)")), text
      end
      local count, workers, text = counted()
      assert.same({ 40, 3 }, { count, workers })
      contains(text, 'braid_web_request_seconds_count{method="GET",route="/pid"} 40')
      process:kill "HUP" -- replaces all: what they have counted stays
      for _ = 1, 3 do server.read_until "takes the place of" end
      eventually(function() return select(2, counted()) == 3 end)
      for _ = 1, 5 do get(place, "/pid") end
      assert.equal(45, (counted()))
      assert.equal(0, server.stop())
    end)
  end)
end)

describe("health", function()
  test("says what the check says", function()
    local app, state = web.app(), true
    app:health():health("/ready", function()
      if state == "raise" then error "no database" end
      if state == "table" then return { items = 3 } end
      if state == "reason" then return nil, "the disk is full" end
      return state
    end)
    local client = app:test_client()
    local plain = client:get "/health"
    assert.same({ 200, { status = "ok" }, "no-store" },
      { plain.status, plain:json(), plain.headers["cache-control"] })
    local function ready(value)
      state = value
      local answer = client:get "/ready"
      return { answer.status, answer:json() }
    end
    assert.same({ 200, { status = "ok" } }, ready(true))
    assert.same({ 200, { status = "ok" } }, ready(nil))
    assert.same({ 200, { status = "ok", items = 3 } }, ready "table")
    assert.same({ 503, { status = "failed", reason = "the check failed" } }, ready(false))
    assert.same({ 503, { status = "failed", reason = "the disk is full" } }, ready "reason")
    local said = expect.stderr_of(function() assert.same({ 503, { status = "failed" } }, ready "raise") end)
    contains(said, "the check of /ready failed:")
  end)

  test("is bad when the server stops", function()
    run(function()
      local app = web.app()
      app:health()
      local server <close> = assert(app:start { port = 0 })
      local stream <close> = assert(braid.net.connect("127.0.0.1", server.port))
      app:get("/slow", function() braid.sleep(0.3) return "x" end)
      stream:write "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
      eventually(function() return server:stats().requests == 1 end)
      local other <close> = assert(braid.net.connect("127.0.0.1", server.port))
      other:write "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      eventually(function() return server:stats().requests == 2 end)
      server:stop()
      local text = assert(stream:read "a") .. assert(other:read "a")
      assert.is_true(text:find('"stopping"', 1, true) ~= nil or not text:find('"ok"', 1, true))
    end)
  end)
end)

-- Of a connection of its own.
local function status_of(server)
  local stream <close> = assert(braid.net.connect("127.0.0.1", server.port))
  stream:write "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
  return assert(stream:read "a"):match "^HTTP/1.1 (%d+)"
end

describe("WebSockets", function()
  test("count as connections, for the statistics and the limit", function()
    run(function()
      local app = web.app()
      app:get("/", function() return "x" end)
      app:websocket("/ws", function(ws) for message in ws:messages() do ws:send(message) end end)
      local server <close> = assert(app:start { port = 0, max_connections = 2 })
      local url = "ws://127.0.0.1:" .. server.port .. "/ws"
      local one, two = assert(braid.websocket.connect(url)), assert(braid.websocket.connect(url))
      eventually(function() return server:stats().websockets == 2 end)
      assert.equal(2, server:stats().connections)
      assert.equal("503", status_of(server))
      one:close()
      two:close()
      eventually(function() return server:stats().websockets == 0 and server:stats().connections == 0 end)
      assert.equal("200", status_of(server))
    end)
  end)
end)
