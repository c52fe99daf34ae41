-- SPDX-License-Identifier: MIT
-- WebSockets: the client beside real servers, our side of a server beside real clients, and what goes wrong.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local peers = require "spec.websocket_peers"
local braid = require "braid"
local net, websocket = braid.net, braid.websocket
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

local TEXT, MORE, CLOSE, PING, PONG = 1, 0, 8, 9, 10

-- A short frame of a server.
local function frame(opcode, payload, last)
  return ("BB"):pack((last == false and 0 or 0x80) | opcode, #payload) .. payload
end

-- Reads a frame of a client; gives its opcode and its payload. A long one keeps its mask.
local function read_frame(stream)
  local head = stream:read(2)
  if not head or #head < 2 then return nil end
  local size = head:byte(2) & 0x7f
  if size == 126 then size = (">I2"):unpack(stream:read(2)) end
  if size == 127 then size = (">I8"):unpack(stream:read(8)) end
  local mask, body = stream:read(4), stream:read(size)
  local out = {}
  if size > 1000 then return head:byte(1) & 15, body end
  for i = 1, #body do out[i] = string.char(body:byte(i) ~ mask:byte((i - 1) % 4 + 1)) end
  return head:byte(1) & 15, table.concat(out)
end

-- A server that answers the handshake by itself and then does what serve(stream, head) says.
local function raw(serve, fn, more)
  peers.with_server(function(stream)
    local head = assert(stream:read_until("\r\n\r\n"))
    local key = head:match("Sec%-WebSocket%-Key: (%S+)")
    local accept = require("braid.websocket.handshake").accept(key)
    assert(stream:write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "Sec-WebSocket-Accept: " .. accept .. "\r\n" .. (more or "") .. "\r\n"))
    serve(stream, head)
  end, fn)
end

-- A server that answers with these bytes.
local function answering(bytes, fn)
  peers.with_server(function(stream)
    local head = assert(stream:read_until("\r\n\r\n"))
    local key = head:match("Sec%-WebSocket%-Key: (%S+)")
    stream:write((bytes:gsub("ACCEPT", (require("braid.websocket.handshake").accept(key):gsub("%%", "%%%%")))))
    stream:read("a", 5)
  end, fn)
end

-- A test with our own server: serve(ws, head) there, fn(url) here.
local function with_echo(fn, opts, serve)
  return function()
    run(function()
      peers.with_server(function(stream)
        local ws <close>, head = peers.accept(stream, opts)
        if not ws then return end
        if serve then return serve(ws, head) end
        for data, kind in function() return ws:receive() end do
          if kind == "text" then ws:send(data) else ws:send_binary(data) end
        end
      end, fn)
    end)
  end
end

local pem = certificates.open()
teardown(certificates.close)

local function connected(url, opts) return assert(websocket.connect(url, opts)) end

-- ---- real peers -----------------------------------------------------------------------------------------------------

local function for_python(name, mode, fn)
  test(name .. " (" .. mode .. ")", function()
    if not peers.python() then return pending "Python's websockets is not here" end
    run(function()
      local _ <close>, url = peers.python_server(mode)
      fn(url)
    end)
  end, { deadline = 30 })
end

