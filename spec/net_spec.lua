-- SPDX-License-Identifier: MIT
-- Sockets: who connects, who listens, what ends early, and what is left open.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net = braid.net
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

-- A test function: fn(listener) in braid.run; serve(stream), if given, is a task for each connection.
local function with_listener(fn, serve)
  return function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0, { max_line = 4000000 }))
      braid.scope(function(tasks)
        if serve then
          tasks:spawn(function()
            for stream in listener do
              tasks:spawn(function()
                local _ <close> = stream
                serve(stream)
              end)
            end
          end)
        end
        fn(listener)
        tasks:cancel()
      end)
    end)
  end
end

local function echo(stream)
  for line in stream:lines("L") do assert(stream:write(line)) end
end

local function connected(listener, opts)
  return assert(net.connect("127.0.0.1", listener.port, opts))
end

-- Both ends of a connection.
local function pair(listener)
  local client = connected(listener)
  return client, assert(listener:accept(5))
end

-- A path for a unix socket, which does not exist.
local function free_path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

describe("a connection", function()
  test("carries lines and bytes both ways", with_listener(function(listener)
    local stream <close> = connected(listener, { max_line = 4000000 })
    assert.equal("127.0.0.1", (stream:peer()))
    assert.equal(listener.port, select(2, stream:peer()))
    assert.equal("integer", math.type(stream.fd))
    assert(stream:write("one\ntwo\n"))
    assert.equal("one", stream:read())
    assert.equal("two\n", stream:read("L"))
    assert(stream:write("abcdef\n"))
    assert.equal("abc", stream:read(3))
    assert.equal("def", stream:read("l"))
    local large = ("x"):rep(3000000) .. "\n"
    braid.scope(function(tasks)
      tasks:spawn(stream.write, stream, large)
      assert.equal(large, stream:read("L"))
    end)
  end, echo))

  test("can be ended in one direction", with_listener(function(listener)
    local stream <close> = connected(listener)
    assert(stream:write("all of it"))
    assert.is_true(stream:shutdown())
    assert.equal("all of it", stream:read("a"))
    assert.is_nil((stream:read()))
    fails("closed", stream:write("more"))
  end, function(stream) assert(stream:write(stream:read("a"))) end))

  test("works outside every task", function()
    local listener <close> = assert(net.listen("127.0.0.1", 0))
    local client <close> = connected(listener)
    local server <close> = assert(listener:accept(5))
    assert(server:write("hello\n"))
    assert.equal("hello", client:read("l", 5))
  end)

  test("is found by name, with the address that answers", with_listener(function(listener)
    local stream <close> = assert(net.connect("localhost", listener.port))
    assert(stream:write("x\n"))
    assert.equal("x", stream:read())
  end, echo))

  test("goes over IPv6 where there is one", function()
    local listener <close> = net.listen("::1", 0)
    if not listener then return end
    local client <close> = assert(net.connect("::1", listener.port))
    local server <close> = assert(listener:accept(5))
    assert.equal("::1", (server:peer()))
    local other <close> = assert(net.connect { host = "localhost", port = listener.port })
    assert.equal("::1", (other:peer()))
    assert(client:write("x"))
    assert.equal("x", server:read(1))
  end)

  test("to all addresses of this machine", function()
    local listener <close> = assert(net.listen("*", 0))
    local client <close> = connected(listener)
    local server <close> = assert(listener:accept(5))
    assert(server:write("x"))
    assert.equal("x", client:read(1))
  end)

  test("that the other side has reset is closed", with_listener(function(listener)
    local client <close>, server = pair(listener)
    assert(client:write("unread"))
    braid.sleep(0.02)
    server:close() -- with bytes that were not read: a reset
    fails("closed", client:read())
    fails("closed", client:write("more"))
  end))

  test("has one reader at a time", with_listener(function(listener)
    local client <close>, server = pair(listener)
    local _ <close> = server
    local first = braid.spawn(client.read, client)
    braid.sleep(0)
    misused("another task is reading from this stream", client.read, client)
    server:write("x\n")
    assert.equal("x", first:result())
  end))

  test("tells who was on the other side after its end", with_listener(function(listener)
    local client, server = pair(listener)
    local host, port = server:peer()
    client:close()
    assert.is_nil((server:read()))
    assert.same({ host, port }, { server:peer() })
    server:close()
    assert.is_nil(server.fd)
    assert.same({ host, port }, { server:peer() })
    fails("closed", server:read())
    fails("closed", server:shutdown())
  end))
end)

