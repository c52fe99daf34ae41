-- SPDX-License-Identifier: MIT
-- Forms of web applications: repeated fields, files that are streamed, and what hostile clients send.
local expect = require "spec.expect"
local helper = require "spec.helper"
local web_server = require "spec.web_server"
local braid = require "braid"
local test, run = helper.test, helper.run
local serving = web_server.serving
local web = braid.web

local TYPE = { ["Content-Type"] = "multipart/form-data; boundary=XX" }

-- The text of a form: parts are { disposition, content, further headers }.
local function form(parts, boundary)
  boundary = boundary or "XX"
  local pieces = {}
  for i, part in ipairs(parts) do
    pieces[i] = ("--%s\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n"):format(boundary, part[1], part[3] or "",
      part[2])
  end
  return table.concat(pieces) .. "--" .. boundary .. "--\r\n"
end

-- An application that tells what it has got.
local function upload_app(spec)
  local app = web.app()
  app:post("/", spec or {}, function(request)
    local files = {}
    for file in request:files() do
      files[#files + 1] = { name = file.name, filename = file.filename, type = file.type, content = file:read(),
        extra = file.headers["x-extra"] }
    end
    return { files = braid.json.array(files), fields = request:form() }
  end)
  return app
end

local function send(body, kind)
  local headers = { ["Content-Type"] = kind or TYPE["Content-Type"] }
  return upload_app():test_client():post("/", { body = body, headers = headers })
end

