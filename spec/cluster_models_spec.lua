-- SPDX-License-Identifier: MIT
-- The model "cluster" of braid.experiment and braid.advise.
local braid = require "braid"
local expect = require "spec.expect"
local helper = require "spec.helper"
local nats = require "spec.nats_server"
local assert, describe = assert, describe
local misused, raises = expect.misused, expect.raises
local with = nats.with
local _ENV = _G -- luacheck: ignore 211/_ENV

local test = nats.test

local function square(x) return x * x end

local function slow(x)
  require "braid".sleep(0.01)
  return x
end

describe("braid.experiment", function()
  test("measures a cluster beside the other models", with(function(cluster)
    local report = braid.experiment {
      work = slow, items = { 1, 2, 3, 4, 5, 6 }, models = { "inline", { kind = "cluster", name = "farm", chunk = 1 } },
      cluster = cluster, repeats = 2, warmup = 0,
    }
    local inline, farm = table.unpack(report.models)
    assert.is_true(report.same)
    assert.equal("farm", farm.name)
    assert.equal(2, farm.workers)
    assert.equal(2, #farm.times)
    assert.is_true(farm.start > 0)
    local spans = 0
    for _, lane in ipairs(farm.lanes) do spans = spans + #lane end
    assert.equal(6, spans)
    assert.is_true(inline.median >= 0.06)
    assert.matches("farm", tostring(report))
    assert.matches("farm", report:svg())
    assert.equal(4, cluster:pool():submit(square, 2):result()) -- it stays open
  end))

  test("opens a cluster by its options, which is then one of the models", with(function(cluster)
    local report = braid.experiment {
      work = square, items = { 1, 2, 3 }, repeats = 1, warmup = 0,
      cluster = { servers = cluster.settings.servers, insecure = true },
    }
    assert.equal("cluster", report.models[#report.models].name)
    assert.is_true(report.same)
    assert.is_nil(report.machine.others)
  end))

  test("says that there is no worker", function()
    helper.run(function()
      local server <close> = nats.start()
      local cluster <close> = braid.cluster { servers = server.url, insecure = true }
      local err = raises("timeout", braid.experiment, {
        work = square, items = { 1 }, models = { "cluster" }, cluster = cluster,
      })
      assert.matches("braid worker", tostring(err))
    end)
  end)

  test("checks the option and the model", function()
    misused("cluster", braid.experiment, { work = square, items = { 1 }, models = { "cluster" } })
    misused("cluster", braid.experiment, { work = square, items = { 1 }, cluster = "nats://127.0.0.1:4222" })
    misused("cluster", braid.experiment, { work = square, items = { 1 }, cluster = braid.queue() })
    misused("workers", braid.experiment, {
      work = square, items = { 1 }, models = { { kind = "cluster", workers = 2 } }, cluster = {},
    })
    misused("cluster", braid.advise, square, { 1 }, { cluster = braid.queue() })
  end)
end)

describe("times of another machine", function()
  test("are moved into the run", with(function(cluster)
    local report = braid.experiment {
      work = function(x)
        local core = require "braid.core"
        if not core.late then
          local now = core.now
          core.late, core.now = true, function() return now() + 1000000 end
        end
        return x
      end,
      items = { 1, 2, 3, 4 }, models = { { kind = "cluster", chunk = 1 } }, cluster = cluster, repeats = 1, warmup = 1,
    }
    for _, lane in ipairs(report.models[1].lanes) do
      assert.is_true(lane[1].start >= 0 and lane[1].start < 60)
    end
  end, { workers = 1 }))
end)

describe("braid.advise", function()
  test("knows a cluster that is named", with(function(cluster)
    local advice = braid.advise(slow, { 1, 2, 3, 4 }, { items = 40, cluster = cluster, lang = "en" })
    local costs, one = advice.costs.cluster, advice.predictions.cluster
    assert.equal(2, costs.slots)
    assert.is_true(costs.job > 0 and costs.gain > 0)
    assert.equal(2, one.workers)
    assert.is_true(one.seconds > 0.1, "forty waits of two slots take 0.2 s")
    assert.equal("tasks", advice.model)
    assert.matches("braid.cluster: ", tostring(advice))
    assert.is_nil(advice.others)
    local without = braid.advise(slow, { 1 }, { lang = "en" })
    assert.is_nil(without.predictions.cluster)
    assert.is_nil(without.costs.cluster)
    assert.is_nil(tostring(without):find("braid.cluster", 1, true))
  end))

  test("says why a function cannot go to the cluster", with(function(cluster)
    local queue = braid.queue() -- of this machine
    local advice = braid.advise(function(x)
      for i = 1, 2000000 do x = x + i end
      return x + queue:size()
    end, { 1, 2 }, { items = 4, cluster = cluster, lang = "en" })
    assert.is_not.equal("cluster", advice.model)
    local why = advice.profile.failures.cluster
    if why then assert.matches("this machine", why) end
  end))
end)
