-- SPDX-License-Identifier: MIT
-- Web applications without a socket: routes, what handlers are given, and what they may answer.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local web = braid.web
local test = helper.test
local misused, stderr_of = expect.misused, expect.stderr_of

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
    assert.same({ name = "Jürgen a", id = -7 }, client:get("/users/J%C3%BCrgen%20a/posts/-7"):json())
    assert.equal(404, client:get("/users//posts/7").status)
    misused("'path' to 'request' (a string expected, got nil)", function() client:get() end)
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

  test("is matched after dots and empty segments are resolved", function()
    local app = web.app()
    app:get("/a/b", function(request) return request.path end)
    app:get("/", function() return "root" end)
    app:get("/a/", function() return "folder" end)
    local client = app:test_client()
    for _, path in ipairs { "/a/b", "//a//b", "/a/./b", "/x/../a/b", "/a/%2e/b", "/x/%2E%2e/a/b", "/../../a/b",
      "http://host/a/b", "/%61/%62" } do
      assert.equal("/a/b", client:get(path).body, path)
    end
    for _, path in ipairs { "/", "//", "/.", "/..", "/a/..", "http://host", "/a/../" } do
      assert.equal("root", client:get(path).body, path)
    end
    for _, path in ipairs { "/a/", "/a/.", "/a/b/..", "/a//", "/a/./" } do
      assert.equal("folder", client:get(path).body, path)
    end
  end)

  test("takes an escaped slash or NUL only as {name:raw}", function()
    local app = web.app()
    app:get("/raw/{name:raw}/end", function(request) return request.params.name end)
    app:get("/plain/{name}", function(request) return request.params.name end)
    app:get("/rest/{rest:path}", function(request) return request.params.rest end)
    local client = app:test_client()
    assert.equal("a%2fb%20c", client:get("/raw/a%2fb%20c/end").body)
    assert.equal("a%20b", client:get("/raw/a%20b/end").body)
    assert.equal("%00", client:get("/raw/x/../%00/end").body)
    assert.equal(400, client:get("/raw/%2f/../x/end").status)
    assert.equal("a b%2F", client:get("/plain/a%20b%252F").body)
    for _, path in ipairs { "/plain/a%2Fb", "/plain/a%00b", "/rest/a/b%2fc", "/nowhere%2f", "/raw/a/end%2F", "/a%zz",
      "/a%4" } do
      assert.equal(400, client:get(path).status, path)
    end
    assert.equal(404, client:get("/nowhere").status)
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
    misused("{id}", app.get, app, "/users/:id", nothing)
    misused("a string expected, got 42", app.get, app, 42, nothing)
    misused("no folder", app.static, app, "/a", "/no/such/folder")
    misused("'prefix' to 'static'", app.static, app, nil, ".")
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

describe("what stands behind an answer", function()
  test("is its status, and then headers", function()
    local app = web.app()
    app:get("/missing", function() return { error = "no such item" }, 404 end)
    app:get("/made", function() return "made", 201, { Location = "/x" } end)
    app:get("/empty", function() return nil, 202 end)
    app:get("/headers", function() return { 1 }, nil, { ["X-A"] = "b" } end)
    app:get("/text", function() return "text", print end)
    app:get("/float", function() return "text", 200.5 end)
    app:get("/range", function() return "text", 99 end)
    app:get("/twice", function() return web.response { status = 200 }, 201 end)
    app:get("/list", function() return "text", 200, "X" end)
    local client = app:test_client()
    assert.equal(404, client:get("/missing").status)
    assert.same({ error = "no such item" }, client:get("/missing"):json())
    local made = client:get("/made")
    assert.same({ 201, "made", "/x" }, { made.status, made.body, made.headers.location })
    assert.equal(202, client:get("/empty").status)
    local headers = client:get("/headers")
    assert.same({ 200, "b" }, { headers.status, headers.headers["x-a"] })
    for _, path in ipairs { "/text", "/float", "/range", "/twice", "/list" } do
      stderr_of(function() assert.equal(500, client:get(path).status, path) end)
    end
  end)
end)

describe("request:after", function()
  test("is called when the answer is there; its failures are reported", function()
    local app, log, failures = web.app(), {}, {}
    app:get("/", function(request)
      request:after(function() error "first" end)
      request:after(function() log[#log + 1] = "second" end)
      log[#log + 1] = "answered"
      return "x"
    end)
    app:get("/wrong", function(request) request:after(5) end)
    braid.on_unhandled(function(err) failures[#failures + 1] = tostring(err) end)
    finally(function() braid.on_unhandled() end)
    local client = app:test_client()
    assert.equal("x", client:get("/").body)
    assert.same({ "answered", "second" }, log)
    assert.equal(1, #failures)
    assert.is_truthy(failures[1]:find("first", 1, true))
    stderr_of(function() assert.equal(500, client:get("/wrong").status) end)
  end)
end)

describe("a test client", function()
  test("has a server's limits and a browser's cookies", function()
    local app = web.app()
    app:post("/small", function(request) return tostring(#request.body) end, { max_body = 10 })
    app:post("/plain", function(request) return tostring(#request.body) end)
    app:get("/login", function()
      return "", 200, { ["Set-Cookie"] = { "a=1; Path=/", "b=2; Path=/deep", "c=3; Max-Age=60" } }
    end)
    app:get("/logout", function() return "", 200, { ["Set-Cookie"] = "a=; Path=/; Max-Age=0" } end)
    app:get("/{rest:path}", function(request) return request.headers.cookie or "none" end)
    local client = app:test_client()
    assert.equal("10", client:post("/small", { body = ("x"):rep(10) }).body)
    assert.equal(413, client:post("/small", { body = ("x"):rep(11) }).status)
    assert.equal(413, client:post("/plain", { body = ("x"):rep((1 << 20) + 1) }).status)
    assert.equal(400, client:get("/%zz").status)
    assert.equal("none", client:get("/who").body)
    assert.same({ "a=1; Path=/", "b=2; Path=/deep", "c=3; Max-Age=60" }, client:get("/login"):values "Set-Cookie")
    assert.equal("a=1; c=3", client:get("/who").body)
    assert.equal("a=1; b=2; c=3", client:get("/deep/er").body)
    assert.equal("a=1; c=3", client:get("/deeper").body)
    assert.equal("z=9", client:get("/who", { headers = { Cookie = "z=9" } }).body)
    client:get("/logout")
    assert.equal("c=3", client:get("/who").body)
    assert.equal("none", app:test_client():get("/who").body)
  end)
end)

describe("middleware", function()
  test("that returns nothing is told so", function()
    local app = web.app()
    app:use(function(request, next) next(request) end)
    app:get("/", function() return "x" end)
    local written = stderr_of(function() assert.equal(500, app:test_client():get("/").status) end)
    assert.is_truthy(written:find("a middleware returned nothing", 1, true), written)
  end)

  test("sees the path that the routes see", function()
    local app = web.app()
    app:use(function(request, next)
      if request.path:sub(1, 6) == "/admin" then return "no", 401 end
      return next(request)
    end)
    app:get("/admin/users", function() return "SECRET" end)
    for _, path in ipairs { "/admin/users", "/%61dmin/users", "//admin/users", "/x/../admin/users", "/./admin/users",
      "http://h/admin/users", "/admin%2fusers" } do
      assert.not_equal("SECRET", app:test_client():get(path).body, path)
    end
  end)

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
