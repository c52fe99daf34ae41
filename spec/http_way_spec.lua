-- SPDX-License-Identifier: MIT
-- How a request gets to its server and says who asks: proxies, unix sockets, forms, cookies, authentication, limits.
local expect = require "spec.expect"
local helper = require "spec.helper"
local server = require "spec.http_server"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local test, with_session = helper.test, server.with_session
local misused = expect.misused
local fails, echo, answer = server.fails, server.echo, scripted.answer

lazy_setup(server.start)
lazy_teardown(server.stop)

local function repeats(request) return answer(200, request.body, { ["X-Line"] = request.line }) end

-- ---- proxies --------------------------------------------------------------------------------------------------------

-- Both ways until both have ended.
local function relay(client, other)
  braid.scope(function(tasks)
    for _, way in ipairs { { client, other }, { other, client } } do
      tasks:spawn(function()
        local from, to = way[1], way[2]
        for piece in function() return (from:read_some()) end do
          if not to:write(piece) then break end
        end
        to:shutdown()
      end)
    end
  end)
end

-- fn(port, asked) while greet(stream) finds out where a client of this proxy wants to go: host, port, or nothing.
local function with_proxy(greet, fn)
  local asked = {}
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  braid.scope(function(tasks)
    tasks:spawn(function()
      for stream in listener do
        tasks:spawn(function()
          local client <close> = stream
          local host, port = greet(client)
          asked[#asked + 1] = host and host .. ":" .. port or "refused"
          local other <close> = host and braid.net.connect("127.0.0.1", port) -- whatever the host
          if other then relay(client, other) end
        end)
      end
    end)
    fn(listener.port, asked)
    tasks:cancel()
  end)
end

local function greet_connect(stream)
  local line = stream:read() or ""
  repeat local header = stream:read("L") until header == "\r\n" or not header
  local host, port = line:match("^CONNECT ([^:]+):(%d+) ")
  stream:write(host and "HTTP/1.1 200 Go on\r\n\r\n" or "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
  return host, math.tointeger(port)
end

-- RFC 1928, without authentication.
local function greet_socks(stream)
  local _, methods = stream:read(2):byte(1, 2)
  stream:read(methods)
  stream:write("\5\0")
  local _, _, _, kind = stream:read(4):byte(1, 4)
  local host = kind == 3 and stream:read(stream:read(1):byte()) or table.concat({ stream:read(4):byte(1, 4) }, ".")
  local port = (">I2"):unpack(stream:read(2))
  stream:write("\5\0\0\1\0\0\0\0\0\0")
  return host, port
end

local function port_of(url) return math.tointeger(url:match(":(%d+)")) end

describe("a proxy", function()
  test("that speaks SOCKS looks up names, or does not", with_session(function(session)
    with_proxy(greet_socks, function(port, asked)
      local url = "http://somewhere.invalid:" .. port_of(server.base) .. "/ok"
      assert.equal("ok", assert(session:get(url, { proxy = "socks5h://127.0.0.1:" .. port })).body)
      assert.equal("ok", assert(session:get(server.base .. "/ok", { proxy = "socks5://127.0.0.1:" .. port })).body)
      assert.same({ "somewhere.invalid:" .. port_of(server.base), "127.0.0.1:" .. port_of(server.base) }, asked)
    end)
  end))

  test("is asked to connect for https", with_session(function(session)
    with_proxy(greet_connect, function(port, asked)
      -- what is reached through it speaks no TLS: that is what libcurl then says
      local err = fails("http", session:get("https://somewhere.invalid:" .. port_of(server.base) .. "/", {
        proxy = "http://127.0.0.1:" .. port,
      }))
      assert.equal("SSL_CONNECT_ERROR", err.code)
      assert.same({ "somewhere.invalid:" .. port_of(server.base) }, asked)
    end)
  end))

  test("that refuses is a failure", with_session(function(session)
    fails("http", session:get("https://x.invalid/", { proxy = server.base }))
    fails("http", session:get("http://x.invalid/", { proxy = "http://127.0.0.1:1" }))
  end))

  test("is not asked for some hosts, or none", with_session(function(session)
    local nowhere = "http://127.0.0.1:1"
    assert.equal(200, assert(session:get("/ok", { proxy = nowhere, no_proxy = "127.0.0.1" })).status)
    assert.equal(200, assert(session:get("/ok", { proxy = nowhere, no_proxy = { "x.invalid", "127.0.0.1" } })).status)
    assert.equal(200, assert(session:get("/ok", { proxy = nowhere, no_proxy = "*" })).status)
    fails("http", session:get("/ok", { proxy = nowhere, no_proxy = "x.invalid" }))
    fails("http", session:get("/ok", { proxy = nowhere }))
  end))

  test("comes from the environment, and can be refused", function()
    local code = ([[
      local braid = require "braid"
      print((braid.http.get("%s/ok")))
      print(braid.http.get("%s/ok", { proxy = "" }).body)
    ]]):format(server.base, server.base)
    local stdout = helper.lua_process(code, { env = { http_proxy = "http://127.0.0.1:1" } })
    assert.equal("nil\nok\n", stdout)
    stdout = helper.lua_process(code, { env = { http_proxy = "http://127.0.0.1:1", no_proxy = "127.0.0.1" } })
    assert.is_truthy(stdout:find("^braid.http.Response 200"), stdout)
  end)
end)

describe("a unix socket", function()
  local path = os.tmpname()
  os.remove(path)

  test("is where the server listens", scripted.with(repeats, function(_, log)
    local session <close> = http.session { unix_socket = path }
    for i = 1, 2 do
      local response = assert(session:post("http://engine/containers?n=" .. i, { body = "x" }))
      assert.equal("x", response.body)
      assert.equal("POST /containers?n=" .. i .. " HTTP/1.1", response.headers["x-line"])
    end
    assert.equal("engine", log[1].headers.host)
    assert.equal(200, assert(session:get(server.base .. "/ok", { unix_socket = path })).status)
    assert.equal(3, #log)
    assert.equal("ok", assert(http.get(server.base .. "/ok")).body) -- only who asks for it
    http.close()
  end, { unix = path }))

  test("that is not there is a failure", with_session(function(session)
    fails("http", session:get("/ok", { unix_socket = "/nonexistent/socket" }))
  end))
end)

-- ---- what is sent ---------------------------------------------------------------------------------------------------

-- name -> { headers, content }
local function parts_of(request)
  local boundary = request.headers["content-type"]:match("^multipart/form%-data; boundary=(.+)$")
  local parts = {}
  for part in (request.body .. "\r\n"):gmatch("(.-)%-%-" .. boundary:gsub("%p", "%%%0") .. "%-?%-?\r\n") do
    local head, content = part:match("^(.-)\r\n\r\n(.*)\r\n$")
    if head then parts[head:match('name="([^"]*)"')] = { head = head, content = content } end
  end
  return parts
end

describe("multipart", function()
  test("has fields, contents and files", scripted.with(repeats, function(base, log)
    local session <close> = http.session()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(("file\0"):rep(200000))
    file:close()
    for _, method in ipairs { "post", "put" } do
      local response = assert(session[method](session, base .. "/form", { multipart = {
        text = "one two", number = 42,
        made = { content = "a\0b", filename = "a.bin", type = "application/x-made" },
        read = { path = path },
      } }))
      assert.equal(method:upper() .. " /form HTTP/1.1", response.headers["x-line"])
    end
    os.remove(path)
    assert.equal(2, #log)
    for _, request in ipairs(log) do
      local parts = parts_of(request)
      assert.equal("one two", parts.text.content)
      assert.equal("42", parts.number.content)
      assert.equal("a\0b", parts.made.content)
      assert.is_truthy(parts.made.head:find('filename="a.bin"', 1, true))
      assert.is_truthy(parts.made.head:find("Content-Type: application/x-made", 1, true))
      assert.equal(("file\0"):rep(200000), parts.read.content)
      assert.is_truthy(parts.read.head:find('filename="' .. path:match("[^/]+$"), 1, true))
      assert.is_nil(request.headers.expect)
    end
    assert.equal("", assert(session:post(base .. "/plain")).body) -- the handle has no memory of it
  end))

  test("keeps the order of a list", scripted.with(repeats, function(base, log)
    assert(http.post(base, { multipart = { { name = "b", content = "1" }, { name = "a", content = "2" } } }))
    assert.is_true(log[1].body:find('name="b"', 1, true) < log[1].body:find('name="a"', 1, true))
    http.close()
  end))

  test("is sent again where a redirect or a retry says so", scripted.with(function(request, _, number)
    if number == 1 then return answer(307, "", { Location = "/again" }) end
    if number == 2 then return answer(503) end
    return repeats(request)
  end, function(base, log)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write("content")
    file:close()
    assert(http.put(base .. "/first", { multipart = { f = { path = path } }, retries = { backoff = 0.01 } }))
    os.remove(path)
    http.close()
    assert.equal("/first /again /first", ("%s %s %s"):format(log[1].target, log[2].target, log[3].target))
    for _, request in ipairs(log) do assert.equal("content", parts_of(request).f.content) end
  end))

  test("names the file that cannot be read, and what makes no sense", function()
    finally(http.close)
    local err = fails("system", http.post(server.base, { multipart = { f = { path = "/nonexistent/file" } } }))
    assert.is_truthy(tostring(err):find("/nonexistent/file", 1, true))
    misused("either content or path", http.post, server.base, { multipart = { f = {} } })
    misused("did you mean 'path'", http.post, server.base, { multipart = { f = { pat = "x" } } })
    misused("no parts", http.post, server.base, { multipart = {} })
    misused("no name", http.post, server.base, { multipart = { { content = "x" } } })
    misused("line end", http.post, server.base, { multipart = { f = { content = "", filename = "a\nb" } } })
    misused("exclude each other", http.post, server.base, { multipart = { a = "b" }, json = {} })
    misused("HEAD", http.head, server.base, { multipart = { a = "b" } })
  end)
end)

describe("cookies", function()
  local function sent(session, opts)
    return select(2, echo(session, "GET", opts)):match("Cookie: ([^\r\n]+)")
  end

  test("can go with one request, beside the session's", with_session(function(session)
    assert.equal("a=1; b=x y", sent(session, { cookies = { b = "x y", a = 1 } }))
    assert.is_nil(sent(session))
    assert(session:get("/cookie"))
    assert.equal("flavour=plain; a=1", sent(session, { cookies = { a = 1 } }))
    assert.equal("flavour=plain", sent(session))
  end))

  test("can go with all of a session's requests", with_session(function(session)
    assert.equal("a=1", sent(session))
    assert.equal("b=2", sent(session, { cookies = { b = 2 } }))
  end, { cookies = { a = "1" } }))

  test("can be looked at and forgotten", scripted.with(function()
    return answer(200, "", { ["Set-Cookie"] = "flavour=plain; Path=/x; HttpOnly; Max-Age=1000" })
  end, function(base)
    local session <close> = http.session()
    assert.same({}, session:cookies())
    assert(session:get(base .. "/x"))
    local cookies = session:cookies()
    assert.equal(1, #cookies)
    local cookie = cookies[1]
    assert.equal("flavour=plain 127.0.0.1 /x",
      ("%s=%s %s %s"):format(cookie.name, cookie.value, cookie.domain, cookie.path))
    assert.is_true(cookie.http_only)
    assert.is_true(math.abs(cookie.expires - os.time() - 1000) < 60)
    session:clear_cookies()
    assert.same({}, session:cookies())
  end))

  test("are refused where they would break the header", function()
    finally(http.close)
    misused("'cookies'", http.get, server.base, { cookies = { a = "b; c=d" } })
    misused("'cookies'", http.get, server.base, { cookies = { a = "b\r\nX: y" } })
    misused("'cookies'", http.get, server.base, { cookies = { ["a="] = "b" } })
    misused("'cookies'", http.get, server.base, { cookies = true })
  end)
end)

describe("authentication by digest", function()
  test("answers the server's question", scripted.with(function(request)
    local said = request.headers.authorization
    if said then return answer(200, said .. "|" .. request.body) end
    return answer(401, "who?", { ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5' })
  end, function(base, log)
    local session <close> = http.session()
    for _, digest in ipairs { "user:secret", { "user", "secret" } } do
      local response = assert(session:post(base .. "/", { auth = { digest = digest }, body = "data" }))
      assert.equal(200, response.status)
      assert.is_truthy(response.body:find('^Digest username="user"'), response.body)
      assert.is_nil(response.body:find("secret", 1, true))
      assert.is_truthy(response.body:find("|data", 1, true))
    end
    local streamed <close> = assert(session:get(base .. "/", { auth = { digest = "user:secret" }, stream = true }))
    assert.equal(200, streamed.status)
    assert.is_truthy(streamed:read("a"):find("^Digest"))
    local before = #log
    assert.equal(401, assert(session:get(base .. "/")).status)
    assert.is_nil(log[before + 1].headers.authorization)
    assert(session:get(base .. "/", { auth = "user:secret" }))
    assert.is_truthy(log[#log].headers.authorization:find("^Basic "))
  end))
end)

describe("the wait for a connection", function()
  test("can be cancelled, and counts into the timeout", with_session(function(session)
    local first = braid.spawn(session.get, session, "/never")
    braid.sleep(0.02)
    local started = braid.now()
    fails("timeout", session:get("/ok", { timeout = 0.1 }))
    assert.is_true(braid.now() - started < 1 * helper.slowness)
    assert.is_false(braid.move_on_after(0.05, session.get, session, "/ok"))
    local waiting = braid.spawn(session.get, session, "/ok")
    braid.sleep(0.02)
    assert.is_false(waiting:done())
    first:cancel()
    assert.equal("ok", waiting:result(5).body) -- the place of who gave up is the next one's
  end, { max_per_host = 1 }))

  test("is the same for the session's bound", with_session(function(session)
    local first = braid.spawn(session.get, session, "/never")
    braid.sleep(0.02)
    fails("timeout", session:get("/ok", { timeout = 0.1 }))
    first:cancel()
    assert.equal("ok", assert(session:get("/ok", { timeout = 5 })).body)
  end, { max_connections = 1 }))
end)

describe("a server that says nothing", function()
  test("is given up after idle_timeout", with_session(function(session)
    local started = braid.now()
    local err = fails("timeout", session:get("/never", { idle_timeout = 1, timeout = math.huge }))
    assert.equal("OPERATION_TIMEDOUT", err.code)
    assert.is_true(braid.now() - started < 5 * helper.slowness)
    assert.equal("drip1drip2", assert(session:get("/drip?count=2&ms=600", { idle_timeout = 1 })).body)
  end))
end)

describe("http_version", function()
  test("1.0 is one of them", with_session(function(session)
    assert.equal("GET /echo HTTP/1.0", (echo(session, "GET", { http_version = "1.0" })))
    assert.equal("GET /echo HTTP/1.1", (echo(session, "GET")))
  end))
end)

describe("the table that the core is given", function()
  test("is refused where a field is not what libcurl can take", function()
    local core, url = require "braid.core", server.base .. "/ok"
    local session = core.http_session(false, 0, 0)
    for field, value in pairs {
      body = {}, user = "a\0b", read_timeout = -1, max_body = 1.5, connect_timeout = "soon", lines = "A: b",
    } do
      misused("'request." .. field .. "'", core.http_request, "GET", { [field] = value })
    end
    misused("'request'", core.http_request, "GET", "verify")
    misused("http_request", session.fetch, session, url, {}, 1)
    assert.equal(200, (session:fetch(url, core.http_request("GET", { redirects = 0 }), 5)))
    session:close()
  end)
end)
