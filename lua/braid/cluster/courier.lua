-- SPDX-License-Identifier: MIT
-- A worker's news of jobs on the way to their submitters. News of one turn go in one message. The submitter confirms
-- it; only then is the job's message acknowledged, so a result is kept until it has arrived, or its submitter is lost.
local core = require "braid.core"
local link_of = require "braid.cluster.link"
local wire = require "braid.cluster.wire"

local M = {}

local CONFIRM = 2 -- seconds until it is sent again
local PAUSE = 0.25
local LOST = 5 -- seconds without a subscriber until a submitter is taken for dead
local MOST = 1 << 19 -- bytes in one message
local MARGIN = 1024 -- bytes of a message beside its news
local WINDOW = 8 << 20 -- bytes that one submitter has not confirmed; others wait

---@class braid.cluster.Courier
---@field private _link braid.cluster.Link
---@field private _wire braid.cluster.Wire
---@field private _streams braid.cluster.Streams
---@field private _bags table<string, table> submitter -> what is to be sent
---@field private _under_way integer messages that are not confirmed
---@field homes table<string, table> submitter -> { gone = since when, dead = true, messages and
--- bytes that it has not confirmed }
local Courier = {}
Courier.__index = Courier

---The courier of one worker. Does not suspend.
---@param link braid.cluster.Link
---@param sealing braid.cluster.Wire
---@param streams braid.cluster.Streams
---@return braid.cluster.Courier
function M.new(link, sealing, streams)
  local self = { _link = link, _wire = sealing, _streams = streams, _bags = {}, homes = {}, _under_way = 0 }
  return setmetatable(self, Courier)
end

-- ---- whether submitters live ----------------------------------------------------------------------------------------

local function home_of(self, home)
  local known = self.homes[home]
  if not known then
    known = { bytes = 0, messages = 0 }
    self.homes[home] = known
  end
  return known
end

local function note(self, home, status)
  local known, now = home_of(self, home), core.now()
  if status == "503" then
    known.gone = known.gone or now
    if now - known.gone > LOST then known.dead = true end
  else
    known.gone, known.dead = nil, nil
  end
end

---Whether a submitter is lost.
---@param home string
---@return boolean
function Courier:is_dead(home) return self.homes[home] ~= nil and self.homes[home].dead == true end

---Asks a submitter of a job, or only whether it lives. Returns its answer: "-": it does not know the job. Suspends.
---@param home string
---@param id string? of the job
---@return string?
function Courier:ask(home, id)
  local slot = self._link:ask(self._streams:subject("alive", home), id or "", nil, nil, "n")
  local body, status = self._link:await(slot, CONFIRM)
  if body then note(self, home, status) end
  return body and status ~= "503" and body or nil
end

---Asks those submitters whether they live. Returns at once.
---@param homes table<string, true>
function Courier:look(homes)
  for home in pairs(homes) do link_of.start(self.ask, self, home) end
  for home, known in pairs(self.homes) do
    if not homes[home] and not self._bags[home] and known.messages == 0 then self.homes[home] = nil end
  end
end

-- ---- sending --------------------------------------------------------------------------------------------------------

-- Waits until the submitter has confirmed enough of what was sent before.
local function await_room(known)
  while known.bytes > WINDOW and not known.dead do
    known.room = known.room or core.event_new()
    known.room:clear()
    known.room:wait(CONFIRM)
  end
end

-- Sends one message until it is confirmed, or until the submitter is lost.
local function repeat_until_taken(self, home, message)
  local subject, how = self._streams:subject("home", home), nil
  while true do
    local slot = self._link:ask(subject, message, nil, nil, how)
    local body, status = self._link:await(slot, CONFIRM)
    if body then note(self, home, status) end
    if body and status ~= "503" or self:is_dead(home) or self._link.closed then return end
    if body or how then core.sleep(PAUSE) end
    how = "n"
  end
end

local function carry(self, home, message, done)
  local known, sent = home_of(self, home), 0
  self._under_way, known.messages = self._under_way + 1, known.messages + 1
  local ok, err = pcall(function()
    await_room(known)
    sent = #message
    known.bytes = known.bytes + sent
    repeat_until_taken(self, home, message)
  end)
  self._under_way, known.messages, known.bytes = self._under_way - 1, known.messages - 1, known.bytes - sent
  if known.room then known.room:set() end
  if not ok then core.rethrow(err) end
  for _, fn in ipairs(done) do fn() end
end

local function send_bag(self, home)
  local bag = self._bags[home]
  self._bags[home] = nil
  carry(self, home, self._wire:seal("news", table.concat(bag)), bag.done)
end

---Sends news. `done` is called when the submitter has them, or is lost. Does not suspend.
---@param home string
---@param news string bytes of wire.pack_news
---@param done fun()?
function Courier:send(home, news, done)
  local bag = self._bags[home]
  if bag and bag.size + #news > math.min(MOST, self._link:max_payload() - MARGIN) then
    self._bags[home] = nil
    link_of.start(carry, self, home, self._wire:seal("news", table.concat(bag)), bag.done)
    bag = nil
  end
  if not bag then
    bag = { size = 0, done = {} }
    self._bags[home] = bag
    link_of.start(send_bag, self, home)
  end
  bag.size = bag.size + #news
  bag[#bag + 1] = news
  if done then bag.done[#bag.done + 1] = done end
end

---Sends a refusal to the submitter of a job that cannot be trusted. Does not suspend.
---@param home string
---@param id string
---@param worker string
---@param reason string
function Courier:refuse(home, id, worker, reason)
  local news = wire.pack_news(id, wire.REFUSED, 1, worker, nil, reason)
  self._link:publish(self._streams:subject("home", home), nil, self._wire:seal("news", news))
end

---Whether everything has been confirmed.
---@return boolean
function Courier:is_idle() return next(self._bags) == nil and self._under_way == 0 end

return M
