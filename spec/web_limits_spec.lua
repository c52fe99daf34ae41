-- SPDX-License-Identifier: MIT
-- What a server does not put up with: too much, too long, too slow, and what could be read in two ways.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local web_server = require "spec.web_server"
local web = braid.web
local test, run = helper.test, helper.run
local eventually = expect.eventually
local connect = web_server.connect

-- Clients that hang are not waited for at the end.
local function serving(prepare, fn, options)
  options = options or {}
  options.grace = options.grace or 0.1
  return web_server.serving(prepare, fn, options)
end

local function routes(app)
  app:get("/hello", function() return { hello = "world" } end)
  app:post("/echo", function(request) return request.body end)
end

-- What comes back until the server closes the connection.
local function exchange(server, text, by_bytes)
  local stream <close> = connect(server)
  if by_bytes then
    for i = 1, #text do
      if not stream:write(text:sub(i, i)) then break end
      if i % 16 == 0 then braid.sleep(0) end
    end
  else
    stream:write(text)
  end
  return stream:read("a", 5) or ""
end

local get, post = "GET /hello HTTP/1.1\r\nHost: x\r\n", "POST /echo HTTP/1.1\r\nHost: x\r\n"
local chunked = post .. "Transfer-Encoding: chunked\r\n"
local smuggled = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

describe("a malformed request", function()
  local corpus = {
    post .. "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" .. smuggled,
    chunked .. "Content-Length: 5\r\n\r\n0\r\n\r\n" .. smuggled,
    post .. "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    post .. "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    post .. "Content-Length: 5, 5\r\n\r\nhello",
    post .. "Content-Length: +5\r\n\r\nhello",
    post .. "Content-Length: -5\r\n\r\nhello",
    post .. "Content-Length: 0x5\r\n\r\nhello",
    post .. "Content-Length: 5x\r\n\r\nhello",
    post .. "Content-Length: \r\n\r\nhello",
    post .. "Content-Length : 5\r\n\r\nhello",
    post .. "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    post .. "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" .. smuggled,
    post .. "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" .. smuggled,
    post .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" .. smuggled,
    chunked .. "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" .. smuggled,
    "POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    get .. "Host: y\r\n\r\n",
    "GET /hello HTTP/1.1\r\n\r\n",
    get .. "X Y: 1\r\n\r\n",
    get .. "no colon\r\n\r\n",
    get .. "X: a\rTransfer-Encoding: chunked\r\n\r\n",
    "GET /hello HTTP/1.1\r\n X: 1\r\nHost: x\r\n\r\n",
    "GET /he\1llo HTTP/1.1\r\nHost: x\r\n\r\n",
    "G@T /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /hello HTTP/9.9\r\nHost: x\r\n\r\n",
    chunked .. "\r\nxyz\r\n",
    chunked .. "\r\n-5\r\nhello\r\n0\r\n\r\n",
    chunked .. "\r\n0x5\r\nhello\r\n0\r\n\r\n",
    chunked .. "\r\n+5\r\nhello\r\n0\r\n\r\n",
    chunked .. "\r\n5\r\nhelloX\r\n0\r\n\r\n",
    chunked .. "\r\nffffffffffffffffff\r\nhello",
    chunked .. "\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
  }

  for _, how in ipairs { "at once", "byte by byte" } do
    test("is refused or hung up on, " .. how, serving(routes, function(session, _, server)
      for _, text in ipairs(corpus) do
        local answer = exchange(server, text, how ~= "at once")
        assert.is_truthy(answer == "" or answer:find("^HTTP/1.[01] [45]%d%d "), ("%q got %q"):format(text, answer))
        assert.is_nil(answer:find("HTTP/1.1 200", 1, true), ("%q got %q"):format(text, answer))
      end
      assert.equal(200, assert(session:get("/hello")).status)
    end, { idle_timeout = 3 }), { deadline = 30 })
  end

  test("of too large a header is refused", serving(routes, function(session, _, server)
    local function ends(text) return exchange(server, text .. "\r\n\r\n") end
    for _, size in ipairs { 9000, 15000, 500000 } do
      for _, text in ipairs { get .. "X: " .. ("a"):rep(size), "GET /" .. ("a"):rep(size),
        get .. ("X: 1\r\n"):rep(size // 6) } do
        local answer = ends(text) -- to a client that sends on and on, the system may not show what it is told
        assert.is_truthy(answer == "" or answer:find("^HTTP/1.1 4%d%d "), size .. answer)
      end
    end
    assert.equal(200, assert(session:get("/hello")).status)
  end))
end)

describe("a good request", function()
  test("may come byte by byte", serving(routes, function(_, _, server)
    local text = chunked .. "Connection: close\r\n\r\n5;name=value\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
    assert.is_truthy(exchange(server, text, true):find("\r\n\r\nhello!$"))
    assert.is_truthy(exchange(server, get .. "Connection: close\r\n\r\n", true):find('{"hello":"world"}', 1, true))
  end))

  test("may wait for leave to send its body", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    stream:write(post .. "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", stream:read(25, 5))
    stream:write("hello")
    assert.is_truthy(stream:read("a", 5):find("^HTTP/1.1 200 .*hello$"))
  end))

  test("with too large a body is refused before it is sent", serving(routes, function(_, _, server)
    local text = post .. "Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
    assert.is_truthy(exchange(server, text):find("^HTTP/1.1 413 "))
  end))
end)

describe("a slow client", function()
  test("that dribbles its headers is hung up on", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    local began = braid.now()
    stream:write("GET /hello HTTP/1.1\r\nHost: x\r\n")
    braid.spawn(function()
      while stream:write("X: 1\r\n") do braid.sleep(0.1) end
    end):daemon()
    assert.equal("", stream:read("a", 8) or "")
    local took = braid.now() - began
    assert.is_true(took > 0.8 and took < 4 * helper.slowness, took)
  end, { idle_timeout = 1 }))

  test("that dribbles its body is hung up on", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    local began = braid.now()
    stream:write(post .. "Content-Length: 1000\r\n\r\n")
    braid.spawn(function()
      while stream:write("x") do braid.sleep(0.1) end
    end):daemon()
    assert.equal("", stream:read("a", 8) or "")
    assert.is_true(braid.now() - began < 5 * helper.slowness)
  end, { idle_timeout = 1 }), { deadline = 15 })
