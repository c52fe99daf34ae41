-- SPDX-License-Identifier: MIT
-- The header Link (RFC 8288).
local M = {}

---A link of a response, with its further parameters (title, type, ...) by their names in lower case.
---@class braid.http.Link
---@field url string as the server wrote it
---@field rel string?
---@field [string] string

-- The parameters after a link's URL, from a place on; and the place after them.
local function parameters(link, text, at)
  while true do
    local name, after = text:match("^%s*;%s*([^%s=;,\"]+)%s*()", at)
    if not name then return at end
    local quoted, behind = text:match("^=%s*\"(.-[^\\])\"()", after)
    local bare, beyond = text:match("^=%s*([^%s;,\"]*)()", after)
    local value = quoted and quoted:gsub("\\(.)", "%1") or bare or ""
    name = name:lower()
    if name ~= "url" and link[name] == nil then link[name] = value end
    at = behind or beyond or after
  end
end

---The links in values of the header.
---@param values string[]
---@return braid.http.Link[]
function M.read(values)
  local list = {}
  for _, text in ipairs(values) do
    local url, at = text:match("^[%s,]*<([^>]*)>()")
    while url do
      local link = { url = url }
      at = parameters(link, text, at)
      list[#list + 1] = link
      url, at = text:match("^[%s,]*<([^>]*)>()", at)
    end
  end
  return list
end

return M
