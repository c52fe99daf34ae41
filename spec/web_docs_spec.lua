-- SPDX-License-Identifier: MIT
-- The documents of web applications: the description by OpenAPI, and its page in a browser.
local chromium = require "spec.chromium"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run
local web = braid.web
local array, null = braid.json.array, braid.null

-- What stands at /openapi.json of an application.
local function document_of(app)
  return run(function() return app:test_client():get("/openapi.json"):json() end)
end

local function operation(method, path, spec)
  local app = web.app():openapi()
  app[method](app, path, spec, print)
  local document = document_of(app)
  return document.paths[path:gsub(":%l+", "")][method], document
end

describe("app:openapi", function()
  test("describes parameters, bodies and answers", function()
    local item = { "object", title = "Item", description = "A thing", fields = {
      name = { "string", min = 1, max = 9, pattern = "^%w+$", example = "a" }, price = { "number?", min = 0 },
      kind = { "string?", enum = { "a", "b" } }, tags = { "array", items = "string", max = 3, default = {} },
    } }
    local told, document = operation("put", "/items/{id:int}/{name}", {
      summary = "Put", description = "Long", tags = { "items" }, deprecated = true, status = 201, name = "put_item",
      params = { name = { "string", max = 5, description = "which" } },
      query = { limit = { "integer", min = 1, default = 20 }, tag = { "array?", items = "string" }, q = "string" },
      headers = { x_token = "string" }, body = item, response = { [201] = item, [404] = { error = "string" } },
    })
    assert.same({ "put_item", "Put", "Long", array { "items" }, true },
      { told.operationId, told.summary, told.description, told.tags, told.deprecated })
    assert.same(array {
      { name = "id", ["in"] = "path", required = true, schema = { type = "integer" } },
      { name = "name", ["in"] = "path", required = true, description = "which",
        schema = { type = "string", maxLength = 5 } },
      { name = "limit", ["in"] = "query", schema = { type = "integer", minimum = 1, default = 20 } },
      { name = "q", ["in"] = "query", required = true, schema = { type = "string" } },
      { name = "tag", ["in"] = "query", schema = { type = "array", items = { type = "string" } } },
      { name = "x-token", ["in"] = "header", required = true, schema = { type = "string" } },
    }, told.parameters)
    local reference = { ["$ref"] = "#/components/schemas/Item" }
    assert.same({ required = true, content = { ["application/json"] = { schema = reference } } }, told.requestBody)
    assert.same(reference, told.responses["201"].content["application/json"].schema)
    assert.equal("Not Found", told.responses["404"].description)
    assert.same({ ["$ref"] = "#/components/schemas/Errors" },
      told.responses["422"].content["application/json"].schema)
    assert.same({
      type = "object", title = "Item", description = "A thing", required = array { "name" }, properties = {
        name = { type = "string", minLength = 1, maxLength = 9, pattern = "^[A-Za-z0-9]+$", examples = array { "a" },
          ["x-lua-pattern"] = "^%w+$" },
        price = { type = array { "number", "null" }, minimum = 0 },
        kind = { type = array { "string", "null" }, enum = array { "a", "b", null } },
        tags = { type = "array", items = { type = "string" }, maxItems = 3, default = array {} },
      },
    }, document.components.schemas.Item)
    assert.same({ openapi = "3.1.0", info = { title = "API", version = "0.1.0" } },
      { openapi = document.openapi, info = document.info })
  end)

  test("describes forms, texts, schemas that stand in themselves, and strict ones", function()
    local told = operation("post", "/f", { form = { a = "string", file = { "string", format = "binary" } } })
    local schema = { type = "object", required = array { "a", "file" },
      properties = { a = { type = "string" }, file = { type = "string", format = "binary" } } }
    assert.same({ required = true, content = { ["application/x-www-form-urlencoded"] = { schema = schema },
      ["multipart/form-data"] = { schema = schema } } }, told.requestBody)
    told = operation("get", "/t", { response = "string" })
    assert.same({ ["200"] = { description = "OK", content = { ["text/plain"] = { schema = { type = "string" } } } } },
      told.responses)
    local node = { "object", strict = true, fields = { name = "string" } }
    node.fields.next, node.fields.all = node, { "object?", items = "integer" }
    local _, document = operation("post", "/n", { body = node, response = node })
    local reference = { ["$ref"] = "#/components/schemas/Schema" }
    assert.same({ type = "object", additionalProperties = false, required = array { "name", "next" }, properties = {
      name = { type = "string" }, next = reference,
      all = { type = array { "object", "null" }, additionalProperties = { type = "integer" } },
    } }, document.components.schemas.Schema)
    assert.is_nil(document.components.schemas.Schema2)
  end)

  test("describes alternatives", function()
    local cat, dog = { "object", title = "Cat", fields = { a = "integer" } }, { b = "string" }
    local told, document = operation("post", "/u", {
      body = { "any", of = { cat, dog } }, query = { n = { "any?", of = { "integer", "string" } } },
      response = { x = { "any?", of = { cat, "boolean" } } },
    })
    local reference = { ["$ref"] = "#/components/schemas/Cat" }
    assert.same({ anyOf = array { reference,
      { type = "object", required = array { "b" }, properties = { b = { type = "string" } } } } },
      told.requestBody.content["application/json"].schema)
    assert.same({ anyOf = array { { type = "integer" }, { type = "string" } } }, told.parameters[1].schema)
    assert.same({ anyOf = array { reference, { type = "boolean" }, { type = "null" } } },
      told.responses["200"].content["application/json"].schema.properties.x)
    assert.same({ "Cat", "Errors" }, (function(names)
      for name in pairs(document.components.schemas) do names[#names + 1] = name end
      table.sort(names)
      return names
    end) {})
  end)

  test("describes security", function()
    local app = web.app()
    local schemes = { bearer = { type = "http", scheme = "bearer" },
      key = { type = "apiKey", name = "X-Key", ["in"] = "header" } }
    app:openapi { security = schemes }
    app:get("/a", { security = { "bearer", "key" } }, print):get("/b", print)
    local document = document_of(app)
    assert.same(array { { bearer = array {} }, { key = array {} } }, document.paths["/a"].get.security)
    assert.is_nil(document.paths["/b"].get.security)
    assert.same(schemes, document.components.securitySchemes)
    expect.misused("key: a scheme of OpenAPI", function()
      web.app():openapi { security = { key = { type = "apiKey", name = "X-Key" } } }
    end)
    app:get("/c", { security = { "other" } }, print)
    run(function() assert.equal(500, app:test_client():get("/openapi.json").status) end)
  end)

  test("knows later routes, groups and mounted applications, and no hidden ones", function()
    local app, inner = web.app(), web.app()
    app:openapi { title = "Shop", version = "2", description = "D", servers = { { url = "https://x" } },
      path = "/api.json", page = false }
    app:get("/a", print):get("/secret", { hidden = true }, print):websocket("/ws", print):static("/files", "docs")
    app:group("/g/{org}"):delete("/x", print)
    app:any("/any", print):metrics():health()
    run(function()
      local client = app:test_client()
      local document = client:get("/api.json"):json()
      assert.same({ ["/a"] = true, ["/g/{org}/x"] = true }, (function(set)
        for path in pairs(document.paths) do set[path] = true end
        return set
      end) {})
      assert.same({ title = "Shop", version = "2", description = "D" }, document.info)
      assert.equal("https://x", document.servers[1].url)
      inner:get("/b/{id:int}", print)
      app:mount("/sub/{tenant}", inner)
      local described = client:get("/api.json"):json().paths["/sub/{tenant}/b/{id}"].get
      assert.same({ "tenant", "id" }, { described.parameters[1].name, described.parameters[2].name })
      assert.equal(404, client:get("/docs").status)
    end)
    run(function()
      local outer, shop = web.app(), web.app():openapi { title = "Shop" }
      shop:get("/a-b", print):get("/a_b", print)
      outer:mount("/shop", shop)
      local client = outer:test_client()
      local document = client:get("/shop/openapi.json"):json()
      assert.equal("/shop", document.servers[1].url)
      assert.same({ "get_a_b", "get_a_b2" },
        { document.paths["/a-b"].get.operationId, document.paths["/a_b"].get.operationId })
      expect.contains(client:get("/shop/docs").body, 'data-source="/shop/openapi.json"')
    end)
    expect.misused("did you mean 'title'?", function() web.app():openapi { titel = "x" } end)
  end)

  test("translates patterns", function()
    local regular = require("braid.web.pattern").regular
    for pattern, expected in pairs {
      ["^%d+$"] = "^[0-9]+$", ["%a-b"] = "[A-Za-z]*?b", ["[%w_]+"] = "[A-Za-z0-9_]+", ["[^%s]?"] = "[^\\s]?",
      ["%S%."] = "[^\\s]\\.", ["(a)()b$c"] = "(a)b\\$c", ["a|b{2}"] = "a\\|b\\{2\\}", ["[]%]]"] = "[\\]\\]]",
      ["."] = "[\\s\\S]", ["x/y^"] = "x\\/y\\^", ["%-"] = "-", [""] = "",
    } do
      assert.equal(expected, regular(pattern), pattern)
    end
    for _, pattern in ipairs { "%bxy", "%f[%a]x", "(a)%1", "[%S]" } do assert.is_nil(regular(pattern), pattern) end
  end)
end)

-- ---- the page -------------------------------------------------------------------------------------------------------

local EVIL = "<img src=x onerror=\"window.evil = true\"></script><script>window.evil = true</script>"

local function page_app()
  local app = web.app():openapi { title = "Test " .. EVIL, version = "1", description = EVIL,
    security = { [EVIL] = { type = "apiKey", name = "X-Key", ["in"] = "header" } } }
  app:post("/items/{id:int}", { summary = EVIL, tags = { EVIL }, status = 201, params = { id = { "integer", max = 9 } },
    query = { tag = { "array?", items = "string" }, kind = { "string?", enum = { "a", "b" } } },
    headers = { x_trace = "string?" },
    body = { "object", title = EVIL, fields = { name = { "string", min = 1, description = EVIL } } },
  }, function(request)
    return { valid = request.valid, evil = EVIL, auth = request.headers.authorization }
  end)
  app:post("/upload", { form = { title = "string", file = { "array", items = { "string", format = "binary" } } } },
    function(request)
      local files = {}
      for file in request:files() do files[#files + 1] = file.filename .. "=" .. file:read() end
      return { files = table.concat(files, ","), title = request.valid.form.title }
    end)
  app:get("/text/{rest:path}", { query = { q = "string" } }, function(request)
    return request.params.rest .. " " .. request.valid.query.q
  end)
  local cat, dog = { "object", title = EVIL, fields = { lives = "integer" } }, { name = "string" }
  app:post("/union", {
    security = { EVIL }, query = { n = { "any?", of = { "integer", { "string", enum = { "all" } } } } },
    body = { pet = { "any", of = { cat, dog } } },
  }, function(request)
    return { pet = request.valid.body.pet, n = request.valid.query.n, key = request.headers["x-key"] }
  end)
  return app
end

-- Opens an operation of the page.
local function open(browser, id)
  browser:wait(("document.getElementById('%s')"):format(id))
  browser:value(("document.getElementById('%s').open = true"):format(id))
  browser:wait(("document.querySelector('#%s .send')"):format(id))
end

local function set(browser, id, name, value)
  browser:value(("document.querySelector('#%s [name=\"%s\"]').value = %s"):format(id, name,
    braid.json.encode(value)))
end

-- Sends, and gives the status and the text of the answer.
local function send(browser, id)
  browser:value(("document.querySelector('#%s .send').click()"):format(id))
  browser:wait(("document.querySelector('#%s .answer .status') && !document.querySelector('#%s .send').disabled")
    :format(id, id))
  return browser:value(("document.querySelector('#%s .answer .status').textContent"):format(id)),
    browser:value(("(document.querySelector('#%s .answer .body') || {}).textContent"):format(id))
end

local function try_out(browser)
  local id = "post_items_id"
  open(browser, id)
  browser:value "document.getElementById('authorization').value = 'Bearer x'"
  set(browser, id, "id", "5")
  set(browser, id, "tag", "one\ntwo two")
  set(browser, id, "kind", "b")
  set(browser, id, "x-trace", "t")
  set(browser, id, "body", '{"name": "größe"}')
  local status, text = send(browser, id)
  assert.equal("201", status)
  local answer = braid.json.decode(text)
  assert.same({ params = { id = 5 }, query = { tag = array { "one", "two two" }, kind = "b" },
    headers = { x_trace = "t" }, body = { name = "größe" } }, answer.valid)
  assert.same({ EVIL, "Bearer x" }, { answer.evil, answer.auth })
  set(browser, id, "id", "10")
  set(browser, id, "body", '{"name": ""}')
  assert.equal("422", (send(browser, id)))
  assert.same({ "/name must have at least 1 character", "must be at most 9" }, {
    browser:value(("document.querySelector('#%s textarea[name=body] + .wrong-text').textContent"):format(id)),
    browser:value(("[...document.querySelectorAll('#%s .field .wrong-text')].map((e) => e.textContent).join('')")
      :format(id)),
  })
end

local function upload(browser)
  open(browser, "post_upload")
  set(browser, "post_upload", "title", "T")
  browser:value [[(() => {
    const files = new DataTransfer();
    files.items.add(new File(["one"], "a.txt"));
    files.items.add(new File(["two"], "b.txt"));
    document.querySelector("#post_upload [name=file]").files = files.files;
  })()]]
  local status, text = send(browser, "post_upload")
  assert.equal("200", status)
  assert.same({ files = "a.txt=one,b.txt=two", title = "T" }, braid.json.decode(text))
end

local function try_alternatives(browser)
  local id = "post_union"
  open(browser, id)
  assert.equal('{"pet":{"lives":0}}', browser:value(
    ("JSON.stringify(JSON.parse(document.querySelector('#%s [name=body]').value))"):format(id)))
  assert.equal(EVIL .. " or object",
    browser:value(("document.querySelector('#%s .schema li .type').textContent"):format(id)))
  assert.equal(2, browser:value(("document.querySelectorAll('#%s .schema li li li').length"):format(id)))
  set(browser, id, "X-Key", "k")
  set(browser, id, "n", "all")
  set(browser, id, "body", '{"pet": {"name": "Rex"}}')
  local status, text = send(browser, id)
  assert.equal("200", status)
  assert.same({ pet = { name = "Rex" }, n = "all", key = "k" }, braid.json.decode(text))
end

local function check_layout(browser, width)
  browser:resize(width, 800, width < 600)
  assert.is_true(browser:value "document.documentElement.scrollWidth" <= width, "the page is wider than its window")
  assert.equal(width > 960, browser:value "getComputedStyle(document.getElementById('nav')).display !== 'none'")
end

describe("the page of an application", function()
  test("tries it out in a browser, on a desk and on a phone", function()
    run(function()
      local server <close> = assert(page_app():start { port = 0 })
      local browser <close> = chromium.open(server.url .. "/docs")
      if not browser then return pending "Chromium is not here" end
      browser:wait "document.querySelectorAll('.operation').length === 4"
      for _, width in ipairs { 1280, 390 } do
        check_layout(browser, width)
        try_out(browser)
      end
      upload(browser)
      try_alternatives(browser)
      open(browser, "get_text_rest")
      set(browser, "get_text_rest", "rest", "a b/$& c")
      set(browser, "get_text_rest", "q", "a&b=c")
      assert.same({ "200", "a b/$& c a&b=c" }, { send(browser, "get_text_rest") })
      local command = browser:value "document.querySelector('#get_text_rest .curl').textContent"
      expect.contains(command, "curl -H 'Authorization: Bearer x'")
      browser:value [[(() => { const search = byId("search"); search.value = "upload";
        search.dispatchEvent(new Event("input")); })()]]
      assert.equal(1, browser:value "document.querySelectorAll('.operation:not([hidden])').length")
      local dark = browser:value "getComputedStyle(document.body).backgroundColor"
      browser:value "byId('theme').click()"
      assert.not_equal(dark, browser:value "getComputedStyle(document.body).backgroundColor")
      assert.is_nil(browser:value "window.evil") -- nothing that a program or an answer says is HTML
    end)
  end, { deadline = 120 })
end)
