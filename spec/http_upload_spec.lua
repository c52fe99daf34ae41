-- SPDX-License-Identifier: MIT
-- Request bodies that are made while they are sent: from functions, iterators and files, alone and in forms.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local test, misused, answer = helper.test, expect.misused, scripted.answer

-- The body of a request: its pieces, and whether they came in chunks.
local function pieces_of(request, stream)
  if request.headers["transfer-encoding"] ~= "chunked" then return { request.body } end
  local pieces = {}
  while true do
    local size = tonumber(stream:read("l"), 16)
    if size == 0 then break end
    pieces[#pieces + 1] = stream:read(size)
    stream:read("l")
  end
  stream:read("l")
  return pieces
end

-- A server that answers with how the body came, and the body.
local function echo(request, stream)
  local pieces = pieces_of(request, stream)
  local how = request.headers["transfer-encoding"] or request.headers["content-length"] or "none"
  return answer(200, ("%s %s %s"):format(request.method, how, table.concat(pieces)))
end

local function counter(last)
  local n = 0
  return function()
    n = n + 1
    return n <= last and tostring(n) or nil
  end
end

local function fails(kind, response, err)
  assert.is_nil(response)
  assert.is_true(braid.is_error(err, kind), tostring(err))
  return err
end

describe("a body", function()
  test("comes from a function, in chunks or with its length", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base }
    assert.equal("POST chunked 123", session:post("/", { body = counter(3) }).body)
    assert.equal("PUT chunked 12", session:put("/", { body = counter(2) }).body)
    assert.equal("PATCH chunked ", session:patch("/", { body = counter(0) }).body)
    assert.equal("POST 3 123", session:post("/", { body = counter(3), content_length = 3 }).body)
    assert.equal("POST 3 123", session:post("/", { body = counter(3), headers = { ["Content-Length"] = 3 } }).body)
    assert.equal("DELETE chunked 1", session:delete("/", { body = counter(1) }).body)
    assert.equal("GET none ", session:get("/").body)
    assert.equal("POST 4 text", session:post("/", { body = "text" }).body)
  end))

  test("comes from an iterator, a table that can be called, and a file", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base }
    assert.equal("POST chunked abc", session:post("/", { body = ("a b c"):gmatch("%a") }).body)
    local callable = setmetatable({}, { __call = counter(2) })
    assert.equal("POST chunked 12", session:post("/", { body = callable }).body)
    local file <close> = assert(io.tmpfile())
    file:write("skipped", ("x"):rep(200000))
    file:seek("set", 7)
    assert.equal("PUT 200000 " .. ("x"):rep(200000), session:put("/", { body = file }).body)
    assert.equal("PUT chunked ", session:put("/", { body = file }).body)
    local pipe <close> = assert(io.popen("printf piped"))
    assert.equal("POST chunked piped", session:post("/", { body = pipe }).body)
    local reader, writer = require "braid.io.stream".pipe()
    writer:write("streamed")
    writer:close()
    assert.equal("POST chunked streamed", session:post("/", { body = reader }).body)
    reader:close()
  end))

  test("may wait, and is not asked for more than the server takes", scripted.with(function(request, stream)
    if request.target == "/slow" then
      braid.sleep(0.3)
      return answer(200, tostring(#table.concat(pieces_of(request, stream))))
    end
    return echo(request, stream)
  end, function(base)
    local session <close> = http.session { base_url = base }
    local queue, asked = braid.queue(), 0
    braid.spawn(function()
      for i = 1, 3 do
        braid.sleep(0.02)
        queue:put(tostring(i))
      end
      queue:close()
    end)
    assert.equal("POST chunked 123", session:post("/", { body = function() return (queue:get()) end }).body)
    local piece, during = ("x"):rep(65536), nil
    local timer = braid.spawn(function()
      braid.sleep(0.2)
      during = asked
    end)
    local response = assert(session:post("/slow", { body = function()
      asked = asked + 1
      return asked <= 1000 and piece or nil
    end }))
    timer:wait()
    assert.equal("65536000", response.body)
    assert.is_true(during < 500, during)
  end))

  test("fails the request by what it raises, or says", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base, timeout = 5 }
    local ok, err = pcall(session.post, session, "/", { body = function() error({ mine = true }) end })
    assert.is_false(ok)
    assert.is_true(err.mine)
    local n = 0
    err = fails("system", session:post("/", { body = function()
      n = n + 1
      if n < 3 then return "piece" end
      return nil, "the disk is gone"
    end }))
    assert.equal("the disk is gone", err.message)
    misused("pieces are strings", session.post, session, "/", { body = function() return 1.5 end })
    misused("gave 1 of the 5 bytes", session.post, session, "/", { body = counter(1), content_length = 5 })
    misused("more than the 2 bytes", session.post, session, "/", { body = counter(9), content_length = 2 })
    assert.equal("POST chunked 1", session:post("/", { body = counter(1) }).body)
  end))

  test("is refused where it makes no sense", function()
    local session <close> = http.session { base_url = "http://127.0.0.1:1/" }
    local function refused(words, opts) misused(words, session.post, session, "/", opts) end
    refused("a file expected", { body = {} })
    refused("a file expected", { body = true })
    refused("content_length", { content_length = 5 })
    refused("has 4 bytes", { body = "text", content_length = 5 })
    refused("at least 0", { body = counter(1), content_length = -1 })
    misused("HEAD", session.head, session, "/", { body = counter(1) })
    local closed = assert(io.tmpfile())
    closed:close()
    refused("closed", { body = closed })
  end)

  test("is not asked any more when the server has answered, or gone", scripted.with(function(request, stream)
    if request.target == "/early" then
      stream:write(answer(413, "enough", { Connection = "close" }))
      return false
    end
    stream:read(100)
    return false
  end, function(base)
    local session <close> = http.session { base_url = base, timeout = 20 }
    local function endless() return ("x"):rep(10000) end
    local early, broken = session:post("/early", { body = endless })
    assert.is_true((early and early.status or broken.code) == 413 or broken.code == "SEND_ERROR", tostring(broken))
    fails("http", session:post("/gone", { body = endless }))
    local waits = braid.event()
    fails("http", session:post("/gone", { body = function()
      if not waits:is_set() then
        waits:set()
        return ("x"):rep(1000)
      end
      braid.sleep(60)
    end }))
  end))

  test("ends with its request: by a timeout, a cancel and a close", scripted.with(function(_, stream)
    stream:read("a")
    return false
  end, function(base)
    local session = http.session { base_url = base }
    local ended = 0
    local function waits()
      local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
      braid.sleep(60)
    end
    fails("timeout", session:post("/", { body = waits, timeout = 0.05 }))
    assert.is_false(braid.move_on_after(0.05, session.post, session, "/", { body = waits }))
    local task = braid.spawn(session.post, session, "/", { body = waits })
    braid.sleep(0.05)
    session:close()
    fails("closed", task:result())
    braid.sleep(0)
    assert.equal(3, ended)
  end))

  test("goes along with a streamed answer", scripted.with(function(request, stream)
    stream:write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _, piece in ipairs(pieces_of(request, stream)) do
      stream:write(("%x\r\n%s\r\n"):format(#piece, piece))
    end
    stream:write("0\r\n\r\n")
  end, function(base)
    local session <close> = http.session { base_url = base }
    local response <close> = assert(session:post("/", { body = counter(5), stream = true }))
    assert.equal("12345", response:read("a"))
    local got = {}
    assert(session:post("/", { body = counter(3), sink = function(piece) got[#got + 1] = piece end }))
    assert.equal("123", table.concat(got))
  end))
end)

describe("a body that is needed again", function()
  local function redirects(request, stream)
    local pieces = pieces_of(request, stream)
    if request.target == "/" then return answer(307, "", { Location = "/there" }) end
    if request.target == "/see" then return answer(303, "", { Location = "/there" }) end
    return answer(200, request.method .. " " .. table.concat(pieces))
  end

  test("is read again from a file, and refused from a function", scripted.with(redirects, function(base)
    local session <close> = http.session { base_url = base }
    local file <close> = assert(io.tmpfile())
    file:write("content")
    file:seek("set", 0)
    assert.equal("PUT content", session:put("/", { body = file }).body)
    local err = fails("http", session:put("/", { body = counter(2) }))
    assert.equal("SEND_FAIL_REWIND", err.code)
    assert.is_truthy(err.message:find("came from a function", 1, true), err.message)
    assert.equal("GET ", session:post("/see", { body = counter(2) }).body)
  end))

  test("is sent again by a retry only if it can be", scripted.with(function(request, stream, number)
    local pieces = pieces_of(request, stream)
    return answer(number < 3 and 503 or 200, table.concat(pieces))
  end, function(base)
    local session <close> = http.session { base_url = base, retry = { tries = 5, backoff = 0.01 } }
    local response = assert(session:put("/", { body = counter(2) }))
    assert.equal(503, response.status)
    local file <close> = assert(io.tmpfile())
    file:write("content")
    file:seek("set", 0)
    response = assert(session:put("/", { body = file }))
    assert.equal("200 content", response.status .. " " .. response.body)
  end))
end)

describe("a form", function()
  local function parts(list)
    return { multipart = list }
  end

  test("has parts from functions and files, with their headers", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base }
    local file <close> = assert(io.tmpfile())
    file:write("from a file")
    file:seek("set", 0)
    local body = session:post("/", parts {
      { name = "made", body = counter(3), filename = "made.csv", headers = { ["X-Part"] = "a" } },
      { name = "read", body = file, type = "text/x-read" },
      { name = "text", body = "plain" },
    }).body
    local how, content = body:match("^POST (%S+) (.*)$")
    assert.equal("chunked", how)
    local boundary = content:match("^%-%-(%x+)\r\n")
    local expected = table.concat({
      "--B", 'Content-Disposition: form-data; name="made"; filename="made.csv"', "Content-Type: text/csv", "X-Part: a",
      "", "123", "--B", 'Content-Disposition: form-data; name="read"', "Content-Type: text/x-read", "", "from a file",
      "--B", 'Content-Disposition: form-data; name="text"', "", "plain", "--B--", "",
    }, "\r\n"):gsub("%-%-B", "--" .. boundary)
    assert.equal(expected, content)
  end))

  test("has its length where that is known", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base }
    local file <close> = assert(io.tmpfile())
    file:write("from a file")
    file:seek("set", 0)
    local how, content = session:post("/", parts { file = file, text = "x" }).body:match("^POST (%S+) (.*)$")
    assert.equal(#content, tonumber(how))
    how, content = session:post("/", parts { text = 'a', ['"quoted"'] = 1 }).body:match("^POST (%S+) (.*)$")
    assert.equal(#content, tonumber(how))
    assert.is_truthy(content:find('name="%22quoted%22"', 1, true))
    local function refused(words, part) misused(words, session.post, session, "/", parts { part }) end
    refused("cannot be the name", { name = "a", body = "", headers = { [":"] = "" } })
    refused("line end", { name = "a", body = "", headers = { A = "b\nc" } })
    refused("or body", { name = "a", body = "", path = "x" })
    refused("a file expected", { name = "a", body = {} })
  end))

  test("fails by what a part raises or says", scripted.with(echo, function(base)
    local session <close> = http.session { base_url = base, timeout = 5 }
    local err = fails("system", session:post("/", parts { a = function() return nil, "no more" end }))
    assert.equal("no more", err.message)
    local ok, raised = pcall(session.post, session, "/", parts { a = function() error("in a part", 0) end })
    assert.is_false(ok)
    assert.equal("in a part", raised)
  end))
end)
