-- SPDX-License-Identifier: MIT
-- Clusters whose servers want TLS, passwords, keys or signed credentials. A wrong one gives one clear error.
local braid = require "braid"
local certificates = require "spec.certificates"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local nkeys = require "spec.nkeys"
local assert, describe = assert, describe
local misused, raises = expect.misused, expect.raises
local _ENV = _G -- luacheck: ignore 211/_ENV

local lacks_openssl = not braid.process.run { "openssl", "version" } and "there is no openssl here"

local function add(a, b) return a + b end

-- fn(path, start): path(name) is a file in a folder of the test; start(config) starts a server with it.
local function test(name, fn)
  nats.test(name, function()
    helper.run(function()
      local path = certificates.open()
      local held <close> = setmetatable({}, { __close = certificates.close })
      local function start(config, port)
        assert(braid.file.write(path "nats.conf", config))
        return nats.start({ "-c", path "nats.conf" }, port)
      end
      fn(path, start, held)
    end)
  end, { deadline = 40, unfit = lacks_openssl })
end

local function options(server, more)
  local opts = { servers = server.url, insecure = true, patience = 10 }
  for name, value in pairs(more or {}) do opts[name] = value end
  return opts
end

-- Submits a job, with a worker that has the same options by its command line.
local function works(server, more, words)
  local worker <close> = nats.worker(server.url, { words = words })
  local cluster <close> = braid.cluster(options(server, more))
  local pool <close> = cluster:pool()
  assert.equal(5, pool:submit(add, 2, 3):result(10))
  worker:kill("TERM")
  assert.equal(0, worker:wait(5).code)
end

local function refused(words, server, more)
  local began = braid.now()
  local err = raises("disconnected", braid.cluster, options(server, more))
  assert.matches(words, tostring(err))
  assert.is_nil(tostring(err):find "%.c:%d")
  assert.is_true(braid.now() - began < 5 * helper.slowness, "at once")
end

