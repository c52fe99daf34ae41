-- SPDX-License-Identifier: MIT
-- Colours Lua code, and links the public names in it.
local M = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }
local function escape(text) return (text:gsub('[&<>"]', ENTITIES)) end

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch "%a+" do KEYWORDS[word] = true end

local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text
end

local function string_end(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local char = text:sub(i, i)
    if char == quote or char == "\n" then return i end
    i = i + (char == "\\" and 2 or 1)
  end
  return #text
end

-- The kind of the token that begins here, and where it ends.
local function token(text, at)
  if text:find("^%-%-", at) then
    return "c", long_bracket(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
  elseif text:find("^[\"']", at) then
    return "s", string_end(text, at)
  elseif long_bracket(text, at) then
    return "s", long_bracket(text, at)
  elseif text:find("^%d", at) then
    return "n", select(2, text:find("^[%w.]+", at))
  elseif text:find("^[%a_]", at) then
    local _, last = text:find("^[%w_]+", at)
    local _, whole = text:find("^braid[%w_.]*[%w_]", at)
    if whole then return "name", whole end
    return KEYWORDS[text:sub(at, last)] and "k" or nil, last
  end
  return nil, at
end

---@param text string
---@param address_of? fun(name: string): string?
---@return string html
function M.lua(text, address_of)
  local out, at = {}, 1
  while at <= #text do
    local kind, last = token(text, at)
    local piece = escape(text:sub(at, last))
    local address = kind == "name" and address_of and address_of(text:sub(at, last))
    if address then
      piece = ('<a href="%s">%s</a>'):format(address, piece)
    elseif kind and kind ~= "name" then
      piece = ('<span class="%s">%s</span>'):format(kind, piece)
    end
    out[#out + 1] = piece
    at = last + 1
  end
  return table.concat(out)
end

return M
