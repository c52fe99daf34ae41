-- SPDX-License-Identifier: MIT
-- The web server with TLS: versions, ALPN, clients' certificates, tickets that all workers know, new certificates.
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local net = braid.net
local test, run = helper.test, helper.run

local path = certificates.open()
teardown(certificates.close)

local REQUEST = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"

-- A test function: fn(port) beside a server with these options of TLS.
local function with_app(options, fn)
  return function()
    run(function()
      local app = braid.web.app()
      app:get("/hello", function() return "hello\n" end)
      local tls = { cert = path "server.pem", key = path "server.key" }
      for name, value in pairs(options) do tls[name] = value end
      local server <close> = assert(app:start { port = 0, tls = tls, grace = 0.1 })
      fn(server.port)
    end)
  end
end

local function connect(port, options)
  local tls = { ca_file = path "ca.pem", close_notify = "optional" }
  for name, value in pairs(options or {}) do tls[name] = value end
  return net.connect("127.0.0.1", port, { tls = tls, timeout = 10 })
end

-- Asks on an open connection; gives the body.
local function ask(stream)
  assert(stream:write(REQUEST))
  local head = assert(stream:read_until("\r\n\r\n", 10000, 10))
  return assert(stream:read(math.tointeger(head:lower():match("content%-length: (%d+)")), 10))
end

describe("the web server with TLS", function()
  test("speaks 1.3 and 1.2, and HTTP/1.1 by ALPN", with_app({}, function(port)
    for version, options in pairs {
      ["TLSv1.3"] = { min_version = "1.3" }, ["TLSv1.2"] = { ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" },
    } do
      options.alpn = { "http/1.1" }
      local stream <close> = assert(connect(port, options))
      for _ = 1, 3 do assert.equal("hello\n", ask(stream)) end
      assert.equal(version, stream:tls().version)
      assert.equal("http/1.1", stream:tls().alpn)
    end
  end))

  test("demands clients' certificates", with_app({ client_ca = path "ca.pem" }, function(port)
    local known <close> = assert(connect(port, { cert = path "client.pem", key = path "client.key" }))
    assert.equal("hello\n", ask(known))
    local unknown <close> = assert(connect(port))
    unknown:write(REQUEST)
    expect.fails("tls", unknown:read("l", 10))
  end))

  test("has the least version that it is told", with_app({ min_version = "1.3" }, function(port)
    expect.fails("tls", connect(port, { ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }))
  end))

  test("goes on beside clients that are silent, or speak plainly", with_app({}, function(port)
    local _ <close> = assert(net.connect("127.0.0.1", port))
    local plain <close> = assert(net.connect("127.0.0.1", port))
    plain:write(REQUEST)
    plain:read("a", 10)
    local stream <close> = assert(connect(port))
    assert.equal("hello\n", ask(stream))
  end))

  test("has a new certificate soon after its file has changed", function()
    certificates.make("renewed", "/CN=old", "IP:127.0.0.1")
    with_app({ cert = path "renewed.pem", key = path "renewed.key" }, function(port)
      local kept <close> = assert(connect(port))
      assert.equal("hello\n", ask(kept))
      certificates.make("renewed", "/CN=new", "IP:127.0.0.1")
      expect.eventually(function()
        braid.sleep(0.1)
        local stream <close> = assert(connect(port))
        return stream:tls().peer.subject == "CN=new"
      end)
      assert.equal("hello\n", ask(kept))
    end)()
  end, { deadline = 20 })
end)

describe("workers with TLS", function()
  local app_code = [[
    local braid = require "braid"
    local app = braid.web.app()
    local function pid() return tostring(io.open("/proc/self/stat"):read("n")) end
    app:get("/hello", function() return pid() end)
    app:serve { port = 0, workers = 2, tls = { cert = %q, key = %q } }
  ]]

  -- fn(port, process) with two workers.
  local function with_workers(fn)
    return function()
      certificates.make("workers", "/CN=first", "IP:127.0.0.1")
      local file = os.tmpname()
      local handle = assert(io.open(file, "w"))
      handle:write(app_code:format(path "workers.pem", path "workers.key"))
      handle:close()
      finally(function() os.remove(file) end)
      run(function()
        local process <close> = assert(braid.process.start({ helper.lua, file }))
        local port, workers = nil, 0
        while not port or workers < 2 do
          local line = assert(process.stderr:read("l", 20))
          port = port or line:match("serving on https://[^:]+:(%d+)")
          workers = workers + (line:find("worker %d+ pid") and 1 or 0)
        end
        local silent = braid.spawn(function()
          for _ in process.stderr:lines() do end -- it must not wait for us
        end)
        fn(math.tointeger(port), process)
        process:kill("TERM")
        assert.equal(0, assert(process:wait(15)).code)
        silent:result()
      end)
    end
  end

  test("resume each other's sessions", with_workers(function(port)
    local seen, resumed, before = {}, 0, nil
    for i = 1, 40 do
      local stream <close> = assert(connect(port))
      local pid = ask(stream)
      assert.equal(i > 1, stream:tls().resumed)
      if before and before ~= pid then resumed = resumed + 1 end
      seen[pid], before = true, pid
    end
    assert.is_truthy(next(seen, next(seen)), "only one worker has answered")
    assert.is_true(resumed > 0)
  end), { deadline = 30 })

  test("read their certificates again at SIGHUP, and lose nobody", with_workers(function(port, process)
    local failures, subjects, done = {}, {}, false
    local clients = {}
    for i = 1, 4 do
      clients[i] = braid.spawn(function()
        while not done do
          local stream <close>, err = connect(port)
          if not stream then
            failures[#failures + 1] = tostring(err)
          else
            local ok, why = pcall(ask, stream)
            if not ok then failures[#failures + 1] = tostring(why) end
            subjects[stream:tls().peer.subject] = true
          end
        end
      end)
    end
    expect.eventually(function() return subjects["CN=first"] end)
    certificates.make("workers", "/CN=second", "IP:127.0.0.1")
    process:kill("HUP")
    expect.eventually(function() return subjects["CN=second"] end)
    braid.sleep(0.5)
    done = true
    for _, client in ipairs(clients) do client:result() end
    assert.same({}, failures)
  end), { deadline = 30 })
end)
