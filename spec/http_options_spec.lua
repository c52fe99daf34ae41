-- SPDX-License-Identifier: MIT
-- Options of the HTTP client in their newer forms, and what a response tells of its way.
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local server = require "spec.http_server"
local braid = require "braid"
local http = braid.http
local misused = require "spec.expect".misused
local test, fails, answer = helper.test, server.fails, scripted.answer

local function session_of(opts) return http.session(opts or {}) end

describe("retry", function()
  local function busy_twice(request, _, number)
    return answer(number < 3 and 418 or 200, request.method)
  end

  test("counts all tries, and says which statuses", scripted.with(busy_twice, function(base, log)
    local session <close> = session_of()
    assert.equal(418, assert(session:get(base, { retry = { tries = 2, backoff = 0.001, on = { 418 } } })).status)
    assert.equal(2, #log)
    assert.equal(200, assert(session:get(base, { retry = { tries = 2, on = { 418 } } })).status)
  end))

  test("asks a function, and repeats methods that it names", scripted.with(busy_twice, function(base)
    local session <close> = session_of()
    local seen = {}
    local function on(response, err, try)
      seen[try] = response and response.status or err.code
      return response and response.status == 418
    end
    local opts = { retry = { tries = 5, backoff = 0.001, on = on, methods = { "POST" } } }
    assert.equal(200, assert(session:post(base, opts)).status)
    assert.same({ 418, 418, 200 }, seen)
    misused("'retries'", session.get, session, base, { retry = {}, retries = 1 })
    misused("tries", session.get, session, base, { retry = { tries = 0 } })
    misused("got_nothing", session.get, session, base, { retry = { on = { "got_nothing" } } })
    misused("5030", session.get, session, base, { retry = { on = { 5030 } } })
  end))

  test("takes codes of errors", scripted.with(function(_, _, number) return number > 1 and answer(200, "ok") end,
    function(base)
      local session <close> = session_of()
      assert(session:get(base, { retry = { backoff = 0.001, on = { "GOT_NOTHING" } } }))
      local refused = "http://127.0.0.1:1/"
      local start = braid.now()
      fails("http", session:get(refused, { retry = { backoff = 5, on = { "GOT_NOTHING" } } }))
      assert.is_true(braid.now() - start < 4)
    end))
end)

describe("timeouts", function()
  test("are in one table", scripted.with(function() braid.sleep(5) end, function(base)
    local session <close> = session_of()
    fails("timeout", session:get(base, { timeouts = { total = 0.05 } }))
    fails("timeout", session:get(base, { timeouts = { connect = 1, read = 0.5, total = math.huge } }))
    misused("'timeout'", session.get, session, base, { timeouts = { total = 1 }, timeout = 1 })
    misused("timeouts.connect", session.get, session, base, { timeouts = { connect = -1 } })
    misused("'connect_timeout'", session.get, session, base, { timeouts = { connect = 1 }, connect_timeout = 1 })
    misused("'idle_timeout'", session.get, session, base, { timeouts = { read = 1 }, idle_timeout = 1 })
    fails("timeout", session:get(base, { timeouts = { read = 5 }, timeout = 0.05 }))
  end))
end)

describe("a timeout of its own", function()
  local function silent(request, stream)
    if request.target == "/ok" then return answer(200, "ok") end
    if request.target == "/half" then stream:write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") end
    if request.target == "/drops" then
      stream:write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
      for _ = 1, 6 do
        braid.sleep(0.1)
        stream:write("x")
      end
      return
    end
    braid.sleep(5)
    return false
  end

  test("is for reading: from the request on, and between bytes", scripted.with(silent, function(base)
    local session <close> = http.session { base_url = base, timeouts = { read = 0.3 } }
    local start = braid.now()
    local err = fails("timeout", session:get("/never"))
    assert.equal("OPERATION_TIMEDOUT", err.code)
    fails("timeout", session:get("/half"))
    assert.is_true(braid.now() - start > 0.5)
    assert.is_true(braid.now() - start < 2 * helper.slowness)
    assert.equal("xxxxxx", assert(session:get("/drops")).body)
    local response <close> = assert(session:get("/half", { stream = true }))
    assert.equal("half", response:read(4))
    fails("timeout", response:read(1))
  end))

  test("does not count while this program takes its time", scripted.with(function()
    return answer(200, ("x"):rep(3000000))
  end, function(base)
    local session <close> = http.session { base_url = base, timeouts = { read = 0.2, write = 0.2 } }
    local first = true
    local function slow()
      if first then braid.sleep(0.5) end
      first = false
    end
    assert(session:get("/", { sink = slow }))
    local n = 0
    assert(session:put("/", { content_length = 3, body = function()
      n = n + 1
      braid.sleep(0.3)
      return n < 4 and "x" or nil
    end }))
  end))

  test("is for a connection of the pool", scripted.with(silent, function(base)
    local session <close> = http.session { base_url = base, max_connections = 1, timeouts = { pool = 0.2 } }
    local first = braid.spawn(session.get, session, "/never", { timeout = 1 })
    braid.sleep(0.02)
    local start = braid.now()
    local err = fails("timeout", session:get("/ok"))
    assert.is_truthy(err.message:find("no connection was free for 0.2 s", 1, true), err.message)
    assert.is_true(braid.now() - start < 0.8 * helper.slowness)
    fails("timeout", first:result())
    assert.equal("ok", assert(session:get("/ok")).body)
  end))

  test("is for writing", function()
    braid.run(function()
      local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
      local session <close> = http.session { timeouts = { write = 0.3, read = 5 } }
      local base = "http://127.0.0.1:" .. listener.port
      local err = fails("timeout", session:post(base, { body = ("x"):rep(20000000) }))
      assert.is_truthy(err.message:find("nothing could be sent", 1, true), err.message)
      err = fails("timeout", session:post(base, { body = function() return ("x"):rep(100000) end }))
      assert.is_truthy(err.message:find("nothing could be sent", 1, true), err.message)
    end)
  end)
end)

describe("the way of a request", function()
  local function tells(request, stream)
    return answer(200, request.headers.host .. " " .. (request.headers.authorization or "nobody")), stream
  end

  test("is said by resolve, and forgotten after it", scripted.with(tells, function(base)
    local session <close> = session_of()
    local port = base:match("%d+$")
    local url = "http://service.invalid:" .. port .. "/"
    local response = assert(session:get(url, { resolve = { ["service.invalid:" .. port] = "127.0.0.1" } }))
    assert.equal("service.invalid:" .. port .. " nobody", response.body)
    assert.same({ address = "127.0.0.1", port = tonumber(port) }, response.remote)
    fails("http", session:get(url))
    misused("'resolve'", session.get, session, url, { resolve = { ["service.invalid"] = "127.0.0.1" } })
  end))

  test("begins at local_address", scripted.with(tells, function(base)
    local session <close> = session_of()
    assert(session:get(base, { local_address = "127.0.0.1" }))
    fails("http", session:get(base, { local_address = "192.0.2.1" }))
  end))

  test("has the user of a netrc file, for its host only", scripted.with(tells, function(base)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write("machine 127.0.0.1 login ada password word\n")
    file:close()
    local session <close> = session_of { netrc = path }
    assert.is_truthy(assert(session:get(base)).body:find("Basic ", 1, true))
    assert.is_truthy(assert(session:get((base:gsub("127%.0%.0%.1", "localhost")))).body:find("nobody", 1, true))
    assert.is_truthy(assert(session:get(base, { netrc = false })).body:find("nobody", 1, true))
    os.remove(path)
  end))
end)

describe("the links of a response", function()
  test("have their URLs and parameters", scripted.with(function()
    return answer(200, "", {
      Link = [[</p?a=1,2>; rel="next"; title="a \"b\", c", <http://h/>;REL=last;x , </third>]],
    })
  end, function(base)
    local session <close> = session_of()
    assert.same({
      { url = "/p?a=1,2", rel = "next", title = 'a "b", c' }, { url = "http://h/", rel = "last", x = "" },
      { url = "/third" },
    }, assert(session:get(base)):links())
  end))
end)

describe("hooks", function()
  local function mirror(request)
    return answer(200, ("%s %s %s %s %s"):format(request.target, request.headers["x-sign"] or "-",
      request.headers["content-type"] or "-", request.headers.authorization and "user" or "-", request.body))
  end

  test("may change the request, and the response, and may wait", scripted.with(mirror, function(base)
    local session <close> = session_of {
      base_url = base, auth = "user:word",
      on_request = function(request)
        braid.sleep(0.001)
        request.headers["X-Sign"] = request.method .. #request.body
        request.url = request.url .. "?signed"
        request.body = request.body:upper()
      end,
      on_response = function(response)
        braid.sleep(0.001)
        response.body = "<" .. response.body .. ">"
      end,
    }
    assert.equal('</a?signed POST5 application/json user "ABC">', assert(session:post("/a", { json = "abc" })).body)
    assert.equal("</a?signed PUT1 - user X>", assert(session:put("/a", { body = "x", stream = false })).body)
  end))

  test("that lead elsewhere take no password along, and fail the request by what they raise",
    scripted.with(mirror, function(base)
      local session <close> = session_of { base_url = base, auth = "user:word" }
      local response = assert(session:get("/a", { on_request = function(request)
        request.url = base:gsub("127%.0%.0%.1", "localhost") .. "/there"
      end }))
      assert.equal("/there - - - ", response.body)
      local function fail() error("no key", 0) end
      for _, name in ipairs { "on_request", "on_response" } do
        local ok, err = pcall(session.get, session, "/a", { [name] = fail })
        assert.is_false(ok)
        assert.equal("no key", err)
      end
      misused("'url'", session.get, session, "/a", { on_request = function(request) request.url = "ftp://x/" end })
    end))
end)

describe("a session's numbers", function()
  test("are those of its connections and requests", scripted.with(function(request)
    if request.target == "/slow" then braid.sleep(0.05) end
    return answer(200, "ok")
  end, function(base)
    local session <close> = session_of { base_url = base, max_connections = 1 }
    assert.same({ open = 0, idle = 0, waiting = 0, requests = 0, reused = 0 }, session:stats())
    assert(session:get("/"))
    assert.same({ open = 1, idle = 1, waiting = 0, requests = 1, reused = 0 }, session:stats())
    local slow = braid.spawn(function() assert(session:get("/slow")) end)
    local next_one = braid.spawn(function() assert(session:get("/")) end)
    braid.sleep(0.02)
    assert.same({ open = 1, idle = 0, waiting = 1, requests = 3, reused = 0 }, session:stats())
    slow:wait()
    next_one:wait()
    assert.same({ open = 1, idle = 1, waiting = 0, requests = 3, reused = 2 }, session:stats())
    session:close()
    assert.equal(0, session:stats().open)
  end))
end)
