-- SPDX-License-Identifier: MIT
-- Web applications on a socket: what a server takes and refuses, how it starts and stops.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local web_server = require "spec.web_server"
local web = braid.web
local test, run = helper.test, helper.run
local misused, stderr_of, eventually = expect.misused, expect.stderr_of, expect.eventually
local serving = web_server.serving

-- Sends bytes, and gives what comes back until the server closes the connection.
local function raw(server, text)
  local script = 'exec 3<>/dev/tcp/127.0.0.1/$0 && cat >&3 && cat <&3'
  local command = { "bash", "-c", script, tostring(server.port) }
  return assert(braid.process.run(command, { stdin = text, timeout = 5 })).stdout
end

local function hello(app)
  app:get("/hello", function() return { hello = "world" } end)
end

describe("a server", function()
  test("answers what its application answers", serving(function(app)
    app:get("/hello", function() return { hello = "world" } end)
    app:post("/echo/{id:int}", function(request)
      return {
        id = request.params.id, query = request.query, body = request:json(), peer = request.peer,
        kind = request.headers["Content-Type"], path = request.path,
      }
    end)
  end, function(session, _, server)
    assert.is_true(server.port > 0)
    local response = assert(session:get("/hello"))
    assert.equal(200, response.status)
    assert.equal("application/json", response.headers["content-type"])
    assert.same({ hello = "world" }, response:json())
    response = assert(session:post("/echo/7?a=b%20c", { json = { list = { 1, 2 } } }))
    assert.same({
      id = 7, query = { a = "b c" }, body = { list = { 1, 2 } }, peer = "127.0.0.1", kind = "application/json",
      path = "/echo/7",
    }, response:json())
    assert.equal(404, assert(session:get("/nowhere")).status)
    assert.equal("GET, HEAD", assert(session:put("/hello")).headers.allow)
    response = assert(session:head("/hello"))
    assert.equal("17", response.headers["content-length"])
    assert.equal("", response.body)
  end))

  test("keeps connections", serving(hello, function(session, _, server)
    for _ = 1, 20 do assert(session:get("/hello")) end
    assert.equal(1, server:stats().accepted)
    assert.equal(1, server:stats().connections)
  end))

  test("runs handlers that wait at the same time", serving(function(app)
    local event = braid.event()
    local waiting = 0
    app:get("/meet", function()
      waiting = waiting + 1
      if waiting == 50 then event:set() end
      event:wait()
      return { waiting = waiting }
    end)
  end, function(session)
    local list = {}
    for i = 1, 50 do list[i] = i end
    for _, response in ipairs(braid.map(function() return assert(session:get("/meet")) end, list)) do
      assert.same({ waiting = 50 }, response:json())
    end
  end))

  test("answers also when the handler waited with its body unread", serving(function(app)
    app:post("/late", function(request)
      braid.sleep(0.01)
      return { size = #request.body, host = request.headers.Host ~= nil }
    end)
  end, function(session)
    local response = assert(session:post("/late", { body = ("x"):rep(500000) }))
    assert.same({ size = 500000, host = true }, response:json())
  end))

  test("can be asked by its own handlers", serving(function(app)
    app:get("/one", function() braid.sleep(0.01) return "1" end)
    app:get("/both", function(request)
      local session <close> = braid.http.session { base_url = "http://" .. request.headers.host }
      local function one() return assert(session:get("/one")).body end
      local parts = braid.gather { one, one }
      return parts[1] .. parts[2]
    end)
  end, function(session)
    assert.equal("11", assert(session:get("/both")).body)
  end))

  test("gives handlers no locals of each other", serving(function(app)
    app:get("/set", function() braid.locals().user = "somebody" braid.sleep(0.01) return "" end)
    app:get("/get", function() return { user = braid.locals().user or "nobody" } end)
  end, function(session)
    assert(session:get("/set"))
    assert.same({ user = "nobody" }, assert(session:get("/get")):json())
  end))

  test("refuses a body that is too large, and goes on", serving(function(app)
    app:post("/size", function(request) return { size = #request.body } end)
  end, function(session, _, server)
    assert.equal(1000, assert(session:post("/size", { body = ("x"):rep(1000) })):json().size)
    for _, size in ipairs { 1001, 100000, 3000000 } do
      local response = assert(session:post("/size", { body = ("x"):rep(size) }))
      assert.equal(413, response.status, size)
    end
    assert.equal(0, assert(session:post("/size", { body = "" })):json().size)
    local chunked = "POST /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.is_truthy(raw(server, chunked .. "5\r\nhello\r\n0\r\n\r\n"):find('{"size":5}', 1, true))
    assert.is_truthy(raw(server, chunked .. ("200\r\n" .. ("x"):rep(512) .. "\r\n"):rep(3) .. "0\r\n\r\n")
      :find("^HTTP/1.1 413"))
  end, { max_body = 1000 }))

  test("refuses headers that are too large", serving(hello, function(session)
    assert.equal(200, assert(session:get("/hello", { headers = { X = ("x"):rep(500) } })).status)
    assert.equal(431, assert(session:get("/hello", { headers = { X = ("x"):rep(1500) } })).status)
    assert.equal(431, assert(session:get("/hello", { headers = { X = ("x"):rep(50000) } })).status)
  end, { max_header = 1024 }))

  test("sends large headers", serving(function(app)
    app:get("/", function() return web.response { headers = { X = ("x"):rep(50000) } } end)
  end, function(session)
    assert.equal(50000, #assert(session:get("/")).headers.x)
  end))

  test("sends repeated headers and no empty ones", serving(function(app)
    app:get("/", function() return web.response { headers = { ["set-cookie"] = { "a=1", "b=2" }, ["X-E"] = "" } } end)
  end, function(session)
    local response = assert(session:get("/"))
    assert.same({ "a=1", "b=2" }, response:values("Set-Cookie"))
    assert.is_nil(response.headers["x-e"])
  end))

  test("understands pipelined, HTTP/1.0 and absolute requests", serving(hello, function(_, _, server)
    local get = "GET /hello HTTP/1.1\r\nHost: x\r\n"
    local _, count = raw(server, (get .. "\r\n"):rep(4) .. get .. "Connection: close\r\n\r\n"):gsub('{"hello"', "")
    assert.equal(5, count)
    assert.is_truthy(raw(server, "GET /hello HTTP/1.0\r\n\r\n"):find("^HTTP/1.%d 200"))
    assert.is_truthy(raw(server, "GET http://x/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      :find("^HTTP/1.1 200"))
  end))

  test("answers nonsense with 400", serving(hello, function(_, _, server)
    for _, text in ipairs {
      "some nonsense\r\n\r\n", "GET /hello HTTP/1.1\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
      "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    } do
      assert.is_truthy(raw(server, text):find("^HTTP/1.1 400"), text)
    end
  end))

  test("does not mind clients that go away", serving(function(app)
    local running = 0
    app:get("/slow", function()
      running = running + 1
      local _ <close> = setmetatable({}, { __close = function() running = running - 1 end })
      braid.sleep(0.1)
      return ("x"):rep(100000)
    end)
    app:get("/running", function() return { running = running } end)
  end, function(session, _, server)
    local list = {}
    for i = 1, 20 do list[i] = i end
    braid.map(function()
      local response, err = session:get("/slow", { timeout = 0.05 })
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "timeout"), tostring(err))
    end, list)
    eventually(function() return assert(session:get("/running")):json().running == 0 end)
    eventually(function() return server:stats().connections == 1 end)
  end))

  test("closes silent connections", serving(hello, function(_, _, server)
    local began = braid.now()
    assert.equal("", raw(server, "GET /hel"))
    assert.is_true(braid.now() - began > 0.5)
    eventually(function() return server:stats().connections == 0 end)
  end, { idle_timeout = 1 }))

  test("answers for a handler that calls coroutine.yield, and goes on", serving(function(app)
    hello(app)
    app:get("/now", function() coroutine.yield() end)
    app:get("/later", function() braid.sleep(0.001) coroutine.yield() end)
    app:get("/stream", function()
      return web.response { stream = function(write) write("a") coroutine.yield() end }
    end)
  end, function(session)
    local written = stderr_of(function()
      assert.equal(500, assert(session:get("/now")).status)
      assert.equal(500, assert(session:get("/later")).status)
      local _, err = session:get("/stream")
      assert.is_true(braid.is_error(err, "http"), tostring(err))
    end)
    assert.equal(3, select(2, written:gsub("coroutine.yield in a task", "")), written)
    assert.equal(200, assert(session:get("/hello")).status)
  end))

  test("reports a failing handler once and leaves the others alone", serving(function(app)
    hello(app)
    app:get("/fail", function() braid.sleep(0.01) error("secret") end)
  end, function(session)
    local written = stderr_of(function()
      local response = assert(session:get("/fail"))
      assert.equal(500, response.status)
      assert.is_nil(response.body:find("secret", 1, true))
    end)
    assert.is_truthy(written:find("secret\nstack traceback:", 1, true), written)
    assert.equal(200, assert(session:get("/hello")).status)
  end))

  test("writes an access log", serving(hello, function(session)
    local written, writes = stderr_of(function()
      assert(session:get("/hello"))
      assert(session:get("/no%0Awhere"))
    end)
    assert.equal(2, writes)
    assert.is_truthy(written:find("^127.0.0.1 GET /hello 200 17 [%d.]+ms HTTP/1.1 "), written)
    assert.is_truthy(written:find("\n127.0.0.1 GET /no%0Awhere 404 21 ", 1, true), written)
  end, { access_log = true }))
end)

describe("a server that stops", function()
  test("lets requests end, takes no new ones", function()
    run(function()
      local app = web.app()
      local stopped = 0
      app:get("/slow", function() braid.sleep(0.1) return "done" end)
      app:on_stop(function() stopped = stopped + 1 end)
      local server = assert(app:start { port = 0 })
      local session <close> = braid.http.session { base_url = server.url }
      local slow = braid.spawn(function() return assert(session:get("/slow")) end)
      eventually(function() return server:stats().requests == 1 end)
      server:stop()
      local other <close> = braid.http.session { base_url = server.url }
      local response, err = other:get("/slow", { timeout = 5 })
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "http"), tostring(err))
      assert.is_false(server:wait(0))
      assert.equal("done", slow:result().body)
      assert.equal("close", slow:result().headers.connection)
      assert.is_true(server:wait(5))
      assert.equal(1, stopped)
      assert.equal(1, server:stats().accepted)
    end)
  end)

  test("cancels what takes longer than grace, which is answered with 503", function()
    run(function()
      local app = web.app()
      local cancelled = false
      app:get("/ever", function()
        local _ <close> = setmetatable({}, { __close = function() cancelled = true end })
        braid.sleep(60)
      end)
      local server = assert(app:start { port = 0 })
      local session <close> = braid.http.session { base_url = server.url }
      local ever = braid.spawn(function() return assert(session:get("/ever")) end)
      eventually(function() return server:stats().requests == 1 end)
      server:stop(0.05)
      assert.is_true(server:wait(5))
      assert.is_true(cancelled)
      assert.equal(503, ever:result().status)
    end)
  end)

  test("can be told so by a handler", serving(function() end, function(session, app, server)
    app:get("/stop", function() server:stop() return "bye" end)
    assert.equal("bye", assert(session:get("/stop")).body)
    assert.is_true(server:wait(5))
  end))

  test("calls all of on_stop, and raises what failed there", function()
    run(function()
      local app = web.app()
      local called = false
      app:on_stop(function() error("no database", 0) end)
      app:on_stop(function() braid.sleep(0.01) called = true end)
      local server = assert(app:start { port = 0 })
      server:stop()
      local ok, err = pcall(server.wait, server, 5)
      assert.is_false(ok)
      assert.equal("no database", err)
      assert.is_true(called)
    end)
  end)

  test("ends with its scope", function()
    local server
    run(function()
      local app = web.app()
      hello(app)
      server = assert(app:start { port = 0 })
      local session <close> = braid.http.session()
      assert(session:get(server.url .. "/hello"))
    end)
    assert.is_true(server:wait(0))
  end)
end)

describe("starting", function()
  test("calls on_start first, and fails with it", function()
    run(function()
      local app = web.app()
      local started = false
      app:on_start(function() braid.sleep(0.01) started = true end)
      local server <close> = assert(app:start { port = 0 })
      assert.is_true(started)
      app:on_start(function() error("no database", 0) end)
      local ok, err = pcall(app.start, app, { port = 0 })
      assert.is_false(ok)
      assert.equal("no database", err)
      assert.is_true(server.port > 0)
    end)
  end)

  test("tells what the system said of an address", function()
    run(function()
      local app = web.app()
      local first <close> = assert(app:start { port = 0 })
      local server, err = app:start { port = first.port }
      assert.is_nil(server)
      assert.is_true(braid.is_error(err, "system"), tostring(err))
      assert.is_truthy(tostring(err):find("cannot listen on 127.0.0.1:" .. first.port, 1, true), tostring(err))
      assert.is_false((pcall(app.serve, app, { port = first.port })))
      server, err = app:start { host = "no such name", port = 0 }
      assert.is_nil(server)
      assert.is_truthy(tostring(err):find("no such name", 1, true), tostring(err))
    end)
  end)

  test("refuses options that make no sense", function()
    local app = web.app()
    misused("unknown option 'prot'", app.start, app, { prot = 8000 })
    misused("did you mean 'port'", app.serve, app, { prot = 8000 })
    misused("bad option 'port'", app.start, app, { port = "8000" })
    misused("from 0 to 65535", app.start, app, { port = 70000 })
    misused("'max_body'", app.start, app, { max_body = -1 })
    misused("'grace'", app.start, app, { grace = -1 })
    misused("'workers'", app.start, app, { workers = 0 })
    misused("a table expected", app.start, app, 8000)
    misused("a function expected", app.use, app)
    misused("a function expected", app.on_start, app, 5)
  end)
end)

describe("app:serve", function()
  local code = [[
    local braid = require "braid"
    local app = braid.web.app()
    app:get("/stop", function() app.server:stop() return "bye" end)
    app:on_stop(function() print("stopped") end)
    app:on_start(function() print("started") io.stdout:flush() end)
    %s
  ]]

  local function with_script(text, fn)
    return function()
      local file = os.tmpname()
      local handle <close> = assert(io.open(file, "w"))
      handle:write(code:format(text))
      handle:flush()
      run(function()
        local process <close> = assert(braid.process.start { helper.lua, file })
        local line = assert(process.stderr:read("l", 5))
        local url = line:match("^braid: serving on (http://127.0.0.1:%d+)$")
        assert.is_truthy(url, line)
        fn(process, url)
      end)
      os.remove(file)
    end
  end

  local function ends_on_interrupt(process, url)
    local response = assert(braid.http.get(url .. "/", { timeout = 5 }))
    assert.equal(404, response.status)
    braid.http.close()
    process:kill("INT")
    assert.equal(130, assert(process:wait(5)).code)
    assert.equal("started\nstopped\n", process:read("a", 5))
  end

  test("serves a script until it is interrupted", with_script("app:serve { port = 0 }", ends_on_interrupt))

  test("ends when it is told to", with_script("app:serve { port = 0 } print('served')", function(process, url)
    assert.equal(404, assert(braid.http.get(url .. "/", { timeout = 5 })).status)
    braid.http.close()
    process:kill("TERM")
    assert.equal(0, assert(process:wait(5)).code)
    assert.equal("started\nstopped\nserved\n", process:read("a", 5))
  end))

  test("serves inside braid.run until it is interrupted",
    with_script("braid.run(function() app:serve { port = 0 } end)", ends_on_interrupt))
end)

describe("the delay server of the examples", function()
  test("delays, counts, and holds many", function()
    run(function()
      local process <close> = assert(braid.process.start { helper.lua, "examples/delay_server.lua", "--port", "0" })
      local url = "http://" .. assert(process:read("l", 5)):match("^listening on (127.0.0.1:%d+)$")
      local session <close> = braid.http.session { base_url = url, timeout = 10 }
      local began = braid.now()
      assert.same({ delay = 0.2, url = "/delay/0.2" }, assert(session:get("/delay/0.2")):json())
      assert.is_true(braid.now() - began >= 0.2)
      assert.equal(418, assert(session:get("/status/418")).status)
      assert.equal("7", assert(session:get("/get?id=7")):json().args.id)
      assert.equal(process.pid, assert(session:get("/pid")):json().pid)
      assert.equal(400, assert(session:get("/delay/soon")).status)
      assert.equal(204, assert(session:get("/reset")).status)
      local list = {}
      for i = 1, 200 do list[i] = i end
      braid.map(function() assert(assert(session:get("/delay/1")).status == 200) end, list)
      local stats = assert(session:get("/stats")):json()
      assert.equal(200, stats.peak)
      assert.equal(200, stats.total)
      assert.equal(0, stats.requests)
    end)
  end, { deadline = 20 })
end)
