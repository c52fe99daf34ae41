-- SPDX-License-Identifier: MIT
-- Rows that stream: the server's answer is read while the program goes over it.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local BATCH = 128

---An iterator over the rows of a statement. It holds its connection until its end, or `close`.
---@class braid.postgres.Rows
---@field columns string[]?
---@field private _link braid.postgres.Link?
---@field private _give_back fun()
---@field private _slot table
---@field private _list table[]
---@field private _at integer
local Rows = { __name = "braid.postgres.rows" }
Rows.__index = Rows

local function finish(self)
  local give_back = self._give_back
  self._link, self._give_back, self._list, self._at = nil, nil, {}, 0
  if give_back then give_back() end
end

-- Reads until there are rows, or the end. Returns whether it is the end.
local function fetch(self)
  local link, list, slot = self._link, {}, self._slot
  while true do
    local ended, reason = link:raw():take_rows(slot, list, BATCH)
    if ended == nil then
      link:close(reason)
      link:raw()
    end
    link:note(slot.err)
    local own = slot.err and not errors.is_error(slot.err, "postgres") -- a value could not be made
    if own and not list[1] and not ended then core.rethrow(slot.err) end
    if list[1] or ended then
      self._list, self._at = list, 0
      return ended
    end
    link:wait_for_data()
  end
end

local function fetch_next(self)
  if self._ended then return finish(self) end
  local ok, ended, place = errors.try(fetch, self)
  if not ok then
    self:close()
    core.rethrow(ended, place)
  end
  self._ended = ended
  if not ended then return end
  if self._slot.err then self._failure = self._slot.err end
  if not self._list[1] then finish(self) end
end

---The next row; nil at the end. Suspends.
---@return table? row
function Rows:__call()
  local at = self._at + 1
  local row = self._list[at]
  while not row do
    if self._failure then
      local err = self._failure
      self._failure = nil
      finish(self)
      core.rethrow(err)
    end
    if not self._link then return nil end
    fetch_next(self)
    at = 1
    row = self._list[1]
  end
  self._at = at
  return row
end

-- Drops what comes. Returns whether that was all.
local function drop(self, seconds)
  local link, slot = self._link, self._slot
  slot.err = slot.err or true
  local deadline = seconds and core.now() + seconds
  while not link.closed do
    local ended, reason = link:raw():take_rows(slot, {}, BATCH)
    if ended then return true end
    if ended == nil then return link:close(reason) end
    local left = deadline and deadline - core.now()
    if not left or left <= 0 then return false end
    if link:wait("r", left) and not link.closed then link:raw():consume() end
  end
  return true
end

---Ends it. The server is told to stop if there are more rows. Suspends.
function Rows:close()
  local link = self._link
  self._list, self._at = {}, 0
  if not link then return end
  if not self._ended and not link.closed then link:cancel(function(seconds) return drop(self, seconds) end) end
  finish(self)
end

function Rows:__close() self:close() end

-- It was left. A finalizer cannot wait, so the connection is closed.
function Rows:__gc()
  if self._link then self._link:close("an iterator over rows was left without its end") end
  pcall(finish, self)
end

---Begins. The statement was sent alone.
---@param link braid.postgres.Link
---@param slot table
---@param give_back fun() called at the end
---@return braid.postgres.Rows
function M.new(link, slot, give_back)
  return setmetatable({ _link = link, _slot = slot, _give_back = give_back, _list = {}, _at = 0 }, Rows)
end

return M
