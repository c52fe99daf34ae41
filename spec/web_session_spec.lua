-- SPDX-License-Identifier: MIT
-- Cookies of answers, and signed sessions.
local base64 = require "braid.base64"
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local serving = require "spec.web_server".serving
local web = braid.web
local test = helper.test
local misused, stderr_of = expect.misused, expect.stderr_of

local function answer_with(set)
  local app = web.app()
  app:get("/", function()
    local answer = web.response { body = "x" }
    set(answer)
    return answer
  end)
  return app:test_client():get("/")
end

describe("set_cookie", function()
  test("writes the attributes", function()
    local answer = answer_with(function(response)
      response:set_cookie("a", "1"):set_cookie("b", 2, {
        path = "/x", domain = "example.com", max_age = 60, expires = 784111777, secure = true, http_only = true,
        same_site = "strict",
      })
    end)
    assert.same({
      "a=1; Path=/; SameSite=Lax",
      "b=2; Path=/x; Domain=example.com; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Secure; HttpOnly; "
        .. "SameSite=Strict",
    }, answer:values "set-cookie")
  end)

  test("replaces the same cookie, and removes one", function()
    local answer = answer_with(function(response)
      response:set_cookie("a", "1"):set_cookie("a", "2", { path = "/x" }):set_cookie("a", "3")
      response:set_cookie("gone", nil)
    end)
    assert.same({ "a=2; Path=/x; SameSite=Lax", "a=3; Path=/; SameSite=Lax",
      "gone=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=Lax" }, answer:values "set-cookie")
  end)

  test("refuses what would become something else", function()
    local response = web.response {}
    local function refused(part, ...) misused(part, response.set_cookie, response, ...) end
    for _, value in ipairs { "a;b", "a b", "a,b", "a\r\nX: y", "a\0b", 'a"b', "a\\b", "\xFF", "a\127" } do
      refused("the value of the cookie a cannot be", "a", value)
    end
    for _, name in ipairs { "", "a b", "a=b", "a;b", "a\n", "ä" } do refused("a cookie's name cannot be", name, "x") end
    refused("'path'", "a", "x", { path = "/a; Domain=b" })
    refused("'path'", "a", "x", { path = "a" })
    refused("'path'", "a", "x", { path = "/a\n" })
    refused("'domain'", "a", "x", { domain = "a.b; Secure" })
    refused("'same_site'", "a", "x", { same_site = "sometimes" })
    refused("needs secure = true", "a", "x", { same_site = "none" })
    refused("__Host-", "__Host-a", "x", { secure = true, path = "/a" })
    refused("__Secure-", "__Secure-a", "x")
    refused("did you mean 'max_age'?", "a", "x", { maxage = 1 })
    refused("cannot be a table", "a", {})
    refused("cannot be nil", nil, "x")
    assert.is_nil(response.headers["set-cookie"])
  end)

  test("comes back as request.cookies", serving(function(app)
    app:get("/set", function()
      return web.response { body = "" }:set_cookie("color", "blue"):set_cookie("size", "10", { path = "/" })
    end)
    app:get("/get", function(request) return request.cookies end)
  end, function(session)
    assert(session:get("/set"))
    assert.same({ color = "blue", size = "10" }, assert(session:get("/get")):json())
  end))
end)

-- An application that keeps what it is told in its session.
local function session_app(options)
  local app = web.app()
  app:use(web.sessions(options))
  app:get("/get", function(request) return request.session end)
  app:get("/set", function(request)
    for name, value in pairs(request.query) do request.session[name] = value end
    return request.session
  end)
  app:get("/clear", function(request)
    request.session = {}
    return "cleared"
  end)
  app:get("/renew", function(request)
    request:renew_session()
    return "renewed"
  end)
  app:get("/fail", function(request)
    request.session.failed = true
    error("no", 0)
  end)
  app:get("/abort", function(request)
    request.session.tries = (request.session.tries or 0) + 1
    web.abort(403)
  end)
  app:get("/not", function() return "x" end)
  return app
end

local SECRET = "a secret of thirty-two bytes....."

local function cookie_of(answer) return (answer:values "set-cookie"[1] or ""):match "^session=([^;]*)" end

