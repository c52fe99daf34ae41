-- SPDX-License-Identifier: MIT
-- Connections through proxies: CONNECT and SOCKS5, logins, refusals, answers cut short, and what is left open.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net = braid.net
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

-- Copies both ways until one side ends.
local function relay(client, host, port)
  local target <close> = assert(net.connect(host, port))
  local function copy(from, to)
    local piece = from:read_some()
    while piece and to:write(piece) do piece = from:read_some() end
  end
  braid.race { function() copy(client, target) end, function() copy(target, client) end }
end

-- A test function: fn(port of a proxy, port of a server that echoes lines). greet(stream) is the proxy's part; it
-- returns the place to connect to, or nothing.
local function with_proxy(greet, fn)
  return function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local echo <close> = assert(net.listen("localhost", 0))
      local function serve(from, work)
        for stream in from do
          braid.spawn(function()
            local _ <close> = stream
            work(stream)
          end):daemon()
        end
      end
      braid.spawn(serve, echo, function(stream)
        stream:write("welcome\n")
        for line in stream:lines("L") do stream:write(line) end
      end):daemon()
      braid.spawn(serve, listener, function(stream)
        local host, port = greet(stream)
        if host then relay(stream, host, port) end
      end):daemon()
      fn(listener.port, echo.port)
    end)
  end
end

local function expect_echo(stream)
  local _ <close> = stream
  assert.equal("welcome", stream:read("l", 5))
  assert(stream:write("hello\n"))
  assert.equal("hello", stream:read("l", 5))
end

