-- SPDX-License-Identifier: MIT
-- A pool of connections. A statement that is known to be quick goes to a connection that other such statements use at
-- the same time, each as a transaction of its own (its own Sync). Everything else has a connection for itself.
local core = require "braid.core"
local errors = require "braid.errors"
local links = require "braid.postgres.link"
local listener = require "braid.postgres.listener"
local resources = require "braid.sync.resource_pool"
local sessions = require "braid.postgres.session"
local transactions = require "braid.postgres.transaction"

local M = {}

local QUICK, SLOW = 0.005, 0.05 -- seconds: a statement that was quick and then takes longer is no more taken for quick
local MOST_QUICK = 1024 -- statements that are remembered

---A pool. It is closed by `<close>`.
---@class braid.postgres.Pool: braid.postgres.Session
---@field private _settings table
---@field private _resources braid.ResourcePool of links
---@field private _shared table<braid.postgres.Link, braid.Lease> links that quick statements use
---@field private _order braid.postgres.Link[] the same links
---@field private _at integer the place of the last one that was chosen
---@field private _leaving braid.postgres.Link? one of these that gets no more statements
---@field private _opened braid.Event? set when a task that waits for a further one has it
---@field private _quick table<string, table> statement -> what it needs to be prepared elsewhere
local Pool = { __name = "braid.postgres.pool" }
for name, method in pairs(sessions.Session) do Pool[name] = Pool[name] or method end
Pool.__index = Pool

-- ---- a connection for one caller ------------------------------------------------------------------------------------

function Pool:_unshare(link)
  self._shared[link] = nil
  for at, each in ipairs(self._order) do
    if each == link then return table.remove(self._order, at) end
  end
end

local function end_sharing(self, link)
  local lease = self._shared[link]
  if not lease then return end
  self:_unshare(link)
  if self._leaving == link then self._leaving = nil end
  if link.closed then lease:discard() else lease:release() end
end

-- If all connections are lent, one that quick statements have used and do not use now is given back.
local function make_room(self)
  if self._resources._leased < self._max then return end
  for link in pairs(self._shared) do
    if link.pending == 0 then return end_sharing(self, link) end
  end
end

local function acquire(self)
  make_room(self)
  local lease, err = self._resources:acquire(self._timeout)
  if not lease then core.rethrow(err) end
  return lease
end

local function give_back(lease, link)
  if sessions.clean(link) then lease:release() else lease:discard() end
end

local function finish(lease, link, ok, ...)
  give_back(lease, link)
  if not ok then core.rethrow(...) end
  return ...
end

function Pool:_use(fn, ...)
  local lease = acquire(self)
  local link = lease.resource
  return finish(lease, link, errors.try(fn, link, ...))
end

function Pool:_lend()
  local lease = acquire(self)
  local link = lease.resource
  return link, function() give_back(lease, link) end
end

-- ---- quick statements -----------------------------------------------------------------------------------------------

local function remember(self, sql, statement)
  if not self._quick[sql] then
    self._count = self._count + 1
    if self._count > MOST_QUICK then self._quick, self._count = {}, 1 end
  end
  self._quick[sql] = statement
end

local function query_alone(link, self, request, ...)
  local known = link:knows(request.sql)
  local start = core.now()
  local slot = link:query(request, ...)
  if known and not slot.err and core.now() - start < QUICK and not link:in_transaction() then
    remember(self, request.sql, slot.statement)
  end
  if slot.err then core.rethrow(slot.err) end
  return slot.value
end

local LOOKS = 4 -- busy links that are compared

-- A link without statements under way; or that of the next few which has the fewest. Not the one that is to be given
-- back.
local function least_busy(self)
  local order, leaving, at, best, looks = self._order, self._leaving, self._at, nil, 0
  local count = #order
  for _ = 1, count do
    at = at % count + 1
    local link = order[at]
    if link ~= leaving then
      if link.pending == 0 then
        self._at = at
        return link
      end
      if not best or link.pending < best.pending then best, self._at = link, at end
      looks = looks + 1
      if looks == LOOKS and self._resources._leased >= self._max then break end
    end
  end
  return best
end

local IDLE = 0.05 -- seconds until a link that quick statements have used is given back

-- Gives idle ones back; at the end of the script all of them.
local function sweep(self)
  while next(self._shared) do
    local ok, err = pcall(core.sleep, IDLE)
    for link, lease in pairs(self._shared) do
      if not ok then
        self:_unshare(link)
        lease:discard()
      elseif link.pending == 0 and core.now() - (link.answered or 0) > IDLE then
        end_sharing(self, link)
      end
    end
    if not ok then core.rethrow(err) end
  end
  self._sweeping = false
end

-- A daemon does it: nobody waits for it, and it belongs to no scope.
local function begin_sweeping(self)
  if self._sweeping then return end
  self._sweeping = true
  local task = core.prepare(sweep, self)
  task:daemon()
  core.start(task)
