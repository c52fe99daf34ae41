-- SPDX-License-Identifier: MIT
-- Exact accounts of jobs while something is wrong: no space on the servers, a consumer that is too slow, messages that
-- come twice, workers that are replaced, a server that does not answer. spec/cluster_stress.lua does it for longer.
local account = require "spec.cluster_account"
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local _ENV = _G -- luacheck: ignore 211/_ENV

local function test(name, fn, unfit)
  nats.test(name, function() helper.run(fn) end, { unfit = unfit })
end

-- A server with this configuration.
local function start(config, words)
  local path = os.tmpname()
  assert(braid.file.write(path, config))
  local server = nats.start(table.move(words or {}, 1, #(words or {}), 3, { "-c", path }))
  os.remove(path)
  return server
end

local function open(server, more)
  local opts = { servers = server.url, insecure = true }
  for name, value in pairs(more or {}) do opts[name] = value end
  return braid.cluster(opts)
end

local function stop(worker)
  worker:kill("TERM")
  assert.equal(0, worker:wait(20).code)
end

local KILO = ("0123456789abcdef"):rep(64)

describe("servers without space", function()
  test("let submit wait until there is some", function()
    local server <close> = start "jetstream { max_file_store: 2MB, max_memory_store: 2MB }"
    local cluster <close> = open(server, { patience = 120 })
    for _, storage in ipairs { "memory", "file" } do
      local pool <close> = cluster:pool { storage = storage }
      local task = braid.spawn(account.take, pool, 60, { text = KILO:rep(100), tasks = 60 })
      braid.sleep(1)
      local stats = cluster:stats()
      assert.is_true(stats.queued < 25, stats.queued .. " jobs of 100 KB are in 2 MB")
      local worker <close> = nats.worker(server.url)
      assert.same(account.right(60, 1), task:result())
      stop(worker)
    end
  end)

  test("fail a submit after the patience, and take what is smaller", function()
    local server <close> = start "jetstream { max_file_store: 2MB, max_memory_store: 2MB }"
    local cluster <close> = open(server, { patience = 1 })
    local pool = cluster:pool()
    local failed
    for _ = 1, 40 do
      local ok, err = pcall(pool.submit, pool, function(text) return #text end, KILO:rep(100))
      if not ok then failed = err break end
    end
    assert.is_true(braid.is_error(failed, "system"), tostring(failed))
    assert.matches("the servers have no space", tostring(failed))
    local worker <close> = nats.worker(server.url)
    local done = pool:stats().queued
    expect.eventually(function() return pool:stats().done == done end)
    assert.equal(10, pool:submit(function(text) return #text end, ("x"):rep(10)):result())
    stop(worker)
  end)
end)

-- A submitter of its own, which tells its account at the end.
local SUBMITTER = [[
  local account, braid = require "spec.cluster_account", require "braid"
  braid.run(function()
    local cluster <close> = braid.cluster { servers = arg[1], insecure = true }
    local pool <close> = cluster:pool()
    braid.spawn(function()
      while pool:stats().queued + pool:stats().running < 64 do braid.sleep(0.01) end
      print "begun"
      io.stdout:flush()
    end)
    local told = account.take(pool, 128, { size = 100000, tasks = 64, seconds = 0.5 })
    print(told.ends, told.right, told.ran, next(told.others))
  end)
]]

describe("a consumer that is too slow", function()
  test("is thrown out by its server, and gets everything once", function()
    local log, script = os.tmpname(), os.tmpname()
    assert(braid.file.write(script, SUBMITTER))
    local server <close> = start("max_pending: 4MB", { "-l", log })
    local worker <close> = nats.worker(server.url, { workers = 64 })
    local submitter <close> = assert(braid.process.start { helper.lua, script, server.url })
    assert.equal("begun", submitter:read("l", 20))
    submitter:kill("STOP")
    local function is_thrown_out() return assert(braid.file.read(log)):find("Slow Consumer", 1, true) end
    do -- it also gets the workers' signs of life: more of them than the system's buffers take
      local cluster <close> = open(server)
      local subject, junk = cluster.streams:subject "here", ("x"):rep(1000000)
      for _ = 1, 200 do
        if is_thrown_out() then break end
        cluster.link:publish(subject, nil, junk)
        braid.sleep(0.01)
      end
    end
    submitter:kill("CONT")
    assert.equal("128\t128\t128\tnil", submitter:read("l", 40))
    assert.truthy(is_thrown_out())
    stop(worker)
    os.remove(log)
    os.remove(script)
  end, helper.slowness > 1 and "stopped for longer than 5 s, it would be taken for dead")
end)

describe("messages that come twice", function()
  test("are taken once: jobs, news, cancels", function()
    local server <close> = nats.start()
    local settings = require "braid.cluster.settings".read("spec", { servers = server.url, insecure = true })
    local worker = require "braid.cluster.worker".start(settings, { kind = "threads", slots = 2, tags = {} })
    local cluster <close> = open(server)
    local link = getmetatable(cluster.link)
    local publish, count = link.publish, 0
    local undone <close> = setmetatable({}, { __close = function()
      link.publish = publish
      worker:close()
    end })
    function link.publish(self, subject, reply, body, id, expected)
      if subject and subject:find("^braid%.default%.") then
        count = count + 1
        publish(self, subject, reply, body, id and id .. "again", expected)
      end
      return publish(self, subject, reply, body, id, expected)
    end
    local pool <close> = cluster:pool()
    assert.same(account.right(100, 1), account.take(pool, 100))
    local futures = {}
    for i = 1, 10 do futures[i] = pool:submit(function() require "braid".sleep(5) end) end
    for _, future in ipairs(futures) do future:cancel() end
    assert.same(account.right(20, 1), account.take(pool, 20))
    assert.is_true(undone ~= nil and count > 130, count .. " messages came twice")
    assert.equal(120, pool:stats().done)
  end)
end)

describe("a rolling upgrade", function()
  test("runs jobs that may run only once exactly once", function()
    local server <close> = nats.start()
    local cluster <close> = open(server)
    local workers = { nats.worker(server.url), nats.worker(server.url) }
    local pool <close> = cluster:pool { max_tries = 1 }
    local task = braid.spawn(account.take, pool, 300, { seconds = 0.02, tasks = 24 })
    for i = 1, 2 do
      braid.sleep(0.3)
      local new = nats.worker(server.url)
      stop(workers[i])
      workers[i] = new
    end
    assert.same(account.right(300, 1), task:result())
    for _, worker in ipairs(workers) do stop(worker) end
  end)
end)

describe("a server that does not answer for a while", function()
  test("makes everybody wait, and loses nothing", function()
    local server <close> = nats.start()
    local worker <close> = nats.worker(server.url)
    local cluster <close> = open(server)
    local pool <close> = cluster:pool()
    local task = braid.spawn(account.take, pool, 400, { seconds = 0.01 })
    braid.sleep(0.3)
    server:kill("STOP")
    braid.sleep(3)
    server:kill("CONT")
    local told = task:result()
    told.most = 1 -- those that ran meanwhile may run again
    assert.same(account.right(400, 1), told)
    stop(worker)
  end)
end)
