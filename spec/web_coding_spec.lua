-- SPDX-License-Identifier: MIT
-- Compression in the web server: answers, and bodies of requests.
local core = require "braid.core"
local expect = require "spec.expect"
local helper = require "spec.helper"
local web_server = require "spec.web_server"
local braid = require "braid"
local test, run = helper.test, helper.run
local serving = web_server.serving
local web = braid.web

local CODINGS = { "gzip", "br", "zstd" }

local function encoded(coding, text) return assert(core.web_encoder(coding, 0)):run(text, 2) end

local function decoded(coding, text)
  local decoder, pieces = assert(core.web_decoder(coding)), {}
  decoder:feed(text)
  repeat
    pieces[#pieces + 1] = assert(decoder:pull(65536))
  until pieces[#pieces] == ""
  assert.is_true(decoder:complete())
  return table.concat(pieces)
end

local function random_text(size)
  local pieces = {}
  for i = 1, size // 16 do pieces[i] = ("%016x"):format(math.random(0)) end
  return table.concat(pieces)
end

describe("an encoder", function()
  test("gives what a decoder understands, at all levels and in pieces", function()
    local text = ("The quick brown fox. "):rep(3000) .. random_text(100000)
    for _, coding in ipairs(CODINGS) do
      for _, level in ipairs { 0, 1, 5, 100 } do
        local encoder = core.web_encoder(coding, level)
        local small = encoder:run(text, 2)
        assert.is_true(#small < #text)
        assert.equal(text, decoded(coding, small))
        expect.raises("misuse", encoder.run, encoder, "x", 0)
      end
      local encoder, pieces, whole = core.web_encoder(coding, 0), {}, {}
      local decoder = core.web_decoder(coding)
      for i = 1, 20 do
        local piece = "piece " .. i .. random_text(i * 200)
        whole[i], pieces[i] = piece, encoder:run(piece, 1)
        decoder:feed(pieces[i])
        assert.equal(piece, decoder:pull(1 << 20)) -- what was flushed can be read
      end
      pieces[21] = encoder:run("", 2)
      assert.equal(table.concat(whole), decoded(coding, table.concat(pieces)))
      assert.equal("", decoded(coding, core.web_encoder(coding, 0):run("", 2)))
    end
    assert.is_nil(core.web_encoder("deflate", 0))
    assert.is_nil(core.web_encoder("", 0))
    assert.equal("zstd,br,gzip", (core.web_codings()))
  end)
end)

describe("web.compress", function()
  local text = ("compress me "):rep(500)

  local function prepare(app)
    app:use(web.compress())
    app:get("/text", function() return text end)
    app:get("/json", function() return { text = text } end)
    app:get("/small", function() return "small" end)
    app:get("/image", function()
      return web.response { body = text, headers = { ["Content-Type"] = "image/png", ETag = '"x"' } }
    end)
    app:get("/tag", function() return text, 200, { ETag = '"x"', Vary = "Cookie" } end)
    app:get("/fixed", function() return text, 200, { ["Cache-Control"] = "no-transform" } end)
    app:get("/coded", function() return text, 200, { ["Content-Encoding"] = "x" } end)
    app:get("/random", function()
      return (random_text(2000):gsub("..", function(two) return string.char(tonumber(two, 16) | 1) end))
    end)
    app:get("/stream", function()
      return web.response { headers = { ["Content-Type"] = "text/plain" }, stream = function(write)
        for i = 1, 5 do write(("line %d\n"):format(i):rep(100)) end
      end }
    end)
    app:get("/broken", function()
      return web.response { headers = { ["Content-Type"] = "text/plain" }, stream = function(write)
        write(text)
        error "broken"
      end }
    end)
    app:static("/files", "docs")
  end

  test("takes what the client likes best", function()
    local choose = require("braid.web.compress").choose
    local all = { "zstd", "br", "gzip" }
    for header, coding in pairs {
      ["gzip"] = "gzip", ["gzip, br"] = "br", ["gzip, deflate, br, zstd"] = "zstd", ["*"] = "zstd",
      ["gzip;q=1.0, zstd;q=0.5"] = "gzip", ["zstd;q=0, *"] = "br", ["GZIP ; q=0.5"] = "gzip",
      ["identity, gzip;q=0.5"] = "none", [""] = "none", ["deflate"] = "none", ["gzip;q=0"] = "none",
      ["gzip;q=x"] = "none", ["*;q=0.1, identity;q=0"] = "zstd",
    } do
      assert.equal(coding, choose(header, all) or "none", header)
    end
    assert.is_nil(choose(nil, all))
  end)

  test("compresses texts, JSON, streams and files", function()
    run(function()
      local app = web.app()
      prepare(app)
      local client = app:test_client()
      for _, coding in ipairs(CODINGS) do
        local function get(path)
          local answer = client:get(path, { headers = { ["Accept-Encoding"] = coding } })
          assert.equal(coding, answer.headers["content-encoding"], path)
          expect.contains(answer.headers.vary, "Accept-Encoding")
          return decoded(coding, answer.body), answer
        end
        local plain, answer = get "/text"
        assert.equal(text, plain)
        assert.is_true(#answer.body < #text // 10)
        assert.equal("text/plain; charset=utf-8", answer.headers["content-type"])
        plain, answer = get "/json"
        assert.same({ text = text }, braid.json.decode(plain))
        assert.equal("application/json", answer.headers["content-type"])
        answer = select(2, get "/tag")
        assert.same({ 'W/"x"', "Cookie, Accept-Encoding" }, { answer.headers.etag, answer.headers.vary })
        plain, answer = get "/stream"
        assert.equal(3500, #plain)
        assert.equal(6, #answer.chunks)
        plain, answer = get "/files/web.md"
        local file <close> = assert(io.open "docs/web.md")
        assert.equal(file:read "a", plain)
        assert.is_nil(answer.headers["accept-ranges"])
        assert.equal(304, client:get("/files/web.md", { headers = { ["If-None-Match"] = answer.headers.etag } }).status)
      end
    end)
  end)

  test("takes gzip for streams when the client has no other wish", function()
    run(function()
      local app = web.app()
      prepare(app)
      local client = app:test_client()
      for path, coding in pairs { ["/stream"] = "gzip", ["/text"] = "zstd", ["/files/web.md"] = "zstd" } do
        local answer = client:get(path, { headers = { ["Accept-Encoding"] = "gzip, deflate, br, zstd" } })
        assert.equal(coding, answer.headers["content-encoding"], path)
      end
    end)
  end)

  test("leaves alone what is not worth it", function()
    run(function()
      local app = web.app()
      prepare(app)
      local client = app:test_client()
      for _, path in ipairs { "/small", "/image", "/fixed", "/random", "/missing", "/files/web.md" } do
        local headers = { ["Accept-Encoding"] = "gzip" }
        if path == "/files/web.md" then headers.Range = "bytes=0-9" end
        local answer = client:get(path, { headers = headers })
        assert.is_nil(answer.headers["content-encoding"], path)
      end
      local coded = client:get("/coded", { headers = { ["Accept-Encoding"] = "gzip" } })
      assert.equal("x", coded.headers["content-encoding"])
      local answer = client:get "/text"
      assert.same({ nil, "Accept-Encoding" }, { answer.headers["content-encoding"], answer.headers.vary })
      app = web.app()
      app:use(web.compress { codings = { "gzip" }, types = { "image/*" }, min_size = 6000, level = 1 })
      prepare(app)
      client = app:test_client()
      local headers = { headers = { ["Accept-Encoding"] = "zstd, gzip;q=0.1" } }
      assert.equal("gzip", client:get("/image", headers).headers["content-encoding"])
    end)
    expect.misused("did you mean 'level'?", web.compress, { levl = 1 })
    expect.misused('did you mean "gzip"?', web.compress, { codings = { "gzp" } })
    expect.misused("level", web.compress, { level = 50 })
  end)

  test("is understood by a client; a stream that fails is cut", serving(prepare, function(session)
    assert.equal(text, assert(session:get "/text").body)
    assert.equal(text, assert(session:get "/json"):json().text)
    assert.equal(3500, #assert(session:get "/stream").body)
    assert.equal("", assert(session:head "/text").body)
    expect.stderr_of(function() expect.fails("http", session:get "/broken") end)
  end))
end)

describe("a compressed body", function()
  local function prepare(app)
    app:post("/", function(request)
      return { size = #request.body, form = request.headers["content-type"] and request:form() }
    end)
    app:post("/json", { body = { a = "integer" } }, function(request) return request.valid.body end)
    app:post("/stream", { stream_body = true, max_body = 1 << 20 }, function(request)
      local size = 0
      for piece in request:chunks() do size = size + #piece end
      return { size = size }
    end)
    app:post("/small", { max_body = 1000 }, function(request) return { size = #request.body } end)
  end

  local function attack(post)
    local text = ("x"):rep(100000)
    for _, coding in ipairs(CODINGS) do
      local headers = { ["Content-Encoding"] = coding }
      local body = encoded(coding, text)
      for _, path in ipairs { "/", "/stream" } do
        local answer = post(path, body, headers)
        assert.same({ 200, 100000 }, { answer.status, answer:json().size }, path .. coding)
        assert.equal(400, post(path, body:sub(1, -3), headers).status)
        assert.equal(400, post(path, "corrupt", headers).status)
      end
      assert.equal(5, post("/json", encoded(coding, '{"a":5}'), headers):json().a)
      assert.equal(413, post("/small", body, headers).status)
      local bomb = encoded(coding, ("\0"):rep(1 << 23))
      assert.equal(413, post("/", bomb, headers).status)
      assert.equal(413, post("/stream", bomb, headers).status)
    end
    local twice = post("/", encoded("gzip", encoded("br", text)), { ["Content-Encoding"] = "br, gzip" })
    assert.equal(415, twice.status)
    local unknown = post("/", "x", { ["Content-Encoding"] = "lzma" })
    assert.same({ 415, "gzip, deflate, br, zstd" }, { unknown.status, unknown.headers["accept-encoding"] })
    assert.equal(415, post("/", "x", { ["Content-Encoding"] = ("gzip,"):rep(6) }).status)
    assert.equal(1, post("/", "x", { ["Content-Encoding"] = "identity" }):json().size)
    local form = post("/", encoded("gzip", "a=1&a=2"), { ["Content-Encoding"] = "gzip",
      ["Content-Type"] = "application/x-www-form-urlencoded" })
    assert.same(braid.json.array { "1", "2" }, form:json().form.a)
  end

  test("is decompressed within the limits", serving(prepare, function(session)
    attack(function(path, body, headers) return assert(session:post(path, { body = body, headers = headers })) end)
  end), { deadline = 60 })

  test("is decompressed for a test client, too", function()
    run(function()
      local app = web.app()
      prepare(app)
      local client = app:test_client()
      attack(function(path, body, headers) return client:post(path, { body = body, headers = headers }) end)
    end)
  end)
end)