end

-- Takes a further link for quick statements. Waits for it like everybody else.
local function open_shared(self)
  self._opened = core.event_new()
  local ok, lease, place = errors.try(acquire, self)
  local opened = self._opened
  self._opened = nil
  opened:set()
  if not ok then core.rethrow(lease, place) end
  local link = lease.resource
  self._shared[link], link.on_answer = lease, self._on_answer
  self._order[#self._order + 1] = link
  begin_sweeping(self)
  return link
end

local function shared_link(self)
  while true do
    local best = least_busy(self)
    local may_open = not self._opened and self._resources._leased < self._max
    if best and (best.pending > 0 and not may_open) then return best end
    if best and best.pending == 0 then
      if best:is_open() then return best end
      end_sharing(self, best)
    elseif not self._opened then
      return open_shared(self)
    else
      self._opened:wait()
    end
  end
end

-- While somebody waits for a connection, one after the other gets no more quick statements and is given back.
local function give_way(self, link)
  if not self._leaving and (self._closed or self._resources._waiting > 0) then self._leaving = link end
  if self._leaving == link and link.pending == 0 then end_sharing(self, link) end
end

-- Called for each answer, and without one when the link is lost.
local function on_answer(self)
  return function(link, slot)
    local now = core.now()
    if slot and slot.sent and now - math.max(slot.sent, link.answered or 0) > SLOW then self._quick[slot.sql] = nil end
    link.answered = now
    if not self._shared[link] then return end
    if link.closed or (self._closed and link.pending == 0) then
      end_sharing(self, link)
    elseif self._leaving or self._closed or self._resources._waiting > 0 then
      give_way(self, link)
    end
  end
end

local function query_shared(link, facts, request, ...)
  request.sent = core.now()
  local slot = link:send(link:statement_by(request.sql, facts), request, ...)
  return link:await(slot)
end

-- Whether a cancel was meant for the statement before it. It has done nothing, so it is carried out again.
local function was_hit(link, slot)
  local cancelled = errors.is_error(slot.err, "postgres") and slot.err.sqlstate == "57014"
  return cancelled and link.asked ~= nil and link.asked >= slot.sent
end

function Pool:_query(request, ...)
  local facts = self._quick[request.sql]
  if facts then
    local link = shared_link(self)
    local slot = query_shared(link, facts, request, ...)
    if not slot.err then return slot.value end
    local hit = was_hit(link, slot)
    if not hit then
      self._quick[request.sql] = nil
      if not link:is_stale(slot.err, slot.statement) then core.rethrow(slot.err) end
      link:forget(request.sql, slot.statement)
    end
  end
  return self:_use(query_alone, self, request, ...)
end

-- ---- the pool -------------------------------------------------------------------------------------------------------

---Runs fn as a transaction, on a connection of its own: as of a connection. Suspends.
---@param fn fun(transaction: braid.postgres.Transaction): ...
---@param opts { isolation: string?, retry: integer?, read_only: boolean?, deferrable: boolean? }?
---@return any ... what fn returned
function Pool:transaction(fn, opts)
  transactions.check(fn, opts)
  return self:_use(transactions.run, {}, fn, opts)
end

---Listens to a channel, on a further connection: as of a connection. Suspends.
---@param channel string
---@return braid.postgres.Listener
function Pool:listen(channel)
  if self._closed then core.rethrow(errors.new("closed", "postgres: the pool is closed")) end
  return listener.new(self._settings, channel)
end

---The numbers of connections that are open, idle and lent, and of waiting tasks.
---@return { open: integer, idle: integer, leased: integer, waiting: integer }
function Pool:stats() return self._resources:stats() end

---Closes it: later calls raise kind "closed". Waits until those that run have ended. Suspends.
---@param opts { wait: boolean? }? wait: default true
function Pool:close(opts)
  errors.check_options(1, "close", opts, { wait = "boolean" })
  self._closed = true
  for link in pairs(self._shared) do
    if link.pending == 0 then end_sharing(self, link) end
  end
  self._resources:close(opts)
end

function Pool:__close() self:close() end

---@param settings table
---@param types table?
---@param opts table those of the resource pool; and `timeout`
---@return braid.postgres.Pool
function M.new(settings, types, opts)
  local self = setmetatable({ _settings = settings, _shared = {}, _order = {}, _at = 0, _quick = {}, _count = 0,
    _max = opts.max or 10, _timeout = opts.timeout }, Pool)
  self._on_answer = on_answer(self)
  self._resources = resources.resource_pool {
    create = function() return links.open(settings, types) end, destroy = links.close, check = links.is_open,
    max = opts.max, min = opts.min, idle_time = opts.idle_time, max_age = opts.max_age, max_uses = opts.max_uses,
    name = opts.name or "postgres",
  }
  return self
end

errors.guard(Pool)

return M
