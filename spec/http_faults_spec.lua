-- SPDX-License-Identifier: MIT
-- The HTTP client where servers, names or files are not what one hopes for.
local helper = require "spec.helper"
local server = require "spec.http_server"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local http = braid.http
local misused = require "spec.expect".misused
local test, fails, answer = helper.test, server.fails, scripted.answer

describe("a connection that ends before the answer", function()
  local function carried_out_and_lost(request)
    if request.target == "/lost" then return false end
    return answer(200, "ok")
  end

  for _, body in ipairs { "", "one piece" } do
    test("has sent a POST once, with a body of " .. #body, scripted.with(carried_out_and_lost, function(base, log)
      local session <close> = http.session { base_url = base }
      assert(session:get("/ok"))
      local err = fails("http", session:post("/lost", { body = body }))
      assert.equal("GOT_NOTHING", err.code)
      assert.is_truthy(err.message:find("whether the request was carried out is not known", 1, true))
      assert.equal(2, #log)
    end))
  end

  test("may have sent a GET twice", scripted.with(function(request, _, number)
    if number == 2 then return false end
    return answer(200, request.target)
  end, function(base, log)
    local session <close> = http.session { base_url = base }
    assert(session:get("/ok"))
    assert.equal("/again", assert(session:get("/again")).body)
    assert.equal(3, #log)
  end))

  test("does not stop a POST that a redirect sends on, or that is asked for a password",
    scripted.with(function(request, _, number)
      if number == 1 then return answer(307, "", { Location = "/next" }) end
      if number == 2 then
        return answer(401, "", { ["WWW-Authenticate"] = 'Digest realm="r", nonce="n", qop="auth"' })
      end
      return answer(200, request.body)
    end, function(base, log)
      local session <close> = http.session {}
      local response = assert(session:post(base .. "/", { body = "text", auth = { digest = "user:word" } }))
      assert.equal("text", response.body)
      assert.is_true(#log >= 3)
    end))
end)

describe("a session's cookies", function()
  test("have their whole hosts, and say whether scripts may see them", scripted.with(function()
    return answer(200, "", { ["Set-Cookie"] = "a=1; HttpOnly" })
  end, function(base)
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      local session <close> = http.session {}
      assert(session:get((base:gsub("127%.0%.0%.1", host))))
      local cookie = session:cookies()[1]
      assert.equal(host, cookie.domain)
      assert.is_true(cookie.http_only)
    end
  end))
end)

describe("a part of a form", function()
  for what, path in pairs { folder = "/etc", device = "/dev/zero", ["missing file"] = "/nowhere/at/all" } do
    test("that is a " .. what .. " is refused", scripted.with(function()
      return answer(200, "ok")
    end, function(base, log)
      local session <close> = http.session {}
      assert(session:get(base))
      local err = fails("system", session:post(base, { multipart = { a = { path = path } } }))
      assert.is_truthy(err.message:find("cannot read " .. path, 1, true), err.message)
      assert.equal(1, #log)
    end))
  end

  test("that is a FIFO is refused, and holds nobody", scripted.with(function()
    return answer(200, "ok")
  end, function(base)
    local path = os.tmpname()
    os.execute("rm " .. path .. " && mkfifo " .. path)
    local session <close> = http.session {}
    fails("system", session:post(base, { multipart = { a = { path = path } } }))
    os.remove(path)
  end))
end)

describe("a request through a proxy", function()
  test("needs no address of its host: nobody's failed look-up is its own", scripted.with(function()
    return answer(200, "by proxy")
  end, function(base)
    local session <close> = http.session {}
    local results = braid.gather {
      function() return (session:get("http://service.invalid/")) or "failed" end,
      function() return assert(session:get("http://service.invalid/", { proxy = base })).body end,
    }
    assert.equal("failed", results[1])
    assert.equal("by proxy", results[2])
  end))
end)

describe("an answer", function()
  local function raw(text, last)
    return function(_, stream)
      stream:write(text)
      return not last and "" or false
    end
  end

  for i, text in ipairs { "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nX-A: 1\r\n", "HTTP/1.1 200 OK\r\n" } do
    test("that ends within its head is none, " .. i, scripted.with(raw(text, true), function(base)
      local session <close> = http.session {}
      assert.equal("PARTIAL_FILE", fails("http", session:get(base)).code)
      assert.equal("PARTIAL_FILE", fails("http", session:get(base, { stream = true })).code)
    end))
  end

  test("has headers in several lines, and odd ones", scripted.with(
    raw "HTTP/1.1 200 OK\r\nX-A: one\r\n\t two\r\n  three\r\nHTTP/Odd: 2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n",
    function(base)
      local session <close> = http.session {}
      local headers = assert(session:get(base)).headers
      assert.same({ "one two three", "3" }, { headers["x-a"], headers["x-b"] })
    end))

  test("has trailers that are no headers", scripted.with(
    raw "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-A: 2\r\nX-B: 3\r\n\r\n",
    function(base)
      local session <close> = http.session {}
      for _ = 1, 2 do
        local response = assert(session:get(base))
        assert.same({ "ab", "1" }, { response.body, response.headers["x-a"] })
        assert.is_nil(response.headers["x-b"])
      end
    end))

  test("comes as it is with decode = false", scripted.with(function(request)
    return answer(200, request.headers["accept-encoding"] or "raw", { ["Content-Encoding"] = "x-own" })
  end, function(base)
    local session <close> = http.session { decode = false }
    assert.equal("raw", assert(session:get(base)).body)
    assert.equal("BAD_CONTENT_ENCODING", fails("http", session:get(base, { decode = true })).code)
    assert.equal("raw", assert(session:get(base)).body)
  end))
end)

describe("letters beyond ASCII", function()
  test("are escaped in paths and queries, and hosts have their form in ASCII", scripted.with(function(request)
    return answer(200, request.target .. " " .. request.headers.host)
  end, function(base)
    local session <close> = http.session {}
    assert.equal("/GR%C3%BCN?Q=%C3%A4&B=%2F",
      assert(session:get(base .. "/gr\u{fc}n?q=\u{e4}&b=%2F")).body:match("^%S+"):upper())
    assert.equal("http://xn--bcher-kva.example/x xn--bcher-kva.example",
      assert(session:get("http://B\u{dc}CHER.example/x", { proxy = base })).body)
    misused("its host cannot be written in ASCII", session.get, session, "http://\u{2028}.example/")
  end))
end)

describe("secrets", function()
  test("are in no error", function()
    braid.run(function()
      for _, case in ipairs {
        { "http://user:hunter2@127.0.0.1:1/" }, { "ftp://user:hunter2@h/" }, { "user:hunter2@h/" },
        { "http://user:hunter2@h:port/" }, { "http://127.0.0.1:1/", { proxy = "http://user:hunter2@127.0.0.1:1" } },
        { "http://127.0.0.1:1/", { proxy = "odd://user:hunter2@127.0.0.1:1" } },
        { "http://127.0.0.1:1/", { auth = { bearer = "hunter2\r\n" } } },
        { "http://127.0.0.1:1/", { auth = { digest = "user\n:hunter2" } } },
      } do
        local _, value, err = pcall(http.get, case[1], case[2])
        local problem = err or value
        assert(braid.is_error(problem), tostring(problem))
        assert.is_nil((tostring(problem) .. tostring(problem.url)):find("hunter2", 1, true), tostring(problem))
      end
      http.close()
    end)
  end)
end)

describe("a head", function()
  for what, lines in pairs {
    ["with two lengths"] = "Content-Length: 3\r\nContent-Length: 5",
    ["with a list of lengths"] = "Content-Length: 3, 4",
    ["with a signed length"] = "Content-Length: +3",
    ["with a length in two words"] = "Content-Length: 3 4",
    ["with a length beyond all bounds"] = "Content-Length: 99999999999999999999",
  } do
    test(what .. " is an error", scripted.with(function() return "HTTP/1.1 200 OK\r\n" .. lines .. "\r\n\r\nabcde" end,
      function(base)
        local session <close> = http.session { base_url = base }
        local err = fails("http", session:get("/"))
        assert.equal("WEIRD_SERVER_REPLY", err.code)
        assert.is_truthy(err.message:find("Content-Length", 1, true))
      end))
  end

  test("may say the same length twice", scripted.with(function()
    return "HTTP/1.1 200 OK\r\nContent-Length: 3 , 3\r\ncontent-length:3\r\n\r\nabc"
  end, function(base)
    local session <close> = http.session {}
    assert.equal("abc", assert(session:get(base)).body)
  end))

  test("with a very long line is an error that says so", scripted.with(function()
    return answer(200, "", { ["X-Long"] = ("y"):rep(2000000) })
  end, function(base)
    local session <close> = http.session {}
    assert.is_truthy(fails("http", session:get(base)).message:find("too long", 1, true))
  end))
end)

describe("a proxy that refuses", function()
  test("is an error with its status", scripted.with(function()
    return answer(407, "", { ["Proxy-Authenticate"] = 'Basic realm="p"' })
  end, function(base)
    local session <close> = http.session {}
    assert.equal(407, fails("http", session:get("https://127.0.0.1:1/", { proxy = base })).status)
    assert.is_nil(fails("http", session:get("http://127.0.0.1:1/")).status)
  end))
end)

describe("a download", function()
  local function shell(command)
    local pipe <close> = assert(io.popen(command))
    return (pipe:read("a"):gsub("\n+$", ""))
  end

  test("keeps links and permissions, and writes devices in place", scripted.with(function(request)
    return request.target == "/cut" and "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnew" or answer(200, "new")
  end, function(base)
    local folder = os.tmpname()
    shell("rm " .. folder .. " && mkdir " .. folder .. " && cd " .. folder .. [[
 && echo old >real && chmod 640 real && ln -s real link && ln -s /dev/null nothing &&
ln -s later dangling && mkfifo fifo]])
    local session <close> = http.session { base_url = base }
    for _, name in ipairs { "link", "nothing", "dangling", "fresh" } do
      local path = folder .. "/" .. name
      assert.equal(path, assert(session:get("/", { file = path })).file)
    end
    fails("timeout", session:get("/cut", { file = folder .. "/link", timeout = 0.2 }))
    fails("system", session:get("/", { file = folder .. "/fifo" }))
    fails("system", session:get("/", { file = folder }))
    assert.equal("new new new", shell("cd " .. folder .. " && echo $(cat real) $(cat later) $(cat fresh)"))
    assert.equal("640 symbolic link", shell("cd " .. folder .. " && echo $(stat -c %a real) $(stat -c %F link)"))
    assert.equal("symbolic link", shell("cd " .. folder .. " && stat -c %F nothing"))
    assert.equal("dangling fifo fresh later link nothing real", shell("cd " .. folder .. " && echo $(ls)"))
    shell("rm -r " .. folder)
  end))
end)
