-- SPDX-License-Identifier: MIT
-- TLS on streams: who is trusted, what is agreed, what an end means, and what is left open.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net = braid.net
local test, run = helper.test, helper.run
local contains, fails, misused = expect.contains, expect.fails, expect.misused

local path = certificates.open()
teardown(certificates.close)

local function identity(name) return { cert = path(name .. ".pem"), key = path(name .. ".key") } end

local function with(options, more)
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

local function server_options(more) return with(identity "server", more) end
local function client_options(more) return with({ ca_file = path "ca.pem" }, more) end

local function echo(stream)
  for piece in function() return stream:read_some() end do
    if not stream:write(piece) then return end
  end
end

-- A test function: fn(listener) in braid.run; serve(stream) is a task for each connection.
local function with_listener(options, fn, serve)
  return function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = server_options(options), max_line = 1 << 24 }))
      braid.scope(function(tasks)
        tasks:spawn(function()
          for stream in listener do
            tasks:spawn(function()
              local _ <close> = stream;
              (serve or echo)(stream)
            end)
          end
        end)
        fn(listener)
        tasks:cancel()
      end)
    end)
  end
end

local function connect(listener, options, more)
  return net.connect("127.0.0.1", listener.port, with({ tls = client_options(options), timeout = 5 }, more))
end

local function connected(...) return assert(connect(...)) end

local function hello(stream)
  assert(stream:write("hello\n"))
  assert.equal("hello", stream:read("l", 5))
end