local function with(client, cookie)
  return client:get("/get", { headers = { Cookie = "session=" .. cookie } }):json()
end

for _, kind in ipairs { "a cookie", "a store" } do
  local function make(options)
    options = options or {}
    options.secret = options.secret or SECRET
    if kind == "a store" then
      local data = options.data or {}
      options.data, options.store = nil, {
        get = function(id) return data[id] end,
        set = function(id, value) data[id] = value end,
        remove = function(id) data[id] = nil end,
      }
    else
      options.data = nil
    end
    return session_app(options)
  end

  describe("a session in " .. kind, function()
    test("is saved when it has changed, and is the client's own", function()
      local client = make():test_client()
      local first = client:get("/get")
      assert.same({}, first:json())
      assert.is_nil(first.headers["set-cookie"])
      assert.equal("Cookie", first.headers.vary)
      assert.is_nil(client:get("/not").headers.vary)
      local set = client:get("/set?a=1&b=x")
      assert.matches("^session=[%w_-]+%.[%w_-]+; Path=/; Max%-Age=1209600; HttpOnly; SameSite=Lax$",
        set:values "set-cookie"[1])
      local got = client:get("/get")
      assert.same({ a = "1", b = "x" }, got:json())
      assert.is_nil(got.headers["set-cookie"])
      assert.is_nil(client:get("/set?a=1").headers["set-cookie"])
      assert.is_truthy(client:get("/set?a=2").headers["set-cookie"])
    end)

    test("ends when it is emptied", function()
      local client = make():test_client()
      client:get("/set?a=1")
      assert.matches("^session=; Path=/; Max%-Age=0", client:get("/clear"):values "set-cookie"[1])
      assert.same({}, client:get("/get"):json())
      assert.is_nil(client:get("/clear").headers["set-cookie"])
    end)

    test("is not saved by a handler that fails, but by one that aborts", function()
      local client = make():test_client()
      stderr_of(function() assert.is_nil(client:get("/fail").headers["set-cookie"]) end)
      assert.same({}, client:get("/get"):json())
      client:get("/abort")
      assert.equal(403, client:get("/abort").status)
      assert.same({ tries = 2 }, client:get("/get"):json())
    end)

    test("is nobody's whose cookie was changed", function()
      local app = make()
      local cookie = cookie_of(app:test_client():get("/set?user=ann"))
      assert.same({ user = "ann" }, with(app:test_client(), cookie))
      local payload, signature = cookie:match "^(.*)%.(.*)$"
      local forged = base64.encode_url((base64.decode_url(payload):gsub("ann", "bob"):gsub("%w$", "x")))
      local bad = { forged .. "." .. signature, payload, payload .. ".", "." .. signature, payload .. "." .. payload,
        cookie .. "A", cookie:sub(1, -2), "", "a.b", ("x"):rep(5000), cookie:upper(), payload .. "%." .. signature }
      for i = 1, #cookie do -- each bit of the text in turn
        local c = cookie:byte(i)
        bad[#bad + 1] = cookie:sub(1, i - 1) .. string.char(c == 0x41 and 0x42 or 0x41) .. cookie:sub(i + 1)
      end
      for _, text in ipairs(bad) do
        if text ~= cookie then assert.same({}, with(app:test_client(), text), text) end
      end
      local other = make { secret = "another secret" }
      assert.same({}, with(other:test_client(), cookie))
      local named = make { cookie = "other" }
      assert.same({}, named:test_client():get("/get", { headers = { Cookie = "other=" .. cookie } }):json())
    end)

    test("lives through a change of secrets", function()
      local data = {}
      local old = cookie_of(make { secret = "old", data = data }:test_client():get("/set?a=1"))
      local both = make { secret = { "new", "old" }, data = data }:test_client()
      local answer = both:get("/get", { headers = { Cookie = "session=" .. old } })
      assert.same({ a = "1" }, answer:json())
      local new = cookie_of(answer) -- it is signed anew
      assert.same({ a = "1" }, with(make { secret = "new", data = data }:test_client(), new))
      assert.same({}, with(make { secret = "new", data = data }:test_client(), old))
    end)

    test("ends with time, and begins anew half the way", function()
      local app, time, now = make { max_age = 100 }, os.time, 1000000
      os.time = function(t) return t and time(t) or now end -- luacheck: ignore 122
      local _ <close> = setmetatable({}, { __close = function() os.time = time end }) -- luacheck: ignore 122
      local cookie = cookie_of(app:test_client():get("/set?a=1"))
      now = now + 40
      assert.is_nil(cookie_of(app:test_client():get("/get", { headers = { Cookie = "session=" .. cookie } })))
      now = now + 20
      local again = cookie_of(app:test_client():get("/get", { headers = { Cookie = "session=" .. cookie } }))
      now = now + 60
      assert.same({}, with(app:test_client(), cookie))
      assert.same({ a = "1" }, with(app:test_client(), again))
      now = now - 10000
      assert.same({}, with(app:test_client(), again))
    end)

    test("has a cookie of its own kind", function()
      local app = make { cookie = { name = "__Host-id", secure = true, same_site = "strict" }, max_age = 5 }
      assert.matches("^__Host%-id=[^;]+; Path=/; Max%-Age=5; Secure; HttpOnly; SameSite=Strict$",
        app:test_client():get("/set?a=1"):values "set-cookie"[1])
    end)

    test("refuses what cannot be kept", function()
      local app = make()
      app:get("/function", function(request)
        request.session.f = print
        return "x"
      end)
      local said = stderr_of(function() assert.equal(500, app:test_client():get("/function").status) end)
      expect.contains(said, "a session has to be what JSON can express")
    end)
  end)
end

describe("a session in a cookie", function()
  test("cannot be larger than browsers keep", function()
    local said = stderr_of(function()
      local answer = session_app { secret = SECRET }:test_client():get("/set?a=" .. ("x"):rep(4000))
      assert.equal(500, answer.status)
    end)
    expect.contains(said, "browsers keep 4096: use a store")
  end)
end)

describe("a session in a store", function()
  test("gets a new id when it is renewed, and loses the old one", function()
    local data, list = {}, {}
    local store = setmetatable({}, { __index = { -- an object with methods
      get = function(self, id) assert(self.own) return data[id] end,
      set = function(self, id, value, age) assert(self.own) data[id], list[#list + 1] = value, age end,
      remove = function(self, id) assert(self.own) data[id] = nil end,
    } })
    store.own = true
    local app = session_app { secret = SECRET, store = store, max_age = 77 }
    local client = app:test_client()
    local old = cookie_of(client:get("/set?a=1"))
    local new = cookie_of(client:get("/renew"))
    assert.are_not.equal(old, new)
    assert.same({ a = "1" }, client:get("/get"):json())
    assert.same({}, with(app:test_client(), old))
    assert.same({ 77, 77 }, list)
    client:get("/clear")
    assert.is_nil(next(data))
  end)

  test("of all workers may be a dict", serving(function(app)
    local dict = braid.dict()
    app:use(web.sessions { secret = SECRET, store = {
      get = function(id) return dict:get(id) end,
      set = function(id, value) dict:set(id, value) end,
      remove = function(id) dict:set(id, nil) end,
    } })
    app:get("/count", function(request)
      request.session.count = (request.session.count or 0) + 1
      return request.session
    end)
  end, function(session)
    for i = 1, 3 do assert.same({ count = i }, assert(session:get("/count")):json()) end
  end))
end)

describe("web.sessions", function()
  test("refuses bad options, and requests without it", function()
    misused("'secret' to 'sessions' (a secret text, or a list, expected, got nil)", function() web.sessions {} end)
    misused("'secret'", function() web.sessions { secret = {} } end)
    misused("'secret'", function() web.sessions { secret = "" } end)
    misused("'store.set' to 'sessions'", function() web.sessions { secret = "x", store = { get = print } } end)
    misused("'max_age'", function() web.sessions { secret = "x", max_age = 0 } end)
    misused("a cookie's name cannot be \"a b\"", function() web.sessions { secret = "x", cookie = "a b" } end)
    misused("did you mean 'secret'?", function() web.sessions { secrets = "x" } end)
    local app = web.app()
    app:get("/", function(request) return request.session end)
    local said = stderr_of(function() assert.equal(500, app:test_client():get("/").status) end)
    expect.contains(said, "request.session needs the middleware braid.web.sessions{...}")
  end)
end)
