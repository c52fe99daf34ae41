-- SPDX-License-Identifier: MIT
-- What a server sends and takes piece by piece, files, and clients that leave.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local web_server = require "spec.web_server"
local web = braid.web
local test = helper.test
local eventually, stderr_of = expect.eventually, expect.stderr_of
local serving, connect = web_server.serving, web_server.connect

describe("a streamed answer", function()
  test("is sent as it is written, or as an iterator gives it", serving(function(app)
    app:get("/writer", function()
      return web.response { headers = { ["Content-Type"] = "text/plain" }, stream = function(write)
        for i = 1, 3 do write("piece " .. i .. "\n") braid.sleep(0.02) end
      end }
    end)
    app:get("/iterator", function()
      local i = 0
      return web.response { status = 201, stream = function()
        i = i + 1
        return i <= 3 and tostring(i) or nil
      end }
    end)
  end, function(session, app)
    local response = assert(session:get("/writer"))
    assert.equal("piece 1\npiece 2\npiece 3\n", response.body)
    assert.equal("chunked", response.headers["transfer-encoding"])
    assert.equal("text/plain", response.headers["content-type"])
    response = assert(session:get("/iterator"))
    assert.equal("123", response.body)
    assert.equal(201, response.status)
    assert.equal("", assert(session:head("/writer")).body)
    local result = app:test_client():get("/writer")
    assert.same({ "piece 1\n", "piece 2\n", "piece 3\n" }, result.chunks)
    assert.equal("", app:test_client():head("/writer").body)
  end))

  test("reaches the client while it is written", serving(function(app)
    app:get("/", function() return web.response { stream = function(write) write("now") braid.sleep(60) end } end)
  end, function(_, _, server)
    local stream <close> = connect(server)
    stream:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    local text = ""
    while not text:find("now", 1, true) do text = text .. assert(stream:read_some(4096, 5)) end
  end, { grace = 0.05 }))

  test("is not written faster than it is read", serving(function(app)
    app:get("/", function(request)
      return web.response { stream = function(write)
        for _ = 1, 2000 do
          write(("x"):rep(10000))
          request.app_written = (request.app_written or 0) + 10000
          app.written = request.app_written
        end
      end }
    end)
  end, function(_, app, server)
    local stream <close> = connect(server)
    stream:write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    braid.sleep(0.3)
    local before = app.written
    assert.is_true(before < 15000000, before)
    local size = 0
    while true do
      local piece = stream:read_some(65536, 5)
      if not piece then break end
      size = size + #piece
    end
    assert.equal(20000000, app.written)
    assert.is_true(size > 20000000)
  end))

  test("that fails ends with its connection", serving(function(app)
    app:get("/", function() return web.response { stream = function(write)
      write("a")
      braid.sleep(0.01)
      error("broken off")
    end } end)
  end, function(session, app)
    local written = stderr_of(function()
      local response, err = session:get("/")
      assert.is_nil(response)
      assert.is_true(braid.is_error(err, "http"), tostring(err))
    end)
    assert.is_truthy(written:find("broken off", 1, true))
    stderr_of(function() assert.is_true(app:test_client():get("/").failed) end)
  end))

  test("is cancelled when its client leaves", serving(function(app)
    app.open = 0
    app:get("/", function()
      return web.events(function(send)
        app.open = app.open + 1
        local _ <close> = setmetatable({}, { __close = function() app.open = app.open - 1 end })
        send "hello"
        while true do braid.sleep(10) end
      end)
    end)
  end, function(_, app, server)
    local stream = connect(server)
    stream:write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(function() return app.open == 1 end)
    braid.sleep(0.1)
    stream:close()
    eventually(function() return app.open == 0 end)
  end, { grace = 0.1 }))

  test("can be server-sent events", serving(function(app)
    app:get("/", function()
      return web.events(function(send)
        send "one\ntwo"
        send { event = "note", id = 7, retry = 100, data = { a = 1 } }
      end)
    end)
  end, function(session)
    local response = assert(session:get("/"))
    assert.equal("text/event-stream", response.headers["content-type"])
    assert.equal('data: one\ndata: two\n\nevent: note\nid: 7\nretry: 100\ndata: {"a":1}\n\n', response.body)
  end))
end)