describe("a connection with TLS", function()
  test("carries bytes both ways", with_listener({}, function(listener)
    local stream <close> = connected(listener)
    hello(stream)
    local data = {}
    for i = 1, 100000 do data[i] = ("%09d\n"):format(i) end
    data = table.concat(data)
    local got = braid.spawn(function() return stream:read(#data, 10) end)
    assert(stream:write(data))
    assert.is_true(got:result() == data)
    assert.equal(listener.port, select(2, stream:peer()))
  end))

  test("tells what was agreed", with_listener({ alpn = { "h2", "x" } }, function(listener)
    local stream <close> = connected(listener, { alpn = { "y", "x" }, server_name = "localhost" })
    local facts = stream:tls()
    assert.equal("TLSv1.3", facts.version)
    assert.matches("^TLS_", facts.cipher)
    assert.equal("x", facts.alpn)
    assert.equal("localhost", facts.server_name)
    assert.is_false(facts.resumed)
    assert.equal("CN=localhost, O=Tests", facts.peer.subject)
    assert.equal("CN=The ca", facts.peer.issuer)
    assert.same({ "localhost", "*.example.org", "127.0.0.1", "::1" }, facts.peer.names)
    assert.is_true(facts.peer.not_before <= os.time() and facts.peer.not_after > os.time() + 86400)
    local pipe <close> = assert(io.popen("openssl x509 -outform der -in " .. path "server.pem" .. " | sha256sum"))
    assert.equal(pipe:read(64), facts.peer.sha256)
  end))

  test("is TLS 1.2 where a side wants it, with the ciphers that are named", with_listener({
    ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
  }, function(listener)
    local stream <close> = connected(listener, { ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256" })
    hello(stream)
    assert.equal("TLSv1.2", stream:tls().version)
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", stream:tls().cipher)
    fails("tls", connect(listener, { min_version = "1.3" }))
    assert.equal("no cipher match", fails("tls", connect(listener, { ciphers = "NOTHING" })).reason)
  end))

  test("has no facts without TLS", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local stream <close> = assert(net.connect("127.0.0.1", listener.port))
      assert.is_nil(stream:tls())
    end)
  end)

  test("goes over a Unix socket", function()
    run(function()
      local place = os.tmpname()
      os.remove(place)
      local listener <close> = assert(net.listen({ unix = place, tls = server_options() }))
      braid.spawn(function()
        local stream <close> = assert(listener:accept())
        echo(stream)
      end):daemon()
      local stream <close> = assert(net.connect { unix = place, tls = client_options { server_name = "localhost" } })
      hello(stream)
    end)
  end)

  test("goes through a proxy", with_listener({}, function(listener)
    local proxy <close> = assert(net.listen("127.0.0.1", 0))
    braid.spawn(function()
      local client <close> = assert(proxy:accept())
      client:read_until("\r\n\r\n")
      client:write("HTTP/1.1 200 OK\r\n\r\n")
      local target <close> = assert(net.connect("127.0.0.1", listener.port))
      local function copy(from, to)
        local piece = from:read_some()
        while piece and to:write(piece) do piece = from:read_some() end
      end
      braid.race { function() copy(client, target) end, function() copy(target, client) end }
    end):daemon()
    local stream <close> = connected(listener, {}, { proxy = "http://127.0.0.1:" .. proxy.port })
    hello(stream)
    assert.equal("127.0.0.1", stream:tls().server_name)
  end))

  test("is refused with options that mean nothing", function()
    run(function()
      local function tls(options) return "127.0.0.1", 1, { tls = options } end
      misused("did you mean 'verify'", net.connect, tls { verfy = true })
      misused("min_version", net.connect, tls { min_version = "1.1" })
      misused("alpn", net.connect, tls { alpn = { 1 } })
      misused("alpn", net.connect, tls { alpn = {} })
      misused("close_notify", net.connect, tls { close_notify = "never" })
      misused("key", net.connect, tls { key = "x" })
      misused("server_name", net.connect, { unix = "/nowhere", tls = true })
      misused("server_name", net.connect, tls { server_name = "" })
      misused("cert", net.listen, tls {})
      misused("tls", net.listen, tls(true))
      fails("system", net.connect(tls { ca_file = "/nowhere" }))
      fails("system", net.connect(tls { ca_path = "/nowhere" }))
      fails("tls", net.connect(tls { ca_file = path "ca.key" }))
      fails("system", net.listen("127.0.0.1", 0, { tls = { cert = "/nowhere" } }))
      contains(fails("tls", net.listen("127.0.0.1", 0, { tls = { cert = path "server.pem", key = path "ca.key" } }))
        .reason, "key values mismatch")
    end)
  end)
end)

describe("a certificate", function()
  local function refused(listener, options, reason)
    local err = fails("tls", connect(listener, options))
    assert.equal(reason, err.reason)
    assert.equal("integer", math.type(err.code))
    contains(err.message, reason)
    return err
  end

  test("must be of an authority that is trusted", with_listener({}, function(listener)
    local err = refused(listener, { ca_file = path "foreign.pem" }, "unable to get local issuer certificate")
    assert.equal("CN=localhost, O=Tests", err.peer.subject)
    err = fails("tls", net.connect("127.0.0.1", listener.port, { tls = true }))
    assert.equal("unable to get local issuer certificate", err.reason)
    local stream <close> = assert(net.connect("127.0.0.1", listener.port, { tls = { verify = false } }))
    hello(stream)
    assert.equal("CN=localhost, O=Tests", stream:tls().peer.subject)
  end))

  test("must be for the host", with_listener({}, function(listener)
    refused(listener, { server_name = "other.test" }, "hostname mismatch")
    refused(listener, { server_name = "a.b.example.org" }, "hostname mismatch")
    refused(listener, { server_name = "127.0.0.2" }, "IP address mismatch")
    for _, name in ipairs { "localhost", "LOCALHOST", "localhost.", "a.example.org", "127.0.0.1", "::1", "::1%lo" } do
      local stream <close> = connected(listener, { server_name = name })
      hello(stream)
    end
  end))

  test("that has ended is refused", with_listener(identity "expired", function(listener)
    local err = refused(listener, {}, "certificate has expired")
    assert.is_true(err.peer.not_after < os.time())
  end))

  test("is trusted by a folder of hashes, too", with_listener({}, function(listener)
    local folder = path "trusted"
    local commands = ("mkdir %s && cp %s %s && openssl rehash %s"):format(folder, path "ca.pem", folder, folder)
    assert(os.execute(commands))
    local stream <close> = assert(net.connect("127.0.0.1", listener.port, { tls = { ca_path = folder } }))
    hello(stream)
  end))

  test("of clients is demanded", with_listener({ client_ca = path "ca.pem" }, function(listener)
    local stream <close> = connected(listener, identity "client")
    assert.equal("CN=a client\n", (stream:read("L", 5)))
    for _, options in ipairs { {}, identity "stranger", identity "expired" } do
      local refusal <close> = connected(listener, options)
      local data, err = refusal:read("l", 5)
      fails("tls", data, err)
      contains(err.reason, " alert ")
    end
  end, function(stream)
    local facts = stream:tls()
    if facts then stream:write(facts.peer.subject .. "\n") end
  end))

  test("is refused on the server with its reason", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0,
        { tls = server_options { client_ca = path "ca.pem" } }))
      local function reason_for(options)
        local failure = braid.spawn(function()
          local stream <close> = assert(listener:accept())
          return fails("tls", stream:read())
        end)
        local stream <close> = connected(listener, options)
        stream:read("l", 5)
        return failure:result()
      end
      assert.equal("peer did not return a certificate", reason_for({}).reason)
      local err = reason_for(identity "expired")
      assert.equal("certificate has expired", err.reason)
      assert.equal("CN=localhost", err.peer.subject)
    end)
  end)

  test("and its key may be given as text", function()
    run(function()
      local function text(name)
        local file <close> = assert(io.open(path(name)))
        return file:read("a")
      end
      local cert, key = text "server.pem", text "server.key"
      for _, tls in ipairs { { cert = cert, key = key }, { cert = cert .. key }, { cert = key .. cert } } do
        local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = tls }))
        local server = braid.spawn(function() return assert(listener:accept()):read("l") end)
        local stream <close> = connected(listener)
        assert(stream:write("hello\n"))
        assert.equal("hello", server:result())
      end
      local err = fails("tls", net.listen("127.0.0.1", 0, { tls = { cert = cert, key = key:gsub("\n%w", "\n", 1) } }))
      assert.is_nil(err.message:find("BEGIN", 1, true), err.message)
      assert(os.execute(("openssl ec -aes128 -passout pass:secret -in %s -out %s 2>/dev/null"):format(path "server.key",
        path "locked.key")))
      fails("tls", net.listen("127.0.0.1", 0, { tls = { cert = cert, key = path "locked.key" } }))
    end)
  end)

  test("may have others behind it", function()
    run(function()
      certificates.make("middle", "/CN=middle", nil, false, "ca", true)
      certificates.make("leaf", "/CN=localhost", "IP:127.0.0.1", false, "middle")
      assert(os.execute(("cat %s %s >%s"):format(path "leaf.pem", path "middle.pem", path "chain.pem")))
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = { cert = path "chain.pem",
        key = path "leaf.key" } }))
      braid.spawn(function()
        for stream in listener do
          local _ <close> = stream
          stream:read("l")
        end
      end):daemon()
      for _, trusted in ipairs { "ca.pem", "middle.pem" } do
        local stream <close> = connected(listener, { ca_file = path(trusted) })
        assert.equal("CN=middle", stream:tls().peer.issuer)
      end
      fails("tls", connect(listener, { ca_file = path "foreign.pem" }))
    end)
  end)

  test("is read again when its file has changed", function()
    run(function()
      certificates.make("renewed", "/CN=old", "DNS:localhost")
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = identity "renewed" }))
      braid.spawn(function()
        for stream in listener do braid.spawn(echo, stream):daemon() end
      end):daemon()
      local function subject()
        local stream <close> = connected(listener, { server_name = "localhost" })
        hello(stream)
        return stream:tls().peer.subject, stream
      end
      local kept <close> = connected(listener, { server_name = "localhost" })
      assert.equal("CN=old", subject())
      assert(os.execute(("mv %s %s"):format(path "renewed.key", path "away")))
      braid.sleep(1.1)
      assert.equal("CN=old", subject())
      certificates.make("renewed", "/CN=new", "DNS:localhost")
      expect.eventually(function()
        braid.sleep(0.1)
        return subject() == "CN=new"
      end)
      hello(kept)
    end)
  end)
