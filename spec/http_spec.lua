-- SPDX-License-Identifier: MIT
-- One request of the HTTP client: what is sent, what comes back, what goes wrong.
local expect = require "spec.expect"
local helper = require "spec.helper"
local server = require "spec.http_server"
local braid = require "braid"
local cjson = require "cjson"
local http = braid.http
local test, with_session = helper.test, server.with_session
local misused = expect.misused
local fails, facts, repeated, echo = server.fails, server.facts, server.repeated, server.echo

local base

lazy_setup(function()
  server.start()
  base = server.base
end)
lazy_teardown(server.stop)

describe("a request", function()
  test("gives status, body, headers, URL, version and times", with_session(function(session)
    local response = assert(session:get("/ok?x=1"))
    assert.equal(200, response.status)
    assert.equal("ok", response.body)
    assert.equal(base .. "/ok?x=1", response.url)
    assert.equal("1.1", response.http_version)
    assert.equal("2", response.headers["Content-Length"])
    local timing = response.timing
    assert.is_true(timing.connect > 0 and timing.first_byte >= timing.connect and timing.total >= timing.first_byte)
  end))

  test("works outside every task", function()
    local response = assert(http.get(base .. "/close"))
    assert.equal("ok", response.body)
    http.close()
  end)

  test("has functions for all the usual methods", with_session(function(session)
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE" } do
      local response = assert(session[method:lower()](session, "/echo"))
      assert.equal(method .. " /echo HTTP/1.1", response.body:match("^[^\r]+"))
      local response2 = assert(http[method:lower()](base .. "/echo"))
      assert.equal(method .. " /echo HTTP/1.1", response2.body:match("^[^\r]+"))
    end
    local response = assert(session:head("/big?bytes=1000"))
    assert.equal("", response.body)
    assert.equal("1000", response.headers["content-length"])
    assert.equal("OPTIONS /echo HTTP/1.1", (echo(session, "options")))
    http.close()
  end))

  test("is no failure when the status is one", with_session(function(session)
    local response = assert(session:get("/status?code=503"))
    assert.equal(503, response.status)
    local ok, err = pcall(response.raise_for_status, response)
    assert.is_false(ok)
    assert.is_true(braid.is_error(err, "http"))
    assert.equal(503, err.status)
    assert.equal("HTTP_RETURNED_ERROR", err.code)
    assert.equal(response.url, err.url)
    local fine = session:get("/ok")
    assert.equal(fine, fine:raise_for_status())
  end))

  test("decodes JSON, and says what is none", with_session(function(session)
    local value = assert(session:get("/json"):json())
    assert.is_true(value.ok)
    assert.equal(braid.null, value.list[3])
    fails("http", session:get("/ok"):json())
  end))

  test("finds headers in any spelling, and all of those that are repeated", with_session(function(session)
    local response = assert(session:get("/headers"))
    assert.equal("one, two", response.headers["X-MULTI"])
    assert.same({ "one", "two" }, response:values("X-Multi"))
    assert.same({ "a=1; Path=/", "b=2" }, response:values("set-cookie"))
    assert.equal("", response.headers["x-empty"])
    assert.is_nil(response.headers["x-missing"])
    assert.same({}, response:values("x-missing"))
    local names = {}
    for name in pairs(response.headers) do names[name] = true end
    assert.is_true(names["x-multi"] and names["content-length"])
  end))

  test("unpacks compressed bodies", with_session(function(session)
    assert.equal("hello hello hello hello\n", session:get("/gzip").body)
  end))

  test("takes a body of many megabytes", with_session(function(session)
    assert.equal(30000000, #assert(session:get("/big?bytes=30000000")).body)
    assert.equal(5000000, #assert(session:get("/endless?bytes=5000000")).body)
  end))

  test("takes a body that comes in drops", with_session(function(session)
    assert.equal("drip1drip2drip3", assert(session:get("/drip?count=3&ms=10")).body)
  end))
end)

describe("what is sent", function()
  test("a query, encoded and in the order of its names", with_session(function(session)
    local line = echo(session, "GET", { query = { b = "x y&z", a = { 1, 2 }, ["ü"] = true }, url = "/echo?q=0#part" })
    assert.equal("GET /echo?q=0&a=1&a=2&b=x%20y%26z&%C3%BC=true HTTP/1.1", line)
    assert.equal("GET /echo?raw=%2 HTTP/1.1", (echo(session, "GET", { query = "raw=%2" })))
    assert.equal("GET /echo HTTP/1.1", (echo(session, "GET", { query = {} })))
  end))

  test("a body as it is", with_session(function(session)
    local line, head, body = echo(session, "POST", { body = "a\0b" })
    assert.equal("POST /echo HTTP/1.1", line)
    assert.is_truthy(head:find("Content-Length: 3", 1, true))
    assert.is_nil(head:lower():find("content-type", 1, true))
    assert.equal("a", body:sub(1, 1))
    assert.equal("data", select(3, echo(session, "PUT", { body = "data" })))
    assert.equal("data", select(3, echo(session, "DELETE", { body = "data" })))
    assert.equal("data", select(3, echo(session, "GET", { body = "data" })))
  end))

  test("JSON and forms, with their types", with_session(function(session)
    local _, head, body = echo(session, "POST", { json = { a = { 1, braid.null } } })
    assert.is_truthy(head:find("Content-Type: application/json", 1, true))
    assert.same({ a = { 1, cjson.null } }, cjson.decode(body))
    _, head, body = echo(session, "POST", { form = { b = "ä ö", a = 1 } })
    assert.is_truthy(head:find("Content-Type: application/x-www-form-urlencoded", 1, true))
    assert.equal("a=1&b=%C3%A4%20%C3%B6", body)
    _, head = echo(session, "POST", { json = {}, headers = { ["content-type"] = "application/x-special" } })
    assert.is_truthy(head:find("content-type: application/x-special", 1, true))
    assert.is_nil(head:find("application/json", 1, true))
  end))

  test("large bodies, without asking for leave", with_session(function(session)
    local started = braid.now()
    assert.equal(404, assert(session:post("/nothing", { body = ("x"):rep(60000), timeout = 5 })).status)
    assert.is_nil(select(2, echo(session, "POST", { body = "x" })):lower():find("expect", 1, true))
    assert.is_true(braid.now() - started < 1)
  end))

  test("headers: the request's over the session's", with_session(function(session)
    local _, head = echo(session, "GET", { headers = { ["X-B"] = 2, ["x-list"] = { "1", "2" }, ["X-None"] = "" } })
    assert.is_truthy(head:find("\r\nX-A: session", 1, true))
    assert.is_truthy(head:find("\r\nX-B: 2", 1, true))
    assert.is_nil(head:find("x-b: session", 1, true))
    assert.is_truthy(head:find("x-list: 1\r\nx-list: 2", 1, true))
    assert.is_truthy(head:find("X-None:", 1, true))
    assert.is_truthy(head:find("User-Agent: braid", 1, true))
    _, head = echo(session, "GET")
    assert.is_truthy(head:find("x-b: session", 1, true))
  end, { headers = { ["X-A"] = "session", ["x-b"] = "session" } }))

  test("who asks", with_session(function(session)
    local basic = "Authorization: Basic dXNlcjpwYXNz"
    assert.is_truthy(select(2, echo(session, "GET", { auth = "user:pass" })):find(basic, 1, true))
    assert.is_truthy(select(2, echo(session, "GET", { auth = { "user", "pass" } })):find(basic, 1, true))
    local _, head = echo(session, "GET", { auth = { bearer = "token" } })
    assert.is_truthy(head:find("Authorization: Bearer token", 1, true))
    assert.is_nil(select(2, echo(session, "GET")):find("Authorization", 1, true))
  end))

  test("through a proxy", with_session(function(session)
    local line = echo(session, "GET", { url = "http://nowhere.invalid/echo", proxy = base })
    assert.equal("GET http://nowhere.invalid/echo HTTP/1.1", line)
  end))
end)

describe("redirects", function()
  test("are followed, and the URL is the last one", with_session(function(session)
    local response = assert(session:get("/redirect?to=/redirect%3fto=/ok"))
    assert.equal("ok", response.body)
    assert.equal(base .. "/ok", response.url)
    assert.is_nil(response.headers.location)
  end))

  test("end where they go round", with_session(function(session)
    local err = fails("http", session:get("/loop"))
    assert.equal("TOO_MANY_REDIRECTS", err.code)
    fails("http", session:get("/redirect?to=/redirect%3fto=/ok", { follow = 1 }))
    assert.equal(200, assert(session:get("/redirect?to=/ok", { follow = 1 })).status)
  end))

  test("are not followed on request", with_session(function(session)
    for _, follow in ipairs { false, 0 } do
      local response = assert(session:get("/redirect?to=/ok", { follow = follow }))
      assert.equal(302, response.status)
      assert.equal("/ok", response.headers.location)
    end
  end))

  test("keep the method, or turn it into GET, as their status says", with_session(function(session)
    local function after(method, code)
      local line, _, body = echo(session, method, { url = "/redirect?to=/echo&code=" .. code, body = "data" })
      return line:match("^%S+") .. " " .. body
    end
    assert.equal("GET ", after("POST", 302))
    assert.equal("GET ", after("POST", 303))
    assert.equal("POST data", after("POST", 307))
    assert.equal("POST data", after("POST", 308))
    assert.equal("PUT data", after("PUT", 302))
    assert.equal("GET ", after("PUT", 303))
    assert.equal("PUT data", after("PUT", 307))
    assert.equal("DELETE", echo(session, "DELETE", { url = "/redirect?to=/echo" }):match("^%S+"))
  end))

  test("to other schemes are a failure", with_session(function(session)
    local err = fails("http", session:get("/redirect?to=ftp%3a//127.0.0.1/x"))
    assert.equal("UNSUPPORTED_PROTOCOL", err.code)
    fails("http", session:get("/redirect?to=file%3a///etc/passwd"))
  end))
end)

describe("a failure", function()
  local function failing(url, opts, kind, code)
    local err = fails(kind, http.get(url, opts))
    http.close()
    assert.equal(url, err.url)
    assert.is_truthy(tostring(err):find(url, 1, true), tostring(err))
    assert.equal(code, err.code)
    return err
  end

  test("nobody listens", function() failing("http://127.0.0.1:1/", nil, "http", "COULDNT_CONNECT") end)

  test("a name that is not known", function()
    failing("http://nowhere.invalid/", { timeout = 8 }, "http", "COULDNT_RESOLVE_HOST")
  end)

  test("the same name asked for many times at once", with_session(function(session)
    local failures = 0
    repeated(200, function()
      fails("http", session:get("http://nowhere.invalid/x"))
      failures = failures + 1
    end)
    assert.equal(200, failures)
  end))

  test("a body that is cut short", function() failing(base .. "/short", nil, "http", "PARTIAL_FILE") end)
  test("no answer", function() failing(base .. "/empty", nil, "http", "GOT_NOTHING") end)
  test("an answer that is not HTTP", function() failing(base .. "/garbage", nil, "http", "UNSUPPORTED_PROTOCOL") end)
  test("headers without end", with_session(function(session) fails("http", session:get("/flood", { timeout = 5 })) end))

  test("no TLS where it was to be", function()
    failing(base:gsub("http:", "https:") .. "/ok", nil, "http", "SSL_CONNECT_ERROR")
  end)

  test("a certificates file that is not there", function()
    failing(base:gsub("http:", "https:") .. "/ok", { ca_file = "/nonexistent" }, "http", "SSL_CACERT_BADFILE")
  end)

  test("a server that never answers", function()
    local started = braid.now()
    local err = failing(base .. "/never", { timeout = 0.2 }, "timeout", "OPERATION_TIMEDOUT")
    assert.is_truthy(tostring(err):find("0.2 s", 1, true))
    local took = braid.now() - started
    assert.is_true(took >= 0.2 and took < 2 * helper.slowness, took)
  end)

  test("a server that is too slow", function()
    failing(base .. "/drip?count=50&ms=50", { timeout = 0.2 }, "timeout", "OPERATION_TIMEDOUT")
  end)

  test("a body beyond the limit, announced or not", with_session(function(session)
    local before = facts(session).sent
    local err = fails("limit", session:get("/big?bytes=100000000", { max_body = 1000000 }))
    assert.is_truthy(tostring(err):find("1000000 bytes", 1, true))
    fails("limit", session:get("/endless", { max_body = 1000000 }))
    fails("limit", session:get("/gzip", { max_body = 20 }))
    assert.is_true(facts(session).sent - before < 50000000)
    assert.equal(1000, #assert(session:get("/big?bytes=1000", { max_body = 1000 })).body)
    assert.equal("", assert(session:head("/big?bytes=1000", { max_body = 10 })).body)
  end))
end)

describe("misuse", function()
  test("a URL that is none, or of another scheme", function()
    finally(http.close)
    misused("http://", http.get, "not a url")
    misused("ftp", http.get, "ftp://127.0.0.1/")
    misused("file", http.get, "file:///etc/passwd")
    misused("bad URL", http.get, "http://")
    misused("bad URL", http.get, "http://127.0.0.1:99999/")
    misused("bad URL", http.get, "http://[::1/")
    misused("its host is missing", http.get, "http:///nowhere")
    misused("backslash", http.get, "http://one\\@two/")
    misused("bad URL", http.get, "http://127.0.0.1/a b")
    misused("a string expected", http.get)
    misused("a string expected", http.get, 42)
  end)

  test("line ends and zero bytes where they would change the request", function()
    finally(http.close)
    misused("bad URL", http.get, base .. "/ok\r\nX-Injected: 1")
    misused("bad URL", http.get, base .. "/ok\nX")
    misused("zero", http.get, base .. "/ok\0")
    misused("line end", http.get, base .. "/ok", { headers = { A = "b\r\nX-Injected: 1" } })
    misused("line end", http.get, base .. "/ok", { auth = { bearer = "b\nX-Injected: 1" } })
    misused("name of a header", http.get, base .. "/ok", { headers = { ["A: b\r\nC"] = "d" } })
    misused("name of a header", http.get, base .. "/ok", { headers = { [""] = "d" } })
    misused("method", http.request, { method = "GET / HTTP/1.1\r\nX", url = base .. "/ok" })
  end)

  test("options that are unknown or of the wrong type", function()
    finally(http.close)
    local url = base .. "/ok"
    misused("did you mean 'timeout'", http.get, url, { timeot = 1 })
    misused("a session's", http.get, url, { max_per_host = 1 })
    misused("a table", http.get, url, 5)
    misused("'timeout'", http.get, url, { timeout = "1" })
    misused("'timeout'", http.get, url, { timeout = 0 })
    misused("'timeout'", http.get, url, { timeout = 0 / 0 })
    misused("'follow'", http.get, url, { follow = -1 })
    misused("'max_body'", http.get, url, { max_body = 0 })
    misused("'http_version'", http.get, url, { http_version = "4" })
    misused("'auth'", http.get, url, { auth = "nobody" })
    misused("'headers'", http.get, url, { headers = { A = {} , B = false } })
    misused("'headers'", http.get, url, { headers = { "A: b" } })
    misused("'query'", http.get, url, { query = { a = print } })
    misused("exclude each other", http.post, url, { body = "", json = {} })
    misused("'json'", http.post, url, { json = print })
    misused("HEAD", http.head, url, { body = "x" })
    misused("'method'", http.request, { url = url, method = 5 })
    misused("a table", http.request, url)
    misused("did you mean 'base_url'", http.session, { base_ur = "x" })
    misused("'base_url'", http.session, { base_url = "ftp://x" })
    misused("'max_connections'", http.session, { max_connections = 0 })
  end)
end)

describe("TLS", function()
  -- A server with a certificate that nobody else trusts; nil where there is no openssl.
  local function start_server(certificate, key)
    local command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout %s -out %s -days 2 -subj /CN=localhost "
      .. "-addext subjectAltName=IP:127.0.0.1 2>/dev/null"
    if not os.execute(command:format(key, certificate)) then return nil end
    local process = assert(braid.process.start { "openssl", "s_server", "-accept", "127.0.0.1:0", "-www",
      "-cert", certificate, "-key", key })
    for line in process:lines() do
      local port = line:match("^ACCEPT 127.0.0.1:(%d+)")
      if port then return process, "https://127.0.0.1:" .. port .. "/" end
    end
  end

  test("trusts whom it is told to, and only them", function()
    local certificate, key = os.tmpname(), os.tmpname()
    finally(function()
      os.remove(certificate)
      os.remove(key)
    end)
    local process, url = start_server(certificate, key)
    if not process then return end
    local _ <close> = process
    local session <close> = http.session()
    assert.equal("PEER_FAILED_VERIFICATION", fails("http", session:get(url)).code)
    local response = assert(session:get(url, { ca_file = certificate }))
    assert.equal(200, response.status)
    assert.is_true(response.timing.tls > 0)
    assert.equal("PEER_FAILED_VERIFICATION", fails("http", session:get(url)).code)
    assert.equal(200, assert(session:get(url, { verify = false })).status)
    assert.equal("PEER_FAILED_VERIFICATION", fails("http", session:get(url)).code)
  end)
end)