describe("a cluster", function()
  test("speaks TLS with certificates of both sides, and users", function(path, start)
    local server <close> = start(([[
      tls { cert_file: "%s", key_file: "%s", ca_file: "%s", verify: true, timeout: 5 }
      authorization { users: [ { user: ann, password: "sesame" } ] }
    ]]):format(path "server.pem", path "server.key", path "ca.pem"))
    local ann = { user = "ann", password = "sesame" }
    local function tls(over)
      local made = { ca_file = path "ca.pem", cert = path "client.pem", key = path "client.key" }
      for name, value in pairs(over or {}) do made[name] = value end
      return made
    end
    local url = server.url
    server.url = url:gsub("//", "//ann:sesame@")
    works(server, { tls = tls() },
      { "--ca-file", path "ca.pem", "--cert", path "client.pem", "--key", path "client.key" })
    server.url = url
    do
      local cluster <close> = braid.cluster(options(server, {
        tls = tls { server_name = "localhost" }, credentials = ann,
      }))
      assert.equal(url, cluster.link:server())
    end
    refused("the server refuses the credentials", server, {
      tls = tls(), credentials = { user = "ann", password = "?" },
    })
    refused("the server refuses the credentials", server, { tls = tls() })
    refused("certificate", server, { tls = tls { ca_file = path "foreign.pem" }, credentials = ann })
    refused("hostname mismatch", server, { tls = tls { server_name = "example.net" }, credentials = ann })
    refused("tls.cert", server, { tls = { ca_file = path "ca.pem" }, credentials = ann })
    refused("tls.cert", server, {
      tls = tls { cert = path "stranger.pem", key = path "stranger.key" }, credentials = ann,
    })
    local unverified <close> = braid.cluster(options(server, {
      tls = tls { ca_file = path "foreign.pem", verify = false }, credentials = ann,
    }))
    assert.equal("default", unverified.name)
  end)

  test("needs no more than its own subjects", function(_, start)
    local server <close> = start [[
      authorization { users: [ { user: ann, password: "pw", permissions: {
        publish: ["braid.farm.>", "$JS.API.>", "$JS.ACK.>", "_INBOX.braid.>"]
        subscribe: ["braid.farm.>", "_INBOX.braid.>"]
      } } ] }
    ]]
    server.url = server.url:gsub("//", "//ann:pw@")
    works(server, { name = "farm" }, { "--name", "farm" })
  end)

  test("proves itself by a key", function(path, start)
    local key, other = nkeys.new(path "", "user"), nkeys.new(path "", "user")
    local server <close> = start(([[authorization { users: [ { nkey: %s } ] }]]):format(key.public))
    assert(braid.file.write(path "user.nk", key.seed .. "\n"))
    assert(braid.file.write(path "other.nk", other.seed .. "\n"))
    works(server, { credentials = { nkey = key.public, file = path "user.nk" } },
      { "--nkey", key.public, "--credentials", path "user.nk" })
    refused("the server refuses the credentials", server, {
      credentials = { nkey = other.public, file = path "other.nk" },
    })
    refused("the server refuses the credentials", server, {
      credentials = { nkey = key.public, file = path "other.nk" },
    })
  end)

  test("proves itself by a file of signed credentials", function(path, start)
    local function key(kind) return nkeys.new(path "", kind) end
    local operator, system, account, user = key "operator", key "account", key "account", key "user"
    local limits = [["subs":-1,"data":-1,"payload":-1]]
    local function account_claim(which, stored)
      return nkeys.claim(operator, which, ([[{"type":"account","version":2,"limits":{%s,"imports":-1,"exports":-1,
        "wildcards":true,"conn":-1,"leaf":-1,"mem_storage":%d,"disk_storage":%d,"streams":%d,"consumer":%d}}]]):format(
        limits, stored, stored, stored, stored))
    end
    assert(braid.file.write(path "operator.jwt", nkeys.claim(operator, operator, [[{"type":"operator","version":2}]])))
    local server <close> = start(([[
      operator: %s
      resolver: MEMORY
      system_account: %s
      resolver_preload: { %s: %s, %s: %s }
    ]]):format(path "operator.jwt", system.public, system.public, account_claim(system, 0), account.public,
      account_claim(account, -1)))
    local function credentials(name, issuer)
      assert(braid.file.write(path(name), ([[
-----BEGIN NATS USER JWT-----
%s
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
%s
------END USER NKEY SEED------
]]):format(nkeys.claim(issuer, user, ([[{"type":"user","version":2,%s}]]):format(limits)), user.seed)))
      return path(name)
    end
    local right = credentials("right.creds", account)
    works(server, { credentials = right }, { "--credentials", right })
    refused("the server refuses the credentials", server, { credentials = credentials("wrong.creds", operator) })
  end)

  test("ends what waits when its credentials are not taken any more", function(path, start)
    local server <close> = start [[authorization { token: "old" }]]
    local worker <close> = nats.worker((server.url:gsub("//", "//old@")), { stderr = "pipe" })
    local cluster <close> = braid.cluster(options(server, { credentials = { token = "old" }, patience = 60 }))
    local pool = cluster:pool()
    local future = pool:submit(function() require "braid".sleep(60) end)
    assert(braid.file.write(path "nats.conf", [[authorization { token: "new" }]]))
    server:stop()
    server:start()
    local err = expect.failure(future)
    assert.is_true(braid.is_error(err, "disconnected"), tostring(err))
    assert.matches("refuses the credentials", tostring(err))
    err = raises("disconnected", pool.submit, pool, add, 1, 2)
    assert.matches("refuses the credentials", tostring(err))
    assert.equal(1, worker:wait(10).code)
    assert.matches("^braid worker: the server refuses the credentials", worker.stderr:read "l")
  end)
end)

describe("the options", function()
  test("are checked before anything is connected", function(path)
    local function wrong(word, more) misused(word, braid.cluster, options({ url = "nats://127.0.0.1:1" }, more)) end
    wrong("ca_file", { tls = { ca_file = path "none.pem" } })
    wrong("cert", { tls = { cert = path "client.pem" } })
    wrong("key", { tls = { key = path "client.key" } })
    wrong("ca_file", { tls = { cafile = path "ca.pem" } })
    wrong("credentials", { credentials = path "none.creds" })
    wrong("nkey", { credentials = { nkey = "UABC" } })
    wrong("password", { credentials = { user = "ann" } })
    local _, err = pcall(braid.cluster, { servers = "nats://ann:pw@example.org:4222", insecure = true })
    assert.is_nil(tostring(err):find("pw", 1, true), "passwords are not shown")
  end)
end)
