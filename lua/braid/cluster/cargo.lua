-- SPDX-License-Identifier: MIT
-- What messages refer to. Bytecode is kept in a stream, by its hash, and travels to each process once; a message only
-- has the hash. Arrays travel as their bytes.
local core = require "braid.core"
local errors = require "braid.errors"
local jetstream = require "braid.cluster.jetstream"

local pack, unpack = string.pack, string.unpack

local M = {}

local CODE, ARRAY = "c", "a"
local HASH = 32
local MOST_LISTS = 256

---@class braid.cluster.Cargo
---@field private _link braid.cluster.Link
---@field private _streams braid.cluster.Streams
---@field private _digest fun(bytes: string): string
---@field private _hashes table<userdata, string> boxes of bytecode that the stream has -> what stands for them
---@field private _boxes table<string, userdata> hash -> box
---@field private _lists table<string, userdata[]> boxes of messages with bytecode only
---@field private _count integer of these
local Cargo = {}
Cargo.__index = Cargo

---The cargo of one connection. Does not suspend.
---@param nats table the C module
---@param link braid.cluster.Link
---@param streams braid.cluster.Streams
---@return braid.cluster.Cargo
function M.new(nats, link, streams)
  local self = setmetatable({
    _link = link, _streams = streams, _digest = nats.digest, _hashes = {}, _boxes = {}, _lists = {}, _count = 0,
  }, Cargo)
  return self
end

---What the streams had is lost: bytecode must be published again.
function Cargo:forget() self._hashes = {} end

local function hex(bytes) return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end

local function subject_of(self, hash) return self._streams:subject("code", hex(hash)) end

-- ---- sending --------------------------------------------------------------------------------------------------------

local function publish_code(self, box)
  local bytes, upvalues = core.code_parts(box)
  local content = pack("<I2", upvalues) .. bytes
  local hash = self._digest(content)
  if #content > self._link:max_payload() then
    core.rethrow(errors.new("not_sendable", ("the code of a function has %d bytes, and the servers take %d"):format(
      #content, self._link:max_payload())))
  end
  self._streams:need("code")
  local text = hex(hash)
  local ok, err = jetstream.publish(self._link, subject_of(self, hash), content, {
    id = text, missing = function() self._streams:renew("code") end,
  })
  if not ok then core.rethrow(err) end
  local mention = CODE .. hash
  self._hashes[box], self._boxes[hash] = mention, box
  return mention
end

---The bytes that stand for these boxes. Suspends for bytecode that is new.
---@param boxes userdata[]?
---@return string
function Cargo:pack(boxes)
  if not boxes then return "" end
  local hashes, list = self._hashes, {}
  for i, box in ipairs(boxes) do
    local mention = hashes[box]
    if not mention then
      if getmetatable(box) == core.Array then
        mention = ARRAY .. pack("<s1s4", box:type(), box:tostring())
      else
        mention = publish_code(self, box)
      end
    end
    list[i] = mention
  end
  return table.concat(list)
end

-- ---- receiving ------------------------------------------------------------------------------------------------------

local function fetch_code(self, hash)
  local content = jetstream.only(self._link, self._streams:name("code"), subject_of(self, hash))
  if not content then
    core.rethrow(errors.new("unknown", "the code of a function is not on the servers any more"))
  end
  if self._digest(content) ~= hash then
    core.rethrow(errors.new("refused", "the code of a function is not what was sent"))
  end
  local upvalues = unpack("<I2", content)
  local box = core.code_make(content:sub(3), upvalues)
  self._boxes[hash], self._hashes[box] = box, CODE .. hash
  return box
end

local function unpack_array(bytes, at)
  local type, content
  type, content, at = unpack("<s1s4", bytes, at)
  local width = string.packsize(({ f64 = "d", f32 = "f", i64 = "i8", i32 = "i4", i16 = "i2", i8 = "i1" })[type]
    or type:gsub("u(%d+)", function(bits) return "i" .. tonumber(bits) // 8 end))
  return core.array_new(type, #content // width):set(content), at
end

local function keep(self, bytes, list)
  if self._count >= MOST_LISTS then self._lists, self._count = {}, 0 end
  self._lists[bytes], self._count = list, self._count + 1
end

---The boxes for which these bytes stand; nil: none. Suspends for bytecode that is new here.
---@param bytes string
---@return userdata[]?
function Cargo:unpack(bytes)
  if bytes == "" then return nil end
  local list = self._lists[bytes]
  if list then return list end
  local at, plain = 1, true
  list = {}
  while at <= #bytes do
    local what = bytes:sub(at, at)
    if what == CODE then
      local hash = bytes:sub(at + 1, at + HASH)
      list[#list + 1] = self._boxes[hash] or fetch_code(self, hash)
      at = at + 1 + HASH
    else
      plain = false
      list[#list + 1], at = unpack_array(bytes, at + 1)
    end
  end
  if plain then keep(self, bytes, list) end
  return list
end

---Whether `unpack` would not suspend.
---@param bytes string
---@return boolean
function Cargo:is_here(bytes)
  if bytes == "" or self._lists[bytes] then return true end
  local at = 1
  while at <= #bytes do
    if bytes:sub(at, at) == CODE then
      if not self._boxes[bytes:sub(at + 1, at + HASH)] then return false end
      at = at + 1 + HASH
    else
      at = select(3, unpack("<s1s4", bytes, at + 1))
    end
  end
  return true
end

return M
