-- SPDX-License-Identifier: MIT
-- Connections of a web server: order, backpressure, clients that end their side, bodies that nobody wants.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local web_server = require "spec.web_server"
local web = braid.web
local test = helper.test
local eventually, connect = expect.eventually, web_server.connect

local function serving(prepare, fn, options)
  options = options or {}
  options.grace = options.grace or 0.1
  return web_server.serving(prepare, fn, options)
end

local function get(path, fields) return ("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"):format(path, fields or "") end

local function read_all(stream) return stream:read("a", 8 * helper.slowness) or "" end

local function routes(app)
  app:get("/n/{n:int}", function(request) return tostring(request.params.n) end)
  app:get("/slow/{n:int}", function(request)
    braid.sleep(0.05 / (1 + request.params.n))
    return tostring(request.params.n)
  end)
  app:post("/size", function(request) return tostring(#request.body) end)
end

describe("requests on one connection", function()
  test("are answered in their order, however many come at once", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    local list, wanted = {}, {}
    for i = 1, 1000 do list[i], wanted[i] = get("/n/" .. i), tostring(i) end
    braid.spawn(function() stream:write(table.concat(list) .. get("/n/1001", "Connection: close\r\n")) end)
    local got = {}
    for body in read_all(stream):gmatch("\r\n\r\n(%d+)") do got[#got + 1] = body end
    wanted[1001] = "1001"
    assert.same(wanted, got)
    assert.equal(1, server:stats().accepted)
  end))

  test("are answered in their order although the later ones would be faster", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    stream:write(get("/slow/0") .. get("/slow/5") .. get("/n/7", "Connection: close\r\n"))
    local got = {}
    for body in read_all(stream):gmatch("\r\n\r\n(%d+)") do got[#got + 1] = body end
    assert.same({ "0", "5", "7" }, got)
  end))

  test("may follow a body at once", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    local post = "POST /size HTTP/1.1\r\nHost: x\r\n"
    local chunked = post .. "Transfer-Encoding: chunked\r\n\r\n2000\r\n" .. ("c"):rep(0x2000) .. "\r\n0\r\n\r\n"
    stream:write(post .. "Content-Length: 20000\r\n\r\n" .. ("x"):rep(20000) .. chunked
      .. get("/n/3", "Connection: close\r\n"))
    local got = {}
    for body in read_all(stream):gmatch("\r\n\r\n(%d+)") do got[#got + 1] = body end
    assert.same({ "20000", "8192", "3" }, got)
  end))
end)

describe("a client that ends its side", function()
  test("is answered, and asked in between whether it is there", serving(function(app)
    app:get("/", function() braid.sleep(1.6) return "THE ANSWER" end)
  end, function(_, _, server)
    local stream <close> = connect(server)
    stream:write(get("/"))
    stream:shutdown()
    local got = read_all(stream)
    assert.is_truthy(got:find("^HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), got)
    assert.is_truthy(got:find("THE ANSWER$"), got)
  end))

  test("gets every answer that it is owed", serving(routes, function(_, _, server)
    local stream <close> = connect(server)
    stream:write(get("/slow/0") .. get("/n/2") .. get("/n/3"))
    stream:shutdown()
    local _, count = read_all(stream):gsub("HTTP/1.1 200 OK", "")
    assert.equal(3, count)
    eventually(function() return server:stats().connections == 0 end)
  end))

  test("in the middle of a request has left", serving(routes, function(_, _, server)
    local short = "POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"
    for _, text in ipairs { "GET /n/1 HTTP/1.1\r\n", short } do
      local stream <close> = connect(server)
      stream:write(text)
      stream:shutdown()
      assert.equal("", read_all(stream))
    end
    eventually(function() return server:stats().connections == 0 end)
  end))
end)

describe("a body that nobody wants", function()
  local function refusing(app)
    app:post("/", function() web.abort(401) end, { stream_body = true, max_body = 1 << 32 })
    app:post("/read", function(request) return tostring(#request.body) end, { stream_body = true })
  end

  test("is refused before it has come, and dropped", serving(refusing, function(_, _, server)
    local stream <close> = connect(server)
    stream:write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nabc")
    assert.equal("HTTP/1.1 401 Unauthorized\r", stream:read("l", 5))
    for _ = 1, 20 do
      if not stream:write(("x"):rep(100000)) then break end
    end
    assert.is_truthy(read_all(stream):find('{"error":"Unauthorized"}', 1, true))
    stream:close()
    eventually(function() return server:stats().connections == 0 end)
  end))

  test("is not asked for", serving(refusing, function(_, _, server)
    local expecting = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    local stream <close> = connect(server)
    stream:write("POST / HTTP/1.1\r\n" .. expecting)
    assert.is_truthy(read_all(stream):find("^HTTP/1.1 401"))
    local other <close> = connect(server)
    other:write("POST /read HTTP/1.1\r\nConnection: close\r\n" .. expecting)
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", other:read(25, 5))
    other:write("hello")
    assert.is_truthy(read_all(other):find("\r\n\r\n5$"))
  end))

  test("ends the connection in time, if it comes on and on", serving(refusing, function(_, _, server)
    local stream <close> = connect(server)
    stream:write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000000\r\n\r\n")
    local piece, sent = ("x"):rep(1 << 20), 0
    while sent < 200 and stream:write(piece, 5) do sent = sent + 1 end
    assert.is_true(sent < 100, sent)
    eventually(function() return server:stats().connections == 0 end)
  end), { deadline = 20 })
end)

describe("a client that does not read", function()
  local function large(app)
    app:get("/large", function() return ("x"):rep(20000000) end)
    app:get("/stream", function()
      return web.response { stream = function(write)
        for _ = 1, 1000 do write(("x"):rep(65536)) end
      end }
    end)
  end

  test("is cut off after idle_timeout", serving(large, function(_, _, server)
    for _, path in ipairs { "/large", "/stream" } do
      local stream <close> = connect(server)
      stream:write(get(path))
      eventually(function() return server:stats().connections == 1 end)
      eventually(function() return server:stats().connections == 0 end)
    end
  end, { idle_timeout = 0.5 }), { deadline = 20 })

  test("or slowly, gets everything", serving(large, function(_, _, server)
    local stream <close> = connect(server)
    stream:write(get("/large", "Connection: close\r\n"))
    local size = 0
    while true do
      local piece = stream:read_some(1 << 20, 5)
      if not piece then break end
      size = size + #piece
      braid.sleep(0.002)
    end
    assert.is_true(size > 20000000)
  end))
end)