describe("a line", function()
  test("has a limit, and what was read stays", with_listener(function(listener)
    local client <close>, server = pair(listener)
    local writer = braid.spawn(server.write, server, ("x"):rep(3000000) .. "\nrest\n")
    local err = fails("limit", client:read("l", 10))
    assert.is_truthy(err.message:find("1048576", 1, true), err.message)
    fails("limit", client:read("l", 0))
    assert.equal(("x"):rep(3000000) .. "\n", client:read(3000001, 10))
    assert.equal("rest", client:read("l", 10))
    assert.is_true(writer:result())
    server:close()
  end))

  test("has the limit that was asked for", with_listener(function(listener)
    local client <close>, server = connected(listener, { max_line = 5 }), listener:accept(5)
    assert(server:write("12345\n123456\n"))
    assert.equal("12345", client:read())
    fails("limit", client:read())
    assert.equal("123456\n", client:read_until("\n", 6))
    server:close()
    misused("max_line", net.connect, "127.0.0.1", listener.port, { max_line = 0 })
  end))
end)

describe("a write that was cut short", function()
  for name, cut in pairs {
    ["by a timeout"] = function(stream, data)
      local err = fails("timeout", stream:write(data, 0.05))
      assert.is_true(err.written > 0)
    end,
    ["by a cancel"] = function(stream, data)
      braid.move_on_after(0.05, function() stream:write(data) end)
    end,
  } do
    test(name .. " is the last one", with_listener(function(listener)
      local client <close>, server = pair(listener)
      local _ <close> = server
      cut(client, ("A"):rep(30000000))
      fails("closed", client:write("SECOND"))
      assert(server:write("still read\n"))
      assert.equal("still read", client:read("l", 5))
      client:close()
      assert.is_nil(server:read("a", 10):find("SECOND", 1, true))
    end))
  end

  test("before its first byte harms nothing", with_listener(function(listener)
    local client <close>, server = pair(listener)
    local _ <close> = server
    local first = braid.spawn(client.write, client, ("A"):rep(30000000))
    braid.sleep(0)
    fails("timeout", client:write("SECOND", 0.01)) -- it waited for its turn
    local got = server:read(30000000, 10)
    assert.is_true(first:result())
    assert(client:write("THIRD"))
    assert.equal("THIRD", server:read(5, 5))
    assert.equal(30000000, #got)
  end))
end)

describe("waits", function()
  test("time out", with_listener(function(listener)
    fails("timeout", listener:accept(0))
    fails("timeout", listener:accept(0.01))
    local client <close>, server = pair(listener)
    local _ <close> = server
    fails("timeout", client:read("l", 0.01))
    fails("timeout", client:write(("x"):rep(50000000), 0.05))
  end))

  -- A listener whose line is full lets further connections wait.
  local function crowd(fn)
    return function()
      run(function()
        local listener <close> = assert(net.listen("127.0.0.1", 0, { backlog = 1 }))
        local streams = {}
        for i = 1, 8 do streams[i] = net.connect("127.0.0.1", listener.port, { timeout = 0.05 }) end
        fn(listener)
        for _, stream in pairs(streams) do stream:close() end
      end)
    end
  end

  test("for a connection time out", crowd(function(listener)
    local started = braid.now()
    local err = fails("timeout", net.connect("127.0.0.1", listener.port, { timeout = 0.1 }))
    assert.is_truthy(tostring(err):find("127.0.0.1:" .. listener.port, 1, true))
    assert.is_true(braid.now() - started < 1 * helper.slowness)
    fails("timeout", net.connect("localhost", listener.port, { timeout = 0.1 }))
  end))

  test("for an address that does not answer do not keep the next one waiting", crowd(function(listener)
    local other <close> = net.listen("::1", listener.port)
    if not other then return end
    local started = braid.now()
    local stream <close> = assert(net.connect("localhost", listener.port, { timeout = 20 }))
    assert.equal("::1", (stream:peer()))
    local took = braid.now() - started
    assert.is_true(took > 0.2 and took < 0.9 * helper.slowness, took)
  end))

  test("can be cancelled, each of them", crowd(function(listener)
    local open <close> = assert(net.listen("127.0.0.1", 0))
    local client <close>, server = pair(open)
    local _ <close> = server
    for _, wait in ipairs {
      function() net.connect("127.0.0.1", listener.port) end,
      function() net.connect("localhost", listener.port) end,
      function() open:accept() end,
      function() client:read() end,
      function() client:write(("x"):rep(50000000)) end,
    } do
      local task = braid.spawn(wait)
      braid.sleep(0.01)
      assert.equal("running", task:state())
      task:cancel()
      task:wait()
      assert.equal("cancelled", task:state())
    end
  end))

  test("for a name can be cancelled, and time out", function()
    for _ = 1, 20 do
      run(function()
        local task = braid.spawn(net.connect, "no..body", 1)
        braid.sleep(0)
        task:cancel()
      end)
    end
    run(function()
      local err
      for _ = 1, 100 do -- the answer may be there already, when this thread had to stand aside
        err = fails(nil, net.connect("no..body", 1, { timeout = 0 }))
        if err.kind == "timeout" then break end
      end
      assert.equal("timeout", err.kind)
    end)
  end)

  test("end when what is waited for is closed", with_listener(function(listener)
    local client, server = pair(listener)
    local tasks = {
      braid.spawn(client.read, client, "a"), braid.spawn(listener.accept, listener),
      braid.spawn(server.write, server, ("x"):rep(50000000)),
    }
    braid.sleep(0.01)
    client:close()
    listener:close()
    server:close()
    for _, task in ipairs(tasks) do fails("closed", task:result()) end
    fails("closed", listener:accept())
  end))

  test("for a name leave the others free to run", function()
    run(function()
      local steps = 0
      local task = braid.spawn(function() return net.connect("no..body", 1) end)
      while not task:done() do
        steps = steps + 1
        braid.sleep(0)
      end
      assert.is_true(steps > 1)
      fails("system", task:result())
    end)
  end)
end)

describe("listening", function()
  local has_inet6 = net.listen("::1", 0)
  if has_inet6 then has_inet6:close() end

  local function reached(host, port)
    local stream, err = net.connect(host, port, { timeout = 5 })
    if stream then stream:close() end
    return stream ~= nil, tostring(err)
  end

  for _, host in ipairs { "*", "localhost", "nil" } do
    test("at " .. host .. " takes connections of both families", function()
      run(function()
        local listener <close> = assert(net.listen(host ~= "nil" and host or nil, 0))
        assert.is_true(reached("127.0.0.1", listener.port))
        if has_inet6 then assert.is_true(reached("::1", listener.port)) end
        for _ = 1, has_inet6 and 2 or 1 do assert(listener:accept(5)):close() end
        local waiting = braid.spawn(listener.accept, listener)
        braid.sleep(0)
        misused("another task is accepting", listener.accept, listener)
        assert.is_true(reached(has_inet6 and "::1" or "127.0.0.1", listener.port))
        waiting:result():close()
        fails("timeout", listener:accept(0.01))
        fails("timeout", listener:accept(0))
        waiting = braid.spawn(listener.accept, listener)
        braid.sleep(0)
        listener:close()
        fails("closed", waiting:result())
      end)
    end)
  end

  test("at an IPv6 address may take IPv4, too", function()
    if not has_inet6 then return end
    run(function()
      local both <close> = assert(net.listen("::", 0, { v6only = false }))
      assert.is_true(reached("127.0.0.1", both.port))
      assert.equal("127.0.0.1", (assert(both:accept(5)):peer()))
      local one <close> = assert(net.listen("::", 0, { v6only = true }))
      assert.is_false((reached("127.0.0.1", one.port)))
    end)
  end)

  test("pauses while no descriptor is free, says so once, and goes on", function()
    local stdout, stderr, code = helper.lua_process([[
      local braid = require "braid"
      braid.run(function()
        local listener = assert(braid.net.listen("127.0.0.1", 0))
        local clients, served = {}, 0
        repeat
          local client = braid.net.connect("127.0.0.1", listener.port)
          clients[#clients + 1] = client
        until not client -- no descriptor is free
        local serving = braid.spawn(function()
          for stream in listener do
            served = served + 1
            stream:close()
          end
        end)
        braid.sleep(0.25)
        assert(served == 0)
        for _, client in ipairs(clients) do client:close() end
        while served < #clients do braid.sleep(0.01) end
        listener:close()
        serving:result()
        print "served"
      end)
    ]], { limits = "-n 40" })
    assert.equal("served\n", stdout, stderr)
    assert.matches("^braid: the listener at 127.0.0.1:%d+ pauses: [^\n]+\n$", stderr)
    assert.equal(0, code)
  end)
end)

describe("a connection's options", function()
  test("say from where it comes", with_listener(function(listener)
    local client <close> = connected(listener, { bind = "127.0.0.2" })
    local server <close> = assert(listener:accept(5))
    assert.equal("127.0.0.2", (server:peer()))
    assert.is_string(client:peer())
    fails("system", net.connect("127.0.0.1", listener.port, { bind = "::1" }))
    fails("system", net.connect("127.0.0.1", listener.port, { bind = "192.0.2.1" })) -- not ours
    misused("'bind'", net.connect, { unix = "/x", bind = "127.0.0.1" })
  end))

  -- The timer of a connection of ours, as Linux tells: 2 is that of keepalive.
  local function timer_of(port)
    for line in io.lines "/proc/net/tcp" do
      if line:find((":%04X 01 "):format(port)) then return line:match " 01 %x+:%x+ (%x+):" end
    end
  end

  test("say whether the system asks for a silent peer", with_listener(function(listener)
    if not io.open "/proc/net/tcp" then return end
    for keepalive, timer in pairs { [false] = "00", [true] = "02", [60] = "02" } do
      local client <close> = connected(listener, { keepalive = keepalive, nodelay = false })
      local server <close> = assert(listener:accept(5))
      assert.equal(timer, timer_of(listener.port))
      assert(client:write("x"))
      assert.equal("x", server:read(1))
    end
    misused("keepalive", net.connect, "127.0.0.1", listener.port, { keepalive = 0 })
    misused("nodelay", net.connect, "127.0.0.1", listener.port, { nodelay = 1 })
  end))
end)

describe("a name", function()
  test("is answered with its addresses", function()
    run(function()
      assert.same({ { address = "127.0.0.1", family = "inet" }, { address = "::1", family = "inet6" } },
        net.resolve "localhost")
      assert.same({ { address = "::1", family = "inet6" } }, net.resolve("localhost", { family = "inet6" }))
      assert.same({ { address = "192.0.2.7", family = "inet" } }, net.resolve "192.0.2.7")
      fails("system", net.resolve("192.0.2.7", { family = "inet6" }))
      fails("system", net.resolve "no..body")
      misused("'family'", net.resolve, "localhost", { family = "ipv4" })
      misused("'name'", net.resolve)
      misused("zero byte", net.resolve, "")
      misused("timeout", net.resolve, "localhost", { timeout = -1 })
    end)
  end)

  test("of both families is tried in turn", function()
    local address, core = require "braid.io.address", require "braid.core"
    local function packed(host) return core.resolve(host, 80)[1] end
    local list = {}
    for host in ("::1 ::2 ::3 127.0.0.1 127.0.0.2"):gmatch "%S+" do list[#list + 1] = packed(host) end
    local order = {}
    for _, each in ipairs(address.in_turn(list)) do order[#order + 1] = core.address_text(each) end
    assert.same({ "::1", "127.0.0.1", "::2", "127.0.0.2", "::3" }, order)
  end)
end)

describe("a refusal", function()
  test("names the place", function()
    run(function()
      local err = fails("system", net.connect("127.0.0.1", 1))
      assert.is_truthy(tostring(err):find("127.0.0.1:1: Connection refused", 1, true), tostring(err))
      err = fails("system", net.connect("localhost", 1))
      assert.is_truthy(tostring(err):find("localhost:1: Connection refused", 1, true), tostring(err))
      err = fails("system", net.connect("no..body", 1))
      assert.is_truthy(tostring(err):find("no..body", 1, true), tostring(err))
      err = fails("system", net.connect { unix = "/nonexistent/socket" })
      assert.is_truthy(tostring(err):find("/nonexistent/socket: No such file", 1, true), tostring(err))
      fails("system", net.connect { unix = ("x"):rep(200) })
    end)
  end)

  test("to listen where somebody does", with_listener(function(listener)
    fails("system", net.listen("127.0.0.1", listener.port))
    local first <close> = assert(net.listen("127.0.0.1", 0, { reuse_port = true }))
    local second <close> = assert(net.listen("127.0.0.1", first.port, { reuse_port = true }))
    assert.equal(first.port, second.port)
  end))

  test("of arguments that make no sense", function()
    misused("'port'", net.connect, "127.0.0.1", 0)
    misused("'port'", net.connect, "127.0.0.1", "80")
    misused("'port'", net.listen, "127.0.0.1", 65536)
    misused("'port'", net.listen, "127.0.0.1")
    misused("'host'", net.connect, nil, 80)
    misused("'host'", net.connect, 5, 80)
    misused("zero byte", net.connect, "a\0b", 80)
    misused("did you mean 'timeout'", net.connect, "127.0.0.1", 80, { timeot = 1 })
    misused("timeout", net.connect, "127.0.0.1", 80, { timeout = -1 })
    misused("or unix", net.connect, { unix = "/x", port = 1 })
    misused("#2", net.connect, { unix = "/x" }, 1)
  end)
end)

describe("a unix socket", function()
  test("carries bytes, and its file goes when it is closed", function()
    run(function()
      local path = free_path()
      local listener = assert(net.listen { unix = path })
      assert.equal(path, listener.path)
      local client <close> = assert(net.connect { unix = path, timeout = 5 })
      local server <close> = assert(listener:accept(5))
      assert.equal(path, (client:peer()))
      assert.equal("", (server:peer()))
      assert(client:write("x"))
      assert.equal("x", server:read(1))
      listener:close()
      assert.is_nil(io.open(path))
      fails("system", net.connect { unix = path })
    end)
  end)

  test("may be abstract: it has a name and no file", function()
    if not io.open "/proc/net/unix" then return end
    run(function()
      local name = "@braid-" .. free_path()
      local listener = assert(net.listen { unix = name })
      assert.equal(name, listener.path)
      fails("system", net.listen { unix = name })
      local client <close> = assert(net.connect { unix = name, timeout = 5 })
      local server <close> = assert(listener:accept(5))
      assert.equal(name, (client:peer()))
      assert(client:write("x"))
      assert.equal("x", server:read(1))
      assert.is_nil(io.open(name))
      listener:close()
      fails("system", net.connect { unix = name })
    end)
  end)

  test("takes over a file at which nobody listens, and no other", function()
    run(function()
      local path = free_path()
      local _, _, code = helper.lua_process(([[
        local braid = require "braid"
        assert(braid.net.listen { unix = %q })
        os.exit(3) -- its file stays
      ]]):format(path))
      assert.equal(3, code)
      local listener <close> = assert(net.listen { unix = path })
      assert.equal(path, listener.path)
      fails("system", net.listen { unix = path }) -- somebody listens there
      local file = os.tmpname()
      fails("system", net.listen { unix = file }) -- it is a file
      assert.is_truthy(io.open(file)):close()
      os.remove(file)
    end)
  end)

  test("lets those wait for whom there is no room yet", function()
    run(function()
      local path = free_path()
      local listener <close> = assert(net.listen { unix = path, backlog = 1 })
      fails("timeout", (function()
        for _ = 1, 9 do
          local stream, err = net.connect { unix = path, timeout = 0.05 }
          if not stream then return nil, err end
        end
      end)())
      local task = braid.spawn(net.connect, { unix = path })
      for _ = 1, 9 do
        local stream = listener:accept(0.05)
        if stream then stream:close() end
      end
      task:result():close()
    end)
  end)
end)

describe("many", function()
  test("a thousand connections at once", with_listener(function(listener)
    local ends = {}
    braid.map(function(i)
      local stream <close> = connected(listener)
      assert(stream:write(i .. "\n"))
      assert.equal(tostring(i), stream:read())
      ends[i] = true
      while #ends < 1000 do braid.sleep(0.01) end -- all of them are open at once
    end, (function()
      local list = {}
      for i = 1, 1000 do list[i] = i end
      return list
    end)())
    assert.equal(1000, #ends)
  end, echo), { deadline = 40 })

  test("connections in threads", function()
    run(function()
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local pool <close> = braid.thread_pool(2)
      local ask = load [[
        local stream <close> = assert(require("braid").net.connect("localhost", (...)[1]))
        assert(stream:write((...)[2] .. "\n"))
        return stream:read()
      ]]
      local server = braid.spawn(function()
        for stream in listener do
          braid.spawn(function()
            local _ <close> = stream
            echo(stream)
          end)
        end
      end)
      local port = listener.port
      local replies = pool:map(ask, { { port, "a" }, { port, "b" }, { port, "c" }, { port, "d" } })
      assert.equal("a b c d", table.concat(replies, " "))
      listener:close()
      server:wait()
    end)
  end)
end)

describe("the end of a script", function()
  test("with everything open, and a name being asked for", function()
    local stdout, stderr, code = helper.lua_process [[
      local braid = require "braid"
      local net = braid.net
      listener = assert(net.listen("127.0.0.1", 0))
      client = assert(net.connect("127.0.0.1", listener.port))
      braid.spawn(client.read, client)
      braid.spawn(listener.accept, listener)
      braid.spawn(net.connect, "no..body", 1)
      braid.sleep(0)
      print("end")
    ]]
    assert.equal("", stderr)
    assert.equal("end\n", stdout)
    assert.equal(0, code)
  end)
end)