for _, mode in ipairs { "plain", "deflate" } do
  describe("beside Python's websockets a client", function()
    for_python("exchanges messages of all sizes", mode, function(url)
      local ws <close> = connected(url .. "/echo")
      assert.equal(mode == "deflate", ws.headers["sec-websocket-extensions"] ~= nil)
      for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 400000 } do
        local text = ("é"):rep(size // 2)
        assert(ws:send(text))
        assert.same({ text, "text" }, { ws:receive(5) })
        assert(ws:send_binary(("\255"):rep(size)))
        assert.same({ ("\255"):rep(size), "binary" }, { ws:receive(5) })
      end
    end)

    for_python("agrees on a protocol, and sends its headers", mode, function(url)
      local ws <close> = connected(url:gsub("//", "//me:p%%40ss@") .. "/headers?a=b",
        { protocols = { "strange", "news" }, headers = { ["X-Many"] = { "1", "2" }, Origin = "http://here" } })
      assert.equal("news", ws.protocol)
      ws:close()
      local other <close> = connected(url:gsub("//", "//me:p%%40ss@") .. "/headers",
        { headers = { ["X-One"] = 1, Origin = "http://here" } })
      assert.is_nil(other.protocol)
      local seen = braid.json.decode((assert(other:receive(5))))
      assert.equal("1", seen["x-one"])
      assert.equal("http://here", seen.origin)
      assert.equal("Basic bWU6cEBzcw==", seen.authorization)
      assert.matches("^127%.0%.0%.1:%d+$", seen.host)
    end)

    for_python("reads fragments", mode, function(url)
      local got = {}
      for data, kind in connected(url .. "/fragments"):messages() do got[#got + 1] = { data, kind } end
      assert.same({ { "one two thrée", "text" }, { ("a"):rep(70000) .. "b", "binary" } }, got)
    end)

    for_python("answers pings, and pings", mode, function(url)
      local ws <close> = connected(url .. "/ping")
      assert.equal("answered", ws:receive(5))
      local echo <close> = connected(url .. "/echo")
      assert(echo:send("before"))
      local seconds = assert(echo:ping("p", 5))
      assert.is_true(seconds > 0 and seconds < 5)
      assert.equal("before", echo:receive(5))
    end)

    for_python("is told why the server closes", mode, function(url)
      for _, code in ipairs { 1000, 1001, 1008, 1011, 3000, 4999 } do
        local ws = connected(url .. "/close/" .. code)
        local err = fails("closed", ws:receive(5))
        assert.same({ code, "said so" }, { err.code, err.reason })
        assert.equal(code, fails("closed", ws:send("late")).code)
        assert.equal(code, fails("closed", ws:ping()).code)
        assert.is_true(ws:close())
      end
    end)

    for_python("ends its loop after a normal close, and raises any other", mode, function(url)
      for _, code in ipairs { 1000, 1001 } do
        for _ in connected(url .. "/close/" .. code):messages() do error("a message") end
      end
      local ws = connected(url .. "/close/1008")
      assert.equal(1008, expect.raises("closed", ws:messages()).code)
    end)

    for_python("notices that the server is gone", mode, function(url)
      for _, path in ipairs { "/drop", "/drop_half" } do
        local ws = connected(url .. path)
        local err = fails("closed", ws:receive(5))
        assert.equal(1006, err.code)
        assert.equal(1006, fails("closed", ws:close()).code)
        assert.equal(1006, fails("closed", ws:receive(5)).code)
      end
    end)

    for_python("is refused", mode, function(url)
      local err = fails("http", websocket.connect(url .. "/refused"))
      assert.equal(403, err.status)
      assert.equal("no", err.headers["X-Why"])
    end)

    for_python("sends large messages of many tasks whole, in their order", mode, function(url)
      local ws <close> = connected(url .. "/slow")
      braid.scope(function(tasks)
        for i = 1, 3 do tasks:spawn(function() assert(ws:send(("x"):rep(3000000 + i))) end) end
      end)
      assert.equal("[3000001, 3000002, 3000003]", ws:receive(10))
    end)

    for_python("closes with a code and a reason", mode, function(url)
      local ws = connected(url .. "/wait")
      assert.is_true(ws:close(4000, "höchste Zeit"))
      assert.equal(4000, fails("closed", ws:receive()).code)
    end)
  end)
end

describe("beside Node's ws", function()
  for _, mode in ipairs { "plain", "deflate", "alone", "narrow" } do
    local function for_node(name, fn)
      test(name .. " (" .. mode .. ")", function()
        if not peers.node_module() then return pending "Node's ws is not here" end
        fn()
      end, { deadline = 30 })
    end

    for_node("a client exchanges messages of all sizes", function()
      run(function()
        local child <close>, url = peers.node_server(mode)
        local ws = connected(url)
        for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 400000 } do
          for round = 1, 2 do
            local text = ("é%d"):format(round):rep(size // 3)
            assert(ws:send(text))
            assert.same({ text, "text" }, { ws:receive(5) })
          end
        end
        assert.is_true(ws:close(4002, "done"))
        assert.equal("closed 4002 done", child.stdout:read("l", 5))
      end)
    end)

    for_node("a server exchanges messages of all sizes", with_echo(function(url)
      assert.equal("well 1000 chat\n", peers.node_client(url .. "/", mode))
    end, { protocols = { "chat" } }))
  end
end)

describe("with TLS a client", function()
  test("exchanges messages with Python's websockets", function()
    if not peers.python() then return pending "Python's websockets is not here" end
    run(function()
      local _ <close>, url = peers.python_server("deflate", pem "server.pem", pem "server.key")
      local ws <close> = connected(url .. "/echo", { tls = { ca_file = pem "ca.pem" } })
      for _, size in ipairs { 0, 1, 65536, 400000 } do
        local text = ("é"):rep(size // 2)
        assert(ws:send(text))
        assert.same({ text, "text" }, { ws:receive(5) })
      end
      assert.is_number((ws:ping(nil, 5)))
      assert.is_true(ws:close())
      local closing = connected(url .. "/close/1008", { tls = { ca_file = pem "ca.pem" } })
      assert.equal(1008, fails("closed", closing:receive(5)).code)
      fails("tls", websocket.connect(url .. "/echo"))
    end)
  end, { deadline = 30 })

  test("exchanges messages with our server, also while it closes", function()
    run(function()
      peers.with_server(function(stream)
        local ws <close> = peers.accept(stream)
        for data in function() return ws:receive() end do ws:send(data) end
      end, function(url)
        local ws = connected(url, { tls = { verify = false }, ping_interval = 0.05 })
        braid.scope(function(tasks)
          tasks:spawn(function()
            for i = 1, 200 do ws:send(("x"):rep(i * 100)) end
          end)
          for i = 1, 200 do assert.equal(i * 100, #ws:receive(5)) end
        end)
        braid.sleep(0.12)
        assert.is_true(ws:close(4000))
      end, { cert = pem "server.pem", key = pem "server.key" })
    end)
  end)
end)

describe("through a proxy a client", function()
  -- Connects whoever asks by CONNECT.
  local function relay(stream)
    local host, port = stream:read_until("\r\n\r\n"):match("^CONNECT ([^:]+):(%d+) ")
    local onward <close> = assert(net.connect(host, math.tointeger(port)))
    stream:write("HTTP/1.1 200 OK\r\n\r\n")
    braid.scope(function(tasks)
      local function copy(from, to)
        for piece in function() return from:read_some() end do to:write(piece) end
        tasks:cancel()
      end
      tasks:spawn(copy, stream, onward)
      copy(onward, stream)
    end)
  end

  test("exchanges messages", with_echo(function(url)
    peers.with_server(relay, function(proxy)
      local ws <close> = connected(url, { proxy = proxy:gsub("^ws", "http") })
      assert(ws:send("hello"))
      assert.equal("hello", ws:receive(5))
    end)
    local err = select(2, websocket.connect(url, { proxy = "http://127.0.0.1:1" }))
    assert.equal("system", err.kind)
  end))
end)

describe("beside Python's websockets a server", function()
  for _, mode in ipairs { "plain", "deflate" } do
    test("exchanges messages of all sizes (" .. mode .. ")", function()
      if not peers.python() then return pending "Python's websockets is not here" end
      with_echo(function(url) assert.equal("well 4001\n", peers.python_client(url .. "/", mode)) end,
        { protocols = { "news" } })()
    end, { deadline = 30 })
  end
end)

-- ---- the handshake --------------------------------------------------------------------------------------------------

describe("a handshake fails", function()
  local GOOD = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n"
  local DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
  local cases = {
    ["without the accept"] = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ["with a wrong accept"] = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ["without the upgrade"] = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n",
    ["with another upgrade"] = GOOD:gsub("websocket", "h2c", 1) .. "\r\n",
    ["without the connection's word"] = GOOD:gsub("Connection: Upgrade", "Connection: close") .. "\r\n",
    ["with a protocol that was not offered"] = GOOD .. "Sec-WebSocket-Protocol: chat\r\n\r\n",
    ["with an extension that was not offered"] = GOOD .. "Sec-WebSocket-Extensions: x-zip\r\n\r\n",
    ["with two extensions"] = GOOD .. DEFLATE .. ", permessage-deflate\r\n\r\n",
    ["with an unknown parameter"] = GOOD .. DEFLATE .. "; level=9\r\n\r\n",
    ["with a window of 16 bits"] = GOOD .. DEFLATE .. "; server_max_window_bits=16\r\n\r\n",
    ["with a window without a number"] = GOOD .. DEFLATE .. "; client_max_window_bits\r\n\r\n",
    ["cut short behind a header"] = GOOD .. "X-More: y\r\n",
    ["with a status of four digits"] = GOOD:gsub("101", "1010") .. "\r\n",
    ["in HTTP/1.0"] = GOOD:gsub("1%.1", "1.0", 1) .. "\r\n",
    ["with a broken header"] = GOOD .. "what is this\r\n\r\n",
  }
  for what, bytes in pairs(cases) do
    test(what, function()
      run(function()
        answering(bytes, function(url) fails("http", websocket.connect(url)) end)
      end)
    end)
  end

  for _, status in ipairs { 200, 301, 400, 401, 404, 426, 500, 503 } do
    test("with the status " .. status, function()
      run(function()
        local answer = ("HTTP/1.1 %d Some Reason\r\nX-Why: because\r\nContent-Length: 0\r\n\r\n"):format(status)
        answering(answer, function(url)
          local err = fails("http", websocket.connect(url .. "/secret?token=hidden"))
          assert.equal(status, err.status)
          assert.equal("because", err.headers["x-why"])
          expect.contains(err.message, "Some Reason")
          assert.is_nil(err.message:find("hidden", 1, true))
        end)
      end)
    end)
  end

  test("with the status of a server of HTTP/1.0", function()
    run(function()
      answering("HTTP/1.0 403 Forbidden\r\n\r\n", function(url)
        assert.equal(403, fails("http", websocket.connect(url)).status)
      end)
    end)
  end)

  test("where an extension was not wanted", function()
    run(function()
      answering(GOOD .. "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", function(url)
        fails("http", websocket.connect(url, { compress = false }))
        connected(url):close(nil, nil, 0)
      end)
    end)
  end)

  test("where the server is silent, or is not there, or is no HTTP", function()
    run(function()
      peers.with_server(function(stream) stream:read("a") end, function(url)
        fails("timeout", websocket.connect(url, { timeout = 0.05 }))
      end)
      peers.with_server(function() end, function(url)
        local _, err = websocket.connect(url)
        assert.is_true(braid.is_error(err, "closed"), tostring(err))
      end)
      answering("SSH-2.0-x\r\n\r\n", function(url) assert.is_nil(fails("http", websocket.connect(url)).status) end)
      answering(("HTTP/1.1 101 X\r\n" .. ("X: y\r\n"):rep(20000)), function(url)
        fails("limit", websocket.connect(url))
      end)
      fails("system", websocket.connect("ws://127.0.0.1:1/"))
    end)
  end)

  test("for a request that is none, with a status", with_echo(function(url)
    local port = math.tointeger(url:match("%d+$"))
    local function status_of(lines)
      local stream <close> = assert(braid.net.connect("127.0.0.1", port))
      stream:write(lines .. "\r\n\r\n")
      return (stream:read("l", 5) or ""):match("%d%d%d")
    end
    local good = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
      .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert.equal("101", status_of(good))
    assert.equal("405", status_of((good:gsub("GET", "POST"))))
    assert.equal("426", status_of((good:gsub("Upgrade: websocket", "Upgrade: h2c"))))
    assert.equal("426", status_of((good:gsub("keep%-alive, Upgrade", "close"))))
    assert.equal("426", status_of((good:gsub("Version: 13", "Version: 8"))))
    assert.equal("400", status_of((good:gsub("dGhlIHNh", ""))))
    assert.equal("400", status_of((good:gsub("\r\nSec%-WebSocket%-Key.*", ""))))
  end))
end)

describe("connect refuses", function()
  test("URLs that are none, at the caller's line", function()
    for _, url in ipairs {
      "", "http://x/", "ws:/x", "ws://", "ws://h:0/", "ws://h:99999/", "ws://a b/", "ws://h/#x", "wss://", "ws://[::1/",
      "ws://h/\n", "ws://ü/",
    } do
      misused("url", websocket.connect, url)
    end
    misused("url", websocket.connect, nil)
    misused("url", websocket.connect, {})
  end)

  test("options that are wrong", function()
    misused("did you mean 'protocols'", websocket.connect, "ws://h/", { protocol = { "x" } })
    misused("max_message", websocket.connect, "ws://h/", { max_message = -1 })
    misused("ping_interval", websocket.connect, "ws://h/", { ping_interval = 0 })
    misused("idle_timeout", websocket.connect, "ws://h/", { idle_timeout = "x" })
    misused("timeout", websocket.connect, "ws://h/", { timeout = -1 })
    misused("protocols", websocket.connect, "ws://h/", { protocols = { "a b" } })
    misused("protocols", websocket.connect, "ws://h/", { protocols = { "a", "a" } })
    misused("tls", websocket.connect, "ws://h/", { tls = true })
    misused("tls", websocket.connect, "wss://h/", { tls = false })
  end)

  test("headers that would be others", with_echo(function(url)
    misused("Upgrade", websocket.connect, url, { headers = { Upgrade = "x" } })
    misused("protocols", websocket.connect, url, { headers = { ["Sec-WebSocket-Protocol"] = "x" } })
    misused("control", websocket.connect, url, { headers = { X = "a\r\nY: b" } })
    misused("name", websocket.connect, url, { headers = { ["X:"] = "a" } })
    misused("name", websocket.connect, url, { headers = { "a" } })
    misused("boolean", websocket.connect, url, { headers = { X = true } })
  end))
end)

-- ---- what is hostile ------------------------------------------------------------------------------------------------

describe("a server that breaks the protocol", function()
  local cases = {
    { "masks", "\x81\x81abcdx", 1002 }, { "sends an unknown frame", frame(3, "x"), 1002 },
    { "sends a text that is none", frame(TEXT, "\xff"), 1007 }, { "continues nothing", frame(MORE, "x"), 1002 },
    { "sends too much", "\x82\x7f\0\0\0\0\x10\0\0\0", 1009 },
    { "says that it sends nearly everything", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009 },
    { "sends a compressed message", "\xc1\1x", 1002 }, { "sends half a code", frame(CLOSE, "x"), 1002 },
  }
  for _, case in ipairs(cases) do
    test(case[1] .. " is told so, and closed", function()
      run(function()
        local heard
        raw(function(stream)
          stream:write(case[2] .. ("more"):rep(10000))
          local opcode, body = read_frame(stream)
          heard = { opcode, body and #body >= 2 and (">I2"):unpack(body) }
          assert.is_nil(stream:read_some(1, 5))
        end, function(url)
          local ws = connected(url, { compress = false })
          assert.equal(case[3], fails("closed", ws:receive(5)).code)
          assert.equal(case[3], fails("closed", ws:send("x")).code)
          ws:close()
          expect.eventually(function() return heard end)
          assert.same({ CLOSE, case[3] }, heard)
        end)
      end)
    end)
  end

  test("with an error in the middle of messages: those before it count", function()
    run(function()
      raw(function(stream)
        stream:write(frame(TEXT, "one") .. frame(TEXT, "two") .. frame(5, "") .. frame(TEXT, "three"))
        stream:read("a", 5)
      end, function(url)
        local ws = connected(url)
        assert.equal("one", ws:receive(5))
        assert.equal("two", ws:receive(5))
        assert.equal(1002, fails("closed", ws:receive(5)).code)
        assert.equal(1002, fails("closed", ws:receive(5)).code)
      end)
    end)
  end)

  test("by a bomb: what is inflated is bounded", with_echo(function(url)
    local ws = connected(url, { max_message = 10000 })
    assert(ws:send(("\0"):rep(10000)))
    assert.equal(10000, #ws:receive(5))
    assert(ws:send(("\0"):rep(10001)))
    assert.equal(1009, fails("closed", ws:receive(5)).code)
  end))

  test("on the other side is closed in the same way", with_echo(function(url)
    local ws = connected(url)
    assert(ws:send(("\0"):rep(5001)))
    assert.equal(1009, fails("closed", ws:receive(5)).code)
    local stream <close> = assert(braid.net.connect("127.0.0.1", math.tointeger(url:match("%d+$"))))
    stream:write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\1x")
    local head = stream:read_until("\r\n\r\n", nil, 5)
    expect.contains(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
    assert.matches("^\x88.\x03\xea", stream:read(4, 5))
  end, { max_message = 5000 }))
end)

-- ---- waiting, and what ends it --------------------------------------------------------------------------------------

describe("a websocket", function()
  test("has one reader", with_echo(function(url)
    local ws <close> = connected(url)
    braid.scope(function(tasks)
      tasks:spawn(function() assert.equal("last", ws:receive()) end)
      braid.checkpoint()
      misused("another task is receiving", ws.receive, ws)
      ws:send("last")
    end)
  end))

  test("may be received from again after a receive where nothing may wait", with_echo(function(url)
    local ws <close> = connected(url)
    misused("gsub", string.gsub, "x", "x", function() ws:receive() end)
    braid.scope(function(tasks)
      tasks:spawn(function() assert.is_number((ws:ping(nil, 5))) end)
      braid.checkpoint()
      ws:send("a")
      assert.equal("a", ws:receive(5))
    end)
  end))

  test("may be received from again after a timeout or a cancel, and loses nothing", with_echo(function(url)
    local ws <close> = connected(url)
    fails("timeout", ws:receive(0))
    fails("timeout", ws:receive(0.01))
    assert.is_false(braid.move_on_after(0.01, function() ws:receive() end))
    ws:send("a")
    assert.equal("a", ws:receive(5))
  end))

  test("pings while another task receives, and while none does", with_echo(function(url)
    local ws <close> = connected(url)
    braid.scope(function(tasks)
      local got = tasks:spawn(function() return ws:receive() end)
      braid.checkpoint()
      assert.is_number((ws:ping(nil, 5)))
      assert.is_number((ws:ping("same", 5)))
      ws:send("x")
      assert.equal("x", got:result())
    end)
    for i = 1, 40 do ws:send(tostring(i)) end
    assert.is_number((ws:ping("same", 5)))
    for i = 1, 40 do assert.equal(tostring(i), ws:receive(5)) end
  end))

  test("has several pings on their way", with_echo(function(url)
    local ws <close> = connected(url)
    local results = braid.gather {
      function() return ws:ping() end, function() return ws:ping("x") end, function() return ws:ping() end,
    }
    for i = 1, 3 do assert.is_number(results[i]) end
  end))

  test("whose ping is not answered", function()
    run(function()
      raw(function(stream) stream:read("a") end, function(url)
        local ws = connected(url)
        fails("timeout", ws:ping(nil, 0.02))
        fails("timeout", ws:close(nil, nil, 0.02))
        assert.equal(1006, fails("closed", ws:receive()).code)
      end)
    end)
  end)

  test("is closed with 1011 if its peer answers no ping", function()
    run(function()
      local heard
      raw(function(stream)
        repeat
          local opcode, body = read_frame(stream)
          if opcode == CLOSE then heard = (">I2"):unpack(body) end
        until not opcode or heard
      end, function(url)
        local ws = connected(url, { ping_interval = 0.03 })
        local err = fails("closed", ws:receive(5))
        assert.equal(1011, err.code)
        expect.eventually(function() return heard == 1011 end)
      end)
    end)
  end)

  test("stays open while its peer answers pings, whether a task receives or not", with_echo(function(url)
    local ws <close> = connected(url, { ping_interval = 0.02 })
    braid.sleep(0.15)
    fails("timeout", ws:receive(0.15))
    ws:send("still here")
    assert.equal("still here", ws:receive(5))
  end))

  test("is closed with 1001 if it is idle", with_echo(function(url)
    local ws = connected(url, { idle_timeout = 0.05 })
    for _ = 1, 4 do
      braid.sleep(0.03)
      ws:send("x")
      assert.equal("x", ws:receive(5))
    end
    assert.equal(1001, fails("closed", ws:receive(5)).code)
  end))

  test("has a peer that closes while nobody receives", with_echo(function(url)
    local ws = connected(url)
    fails("closed", (function()
      local ok, err
      expect.eventually(function()
        ok, err = ws:send("x")
        return not ok
      end)
      return ok, err
    end)())
    assert.equal(4009, fails("closed", ws:receive()).code)
  end, nil, function(ws) ws:close(4009) end))

  local function fails_inside(url)
    local _ <close> = connected(url)
    error("some failure")
  end
  local function times_out(url)
    braid.timeout(0.02, function()
      local _ <close> = connected(url)
      braid.sleep(5)
    end)
  end
  local function ends(url) local _ <close> = connected(url) end
  for code, fn in pairs { [1000] = ends, [1001] = times_out, [1011] = fails_inside } do
    test("is closed by the end of its block: " .. code, function()
      local seen
      with_echo(function(url)
        pcall(fn, url)
        expect.eventually(function() return seen == code end)
      end, nil, function(ws) seen = select(2, ws:receive()).code end)()
    end)
  end

  test("is closed while messages arrive that nobody wants", with_echo(function(url)
    local ws = connected(url)
    assert.equal("0", ws:receive(5))
    assert.is_true(ws:close())
  end, nil, function(ws)
    local i = 0
    while ws:send(tostring(i)) do i = i + 1 end
  end))

  test("ends the receive of another task when it is closed", with_echo(function(url)
    local ws = connected(url)
    braid.scope(function(tasks)
      local got = tasks:spawn(function()
        local _, err = ws:receive()
        return err.kind, err.code
      end)
      braid.checkpoint()
      assert.is_true(ws:close(4003))
      assert.same({ "closed", 4003 }, { got:result() })
    end)
  end))

  test("refuses what cannot be sent", with_echo(function(url)
    local ws <close> = connected(url)
    misused("UTF-8", ws.send, ws, "\xff")
    misused("string", ws.send, ws, 5)
    misused("string", ws.send_binary, ws, nil)
    misused("timeout", ws.send, ws, "x", -1)
    misused("125", ws.ping, ws, ("x"):rep(126))
    misused("code", ws.close, ws, 1005)
    misused("code", ws.close, ws, 1006)
    misused("code", ws.close, ws, 2000)
    misused("code", ws.close, ws, "1000")
    misused("reason", ws.close, ws, 1000, ("x"):rep(124))
    misused("reason", ws.close, ws, 1000, "\xff")
    misused("colon", ws.send, "x")
  end))
end)

describe("a slow peer", function()
  -- Reads nothing until `go` is set; then counts the messages.
  local function slow(fn)
    run(function()
      local go, sizes = braid.event(), {}
      raw(function(stream)
        go:wait()
        while true do
          local opcode, body = read_frame(stream)
          if not opcode then break end
          if opcode == CLOSE then stream:write(frame(CLOSE, body)) else sizes[#sizes + 1] = #body end
        end
      end, function(url) fn(connected(url, { compress = false }), go, sizes) end)
    end)
  end
  local LARGE = ("x"):rep(8000000)

  test("lets its writers wait, first come, first served", function()
    slow(function(ws, go, sizes)
      braid.scope(function(tasks)
        for i = 1, 5 do tasks:spawn(function() assert(ws:send(LARGE:sub(i))) end) end
        braid.sleep(0.02)
        assert.equal(0, #sizes)
        go:set()
      end)
      ws:close()
      expect.eventually(function() return #sizes == 5 end)
      for i = 1, 5 do assert.equal(#LARGE - i + 1, sizes[i]) end
    end)
  end, { deadline = 30 })

  test("makes a writer time out that waits for its turn, and nothing else", function()
    slow(function(ws, go, sizes)
      braid.scope(function(tasks)
        tasks:spawn(function() assert(ws:send(LARGE)) end)
        braid.checkpoint()
        fails("timeout", ws:send("late", 0.02))
        assert.is_false(braid.move_on_after(0.02, function() ws:send("cancelled") end))
        go:set()
      end)
      assert(ws:send("next"))
      ws:close()
      assert.same({ #LARGE, 4 }, sizes)
    end)
  end, { deadline = 30 })

  test("ends the sending where a message was cut off by a timeout or a cancel", function()
    for _, cut in ipairs {
      function(ws) fails("timeout", ws:send(LARGE, 0.05)) end,
      function(ws) assert.is_false(braid.move_on_after(0.05, function() ws:send(LARGE) end)) end,
    } do
      slow(function(ws, go, sizes)
        cut(ws)
        local err = fails("closed", ws:send("next"))
        assert.equal(1006, err.code)
        fails("closed", ws:ping())
        go:set()
        local began = braid.now()
        ws:close()
        assert.is_true(braid.now() - began < 3)
        assert.same({}, sizes)
      end)
    end
  end, { deadline = 30 })

  test("does not keep a reader from reading", function()
    run(function()
      local go = braid.event()
      raw(function(stream)
        for _ = 1, 100 do stream:write(frame(PING, "p") .. frame(TEXT, "x")) end
        go:wait()
        stream:read("a")
      end, function(url)
        local ws = connected(url, { compress = false })
        braid.scope(function(tasks)
          tasks:spawn(function() ws:send(LARGE) end)
          for _ = 1, 100 do assert.equal("x", ws:receive(5)) end
          go:set()
          tasks:cancel()
        end)
        ws:close(nil, nil, 0)
      end)
    end)
  end, { deadline = 30 })
end)

describe("answers to pings", function()
  test("are sent while nobody sends", function()
    run(function()
      local heard = {}
      raw(function(stream)
        stream:write(frame(PING, "one"))
        heard[1] = { read_frame(stream) }
        stream:write(frame(TEXT, "go"))
        stream:read("a", 5)
      end, function(url)
        local ws = connected(url)
        assert.equal("go", ws:receive(5))
        assert.same({ { PONG, "one" } }, heard)
        ws:close(nil, nil, 0)
      end)
    end)
  end)
end)

local talk = load [[
  local ws <close> = assert(require("braid").websocket.connect((...)))
  assert(ws:send("hello"))
  return (ws:receive(5))
]]

describe("a websocket elsewhere", function()
  for _, kind in ipairs { "thread_pool", "process_pool" } do
    test("works in a " .. kind, with_echo(function(url)
      local pool <close> = braid[kind] { workers = 1 }
      assert.equal("hello", pool:submit(talk, url):result())
    end), { deadline = 20 })
  end

  test("works in a plain script, which may end without a close", with_echo(function(url)
    local result = braid.process.run({ helper.lua, "-e", ([[
      local braid = require "braid"
      local ws = assert(braid.websocket.connect(%q, { ping_interval = 0.05, idle_timeout = 60 }))
      assert(ws:send("hello"))
      print(ws:receive(5))
      braid.sleep(0.2)
    ]]):format(url) }, { timeout = 10 })
    assert.same({ "hello\ttext\n", "", 0 }, { result.stdout, result.stderr, result.code })
  end), { deadline = 20 })

  test("that was forgotten is collected", with_echo(function(url)
    local weak = setmetatable({}, { __mode = "v" })
    weak[1] = connected(url, { ping_interval = 0.02 })
    braid.sleep(0.05)
    expect.eventually(function()
      collectgarbage()
      return not weak[1]
    end, "it is still there")
  end))
end)
