-- SPDX-License-Identifier: MIT
-- Lua patterns as regular expressions of ECMA 262, which JSON Schema uses.
local M = {}

local classes = {
  a = "A-Za-z", d = "0-9", l = "a-z", u = "A-Z", w = "A-Za-z0-9", x = "A-Fa-f0-9", s = "\\s", c = "\\x00-\\x1f\\x7f",
  p = "!-\\/:-@\\[-`{-~", g = "!-~",
}

local syntax = "[%^$\\.*+?()%[%]{}|/]"

local function literal(char) return char:find(syntax) and "\\" .. char or char end

-- An escape outside of a set; nil: a regular expression has no such thing.
local function class_of(letter)
  local class = classes[letter:lower()]
  if not class then return not letter:find "[%w]" and literal(letter) or nil end
  return ("[%s%s]"):format(letter:find "%u" and "^" or "", class)
end

-- A set that begins at `at`. Returns it and the place behind it.
local function set_of(pattern, at)
  local parts, start = { "[" }, at + 1
  if pattern:sub(start, start) == "^" then
    parts[2], start = "^", start + 1
  end
  local i = start
  while i <= #pattern do
    local char = pattern:sub(i, i)
    if char == "]" and i > start then return table.concat(parts) .. "]", i + 1 end
    if char == "%" then
      i = i + 1
      local letter = pattern:sub(i, i)
      if letter:find "%u" then return nil end
      char = classes[letter] or letter:find "%w" and "" or "\\" .. letter
      if char == "" then return nil end
    elseif char:find "[%[%]\\]" then
      char = "\\" .. char
    end
    parts[#parts + 1], i = char, i + 1
  end
end

-- What begins at `at`, without its quantifier. Returns it and the place behind it.
local function item_of(pattern, at)
  local char = pattern:sub(at, at)
  if char == "%" then
    local class = class_of(pattern:sub(at + 1, at + 1))
    return class, at + 2
  end
  if char == "[" then return set_of(pattern, at) end
  if char == "." then return "[\\s\\S]", at + 1 end
  return literal(char), at + 1
end

--- Translates a pattern.
---@param pattern string
---@return string? regular nil: there is none for it (%b, %f, references, and some sets)
function M.regular(pattern)
  local parts, at = {}, 1
  if pattern:sub(1, 1) == "^" then parts[1], at = "^", 2 end
  while at <= #pattern do
    local char = pattern:sub(at, at)
    if char == "$" and at == #pattern then return table.concat(parts) .. "$" end
    if char == "(" or char == ")" then
      if pattern:sub(at, at + 1) ~= "()" then parts[#parts + 1] = char end
      at = at + (pattern:sub(at, at + 1) == "()" and 2 or 1)
    else
      local item, after = item_of(pattern, at)
      if not item then return nil end
      local quantifier = pattern:match("^[*+?-]", after)
      parts[#parts + 1] = item .. (quantifier == "-" and "*?" or quantifier or "")
      at = after + (quantifier and 1 or 0)
    end
  end
  return table.concat(parts)
end

return M
