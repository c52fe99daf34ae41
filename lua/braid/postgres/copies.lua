-- SPDX-License-Identifier: MIT
-- COPY in both directions.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local function drop(link, slot, seconds)
  local deadline = seconds and core.now() + seconds
  while not link.closed do
    local conn = link:raw()
    if slot.copy == "out" then
      repeat until not conn:get()
    elseif slot.copy == "in" then
      conn:put_end("cancelled")
      conn:flush()
    end
    slot.copy = nil
    local ended, reason = conn:take(slot)
    if ended == nil then return link:close(reason) end
    if ended and not slot.copy then return true end
    local left = deadline and deadline - core.now()
    if not left or left <= 0 then return false end
    if link:wait("r", left) and not link.closed then conn:consume() end
  end
  return true
end

---Ends on the server what was sent outside of the pipeline.
function M.cancel(link, slot)
  link:cancel(function(seconds) return drop(link, slot, seconds) end)
end

---A copy stands where none was expected: in a script.
function M.refuse(link, slot)
  M.cancel(link, slot)
  errors.misuse(2, "a COPY from or to this side has methods of its own: copy_in and copy_out")
end

-- ---- to the server --------------------------------------------------------------------------------------------------

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- A row of the text format.
local function row_text(row)
  local texts = {}
  for i = 1, math.max(#row, math.tointeger(row.n) or 0) do
    local value = row[i]
    if value == nil or value == core.null then
      texts[i] = "\\N"
    elseif type(value) == "boolean" then
      texts[i] = value and "t" or "f"
    elseif type(value) == "string" or type(value) == "number" then
      texts[i] = tostring(value):gsub("[\\\n\r\t]", ESCAPES)
    else
      error(errors.new("misuse", ("copy_in: a field of a row is a %s"):format(type(value))), 0)
    end
  end
  return table.concat(texts, "\t") .. "\n"
end

local PIECE = 1 << 20 -- bytes that libpq gets at once

local function put_piece(link, piece)
  for from = 1, #piece, PIECE do
    local part = #piece <= PIECE and piece or piece:sub(from, from + PIECE - 1)
    repeat
      local done, reason = link:raw():put(part)
      if done == nil then link:close(reason) end
      if not done then link:flush() end
    until done
  end
  link:flush()
end

local function put_from(link, source)
  if type(source) == "string" then return put_piece(link, source) end
  for piece in source do
    if type(piece) == "table" then piece = row_text(piece) end
    if type(piece) ~= "string" then
      local text = "copy_in: the source returned a %s, and not a string or a list"
      error(errors.new("misuse", text:format(type(piece))), 0)
    end
    put_piece(link, piece)
  end
end

---Copies all that the source gives. The slot has the outcome. Raises errors of the source; then the server drops the
---copy. Suspends.
function M.put(link, slot, source)
  if slot.copy ~= "in" then
    if slot.copy then M.cancel(link, slot) end
    errors.misuse(2, "copy_in: the statement is no COPY ... FROM STDIN")
  end
  local ok, err, place = errors.try(link.keep_for_me, link, put_from, link, source)
  if not ok then
    if not link.closed then M.cancel(link, slot) end
    core.rethrow(err, place)
  end
  slot.copy = nil
  link:raw():put_end()
  link:flush()
  local well, failure, where = errors.try(link.finish, link, slot)
  if well then return end
  if errors.is_echo(failure) then M.cancel(link, slot) end
  core.rethrow(failure, where)
end

-- ---- from the server ------------------------------------------------------------------------------------------------

---Rows of a copy: an iterator of texts, each with its newline. It holds its connection until its end, or `close`.
---@class braid.postgres.CopyOut
---@field private _link braid.postgres.Link?
local CopyOut = { __name = "braid.postgres.copy_out" }
CopyOut.__index = CopyOut

-- Back into the pipeline mode.
local function finish(self)
  local link, give_back = self._link, self._give_back
  self._link, self._give_back = nil, nil
  if link and not link.closed then
    local ok, reason = link:raw():pipeline(true)
    if not ok then link:close(reason) end
  end
  if give_back then give_back() end
end

local function next_piece(link, slot)
  while true do
    local conn = link:raw()
    local piece, reason = conn:get()
    if piece then return piece end
    if piece == nil then
      slot.copy = nil
      link:finish(slot)
      if reason and not slot.err then core.rethrow(errors.new("postgres", reason)) end
      if slot.err then core.rethrow(slot.err) end
      return nil
    end
    link:wait_for_data()
  end
end

---The next row; nil at the end. Suspends.
---@return string? text
function CopyOut:__call()
  if not self._link then return nil end
  local ok, piece, place = errors.try(next_piece, self._link, self._slot)
  if ok and piece then return piece end
  if ok or not self._slot.copy then
    finish(self)
  else
    self:close()
  end
  if not ok then core.rethrow(piece, place) end
end

---Ends it. The server is told to stop if there is more. Suspends.
function CopyOut:close()
  if not self._link then return end
  if not self._link.closed then M.cancel(self._link, self._slot) end
  finish(self)
end

function CopyOut:__close() self:close() end

-- It was left. A finalizer cannot wait, so the connection is closed.
function CopyOut:__gc()
  if self._link then self._link:close("an iterator over a copy was left without its end") end
  pcall(finish, self)
end

---Begins a copy. Suspends.
---@param link braid.postgres.Link
---@param sql string
---@param run fun(conn, link, sql): table
---@param give_back fun() called at the end
---@return braid.postgres.CopyOut
function M.out(link, sql, run, give_back)
  link:drain()
  link:raw():pipeline(false)
  local ok, slot, place = errors.try(run, link:raw(), link, sql)
  if ok and slot.copy == "out" then
    return setmetatable({ _link = link, _slot = slot, _give_back = give_back }, CopyOut)
  end
  local refusal = ok and slot.err
  if ok and slot.copy then M.cancel(link, slot) end
  if not link.closed then link:raw():pipeline(true) end
  if not ok then core.rethrow(slot, place) end
  if refusal then core.rethrow(refusal) end
  errors.misuse(2, "copy_out: the statement is no COPY ... TO STDOUT")
end

return M