describe("a streamed body", function()
  local function upload(app)
    app:post("/", function(request)
      local size, pieces = 0, 0
      for piece in request:chunks() do
        size, pieces = size + #piece, pieces + 1
        if request.query.slow then braid.sleep(0.005) end
      end
      return { size = size, pieces = pieces }
    end, { stream_body = true, max_body = 50000000 })
    app:post("/early", function() web.abort(401) end, { stream_body = true })
    app:post("/late", function() braid.sleep(0.05) return "late" end, { stream_body = true })
    app:post("/whole", function(request) return { size = #request.body } end, { stream_body = true })
    app:post("/small", function(request) for _ in request:chunks() do end return "" end,
      { stream_body = true, max_body = 10 })
    app:post("/plain", function(request)
      local list = {}
      for piece in request:chunks() do list[#list + 1] = piece end
      return list
    end)
  end

  test("comes piece by piece, whatever the size", serving(upload, function(session, app)
    local big = ("x"):rep(5000000)
    local answer = assert(session:post("/", { body = big })):json()
    assert.equal(5000000, answer.size)
    assert.is_true(answer.pieces > 10, answer.pieces)
    assert.equal(5000000, assert(session:post("/?slow=1", { body = big })):json().size)
    assert.equal(5000000, assert(session:post("/", { body = big, headers = { ["Transfer-Encoding"] = "chunked" } }))
      :json().size)
    assert.equal(0, assert(session:post("/", { body = "" })):json().size)
    assert.equal(300000, assert(session:post("/whole", { body = ("x"):rep(300000) })):json().size)
    assert.same({ "hello" }, assert(session:post("/plain", { body = "hello" })):json())
    assert.same({ "hello" }, app:test_client():post("/plain", { body = "hello" }):json())
    assert.equal(413, assert(session:post("/small", { body = ("x"):rep(11) })).status)
  end), { deadline = 20 })

  test("may be left unread", serving(upload, function(session)
    local big = ("x"):rep(300000)
    for _ = 1, 3 do
      assert.equal(401, assert(session:post("/early", { body = big })).status)
      assert.equal("late", assert(session:post("/late", { body = big })).body)
    end
  end))

  test("is larger than allowed: 413 also when it comes in chunks", serving(upload, function(_, _, server)
    local stream <close> = connect(server)
    stream:write("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    stream:write("8\r\n12345678\r\n")
    braid.sleep(0.02)
    stream:write("8\r\n12345678\r\n0\r\n\r\n")
    assert.is_truthy(stream:read("a", 5):find("^HTTP/1.1 413"))
  end))

  test("that breaks off cancels its handler", serving(function(app)
    app:post("/", function(request)
      local _ <close> = setmetatable({}, { __close = function() app.ended = true end })
      app.began = true
      for _ in request:chunks() do end
      app.whole = true
    end, { stream_body = true })
  end, function(_, app, server)
    local stream = connect(server)
    stream:write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    eventually(function() return app.began end)
    stream:close()
    eventually(function() return app.ended end)
    assert.is_nil(app.whole)
  end))
end)

describe("a client that leaves", function()
  test("cancels the task of its request, and no other", serving(function(app)
    app.running = 0
    app:get("/slow", function()
      app.running = app.running + 1
      local _ <close> = setmetatable({}, { __close = function() app.running = app.running - 1 end })
      braid.sleep(30)
    end)
  end, function(_, app, server)
    local streams = {}
    for i = 1, 4 do
      streams[i] = connect(server)
      streams[i]:write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    end
    eventually(function() return app.running == 4 end)
    streams[1]:close()
    streams[2]:close()
    eventually(function() return app.running == 2 end)
    braid.sleep(0.1)
    assert.equal(2, app.running)
    streams[3]:close()
    streams[4]:close()
    eventually(function() return app.running == 0 end)
    eventually(function() return server:stats().connections == 0 end)
  end, { grace = 0.1 }))
end)

describe("files of a folder", function()
  local folder = os.tmpname()
  os.remove(folder)

  local function prepare(app)
    os.execute(("mkdir -p %s/sub && printf '0123456789' >%s/a.txt && printf '<p>' >%s/index.html"):format(
      folder, folder, folder))
    os.execute(("printf x >%s/.hidden; ln -sf /etc/passwd %s/link; printf '{}' >%s/sub/b.json; mkfifo %s/pipe"):format(
      folder, folder, folder, folder))
    app:static("/files", folder, { max_age = 60 })
  end

  local function with_files(fn)
    return function()
      finally(function() os.execute("rm -rf " .. folder) end)
      serving(prepare, fn)()
    end
  end

  test("are given with type, tag and date", with_files(function(session, app)
    local response = assert(session:get("/files/a.txt"))
    assert.equal("0123456789", response.body)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal("max-age=60", response.headers["cache-control"])
    assert.equal("application/json", assert(session:get("/files/sub/b.json")).headers["content-type"])
    assert.equal("<p>", assert(session:get("/files/")).body)
    assert.equal("10", assert(session:head("/files/a.txt")).headers["content-length"])
    assert.equal("0123456789", app:test_client():get("/files/a.txt").body)
    local tag, date = response.headers.etag, response.headers["last-modified"]
    local function status(headers) return assert(session:get("/files/a.txt", { headers = headers })).status end
    assert.equal(304, status { ["If-None-Match"] = tag })
    assert.equal(304, status { ["If-None-Match"] = '"x", W/' .. tag })
    assert.equal(200, status { ["If-None-Match"] = '"x"' })
    assert.equal(304, status { ["If-Modified-Since"] = date })
    assert.equal(200, status { ["If-Modified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" })
    assert.equal(200, status { ["If-Modified-Since"] = date, ["If-None-Match"] = '"x"' })
  end))

  test("are given in parts", with_files(function(session)
    local function part(range, condition)
      local response = assert(session:get("/files/a.txt", { headers = { Range = range, ["If-Range"] = condition } }))
      return response.status, response.body, response.headers["content-range"]
    end
    local function same(expected, ...) assert.same(expected, { ... }) end
    same({ 206, "234", "bytes 2-4/10" }, part "bytes=2-4")
    same({ 206, "789", "bytes 7-9/10" }, part "bytes=7-")
    same({ 206, "89", "bytes 8-9/10" }, part "bytes=-2")
    same({ 206, "0123456789", "bytes 0-9/10" }, part "bytes=0-100")
    same({ 416, "", "bytes */10" }, part "bytes=10-")
    same({ 416, "", "bytes */10" }, part "bytes=-0")
    same({ 200, "0123456789" }, part "bytes=0-1,3-4")
    same({ 200, "0123456789" }, part "lines=1-2")
    same({ 200, "0123456789" }, part("bytes=2-4", '"other"'))
  end))

  test("are given compressed, conditionally, and by folders", with_files(function(session, _, server)
    os.execute(("cd %s && cp a.txt c.txt && printf GZ >c.txt.gz && printf BR >c.txt.br"):format(folder))
    os.execute(("mkdir -p %s/.well-known && printf open >%s/.well-known/security.txt"):format(folder, folder))
    local function ask(text)
      local stream <close> = connect(server)
      stream:write(text .. "Host: x\r\nConnection: close\r\n\r\n")
      return stream:read("a", 5)
    end
    local function body_with(accepted)
      local got = ask("GET /files/c.txt HTTP/1.1\r\nAccept-Encoding: " .. accepted .. "\r\n")
      return got:match("\r\n\r\n(.*)$"), got:match("\r\nContent%-Encoding: (%a+)"), got:match("\r\nVary: ([%a-]+)")
    end
    assert.same({ "BR", "br", "Accept-Encoding" }, { body_with "gzip, br" })
    assert.same({ "GZ", "gzip", "Accept-Encoding" }, { body_with "gzip;q=0.5, br;q=0" })
    assert.same({ "0123456789", nil, "Accept-Encoding" }, { body_with "identity" })
    local tag = assert(session:get("/files/a.txt")).headers.etag
    local function status(headers, method)
      return assert(session:request { url = "/files/a.txt", method = method or "GET", headers = headers }).status
    end
    assert.equal(412, status { ["If-Match"] = '"other"' })
    assert.equal(412, status { ["If-Match"] = "W/" .. tag })
    assert.equal(200, status { ["If-Match"] = tag })
    assert.equal(200, status { ["If-Match"] = "*" })
    assert.equal(412, status { ["If-Unmodified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" })
    assert.equal(200, status { Range = "bytes=5-2" })
    assert.equal(200, status({ Range = "bytes=2-5" }, "HEAD"))
    local moved = assert(session:get("/files/sub?x=1", { follow = false }))
    assert.same({ 308, "/files/sub/?x=1" }, { moved.status, moved.headers.location })
    assert.equal("open", assert(session:get("/files/.well-known/security.txt")).body)
    assert.is_nil(ask("GET /files/a.txt HTTP/1.1\r\nIf-None-Match: " .. tag .. "\r\n"):lower():find("content%-length"))
  end))

  test("outside, hidden, or no files are not there", with_files(function(_, _, server)
    for _, path in ipairs {
      "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "sub/../../x", "/etc/passwd", ".hidden",
      "link", "pipe", "nothing", "a.txt%00.html", "a.txt/", "sub%2fb.json/..", "..\\..\\x",
    } do
      local stream <close> = connect(server)
      stream:write(("GET /files/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):format(path))
      assert.is_truthy(stream:read("a", 5):find("^HTTP/1.1 40[04]"), path)
    end
  end))
end)