end)

describe("sessions", function()
  local function resumed(listener, options)
    local stream <close> = connected(listener, options)
    hello(stream)
    return stream:tls().resumed
  end

  test("are resumed, but never across other rules", with_listener({}, function(listener)
    assert.is_false(resumed(listener, {}))
    for _ = 1, 5 do assert.is_true(resumed(listener, {})) end
    assert.is_false(resumed(listener, { server_name = "localhost" }))
    assert.is_false(resumed(listener, { alpn = { "x" } }))
    assert.is_false(resumed(listener, { resume = false }))
    assert.is_false(resumed(listener, { resume = false }))
    local stream <close> = assert(net.connect("127.0.0.1", listener.port, { tls = { verify = false } }))
    hello(stream)
    assert.is_false(stream:tls().resumed)
    fails("tls", connect(listener, { ca_file = path "foreign.pem" }))
    fails("tls", connect(listener, { server_name = "other.test" }))
    assert.is_true(resumed(listener, { server_name = "localhost" }))
  end))

  test("of TLS 1.2 are resumed again and again", with_listener({ ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" },
    function(listener)
      assert.is_false(resumed(listener))
      for _ = 1, 3 do assert.is_true(resumed(listener)) end
    end))

  test("are not given out by a server that does not resume", with_listener({ resume = false }, function(listener)
    for _ = 1, 3 do assert.is_false(resumed(listener)) end
  end))

  test("keep the client's certificate", with_listener({ client_ca = path "ca.pem" }, function(listener)
    for i = 1, 3 do
      local stream <close> = connected(listener, identity "client")
      assert.equal("CN=a client\n", (stream:read("L", 5)))
      assert.equal(i > 1, stream:tls().resumed)
    end
  end, function(stream) stream:write(assert(stream:tls()).peer.subject .. "\n") end))
end)

describe("the end of a connection with TLS", function()
  -- A server that ends its connection in its own way, by the connection's TCP.
  local function cut_by(finish)
    return function(fn)
      return with_listener({}, fn, function(stream)
        assert(stream:read("l"))
        assert(stream:write("some"))
        finish(stream)
      end)
    end
  end
  local kill = cut_by(function(stream) assert(stream._descriptor:shutdown()) end)

  test("is told with close_notify", with_listener({}, function(listener)
    local stream <close> = connected(listener)
    assert(stream:write("data"))
    assert(stream:shutdown())
    assert.equal("data", stream:read("a", 5))
    assert.is_nil(stream:read("l", 5))
    fails("closed", stream:write("more"))
  end))

  test("without close_notify is an error", kill(function(listener)
    local stream <close> = connected(listener)
    assert(stream:write("go\n"))
    assert.equal("some", stream:read(4, 5))
    local err = fails("tls", stream:read("a", 5))
    contains(err.message, "close_notify")
    fails("tls", stream:read("l", 5))
  end))

  test("without close_notify may be an end", kill(function(listener)
    local stream <close> = connected(listener, { close_notify = "optional" })
    assert(stream:write("go\n"))
    assert.equal("some", stream:read("a", 5))
    assert.is_nil(stream:read("l", 5))
  end))

  test("in the middle of a record is an error in any case", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = server_options() }))
      local between <close> = assert(net.listen("127.0.0.1", 0))
      braid.spawn(function()
        local stream <close> = assert(listener:accept())
        stream:read("l")
        stream:write(("x"):rep(10000))
        stream:read("l")
      end):daemon()
      braid.spawn(function() -- passes on only a part of the last record
        local client <close> = assert(between:accept())
        local target <close> = assert(net.connect("127.0.0.1", listener.port))
        braid.spawn(function()
          for piece in function() return client:read_some() end do target:write(piece) end
        end):daemon()
        while true do
          local piece = target:read_some()
          if #piece > 5000 then client:write(piece:sub(1, 3000)) break end
          client:write(piece)
        end
      end):daemon()
      local stream <close> = connected(between, { close_notify = "optional" })
      assert(stream:write("go\n"))
      fails("tls", stream:read("a", 5))
    end)
  end)

  test("comes while somebody waits", with_listener({}, function(listener)
    local stream <close> = connected(listener)
    local reader = braid.spawn(function() return stream:read("l") end)
    braid.sleep(0.02)
    stream:close()
    fails("closed", reader:result())
    fails("closed", stream:write("x"))
    fails("closed", stream:tls())
  end))
