-- SPDX-License-Identifier: MIT
-- Streams: bytes from and to a descriptor. They are read and written like Lua's files, but waiting suspends the task.
local core = require "braid.core"
local errors = require "braid.errors"

local find, sub = string.find, string.sub

local M = {}

local PIECE = 65536 -- bytes of one read

---One or both directions of a pipe or a socket. It is closed by `<close>`, and when it is collected.
---@class braid.Stream
---@field fd integer? the descriptor; nil after close
---@field private _descriptor userdata
---@field private _turn userdata a lock, so that writes are not mixed
---@field private _buffer string bytes that were read from the descriptor
---@field private _at integer index in _buffer of the first byte that was not returned yet
---@field private _pieces string[] bytes after those in _buffer
---@field private _cut boolean? a write has ended in the middle of its data
---@field private _most number the longest line
local Stream = { __name = "braid.stream", _most = math.huge }
Stream.__index = Stream

M.Stream = Stream -- for derived classes

-- Makes a stream that owns a descriptor of the core, or an object with the same methods. For braid's own modules.
function M.new(descriptor, class)
  return setmetatable({
    fd = descriptor:fd(), _descriptor = descriptor, _turn = core.lock_new(), _buffer = "", _at = 1, _pieces = {},
  }, class or Stream)
end

-- Takes the descriptor out of a stream that nobody uses any more, and the bytes that were read and not returned. For
-- braid's own modules.
function M.release(stream)
  return stream._descriptor, table.concat({ sub(stream._buffer, stream._at), table.unpack(stream._pieces) })
end

-- ---- reading --------------------------------------------------------------------------------------------------------

