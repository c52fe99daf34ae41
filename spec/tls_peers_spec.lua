-- SPDX-License-Identifier: MIT
-- TLS with OpenSSL's programs and Python's ssl at the other end: bulk, ends, kills; in workers; many handshakes.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net, process = braid.net, braid.process
local test, run = helper.test, helper.run
local contains, fails = expect.contains, expect.fails

local path = certificates.open()
teardown(certificates.close)

local SERVER = { cert = path "server.pem", key = path "server.key" }
local CLIENT = { ca_file = path "ca.pem" }

local function listen(more)
  local options = { cert = SERVER.cert, key = SERVER.key }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(net.listen("127.0.0.1", 0, { tls = options }))
end

-- fn(port, process) with `openssl s_server` of these arguments.
local function with_s_server(arguments, fn)
  return function()
    run(function()
      local server <close> = assert(process.start { "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
        SERVER.cert, "-key", SERVER.key, table.unpack(arguments) })
      for line in server:lines() do
        local port = line:match("^ACCEPT 127.0.0.1:(%d+)")
        if port then return fn(math.tointeger(port), server) end
      end
      error "it has not begun"
    end)
  end
end

-- A program of Python, which finds the port of ours, or prints its own, and the certificates.
local function python(code, port)
  local head = ([[
import socket, ssl, sys, hashlib, threading
port, ca, cert, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
def client(**more):
    context = ssl.create_default_context(cafile=ca)
    for name, value in more.items(): setattr(context, name, value)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
def server():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    return context.wrap_socket(listener.accept()[0], server_side=True)
]])
  return { "python3", "-c", head .. code, tostring(port or 0), path "ca.pem", SERVER.cert, SERVER.key }
end

local function with_python_server(code, fn)
  return function()
    run(function()
      local server <close> = assert(process.start(python(code)))
      fn(assert(math.tointeger(server:read("l"))), server)
    end)
  end
end

local function connect(port, more)
  local options = { ca_file = CLIENT.ca_file }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(net.connect("127.0.0.1", port, { tls = options, timeout = 10 }))
end

describe("openssl s_server", function()
  test("answers", with_s_server({ "-rev" }, function(port)
    for i = 1, 3 do
      local stream <close> = connect(port)
      assert(stream:write("hello\n"))
      assert.equal("olleh", stream:read("l", 5))
      assert.equal(i > 1, stream:tls().resumed)
    end
  end))

  test("with TLS 1.2 answers, and resumes", with_s_server({ "-rev", "-tls1_2" }, function(port)
    for i = 1, 3 do
      local stream <close> = connect(port)
      assert(stream:write("hello\n"))
      assert.equal("olleh", stream:read("l", 5))
      assert.equal("TLSv1.2", stream:tls().version)
      assert.equal(i > 1, stream:tls().resumed)
    end
  end))

  test("that is killed ends waits without close_notify", with_s_server({ "-rev" }, function(port, server)
    local stream <close> = connect(port)
    local reader = braid.spawn(function() return stream:read("l") end)
    assert(stream:write("no line"))
    braid.sleep(0.05)
    server:kill("KILL")
    local line, err = reader:result(5)
    assert.is_nil(line)
    assert.is_true(err.kind == "tls" or err.kind == "closed", tostring(err))
  end))

  test("that is killed ends a write", with_s_server({}, function(port, server)
    local stream <close> = connect(port)
    braid.spawn(function()
      braid.sleep(0.05)
      server:kill("STOP")
      braid.sleep(0.1)
      server:kill("KILL")
    end)
    local err
    repeat
      local _
      _, err = stream:write(("x"):rep(1000000), 5)
    until err
    assert.is_true(err.kind == "tls" or err.kind == "closed", tostring(err))
  end))

  test("of an old version is refused", with_s_server({ "-tls1_2", "-rev" }, function(port)
    local _, err = net.connect("127.0.0.1", port, { tls = { ca_file = CLIENT.ca_file, min_version = "1.3" } })
    contains(fails("tls", _, err).reason, "version")
  end))
end)

