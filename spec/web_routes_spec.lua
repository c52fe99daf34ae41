-- SPDX-License-Identifier: MIT
-- What an application is made of: groups, mounted applications, names of routes, hooks, and limits of single routes.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local web_server = require "spec.web_server"
local web = braid.web
local test, run, serving = helper.test, helper.run, web_server.serving
local misused, stderr_of, eventually = expect.misused, expect.stderr_of, expect.eventually

-- Middleware that notes its name before and after the rest.
local function noting(list, name)
  return function(request, next)
    list[#list + 1] = name
    local answer = next(request)
    list[#list + 1] = "/" .. name
    return answer
  end
end

describe("a group", function()
  test("puts its prefix before its paths, and its middleware around its handlers", function()
    local app, seen = web.app(), {}
    app:use(noting(seen, "app"))
    app:group("/admin", function(admin)
      admin:use(noting(seen, "admin"))
      admin:get("/users/{id:int}", { use = { noting(seen, "own") } }, function(request) return request.params end)
      local deep = admin:group("/deep", { use = { noting(seen, "deep") } })
      deep:get("", function() return "deep" end)
    end)
    app:get("/open", function() return "open" end)
    local client = app:test_client()
    assert.same({ id = 7 }, client:get("/admin/users/7"):json())
    assert.equal("app admin own /own /admin /app", table.concat(seen, " "))
    for i = #seen, 1, -1 do seen[i] = nil end
    assert.equal("deep", client:get("/admin/deep").body)
    assert.equal("app admin deep /deep /admin /app", table.concat(seen, " "))
    for i = #seen, 1, -1 do seen[i] = nil end
    assert.equal("open", client:get("/open").body)
    assert.equal(404, client:get("/admin/none").status)
    assert.equal("app /app app /app", table.concat(seen, " "))
  end)

  test("takes middleware after its routes, and after requests", function()
    local app, seen = web.app(), {}
    local group = app:group "/g"
    group:get("/", function() return "x" end)
    local client = app:test_client()
    assert.equal("x", client:get("/g/").body)
    group:use(noting(seen, "late"))
    assert.equal("x", client:get("/g/").body)
    assert.equal("late /late", table.concat(seen, " "))
  end)

  test("may refuse before the handler, also by abort", function()
    local app, called = web.app(), false
    local group = app:group("/private", { use = { function(request, next)
      if request.headers.authorization ~= "secret" then web.abort(401, "who are you?") end
      return next(request)
    end } })
    group:get("/x", function() called = true return "x" end)
    local client = app:test_client()
    local refused = client:get("/private/x")
    assert.same({ 401, { error = "who are you?" } }, { refused.status, refused:json() })
    assert.is_false(called)
    assert.equal("x", client:get("/private/x", { headers = { Authorization = "secret" } }).body)
  end)

  test("sees preflights for its paths, and may answer them", function()
    local app = web.app()
    app:group("/api", { use = { web.cors { origins = { "https://a.example" } } } }):put("/x", function() return "x" end)
    local answer = app:test_client():options("/api/x", { headers = {
      Origin = "https://a.example", ["Access-Control-Request-Method"] = "PUT" } })
    assert.equal(204, answer.status)
    assert.equal("https://a.example", answer.headers["access-control-allow-origin"])
    assert.equal("PUT, OPTIONS", app:test_client():options("/api/x").headers.allow)
  end)

  test("checks what it is given", function()
    local app = web.app()
    misused("'prefix' to 'group' (a path that begins with '/' expected, got \"x\")", function() app:group "x" end)
    misused("unknown option 'usee' to 'group' (did you mean 'use'?)", function() app:group("/x", { usee = {} }) end)
    misused("bad argument 'use' to 'get' (a function expected, got", function()
      app:get("/x", { use = { 1 } }, function() end)
    end)
    misused("unknown option 'timout' to 'get' (did you mean 'timeout'?)", function()
      app:get("/x", { timout = 1 }, function() end)
    end)
    misused("call it with a colon", function() app.group("/x") end)
  end)
end)

describe("a mounted application", function()
  test("sees the path below its prefix, and the prefix", function()
    local app, shop, seen = web.app(), web.app(), {}
    local function tell(request) return { request.mount, request.path, request.params.id or "-" } end
    shop:use(noting(seen, "shop"))
    shop:get("/", tell)
    shop:get("/items/{id:int}", tell)
    shop:get("/files/{id:raw}", tell)
    app:mount("/shop", shop)
    app:use(function(request, next)
      local answer = next(request)
      seen[#seen + 1] = request.path .. tostring(request.mount)
      return answer
    end)
    local client = app:test_client()
    assert.same({ "/shop", "/", "-" }, client:get("/shop"):json())
    assert.same({ "/shop", "/", "-" }, client:get("/shop/"):json())
    assert.same({ "/shop", "/items/7", 7 }, client:get("/shop/items/7"):json())
    assert.same({ "/shop", "/files/a%2Fb", "a%2Fb" }, client:get("/shop/files/a%2Fb"):json())
    assert.equal("/shop/items/7nil", seen[9])
    assert.equal(404, client:get("/shopping").status)
    assert.equal(404, client:get("/shop/none").status)
    assert.equal(405, client:post("/shop/items/7").status)
    assert.equal("GET, HEAD", client:post("/shop/items/7").headers.allow)
  end)

  test("may be below a parameter, in a group, and in another one", function()
    local inner, middle, app = web.app(), web.app(), web.app()
    inner:get("/me/{id:int}", function(request)
      return { request.mount, request.path, request.params.tenant, request.params.id }
    end)
    middle:mount("/in", inner)
    app:group("/api"):mount("/{tenant}", middle)
    app:get("/api/x/in/me/1", function() return "own" end)
    local client = app:test_client()
    assert.same({ "/api/a b/in", "/me/3", "a b", 3 }, client:get("/api/a%20b/in/me/3"):json())
    assert.equal("own", client:get("/api/x/in/me/1").body) -- routes of the outer one go first
  end)

  test("has its own hooks, else those around it", function()
    local app, with, without = web.app(), web.app(), web.app()
    app:not_found(function(request) return "outer: nothing at " .. request.path end)
    app:on_error(function(err) return "outer: " .. tostring(err), 500 end)
    with:not_found(function() return "inner: nothing" end)
    with:on_error(function(err) return "inner: " .. tostring(err), 502 end)
    for _, each in ipairs { with, without } do each:get("/bad", function() error("bad", 0) end) end
    app:mount("/with", with):mount("/without", without)
    local client = app:test_client()
    local function got(path)
      local answer = client:get(path)
      return answer.status .. " " .. answer.body
    end
    assert.equal("404 inner: nothing", got "/with/x")
    assert.equal("404 outer: nothing at /x", got "/without/x")
    assert.equal("502 inner: bad", got "/with/bad")
    assert.equal("500 outer: bad", got "/without/bad")
  end)

  test("starts and stops with the other one, and has its own limits of bodies", function()
    run(function()
      local app, inner, calls = web.app(), web.app(), {}
      inner:on_start(function() calls[#calls + 1] = "start" end)
      inner:on_stop(function() calls[#calls + 1] = "stop" end)
      inner:post("/big", { max_body = 2000000 }, function(request) return #request.body .. "" end)
      inner:post("/pieces", { stream_body = true }, function(request)
        local size = 0
        for piece in request:chunks() do size = size + #piece end
        return size .. ""
      end)
      app:mount("/a", inner):mount("/b", inner)
      do
        local server <close> = assert(app:start { port = 0 })
        local session <close> = braid.http.session { base_url = server.url }
        assert.equal("1500000", assert(session:post("/a/big", { body = ("x"):rep(1500000) })).body)
        assert.equal("70000", assert(session:post("/b/pieces", { body = ("x"):rep(70000) })).body)
      end
      assert.same({ "start", "stop" }, calls)
    end)
  end)

  test("sees its own path in its streams, too", function()
    local app, inner, seen = web.app(), web.app(), {}
    inner:get("/write/{id}", function(request)
      return web.response { stream = function(write) write(request.mount .. " " .. request.params.id) end }
    end)
    inner:get("/pieces/{id}", function(request)
      local left = 2
      return web.response { stream = function()
        left = left - 1
        return left >= 0 and request.path or nil
      end }
    end)
    app:use(function(request, next)
      local answer = next(request)
      seen[#seen + 1] = request.path
      return answer
    end)
    app:mount("/in", inner)
    local client = app:test_client()
    assert.equal("/in 7", client:get("/in/write/7").body)
    assert.equal("/pieces/8/pieces/8", client:get("/in/pieces/8").body)
    assert.same({ "/in/write/7", "/in/pieces/8" }, seen)
  end)

  test("has WebSockets, as groups have", function()
    run(function()
      local app, chat, seen = web.app(), web.app(), {}
      chat:websocket("/{room}", { use = { noting(seen, "own") } }, function(ws, request)
        ws:send(request.mount .. " " .. request.params.room)
      end)
      app:group("/api", { use = { noting(seen, "group") } }):mount("/chat", chat)
      local ws <close> = assert(app:test_client():websocket "/api/chat/tea")
      assert.equal("/api/chat tea", (ws:receive(5)))
      assert.equal("group own /own /group", table.concat(seen, " "))
    end)
  end)

  test("must be an application, and another one", function()
    local app = web.app()
    misused("'app' to 'mount' (a braid.web.app() expected, got a table)", function() app:mount("/x", {}) end)
    misused("cannot be mounted in itself", function() app:mount("/x", app) end)
  end)
end)

describe("url_for", function()
  test("fills the path in, and puts the rest into the query", function()
    local app, shop = web.app(), web.app()
    app:get("/items/{id:int}/{name}", { name = "item" }, function() end)
    app:get("/files/{rest:path}", { name = "file" }, function() end)
    app:group("/g"):websocket("/chat", { name = "chat" }, function() end)
    shop:get("/cart/{id}", { name = "cart" }, function() end)
    app:mount("/shop", shop)
    assert.equal("/items/7/J%C3%BCrgen%20%2F", app:url_for("item", { id = 7, name = "Jürgen /" }))
    assert.equal("/items/7/x?b=1%202&q=%26", app:url_for("item", { id = 7.0, name = "x", q = "&", b = "1 2" }))
    assert.equal("/files/a/b%20c", app:url_for("file", { rest = "a/b c" }))
    assert.equal("/g/chat", app:url_for "chat")
    assert.equal("/shop/cart/x", app:url_for("cart", { id = "x" }))
  end)

  test("refuses what it does not know", function()
    local app = web.app()
    app:get("/items/{id:int}", { name = "item" }, function() end)
    misused("no route is called \"x\"", function() app:url_for "x" end)
    misused("needs the parameter \"id\" (an integer expected, got nil)", function() app:url_for "item" end)
    misused("an integer expected, got", function() app:url_for("item", { id = "x" }) end)
    misused("two routes are called \"item\"", function() app:get("/x", { name = "item" }, function() end) end)
  end)
end)

describe("on_error", function()
  test("answers for a failed handler, and is given the error itself", function()
    local app, seen = web.app(), nil
    app:on_error(function(err, request)
      seen = err
      return { path = request.path }, 503, { ["X-Way"] = "hook" }
    end)
    local failure = { code = 7 }
    app:get("/bad", function() error(failure) end)
    app:get("/gone", function() web.abort(410) end)
    local client = app:test_client()
    local said = stderr_of(function()
      local answer = client:get("/bad")
      assert.same({ 503, { path = "/bad" }, "hook" }, { answer.status, answer:json(), answer.headers["x-way"] })
    end)
    assert.equal(failure, seen)
    assert.equal("", said)
    assert.equal(410, client:get("/gone").status)
  end)

  test("leaves the answer to the usual one by returning nothing, or by failing", function()
    local app = web.app()
    app:on_error(function(err) if err == "worse" then error("in the hook", 0) end end)
    app:get("/{what}", function(request) error(request.params.what, 0) end)
    local client = app:test_client()
    local said = stderr_of(function()
      assert.equal(500, client:get("/bad").status)
      assert.equal(500, client:get("/worse").status)
    end)
    assert.is_truthy(said:find("GET /bad failed: bad", 1, true), said)
    assert.is_truthy(said:find("in the hook", 1, true) and said:find("worse", 1, true), said)
  end)

  test("has 500 as its status, and sees what middleware raises", function()
    local app = web.app()
    app:on_error(function(err) return "hook: " .. tostring(err) end)
    app:use(function(request, next)
      if request.query.fail then error("in the middleware", 0) end
      return next(request)
    end)
    app:get("/", function() return "fine" end)
    local answer = app:test_client():get("/?fail=1")
    assert.same({ 500, "hook: in the middleware" }, { answer.status, answer.body })
  end)
end)

describe("not_found", function()
  test("answers for missing routes with 404, inside of the middleware", function()
    local app, seen = web.app(), {}
    app:use(noting(seen, "app"))
    app:get("/x", function() return "x" end)
    app:not_found(function(request) return { nothing = request.path } end)
    local answer = app:test_client():get("/none")
    assert.same({ 404, { nothing = "/none" } }, { answer.status, answer:json() })
    assert.equal("app /app", table.concat(seen, " "))
    app:not_found(function() return "come here", 302, { Location = "/x" } end)
    assert.equal(302, app:test_client():get("/none").status)
    assert.equal(405, app:test_client():post("/x").status)
  end)
end)

describe("a route's limit", function()
  test("of time answers 504 and cancels the handler", serving(function(app)
    app:get("/slow", { timeout = 0.05 }, function()
      local _ <close> = setmetatable({}, { __close = function() app.ended = true end })
      braid.sleep(60)
    end)
    app:get("/quick", { timeout = 60 }, function() return "quick" end)
  end, function(session, app)
    local answer = assert(session:get("/slow"))
    assert.equal(504, answer.status)
    assert.is_true(app.ended)
    assert.equal("quick", assert(session:get("/quick")).body)
  end))

  test("of concurrency refuses what is too much, until an answer is sent", serving(function(app)
    app.gate = braid.event()
    app:get("/one", { concurrency = 1 }, function()
      return web.response { stream = function(write)
        write("a")
        app.gate:wait()
        write("b")
      end }
    end)
  end, function(session, app, server)
    local first = braid.spawn(function() return assert(session:get("/one")).body end)
    eventually(function() return server:stats().requests == 1 end)
    local second = assert(session:get("/one"))
    assert.same({ 503, "1" }, { second.status, second.headers["retry-after"] })
    app.gate:set()
    assert.equal("ab", first:result())
    assert.equal(200, assert(session:get("/one")).status)
  end))

  test("of time is instead of the server's", serving(function(app)
    app:get("/long", { timeout = 60 }, function() braid.sleep(0.4) return "long" end)
    app:get("/usual", function() braid.sleep(60) end)
  end, function(session)
    assert.equal("long", assert(session:get("/long")).body)
    assert.equal(504, assert(session:get("/usual")).status)
  end, { request_timeout = 0.15 }))

  test("of concurrency ends with a client that leaves, and with a limit of time", serving(function(app)
    app:get("/one", { concurrency = 1 }, function(request)
      if request.query.wait then braid.sleep(60) end
      return "x"
    end)
  end, function(session, _, server)
    local stream = web_server.connect(server)
    stream:write "GET /one?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    eventually(function() return server:stats().requests == 1 end)
    assert.equal(503, assert(session:get("/one")).status)
    stream:close()
    eventually(function() return assert(session:get("/one")).status == 200 end)
    assert.equal(504, assert(session:get("/one?wait=1")).status)
    assert.equal(200, assert(session:get("/one")).status)
  end, { request_timeout = 0.1 }))

  test("of the body is its own", serving(function(app)
    app:post("/small", { max_body = 3 }, function(request) return request.body end)
  end, function(session)
    assert.equal("abc", assert(session:post("/small", { body = "abc" })).body)
    assert.equal(413, assert(session:post("/small", { body = "abcd" })).status)
  end))
end)
