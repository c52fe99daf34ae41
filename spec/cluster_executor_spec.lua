-- SPDX-License-Identifier: MIT
-- What every pool does, by the pool of a cluster: the cases of executor_spec.lua, with a worker in this process. Cases
-- with objects that are shared only on one machine, or with options for workers, are beyond it: their errors say so.
local braid = require "braid"
local nats = require "spec.nats_server"
local describe, it, pending, assert = describe, it, pending, assert
local _ENV = _G -- luacheck: ignore 211/_ENV

if not nats.is_there() then
  describe("a cluster's pool", function()
    it("does what every pool does", function() pending("there is no nats-server here, or no libnats") end)
  end)
  return
end

local server = nats.start()
local opened, count = {}, 0

-- Each pool is of a cluster of its own, with one worker.
local function pool(options)
  if type(options) == "number" then options = { workers = options } end
  local given = {}
  for name, value in pairs(options or {}) do given[name] = value end
  local slots = given.workers or 2
  given.workers = nil
  count = count + 1
  local name = "case" .. count
  local settings = require "braid.cluster.settings".read("spec", { servers = server.url, insecure = true, name = name })
  local worker = require "braid.cluster.worker".start(settings, { kind = "threads", slots = slots, tags = {} })
  opened[#opened + 1] = worker
  local cluster = braid.cluster { servers = server.url, insecure = true, name = name }
  opened[#opened + 1] = cluster
  return cluster:pool(given)
end

local function ended()
  for i = #opened, 1, -1 do
    opened[i]:close()
    opened[i] = nil
  end
end

local function beyond_it(err)
  local text = tostring(err)
  if text:find("belongs to its process", 1, true) then return "the pool of a cluster cannot go to its jobs" end
  if text:find("shared only on this machine", 1, true) then return "an object of one machine cannot go to others" end
  return text:match("unknown option '[%a_]+' to 'pool'")
end

local ON_ONE_MACHINE = "its jobs would need an object of one machine"
local kind = {
  name = "cluster", inner = "threads", beyond = {
    cpu = "cluster_loss_spec.lua cancels such jobs", workers = "workers are not the pool's",
    ["is cancelled with its caller, and its jobs are, too"] = ON_ONE_MACHINE,
    ["of a block that is cancelled: its jobs are, too"] = ON_ONE_MACHINE,
    ["backlog: submit waits while so many jobs have not ended"] = ON_ONE_MACHINE,
    ["are checked"] = "cluster_spec.lua checks its own options",
    ["a number is the number of workers"] = "workers are not the pool's",
  },
  pool = pool, ended = ended, beyond_it = beyond_it, deadline = 60,
}

local env = setmetatable({ describe = describe, it = it, pending = pending, assert = assert }, { __index = _G })
local cases = assert(loadfile("spec/executor_spec.lua", "t", env))

describe("in a cluster", function() cases { kind } end)