describe("an HTTP proxy", function()
  local heads = {}

  local function greet(stream)
    local head = stream:read_until("\r\n\r\n", 1000, 5)
    heads[#heads + 1] = head
    local host, port = head:match "^CONNECT %[?([^ ]-)%]?:(%d+) HTTP/1.1\r\n"
    stream:write("HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n")
    return host, tonumber(port)
  end

  test("connects by name and by address", with_proxy(greet, function(proxy, port)
    heads = {}
    for _, host in ipairs { "localhost", "127.0.0.1", "::1" } do
      expect_echo(assert(net.connect(host, port, { proxy = "http://127.0.0.1:" .. proxy, timeout = 10 })))
    end
    assert.equal(("CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n"):format(port, port), heads[1])
    assert.equal(("CONNECT [::1]:%d HTTP/1.1\r\nHost: [::1]:%d\r\n\r\n"):format(port, port), heads[3])
  end))

  test("is told who asks", with_proxy(greet, function(proxy, port)
    for login, code in pairs {
      ["Aladdin:open%20sesame"] = "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ["a:b%40"] = "YTpiQA==", ["ab:c"] = "YWI6Yw==",
    } do
      heads = {}
      local url = ("http://%s@127.0.0.1:%d"):format(login, proxy)
      expect_echo(assert(net.connect("127.0.0.1", port, { proxy = url })))
      assert.is_truthy(heads[1]:find("\r\nProxy-Authorization: Basic " .. code .. "\r\n", 1, true), heads[1])
    end
  end))

  for name, case in pairs {
    ["with a status"] = { "HTTP/1.1 407 Log in\r\n\r\n", "proxy", "407 Log in", 407 },
    ["with something else"] = { "SSH-2.0-x\r\n\r\n", "proxy", "not HTTP" },
    ["by its silence and end"] = { "", "proxy", "without an answer" },
    ["by an answer that is cut in its head"] = { "HTTP/1.1 200 OK\r\n", "proxy", "in the middle" },
    ["by an answer that is cut in its status"] = { "HTTP/1.1 200", "proxy", "not HTTP" },
    ["with a status of four digits"] = { "HTTP/1.1 2000 OK\r\n\r\n", "proxy", "not HTTP" },
    ["after an interim answer"] = { "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 407 Log in\r\n\r\n", "proxy", "407", 407 },
    ["with interim answers alone"] = { ("HTTP/1.1 100 Go on\r\n\r\n"):rep(200), "proxy", "1xx" },
    ["without an end"] = { ("x"):rep(100000), "limit", "65536" },
  } do
    test("refuses " .. name, with_proxy(function(stream)
      stream:read_until("\r\n\r\n", 1000, 5)
      stream:write(case[1])
    end, function(proxy)
      local err = fails(case[2], net.connect("example.org", 80, { proxy = "http://127.0.0.1:" .. proxy, timeout = 10 }))
      expect.contains(err.message, "net.connect example.org:80: ")
      expect.contains(err.message, case[3])
      assert.equal(case[4], err.status)
    end))
  end

  test("that says nothing times out, or is left by a cancel, which closes the connection", with_proxy(function(stream)
    stream:read("a")
    heads[#heads + 1] = "closed"
  end, function(proxy)
    heads = {}
    local opts = { proxy = "http://127.0.0.1:" .. proxy }
    local task = braid.spawn(net.connect, "example.org", 80, opts)
    fails("timeout", net.connect("example.org", 80, { proxy = opts.proxy, timeout = 0.1 }))
    task:cancel()
    task:wait()
    local deadline = braid.now() + 5
    while #heads < 2 and braid.now() < deadline do braid.sleep(0.01) end
    assert.equal(2, #heads)
  end))

  test("that is not there is named", function()
    run(function()
      local err = fails("system", net.connect("example.org", 80, { proxy = "http://127.0.0.1:1" }))
      expect.contains(err.message, "net.connect example.org:80: the proxy 127.0.0.1:1: ")
      expect.contains(err.message, "Connection refused")
    end)
  end)
end)

describe("a SOCKS5 proxy", function()
  local asked

  local function read_place(stream)
    local version, command, _, kind = stream:read(4, 5):byte(1, 4)
    assert(version == 5 and command == 1)
    local host = kind == 3 and stream:read(stream:read(1):byte()) or stream:read(kind == 1 and 4 or 16)
    asked = kind
    if kind == 1 then host = table.concat({ host:byte(1, 4) }, ".") end
    if kind == 4 then host = "::" .. host:byte(16) end
    return host, (">I2"):unpack(stream:read(2))
  end

  local function greet(stream)
    local _, count = stream:read(2, 5):byte(1, 2)
    stream:read(count)
    stream:write("\5\0")
    local host, port = read_place(stream)
    stream:write("\5\0\0\3\4name\0\80")
    return host, port
  end

  test("connects by address, and by name, which it looks up on request", with_proxy(greet, function(proxy, port)
    for _, case in ipairs {
      { "127.0.0.1", "socks5", 1 }, { "localhost", "socks5", 1 }, { "localhost", "socks5h", 3 },
      { "::1", "socks5h", 4 },
    } do
      local stream = assert(net.connect(case[1], port, { proxy = ("%s://127.0.0.1:%d"):format(case[2], proxy) }))
      expect_echo(stream)
      assert.equal(case[3], asked)
    end
  end))

  local function guarded(stream)
    local _, count = stream:read(2, 5):byte(1, 2)
    if not stream:read(count):find("\2", 1, true) then return stream:write("\5\255") and nil end
    stream:write("\5\2")
    assert(stream:read(1) == "\1")
    local user = stream:read(stream:read(1):byte())
    local password = stream:read(stream:read(1):byte())
    local right = user == "me" and password == "p:@"
    stream:write(right and "\1\0" or "\1\1")
    if not right then return end
    local host, port = read_place(stream)
    stream:write("\5\0\0\1\0\0\0\0\0\0")
    return host, port
  end

  test("takes a user and a password", with_proxy(guarded, function(proxy, port)
    local function connect(login)
      return net.connect("127.0.0.1", port, { proxy = ("socks5://%s127.0.0.1:%d"):format(login, proxy), timeout = 10 })
    end
    expect_echo(assert(connect "me:p%3A%40@"))
    expect.contains(fails("proxy", connect "me:wrong@").message, "does not take")
    expect.contains(fails("proxy", connect "").message, "log in")
  end))

  for name, case in pairs {
    ["with a reason"] = { "\5\5\0\1\0\0\0\0\0\0", "refused" }, ["in the middle"] = { "\5", "in the middle" },
    ["in another version"] = { "\4\0\0\0", "not SOCKS5" }, ["without a known reason"] = { "\5\77\0\1", "error 77" },
  } do
    test("refuses " .. name, with_proxy(function(stream)
      stream:read(3, 5)
      stream:write("\5\0")
      stream:read(10, 5)
      stream:write(case[1])
    end, function(proxy)
      local err = fails("proxy", net.connect("127.0.0.1", 80, { proxy = "socks5://127.0.0.1:" .. proxy, timeout = 10 }))
      expect.contains(err.message, case[2])
    end))
  end
end)

describe("a proxy's URL", function()
  test("is refused where it makes no sense", function()
    for _, url in ipairs {
      "", "127.0.0.1:80", "ftp://h:1", "http://", "http://h:0", "http://h:70000", "http://h:x", "http://h:1/path",
      "http://[x", "socks5://" .. ("u"):rep(300) .. ":p@h:1",
    } do
      misused("'proxy'", net.connect, "example.org", 80, { proxy = url })
    end
    misused("'proxy'", net.connect, { unix = "/x", proxy = "http://h:1" })
  end)
end)