describe("a form", function()
  test("has lists of repeated fields", function()
    run(function()
      local app = web.app()
      app:post("/", function(request) return request:form() end)
      local client = app:test_client()
      local kind = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      assert.same({ a = braid.json.array { "1", "", "2 3" }, b = "x=y", c = "" },
        client:post("/", { body = "a=1&b=x%3Dy&a=&c&a=2+3", headers = kind }):json())
      assert.same({ a = braid.json.array { "1", "2" }, b = "x" },
        client:post("/", { body = form { { "name=a", "1" }, { 'name="a"', "2" }, { 'name="b"', "x" } },
          headers = TYPE }):json())
      assert.same({ a = braid.json.array { "1", "2" }, b = "x" },
        client:post("/", { form = { a = { 1, 2 }, b = "x" } }):json())
      assert.equal(415, client:post("/", { json = {} }).status)
      assert.equal(415, upload_app():test_client():post("/", { form = { a = 1 } }).status)
    end)
  end)

  test("has files with names, types and bytes", function()
    run(function()
      local answer = send("preamble\r\n" .. form {
        { 'name="title"', "größer" },
        { 'name="a"; filename="C:\\\\fakepath\\\\x.txt"', "one\r\n--X\r\n--XY\r\n", "Content-Type: text/plain\r\n" },
        { 'name="b%22\\""; filename="../../%22q%22.png"', "\0\1\127", "X-Extra: yes\r\n" },
        { "name=c; filename*=UTF-8''na%C3%AFve.txt", "" }, { 'name="d"; filename=".."', "x" },
        { 'name="e"; filename=""', "" },
      } .. "epilogue", 'multipart/form-data; charset=utf-8; boundary="XX"')
      assert.equal(200, answer.status)
      local got = answer:json()
      assert.same({ title = "größer" }, got.fields)
      local files = got.files
      assert.same({ name = "a", filename = "x.txt", type = "text/plain", content = "one\r\n--X\r\n--XY\r\n" }, files[1])
      assert.same({ 'b""', '"q".png', "application/octet-stream", "yes" },
        { files[2].name, files[2].filename, files[2].type, files[2].extra })
      assert.same({ "naïve.txt", "" }, { files[3].filename, files[3].content })
      assert.same({ "", "" }, { files[4].filename, files[5].filename })
    end)
  end, { deadline = 20 })

  test("is made by a test client", function()
    run(function()
      local client = upload_app():test_client()
      local answer = client:post("/", { multipart = {
        { name = "t", body = "x" }, { name = "f", filename = "a.txt", type = "text/plain", body = "one" },
      } }):json()
      assert.equal("x", answer.fields.t)
      assert.same({ name = "f", filename = "a.txt", type = "text/plain", content = "one" }, answer.files[1])
      expect.misused("parts are strings", client.post, client, "/", { multipart = { f = { path = "README.md" } } })
    end)
  end)

  test("is read alike however its bytes arrive", function()
    run(function()
      local multipart = require "braid.web.multipart"
      local parts = { { 'name="t"', "text\r\n" }, { 'name="f"; filename="x"', ("\r\n--X"):rep(50) .. "\r\n-" },
        { 'name="g"; filename="y"', "" } }
      local text = form(parts)
      for size = 1, 40 do
        local at = 1
        local reader = multipart.reader("XX", function()
          local piece = text:sub(at, at + size - 1)
          at = at + size
          return piece ~= "" and piece or nil
        end)
        local file = reader:next_file()
        assert.same({ "f", parts[2][2] }, { file.name, file:read() })
        file = reader:next_file()
        assert.equal("g", file.name)
        assert.is_nil(reader:next_file())
        assert.same({ t = "text\r\n" }, reader:fields())
      end
    end)
  end)

  test("that is broken is refused", function()
    run(function()
      local whole = form { { 'name="a"; filename="x"', "one" }, { 'name="b"', "two" } }
      for size = 0, #whole - 5 do
        assert.equal(400, send(whole:sub(1, size)).status, whole:sub(1, size))
      end
      assert.equal(400, send(form { { "x=1", "one" } }).status)
      assert.equal(400, send((whole:gsub("Content%-Disp", " Disp"))).status)
      assert.equal(400, send(whole, "multipart/form-data; boundary=" .. ("x"):rep(300)).status)
      assert.equal(415, send(whole, "multipart/form-data").status)
      assert.equal(415, send(whole, "multipart/mixed; boundary=XX").status)
      assert.equal(400, send(form { { 'name="a"', "x", "X: " .. ("x"):rep(9000) .. "\r\n" } }).status)
      local many = {}
      for i = 1, 1001 do many[i] = { "name=a", "" } end
      assert.equal(413, send(form(many)).status)
    end)
  end)

  test("has a limit for what is kept of it", function()
    run(function()
      local app = web.app()
      app:post("/", { max_body = 1 << 24 }, function(request) return { #request:form().a } end)
      app:post("/file", { max_body = 1 << 24 }, function(request) return { #request:files()():read(10) } end)
      local client = app:test_client()
      assert.equal(200, client:post("/", { body = form { { "name=a", ("x"):rep(1 << 20) } }, headers = TYPE }).status)
      assert.equal(413, client:post("/", { body = form { { "name=a", ("x"):rep((1 << 20) + 1) } },
        headers = TYPE }).status)
      assert.equal(200, client:post("/file", { body = form { { "name=a;filename=x", "0123456789" } },
        headers = TYPE }).status)
      assert.equal(413, client:post("/file", { body = form { { "name=a;filename=x", "0123456789a" } },
        headers = TYPE }).status)
    end)
  end)
end)

describe("a streamed form", function()
  local folder

  local function prepare(app)
    app:post("/save", { stream_body = true, max_body = 1 << 30 }, function(request)
      local sizes = {}
      for file in request:files() do
        local size, err = file:save(folder .. "/" .. file.filename)
        sizes[file.filename] = size or tostring(err)
      end
      return { sizes = sizes, fields = request:form() }
    end)
    app:post("/skip", { stream_body = true, max_body = 1 << 30 }, function(request)
      local names, kept = {}, nil
      for file in request:files() do
        names[#names + 1], kept = file.filename, kept or file
      end
      local ok, err = pcall(kept.read, kept)
      return { names = names, fields = request:form(), again = request:form(), late = not ok and err.kind }
    end)
    app:post("/small", { stream_body = true, max_body = 1000 }, function(request)
      for file in request:files() do file:save(folder .. "/small") end
      return "saved"
    end)
  end

  local function in_folder(fn)
    return function()
      folder = os.tmpname()
      os.remove(folder)
      assert(os.execute("mkdir " .. folder))
      serving(prepare, fn)()
      os.execute("rm -rf " .. folder)
    end
  end

  local function names_in()
    local list = {}
    for _, name in ipairs(braid.file.list(folder)) do list[#list + 1] = name end
    return table.concat(list, " ")
  end

  test("saves its files while they come, by a real client", in_folder(function(session)
    local big = ("0123456789abcdef"):rep(1 << 18)
    local answer = assert(session:post("/save", { multipart = {
      { name = "title", body = "t" }, { name = "f", filename = "big", content = big }, { name = "title", body = "u" },
      { name = "g", filename = "empty", content = "" },
    } }))
    local titles = braid.json.array { "t", "u" }
    assert.same({ sizes = { big = #big, empty = 0 }, fields = { title = titles } }, answer:json())
    assert.equal(big, braid.file.read(folder .. "/big"))
    assert.equal("big empty", names_in())
    assert(session:post("/save", { multipart = { { name = "f", filename = "big", content = "new" } } }))
    assert.equal("new", braid.file.read(folder .. "/big"))
    answer = assert(session:post("/skip", { multipart = {
      { name = "f", filename = "a", content = big }, { name = "t", body = "x" },
      { name = "g", filename = "b", content = "b" },
    } })):json()
    assert.same({ names = { "a", "b" }, fields = { t = "x" }, again = { t = "x" }, late = "misuse" },
      { names = { table.unpack(answer.names) }, fields = answer.fields, again = answer.again, late = answer.late })
  end), { deadline = 30 })

  test("says when a file cannot be written, and goes on with the next one", in_folder(function(session)
    local big = ("x"):rep(2 << 20)
    local answer = assert(session:post("/save", { multipart = {
      { name = "f", filename = "", content = big }, { name = "g", filename = "good", content = "g" },
    } })):json()
    expect.contains(answer.sizes[""], "irectory")
    assert.equal(1, answer.sizes.good)
    assert.equal("good", names_in())
  end), { deadline = 30 })

  test("that breaks off or is too large leaves nothing behind", in_folder(function(session, _, server)
    local text = form { { 'name="f"; filename="x"', ("x"):rep(300000) } }
    local stream <close> = web_server.connect(server)
    stream:write(("POST /save HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
      .. "Content-Length: %d\r\n\r\n"):format(#text))
    stream:write(text:sub(1, 200000))
    expect.eventually(function() return names_in():find "part" ~= nil end)
    stream:close()
    expect.eventually(function() return names_in() == "" end)
    assert.equal(413, assert(session:post("/small", { body = text, headers = TYPE })).status)
    local chunked = session:post("/small", { headers = TYPE, body = function()
      local piece = text:sub(1, 500)
      text = text:sub(501)
      return piece ~= "" and piece or nil
    end })
    assert.equal(413, chunked and chunked.status)
    assert.equal("", names_in())
  end), { deadline = 30 })
end)