end)

describe("the handshake", function()
  test("of a silent client stops nobody", with_listener({}, function(listener)
    local _ <close> = assert(net.connect("127.0.0.1", listener.port))
    local stream <close> = connected(listener)
    hello(stream)
  end))

  test("with a server that says nothing times out, and leaves nothing", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local began = braid.now()
      fails("timeout", connect(listener, {}, { timeout = 0.1 }))
      assert.is_true(braid.now() - began < 2 * helper.slowness)
      assert.is_false((braid.move_on_after(0.05, function() connect(listener) end)))
    end)
  end)

  test("fails with what is not TLS", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local function answer(text)
        braid.spawn(function()
          local stream <close> = assert(listener:accept())
          stream:read_some()
          if text then stream:write(text) end
        end)
        return fails("tls", connect(listener))
      end
      assert.equal("wrong version number", answer("HTTP/1.1 400 Bad Request\r\n\r\n").reason)
      contains(answer(nil).reason, "handshake")
      assert.is_nil(answer("\21\3\3\0\2\2\40").peer)
    end)
  end)

  test("with plain bytes fails on the server alone", with_listener({}, function(listener)
    for _ = 1, 3 do
      local plain <close> = assert(net.connect("127.0.0.1", listener.port))
      assert(plain:write("GET / HTTP/1.1\r\n\r\n"))
      plain:read("a", 5)
    end
    local stream <close> = connected(listener)
    hello(stream)
  end))
end)

