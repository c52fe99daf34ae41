-- SPDX-License-Identifier: MIT
-- Numbers as text for people: three significant digits and a unit.
local M = {}

-- Three significant digits, without an exponent.
local function digits(value)
  local size = math.abs(value)
  if size >= 99.95 or value == 0 then return ("%.0f"):format(value) end
  return (size >= 9.995 and "%.1f" or "%.2f"):format(value)
end

local function scaled(value, steps)
  for _, step in ipairs(steps) do
    if math.abs(value) >= step[1] * 0.9995 then return digits(value / step[1]) .. step[2] end
  end
  local last = steps[#steps]
  return digits(value / last[1]) .. last[2]
end

local seconds = { { 1, " s" }, { 1e-3, " ms" }, { 1e-6, " µs" }, { 1e-9, " ns" } }
local bytes = { { 1e12, " TB" }, { 1e9, " GB" }, { 1e6, " MB" }, { 1e3, " kB" }, { 1, " B" } }
local counts = { { 1e9, " G" }, { 1e6, " M" }, { 1e4, " k", 1e3 } }

---@param value number seconds
---@return string "12.3 ms"
function M.seconds(value)
  return value == 0 and "0 s" or scaled(value, seconds)
end

---@param value number bytes
---@return string "4.56 MB"
function M.bytes(value)
  return value < 1000 and ("%.0f B"):format(value) or scaled(value, bytes)
end

---@param value number
---@return string "1234", "12.3 k"
function M.count(value)
  if value < 9999.5 then
    return math.type(value) == "integer" and ("%d"):format(value) or digits(value)
  end
  for _, step in ipairs(counts) do
    if value >= step[1] * 0.9995 then return digits(value / (step[3] or step[1])) .. step[2] end
  end
end

---@param value number seconds
---@return string "0:07", "1:02:03"
function M.clock(value)
  local whole = math.floor(value + 0.5)
  local minutes = whole // 60
  if minutes < 60 then return ("%d:%02d"):format(minutes, whole % 60) end
  return ("%d:%02d:%02d"):format(minutes // 60, minutes % 60, whole % 60)
end

---Pads a text to a width. The width counts characters, not bytes; wide (Chinese) characters count twice.
---@param text string
---@param width integer negative: aligns to the right
---@return string
function M.pad(text, width)
  local blanks = (" "):rep(math.max(0, math.abs(width) - M.width(text)))
  return width < 0 and blanks .. text or text .. blanks
end

---The number of columns that a text takes.
---@param text string
---@return integer
function M.width(text)
  local width = 0
  for _, code in utf8.codes(text, true) do
    local wide = code >= 0x1100 and (code <= 0x115f or code >= 0x2e80 and code <= 0xa4cf or
      code >= 0xac00 and code <= 0xd7a3 or code >= 0xf900 and code <= 0xfaff or code >= 0xfe30 and code <= 0xfe6f or
      code >= 0xff00 and code <= 0xff60 or code >= 0x20000 and code <= 0x3fffd)
    width = width + (wide and 2 or 1)
  end
  return width
end

---Cuts a text to a width; what was cut is marked by an ellipsis.
---@param text string
---@param width integer
---@return string
function M.cut(text, width)
  if #text <= width or M.width(text) <= width then return text end
  local used = 0
  for at, code in utf8.codes(text, true) do
    local size = M.width(utf8.char(code))
    if used + size > width - 1 then return width > 0 and text:sub(1, at - 1) .. "…" or "" end
    used = used + size
  end
  return text
end

return M
