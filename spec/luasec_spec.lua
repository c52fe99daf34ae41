-- SPDX-License-Identifier: MIT
-- The module "ssl" of braid.luasocket: beside LuaSec on the same calls, under the unchanged ssl.https, as a server.
local certificates = require "spec.certificates"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

local path = certificates.open()
teardown(certificates.close)

-- fn(port) beside a server that answers each line backwards, and ends after "end".
local function with_server(fn)
  run(function()
    local options = { cert = path "server.pem", key = path "server.key", alpn = { "h2", "x" } }
    local listener <close> = assert(braid.net.listen("127.0.0.1", 0, { tls = options }))
    braid.spawn(function()
      for stream in listener do
        braid.spawn(function()
          local _ <close> = stream
          for line in function() return (stream:read "l") end do
            stream:write(line:reverse() .. "\n")
            if line == "end" then return end
          end
        end):daemon()
      end
    end):daemon()
    fn(listener.port)
  end)
end

-- What a script prints that runs in a process of its own.
local function output(...)
  local result = assert(braid.process.run({ helper.lua, ... }, { timeout = 30 * helper.slowness }))
  assert.equal(0, result.code, result.stderr)
  return result.stdout
end

describe("braid.luasocket's ssl", function()
  test("returns what LuaSec returns", function()
    if not package.searchpath("ssl", package.cpath) then return end
    with_server(function(port)
      local function said(...)
        return output("spec/luasec_calls.lua", port, path "ca.pem", path "foreign.pem", path "client.pem",
          path "client.key", ...)
      end
      local theirs, ours = said(), said "braid"
      local next_line = ours:gmatch "[^\n]+"
      for line in theirs:gmatch "[^\n]+" do assert.equal(line, next_line()) end
      assert.is_nil(next_line())
    end)
  end, { deadline = 60 })

  test("says that there is no DANE", function()
    local refusal = "DANE is not possible here\n"
    assert.equal("nil\t" .. refusal:rep(3), output("-e", [[
      require("braid.luasocket").install()
      local ssl, socket = require "ssl", require "socket"
      assert(not ssl.config.capabilities.dane)
      print(ssl.newcontext { mode = "client", protocol = "any", dane = true })
      local listener = assert(socket.bind("127.0.0.1", 0))
      local client = assert(socket.connect("127.0.0.1", (select(2, listener:getsockname()))))
      local connection = assert(ssl.wrap(client, { mode = "client", protocol = "any" }))
      for _, name in ipairs { "setdane", "settlsa" } do
        local _, err = pcall(connection[name], connection, "host")
        print((tostring(err):match "DANE [%w ]+"))
      end
    ]]))
  end)

  test("lets Debian's ssl.https serve 50 tasks at once", function()
    if not package.searchpath("ssl.https", package.path) then return end
    run(function()
      local options = { cert = path "server.pem", key = path "server.key" }
      local listener <close> = assert(braid.net.listen("127.0.0.1", 0, { tls = options }))
      braid.spawn(function()
        for stream in listener do
          braid.spawn(function()
            local _ <close> = stream
            local head = stream:read_until "\r\n\r\n"
            if not head then return end -- the last client does not trust it
            braid.sleep(0.2)
            local body = head:match "^%u+ (%S+)"
            stream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"):format(#body, body))
          end):daemon()
        end
      end):daemon()
      local said = output("-e", ([[
        require("braid.luasocket").install()
        local braid, https = require "braid", require "ssl.https"
        braid.run(function()
          local began, tasks = braid.now(), {}
          for i = 1, 50 do
            tasks[i] = braid.spawn(function()
              local body, code = https.request("https://127.0.0.1:%d/number/" .. i)
              assert(code == 200 and body == "/number/" .. i, body or code)
            end)
          end
          for _, task in ipairs(tasks) do task:result() end
          print(braid.now() - began < 2.5 * %d and "together" or "one by one")
          local ok, why = https.request { url = "https://127.0.0.1:%d/", verify = "peer" }
          print(ok, why)
        end)
      ]]):format(listener.port, helper.slowness, listener.port))
      assert.equal("together\nnil\tcertificate verify failed\n", said)
    end)
  end, { deadline = 60 })

  test("has the certificate for the name that is asked for", function()
    local said = output("-e", ([[
      require("braid.luasocket").install()
      local braid, socket, ssl = require "braid", require "socket", require "ssl"
      local folder = %q
      local function identity(name)
        return { certificate = folder .. name .. ".pem", key = folder .. name .. ".key" }
      end
      braid.run(function()
        local listener = assert(socket.bind("127.0.0.1", 0))
        local _, port = listener:getsockname()
        local context = assert(ssl.newcontext { mode = "server", protocol = "any",
          certificates = { identity "server", identity "other" } })
        for _, name in ipairs { "localhost", "other.test", "a.example.org", "unknown.test", "OTHER.test" } do
          local server = braid.spawn(function()
            local peer <close> = assert(ssl.wrap(listener:accept(), context))
            assert(peer:dohandshake())
            peer:receive()
            return peer:getsniname()
          end)
          local stream <close>, err = braid.net.connect("127.0.0.1", port, { tls = { ca_file = folder .. "ca.pem",
            server_name = name } })
          if stream then
            stream:write "x\n"
            print(stream:tls().peer.subject, server:result())
          else
            print(err.reason, err.peer.subject)
            server:cancel()
          end
        end
      end)
    ]]):format(path ""))
    assert.equal("CN=localhost, O=Tests\tlocalhost\nCN=other.test\tother.test\n"
      .. "CN=localhost, O=Tests\ta.example.org\nhostname mismatch\tCN=localhost, O=Tests\n"
      .. "CN=other.test\tOTHER.test\n", said)
  end)

  test("is a server, too, also with clients' certificates", function()
    local said = output("-e", ([[
      require("braid.luasocket").install()
      local braid, socket, ssl = require "braid", require "socket", require "ssl"
      local folder = %q
      local function file(name) return folder .. name end
      braid.run(function()
        local listener = assert(socket.bind("127.0.0.1", 0))
        local _, port = listener:getsockname()
        local context = assert(ssl.newcontext { mode = "server", protocol = "any", certificate = file "server.pem",
          key = file "server.key", cafile = file "ca.pem", verify = { "peer", "fail_if_no_peer_cert" },
          alpn = { "h2" } })
        local server = braid.spawn(function()
          for _ = 1, 2 do
            local peer = assert(ssl.wrap(listener:accept(), context))
            local ok, err = peer:dohandshake()
            if ok then
              print(#peer:getpeerchain(), peer:getpeercertificate():subject()[1].value, peer:getalpn())
              while true do
                local line, why = peer:receive()
                if not line then print(why) break end
                peer:send(line .. "!\n")
              end
            else
              print(err)
            end
            peer:close()
          end
        end)
        local stream = assert(braid.net.connect("127.0.0.1", port, { tls = { ca_file = file "ca.pem",
          cert = file "client.pem", key = file "client.key", alpn = { "h2" } } }))
        stream:write "hello\n"
        print(stream:read "l")
        stream:close()
        stream = assert(braid.net.connect("127.0.0.1", port, { tls = { ca_file = file "ca.pem", alpn = { "h2" } } }))
        print((select(2, stream:read "l")).kind)
        server:result()
      end)
    ]]):format(path ""))
    assert.equal("2\ta client\th2\nhello!\nclosed\npeer did not return a certificate\ntls\n", said)
  end)
end)