describe("start_tls", function()
  -- fn(client, server): both ends of a plain connection.
  local function with_pair(fn)
    return function()
      run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0))
        local client <close> = assert(net.connect("127.0.0.1", listener.port))
        local server <close> = assert(listener:accept(5))
        fn(client, server)
      end)
    end
  end

  test("begins in place, on both sides", with_pair(function(client, server)
    assert(client:write("STARTTLS\n"))
    assert.equal("STARTTLS", server:read("l", 5))
    assert(server:write("go\n"))
    assert.equal("go", client:read("l", 5))
    local other = braid.spawn(function() return server:start_tls(server_options { alpn = { "a" } }) end)
    assert(client:start_tls(client_options { alpn = { "a" } }))
    assert.is_true(other:result())
    assert(client:write("hello\n"))
    assert.equal("hello", server:read("l", 5))
    assert(server:write("answer\n"))
    assert.equal("answer", client:read("l", 5))
    assert.equal("a", server:tls().alpn)
    assert.equal("127.0.0.1", client:tls().server_name)
    misused("already", client.start_tls, client)
  end))

  test("refuses bytes that came before", with_pair(function(client, server)
    assert(server:write("line\nsurplus"))
    assert.equal("line", client:read("l", 5))
    fails("tls", client:start_tls(client_options()))
    assert.is_nil(client.fd)
  end))

  test("closes the stream when it fails", with_pair(function(client, server)
    local other = braid.spawn(function() return server:start_tls(server_options()) end)
    fails("tls", client:start_tls(client_options { server_name = "other.test" }))
    assert.is_nil(client.fd)
    fails("tls", other:result())
    assert.is_nil(server.fd)
    fails("closed", client:write("x"))
    fails("closed", client:start_tls(client_options()))
  end))

  test("ends in time", with_pair(function(client)
    fails("timeout", client:start_tls(client_options { timeout = 0.05 }))
    assert.is_nil(client.fd)
  end))

  test("is refused while another task uses the stream", with_pair(function(client)
    local reader = braid.spawn(function() return client:read("l") end)
    braid.sleep(0.01)
    misused("another task", client.start_tls, client, client_options())
    reader:cancel()
    braid.sleep(0)
    misused("'servername'", client.start_tls, client, { servername = "x" })
    misused("timeout", client.start_tls, client, { timeout = -1 })
  end))

  test("has the host of connect as its name, and needs one elsewhere", with_pair(function(_, server)
    misused("server_name", server.start_tls, server, {})
  end))

  test("may be a client with a certificate", with_pair(function(client, server)
    local other = braid.spawn(function()
      return server:start_tls(server_options { client_ca = path "ca.pem" })
    end)
    assert(client:start_tls(client_options(with(identity "client", { server = false }))))
    assert.is_true(other:result())
    assert.equal("CN=a client", server:tls().peer.subject)
  end))
end)

describe("a write with TLS", function()
  local function never_read(stream)
    stream:tls()
    braid.sleep(100)
  end

  test("that is cut short breaks the stream for writing", with_listener({}, function(listener)
    local stream <close> = connected(listener)
    local err = fails("timeout", stream:write(("x"):rep(50000000), 0.2))
    assert.is_true(err.written > 0 and err.written < 50000000)
    fails("closed", stream:write("more"))
  end, never_read))

  test("that was cancelled in the middle leaves no end", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = server_options() }))
      local go = braid.event()
      local server = braid.spawn(function()
        local stream <close> = assert(listener:accept())
        assert(stream:tls())
        go:wait()
        return stream:read("a")
      end)
      local stream <close> = connected(listener)
      local writer = braid.spawn(function() return stream:write(("x"):rep(50000000)) end)
      expect.eventually(function() return stream._turn:locked() end)
      braid.sleep(0.05)
      writer:cancel()
      braid.sleep(0)
      fails("closed", stream:write("more"))
      stream:close()
      go:set()
      local data, err = server:result()
      assert.is_nil(data)
      assert.is_true(err.kind == "tls" or err.kind == "closed", tostring(err))
    end)
  end)

  test("does the handshake, which may be given up", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = server_options() }))
      local _ <close> = assert(net.connect("127.0.0.1", listener.port))
      local server <close> = assert(listener:accept())
      fails("timeout", server:write("hello", 0.02))
      fails("timeout", server:read("l", 0.02))
    end)
  end)

  test("to a peer that is gone is kind closed", with_listener({}, function(listener)
    local stream <close> = connected(listener)
    assert(stream:write("go\n"))
    stream:read("a", 5)
    local err
    expect.eventually(function()
      local _
      _, err = stream:write(("x"):rep(100000))
      return err
    end)
    assert.is_true(err.kind == "closed" or err.kind == "tls", tostring(err))
  end, function(stream)
    stream:read("l")
  end))
end)
