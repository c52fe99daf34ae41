-- SPDX-License-Identifier: MIT
-- HTTP/2 of the web server: real clients (curl, h2load), and bytes of our own for clients that are a burden.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

local pem = certificates.open()
teardown(certificates.close)

local function works(argv)
  local result = braid.process.run(argv, { stderr = "null" })
  return result and result.code == 0
end

-- A test function: fn(server, app) beside a server.
local function with_server(prepare, fn, options)
  return function()
    run(function()
      local app = braid.web.app()
      prepare(app)
      local started = { port = 0, access_log = false }
      for name, value in pairs(options or {}) do started[name] = value end
      local server <close> = assert(app:start(started))
      fn(server, app)
    end)
  end
end

-- Runs curl; gives what it prints: the body, and by `-w` more.
local function curl(server, path, ...)
  local secure = server.url:find "^https"
  local argv = { "curl", "-s", "--max-time", "20", secure and "--http2" or "--http2-prior-knowledge" }
  if secure then table.move({ "--cacert", pem "ca.pem" }, 1, 2, #argv + 1, argv) end
  for _, word in ipairs { ... } do argv[#argv + 1] = word end
  argv[#argv + 1] = server.url .. path
  return assert(braid.process.run(argv, { timeout = 30 })).stdout
end

local function routes(app)
  app:get("/", function() return "hello" end)
  app:get("/headers", function(request)
    local headers = {}
    for name, value in pairs(request.headers) do headers[name] = value end
    return { headers = headers, path = request.path, query = request.query, cookies = request.cookies }
  end)
  app:post("/echo", function(request) return request.body end)
  app:get("/large", function() return ("x"):rep(3000000) end)
  app:get("/stream", function()
    return braid.web.response { stream = function(write)
      for i = 1, 3 do
        write(("piece %d\n"):format(i))
        braid.sleep(0.01)
      end
    end }
  end)
  app:get("/broken", function()
    return braid.web.response { stream = function(write)
      write("begin")
      error("in the middle")
    end }
  end)
  app:post("/count", function(request)
    local size = 0
    for piece in request:chunks() do size = size + #piece end
    return { size = size }
  end, { stream_body = true, max_body = 1 << 30 })
  app:get("/none", function() return nil end)
  app:get("/cookies", function()
    return braid.web.response { headers = { ["Set-Cookie"] = { "a=1", "b=2" }, ["X-Mixed-Case"] = "yes" }, body = "c" }
  end)
  app:static("/files", "docs")
  app:websocket("/ws", function() end)
end

for _, kind in ipairs { "without TLS", "by ALPN" } do
  local options = { tls = kind == "by ALPN" and { cert = pem "server.pem", key = pem "server.key" } or nil }
  describe("HTTP/2 " .. kind, function()
    local function curl_test(name, fn)
      test(name, function()
        if not works { "curl", "--version" } then return pending "curl is not here" end
        with_server(routes, fn, options)()
      end, { deadline = 40 })
    end

    curl_test("has the same handlers", function(server)
      assert.equal("hello 200 2", curl(server, "/", "-w", " %{http_code} %{http_version}"))
      assert.equal("piece 1\npiece 2\npiece 3\n", curl(server, "/stream"))
      assert.equal("some text", curl(server, "/echo", "-d", "some text"))
      assert.equal(3000000, #curl(server, "/large"))
      assert.equal("204", curl(server, "/none", "-w", "%{http_code}"))
      assert.equal("404", curl(server, "/nowhere", "-o", "/dev/null", "-w", "%{http_code}"))
      assert.equal("405", curl(server, "/echo", "-o", "/dev/null", "-w", "%{http_code}"))
      assert.equal("426", curl(server, "/ws", "-o", "/dev/null", "-w", "%{http_code}"))
      local file <close> = io.open("docs/websocket.md")
      assert.equal(file:read("a"), curl(server, "/files/websocket.md"))
    end)

    curl_test("answers HEAD without a body", function(server)
      local head = curl(server, "/large", "-I")
      expect.contains(head, "HTTP/2 200")
      expect.contains(head, "content-length: 3000000")
    end)

    curl_test("gives requests their fields, path and query", function(server)
      local seen = braid.json.decode(curl(server, "/%68eaders?a=b%20c", "-H", "X-One: 1", "-H", "Cookie: a=1; b=2"))
      assert.equal("/headers", seen.path)
      assert.same({ a = "b c" }, seen.query)
      assert.same({ a = "1", b = "2" }, seen.cookies)
      assert.equal("1", seen.headers["x-one"])
      assert.equal(server.url:match("//(.*)"), seen.headers.host)
    end)

    curl_test("sends fields of answers, also repeated ones", function(server)
      local head = curl(server, "/cookies", "-i")
      expect.contains(head, "set-cookie: a=1")
      expect.contains(head, "set-cookie: b=2")
      expect.contains(head, "x-mixed-case: yes")
      expect.contains(head, "content-length: 1")
    end)

    curl_test("refuses bodies that are too large, in the application's form", function(server)
      local path = os.tmpname()
      do
        local file <close> = io.open(path, "wb")
        file:write(("x"):rep(3000000))
      end
      assert.equal('{"error":"Content Too Large"} 413',
        curl(server, "/echo", "--data-binary", "@" .. path, "-w", " %{http_code}"))
      assert.equal('{"size":3000000}', curl(server, "/count", "--data-binary", "@" .. path))
      os.remove(path)
    end)

    curl_test("resets a stream that fails in its middle", function(server)
      local text = expect.stderr_of(function()
        assert.matches(" 92$", curl(server, "/broken", "-w", " %{exitcode}"))
      end)
      expect.contains(text, "in the middle")
    end)

    test("serves many streams of many connections", function()
      if not works { "h2load", "--version" } then return pending "h2load is not here" end
      with_server(routes, function(server)
        local said = braid.process.run({ "h2load", "-n", "3000", "-c", "8", "-m", "16", server.url .. "/" }).stdout
        expect.contains(said, "3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored")
        said = braid.process.run({ "h2load", "-n", "60", "-c", "2", "-m", "8", server.url .. "/large" }).stdout
        expect.contains(said, "60 succeeded, 0 failed, 0 errored")
      end, options)()
    end, { deadline = 40 })
  end)
end

describe("the option http2 = false", function()
  test("refuses the preface, and leaves ALPN to HTTP/1.1", function()
    if not works { "curl", "--version" } then return pending "curl is not here" end
    with_server(routes, function(server)
      local stream <close> = assert(braid.net.connect("127.0.0.1", server.port))
      stream:write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
      assert.matches("^HTTP/1.1 505 ", stream:read("l", 5))
    end, { http2 = false })()
    with_server(routes, function(server)
      assert.equal("1.1", curl(server, "/", "-o", "/dev/null", "-w", "%{http_version}"))
    end, { http2 = false, tls = { cert = pem "server.pem", key = pem "server.key" } })()
  end, { deadline = 20 })
end)

-- ---- our own bytes --------------------------------------------------------------------------------------------------

local DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
local END_STREAM, END_HEADERS, ACK = 1, 4, 1
local PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

local function frame(kind, flags, id, payload)
  payload = payload or ""
  return (">I3BBI4"):pack(#payload, kind, flags, id) .. payload
end

local function counted(text)
  if #text < 127 then return string.char(#text) .. text end
  local rest, out = #text - 127, "\127"
  while rest >= 128 do
    out, rest = out .. string.char(rest % 128 + 128), rest // 128
  end
  return out .. string.char(rest) .. text
end

-- A list of names and values, alternately.
local function block(list)
  local out = {}
  for i = 1, #list, 2 do out[#out + 1] = "\0" .. counted(list[i]) .. counted(list[i + 1]) end
  return table.concat(out)
end

local function request(path, more, method)
  local own = { ":method", method or "GET", ":scheme", "http", ":path", path, ":authority", "h" }
  return block(own) .. block(more or {})
end

local function connect(server, settings)
  local stream = assert(braid.net.connect("127.0.0.1", server.port))
  assert(stream:write(PREFACE .. frame(SETTINGS, 0, 0, settings)))
  return stream
end

-- Reads frames until want(kind, id, payload, flags) gives something, which it returns; nil at the end.
local function read_until(stream, want)
  while true do
    local head = stream:read(9, 5)
    if not head or #head < 9 then return nil end
    local size, kind, flags, id = (">I3BBI4"):unpack(head)
    local payload = size > 0 and stream:read(size, 5) or ""
    if kind == SETTINGS and flags & ACK == 0 then stream:write(frame(SETTINGS, ACK, 0)) end
    local result = want(kind, id, payload, flags)
    if result then return result end
  end
end

local function goaway_code(stream)
  return read_until(stream, function(kind, _, payload) return kind == GOAWAY and (">I4"):unpack(payload, 5) end)
end

local function reset_code(stream)
  return read_until(stream, function(kind, _, payload) return kind == RESET and (">I4"):unpack(payload) end)
end

-- The body of an answer.
local function body_of(stream, wanted)
  local pieces = {}
  return read_until(stream, function(kind, id, payload, flags)
    if kind == DATA and id == wanted then pieces[#pieces + 1] = payload end
    return (kind == DATA or kind == HEADERS) and id == wanted and flags & END_STREAM ~= 0 and table.concat(pieces)
  end)
end

describe("a client of HTTP/2", function()
  test("may send its request in pieces", with_server(routes, function(server)
    local bytes = PREFACE .. frame(SETTINGS, 0, 0) .. frame(HEADERS, END_STREAM, 1, request("/")) ..
      frame(CONTINUATION, END_HEADERS, 1, block { "x-more", "1" })
    local stream <close> = assert(braid.net.connect("127.0.0.1", server.port))
    for i = 1, #bytes do
      stream:write(bytes:sub(i, i))
      if i % 16 == 0 then braid.sleep(0) end
    end
    assert.equal("hello", body_of(stream, 1))
  end))

  local refused = {
    ["a head that is too large"] = { request("/", { "x-large", ("x"):rep(9000) }), 431 },
    ["a Host beside another :authority"] = { request("/", { "host", "other" }), 400 },
    ["an :authority that is none"] = {
      block { ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a@b" }, 400 },
    ["an escape that is none"] = { request("/%zz"), 400 },
    ["a method that is unknown"] = { request("/", nil, "BREW"), 405 },
  }
  for what, case in pairs(refused) do
    test("is refused for " .. what, with_server(routes, function(server)
      local stream <close> = connect(server)
      stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, case[1]))
      local body = body_of(stream, 1)
      assert.is_truthy(body, what)
      expect.contains(body, '"error"')
      stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 3, request("/")))
      assert.equal("hello", body_of(stream, 3))
    end))
  end

  local reset = {
    ["a name in upper case"] = { request("/", { "X-Upper", "1" }), 1 },
    ["a field of the connection"] = { request("/", { "connection", "close" }), 1 },
    ["transfer-encoding"] = { request("/", { "transfer-encoding", "chunked" }), 1 },
    ["a line end in a value"] = { request("/", { "x", "a\r\nb: c" }), 1 },
    ["two paths"] = { block { ":path", "/x" } .. request("/"), 1 },
    ["no path"] = { block { ":method", "GET", ":scheme", "http", ":authority", "h" }, 1 },
    ["a pseudo-field behind others"] = { request("/", { "x", "1", ":path", "/" }), 1 },
    ["a length that is no number"] = { request("/", { "content-length", "x" }), 1 },
    ["a length without a body"] = { request("/echo", { "content-length", "5" }, "POST"), 1 },
  }
  for what, case in pairs(reset) do
    test("has its stream reset for " .. what, with_server(routes, function(server)
      local stream <close> = connect(server)
      stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, case[1]))
      assert.equal(case[2], reset_code(stream))
      stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 3, request("/")))
      assert.equal("hello", body_of(stream, 3))
    end))
  end

  test("has its stream reset for a body that is longer than announced", with_server(routes, function(server)
    local stream <close> = connect(server)
    stream:write(frame(HEADERS, END_HEADERS, 1, request("/echo", { "content-length", "2" }, "POST"))
      .. frame(DATA, END_STREAM, 1, "abc"))
    assert.equal(1, reset_code(stream))
  end))

  local ended = {
    ["a body on an unused stream"] = frame(DATA, END_STREAM, 1, "x"),
    ["a frame that is too large"] = (">I3BBI4"):pack(1 << 20, DATA, 0, 1),
    ["a stream with an even number"] = frame(HEADERS, END_HEADERS | END_STREAM, 2, request("/")),
    ["settings of a wrong size"] = frame(SETTINGS, 0, 0, "xxx"),
    ["too many settings"] = frame(SETTINGS, 0, 0, ("\0\3\0\0\0\100"):rep(100)),
    ["fields that cannot be decoded"] = frame(HEADERS, END_HEADERS | END_STREAM, 1, "\255\255\255\255\255\255\255\255"),
    ["a continuation of nothing"] = frame(CONTINUATION, END_HEADERS, 1, ""),
    ["another frame inside a head"] = frame(HEADERS, END_STREAM, 1, request("/")) .. frame(PING, 0, 0, "12345678"),
    ["a head in very many pieces"] = frame(HEADERS, END_STREAM, 1, request("/"))
      .. frame(CONTINUATION, 0, 1, block { "x", "y" }):rep(5000),
    ["a head in very many empty pieces"] = frame(HEADERS, END_STREAM, 1, request("/"))
      .. frame(CONTINUATION, 0, 1, ""):rep(5000),
  }
  for what, bytes in pairs(ended) do
    test("is told to go for " .. what, with_server(routes, function(server)
      local stream <close> = connect(server)
      stream:write(bytes)
      local code = goaway_code(stream)
      assert.is_true(code == nil or code > 0, tostring(code))
      local other <close> = connect(server)
      other:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/")))
      assert.equal("hello", body_of(other, 1))
    end))
  end

  test("is told to go when it resets its streams again and again", with_server(function(app)
    app:get("/slow", function() braid.sleep(60) end)
    routes(app)
  end, function(server)
    local stream <close> = connect(server)
    local head = request("/slow")
    for i = 1, 2000 do
      local id = 2 * i - 1
      local both = frame(HEADERS, END_HEADERS | END_STREAM, id, head) .. frame(RESET, 0, id, "\0\0\0\8")
      if not stream:write(both) then break end
    end
    local code = goaway_code(stream)
    assert.is_true(code == nil or code > 0, tostring(code))
    expect.eventually(function() return server:stats().requests == 0 end)
  end), { deadline = 20 })

  test("is told to go when it pings and never reads", with_server(routes, function(server)
    local stream <close> = connect(server)
    local ping, ok = frame(PING, 0, 0, "12345678"):rep(1000), true
    for _ = 1, 2000 do
      ok = stream:write(ping, 2)
      if not ok then break end
    end
    assert.is_nil(ok)
  end), { deadline = 20 })

  test("that leaves has its handlers cancelled", with_server(function(app)
    app:get("/slow", function()
      local _ <close> = setmetatable({}, { __close = function(_, err) app.ended = err end })
      app.began = true
      braid.sleep(60)
    end)
  end, function(server, app)
    for _, leave in ipairs {
      function(stream) stream:close() end,
      function(stream) stream:write(frame(RESET, 0, 1, "\0\0\0\8")) end,
    } do
      app.began, app.ended = nil, nil
      local stream <close> = connect(server)
      stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/slow")))
      expect.eventually(function() return app.began end)
      leave(stream)
      expect.eventually(function() return braid.is_error(app.ended, "cancelled") end)
    end
  end))

  test("that takes nothing makes its handler wait, and no other one", with_server(function(app)
    app.written = 0
    app:get("/endless", function()
      return braid.web.response { stream = function(write)
        while true do
          write(("x"):rep(10000))
          app.written = app.written + 10000
        end
      end }
    end)
    routes(app)
  end, function(server, app)
    local stream <close> = connect(server, "\0\4\0\0\0\0") -- a window of nothing
    stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/endless")))
    expect.eventually(function() return app.written > 0 end)
    braid.sleep(0.1)
    assert.is_true(app.written < 1000000)
    stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 3, request("/none")))
    assert.equal("", body_of(stream, 3))
    stream:close()
    expect.eventually(function() return server:stats().requests == 0 end)
  end))

  test("cannot send faster than its handler reads", with_server(function(app)
    app:post("/slow", function(slow)
      app.go:wait()
      local size = 0
      for piece in slow:chunks() do size = size + #piece end
      return tostring(size)
    end, { stream_body = true, max_body = 1 << 30 })
    app.go = braid.event()
  end, function(server, app)
    if not works { "curl", "--version" } then return pending "curl is not here" end
    local path = os.tmpname()
    do
      local file <close> = io.open(path, "wb")
      file:write(("x"):rep(20000000))
    end
    braid.scope(function(tasks)
      local said = tasks:spawn(curl, server, "/slow", "--data-binary", "@" .. path)
      braid.sleep(0.3)
      assert.is_false(said:done())
      app.go:set()
      assert.equal("20000000", said:result())
    end)
    os.remove(path)
  end), { deadline = 40 })
