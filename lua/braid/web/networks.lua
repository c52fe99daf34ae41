-- SPDX-License-Identifier: MIT
-- IP addresses and networks as text: "10.0.0.0/8", "::1".
local M = {}

local function four_of(text)
  local bytes = { text:match "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$" }
  if not bytes[4] then return nil end
  for i, byte in ipairs(bytes) do
    bytes[i] = math.tointeger(byte)
    if bytes[i] > 255 then return nil end
  end
  return string.char(table.unpack(bytes))
end

-- The bytes of groups of hexadecimal digits, between colons; the last may be an IPv4 address.
local function groups_of(text, last)
  local parts = {}
  if text == "" then return "" end
  for group, colon in (text .. ":"):gmatch "([^:]*)(:)" do
    if parts.closed or colon == "" then return nil end
    local four = group:find(".", 1, true) and last and four_of(group)
    if four then
      parts.closed = true
    elseif not group:find "^%x%x?%x?%x?$" then
      return nil
    end
    parts[#parts + 1] = four or (">I2"):pack(tonumber(group, 16))
  end
  return table.concat(parts)
end

local function six_of(text)
  local head, tail = text:match "^(.-)::(.*)$"
  if not head then
    local bytes = groups_of(text, true)
    return bytes and #bytes == 16 and bytes or nil
  end
  local first, rest = groups_of(head, false), groups_of(tail, true)
  if not first or not rest or #first + #rest > 14 then return nil end
  return first .. ("\0"):rep(16 - #first - #rest) .. rest
end

local MAPPED = ("\0"):rep(10) .. "\xFF\xFF" -- before an IPv4 address

--- The 16 bytes of an address; an IPv4 address is written as IPv6 does it.
---@param text string
---@return string? nil: it is no address
function M.bytes(text)
  local four = four_of(text)
  if four then return MAPPED .. four end
  return six_of((text:gsub("%%.*$", "")))
end

---@class braid.web.Network
---@field bytes string
---@field bits integer

--- Reads a network, or a single address.
---@param text string
---@return braid.web.Network? nil: it is none
function M.network(text)
  local address, size = text:match "^([^/]+)/(%d+)$"
  local bytes = M.bytes(address or text)
  if not bytes then return nil end
  local most = four_of(address or text) and 32 or 128
  local bits = size and math.tointeger(size) or most
  if bits > most then return nil end
  return { bytes = bytes, bits = bits + 128 - most }
end

--- Whether an address is in a network.
---@param bytes string from M.bytes
---@param network braid.web.Network
---@return boolean
function M.contains(bytes, network)
  local whole, rest = network.bits // 8, network.bits % 8
  if bytes:sub(1, whole) ~= network.bytes:sub(1, whole) then return false end
  return rest == 0 or (bytes:byte(whole + 1) ~ network.bytes:byte(whole + 1)) >> (8 - rest) == 0
end

return M
