-- SPDX-License-Identifier: MIT
-- The middleware that braid brings: CORS, proxies, rate limits; and whose pages may open a WebSocket.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local web_server = require "spec.web_server"
local web = braid.web
local test = helper.test
local misused, stderr_of, serving = expect.misused, expect.stderr_of, web_server.serving

local function cors_app(options)
  local app = web.app()
  app:use(web.cors(options))
  app:get("/x", function() return "x" end)
  app:get("/bad", function() error("bad", 0) end)
  app:get("/abort", function() web.abort(409) end)
  return app:test_client()
end

local function preflight(client, origin, method, headers)
  return client:options("/x", { headers = {
    Origin = origin, ["Access-Control-Request-Method"] = method, ["Access-Control-Request-Headers"] = headers } })
end

describe("web.cors", function()
  test("lets all pages read by default", function()
    local client = cors_app()
    assert.equal("*", client:get("/x", { headers = { Origin = "https://a.example" } }).headers[
      "access-control-allow-origin"])
    local without = client:get("/x")
    assert.is_nil(without.headers["access-control-allow-origin"])
    assert.is_nil(without.headers.vary)
    local answer = preflight(client, "https://a.example", "PUT", "x-one, content-type")
    assert.equal(204, answer.status)
    assert.equal("*", answer.headers["access-control-allow-origin"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", answer.headers["access-control-allow-methods"])
    assert.equal("x-one, content-type", answer.headers["access-control-allow-headers"])
    assert.equal("600", answer.headers["access-control-max-age"])
    assert.equal("GET, HEAD, OPTIONS", client:options("/x").headers.allow) -- no preflight
  end)

  test("tells each named origin of itself alone", function()
    local client = cors_app {
      origins = { "https://a.example", "https://*.b.example", "http://localhost:3000" }, credentials = true,
      methods = { "GET" }, headers = { "X-One" }, max_age = 5, expose = { "X-Count" },
    }
    local function allowed(origin)
      local answer = client:get("/x", { headers = { Origin = origin } })
      assert.equal("Origin", answer.headers.vary)
      local said = answer.headers["access-control-allow-origin"]
      assert.equal(said and "true", answer.headers["access-control-allow-credentials"])
      assert.equal(said and "X-Count", answer.headers["access-control-expose-headers"])
      return said
    end
    for _, origin in ipairs { "https://a.example", "https://x.b.example", "https://x.y.b.example",
      "http://localhost:3000" } do
      assert.equal(origin, allowed(origin))
    end
    for _, origin in ipairs { "https://a.example.evil", "http://a.example", "https://b.example", "https://xb.example",
      "https://a.example:444", "null", "https://evil/.b.example", "", "https://a.example, https://evil" } do
      assert.is_nil(allowed(origin), origin)
    end
    assert.equal("Origin", client:get("/x").headers.vary)
    local answer = preflight(client, "https://a.example", "GET", "anything")
    assert.equal("X-One", answer.headers["access-control-allow-headers"])
    assert.equal("GET", answer.headers["access-control-allow-methods"])
    assert.equal("true", answer.headers["access-control-allow-credentials"])
    assert.equal("5", answer.headers["access-control-max-age"])
    local refused = preflight(client, "https://evil", "GET")
    assert.equal(403, refused.status)
    assert.is_nil(refused.headers["access-control-allow-origin"])
  end)

  test("tells it of answers that a failure made, too", function()
    local client = cors_app { origins = "https://a.example" }
    local said = stderr_of(function()
      for path, status in pairs { ["/bad"] = 500, ["/abort"] = 409, ["/none"] = 404 } do
        local answer = client:get(path, { headers = { Origin = "https://a.example" } })
        assert.equal(status, answer.status)
        assert.equal("https://a.example", answer.headers["access-control-allow-origin"], path)
        assert.equal("Origin", answer.headers.vary, path)
      end
    end)
    expect.contains(said, "bad")
  end)

  test("asks a function", function()
    local client = cors_app { origins = function(origin) return origin:find "^https://ok" end }
    assert.equal("https://ok1", client:get("/x", { headers = { Origin = "https://ok1" } }).headers[
      "access-control-allow-origin"])
    assert.is_nil(client:get("/x", { headers = { Origin = "https://no" } }).headers["access-control-allow-origin"])
  end)

  test("refuses bad options", function()
    misused("would let every site act for a user", function() web.cors { credentials = true } end)
    misused("would let every site act for a user", function() web.cors { origins = { "*" }, credentials = true } end)
    misused("'origins' to 'cors'", function() web.cors { origins = { "a.example" } } end)
    misused("'origins' to 'cors'", function() web.cors { origins = { "https://a.example/" } } end)
    misused("'methods' to 'cors'", function() web.cors { methods = { "get" } } end)
    misused("'headers' to 'cors'", function() web.cors { headers = { "a b" } } end)
    misused("did you mean 'origins'?", function() web.cors { origin = "*" } end)
  end)
end)

local function proxied(list)
  local app = web.app()
  app:use(web.proxies(list))
  app:get("/", function(request) return { request.ip, request.scheme, request.url, request.host, request.id } end)
  local client = app:test_client()
  return function(headers)
    local got = client:get("/?q=1", { headers = headers }):json()
    return got[1], got[2], got[3], got[4], got[5]
  end
end

describe("a request", function()
  test("knows its client and its address without proxies, whatever headers say", function()
    local app = web.app()
    app:get("/{name}", function(request)
      return { request.ip, request.peer, request.scheme, request.url, request.host }
    end)
    local answer = app:test_client():get("/a%20b?x=%C3%BC", { headers = {
      Host = "example.com:81", ["X-Forwarded-For"] = "9.9.9.9", ["X-Forwarded-Proto"] = "https",
      Forwarded = "for=9.9.9.9;proto=https;host=evil" } })
    assert.same({ "127.0.0.1", "127.0.0.1", "http", "http://example.com:81/a%20b?x=%C3%BC", "example.com:81" },
      answer:json())
  end)

  test("is on a socket as in the test client", serving(function(app)
    app:get("/{name}", function(request) return { request.ip, request.scheme, request.url } end)
  end, function(session, _, server)
    assert.same({ "127.0.0.1", "http", server.url .. "/a%20b?x=1" }, assert(session:get("/a%20b?x=1")):json())
    local answer = assert(session:get("/x", { headers = { ["X-Forwarded-For"] = "9.9.9.9" } }))
    assert.same({ "127.0.0.1", "http", server.url .. "/x" }, answer:json())
  end))

  test("believes the proxies that the server names", serving(function(app)
    app:get("/", function(request) return { request.ip, request.scheme, request.url, request.id } end)
  end, function(session)
    local answer = assert(session:get("/", { headers = {
      ["X-Forwarded-For"] = "6.6.6.6, 1.2.3.4, 10.1.1.1", ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Host"] = "shop.example", ["X-Request-Id"] = "abc-123" } }))
    assert.same({ "1.2.3.4", "https", "https://shop.example/", "abc-123" }, answer:json())
  end, { proxies = { "127.0.0.0/8", "10.0.0.0/8" } }))
end)

describe("web.proxies", function()
  test("takes the last address that is no proxy", function()
    local client = proxied { "127.0.0.1", "10.0.0.0/8", "fd00::/8" }
    for text, expected in pairs {
      ["1.2.3.4"] = "1.2.3.4", ["6.6.6.6, 1.2.3.4"] = "1.2.3.4", ["6.6.6.6, 1.2.3.4, 10.0.0.7"] = "1.2.3.4",
      ["10.0.0.1, 10.0.0.2"] = "10.0.0.1", ["1.2.3.4:555"] = "1.2.3.4", ["[2001:db8::1]:80"] = "2001:db8::1",
      ["2001:db8::2, fd00::1, ::ffff:10.0.0.9"] = "2001:db8::2", ["unknown"] = "127.0.0.1", [""] = "127.0.0.1",
      ["1.2.3.4, rubbish"] = "127.0.0.1", ["1.2.3.999"] = "127.0.0.1",
    } do
      assert.equal(expected, (client { ["X-Forwarded-For"] = text }), text)
    end
  end)

  test("takes scheme and host from the same proxy", function()
    local client = proxied "127.0.0.1"
    local _, scheme, url, host = client { ["X-Forwarded-For"] = "6.6.6.6, 1.2.3.4",
      ["X-Forwarded-Proto"] = "http, https", ["X-Forwarded-Host"] = "evil, shop.example",
      ["X-Forwarded-Port"] = "8443" }
    assert.same({ "https", "https://shop.example:8443/?q=1", "shop.example:8443" }, { scheme, url, host })
    _, scheme, url = client { ["X-Forwarded-Proto"] = "https" }
    assert.same({ "https", "https://localhost/?q=1" }, { scheme, url })
    _, scheme, url = client { ["X-Forwarded-For"] = "1.2.3.4", ["X-Forwarded-Proto"] = "gopher",
      ["X-Forwarded-Host"] = "a b\"" }
    assert.same({ "http", "http://localhost/?q=1" }, { scheme, url })
  end)

  test("reads Forwarded where there is no X-Forwarded-For, or where it is told to", function()
    local client = proxied "127.0.0.1"
    local text = 'for=6.6.6.6, for="[2001:db8::5]:4711";proto=https;host="shop.example:444"'
    local ip, scheme, url = client { Forwarded = text }
    assert.same({ "2001:db8::5", "https", "https://shop.example:444/?q=1" }, { ip, scheme, url })
    assert.equal("1.2.3.4", (client { Forwarded = text, ["X-Forwarded-For"] = "1.2.3.4" }))
    local strict = proxied { "127.0.0.1", header = "Forwarded" }
    assert.equal("2001:db8::5", (strict { Forwarded = text, ["X-Forwarded-For"] = "1.2.3.4" }))
    assert.equal("127.0.0.1", (strict { ["X-Forwarded-For"] = "1.2.3.4" }))
    local other = proxied { "127.0.0.1", header = "X-Forwarded-For" }
    assert.equal("127.0.0.1", (other { Forwarded = text }))
    for _, broken in ipairs { "for=_hidden", 'for="', ";;;,,,", "for", 'for="a\\' } do
      assert.equal("127.0.0.1", (client { Forwarded = broken }), broken)
    end
  end)

  test("believes nobody else", function()
    local client = proxied { "10.0.0.0/8", "127.0.0.2" }
    local ip, scheme, _, host, id = client { ["X-Forwarded-For"] = "1.2.3.4", ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Host"] = "evil", ["X-Request-Id"] = "mine" }
    assert.same({ "127.0.0.1", "http", "localhost" }, { ip, scheme, host })
    assert.are_not.equal("mine", id)
  end)

  test("refuses what is no network", function()
    for _, text in ipairs { "10.0.0.0/33", "x", "10.0.0", "::1/129", "1:2:3", "1::2::3", "" } do
      misused("'proxies' to 'proxies' (networks like \"10.0.0.0/8\" expected", function() web.proxies { text } end)
    end
    misused("'header'", function() web.proxies { "::1", header = "X-Real-Ip" } end)
  end)
end)

describe("web.limiter", function()
  test("answers 429 to a client that asks too often, and to nobody else", function()
    local app = web.app()
    app:use(web.proxies "127.0.0.1")
    app:use(web.limiter { rate = 2, per = 3600 })
    app:get("/", function() return "x" end)
    local client = app:test_client()
    local function ask(address) return client:get("/", { headers = { ["X-Forwarded-For"] = address } }) end
    assert.equal(200, ask("1.1.1.1").status)
    assert.equal(200, ask("1.1.1.1").status)
    local refused = ask("1.1.1.1")
    assert.equal(429, refused.status)
    assert.is_true(math.tointeger(refused.headers["retry-after"]) > 1000)
    assert.equal(200, ask("2.2.2.2").status)
  end)

  test("has other keys, and leaves out what has none", function()
    local app = web.app()
    local limit = web.limiter { rate = 1, per = 3600, burst = 1, key = function(request) return request.query.key end }
    app:get("/", { use = { limit } }, function() return "x" end)
    local client = app:test_client()
    for _ = 1, 3 do assert.equal(200, client:get("/").status) end
    assert.equal(200, client:get("/?key=a").status)
    assert.equal(429, client:get("/?key=a").status)
    assert.equal(200, client:get("/?key=b").status)
    misused("rate is missing", function() web.limiter {} end)
    misused("did you mean 'burst'?", function() web.limiter { rate = 1, brust = 1 } end)
  end)
end)

describe("a WebSocket", function()
  local function connects(spec, origin, host)
    local app = web.app()
    app:websocket("/ws", spec, function(ws) ws:send("hello") end)
    local ws, err = app:test_client():websocket("/ws", { headers = { Origin = origin, Host = host } })
    if not ws then return err.status end
    local _ <close> = ws
    return ws:receive()
  end

  test("is for pages of its own host, and programs", function()
    helper.run(function()
      assert.equal("hello", connects({}, nil))
      assert.equal("hello", connects({}, "http://localhost"))
      assert.equal("hello", connects({}, "https://shop.example:444", "shop.example:444"))
      assert.equal("hello", connects({}, "https://shop.example", "Shop.example"))
      for _, origin in ipairs { "https://evil.example", "null", "http://localhost.evil", "http://localhost:81" } do
        assert.equal(403, connects({}, origin), origin)
      end
    end)
  end)

  test("is for the pages that its spec names", function()
    helper.run(function()
      assert.equal("hello", connects({ origins = "*" }, "https://evil.example"))
      assert.equal("hello", connects({ origins = { "https://a.example" } }, "https://a.example"))
      assert.equal(403, connects({ origins = { "https://a.example" } }, "http://localhost"))
      assert.equal("hello", connects({ origins = function() return true end }, "x"))
    end)
    misused("'origins' to 'websocket'", function()
      web.app():websocket("/", { origins = { "evil" } }, function() end)
    end)
  end)
end)
