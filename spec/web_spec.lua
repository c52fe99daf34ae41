-- SPDX-License-Identifier: MIT
-- The web server: routes, what handlers are given and may answer, and what happens on a socket.
local helper = require "spec.helper"
local braid = require "braid"
local web = braid.web
local test, run = helper.test, helper.run

-- ---- tools ----------------------------------------------------------------------------------------------------------

local function misused(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error was raised")
  assert.is_true(braid.is_error(err, "misuse"), tostring(err))
  assert.is_truthy(tostring(err):find("web_spec.lua:%d"), tostring(err))
  assert.is_truthy(tostring(err):find(part, 1, true), tostring(err))
end

-- What fn writes to stderr through Lua.
local function stderr_of(fn)
  local real, written = io.stderr, {}
  io.stderr = { write = function(_, ...) written[#written + 1] = table.concat { ... } end } -- luacheck: ignore
  local ok, err = pcall(fn)
  io.stderr = real -- luacheck: ignore
  if not ok then error(err, 0) end
  return table.concat(written), #written
end

-- Calls fn(session, app, server) with the app on a socket; `prepare` adds the routes.
local function serving(prepare, fn, options)
  return function()
    run(function()
      local app = web.app()
      prepare(app)
      local given = { port = 0 }
      for name, value in pairs(options or {}) do given[name] = value end
      local server <close> = assert(app:start(given))
      local session <close> = braid.http.session { base_url = server.url, timeout = 5 }
      fn(session, app, server)
    end)
  end
end

-- Sends bytes, and gives what comes back until the server closes the connection.
local function raw(server, text)
  local script = 'exec 3<>/dev/tcp/127.0.0.1/$0 && cat >&3 && cat <&3'
  local command = { "bash", "-c", script, tostring(server.port) }
  return assert(braid.process.run(command, { stdin = text, timeout = 5 })).stdout
end

local function eventually(fn)
  local deadline = braid.now() + 3 * helper.slowness
  while not fn() do
    assert.is_true(braid.now() < deadline, "it did not happen")
    braid.sleep(0.01)
  end
end

local function hello(app)
  app:get("/hello", function() return { hello = "world" } end)
end

-- ---- without a socket -----------------------------------------------------------------------------------------------

describe("a route", function()
  test("is found by method and path", function()
    local app = web.app()
    for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
      app[method](app, "/x", function(request) return request.method .. " " .. request.path end)
    end
    local client = app:test_client()
    for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
      assert.equal(method:upper() .. " /x", client[method](client, "/x").body)
    end
  end)

  test("has parameters, decoded", function()
    local app = web.app()
    app:get("/users/{name}/posts/{id:int}", function(request) return request.params end)
    local client = app:test_client()
    assert.same({ name = "Jürgen a/b", id = -7 }, client:get("/users/J%C3%BCrgen%20a%2Fb/posts/-7"):json())
    assert.equal(404, client:get("/users//posts/7").status)
    assert.equal(404, client:get("/users/a/posts").status)
    assert.equal(404, client:get("/users/a/posts/7/").status)
  end)

  test("with {id:int} is no other's when that is no integer", function()
    local app = web.app()
    app:get("/items/{id:int}", function(request) return { kind = math.type(request.params.id) } end)
    local client = app:test_client()
    assert.equal("integer", client:get("/items/42"):json().kind)
    for _, id in ipairs { "x", "4.2", "1e3", "0x10", "99999999999999999999", "%2042", "--4" } do
      assert.equal(404, client:get("/items/" .. id).status, id)
    end
  end)

  test("that says more goes first, whatever the order", function()
    local app = web.app()
    app:get("/{any}", function() return "any" end)
    app:get("/{id:int}", function() return "int" end)
    app:get("/me", function() return "me" end)
    app:post("/{any}", function() return "posted" end)
    local client = app:test_client()
    assert.equal("me", client:get("/me").body)
    assert.equal("int", client:get("/7").body)
    assert.equal("any", client:get("/you").body)
    assert.equal("posted", client:post("/me").body)
    assert.equal("posted", client:post("/7").body)
  end)

  test("is matched after decoding", function()
    local app = web.app()
    app:get("/café/100%", function() return "here" end)
    assert.equal("here", app:test_client():get("/caf%C3%A9/100%25").body)
  end)

  test("for any method leaves those that have their own", function()
    local app = web.app()
    app:any("/x", function(request) return "any " .. request.method end)
    app:get("/x", function() return "get" end)
    local client = app:test_client()
    assert.equal("get", client:get("/x").body)
    assert.equal("any PUT", client:put("/x").body)
  end)

  test("that is missing is 404, with another method 405 and Allow", function()
    local app = web.app()
    app:get("/x", function() return "" end)
    app:post("/x", function() return "" end)
    local client = app:test_client()
    assert.equal(404, client:get("/y").status)
    assert.same({ error = "Not Found" }, client:get("/y"):json())
    local response = client:delete("/x")
    assert.equal(405, response.status)
    assert.equal("GET, HEAD, POST", response.headers.Allow)
  end)

  test("answers HEAD as GET, without the body", function()
    local app = web.app()
    app:get("/x", function(request) return request.method end)
    local response = app:test_client():head("/x")
    assert.equal(200, response.status)
    assert.equal("", response.body)
  end)

  test("that cannot be is refused where it is made", function()
    local app = web.app()
    local function nothing() end
    app:get("/x", nothing)
    misused("GET /x has a handler already", app.get, app, "/x", nothing)
    misused("begins with '/'", app.get, app, "x", nothing)
    misused("whole segment", app.get, app, "/a{id}", nothing)
    misused("whole segment", app.get, app, "/{}", nothing)
    misused("{name:int}", app.get, app, "/{id:float}", nothing)
    misused("two parameters", app.get, app, "/{a}/{a}", nothing)
    misused("a function expected, got nil", app.get, app, "/y")
  end)
end)

describe("a request", function()
  local app = web.app()
  app:any("/query", function(request) return request.query end)
  app:any("/all", function(request) return request:query_all("a") end)
  app:post("/json", function(request) return { got = request:json() } end)
  app:post("/body", function(request) return request.body end)
  app:get("/header", function(request) return request.headers["X-THING"] end)
  local client = app:test_client()

  test("has its query decoded", function()
    assert.same({ a = "1 2", b = "x&y=z", c = "", ["d e"] = "é", f = "%zz" },
      client:get("/query?a=1+2&b=x%26y%3Dz&c=&d%20e=%C3%A9&&f=%zz"):json())
    assert.same({}, client:get("/query"):json())
    assert.same({ a = "1" }, client:get("/query?a=1&a=2"):json())
    assert.same({ "1", "", "x" }, client:get("/all?a=1&b=2&a&a=x"):json())
    assert.same({ n = "7", t = "a b&" }, client:get("/query", { query = { n = 7, t = "a b&" } }):json())
  end)

  test("has its body, and that as JSON", function()
    assert.equal("a\0b", client:post("/body", { body = "a\0b" }).body)
    assert.same({ got = { list = { 1, 2 } } }, client:post("/json", { json = { list = { 1, 2 } } }):json())
    assert.equal(braid.null, client:post("/json", { body = "null" }):json().got)
  end)

  test("with a body that is not JSON is 400", function()
    for _, body in ipairs { "", "{", "nonsense" } do
      local response = client:post("/json", { body = body })
      assert.equal(400, response.status)
      assert.is_truthy(response:json().error:find("not JSON", 1, true))
    end
  end)

  test("has headers in any spelling", function()
    assert.equal("yes", client:get("/header", { headers = { ["x-Thing"] = "yes" } }).body)
    assert.equal(204, client:get("/header").status)
  end)
end)

describe("an answer", function()
  local function answer(fn)
    local app = web.app()
    app:get("/", fn)
    return app:test_client():get("/")
  end

  test("may be a table, a string, or nothing", function()
    local response = answer(function() return { a = { 1, 2 }, b = braid.null, c = true } end)
    assert.equal("application/json", response.headers["content-type"])
    assert.same({ a = { 1, 2 }, b = braid.null, c = true }, response:json())
    response = answer(function() return "text" end)
    assert.equal("text/plain; charset=utf-8", response.headers["Content-Type"])
    assert.equal("text", response.body)
    response = answer(function() end)
    assert.equal(204, response.status)
    assert.equal("", response.body)
  end)

  test("keeps integers whole", function()
    local value = { 12345678901234567, -1, 0.5, { math.mininteger }, { ["a/b"] = 1e300 } }
    local body = answer(function() return value end).body
    assert.equal('[12345678901234567,-1,0.5,[-9223372036854775808],{"a/b":1e+300}]', body)
  end)

  test("may choose its status, headers and body", function()
    local response = answer(function()
      return web.response {
        status = 201, headers = { location = "/x", ["set-cookie"] = { "a=1", "b=2" }, ["X-N"] = 7 }, body = { id = 1 },
      }
    end)
    assert.equal(201, response.status)
    assert.equal("/x", response.headers.Location)
    assert.equal("a=1, b=2", response.headers["Set-Cookie"])
    assert.equal("7", response.headers["x-n"])
    assert.same({ id = 1 }, response:json())
    response = answer(function() return web.response { headers = { ["Content-Type"] = "text/html" }, body = "<p>" } end)
    assert.equal("text/html", response.headers["content-type"])
    assert.equal("<p>", response.body)
    assert.equal(200, answer(function() return web.response {} end).status)
  end)

  test("can be given by abort, from any depth", function()
    local response = answer(function()
      local function deep() web.abort(403, "not you") end
      deep()
    end)
    assert.equal(403, response.status)
    assert.same({ error = "not you" }, response:json())
    assert.same({ error = "Conflict" }, answer(function() web.abort(409) end):json())
    assert.equal("moved", answer(function() error(web.response { status = 301, body = "moved" }) end).body)
  end)

  test("that fails is 500, with the traceback on stderr and not in the body", function()
    for _, fn in ipairs {
      function() error("secret") end,
      function() error { secret = true } end,
      function() return 42 end,
      function() return { secret = print } end,
      function() return web.response { headers = { ["X-Secret"] = "a\r\nb" } } end,
      function() web.abort(99) end,
    } do
      local response
      local written, writes = stderr_of(function() response = answer(fn) end)
      assert.equal(500, response.status)
      assert.same({ error = "Internal Server Error" }, response:json())
      assert.is_truthy(written:find("^braid: GET / failed: "), written)
      assert.equal(1, writes)
    end
    local written = stderr_of(function() answer(function() error("secret") end) end)
    assert.is_truthy(written:find("web_spec.lua:%d+: secret\nstack traceback:"), written)
  end)

  test("cannot be given a line of somebody else's", function()
    for _, value in ipairs { "a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b" } do
      misused("control character", web.response, { headers = { Location = value } })
      misused("control character", web.response, { headers = { Location = { value } } })
      misused("name", web.response, { headers = { [value] = "x" } })
    end
    misused("name", web.response, { headers = { [""] = "x" } })
    misused("server's own", web.response, { headers = { ["content-Length"] = "5" } })
    local response = web.response { headers = { Location = "/" } }
    misused("control character", function() response.headers.Other = "a\nb" end)
    response.headers.location = "a\nb" -- not seen until it is sent
    stderr_of(function() assert.equal(500, answer(function() return response end).status) end)
  end)

  test("is refused where it is made when it makes no sense", function()
    misused("unknown option 'state'", web.response, { state = 200 })
    misused("did you mean 'status'", web.response, { statsu = 200 })
    misused("200 to 599", web.response, { status = 100 })
    misused("bad option 'body'", web.response, { body = 5 })
    misused("a header", web.response, { headers = { [1] = "x" } })
    misused("200 to 599", web.abort, 1000)
    misused("message", web.abort, 400, {})
  end)
end)

describe("middleware", function()
  test("goes around routes, aborts and missing routes, first to last", function()
    local app = web.app()
    local log = {}
    app:use(function(request, next)
      log[#log + 1] = "a"
      local response = next(request)
      response.headers["X-Status"] = response.status
      return response
    end)
    app:use(function(request, next)
      log[#log + 1] = "b"
      if request.path == "/short" then return { short = true } end
      return next(request)
    end)
    app:get("/text", function() return "text" end)
    app:get("/abort", function() web.abort(402) end)
    local client = app:test_client()
    for path, status in pairs { ["/text"] = "200", ["/abort"] = "402", ["/nowhere"] = "404", ["/short"] = "200" } do
      log = {}
      assert.equal(status, client:get(path).headers["x-status"])
      assert.same({ "a", "b" }, log)
    end
    assert.same({ short = true }, client:get("/short"):json())
    assert.equal("text", client:get("/text").body)
  end)

  test("meets a handler's error, whose traceback is kept", function()
    local app = web.app()
    local value, met = { "mine" }, nil
    app:use(function(request, next)
      local ok, err = pcall(next, request)
      if ok then return err end
      met = err
      error(err, 0)
    end)
    local function culprit() error(value) end
    app:get("/", function() culprit() end)
    local written = stderr_of(function() assert.equal(500, app:test_client():get("/").status) end)
    assert.equal(value, met)
    assert.is_truthy(written:find("culprit", 1, true), written)
  end)
end)

-- ---- on a socket ----------------------------------------------------------------------------------------------------

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

  test("says so when an answer has too large headers", serving(function(app)
    app:get("/", function() return web.response { headers = { X = ("x"):rep(5000) } } end)
  end, function(session)
    local written = stderr_of(function() assert.equal(500, assert(session:get("/")).status) end)
    assert.is_truthy(written:find("4 KiB", 1, true), written)
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
      braid.sleep(0.1)
      running = running - 1
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
    assert.is_truthy(written:find("^127.0.0.1 GET /hello 200 17 [%d.]+ms\n"), written)
    assert.is_truthy(written:find("\n127.0.0.1 GET /no?where 404 21 ", 1, true), written)
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
    misused("'workers'", app.start, app, { workers = 4 })
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
