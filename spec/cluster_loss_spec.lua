-- SPDX-License-Identifier: MIT
-- Clusters when something ends: jobs that are cancelled or too long, workers and submitters that die, servers that are
-- lost, drains, detached jobs, large values.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local failure = expect.failure
local with = nats.with
local _ENV = _G -- luacheck: ignore 211/_ENV

local late_signals = os.getenv "BRAID_LATE_SIGNALS" and "signals come late"

local function test(name, fn, unfit) nats.test(name, fn, { deadline = 30, unfit = unfit }) end

local function add(a, b) return a + b end
local function nap(seconds) require "braid".sleep(seconds) return "slept" end

local function spin(path)
  local file <close> = path and io.open(path, "a")
  if file then file:write("x") file:flush() end
  while true do end
end

local function size_of(path)
  local file <close> = io.open(path)
  return file and file:seek("end") or 0
end

local function eventually(condition, seconds) expect.eventually(condition, nil, seconds or 8) end

local function is_kind(kind, err) assert.is_true(braid.is_error(err, kind), tostring(err)) end

-- The text of a job that has ended with an error of this kind.
local function ends_with(kind, future)
  local err = failure(future)
  is_kind(kind, err)
  return err
end

describe("a job of a cluster", function()
  test("is cancelled before it begins, and never begins", with(function(cluster)
    local pool <close> = cluster:pool()
    local path = os.tmpname()
    local busy = { pool:submit(nap, 1), pool:submit(nap, 1) }
    local future = pool:submit(function() local file <close> = io.open(path, "a") file:write("x") end)
    assert.is_true(future:cancel())
    assert.equal("cancelled", future:state())
    for _, each in ipairs(busy) do each:result() end
    assert.equal(1, pool:submit(add, 0, 1):result())
    assert.equal(0, size_of(path))
    os.remove(path)
  end, { workers = 2 }))

  test("is cancelled while it computes", with(function(cluster)
    local pool <close> = cluster:pool()
    local future = pool:submit(spin)
    eventually(function() return future:running() end)
    future:cancel()
    ends_with("cancelled", future)
    assert.equal(3, pool:submit(add, 1, 2):result(5)) -- the only slot is free again
  end, { workers = 1 }), late_signals)

  test("is stopped by the limits of time and memory", with(function(cluster)
    local pool <close> = cluster:pool { time_limit = 0.2, memory_limit = 20 << 20 }
    local err = ends_with("limit", pool:submit(spin))
    assert.matches("0.2 s", tostring(err))
    ends_with("limit", pool:submit(function() return ("x"):rep(50 << 20):len() end))
    assert.equal(3, pool:submit(add, 1, 2):result(5))
  end, { workers = 1 }), late_signals)

  test("may have large arguments and results", with(function(cluster)
    local pool <close> = cluster:pool()
    local text = ("0123456789abcdef"):rep(200000)
    local back, length = pool:submit(function(t) return t .. "!", #t end, text):result()
    assert.equal(#text, length)
    assert.is_true(back == text .. "!")
    local numbers = braid.array("f64", 300000):fill(1.5)
    assert.equal(450000, pool:submit(function(a)
      local sum = 0
      for i = 1, #a do sum = sum + a[i] end
      return sum
    end, numbers):result())
    eventually(function() -- nothing stays of them
      local info = require "braid.cluster.jetstream".stream(cluster.link, cluster.streams:name("pieces"))
      return info.state.messages == 0
    end)
  end))
end)

describe("a worker that dies", function()
  test("is noticed, and its job is run by another one", with(function(cluster, worker, server)
    local pool <close> = cluster:pool()
    local path = os.tmpname()
    local future = pool:submit(function()
      local file <close> = io.open(path, "a")
      file:write("x")
      file:flush()
      local count = file:seek("end")
      while count == 1 do end
      return count
    end)
    eventually(function() return size_of(path) == 1 end)
    local other <close> = nats.worker(server.url, { workers = 1 })
    worker:kill("KILL")
    local began = braid.now()
    assert.equal(2, future:result(15))
    assert.is_true(braid.now() - began < 8 * helper.slowness)
    other:kill("TERM")
    other:wait(5)
    os.remove(path)
  end, { workers = 1 }))

  test("fails a job that may run only once, though nobody else is there", with(function(cluster, worker)
    local pool <close> = cluster:pool { max_tries = 1 }
    local path = os.tmpname()
    local future = pool:submit(spin, path)
    eventually(function() return size_of(path) == 1 and future:running() end)
    worker:kill("KILL")
    local err = ends_with("worker_died", future)
    assert.equal("lonely", err.worker)
    assert.equal(1, size_of(path))
    os.remove(path)
  end, { words = { "--id", "lonely" } }))

  test("fails a job after so many tries, and says where it was", with(function(cluster)
    local pool <close> = cluster:pool { max_tries = 2 }
    local path = os.tmpname()
    local future = pool:submit(function()
      local file <close> = io.open(path, "a")
      file:write("x")
      file:flush()
      require "braid".process.run { "sh", "-c", "kill -KILL $PPID" }
    end)
    local err = ends_with("worker_died", future)
    assert.equal("w2", err.worker)
    assert.equal(2, size_of(path))
    assert.equal(3, pool:submit(add, 1, 2):result(5)) -- a local process, not the worker, has died
    os.remove(path)
  end, { pool = "processes", words = { "--id", "w2" } }))

  test("drains on SIGTERM: ends what has begun, gives back the rest", with(function(cluster, worker, server)
    local pool <close> = cluster:pool { max_tries = 1 }
    local first = pool:submit(nap, 0.7)
    local second = pool:submit(nap, 0)
    eventually(function() return first:running() end)
    worker:kill("TERM")
    assert.equal("slept", first:result(5))
    assert.equal(0, worker:wait(5).code)
    assert.is_false(second:done())
    local other <close> = nats.worker(server.url)
    assert.equal("slept", second:result(10))
    other:kill("TERM")
    other:wait(5)
  end, { workers = 1 }))

  test("ends at once at the second SIGTERM", with(function(cluster, worker)
    local pool = cluster:pool { max_tries = 1 }
    local future = pool:submit(nap, 60)
    eventually(function() return future:running() end)
    worker:kill("TERM")
    braid.sleep(0.2)
    worker:kill("TERM")
    assert.equal(1, worker:wait(3).code)
    ends_with("worker_died", future)
  end))
end)

describe("a submitter that dies", function()
  local script = [[
    local braid = require "braid"
    local cluster = braid.cluster { servers = arg[1], insecure = true }
    local pool = cluster:pool { detached = arg[2] == "detached" }
    local future = pool:submit(function(path)
      local braid = require "braid"
      local file <close> = io.open(path, "a")
      for i = 1, 200 do
        file:write("x")
        file:flush()
        braid.sleep(0.05)
        if i == 20 and arg == nil and path:find("detached") then return "result of " .. i end
      end
    end, arg[3])
    print(future.id or "none")
    io.stdout:flush()
    braid.sleep(60)
  ]]

  local function start(url, how, path)
    local name = os.tmpname()
    local file <close> = io.open(name, "w")
    file:write(script)
    file:close()
    local process = assert(braid.process.start({ helper.lua, name, url, how, path }))
    local id = process:read("l", 10)
    os.remove(name)
    return process, id
  end

  test("has its jobs cancelled", with(function(cluster, _, server)
    local path = os.tmpname()
    local process <close> = start(server.url, "attached", path)
    eventually(function() return size_of(path) > 0 end)
    process:kill("KILL")
    process:wait(5)
    eventually(function() return cluster:stats().running == 0 end, 15)
    assert.is_true(size_of(path) < 200)
    os.remove(path)
  end))

  test("leaves its detached jobs, whose results anybody can fetch", with(function(cluster, _, server)
    local path = os.tmpname() .. "detached"
    local process <close>, id = start(server.url, "detached", path)
    eventually(function() return size_of(path) > 0 end)
    process:kill("KILL")
    process:wait(5)
    local future = assert(cluster:future(id))
    assert.equal(id, future.id)
    assert.equal("result of 20", future:result(15))
    assert.equal("result of 20", assert(cluster:future(id)):result(5)) -- it stays
    local none, err = cluster:future("abcd.5.60")
    assert.is_nil(none)
    is_kind("unknown", err)
    none, err = cluster:future("nonsense")
    assert.is_nil(none)
    is_kind("unknown", err)
    os.remove(path)
  end))
end)

describe("a server that is lost", function()
  test("and comes back with its files has lost nothing", with(function(cluster, _, server)
    local pool <close> = cluster:pool { storage = "file" }
    local futures = {}
    for i = 1, 20 do futures[i] = pool:submit(function(x) require "braid".sleep(0.1) return x * x end, i) end
    local large = pool:submit(function(text) return #text end, ("x"):rep(3 << 20)) -- goes in pieces
    server:stop()
    braid.sleep(0.5)
    server:start()
    assert.equal(3 << 20, large:result(20))
    for i = 1, 20 do assert.equal(i * i, futures[i]:result(20)) end
    assert.equal(3, pool:submit(add, 1, 2):result(10))
  end))

  test("with its memory fails the unfinished jobs, and takes new ones", with(function(cluster, _, server)
    local pool <close> = cluster:pool()
    local future = pool:submit(nap, 30)
    eventually(function() return future:running() end)
    server:stop()
    server:start()
    ends_with("disconnected", future)
    assert.equal(3, pool:submit(add, 1, 2):result(10))
  end))

  test("for longer than the patience fails what waits", with(function(cluster, worker, server)
    local pool = cluster:pool()
    local future = pool:submit(nap, 30)
    eventually(function() return future:running() end)
    server:stop()
    ends_with("disconnected", future)
    local ok, err = pcall(pool.submit, pool, add, 1, 2)
    assert.is_false(ok)
    is_kind("disconnected", err)
    worker:kill("KILL")
  end, { cluster = { patience = 1.5 } }))
end)

describe("purge", function()
  test("takes away the jobs that no worker has", with(function(cluster)
    local pool = cluster:pool { requires = { gpu = "yes" }, name = "gpus" }
    local futures = {}
    for i = 1, 5 do futures[i] = pool:submit(add, i, 1) end
    local jobs = cluster:jobs()
    assert.equal(5, #jobs)
    assert.equal("gpus", jobs[1].pool)
    local function command(action)
      local url = cluster.settings.servers[1]
      return braid.process.run({ helper.lua, "bin/braid", "cluster", action, "--cluster", url, "--insecure" }).stdout
    end
    assert.matches("gpus", command "jobs")
    assert.equal("5 jobs were taken away\n", command "purge")
    for i = 1, 5 do
      assert.is_true(futures[i]:wait(5))
      assert.equal("cancelled", futures[i]:state())
    end
    assert.matches("1 workers, 2 slots; 0 jobs queued", command "status")
  end))
end)
