-- SPDX-License-Identifier: MIT
--- The words of a kernel's text, with Lua 5.4's rules. Each token is { kind, value, line, column, first, last }:
--- `kind` is "name", "number", "string", "end of text" or the word or sign itself; `first` and `last` are its bytes in
--- the text.

local fault = require "braid.kernels.compile.fault"

local M = {}

local words = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch "%a+" do words[word] = true end

local signs = {}
for sign in ([[... << >> // == ~= <= >= :: .. + - * / % ^ # & ~ | < > = ( ) { } [ ] ; : , .]]):gmatch "%S+" do
  signs[sign] = true
end
local LONGEST_SIGN = 3

local numerals = { "^0[xX]%x*%.?%x*[pP][+-]?%d+", "^0[xX]%x*%.?%x*", "^%d*%.?%d*[eE][+-]?%d+", "^%d*%.?%d*" }

local Lexer = {}
Lexer.__index = Lexer

local function count_lines(self, from, to)
  for at in self.text:sub(from, to):gmatch "()\n" do
    self.line, self.start = self.line + 1, from + at
  end
end

-- Skips blanks and comments.
local function skip(self)
  local text = self.text
  while true do
    local from = self.at
    local to = text:match("^%s+()", from)
    if not to and text:sub(from, from + 1) == "--" then
      local level = text:match("^%-%-%[(=*)%[", from)
      to = level and (select(2, text:find("]" .. level .. "]", from, true)) or #text) + 1
        or text:match("^[^\n]*()", from)
    end
    if not to then return end
    count_lines(self, from, to - 1)
    self.at = to
  end
end

local function number(self)
  for _, pattern in ipairs(numerals) do
    local digits = self.text:match(pattern, self.at)
    if digits and digits ~= "" then
      local value = not self.text:find("^[%w_]", self.at + #digits) and tonumber(digits)
      if value then return "number", value, #digits end
    end
  end
  fault.raise({ line = self.line, column = self.at - self.start + 1 }, "a malformed number")
end

local function text_length(self)
  local quote = self.text:sub(self.at, self.at)
  local level = self.text:match("^%[(=*)%[", self.at)
  if level then return (select(2, self.text:find("]" .. level .. "]", self.at, true)) or #self.text) - self.at + 1 end
  local at = self.at + 1
  while at <= #self.text do
    local char = self.text:sub(at, at)
    if char == "\\" then at = at + 1 end
    if char == quote or char == "\n" then break end
    at = at + 1
  end
  return at - self.at + 1
end

-- The kind, the value and the length of the token at the place of reading.
local function scan(self)
  local text, at = self.text, self.at
  if at > #text then return "end of text", nil, 0 end
  local name = text:match("^[%a_][%w_]*", at)
  if name then return words[name] and name or "name", name, #name end
  if text:find("^%.?%d", at) then return number(self) end
  if text:find("^[\"']", at) or text:find("^%[=*%[", at) then return "string", nil, text_length(self) end
  for length = LONGEST_SIGN, 1, -1 do
    local sign = text:sub(at, at + length - 1)
    if signs[sign] then return sign, sign, #sign end
  end
  fault.raise({ line = self.line, column = at - self.start + 1 }, "an unexpected character %q", text:sub(at, at))
end

---Reads the next token into `token`.
function Lexer:next()
  skip(self)
  local kind, value, length = scan(self)
  local token = { kind = kind, value = value, line = self.line, column = self.at - self.start + 1,
    first = self.at, last = self.at + length - 1 }
  if kind == "string" then count_lines(self, self.at, self.at + length - 1) end
  self.at = self.at + length
  self.token = token
  return token
end

---@param text string
---@param line integer? the line of the text's beginning in its file; default 1
function M.new(text, line)
  local lexer = setmetatable({ text = text, at = 1, line = line or 1, start = 1 }, Lexer)
  lexer:next()
  return lexer
end

return M
