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

return M