-- The bytes are stored in the stream at once: they stay there if the task is cancelled.
local function fetch(self, deadline)
  local piece, err = self._descriptor:read(PIECE, errors.time_left(deadline))
  if piece then self._pieces[#self._pieces + 1] = piece end
  return piece, err
end

-- For reads of unknown length: the deadline also counts if the source always has data, so that no read waits.
local function fetch_more(self, deadline)
  if deadline and core.now() >= deadline then return nil, errors.new("timeout", "stream:read: timed out") end
  return fetch(self, deadline)
end

-- Joins all pieces into one string.
local function merge(self)
  local pieces = self._pieces
  if not pieces[1] then return end
  local rest = sub(self._buffer, self._at)
  if rest == "" and not pieces[2] then
    self._buffer = pieces[1]
  else
    self._buffer = rest .. table.concat(pieces)
  end
  self._at, self._pieces = 1, {}
end

-- Returns what is there, up to `most` bytes; nil if there is nothing.
local function take(self, most)
  merge(self)
  local at = self._at
  if at > #self._buffer then return nil end
  local last = most < #self._buffer - at + 1 and at + most - 1 or #self._buffer
  self._at = last + 1
  return sub(self._buffer, at, last)
end

-- Reads until the buffer has the text, and returns where it ends there. Or nil, and the error; at the end without an
-- error. Not more than `most` bytes may come before the text.
local function find_text(self, text, most, deadline)
  merge(self)
  local first, last = find(self._buffer, text, self._at, true)
  local width, there, get = #text, #self._buffer - self._at + 1, fetch
  local tail = sub(self._buffer, math.max(self._at, #self._buffer - width + 2)) -- the text may begin there
  while not first and there - width < most do
    local piece, err = get(self, deadline)
    if not piece then return nil, err end
    get, there, tail = fetch_more, there + #piece, tail .. piece
    if find(tail, text, 1, true) then
      merge(self)
      first, last = find(self._buffer, text, self._at, true)
    end
    tail = sub(tail, math.max(1, #tail - width + 2))
  end
  if first and first - self._at <= most then return last end
  return nil, errors.new("limit", ("stream:read: more than %d bytes without %q"):format(most, text))
end

local function read_line(self, deadline, ending)
  local last = find(self._buffer, "\n", self._at, true)
  if not last or last - self._at > self._most then
    local err
    last, err = find_text(self, "\n", self._most, deadline)
    if err then return nil, err end
    if not last then return take(self, math.huge) end
  end
  local first = self._at
  self._at = last + 1
  return sub(self._buffer, first, ending and last or last - 1)
end

-- Reads until the buffer has that many bytes, and at least one. Returns how many it has: fewer only at the end.
local function fill(self, count, deadline)
  merge(self)
  local there = #self._buffer - self._at + 1
  while there < count or there == 0 do
    local piece, err = fetch(self, deadline)
    if err then return nil, err end
    if not piece then break end
    there = there + #piece
  end
  return there
end

local function read_bytes(self, deadline, count)
  local there, err = fill(self, count, deadline)
  if not there then return nil, err end
  return count == 0 and there > 0 and "" or take(self, count)
end

local function read_all(self, deadline)
  local piece, err = fetch(self, deadline)
  while piece do piece, err = fetch_more(self, deadline) end
  if err then return nil, err end
  return take(self, math.huge) or ""
end

local function check_reader(self, name)
  if type(self) ~= "table" or not self._descriptor then errors.no_self(2, Stream, name, self) end
  if self._descriptor:reading() then
    errors.misuse(1, "another task is reading from this stream: let one task read and hand on what it gets")
  end
end

---Reads like Lua's `file:read`. Suspends. After a timeout or a cancel, the bytes read so far stay for the next read.
---@param what? integer|"l"|"L"|"a" a number of bytes (fewer only at the end); a line without ("l", the default) or with
--- ("L") its newline; everything up to the end ("a")
---@param timeout? number seconds
---@return string? data nil at the end; but "a" returns "" there
---@return braid.Error? err kinds: timeout, closed, system; limit: the line is longer than the stream's max_line
function Stream:read(what, timeout)
  check_reader(self, "read")
  local deadline = timeout ~= nil and errors.deadline(1, "read", timeout) or nil
  if what == nil or what == "l" or what == "L" then return read_line(self, deadline, what == "L") end
  if what == "a" then return read_all(self, deadline) end
  local count = type(what) == "number" and math.tointeger(what)
  if not count or count < 0 then
    errors.misuse(1, "bad argument 'what' to 'read' (\"l\", \"L\", \"a\" or a number of bytes expected, got %s)",
      type(what) == "string" and ("%q"):format(what) or errors.described(what))
  end
  return read_bytes(self, deadline, count)
end

---Reads what is there; waits only if there is nothing. Suspends.
---@param most? integer bytes; default: no limit
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Stream:read_some(most, timeout)
  check_reader(self, "read_some")
  most = most ~= nil and errors.integer(1, "read_some", "most", most, 1) or math.huge
  local deadline = errors.deadline(1, "read_some", timeout)
  local data = take(self, most)
  if data then return data end
  local piece, err = fetch(self, deadline)
  if not piece then return nil, err end
  return take(self, most)
end

---Reads up to a text, which is returned, too. At the end: the rest without it. What was read stays for the next read if
---this one fails. Suspends.
---@param text string the delimiter
---@param most? integer bytes before the delimiter; default: the stream's max_line
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: limit (the delimiter does not come in time), timeout, closed, system
function Stream:read_until(text, most, timeout)
  check_reader(self, "read_until")
  if type(text) ~= "string" or text == "" then
    errors.misuse(1, "bad argument 'text' to 'read_until' (a text that is not empty expected, got %s)",
      text == "" and "an empty one" or errors.described(text))
  end
  most = most ~= nil and errors.integer(1, "read_until", "max", most, 0) or self._most
  local last, err = find_text(self, text, most, errors.deadline(1, "read_until", timeout))
  if err then return nil, err end
  return take(self, last and last - self._at + 1 or math.huge)
end

---Returns the next bytes, and leaves them to be read. Waits until there are that many. Suspends.
---@param count integer bytes; fewer only at the end
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Stream:peek(count, timeout)
  check_reader(self, "peek")
  count = errors.integer(1, "peek", "count", count, 1)
  local there, err = fill(self, count, errors.deadline(1, "peek", timeout))
  if not there then return nil, err end
  merge(self)
  return there > 0 and sub(self._buffer, self._at, self._at + count - 1) or nil
end

---An iterator over the lines up to the end. It raises the errors that `read` would return. Each step suspends.
---@param what? "l"|"L" without (default) or with their newlines
---@return fun(): string?
function Stream:lines(what)
  if what ~= nil and what ~= "l" and what ~= "L" then
    errors.misuse(1, "bad argument 'what' to 'lines' (\"l\" or \"L\" expected, got %s)",
      type(what) == "string" and ("%q"):format(what) or errors.described(what))
  end
  return function()
    local line, err = self:read(what or "l")
    if err then error(err, 0) end
    return line
  end
end

-- Whether there are bytes that were received and not returned. For derived classes.
function Stream:_has_unread() return self._at <= #self._buffer or self._pieces[1] ~= nil end

-- ---- writing --------------------------------------------------------------------------------------------------------

---Writes all of the data. Suspends while the other side is slow. Writes of several tasks are not mixed. After a write
---that a timeout or a cancel has ended in the middle of its data, all later ones fail with kind "closed".
---@param data string|number
---@param timeout? number seconds
---@return true? written
---@return braid.Error? err kinds: timeout, closed (also by the other side), system; `err.written`: bytes written before
function Stream:write(data, timeout)
  if type(self) ~= "table" or not self._descriptor then errors.no_self(1, Stream, "write", self) end
  if type(data) ~= "string" and type(data) ~= "number" then
    errors.misuse(1, "bad argument 'data' to 'write' (a string expected, got %s)", errors.described(data))
  end
  data = tostring(data)
  local deadline = errors.deadline(1, "write", timeout)
  local turn <close>, err = self._turn:hold(timeout)
  if not turn then return nil, err end
  if self._cut then return nil, errors.new("closed", "stream:write: an earlier write has ended in the middle") end
  local from = 1
  while from <= #data do
    local count, failure = self._descriptor:write(data, from, errors.time_left(deadline))
    if not count then
      failure.written = from - 1
      return nil, failure
    end
    from = from + count
    self._cut = from <= #data -- a cancel may come in the next round
  end
  return true
end

-- ---- the end --------------------------------------------------------------------------------------------------------

---Closes it at once, without waiting. Waits for it end with kind "closed". Does nothing if it is closed.
function Stream:close()
  self._descriptor:close()
  self.fd, self._buffer, self._at, self._pieces = nil, "", 1, {}
end

Stream.__close = Stream.close

---Makes a pipe within this program: what is written to the second stream can be read from the first.
---@return braid.Stream? reader
---@return braid.Stream|braid.Error writer or the error, kind system
function M.pipe()
  local reader, writer = core.pipe()
  if not reader then return nil, writer end
  return M.new(reader), M.new(writer)
end

-- Faster; the others are guarded.
M.SELF_CHECKED = { read = true, read_some = true, read_until = true, peek = true, write = true }
errors.guard(Stream, Stream, M.SELF_CHECKED)

return M
