-- SPDX-License-Identifier: MIT
-- Reads a numeral from a source of bytes: what format "n" of Lua's files does.

local M = {}

local MOST = 200 -- bytes of a numeral, as in Lua

-- `look` returns the next byte, and `skip` goes on to the one after it. Both may suspend.
local Reader = {}
Reader.__index = Reader

function Reader:accept(set)
  local byte = self.look()
  if not byte or not set:find(byte, 1, true) then return false end
  if #self.text >= MOST then
    self.text = "" -- too long to be a numeral
    return false
  end
  self.text = self.text .. byte
  self.skip()
  return true
end

function Reader:digits(set)
  local count = 0
  while self:accept(set) do count = count + 1 end
  return count
end

---Reads the longest text that can begin a numeral. Suspends where `look` does.
---@param look fun(): string? the next byte, which stays
---@param skip fun() takes it
---@return number? number nil if the text is no numeral
function M.read(look, skip)
  local reader = setmetatable({ look = look, skip = skip, text = "" }, Reader)
  local byte = look()
  while byte and byte:find "%s" do
    skip()
    byte = look()
  end
  reader:accept "+-"
  local set, exponent, count = "0123456789", "eE", 0
  if reader:accept "0" then
    if reader:accept "xX" then set, exponent = "0123456789abcdefABCDEF", "pP" else count = 1 end
  end
  count = count + reader:digits(set)
  if reader:accept "." then count = count + reader:digits(set) end
  if count > 0 and reader:accept(exponent) then
    reader:accept "+-"
    reader:digits "0123456789"
  end
  return tonumber(reader.text)
end

return M
