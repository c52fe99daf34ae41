-- SPDX-License-Identifier: MIT
-- What routes ask of requests and promise of answers: schemas, checks, coercion.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local web = braid.web
local null, array = braid.null, braid.json.array

-- A client of an application with one route, which answers with what was checked.
local function client_of(path, spec, handler)
  local app = web.app()
  app:post(path, spec, handler or function(request) return request.valid end)
  return app:test_client()
end

-- The failures as "place message", sorted.
local function failures_of(answer)
  assert.equal(422, answer.status, answer.body)
  local list = {}
  for i, failure in ipairs(answer:json().errors) do list[i] = failure.at .. " " .. failure.message end
  table.sort(list)
  return list
end

-- What a body of JSON becomes, or its failures.
local function body(schema, value)
  return run(function()
    local client = client_of("/", { body = schema }, function(request) return { value = request.valid.body } end)
    local answer = client:post("/", { json = value })
    if answer.status == 200 then return answer:json().value end
    return nil, failures_of(answer)
  end)
end

local function query(fields, text, spec)
  return run(function()
    spec = spec or {}
    spec.query = fields
    local answer = client_of("/", spec):post("/?" .. text)
    if answer.status == 200 then return answer:json().query end
    return nil, failures_of(answer)
  end)
end

describe("a query", function()
  test("is read as its schema says", function()
    local fields = {
      q = "string?", limit = { "integer", min = 1, max = 100, default = 20 }, ratio = "number?", deep = "boolean?",
      tag = { "array?", items = "string" }, ids = { "array", items = { "integer", max = 9 }, default = {} },
    }
    assert.same({ limit = 20, ids = array {} }, query(fields, ""))
    assert.same({ q = "a b", limit = 5, ratio = 0.5, deep = true, tag = array { "x", "y" }, ids = array { 1, 2 } },
      query(fields, "q=a+b&limit=5&ratio=.5&deep=1&tag=x&tag=y&ids=1&ids=2&unknown=1"))
    local value, failures = query(fields, "limit=0&ratio=nan&deep=maybe&ids=1&ids=10&ids=x")
    assert.is_nil(value)
    assert.same({
      "/query/deep must be true or false", "/query/ids/1 must be at most 9", "/query/ids/2 must be an integer",
      "/query/limit must be at least 1", "/query/ratio must be a number",
    }, failures)
    for _, text in ipairs { "0x10", "1.0", "1e2", "99999999999999999999", "", "+1", " 1" } do
      assert.same({ "/query/limit must be an integer" }, select(2, query(fields, "limit=" .. text:gsub("+", "%%2B"))))
    end
    assert.same({ "/query/q must be UTF-8" }, select(2, query(fields, "q=%ff")))
    for text, truth in pairs { ["true"] = true, no = false, ON = true, ["0"] = false } do
      assert.equal(truth, query({ x = "boolean" }, "x=" .. text).x)
    end
  end)

  test("says what is missing, and what is unknown if it is strict", function()
    assert.same({ "/query/q is missing" }, select(2, query({ q = "string" }, "x=1")))
    assert.same({ "/query/x is unknown" }, select(2, query({ q = "string?" }, "x=1", { strict = true })))
    assert.same({ "/query/x~1~0? is unknown" }, select(2, query({ strict = true, q = "string?" }, "x/~%ff=1")))
    assert.same({ "/query/x is unknown" },
      select(2, query({ "object", strict = true, fields = { q = "string?" } }, "x=1")))
  end)
end)

