-- SPDX-License-Identifier: MIT
--- The choices of a schedule as text: "seed/3 1 0*12 2". A choice is the number of a candidate, from 0, which is the
--- one that the ordinary scheduler takes; `*` repeats it. What follows the last one is 0.
local M = {}

---@param seed integer for math.random
---@param choices integer[]
---@return string
function M.text(seed, choices)
  local last = #choices
  while last > 0 and choices[last] == 0 do last = last - 1 end
  local words, at = {}, 1
  while at <= last do
    local count = 1
    while at + count <= last and choices[at + count] == choices[at] do count = count + 1 end
    words[#words + 1] = count > 1 and ("%d*%d"):format(choices[at], count) or tostring(choices[at])
    at = at + count
  end
  return ("%d/%s"):format(seed, table.concat(words, " "))
end

local MOST = 1 << 22

---Reads what `text` has written.
---@param text string
---@return integer? seed nil: it is no such text
---@return integer[]? choices
function M.read(text)
  local seed, words = text:match "^(-?%d+)/([%d* ]*)$"
  if not seed or not math.tointeger(seed) then return nil end
  local choices = {}
  for word in words:gmatch "%S+" do
    local choice, count = word:match "^(%d+)%*(%d+)$"
    choice, count = math.tointeger(choice or word), math.tointeger(count or 1)
    if not choice or not count or #choices + count > MOST then return nil end
    for _ = 1, count do choices[#choices + 1] = choice end
  end
  return math.tointeger(seed), choices
end

---@param choices integer[]
---@return integer how many of them are not 0
function M.weight(choices)
  local count = 0
  for _, choice in ipairs(choices) do
    if choice ~= 0 then count = count + 1 end
  end
  return count
end

return M
