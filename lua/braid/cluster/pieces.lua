-- SPDX-License-Identifier: MIT
-- Bytes beyond what a message may hold: they are cut into pieces, which a stream keeps. What refers to them has their
-- number, their size and their hash.
local core = require "braid.core"
local errors = require "braid.errors"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"
local scopes = require "braid.tasks.scope"

local pack, unpack = string.pack, string.unpack

local M = {}

local AHEAD = 8 -- pieces under way at once
local MARGIN = 4096 -- bytes of a message beside its content
local REFERENCE = "<s2I4I8c32"

---@class braid.cluster.Pieces
---@field private _link braid.cluster.Link
---@field private _streams braid.cluster.Streams
---@field private _digest fun(bytes: string): string
---@field private _count integer
local Pieces = {}
Pieces.__index = Pieces

---The pieces of one connection. Does not suspend.
---@param nats table the C module
---@param link braid.cluster.Link
---@param streams braid.cluster.Streams
---@return braid.cluster.Pieces
function M.new(nats, link, streams)
  return setmetatable({ _link = link, _streams = streams, _digest = nats.digest, _count = 0 }, Pieces)
end

---Whether the bytes are too many for one message.
---@param size integer
---@return boolean
function Pieces:is_large(size) return size > self._link:max_payload() - MARGIN end

-- Runs fn(i) for 1 to n, several at once, as tasks of a scope.
local function each(n, fn)
  local at = 0
  scopes.scope(function(scope)
    for _ = 1, math.min(AHEAD, n) do
      scope:spawn(function()
        while at < n do
          at = at + 1
          fn(at)
        end
      end)
    end
  end)
end

local function subject_of(self, id, number) return self._streams:subject("pieces", id, tostring(number)) end

---Publishes the bytes. Returns what stands for them. Suspends.
---@param bytes string
---@return string reference
function Pieces:put(bytes)
  self._streams:need("pieces")
  self._count = self._count + 1
  local id, size = ("%s_%d"):format(self._link.id, self._count), self._link:max_payload() - MARGIN
  local count = (#bytes + size - 1) // size
  each(count, function(i)
    local subject = subject_of(self, id, i)
    local ok, err = jetstream.publish(self._link, subject, bytes:sub((i - 1) * size + 1, i * size), {
      id = subject, missing = function() self._streams:renew("pieces") end,
    })
    if not ok then core.rethrow(err) end
  end)
  return pack(REFERENCE, id, count, #bytes, self._digest(bytes))
end

---The bytes for which the reference stands. Suspends.
---@param reference string
---@return string bytes
function Pieces:get(reference)
  local id, count, size, hash = unpack(REFERENCE, reference)
  local list = {}
  each(count, function(i)
    list[i] = jetstream.only(self._link, self._streams:name("pieces"), subject_of(self, id, i))
    if not list[i] then
      core.rethrow(errors.new("unknown", ("a piece of %d bytes is not on the servers any more"):format(size)))
    end
  end)
  local bytes = table.concat(list)
  if #bytes ~= size or self._digest(bytes) ~= hash then
    core.rethrow(errors.new("refused", "the pieces of a large value are not what was sent"))
  end
  return bytes
end

---Drops the bytes. Suspends.
---@param reference string
function Pieces:drop(reference)
  local id = unpack(REFERENCE, reference)
  jetstream.purge(self._link, self._streams:name("pieces"), subject_of(self, id, "*"))
end

---The reference to results and their cargo. Suspends.
---@param cargo string
---@param bytes string
---@return string reference
function Pieces:put_news(cargo, bytes) return self:put(pack("<s4", cargo) .. bytes) end

---The cargo and the bytes for which the reference stands. Suspends.
---@param reference string
---@return string cargo
---@return string bytes
function Pieces:unpack_news(reference)
  local whole = self:get(reference)
  local cargo, at = unpack("<s4", whole)
  return cargo, whole:sub(at)
end

---The same; then they are dropped. Suspends.
---@param reference string
---@return string cargo
---@return string bytes
function Pieces:take_news(reference)
  local cargo, bytes = self:unpack_news(reference)
  link_of.start(function() pcall(self.drop, self, reference) end)
  return cargo, bytes
end

return M
