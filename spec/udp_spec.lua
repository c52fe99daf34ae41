-- SPDX-License-Identifier: MIT
-- UDP: datagrams between addresses of both families, connected sockets, groups, and the ends of waits.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net = braid.net
local test, run = helper.test, helper.run
local fails, misused = expect.fails, expect.misused

local function in_run(fn) return function() run(fn) end end

local has_inet6 = net.udp("::1", 0)
if has_inet6 then has_inet6:close() end

describe("a UDP socket", function()
  test("sends and receives datagrams", in_run(function()
    local one <close> = assert(net.udp("127.0.0.1"))
    local two <close> = assert(net.udp("127.0.0.1", 0))
    local host, port = one:address()
    assert.equal("127.0.0.1", host)
    assert.equal("integer", math.type(one.fd))
    assert.is_true(two:send("hello", host, port))
    assert.is_true(two:send("", "localhost", port))
    assert.is_true(two:send(("x"):rep(60000), host, port))
    local data, from, from_port = one:receive(5)
    assert.same({ "hello", two:address() }, { data, from, from_port })
    assert.equal("", (one:receive(5)))
    assert.equal(60000, #one:receive(5))
    assert.is_true(one:send("back", from, from_port))
    assert.equal("back", (two:receive(5)))
    local err = fails("system", one:send(("x"):rep(70000), from, from_port))
    assert.matches("too long", err.message)
  end))

  test("without an address takes both families", in_run(function()
    local all <close> = assert(net.udp())
    local _, port = all:address()
    for _, host in ipairs { "127.0.0.1", has_inet6 and "::1" or nil } do
      local client <close> = assert(net.udp(host))
      assert.is_true(client:send(host, host, port))
      local data, from, from_port = all:receive(5)
      assert.same({ host, client:address() }, { data, from, from_port })
      assert.is_true(all:send("reply", from, from_port))
      assert.equal("reply", (client:receive(5)))
    end
  end))

  test("that is connected has one peer", in_run(function()
    local server <close> = assert(net.udp("127.0.0.1"))
    local stranger <close> = assert(net.udp("127.0.0.1"))
    local client <close> = assert(net.udp("127.0.0.1"))
    fails("system", client:send("nobody is there"))
    assert.is_true(client:connect(server:address()))
    assert.is_true(client:send("hello"))
    local _, host, port = server:receive(5)
    assert.is_true(stranger:send("wrong", host, port))
    assert.is_true(server:send("right", host, port))
    assert.equal("right", (client:receive(5)))
    server:close()
    client:send("into the void")
    fails("system", client:receive(5)) -- refused
  end))

  test("waits until a datagram comes, a timeout, a cancel, or its end", in_run(function()
    local one <close> = assert(net.udp("127.0.0.1"))
    fails("timeout", one:receive(0))
    fails("timeout", one:receive(0.01))
    local task = braid.spawn(one.receive, one)
    braid.sleep(0)
    misused("another task is receiving", one.receive, one)
    assert.is_true(one:send("mine", one:address()))
    assert.equal("mine", (task:result()))
    task = braid.spawn(one.receive, one)
    braid.sleep(0)
    task:cancel()
    task:wait()
    assert.equal("cancelled", task:state())
    task = braid.spawn(one.receive, one)
    braid.sleep(0)
    one:close()
    one:close()
    fails("closed", task:result())
    fails("closed", one:receive())
    fails("closed", one:send("x", "127.0.0.1", 9))
    fails("closed", one:connect("127.0.0.1", 9))
    fails("closed", one:address())
    assert.is_nil(one.fd)
  end))

  for family, group in pairs { inet = "239.255.77.7", inet6 = "ff02::4d07" } do
    test("joins a group and leaves it, " .. family, in_run(function()
      local member <close> = assert(net.udp(nil, 0, { reuse_port = true }))
      local _, port = member:address()
      if not member:join(group, "lo") then return end -- no such family, or the interface has another name
      local sender <close> = assert(net.udp())
      assert.is_true(sender:join(group, "lo")) -- so that it sends from there
      if not sender:send("all", group, port) then return end
      assert.equal("all", (member:receive(5)))
      assert.is_true(member:leave(group, "lo"))
      fails("system", member:leave(group, "lo"))
      fails("system", member:join(group, "no-such-one"))
    end))
  end

  test("refuses what makes no sense", in_run(function()
    local one <close> = assert(net.udp("127.0.0.1"))
    fails("system", net.udp("127.0.0.1", select(2, one:address())))
    fails("system", net.udp("192.0.2.1", 0)) -- not ours
    if has_inet6 then fails("system", one:send("x", "::1", 9)) end -- the socket is IPv4
    misused("'data'", function() one:send(5, "127.0.0.1", 9) end)
    misused("'port'", function() one:send("x", "127.0.0.1") end)
    misused("'host'", function() one:send("x", nil, 9) end)
    misused("'port'", function() one:connect("127.0.0.1", 0) end)
    misused("'group'", function() one:join() end)
    misused("'interface'", function() one:join("239.255.77.7", 5) end)
    misused("'timeout'", function() one:receive(-1) end)
    misused("'timeout'", function() one:send("x", "127.0.0.1", 9, "soon") end)
    misused("'port'", net.udp, "127.0.0.1", 65536)
    misused("'host'", net.udp, 5)
    misused("did you mean 'reuse_port'", net.udp, nil, 0, { reuseport = true })
  end))
end)
