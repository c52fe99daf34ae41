-- SPDX-License-Identifier: MIT
-- Rows that come in pieces.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local BATCH, CURSOR, STOP = 128, 4, 8

---An iterator over rows. It holds its connection until its end, or `close`.
---@class braid.sqlite.Rows
---@field columns string[]
---@field private _connection userdata?
---@field private _cursor userdata?
---@field private _list table[]
---@field private _at integer
local Rows = { __name = "braid.sqlite.rows" }
Rows.__index = Rows

local function finish(self)
  local give_back = self._give_back
  self._connection, self._cursor, self._give_back = nil, nil, nil
  if give_back then give_back() end
end

local function fetch(self)
  local list, more = self._connection:fetch(self._cursor, 0, BATCH, self._shape)
  if not list then
    finish(self)
    core.rethrow(more)
  end
  self._list, self._at = list, 0
  if not more then self._cursor = nil end
end

---The next row; nil at the end. Suspends.
---@return table? row
function Rows:__call()
  local at = self._at + 1
  local row = self._list[at]
  if row == nil then
    if not self._connection then return nil end
    if not self._cursor then return finish(self) end
    local ok, err, place = errors.try(fetch, self)
    if not ok then
      finish(self)
      core.rethrow(err, place)
    end
    at, row = 1, self._list[1]
    if row == nil then return finish(self) end
  end
  self._at = at
  return row
end

---Ends it.
function Rows:close()
  local cursor, connection = self._cursor, self._connection
  self._list, self._at = {}, 0
  if not connection then return end
  finish(self)
  if cursor then pcall(connection.fetch, connection, cursor, STOP, 1, self._shape) end
end

function Rows:__close() self:close() end

function Rows:__gc() pcall(finish, self) end

---Begins. In the result `failure` is what SQLite refuses; `refused`: the statement is not for a reader.
---@param connection userdata
---@param request table
---@param params any[]
---@param count integer
---@param flags integer
---@param give_back fun() called at the end
---@return braid.sqlite.Rows
function M.new(connection, request, params, count, flags, give_back)
  local list, more = connection:query(request.sql, flags | CURSOR, BATCH, request.shape, table.unpack(params, 1, count))
  if not list then return { failure = more, refused = more == false } end
  return setmetatable({
    columns = list.columns, _connection = connection, _cursor = more, _list = list, _at = 0, _shape = request.shape,
    _give_back = give_back,
  }, Rows)
end

return M