end)

describe("a connection of HTTP/2 too many", function()
  test("is refused, and told to go", with_server(routes, function(server)
    local first <close> = connect(server)
    local second <close> = connect(server)
    second:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/")))
    expect.contains(body_of(second, 1), "Service Unavailable")
    assert.is_nil(second:read("a", 5):find "hello")
    first:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/")))
    assert.equal("hello", body_of(first, 1))
  end, { max_connections = 1 }))
end)

describe("a server of HTTP/2 that stops", function()
  test("says so, and lets the requests end that have come", with_server(function(app)
    app:get("/slow", function()
      app.began = true
      braid.sleep(0.2)
      return "done"
    end)
  end, function(server, app)
    local stream <close> = connect(server)
    stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/slow")))
    expect.eventually(function() return app.began end)
    server:stop()
    local seen = {}
    read_until(stream, function(kind, id, payload, flags)
      if kind == PING and flags & ACK == 0 then stream:write(frame(PING, ACK, 0, payload)) end
      if kind == GOAWAY then seen[#seen + 1] = (">I4"):unpack(payload) & 0x7fffffff end
      if kind == DATA and id == 1 then seen[#seen + 1] = payload end
    end)
    assert.same({ 0x7fffffff, 1, "done" }, { seen[1], seen[2], seen[3] })
    assert.is_true(server:wait(5))
  end))

  test("ends an idle connection", with_server(routes, function(server)
    local stream <close> = connect(server)
    stream:write(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("/")))
    assert.equal("hello", body_of(stream, 1))
    server:stop()
    assert.equal(0, goaway_code(stream))
    assert.is_true(server:wait(5))
  end))

  test("closes one that has been idle for too long", with_server(routes, function(server)
    local stream <close> = connect(server)
    assert.equal(0, goaway_code(stream))
    assert.is_nil(stream:read_some(1, 5))
  end, { idle_timeout = 0.2 }))
end)
