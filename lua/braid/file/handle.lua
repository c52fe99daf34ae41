-- SPDX-License-Identifier: MIT
-- Open files. Regular files are read and written by the core's threads, at offsets that are kept here: so a call that
-- is cancelled has not moved the place. FIFOs, sockets and devices are streams.
local core = require "braid.core"
local errors = require "braid.errors"
local numeral = require "braid.file.numeral"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"

local find, sub = string.find, string.sub

local M = {}

local CHUNK = 65536 -- bytes that are read ahead
local PIECE = 1 << 20 -- bytes of one read of much data
local REST = { least = 1e-6, first = 0.001, most = 0.05 } -- seconds between two tries to get a lock, or a FIFO's reader

---An open file. It is read and written like a file of `io`, but waiting suspends the task. It is closed by `<close>`,
---and when it is collected.
---@class braid.File
---@field path string
---@field private _handle userdata? nil: it is a stream, or closed
---@field private _stream braid.Stream? of a file that is not regular
---@field private _fifo boolean? nothing was read from this FIFO yet
---@field private _turn braid.Lock so that calls of several tasks are not mixed
---@field private _busy boolean? a call holds the turn, or has ended by an error
---@field private _append boolean
---@field private _buffer string bytes that were read ahead
---@field private _base integer offset of the buffer in the file
---@field private _next integer index in the buffer of the next byte
---@field private _temporary boolean? it is removed when it is closed
local File = { __name = "braid.file" }
File.__index = File

-- Makes a file of a handle of the core. `letter`: its kind.
function M.new(path, mode, handle, letter)
  local self = {
    path = path, _handle = handle, _turn = core.lock_new(), _append = mode:sub(1, 1) == "a", _buffer = "", _base = 0,
    _next = 1,
  }
  if letter ~= "f" and letter ~= "d" and letter ~= "b" then
    self._stream, self._handle = stream.new(handle:descriptor()), nil
    self._fifo = letter == "p" and mode:sub(1, 1) == "r"
  end
  return setmetatable(self, File)
end

---Raises the cancel that has cut a call short, with what it has left.
---@param count integer what was done before
function M.raise_cut(count)
  local err, place = select(2, errors.try(core.checkpoint))
  if not errors.is_error(err) then err = errors.new("cancelled", "cancelled in the middle of a file") end
  err.written = count
  core.rethrow(err, place)
end

-- The results of a call of the core that may have been cut short.
local function settled(result, err, count)
  if result ~= nil then return result end
  if err == "cut" then M.raise_cut(count) end
  if count and count > 0 then err.written = count end
  return nil, err
end

M.settled = settled

local function closed(what) return nil, errors.new("closed", ("file:%s: it is closed"):format(what)) end

-- ---- reading --------------------------------------------------------------------------------------------------------

local function move(self, base, buffer, next)
  self._base, self._buffer, self._next = base, buffer, next
end

local function place_of(self) return self._base + self._next - 1 end

local function fetch(self, offset, size) return self._handle:read(offset, size) end

