-- SPDX-License-Identifier: MIT
-- Entries of streams, in order, alone or as a consumer of a group. A lost connection loses none: reading goes on behind
-- the last entry.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2 -- seconds before it asks again when the connection was lost
local BLOCK = 5000 -- ms that one question waits at the server

---@class braid.redis.Entry
---@field stream string
---@field id string
---@field fields table<string, string>
---@field list string[] the fields as they were added: name, value, name, value ...

---Entries of streams: an iterator. It is closed by `<close>`. `for entry in reader do`.
---@class braid.redis.StreamReader
---@field private _client braid.redis.Client
---@field private _keys string[]
---@field private _last table<string, string> for each stream the id behind which reading goes on
---@field private _entries braid.redis.Entry[] that were read ahead
---@field private _at integer
---@field private _group string?
---@field private _given braid.redis.Entry? what the loop has now, to be acknowledged with `ack`
local StreamReader = { __name = "braid.redis.stream_reader" }
StreamReader.__index = StreamReader

local function entry_of(stream, pair)
  local list = type(pair[2]) == "table" and pair[2] or {} -- a pending entry that was deleted has none
  local fields = {}
  for at = 1, #list - 1, 2 do fields[list[at]] = list[at + 1] end
  return { stream = stream, id = pair[1], fields = fields, list = list }
end

-- The reply has pairs of a stream and its entries (RESP2), or is a map (RESP3).
local function each_stream(reply, take)
  if type(reply[1]) == "table" then
    for _, pair in ipairs(reply) do take(pair[1], pair[2]) end
  else
    for stream, entries in pairs(reply) do take(stream, entries) end
  end
end

-- Puts the entries of a reply in the list. Returns whether there were any.
local function take_reply(self, reply)
  local entries = {}
  each_stream(reply, function(stream, list)
    for _, pair in ipairs(list) do entries[#entries + 1] = entry_of(stream, pair) end
    if #list > 0 and self._last[stream] ~= ">" then self._last[stream] = list[#list][1] end
    if self._group and #list == 0 then self._last[stream] = ">" end -- all that was pending was read
  end)
  self._entries, self._at = entries, 0
  return #entries > 0
end

local function words_of(self)
  local words = self._group and { "XREADGROUP", "GROUP", self._group, self._consumer } or { "XREAD" }
  for _, word in ipairs { "COUNT", self._count, "BLOCK", BLOCK, "STREAMS", table.unpack(self._keys) } do
    words[#words + 1] = word
  end
  for _, key in ipairs(self._keys) do words[#words + 1] = self._last[key] end
  return words
end

-- Asks until there is a reply. A lost connection is made again; what the server refuses is raised, but for one that
-- loads its data.
local function ask(self)
  local pause = FIRST_PAUSE
  while true do
    local ok, reply, place = errors.try(self._client.call, self._client, table.unpack(words_of(self)))
    if ok then return reply end
    local lost = errors.is_error(reply, "closed") or errors.is_error(reply, "system")
    local loading = errors.is_error(reply, "redis") and reply.code == "LOADING"
    if self._client._closed or not (lost or loading) then core.rethrow(reply, place) end
    core.sleep(pause)
    pause = math.min(2 * pause, LONGEST_PAUSE)
  end
end

---The next entry. Suspends. While it waits, no other task may. With the option `ack` the entry before is acknowledged
---first.
---@return braid.redis.Entry? entry nil after `close`
function StreamReader:__call()
  if self._closed then return nil end
  if self._ack and self._given then self:ack(self._given) end
  self._given = nil
  while not self._closed do
    self._at = self._at + 1
    local entry = self._entries[self._at]
    if entry then
      self._given = entry
      return entry
    end
    local reply = ask(self)
    if reply then take_reply(self, reply) end
  end
end

---Tells the group that an entry is done. Suspends.
---@param entry braid.redis.Entry
function StreamReader:ack(entry)
  if not self._group then errors.misuse(1, "bad call of 'ack' (the stream is read without a group)") end
  self._client:call("XACK", entry.stream, self._group, entry.id)
  if self._given == entry then self._given = nil end
end

---Ends it. What was given last is not acknowledged. A task that waits for an entry gets it, or nil within 5 s.
function StreamReader:close() self._closed = true end

StreamReader.__close = StreamReader.close

local function make_groups(client, keys, group)
  for _, key in ipairs(keys) do
    local ok, err, place = errors.try(client.call, client, "XGROUP", "CREATE", key, group, "0", "MKSTREAM")
    if not ok and not (errors.is_error(err, "redis") and err.code == "BUSYGROUP") then core.rethrow(err, place) end
  end
end

---Makes a reader. Suspends if a group is to be made, or the last entries are to be found.
---@param client braid.redis.Client
---@param keys string[]
---@param opts table checked ones
---@return braid.redis.StreamReader
function M.new(client, keys, opts)
  local self = setmetatable({
    _client = client, _keys = keys, _last = {}, _entries = {}, _at = 0, _group = opts.group,
    _consumer = opts.consumer or "braid", _count = opts.count or 100, _ack = opts.ack,
  }, StreamReader)
  if opts.group and opts.create then make_groups(client, keys, opts.group) end
  for _, key in ipairs(keys) do
    local from = opts.from or opts.group and "0" or "$"
    if from == "$" then -- a number, so that nothing is lost between two questions
      local newest = client:call("XREVRANGE", key, "+", "-", "COUNT", 1)
      from = newest and newest[1] and newest[1][1] or "0-0"
    end
    self._last[key] = from
  end
  return self
end

errors.guard(StreamReader)

return M
