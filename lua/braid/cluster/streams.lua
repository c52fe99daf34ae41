-- SPDX-License-Identifier: MIT
-- The streams of a cluster, by what they are for. They are made when they are first needed. After each new connection
-- they are looked at: a stream in memory may be lost with its server.
local jetstream = require "braid.cluster.jetstream"

local M = {}

local SECOND = jetstream.SECOND
local MOST_CODE = 100000 -- functions
local DAY = 86400

---@class braid.cluster.Streams
---@field cluster string
---@field file boolean whether "file" is the usual storage
---@field private _link braid.cluster.Link
---@field private _replicas integer
---@field private _made table<string, string> what -> when the server has made it
---@field private _configs table<string, table> of streams of single objects
---@field private _on_loss table<function, true>
local Streams = {}
Streams.__index = Streams

---The streams of a cluster. Does not suspend.
---@param link braid.cluster.Link
---@param settings table of the cluster, checked
---@return braid.cluster.Streams
function M.new(link, settings)
  local self = setmetatable({
    _link = link, cluster = settings.cluster, _replicas = settings.replicas, file = settings.replicas > 1,
    _made = {}, _configs = {}, _on_loss = {},
  }, Streams)
  link:on_connection(function() self:look() end)
  return self
end

---The stream's name.
---@param what string "code", "jobs_memory", ...
---@return string
function Streams:name(what) return ("braid_%s_%s"):format(self.cluster, what) end

---A subject of the cluster.
---@param ... any
---@return string
function Streams:subject(...) return table.concat({ "braid", self.cluster, ... }, ".") end

-- Kinds of streams -> their configuration; `what` is the rest of the name.
local KINDS = {}

-- Jobs in files need them after a restart of the server: so code and pieces are always in files.
function KINDS.code()
  return { max_msgs_per_subject = 1, max_msgs = MOST_CODE, discard = "old", allow_direct = true, storage = "file" }
end

function KINDS.jobs(self, what)
  return {
    subjects = { self:subject("jobs", what, ">") }, retention = "workqueue", storage = what, discard = "new",
    duplicate_window = 60 * SECOND, allow_direct = true,
  }
end

function KINDS.pieces()
  return { max_age = DAY * SECOND, allow_direct = true, discard = "old", storage = "file" }
end

function KINDS.results(_, ttl)
  return { max_age = math.tointeger(tonumber(ttl)) * SECOND, allow_direct = true, max_msgs_per_subject = 1 }
end

local function config_of(self, what)
  local kind, rest = what:match("^(%a+)_?(.*)$")
  local config = self._configs[what] or KINDS[kind](self, rest)
  if self._configs[what] then config.subjects = { self:subject(what, ">") } end
  config.name = self:name(what)
  config.subjects = config.subjects or { self:subject(kind, rest == "" and ">" or rest .. ".>") }
  config.storage = config.storage or (self.file and "file" or "memory")
  config.num_replicas = self._replicas
  config.retention = config.retention or "limits"
  if config.max_age and config.max_age < 120 * SECOND then config.duplicate_window = config.max_age end
  return config
end

local function make(self, what)
  local info = jetstream.make_stream(self._link, config_of(self, what))
  local before = self._made[what]
  self._made[what] = info.created
  return before ~= nil and before ~= info.created, info
end

local function tell_loss(self, what)
  for listener in pairs(self._on_loss) do listener(what) end
end

---Makes the stream unless it is there. Suspends the first time.
---@param what string
---@param config table? of a stream that belongs to one object
function Streams:need(what, config)
  if self._made[what] then return end
  self._configs[what] = config
  make(self, what)
end

---Looks whether the stream is still the one that it was, and makes it again if not. Suspends.
---@param what string
function Streams:renew(what)
  if make(self, what) then tell_loss(self, what) end
end

---The same for all of them. Suspends.
function Streams:look()
  local list = {}
  for what in pairs(self._made) do list[#list + 1] = what end
  for _, what in ipairs(list) do self:renew(what) end
end

---Calls fn(what) when the server has lost a stream with its content.
---@param fn function
function Streams:on_loss(fn) self._on_loss[fn] = true end

return M
