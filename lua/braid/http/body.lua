-- SPDX-License-Identifier: MIT
-- The body of a request that is made while it is sent: where its pieces come from, and how they are given to the
-- transfer.
local core = require "braid.core"
local errors = require "braid.errors"
local files = require "braid.file"

local M = {}

local PIECE = 65536 -- bytes of one read

---A body in pieces.
---@class braid.http.Body
---@field given any what the caller gave
---@field from string what it is, for messages
---@field size integer? bytes; nil: not known
---@field repeatable boolean whether it can be sent again
---@field private _next fun(): string?, any
---@field private _rewind (fun(): any)? begins anew; returns what is wrong
---@field private _close fun()?
---@field private _begun boolean?
local Body = { __name = "braid.http.Body" }
Body.__index = Body

local function nothing() end

-- ---- where the pieces come from -------------------------------------------------------------------------------------

local function made(fields) return setmetatable(fields, Body) end

local function is_callable(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(value) == "function" or type(meta) == "table" and meta.__call ~= nil
end

local function method(value, name)
  if type(value) ~= "table" and type(value) ~= "userdata" then return nil end
  local ok, found = pcall(function() return value[name] end)
  return ok and type(found) == "function" and found or nil
end

-- The place in a file, and how much comes after it; nil where it has no places (a pipe), or no length (a device).
local function measure(file)
  local here = file:seek("cur", 0)
  local last = here and file:seek("end", 0)
  if not last then return nil end
  file:seek("set", here)
  if last > here then return here, last - here end
end

local function of_file(file)
  local start, size
  if method(file, "seek") then start, size = measure(file) end
  local some = method(file, "read_some")
  return made {
    given = file, from = "a file", size = size, repeatable = start ~= nil,
    _next = function()
      if some then return some(file, PIECE) end
      return file:read(PIECE)
    end,
    _rewind = function()
      local place, why = file:seek("set", start)
      return not place and (why or "its start cannot be found again") or nil
    end,
  }
end

---Whether a body is made while it is sent.
---@param value any
---@return boolean
function M.is_source(value) return is_callable(value) or method(value, "read") ~= nil end

---A body that comes from a function or iterator, which returns pieces and nil at the end, or from an open file or
---stream.
---@param value any
---@param size integer? bytes, if they are known
---@return braid.http.Body
function M.of(value, size)
  if io.type(value) == "closed file" then errors.misuse(1, "bad option 'body' (the file is closed)") end
  local body
  if is_callable(value) then
    body = made { given = value, from = "a function", repeatable = false, _next = value }
  else
    body = of_file(value)
  end
  body.size = size or body.size
  return body
end

---A string as a body.
---@param text string
---@return braid.http.Body
function M.of_text(text)
  local rest
  return made {
    given = text, from = "a string", size = #text, repeatable = true,
    _next = function()
      local piece = rest == nil and text or nil
      rest = ""
      return piece
    end,
    _rewind = function() rest = nil end,
  }
end

---The file of that name, which is opened when its turn comes. Suspends.
---@param path string
---@return braid.http.Body? body nil: it cannot be read
function M.of_path(path)
  local facts = files.stat(path)
  local open = facts and facts.kind == "file" and files.open(path) -- opening a FIFO may wait for ever
  if not open then return nil end
  local size = open:seek("end")
  open:close()
  open = nil
  local function close()
    if open then open:close() end
    open = nil
  end
  return made {
    given = path, from = "a file", size = size, repeatable = true,
    _next = function()
      local why
      if not open then
        open, why = files.open(path)
        if not open then return nil, why end
      end
      return open:read(PIECE)
    end,
    _rewind = close, _close = close,
  }
end

---Several bodies, one after the other.
---@param list braid.http.Body[]
---@return braid.http.Body
function M.sequence(list)
  local size, repeatable, at = 0, true, 1
  for _, body in ipairs(list) do
    size = size and body.size and size + body.size
    repeatable = repeatable and body.repeatable
  end
  local function next_piece()
    while list[at] do
      local piece, why = list[at]._next()
      if piece ~= nil or why ~= nil then return piece, why end
      at = at + 1
    end
  end
  local function rewind()
    at = 1
    for _, body in ipairs(list) do
      local why = body._rewind()
      if why then return why end
    end
  end
  local function close()
    for _, body in ipairs(list) do (body._close or nothing)() end
  end
  return made {
    given = list, from = "parts", size = size or nil, repeatable = repeatable, _next = next_piece, _rewind = rewind,
    _close = close,
  }
end

-- ---- sending --------------------------------------------------------------------------------------------------------

local function failed(why) return errors.is_error(why) and why or errors.new("system", tostring(why)) end

-- Gives all pieces to the transfer. Returns what the source said is wrong, or nil and how it was misused.
local function give_all(self, transfer)
  local given = 0
  while true do
    local piece, why = self._next()
    if piece == nil then
      if why ~= nil then return failed(why) end
      break
    end
    if type(piece) ~= "string" then
      return nil, ("%s gave a %s; pieces are strings, and nil is the end"):format(self.from, type(piece))
    end
    given = given + #piece
    if self.size and given > self.size then
      return nil, ("%s gave more than the %d bytes that were announced"):format(self.from, self.size)
    end
    if piece ~= "" and not transfer:give(piece) then return nil end
  end
  if self.size and given < self.size then
    return nil, ("%s gave %d of the %d bytes that were announced"):format(self.from, given, self.size)
  end
  transfer:give(nil)
end

---What sends a body, in a task of its own. A `<close>` variable ends it.
---@class braid.http.Sender
---@field private _task braid.Task
---@field private _body braid.http.Body
---@field private _raised boolean?
---@field private _err any what the source said is wrong, or raised
---@field private _place any where it was raised; nil: it was not raised
---@field private _misuse string? what is wrong with the source
local Sender = {}
Sender.__index = Sender

function Sender:__close()
  self._task:cancel()
  if self._body._close then self._body._close() end
end

---Raises what the source has raised, and misuse.
---@return braid.Error? err what it has said is wrong
function Sender:problem()
  if self._misuse then errors.misuse(1, "bad option 'body' (%s)", self._misuse) end
  if self._raised then core.rethrow(self._err, self._place) end
  return self._err
end

---Prepares the body; a second time it begins anew.
---@return any problem nil: it is ready
function Body:begin()
  if not self._begun then
    self._begun = true
    return nil
  end
  local why = not self.repeatable and "it cannot be sent again" or self._rewind()
  return why and failed(("the body: %s"):format(why)) or nil
end

---Begins to give the body to the transfer.
---@param transfer userdata
---@return braid.http.Sender
function Body:send(transfer)
  local sender = setmetatable({ _body = self }, Sender)
  sender._task = core.spawn(function()
    local ok, err, more = errors.try(give_all, self, transfer)
    sender._raised, sender._err = not ok, err
    sender._place, sender._misuse = not ok and more or nil, ok and more or nil
    if not ok or err ~= nil or more then transfer:close() end
  end)
  sender._task:daemon()
  return sender
end

return M
