-- SPDX-License-Identifier: MIT
-- Pools of clusters: submit, map, errors, trust. What happens when something dies is in cluster_loss_spec.lua.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local raises, misused, failure = expect.raises, expect.misused, expect.failure
local with = nats.with
local _ENV = _G -- luacheck: ignore 211/_ENV

local function test(name, fn, opts) nats.test(name, fn, opts or { deadline = 20 }) end

local function add(a, b) return a + b end
local function echo(...) return ... end

describe("a cluster's pool", function()
  test("gives results, many of them, and nil", with(function(cluster)
    local pool <close> = cluster:pool()
    assert.equal(5, pool:submit(add, 2, 3):result())
    assert.same({ 1, nil, "x", nil, n = 4 }, table.pack(pool:submit(echo, 1, nil, "x", nil):result()))
    assert.equal(0, select("#", pool:submit(echo):result()))
  end))

  test("raises the error of the function, with its traceback", with(function(cluster)
    local pool <close> = cluster:pool()
    assert.equal("boom", failure(pool:submit(error, "boom", 0)))
    local err = failure(pool:submit(function() error { code = 7, path = { "a" } } end))
    assert.same({ code = 7, path = { "a" } }, err)
    local future = pool:submit(function() local x = nil; return x.y end)
    future:wait()
    assert.equal("failed", future:state())
    assert.matches("cluster_spec", future:traceback())
    err = failure(pool:submit(function() error { code = 7, file = io.stdout } end))
    assert.same({ code = 7, not_sent = { file = "userdata (FILE*) cannot be sent" } }, err)
  end))

  test("takes functions with upvalues, and arrays", with(function(cluster)
    local pool <close> = cluster:pool()
    local factor, numbers = 3, braid.array("f64", { 1, 2, 3 })
    local function scale(array)
      local result = array:copy()
      for i = 1, #array do result[i] = array[i] * factor end
      return result, function(x) return x * factor end
    end
    local scaled, fn = pool:submit(scale, numbers):result()
    assert.same({ 3, 6, 9 }, scaled:totable())
    assert.equal(15, fn(5))
  end))

  test("refuses what cannot go to another machine", with(function(cluster)
    local pool <close> = cluster:pool()
    local err = raises("not_sendable", pool.submit, pool, echo, { braid.queue() })
    assert.matches("argument 2", tostring(err))
    raises("not_sendable", pool.submit, pool, echo, io.stdout)
    err = failure(pool:submit(function() return io.stdout end))
    assert.matches("result 1", tostring(err))
  end))

  test("maps, in order", with(function(cluster)
    local pool <close> = cluster:pool()
    local list = {}
    for i = 1, 20000 do list[i] = i end
    local results = pool:map(function(x) return x * 2 end, list)
    for i = 1, 20000 do assert.equal(2 * i, results[i]) end
    local few = pool:map(echo, { "a", "b", "c" }, { chunk = 1 })
    assert.same({ "a", "b", "c", n = 3 }, few)
    raises("misuse", pool.map, pool, echo, 5)
  end))

  test("runs many jobs of many tasks", with(function(cluster)
    local pool <close> = cluster:pool()
    local results = braid.map(function(i) return pool:submit(add, i, 1):result() end, (function()
      local list = {}
      for i = 1, 500 do list[i] = i end
      return list
    end)())
    for i = 1, 500 do assert.equal(i + 1, results[i]) end
    assert.equal(500, pool:stats().done)
  end))

  test("runs in processes, too", with(function(cluster)
    local pool <close> = cluster:pool()
    assert.equal(5, pool:submit(add, 2, 3):result())
    assert.is_true(pool:submit(function() return braid.cpu_count() > 0 end):result())
  end, { pool = "processes" }))

  test("is closed by close, and refuses then", with(function(cluster)
    local pool = cluster:pool()
    local future = pool:submit(add, 1, 1)
    pool:close()
    assert.equal(2, future:result())
    raises("misuse", pool.submit, pool, add, 1, 1)
  end))

  test("checks its options", with(function(cluster)
    misused("max_tries", cluster.pool, cluster, { max_trys = 1 })
    raises("misuse", cluster.pool, cluster, { storage = "disk" })
    raises("misuse", cluster.pool, cluster, { max_tries = 0 })
    raises("misuse", cluster.pool, cluster, { requires = { ["a b"] = 1 } })
  end))

  test("knows its workers", with(function(cluster)
    local workers = cluster:workers()
    assert.equal(1, #workers)
    assert.equal("w1", workers[1].id)
    assert.equal(2, workers[1].slots)
    assert.same({ gpu = "yes" }, workers[1].tags)
    assert.equal(1, cluster:stats().workers)
  end, { words = { "--id", "w1", "--tag", "gpu=yes" } }))

  test("tells of jobs when there is no worker", with(function(cluster, worker)
    worker:kill("TERM")
    worker:wait(5)
    assert.same({}, cluster:jobs())
    assert.equal(0, cluster:purge())
    braid.timeout(10, function()
      while next(cluster:workers()) do braid.sleep(0.02) end -- its last word may still be on its way
    end)
  end))

  test("costs nothing while it has no jobs", with(function(cluster)
    local pool <close> = cluster:pool()
    assert.equal(3, pool:submit(add, 1, 2):result())
    local count = 0
    local subscription = cluster.link:subscribe("$JS.API.>", function() count = count + 1 end)
    braid.sleep(1)
    cluster.link:unsubscribe(subscription)
    assert.is_true(count <= 20, count .. " requests in a second")
  end))

  test("gives jobs only to workers that have what they require", with(function(cluster, _, server)
    local pool <close> = cluster:pool { requires = { gpu = "yes" } }
    local future = pool:submit(function() return "ran" end)
    assert.is_false(future:wait(0.3))
    local worker <close> = nats.worker(server.url, { words = { "--tag", "gpu=yes" } })
    assert.equal("ran", future:result(10))
    worker:kill("TERM")
    worker:wait(5)
  end))
end)

describe("trust", function()
  test("a secret is needed, except on this machine", function()
    misused("secret", braid.cluster, { servers = "nats://127.0.0.1:1" })
    misused("insecure", braid.cluster, { servers = "nats://example.org", insecure = true })
    misused("servers", braid.cluster, { servers = "http://127.0.0.1", insecure = true })
    misused("name", braid.cluster, { name = "a.b", insecure = true })
  end)

  test("no server: kind disconnected", function()
    helper.run(function()
      local url = "nats://127.0.0.1:" .. nats.port()
      raises("disconnected", braid.cluster, { servers = url, insecure = true, patience = 1 })
    end)
  end)

  test("a job with another secret never runs, and its submitter is told", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write("open sesame\n")
    file:flush()
    helper.run(function()
      local server <close> = nats.start()
      local worker <close> = nats.worker(server.url, { secret = path, stderr = "null" })
      do
        local cluster <close> = braid.cluster { servers = server.url, secret = "open barley" }
        local pool = cluster:pool()
        local err = failure(pool:submit(add, 1, 2))
      assert.is_true(braid.is_error(err, "refused"), tostring(err))
        assert.matches("signature", tostring(err))
      end
      local cluster <close> = braid.cluster { servers = server.url, secret = "open sesame" }
      local pool <close> = cluster:pool()
      assert.equal(3, pool:submit(add, 1, 2):result())
      worker:kill("TERM")
      assert.equal(0, (worker:wait(5)).code)
    end)
    os.remove(path)
  end)

  test("a job of another Lua is refused, and both are named", with(function(cluster)
    local wire = require "braid.cluster.wire"
    local mine = wire.FORMAT:match "Lua [%d.]+"
    local other = mine == "Lua 5.4.3" and "Lua 5.4.4" or "Lua 5.4.3"
    local seal = cluster.wire.seal
    function cluster.wire:seal(kind, body)
      local message = seal(self, kind, body)
      return kind == "job" and message:gsub("Lua 5%.4%.%d", other, 1) or message
    end
    local pool <close> = cluster:pool()
    local err = failure(pool:submit(add, 1, 2))
    assert.is_true(braid.is_error(err, "refused"), tostring(err))
    for _, release in ipairs { mine, other } do assert.truthy(tostring(err):find(release, 1, true), tostring(err)) end
  end, { stderr = "null" }))
end)