end)

describe("a request that takes too long", function()
  test("gets 504, and its handler is cancelled", serving(function(app)
    app:get("/slow", function()
      local _ <close> = setmetatable({}, { __close = function() app.cancelled = true end })
      braid.sleep(30)
    end)
    app:get("/stream", function()
      return web.response { stream = function(write)
        for _ = 1, 10 do write("x") braid.sleep(0.05) end
      end }
    end)
  end, function(session, app)
    local began = braid.now()
    assert.equal(504, assert(session:get("/slow")).status)
    assert.is_true(braid.now() - began < 3 * helper.slowness)
    eventually(function() return app.cancelled end)
    assert.equal("xxxxxxxxxx", assert(session:get("/stream")).body)
  end, { request_timeout = 0.2 }))
end)

describe("too many connections", function()
  test("are told so with 503", serving(routes, function(_, _, server)
    local streams = {}
    for i = 1, 3 do
      streams[i] = connect(server)
      streams[i]:write(get .. "\r\n")
      assert.is_truthy(streams[i]:read("l", 5):find("200 OK"))
    end
    local answer = exchange(server, get .. "\r\n")
    assert.is_truthy(answer:find("^HTTP/1.1 503 "), answer)
    assert.is_truthy(answer:find("Retry-After: 1", 1, true))
    streams[1]:close()
    eventually(function() return server:stats().connections == 2 end)
    assert.is_truthy(exchange(server, get .. "Connection: close\r\n\r\n"):find("^HTTP/1.1 200 "))
    streams[2]:close()
    streams[3]:close()
  end, { max_connections = 3 }))
end)

describe("a failing handler", function()
  test("tells its client nothing, unless the server debugs", function()
    for _, debug in ipairs { false, true } do
      serving(function(app) app:get("/", function() error("secret") end) end, function(session)
        local real = io.stderr
        io.stderr = { write = function() end } -- luacheck: ignore
        local response = session:get("/")
        io.stderr = real -- luacheck: ignore
        assert.equal(500, response.status)
        assert.equal(debug, response.body:find("secret", 1, true) ~= nil)
      end, { debug = debug })()
    end
  end)
end)

