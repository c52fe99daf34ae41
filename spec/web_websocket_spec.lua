-- SPDX-License-Identifier: MIT
-- WebSockets of an application: in a server beside real clients, and by the test client.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local peers = require "spec.websocket_peers"
local braid = require "braid"
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

local pem = certificates.open()
teardown(certificates.close)

local function echo(ws)
  for data, kind in ws:messages() do
    if kind == "text" then ws:send(data) else ws:send_binary(data) end
  end
end

-- A test function: fn(url, server) beside a server with this application.
local function with_server(app, fn, options)
  return function()
    run(function()
      local started = { port = 0, access_log = false, grace = 3 }
      for name, value in pairs(options or {}) do started[name] = value end
      local server <close> = assert(app:start(started))
      fn((server.url:gsub("^http", "ws")), server)
    end)
  end
end

local function app_with(handler, spec)
  local app = braid.web.app()
  app:websocket("/ws", spec, handler)
  return app
end

local function connected(url, opts) return assert(braid.websocket.connect(url, opts)) end

describe("a WebSocket of an application", function()
  test("exchanges messages", with_server(app_with(echo), function(url)
    local ws <close> = connected(url .. "/ws")
    for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 400000 } do
      local text = ("é"):rep(size // 2)
      assert(ws:send(text))
      assert.same({ text, "text" }, { ws:receive(5) })
      assert(ws:send_binary(("\255"):rep(size)))
      assert.same({ ("\255"):rep(size), "binary" }, { ws:receive(5) })
    end
  end))

  for _, mode in ipairs { "plain", "deflate" } do
    test("exchanges messages with Python's websockets (" .. mode .. ")", function()
      if not peers.python() then return pending "Python's websockets is not here" end
      with_server(app_with(function(ws)
        for data, kind in function() return ws:receive() end do
          if kind == "text" then ws:send(data) else ws:send_binary(data) end
        end
      end, { protocols = { "news" } }), function(url)
        assert.equal("well 4001\n", peers.python_client(url .. "/ws", mode))
      end)()
    end, { deadline = 30 })
  end

  for _, mode in ipairs { "plain", "deflate", "alone", "narrow" } do
    test("exchanges messages with Node's ws (" .. mode .. ")", function()
      if not peers.node_module() then return pending "Node's ws is not here" end
      with_server(app_with(echo, { protocols = { "chat" } }), function(url)
        assert.equal("well 1000 chat\n", peers.node_client(url .. "/ws", mode))
      end)()
    end, { deadline = 30 })
  end

  test("works through TLS", with_server(app_with(echo), function(url)
    local ws <close> = connected(url .. "/ws", { tls = { ca_file = pem "ca.pem" } })
    for _, size in ipairs { 1, 65536, 400000 } do
      assert(ws:send(("x"):rep(size)))
      assert.equal(size, #ws:receive(5))
    end
    assert.is_true(ws:close(4000))
  end, { tls = { cert = pem "server.pem", key = pem "server.key" } }))

  local app = app_with(function(ws, request)
    ws:send(braid.json.encode {
      path = request.path, query = request.query, params = request.params, agent = request.headers["User-Agent"],
      peer = request.peer, protocol = ws.protocol, cookie = request.cookies.a, body = request.body,
    })
  end, { protocols = { "a", "b" } })
  app:websocket("/rooms/{name}/{id:int}", function(ws, request) ws:send(request.params.name .. request.params.id) end)

  test("has its request, also after the handshake", with_server(app, function(url)
    local ws <close> = connected(url .. "/ws?x=1", { protocols = { "c", "b", "a" }, headers = { Cookie = "a=b" } })
    assert.same({
      path = "/ws", query = { x = "1" }, params = {}, agent = "braid", peer = "127.0.0.1", protocol = "b", cookie = "b",
      body = "",
    }, braid.json.decode((assert(ws:receive(5)))))
    assert.equal("b", ws.protocol)
    local room <close> = connected(url .. "/rooms/blue/7")
    assert.equal("blue7", room:receive(5))
  end))

  test("is refused where it is none, and for another path", with_server(app, function(url)
    assert.equal(404, fails("http", braid.websocket.connect(url .. "/nowhere")).status)
    local session <close> = braid.http.session { base_url = url:gsub("^ws", "http") }
    local answer = assert(session:get "/ws")
    assert.equal(426, answer.status)
    assert.equal("websocket", answer.headers.upgrade)
    assert.equal(405, assert(session:post("/ws", { body = "x" })).status)
  end))

  test("may be refused by middleware, which may add headers", with_server((function()
    local guarded = app_with(echo)
    guarded:use(function(request, next)
      if request.headers.authorization ~= "Basic YTpi" then return { error = "no" }, 401 end
      local answer = next(request)
      assert(answer.status == 101)
      answer.headers["X-Guard"] = "passed"
      return answer
    end)
    return guarded
  end)(), function(url)
    assert.equal(401, fails("http", braid.websocket.connect(url .. "/ws")).status)
    local ws <close> = connected(url:gsub("//", "//a:b@") .. "/ws")
    assert.equal("passed", ws.headers["x-guard"])
  end))
end)

describe("the end of a WebSocket's handler", function()
  local function ends(handler, spec)
    local code
    with_server(app_with(handler, spec), function(url)
      local ws = connected(url .. "/ws")
      ws:send("hello")
      code = fails("closed", ws:receive(5)).code
    end)()
    return code
  end

  test("by its return closes with 1000", function() assert.equal(1000, ends(function() end)) end)

  test("by its own close keeps the code", function()
    assert.equal(4005, ends(function(ws) ws:close(4005, "own") end))
  end)

  test("by a failure closes with 1011, and is reported", function()
    local text = expect.stderr_of(function()
      assert.equal(1011, ends(function() error("some failure") end))
    end)
    expect.contains(text, "GET /ws failed: ")
    expect.contains(text, "some failure")
  end)

  test("by a limit closes with its code, and is no failure", function()
    local text = expect.stderr_of(function()
      assert.equal(1009, ends(echo, { max_message = 3 }))
      assert.equal(1001, ends(function(ws)
        ws:receive()
        ws:receive()
      end, { idle_timeout = 0.05 }))
    end)
    assert.equal("", text)
  end)

  test("comes when the client leaves, whatever it waits for", function()
    local ended
    local app = app_with(function(ws)
      ended = nil
      local _ <close> = setmetatable({}, { __close = function(_, err) ended = err or "returned" end })
      ws:send("ready")
      braid.sleep(60)
    end)
    with_server(app, function(url)
      local port = math.tointeger(url:match("%d+$"))
      local stream = assert(braid.net.connect("127.0.0.1", port))
      stream:write("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      assert(stream:read_until("ready", nil, 5))
      stream:close()
      expect.eventually(function() return braid.is_error(ended, "cancelled") end)
      local ws = connected(url .. "/ws")
      assert.equal("ready", ws:receive(5))
      assert.is_true(ws:close())
      expect.eventually(function() return braid.is_error(ended, "cancelled") end)
    end)()
  end)

  test("does not come in the middle of its clean-up, or of its work on the last message", function()
    local steps = {}
    local app = app_with(function(ws)
      for message in ws:messages() do
        braid.sleep(0.2)
        steps[#steps + 1] = message
      end
      braid.sleep(0.2)
      steps[#steps + 1] = "cleaned up"
    end)
    with_server(app, function(url)
      local ws = connected(url .. "/ws")
      ws:send("one")
      ws:send("two")
      ws:close()
      expect.eventually(function() return steps[3] end)
      assert.same({ "one", "two", "cleaned up" }, steps)
    end)()
  end)
end)

describe("a server that stops", function()
  test("closes its WebSockets with 1001, and waits for their handlers", function()
    run(function()
      local done = false
      local app = app_with(function(ws)
        for message in ws:messages() do ws:send(message) end
        braid.sleep(0.1)
        done = true
      end)
      local server <close> = assert(app:start { port = 0, access_log = false })
      local ws = connected(server.url:gsub("^http", "ws") .. "/ws")
      ws:send("x")
      assert.equal("x", ws:receive(5))
      server:stop()
      local err = fails("closed", ws:receive(5))
      assert.equal(1001, err.code)
      assert.is_true(server:wait(5))
      assert.is_true(done)
    end)
  end)

  test("cancels handlers that do not end within the grace", function()
    run(function()
      local app = app_with(function() braid.sleep(60) end)
      local server <close> = assert(app:start { port = 0, access_log = false })
      local ws = connected(server.url:gsub("^http", "ws") .. "/ws")
      server:stop(0.1)
      assert.equal(1001, fails("closed", ws:receive(5)).code)
      assert.is_true(server:wait(5))
    end)
  end)
end)

describe("a broadcast", function()
  test("reaches every client whole and in order, also with several writers and slow readers", function()
    local members = {}
    local app = app_with(function(ws)
      members[ws] = true
      for message in ws:messages() do
        braid.scope(function(tasks)
          for each in pairs(members) do tasks:spawn(function() each:send(message) end) end
        end)
      end
      members[ws] = nil
    end)
    with_server(app, function(url)
      local CLIENTS, MESSAGES, SIZE = 5, 20, 200000
      local sockets = {}
      for i = 1, CLIENTS do sockets[i] = connected(url .. "/ws", { compress = false }) end
      braid.scope(function(tasks)
        for i, ws in ipairs(sockets) do
          tasks:spawn(function()
            for n = 1, MESSAGES do assert(ws:send(("%d %d "):format(i, n) .. ("x"):rep(SIZE))) end
          end)
          tasks:spawn(function()
            braid.sleep(0.05 * i) -- the first messages wait for a slow reader
            local last = {}
            for _ = 1, CLIENTS * MESSAGES do
              local text = assert(ws:receive(10))
              local from, n = text:match("^(%d+) (%d+) x+$")
              assert.equal((last[from] or 0) + 1, tonumber(n))
              last[from] = tonumber(n)
            end
          end)
        end
      end)
      for _, ws in ipairs(sockets) do ws:close() end
    end)()
  end, { deadline = 60 })
end)

describe("the test client", function()
  test("opens WebSockets", function()
    run(function()
      local app = app_with(echo, { protocols = { "chat" } })
      app:use(function(request, next)
        if request.query.no then return "no", 403 end
        return next(request)
      end)
      local client = app:test_client()
      local ws <close> = assert(client:websocket("/ws", { protocols = { "chat" } }))
      assert.equal("chat", ws.protocol)
      assert(ws:send("hello"))
      assert.same({ "hello", "text" }, { ws:receive(5) })
      assert.equal(403, fails("http", client:websocket("/ws?no=1")).status)
      assert.equal(404, fails("http", client:websocket("/nowhere")).status)
      misused("path", client.websocket, client, nil)
      misused("did you mean", client.websocket, client, "/ws", { protocol = {} })
    end)
  end)

  test("sees how a handler ends", function()
    run(function()
      local client = app_with(function(ws) ws:close(4001, "why") end):test_client()
      local err = fails("closed", assert(client:websocket("/ws")):receive(5))
      assert.same({ 4001, "why" }, { err.code, err.reason })
    end)
  end)
end)

describe("app:websocket refuses", function()
  test("what is no handler, no path and no option", function()
    local app = braid.web.app()
    misused("handler", app.websocket, app, "/ws")
    misused("handler", app.websocket, app, "/ws", {})
    misused("did you mean 'protocols'", app.websocket, app, "/ws", { protocol = {} }, echo)
    misused("max_message", app.websocket, app, "/ws", { max_message = -1 }, echo)
    misused("protocols", app.websocket, app, "/ws", { protocols = { "a b" } }, echo)
    misused("path", app.websocket, app, 5, echo)
    app:websocket("/after", echo, { protocols = { "a" } })
    misused("has a handler already", app.get, app, "/after", echo)
  end)
end)
