-- SPDX-License-Identifier: MIT
-- A cluster of three servers, of which one is killed or stopped; messages that come twice.
-- spec/cluster_stress.lua does the same at random for longer.
local braid = require "braid"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local _ENV = _G -- luacheck: ignore 211/_ENV

local test = nats.test

local function nap(i) require "braid".sleep(0.02) return i end

-- Submits n jobs from several tasks, and returns their results.
local function run_all(pool, n)
  local list = {}
  for i = 1, n do list[i] = i end
  return braid.map(function(i) return pool:submit(nap, i):result() end, list, { limit = 20 })
end

describe("three servers", function()
  test("lose nothing when one is killed, and when one does not answer", function()
    helper.run(function()
      local servers <close> = nats.start_three()
      local worker <close> = nats.worker(servers.url, { workers = 2 })
      local cluster <close> = braid.cluster { servers = servers.url, insecure = true, replicas = 3 }
      local pool <close> = cluster:pool()
      local task = braid.spawn(run_all, pool, 300)
      braid.sleep(0.5)
      servers[2]:kill("KILL")
      servers[2].process:wait(5)
      local first = task:result()
      for i = 1, 300 do assert.equal(i, first[i]) end
      servers[2]:start()
      task = braid.spawn(run_all, pool, 100)
      servers[1]:kill("STOP")
      braid.sleep(2)
      servers[1]:kill("CONT")
      local second = task:result()
      for i = 1, 100 do assert.equal(i, second[i]) end
      worker:kill("KILL")
      worker:wait(5)
    end)
  end)
end)

describe("one server", function()
  test("gives each result once, though messages come twice", nats.with(function(cluster)
    local pool <close> = cluster:pool()
    local link, published = cluster.link, 0
    local publish = link.publish
    function link:publish(subject, reply, body, id, expected) -- a second copy of each job, as by a client that repeats
      if subject:find("%.jobs%.") then
        published = published + 1
        publish(self, subject, nil, body, id and id .. "again")
      end
      return publish(self, subject, reply, body, id, expected)
    end
    local ended = 0
    for i = 1, 20 do
      local future = pool:submit(nap, i)
      future:on_done(function() ended = ended + 1 end)
      assert.equal(i, future:result())
    end
    braid.sleep(0.3)
    assert.equal(20, ended)
    assert.equal(20, published)
    assert.equal(20, pool:stats().done)
    local info = require "braid.cluster.jetstream".stream(link, cluster.streams:name("jobs_memory"))
    assert.equal(0, info.state.messages)
  end))
end)