describe("a body", function()
  local item = { "object", fields = {
    name = { "string", min = 1, max = 5 }, price = { "number", min = 0 },
    tags = { "array?", items = "string", max = 2 },
    size = { w = "integer", h = { "integer", default = 1 } }, kind = { "string", enum = { "a", "b" }, default = "a" },
    done = "boolean?",
  } }

  test("is copied with its defaults, without what the schema does not name", function()
    assert.same({ name = "größe", price = 1, size = { w = 2, h = 1 }, kind = "a" },
      body(item, { name = "größe", price = 1, size = { w = 2.0 }, other = 5, done = null }))
    assert.same({ name = "x", price = 1.5, size = { w = 2, h = 3 }, kind = "b", tags = array {}, done = false },
      body(item, { name = "x", price = 1.5, size = { w = 2, h = 3 }, kind = "b", tags = array {}, done = false }))
  end)

  test("tells all its failures by place", function()
    local _, failures = body(item, { name = "größer", price = -1, tags = { "a", 5, "c" }, size = { w = "2", h = null },
      kind = "c", done = 1 })
    assert.same({
      "/body/done must be true or false", "/body/kind must be one of a, b", "/body/name must have at most 5 characters",
      "/body/price must be at least 0", "/body/size/h must be an integer", "/body/size/w must be an integer",
      "/body/tags must have at most 2 items",
    }, failures)
    assert.same({ "/body/items/0/name is missing", "/body/items/2/name must be a string" }, select(2, body(
      { items = { "array", items = { name = "string" } } }, { items = { { x = 1 }, { name = "a" }, { name = 5 } } })))
    assert.same({ "/body must be an object" }, select(2, body(item, { 1, 2 })))
    assert.same({ "/body must be an object" }, select(2, body(item, "text")))
    assert.same({ "/body must be a list" }, select(2, body({ "array" }, { a = 1 })))
    assert.same({ "/body/a~1b must be an integer" }, select(2, body({ ["a/b"] = "integer" }, { ["a/b"] = "x" })))
  end)

  test("can be of any kind, also one that stands in itself", function()
    assert.equal(5, body("integer", 5))
    assert.same({ "/body must be an integer" }, select(2, body("integer", 5.5)))
    assert.same({ a = { 1, { b = true } } }, body("object", { a = { 1, { b = true } } }))
    assert.same({ a = 1, b = 2 }, body({ "object", items = "integer" }, { a = 1, b = 2 }))
    assert.same({ "/body/b must be an integer" }, select(2, body({ "object", items = "integer" }, { a = 1, b = "x" })))
    assert.same({ x = array { 1, null } }, body({ x = { "array", items = "integer?" } }, { x = { 1, null } }))
    assert.same({ any = array { 1 } }, body({ any = "any" }, { any = { 1 } }))
    local node = { "object", fields = { name = "string" } }
    node.fields.children = { "array?", items = node }
    assert.same({ name = "a", children = array { { name = "b" } } },
      body(node, { name = "a", children = { { name = "b", x = 1 } } }))
    assert.same({ "/body/children/0/children/0/name is missing" },
      select(2, body(node, { name = "a", children = { { name = "b", children = { { x = 1 } } } } })))
  end)

  test("is refused when it is strict and has more", function()
    local inner = { "object?", fields = { c = "integer" } }
    local strict = { "object", fields = { a = "integer", b = inner }, strict = true }
    assert.same({ a = 1, b = { c = 2 } }, body(strict, { a = 1, b = { c = 2, d = 3 } }))
    assert.same({ "/body/z is unknown" }, select(2, body(strict, { a = 1, z = 1 })))
  end)

  test("has formats and patterns", function()
    local good = {
      date = { "2024-02-29", "2000-02-29" }, ["date-time"] = { "2024-01-31T23:59:60Z", "2024-01-31t00:00:00.5+02:00" },
      time = { "12:00:00Z" }, email = { "ada.b+c@example.org" }, uuid = { "123e4567-e89b-12d3-a456-426614174000" },
      uri = { "https://example.org/a?b=c" }, hostname = { "a-b.example" }, ipv4 = { "192.0.2.255" },
      ipv6 = { "::", "2001:db8::1", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8" }, byte = { "aGk=", "" },
      password = { "x" },
    }
    local bad = {
      date = { "2023-02-29", "2024-13-01", "1900-02-29", "2024-1-1", "" }, ["date-time"] = { "2024-01-31", "x" },
      time = { "24:00:00Z", "12:00:00" }, email = { "ada", "a@b", "a b@c.de", "a@b@c.de", ".a@b.de", "a@b.de\n" },
      uuid = { "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g" }, uri = { "/a", "a b:c" },
      hostname = { "-a", "a..b", "" }, ipv4 = { "256.1.1.1", "1.2.3", "01.2.3.4" },
      ipv6 = { ":", "1:2:3", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "1.2.3.4" }, byte = { "a", "a$==" },
    }
    for format, values in pairs(good) do
      for _, value in ipairs(values) do assert.equal(value, body({ "string", format = format }, value), format) end
    end
    for format, values in pairs(bad) do
      for _, value in ipairs(values) do
        assert.same({ "/body must be of the format " .. format }, select(2, body({ "string", format = format }, value)),
          format .. ": " .. value)
      end
    end
    assert.equal("a1", body({ "string", pattern = "^%l%d$" }, "a1"))
    assert.same({ "/body must match the pattern ^%l%d$" }, select(2, body({ "string", pattern = "^%l%d$" }, "a12")))
    assert.same({ "/body must fit the format int32" }, select(2, body({ "integer", format = "int32" }, 1 << 31)))
  end)

  test("is 400 when it is broken, 415 when it is something else, 422 when it is missing", function()
    run(function()
      local client = client_of("/", { body = { a = "integer" } })
      assert.equal(400, client:post("/", { body = "{" }).status)
      assert.same({ "/body is missing" }, failures_of(client:post("/")))
      assert.same({ "/body must be an object" }, failures_of(client:post("/", { body = "null" })))
      assert.equal(415, client:post("/", { form = { a = 1 } }).status)
      for _, kind in ipairs { "application/json; charset=utf-8", "application/vnd.api+json", "Application/JSON" } do
        assert.equal(200, client:post("/", { body = '{"a":1}', headers = { ["Content-Type"] = kind } }).status)
      end
      local optional = client_of("/", { body = { "object?", fields = { a = "integer" } } })
      assert.same({}, optional:post("/"):json())
      assert.same({}, optional:post("/", { body = "null" }):json())
      assert.same({ body = { a = 1 } }, optional:post("/", { json = { a = 1 } }):json())
    end)
  end)

  test("full of mistakes gives a short answer", function()
    local list = {}
    for i = 1, 5000 do list[i] = { name = i } end
    local _, failures = body({ "array", items = { name = "string" } }, list)
    assert.equal(100, #failures)
  end)
end)

describe("worker processes", function()
  test("have the same checks", function()
    run(function()
      local app = web.app()
      local node = { "object", fields = { name = { "string", max = 5 }, n = { "integer", default = 3 } } }
      node.fields.children = { "array?", items = node }
      local spec = { params = { id = { "integer", max = 9 } }, body = node, response = node }
      app:post("/{id:int}", spec, function(request) return request.valid.body end)
      app:openapi()
      app:use(web.compress { min_size = 1 })
      local server <close> = assert(app:start { port = 0, workers = 2 })
      local session <close> = braid.http.session { base_url = server.url }
      local answer = assert(session:post("/5", { json = { name = "a", x = 1, children = { { name = "b" } } } }))
      assert.same({ name = "a", n = 3, children = array { { name = "b", n = 3 } } }, answer:json())
      assert.equal(422, assert(session:post("/10", { json = { name = "abcdef" } })).status)
      local document = assert(session:get "/openapi.json"):json()
      assert.equal("#/components/schemas/Schema",
        document.paths["/{id}"].post.requestBody.content["application/json"].schema["$ref"])
      expect.contains(assert(session:get "/docs").body, "<!doctype html>")
    end)
  end, { deadline = 30 })
end)

describe("a hostile request", function()
  -- What fn takes, in seconds of the processor.
  local function time(fn)
    local began = os.clock()
    fn()
    return os.clock() - began
  end

  test("is checked in linear time", function()
    run(function()
      local app = web.app()
      local spec = { form = {
        n = "number?", i = "integer?", d = { "string?", format = "date-time" }, v = { "string?", format = "ipv6" },
        e = { "string?", format = "email" }, h = { "string?", format = "hostname" }, u = { "string?", format = "uri" },
        b = { "string?", format = "byte" },
      } }
      app:post("/", spec, function() return {} end)
      app:get("/{x:number}", function(request) return request.cookies end)
      local client = app:test_client()
      for name, value in pairs {
        n = ("1"):rep(500000) .. "x", i = ("1"):rep(500000), d = ("T"):rep(500000) .. " ", v = (":"):rep(300000),
        e = ("a"):rep(250000) .. "@" .. ("a."):rep(125000), h = ("a."):rep(250000), u = ("a"):rep(500000),
        b = ("="):rep(300000),
      } do
        assert.is_true(time(function()
          assert.equal(422, client:post("/", { form = { [name] = value } }).status, name)
        end) < 2 * helper.slowness, name)
      end
      assert.is_true(time(function()
        assert.equal(404, client:get("/" .. ("1"):rep(100000) .. "x").status)
        assert.equal(200, client:get("/1", { headers = { Cookie = ("a"):rep(100000) } }).status)
      end) < 2 * helper.slowness)
    end)
  end, { deadline = 60 })

  test("gets a short answer, however deep its mistake is", function()
    run(function()
      local node = { "object", fields = {} }
      node.items = node
      local client = client_of("/", { body = node })
      local name = ("x"):rep(2000)
      local body_text = ('{"%s":'):format(name):rep(400) .. "1" .. ("}"):rep(400)
      local answer
      assert.is_true(time(function() answer = client:post("/", { body = body_text }) end) < 2 * helper.slowness)
      assert.equal(422, answer.status)
      assert.is_true(#answer.body < 10000)
    end)
  end)
end)

describe("parameters, headers and forms", function()
  test("are checked, all at once", function()
    run(function()
      local client = client_of("/{id}/{n:int}", {
        params = { id = { "string", max = 3 }, n = { "integer", max = 5 } },
        headers = { x_token = "string", ["x-count"] = "integer?" }, query = { q = "string" },
      })
      assert.same({ params = { id = "abc", n = 5 }, headers = { x_token = "t", ["x-count"] = 2 }, query = { q = "1" } },
        client:post("/abc/5?q=1", { headers = { ["X-Token"] = "t", ["X-Count"] = "2" } }):json())
      assert.same({ "/headers/x_token is missing", "/params/id must have at most 3 characters",
        "/params/n must be at most 5", "/query/q is missing" }, failures_of(client:post("/abcd/6")))
    end)
  end)

  test("of a page: what was left empty is absent", function()
    run(function()
      local client = client_of("/", { form = {
        name = "string", age = "integer?", tags = { "array?", items = "integer" }, one = "string?",
      } })
      local kind = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      assert.same({ name = "", tags = array { 1, 2 } },
        client:post("/", { body = "name=&age=&tags=1&tags=2", headers = kind }):json().form)
      assert.same({ tags = array { 7 }, name = "a" }, client:post("/", { form = { name = "a", tags = 7 } }):json().form)
      assert.same({ "/form/age must be an integer", "/form/name is missing", "/form/tags/0 must be an integer" },
        failures_of(client:post("/", { form = { age = "x", tags = "y" } })))
    end)
  end)
end)

describe("an answer", function()
  test("has only what its schema names", function()
    run(function()
      local stored = { id = 1.0, secret = "s", tags = {}, note = null, inner = { a = 1, b = 2 } }
      local schema = {
        id = "integer", tags = { "array", items = "string" }, note = "string?", inner = { a = "integer" },
      }
      local client = client_of("/", { response = schema }, function() return stored end)
      local answer = client:post("/")
      assert.equal(200, answer.status)
      assert.same({ id = 1, tags = array {}, note = null, inner = { a = 1 } }, answer:json())
      assert.equal("s", stored.secret)
      client = client_of("/", { response = schema, status = 201 }, function()
        return web.response { body = stored, status = 202 }
      end)
      answer = client:post("/")
      assert.same({ 202, nil }, { answer.status, answer:json().secret })
    end)
  end)

  test("that does not fit is a 500, and only the log says why", function()
    run(function()
      local client = client_of("/", { response = { list = { "array", items = { id = "integer" } } } }, function()
        return { list = { { id = 1 }, { id = "secret" } } }
      end)
      local answer
      local said = expect.stderr_of(function() answer = client:post("/") end)
      assert.same({ 500, { error = "Internal Server Error" } }, { answer.status, answer:json() })
      expect.contains(said, "the answer does not fit its schema: /response/list/1/id must be an integer")
      client = client_of("/", { response = "string" }, function() return { 1 } end)
      said = expect.stderr_of(function() assert.equal(500, client:post("/").status) end)
      expect.contains(said, "/response must be a string")
    end)
  end)

  test("may have schemas by status, and a usual status", function()
    run(function()
      local status
      local schemas = { [201] = { id = "integer" }, [404] = { error = "string" } }
      local client = client_of("/", { status = 201, response = schemas }, function()
        return { id = 1, error = "no", x = 2 }, status
      end)
      local answer = client:post("/")
      assert.same({ 201, { id = 1 } }, { answer.status, answer:json() })
      status = 404
      assert.same({ error = "no" }, client:post("/"):json())
      status = 409
      assert.equal(2, client:post("/"):json().x)
      answer = client_of("/", { status = 202 }, function() return "text" end):post("/")
      assert.same({ 202, "text" }, { answer.status, answer.body })
      assert.equal(201, client_of("/", { status = 201 }, function() end):post("/").status)
    end)
  end)
end)

describe("a union", function()
  local cat = { "object", title = "Cat", fields = { kind = { "string", enum = { "cat" } }, lives = "integer" } }
  local dog = { "object", title = "Dog", fields = {
    kind = { "string", enum = { "dog" } }, name = { "string", min = 2 },
  } }

  local function answers(spec, ...)
    local app = web.app()
    app:post("/", spec, function(request) return { valid = request.valid } end)
    local results, requests = {}, { ... }
    run(function()
      local client = app:test_client()
      for i, request in ipairs(requests) do
        local answer = client:post(request.path or "/", { json = request.json })
        results[i] = { answer.status, answer:json().valid or answer:json().errors }
      end
    end)
    return results
  end

  test("takes the first alternative that fits", function()
    local pet = { "any", of = { cat, dog } }
    local results = answers({ body = { pet = pet, id = { "any?", of = { "integer", { "string", format = "uuid" } } } },
      query = { limit = { "any", of = { "integer", { "string", enum = { "all" } } }, default = "all" } } },
      { json = { pet = { kind = "cat", lives = 7, name = "x" }, id = 4 } },
      { json = { pet = { kind = "dog", name = "Rex" } }, path = "/?limit=5" },
      { json = { pet = { kind = "dog", name = "R" }, id = "x" }, path = "/?limit=many" },
      { json = { pet = 5, id = true } })
    assert.same({ { 200, { query = { limit = "all" }, body = { pet = { kind = "cat", lives = 7 }, id = 4 } } },
      { 200, { query = { limit = 5 }, body = { pet = { kind = "dog", name = "Rex" } } } } }, { results[1], results[2] })
    assert.same({ 422, braid.json.array {
      { at = "/query/limit", message = "must be an integer, or must be one of all" },
      { at = "/body/id", message = "must be an integer, or must be of the format uuid" },
      { at = "/body/pet/name", message = "must have at least 2 characters" },
    } }, results[3])
    assert.same({ 422, braid.json.array {
      { at = "/body/id", message = "must be an integer, or must be a string" },
      { at = "/body/pet", message = "must be an object" },
    } }, results[4])
  end)

  test("may be a whole body, the items of a list, and an answer", function()
    local app = web.app()
    app:post("/", { body = { "any", of = { { "array", items = { "any", of = { "integer", "boolean" } } }, cat } },
      response = { "any", of = { { "array" }, { id = "integer" } } } }, function(request)
      return request.valid.body[1] ~= nil and request.valid.body or { id = 1, secret = 2 }
    end)
    run(function()
      local client = app:test_client()
      assert.equal("[1,false]", client:post("/", { json = { 1, false } }).body)
      assert.equal('{"id":1}', client:post("/", { json = { kind = "cat", lives = 1 } }).body)
      assert.equal("/body/1", client:post("/", { json = { 1, "x" } }):json().errors[1].at)
    end)
  end)

  test("that stands in itself is checked in linear time", function()
    local node = { "any" }
    node.of = { { kind = { "string", enum = { "a" } }, child = "any?" }, { kind = { "string", enum = { "b" } } } }
    node.of[1].child = { "any?", of = { { "object", fields = { a = node } }, { "object", fields = { b = node } } } }
    node.of[2].child = node.of[1].child
    local value = { kind = "c" }
    for i = 1, 40 do value = { kind = "b", child = { [i % 2 == 0 and "a" or "b"] = value } } end
    local results = answers({ body = node }, { json = value })
    assert.equal(422, results[1][1])
  end)

  test("is misuse where it makes no sense", function()
    local function route(spec)
      return function() web.app():post("/", spec, print) end
    end
    expect.misused("'of' is empty", route { body = { "any", of = {} } })
    expect.misused("list what it may be", route { body = { "any", of = { "any" } } })
    expect.misused("the '?' belongs", route { body = { "any", of = { "string?" } } })
    expect.misused('schema \'query.x\': "object" cannot be here',
      route { query = { x = { "any", of = { "integer", "object" } } } })
    expect.misused("there is no type", route { body = { "any", of = { "integer", "strin" } } })
    expect.misused("default", route { body = { a = { "any", of = { "integer" }, default = "x" } } })
  end)
end)

describe("a mistake in a schema", function()
  local function refuses(part, spec, path)
    expect.misused(part, function() web.app():post(path or "/", spec, print) end)
  end

  test("is misuse where the route is made", function()
    refuses([[there is no type "strin" (did you mean "string"?)]], { body = { name = "strin" } })
    refuses("schema 'body.name'", { body = { name = { "string", minimum = 5 } } })
    refuses("unknown option 'mx' to 'body.name' (did you mean 'max'?)", { body = { name = { "string", mx = 5 } } })
    refuses("'min' is 5, more than 'max', 4", { query = { name = { "string", min = 5, max = 4 } } })
    refuses("the default must be at most 4", { query = { n = { "integer", max = 4, default = 5 } } })
    refuses([[did you mean "email"]], { body = { "string", format = "emial" } })
    refuses("is no Lua pattern", { body = { "string", pattern = "[a" } })
    refuses("in 'enum' is no integer", { body = { "integer", enum = { 1, "2" } } })
    refuses("is an object", { query = { "string" } })
    refuses([["object" cannot be here]], { query = { a = { b = "string" } } })
    refuses([["array" cannot be here]], { headers = { a = { "array" } } })
    refuses("there is no {ids} in \"/{id}\" (did you mean 'id'?)", { params = { ids = "integer" } }, "/{id}")
    refuses("a body or a form, not both", { body = "string", form = { a = "string" } })
    refuses("unknown option 'qury' to 'post' (did you mean 'query'?)", { qury = {} })
    refuses("200 to 599 expected, got 99", { status = 99 })
    refuses("its key", { response = { [200] = "string", x = "string" } })
  end)
end)