describe("openssl s_client", function()
  local function s_client(port, input, ...)
    return assert(process.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", path "ca.pem",
      "-verify_return_error", "-verify_hostname", "localhost", ... }, { stdin = input }))
  end

  -- fn(listener) with a server that echoes lines.
  local function with_echo(options, fn)
    return function()
      run(function()
        local listener <close> = listen(options)
        local ends = {}
        braid.spawn(function()
          for stream in listener do
            braid.spawn(function()
              local _ <close> = stream
              local line, err = stream:read("L")
              while line and stream:write(line) do line, err = stream:read("L") end
              ends[#ends + 1] = err or "end"
            end):daemon()
          end
        end):daemon()
        fn(listener, ends)
      end)
    end
  end

  test("is answered", with_echo({ alpn = { "h2" } }, function(listener)
    for _, version in ipairs { "-tls1_3", "-tls1_2" } do
      local result = s_client(listener.port, "hello\nQ\n", version, "-alpn", "h2,x", "-no_ign_eof")
      contains(result.stdout, "Verify return code: 0 (ok)")
      contains(result.stdout, "ALPN protocol: h2")
      assert.equal(0, result.code, result.stderr)
    end
    assert.is_true(s_client(listener.port, "x\n", "-tls1_1").code ~= 0)
  end))

  test("may not begin anew in the middle", with_echo({}, function(listener, ends)
    local client <close> = assert(process.start({ "openssl", "s_client", "-connect", "127.0.0.1:" .. listener.port,
      "-tls1_2" }, { stderr = "stdout" }))
    assert(client:write("one\n"))
    for line in client:lines() do
      if line == "one" then break end
    end
    assert(client:write("R\n"))
    local text = client:read("a", 5)
    contains(text, "no renegotiation")
    expect.eventually(function() return ends[1] end)
  end))

  test("that is killed is noticed", with_echo({}, function(listener, ends)
    local client <close> = assert(process.start({ "openssl", "s_client", "-connect", "127.0.0.1:" .. listener.port,
      "-quiet" }, { stderr = "null" }))
    assert(client:write("one\n"))
    assert.equal("one", client:read("l", 5))
    client:kill("KILL")
    expect.eventually(function() return ends[1] end)
    assert.is_true(braid.is_error(ends[1], "tls") or braid.is_error(ends[1], "closed"), tostring(ends[1]))
  end))
end)

