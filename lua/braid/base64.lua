-- SPDX-License-Identifier: MIT
-- Base64 (RFC 4648) of short texts.
local M = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

---@param text string
---@return string
function M.encode(text)
  local out = {}
  for a, b, c in text:gmatch("(.)(.?)(.?)") do
    local bits = a:byte() << 16 | (b:byte() or 0) << 8 | (c:byte() or 0)
    for i = 0, 3 do
      local at = (bits >> (18 - 6 * i) & 63) + 1
      out[#out + 1] = i > 1 + #b + #c and "=" or ALPHABET:sub(at, at)
    end
  end
  return table.concat(out)
end

local VALUES = {}
for i = 1, #ALPHABET do VALUES[ALPHABET:byte(i)] = i - 1 end

---@param text string without blanks
---@return string? nil: it is not base64
function M.decode(text)
  local body, ending = text:match "^(.-)(=*)$"
  if #text % 4 ~= 0 or #ending > 2 then return nil end
  local out, bits, count = {}, 0, 0
  for i = 1, #body do
    local value = VALUES[body:byte(i)]
    if not value then return nil end
    bits, count = bits << 6 | value, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(bits >> count & 255)
      bits = bits & (1 << count) - 1
    end
  end
  if bits ~= 0 then return nil end -- two texts would have the same bytes
  return table.concat(out)
end

---Encodes for URLs and cookies (RFC 4648, section 5), without padding.
---@param text string
---@return string
function M.encode_url(text) return (M.encode(text):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" })) end

---@param text string
---@return string? nil: it is not such a text
function M.decode_url(text)
  if text:find("[^%w_-]") then return nil end
  return M.decode(text:gsub("[-_]", { ["-"] = "+", _ = "/" }) .. ("="):rep(-#text % 4))
end

return M