local function read_line(self, ending)
  local base, buffer, next, parts = self._base, self._buffer, self._next, nil
  while true do
    local last = find(buffer, "\n", next, true)
    if last then
      local text = sub(buffer, next, ending and last or last - 1)
      move(self, base, buffer, last + 1)
      if not parts then return text end
      parts[#parts + 1] = text
      return table.concat(parts)
    end
    if next <= #buffer then
      parts = parts or {}
      parts[#parts + 1] = sub(buffer, next)
    end
    base = base + #buffer
    local piece, err = fetch(self, base, CHUNK)
    if not piece then return nil, err end
    buffer, next = piece, 1
    if piece == "" then
      move(self, base, "", 1)
      return parts and table.concat(parts)
    end
  end
end

local function read_bytes(self, count)
  local there = #self._buffer - self._next + 1
  if count > 0 and there >= count then
    local text = sub(self._buffer, self._next, self._next + count - 1)
    self._next = self._next + count
    return text
  end
  local parts, have = { sub(self._buffer, self._next) }, there
  local base = self._base + #self._buffer
  while have < count or there == 0 and have == 0 do
    local wanted = count - have
    local piece, err = fetch(self, base, wanted < CHUNK and CHUNK or wanted < PIECE and wanted or PIECE)
    if not piece then return nil, err end
    if piece == "" then break end
    if #piece > wanted then -- the rest stays for the next read
      parts[#parts + 1] = sub(piece, 1, wanted)
      move(self, base, piece, wanted + 1)
      return table.concat(parts)
    end
    parts[#parts + 1], have, base = piece, have + #piece, base + #piece
  end
  if count == 0 then return there > 0 and "" or nil end
  move(self, base, "", 1)
  return have > 0 and table.concat(parts) or nil
end

local function read_all(self)
  local parts, base = { sub(self._buffer, self._next) }, self._base + #self._buffer
  while true do
    local piece, err = fetch(self, base, PIECE)
    if not piece then return nil, err end
    if piece == "" then break end
    parts[#parts + 1], base = piece, base + #piece
  end
  move(self, base, "", 1)
  return table.concat(parts)
end

-- The two functions through which a numeral is read.
local function bytes_of(self)
  local source = self._stream
  local function check(text, err)
    if err then error(err, 0) end
    return text
  end
  if source then return function() return check(source:peek(1)) end, function() source:read(1) end end
  return function()
    if self._next > #self._buffer then
      local base = self._base + #self._buffer
      move(self, base, check(fetch(self, base, CHUNK)), 1)
    end
    local byte = sub(self._buffer, self._next, self._next)
    return byte ~= "" and byte or nil
  end, function() self._next = self._next + 1 end
end

local function read_number(self)
  local ok, number, place = errors.try(numeral.read, bytes_of(self))
  if ok then return number end
  if errors.is_error(number, "system") or errors.is_error(number, "closed") then return nil, number end
  core.rethrow(number, place)
end

-- A FIFO is at its end for as long as nobody has opened it for writing; io waits for that when it opens it.
local function read_stream(self, what)
  if self._fifo then
    core.wait_fd(self._stream.fd, "r")
    self._fifo = false
  end
  return self._stream:read(what)
end

local function read_one(self, what)
  if what == "n" then return read_number(self) end
  if self._stream then return read_stream(self, what) end
  if what == "l" or what == "L" then return read_line(self, what == "L") end
  if what == "a" then return read_all(self) end
  return read_bytes(self, what)
end

local FORMATS = { n = true, l = true, L = true, a = true }

-- Checks a format; io also allows a star before the letter.
local function format_of(what, name)
  if type(what) == "string" then
    local letter = what:match "^%*?(%a)"
    if FORMATS[letter] then return letter end
  end
  local count = type(what) == "number" and math.tointeger(what)
  if count and count >= 0 then return count end
  errors.misuse(2, "bad argument 'format' to '%s' (\"n\", \"l\", \"L\", \"a\" or a number of bytes expected, got %s)",
    name, type(what) == "string" and ("%q"):format(what) or errors.described(what))
end

local function formats_of(name, ...)
  local formats = { ... }
  for i = 1, select("#", ...) do formats[i] = format_of(formats[i], name) end
  if not formats[1] then formats[1] = "l" end
  return formats
end

local function is_closed(self) return not self._handle and not (self._stream and self._stream.fd) end

local function read_many(self, formats)
  local results = {}
  for i, what in ipairs(formats) do
    local value, err = read_one(self, what)
    if err then return nil, err end
    results[i] = value
    if value == nil then return table.unpack(results, 1, i) end
  end
  return table.unpack(results, 1, #formats)
end

-- Takes the turn. While `_busy` is not set, what is in the buffer can be read without it.
local function begin(self)
  local turn = self._turn:hold()
  self._busy = true
  return turn
end

local function finish(self, ...)
  self._busy = false
  return ...
end

-- The most frequent case: a line that is there. nil: all others.
local function take_line(self, what, more)
  if more ~= nil or self._busy or what ~= nil and what ~= "l" then return nil end
  local first = self._next
  local last = find(self._buffer, "\n", first, true)
  if not last then return nil end
  self._next = last + 1
  return sub(self._buffer, first, last - 1)
end

---Reads like Lua's `file:read`: "n" a number, "l" (default) and "L" a line without or with its newline, "a" all that is
---left, or so many bytes. Suspends. A read that is cancelled has read nothing.
---@param ... "n"|"l"|"L"|"a"|integer
---@return any ... one value for each format; nil, and no more, where the file has ended
---@return braid.Error? err kinds: system, closed
function File:read(...)
  local line = take_line(self, ...)
  if line then return line end
  local formats = formats_of("read", ...)
  if is_closed(self) then return closed "read" end
  local turn <close> = begin(self) -- luacheck: ignore 211
  if not formats[2] then return finish(self, read_one(self, formats[1])) end
  return finish(self, read_many(self, formats))
end

---An iterator that reads with these formats at each step, up to the end. It raises errors. Each step suspends.
---@param ... "n"|"l"|"L"|"a"|integer
---@return fun(): any...
function File:lines(...)
  local formats = formats_of("lines", ...)
  local function check(value, err, ...)
    if value == nil and err then error(err, 0) end
    return value, err, ...
  end
  if formats[2] then return function() return check(self:read(table.unpack(formats))) end end
  local what = formats[1]
  return function() return check(self:read(what)) end
end

-- ---- writing --------------------------------------------------------------------------------------------------------

local function text_of(...)
  local parts = { ... }
  for i = 1, select("#", ...) do
    local part = parts[i]
    if math.type(part) == "float" then
      parts[i] = ("%.14g"):format(part)
    elseif type(part) ~= "string" and type(part) ~= "number" then
      errors.misuse(2, "bad argument #%d to 'write' (a string or a number expected, got %s)", i,
        errors.described(part))
    end
  end
  return parts[2] == nil and tostring(parts[1] or "") or table.concat(parts)
end

-- The next call begins behind what was written.
local function write_at(self, data)
  local from = place_of(self)
  local count, err, before = self._handle:write(from, data)
  local done = count or before or 0
  if self._append then
    move(self, self._handle:stat().size, "", 1)
  else
    move(self, from + done, "", 1)
  end
  return settled(count, err, before)
end

---Writes all of it: when it returns, the system has the data, and everybody can read it. Suspends. A timeout or a
---cancel may end it in the middle; then `err.written` tells how many bytes were written, and the next write goes on
---there.
---@param ... string|number
---@return braid.File? file itself
---@return braid.Error? err kinds: system, closed
function File:write(...)
  local data = text_of(...)
  if is_closed(self) then return closed "write" end
  local turn <close> = begin(self) -- luacheck: ignore 211
  local done, err = true, nil
  if self._stream then
    done, err = self._stream:write(data)
  elseif data ~= "" then
    done, err = write_at(self, data)
  end
  finish(self)
  if not done then return nil, err end
  return self
end

---There is nothing to flush, because `write` keeps nothing back.
---@return braid.File file itself
function File:flush() return self end

---Brings what was written to the disk, so that a crash of the machine cannot lose it. Suspends.
---@return true? synced
---@return braid.Error? err kinds: system, closed
function File:sync()
  if is_closed(self) then return closed "sync" end
  if self._stream then return true end
  return settled(self._handle:sync())
end

---Makes the file so long: cuts it, or adds zero bytes. Suspends.
---@param size integer? default: up to the place of the next read or write
---@return true? done
---@return braid.Error? err kinds: system, closed
function File:truncate(size)
  if size ~= nil then size = errors.integer(1, "truncate", "size", size, 0) end
  if is_closed(self) then return closed "truncate" end
  if self._stream then return nil, errors.new("system", "file:truncate: this is no regular file") end
  local turn <close> = begin(self) -- luacheck: ignore 211
  local place = place_of(self)
  move(self, place, "", 1)
  return finish(self, settled(self._handle:truncate(size or place)))
end

local WHENCE = { set = true, cur = true, ["end"] = true }

---Moves the place of the next read or write, and returns it. Suspends if it counts from the end.
---@param whence "set"|"cur"|"end"|nil from where; default "cur"
---@param offset integer? bytes; default 0
---@return integer? place bytes from the beginning
---@return braid.Error? err kinds: system, closed
function File:seek(whence, offset)
  whence = whence or "cur"
  if not WHENCE[whence] then
    errors.misuse(1, "bad argument 'whence' to 'seek' (\"set\", \"cur\" or \"end\" expected, got %s)",
      errors.described(whence))
  end
  offset = offset ~= nil and errors.integer(1, "seek", "offset", offset, math.mininteger) or 0
  if is_closed(self) then return closed "seek" end
  if self._stream then return nil, errors.new("system", "file:seek: this file has no places") end
  local turn <close> = begin(self) -- luacheck: ignore 211
  local from = whence == "cur" and place_of(self) or 0
  if whence == "end" then
    local facts, err = self._handle:stat()
    if not facts then return nil, err end
    from = facts.size
  end
  local place = from + offset
  if place < 0 then return nil, errors.new("system", "file:seek: the place would be before the beginning") end
  move(self, place, "", 1)
  return finish(self, place)
end

-- ---- locks, the end -------------------------------------------------------------------------------------------------

---Calls `try` until it returns something else than false; nil, and the error, when the deadline has passed. Suspends.
---@param what string the function, for the error
---@param deadline number?
---@param try fun(): any, braid.Error?
---@return any result
---@return braid.Error? err
function M.wait_for(what, deadline, try)
  local rest = REST.first
  while true do
    local done, err = try()
    if done ~= false then return done, err end
    local left = deadline and deadline - core.now()
    if left and left < REST.least then return nil, errors.new("timeout", what .. ": timed out") end
    core.sleep(left and left < rest and left or rest)
    rest = math.min(rest * 2, REST.most)
  end
end

---Locks the file for this handle, as flock(1) does: "shared" with others that only read it, or "exclusive". Whoever
---opened the file again has a lock of his own, also in this program. Closing unlocks. Suspends.
---@param kind "shared"|"exclusive"
---@param timeout number? seconds
---@return true? locked
---@return braid.Error? err kinds: timeout, system, closed
function File:lock(kind, timeout)
  if kind ~= "shared" and kind ~= "exclusive" then
    errors.misuse(1, "bad argument 'kind' to 'lock' (\"shared\" or \"exclusive\" expected, got %s)",
      type(kind) == "string" and ("%q"):format(kind) or errors.described(kind))
  end
  local deadline = errors.deadline(1, "lock", timeout)
  return M.wait_for("file:lock", deadline, function()
    if not self._handle then return closed "lock" end
    local done, err = settled(self._handle:lock(kind))
    if done or err.code ~= core.EAGAIN then return done, err end
    return false
  end)
end

---Gives the lock back. Suspends.
---@return true? unlocked
---@return braid.Error? err kinds: system, closed
function File:unlock()
  if not self._handle then return closed "unlock" end
  return settled(self._handle:lock "none")
end

local function remove_temporary(self)
  if not self._temporary then return end
  self._temporary = nil
  scope.shield(core.file_remove, self.path)
end

---Closes it, also where the task is cancelled. Does nothing if it is closed. Suspends.
---@return true? closed
---@return braid.Error? err kind system: what was written may be lost
function File:close()
  local handle, ok, err = self._handle, true, nil
  self._handle, self._buffer = nil, ""
  if self._stream then self._stream:close() end
  if handle then ok, err = settled(handle:close()) end
  remove_temporary(self)
  return ok, err
end

function File:__close() self:close() end

function File:__tostring() return ("braid.file (%s)"):format(is_closed(self) and "closed" or self.path) end

function File:__braid_pack()
  core.rethrow(errors.new("not_sendable", ("an open file cannot be sent (%s): send its path"):format(self.path)))
end

errors.guard(File)

return M