describe("an access log", function()
  test("may be a function or a file", function()
    local lines, file = {}, os.tmpname()
    for _, where in ipairs { function(line) lines[#lines + 1] = line end, file } do
      serving(routes, function(session) assert(session:get("/hello?x=1")) end, { access_log = where })()
    end
    for line in io.lines(file) do lines[#lines + 1] = line end
    os.remove(file)
    assert.equal(2, #lines)
    for _, line in ipairs(lines) do
      local rest = line:match('^127.0.0.1 GET /hello%?x=1 200 17 [%d.]+ms HTTP/1.1 "[^"]+" (.*)$')
      assert.is_truthy(rest and rest:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ %x+$"), line)
    end
  end)

  test("may be JSON, and has what was refused", function()
    local lines = {}
    serving(routes, function(session, _, server)
      assert(session:get("/hello", { headers = { ["User-Agent"] = 'a"\\ü', Referer = "r" } }))
      exchange(server, "nonsense\r\n\r\n")
      exchange(server, "GET /x%zz HTTP/1.1\r\nHost: x\r\n\r\n")
    end, { access_log = function(line) lines[#lines + 1] = line end, log = "json" })()
    assert.equal(3, #lines)
    local first = braid.json.decode(lines[1])
    assert.same({ "GET", "/hello", 200, 17, 'a"\\\\xC3\\xBC', "r", "HTTP/1.1" },
      { first.method, first.target, first.status, first.bytes, first.agent, first.referer, first.protocol })
    assert.is_true(first.seconds >= 0 and #first.id == 16 and first.time:find("^%d%d%d%d") ~= nil)
    assert.equal(400, braid.json.decode(lines[2]).status)
    assert.equal("/x%zz", braid.json.decode(lines[3]).target)
  end)

  test("that fails spoils no answer, and is reported once", function()
    local written = expect.stderr_of(function()
      serving(routes, function(session)
        for _ = 1, 3 do assert.equal(200, assert(session:get("/hello")).status) end
      end, { access_log = function() error("the log is broken") end })()
    end)
    assert.equal(1, select(2, written:gsub("the log is broken", "")), written)
  end)
end)

describe("TLS", function()
  test("serves with a certificate, and refuses what is none", function()
    local key, cert = os.tmpname(), os.tmpname()
    run(function()
      assert.equal(0, assert(braid.process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert }).code)
      local app = web.app()
      routes(app)
      app:get("/slow", function() braid.sleep(0.1) return ("x"):rep(300000) end)
      app:get("/leave", function()
        local _ <close> = setmetatable({}, { __close = function() app.left = true end })
        braid.sleep(30)
      end)
      local tls = { cert = cert, key = key }
      local server <close> = assert(app:start { port = 0, grace = 0.1, tls = tls, http2 = false })
      assert.is_truthy(server.url:find("^https://"))
      local session <close> = braid.http.session { base_url = server.url, ca_file = cert }
      assert.same({ hello = "world" }, assert(session:get("/hello")):json())
      assert.equal(300000, #assert(session:get("/slow")).body)
      assert.equal(300000, #assert(session:post("/echo", { body = ("y"):rep(300000) })).body)
      assert.is_nil((session:get("/leave", { timeout = 0.3 })))
      eventually(function() return app.left end)
      local _, err = braid.http.get(server.url .. "/hello")
      assert.is_true(braid.is_error(err, "http"))
      local none, problem = app:start { port = 0, tls = { cert = "-----BEGIN nonsense", key = key } }
      assert.is_nil(none)
      assert.is_truthy(tostring(problem):find("certificate or key", 1, true))
      braid.http.close()
    end)
    os.remove(key)
    os.remove(cert)
  end)
end)

describe("clients of other makers", function()
  local function run_client(argv, text)
    local result = assert(braid.process.run(argv, { stdin = text, timeout = 8 }))
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  test("are served: curl", serving(routes, function(_, _, server)
    local url = server.url
    assert.equal('{"hello":"world"}', run_client { "curl", "-s", url .. "/hello" })
    assert.equal("a=b", run_client { "curl", "-s", "-d", "a=b", url .. "/echo" })
    local size = #run_client({ "curl", "-s", "-T", "-", "-X", "POST", url .. "/echo" }, ("z"):rep(200000))
    assert.equal(200000, size)
    local status = { "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", url .. "/echo" }
    assert.equal("405", run_client(status))
  end))

  test("are served: Python's http.client", serving(routes, function(_, _, server)
    local script = [[
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for i in range(50):
    c.request("GET", "/hello"); r = c.getresponse(); assert r.status == 200 and r.read() == b'{"hello":"world"}'
c.request("POST", "/echo", body=iter([b"one", b"two" * 10000]), encode_chunked=True,
          headers={"Transfer-Encoding": "chunked"})
r = c.getresponse(); assert len(r.read()) == 30003
c.request("HEAD", "/hello"); r = c.getresponse(); assert r.read() == b"" and r.headers["Content-Length"] == "17"
print("ok")
]]
    assert.equal("ok\n", run_client { "python3", "-c", script, tostring(server.port) })
    assert.equal(1, server:stats().accepted)
  end))

  if os.execute("command -v node >/dev/null 2>&1") then
    test("are served: Node's fetch", serving(routes, function(_, _, server)
      local script = [[
const url = process.argv[1];
(async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => fetch(url + "/hello").then((r) => r.json())));
  if (all.some((x) => x.hello !== "world")) throw new Error("wrong");
  const text = await (await fetch(url + "/echo", { method: "POST", body: "x".repeat(100000) })).text();
  if (text.length !== 100000) throw new Error("short");
  console.log("ok");
  process.exit(0);
})();
]]
      assert.equal("ok\n", run_client { "node", "-e", script, server.url })
    end))
  end
end)