describe("Python's ssl", function()
  test("as a server moves bytes both ways at once", with_python_server([[
peer = server()
def sender():
    for i in range(300): peer.sendall(bytes([i % 251]) * 65536)
thread = threading.Thread(target=sender); thread.start()
digest, size = hashlib.sha256(), 0
while size < 20000000:
    piece = peer.recv(65536); digest.update(piece); size += len(piece)
thread.join()
peer.sendall(digest.hexdigest().encode() + b"\n")
try: peer.unwrap().close()
except ssl.SSLError: pass
]], function(port)
    local stream <close> = connect(port)
    local pieces = {}
    for i = 0, 299 do pieces[i + 1] = string.char(i % 251):rep(65536) end
    local theirs, ours = table.concat(pieces), ("0123456789"):rep(2000000)
    local reader = braid.spawn(function() return stream:read(#theirs, 30) end)
    assert(stream:write(ours, 30))
    assert.is_true(reader:result() == theirs)
    local digest = assert(process.run({ "sha256sum" }, { stdin = ours })).stdout:sub(1, 64)
    assert.equal(digest, stream:read("l", 10))
    assert.equal("", stream:read("a", 10))
  end), { deadline = 60 })

  test("as a client sees our certificate and our end", function()
    run(function()
      local listener <close> = listen()
      local client = braid.spawn(function()
        return assert(process.run(python([[
peer = client()
peer.sendall(b"hello\n")
print(peer.recv(100), peer.version(), peer.getpeercert()["subject"][0][0][1], peer.recv(100))
peer.unwrap()
print("clean")
]], listener.port)))
      end)
      local stream <close> = assert(listener:accept(10))
      assert.equal("hello", stream:read("l", 10))
      assert(stream:write("answer"))
      assert(stream:shutdown())
      assert.is_nil(stream:read("l", 10))
      local result = client:result(10)
      assert.equal("b'answer' TLSv1.3 localhost b''\nclean\n", result.stdout, result.stderr)
    end)
  end)

  test("that leaves without close_notify is an error, or not", with_python_server([[
peer = server()
peer.sendall(b"some")
peer.shutdown(socket.SHUT_RDWR)
peer.close()
]], function(port)
    local stream <close> = connect(port)
    local data, err = stream:read("a", 10)
    contains(fails("tls", data, err).message, "close_notify")
  end))

  test("that leaves without close_notify may be an end", with_python_server([[
peer = server()
peer.sendall(b"some")
peer.shutdown(socket.SHUT_RDWR)
peer.close()
]], function(port)
    local stream <close> = connect(port, { close_notify = "optional" })
    assert.equal("some", stream:read("a", 10))
  end))

  test("that ends its half can still be answered", function()
    run(function()
      local listener <close> = listen { close_notify = "optional" }
      local client = braid.spawn(function()
        return assert(process.run(python([[
peer = client()
peer.sendall(b"question")
import os
raw = socket.socket(fileno=os.dup(peer.fileno()))
raw.shutdown(socket.SHUT_WR)
print(peer.recv(100))
]], listener.port)))
      end)
      local stream <close> = assert(listener:accept(10))
      assert.equal("question", stream:read("a", 10))
      assert(stream:write("answer"))
      local result = client:result(10)
      assert.equal("b'answer'\n", result.stdout, result.stderr)
    end)
  end)

  test("that starts TLS late is served by start_tls", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local client = braid.spawn(function()
        return assert(process.run(python([[
plain = socket.create_connection(("127.0.0.1", port))
plain.sendall(b"STARTTLS\r\n")
print(plain.recv(100))
peer = ssl.create_default_context(cafile=ca).wrap_socket(plain, server_hostname="localhost")
peer.sendall(b"secret\n")
print(peer.recv(100))
]], listener.port)))
      end)
      local stream <close> = assert(listener:accept(10))
      assert.equal("STARTTLS\r", stream:read("l", 10))
      assert(stream:write("go\r\n"))
      assert(stream:start_tls(SERVER))
      assert.equal("secret", stream:read("l", 10))
      assert(stream:write("answer"))
      local result = client:result(10)
      assert.equal("b'go\\r\\n'\nb'answer'\n", result.stdout, result.stderr)
    end)
  end)
end)

describe("TLS in workers", function()
  local function fetch(port, ca)
    local stream <close> = net.connect("127.0.0.1", port, { tls = { ca_file = ca } })
    stream:write("hello\n")
    return stream:read("l", 5), stream:tls().version
  end

  for _, kind in ipairs { "thread_pool", "process_pool" } do
    test("works: " .. kind, function()
      run(function()
        local listener <close> = listen()
        braid.spawn(function()
          for stream in listener do
            braid.spawn(function()
              local _ <close> = stream
              for line in stream:lines("L") do stream:write(line) end
            end):daemon()
          end
        end):daemon()
        local pool <close> = braid[kind](2)
        local futures = {}
        for i = 1, 8 do futures[i] = pool:submit(fetch, listener.port, CLIENT.ca_file) end
        for _, future in ipairs(futures) do assert.same({ "hello", "TLSv1.3" }, { future:result(20) }) end
      end)
    end, { deadline = 40 })
  end
end)

describe("the system's certificates", function()
  local script = [[
    local braid = require "braid"
    braid.run(function()
      local listener <close> = assert(braid.net.listen("127.0.0.1", 0, { tls = { cert = arg[1], key = arg[2] } }))
      braid.spawn(function()
        for stream in listener do
          local _ <close> = stream
          stream:read "l"
        end
      end):daemon()
      for _ = 1, 2 do
        local stream <close>, err = braid.net.connect("127.0.0.1", listener.port, { tls = true, timeout = 10 })
        print(stream and stream:tls().version or err.reason or err.kind)
      end
    end)
  ]]

  local function said(env)
    local out, err = helper.lua_process(script, { env = env, args = { SERVER.cert, SERVER.key } })
    assert.equal("", err)
    return out
  end

  test("are those that the environment names", function()
    local folder = path "hashes"
    assert(os.execute(("mkdir %s && cp %s %s && openssl rehash %s"):format(folder, path "ca.pem", folder, folder)))
    assert.equal("TLSv1.3\nTLSv1.3\n", said { SSL_CERT_FILE = path "ca.pem" })
    assert.equal("TLSv1.3\nTLSv1.3\n", said { SSL_CERT_DIR = folder })
    assert.equal("system\nsystem\n", said { SSL_CERT_FILE = "/nowhere" })
    local reason = "unable to get local issuer certificate\n"
    assert.equal(reason .. reason, said { SSL_CERT_FILE = path "foreign.pem" })
    assert.equal(reason .. reason, said {})
  end)
end)

describe("many handshakes", function()
  test("leave memory and descriptors as they are", function()
    local out, err, code = helper.lua_process([[
      local braid = require "braid"
      local net, cert, key, ca, foreign, most = braid.net, table.unpack(arg)

      local function kilobytes()
        collectgarbage()
        local file <close> = assert(io.open("/proc/self/statm"))
        return file:read("a"):match("^%d+ (%d+)") * 4
      end

      local function round(port)
        for i = 1, 300 do
          local stream <close> = assert(net.connect("127.0.0.1", port, { tls = { ca_file = ca, resume = i % 2 == 0 } }))
          assert(stream:write("x"))
          assert(not stream:read("l", 10))
          if i % 10 == 0 then
            local broken <close> = assert(net.connect("127.0.0.1", port))
            broken:write("nothing of TLS")
            broken:read("a", 10)
            assert(not net.connect("127.0.0.1", port, { tls = { ca_file = foreign } }))
            assert(not net.connect("127.0.0.1", port, { tls = true, timeout = 0.0001 }))
          end
        end
        return kilobytes()
      end

      braid.run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0, { tls = { cert = cert, key = key } }))
        braid.spawn(function()
          for stream in listener do
            braid.spawn(function()
              local _ <close> = stream
              stream:read_some()
            end):daemon()
          end
        end):daemon()
        local first, last = round(listener.port), nil
        for _ = 1, 3 do last = round(listener.port) end
        print(last - first < tonumber(most) and "flat" or last - first)
        local descriptors = 0
        for _ in io.popen("ls /proc/$PPID/fd"):lines() do descriptors = descriptors + 1 end
        print(descriptors < 15 and "few" or descriptors)
      end)
    ]], { timeout = 60, args = { SERVER.cert, SERVER.key, path "ca.pem", path "foreign.pem",
      helper.slowness > 1 and 200000 or 1500 } }) -- a sanitizer keeps what was freed
    assert.equal("flat\nfew\n", out, err)
    assert.equal(0, code, err)
  end, { deadline = 60 })
end)
