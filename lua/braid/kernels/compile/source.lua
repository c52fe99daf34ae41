-- SPDX-License-Identifier: MIT
--- The text of a Lua function, found by its debug information. The text counts only if Lua compiles it to the same
--- instructions as the function's own: a file that was changed since, or a line with two functions, is refused.

local fault = require "braid.kernels.compile.fault"
local parser = require "braid.kernels.compile.parser"

local M = {}

-- Reads a number of Lua's binary format: seven bits a byte, the last one marked.
local function read_size(dump, at)
  local value = 0
  while true do
    local byte = dump:byte(at)
    value, at = value << 7 | byte & 0x7f, at + 1
    if byte & 0x80 ~= 0 then return value, at end
  end
end

local skip_constant = {
  [0x00] = function(at) return at end, [0x01] = function(at) return at end, [0x11] = function(at) return at end,
  [0x03] = function(at) return at + 8 end, [0x13] = function(at) return at + 8 end,
}

local function skip_text(at, dump)
  local size
  size, at = read_size(dump, at)
  return at + size - 1
end
skip_constant[0x04], skip_constant[0x14] = skip_text, skip_text

-- The part of a function's binary form that does not depend on what is around it: parameters, instructions, constants.
local function essence(fn)
  local dump = string.dump(fn, true)
  local at = 4 + 1 + 1 + 6 + 1 + 1 + 1 + 8 + 8 + 1 + 1 -- after the header and the number of upvalues
  local size, from, _
  size, at = read_size(dump, at)
  if size > 0 then at = at + size - 1 end
  _, at = read_size(dump, at)
  _, at = read_size(dump, at)
  from = at
  at = at + 3
  size, at = read_size(dump, at)
  at = at + 4 * size
  local constants
  constants, at = read_size(dump, at)
  for _ = 1, constants do
    local skip = skip_constant[dump:byte(at)]
    if not skip then return nil end
    at = skip(at + 1, dump)
  end
  return dump:sub(from, at - 1)
end

local function upvalue_names(fn)
  local names = {}
  for at = 1, math.huge do
    local name = debug.getupvalue(fn, at)
    if not name then return names end
    names[at] = name
  end
end

-- Whether a text is that of the function.
local function is_text_of(text, fn)
  local names = {}
  for _, name in ipairs(upvalue_names(fn)) do
    if name ~= "_ENV" and name ~= "" then names[#names + 1] = name end
  end
  local head = #names > 0 and ("local %s; "):format(table.concat(names, ", ")) or ""
  local chunk = load(head .. "return " .. text, "=kernel", "t", {})
  local ok, copy = pcall(chunk or error)
  return ok and chunk ~= nil and type(copy) == "function" and essence(copy) == essence(fn)
end

local function refuse(info, format, ...) fault.raise({ line = info.linedefined, column = 1 }, format, ...) end

local function read_source(info)
  local mark, rest = info.source:sub(1, 1), info.source:sub(2)
  if mark == "=" then refuse(info, "the function's text is not kept: pass its text as a string") end
  if mark ~= "@" then return info.source end
  local file <close> = io.open(rest, "rb")
    or refuse(info, "the file %s, where the function is written, cannot be read: pass its text as a string", rest)
  return file:read("a")
end

-- Where line `number` begins in a text.
local function line_start(text, number)
  local at = 1
  for _ = 2, number do
    at = (text:find("\n", at, true) or #text) + 1
  end
  return at
end

-- The functions that are written on these lines: their trees and texts.
local function candidates(text, info)
  local found = {}
  local start = line_start(text, info.linedefined)
  local line = text:match("^[^\n]*", start)
  for at in line:gmatch "()%f[%w_]function%f[^%w_]" do
    local ok, tree = pcall(parser.parse_at, text, start + at - 1, info.linedefined, at)
    if ok then
      if tree.last_line == info.lastlinedefined then
        found[#found + 1] = { tree = tree, text = text:sub(tree.first, tree.last) }
      end
    elseif not fault.is(tree) then
      error(tree, 0)
    else
      found.refused = found.refused or tree
    end
  end
  return found
end

-- "function name(...)" as an expression: "function(...)".
local function anonymous(text) return (text:gsub("^function%s+[%w_.:]+", "function", 1)) end

---Finds the text of a function.
---@param fn function
---@return string text `function(...) ... end`
---@return table tree from the parser
---@return string file where it is written, for messages
function M.of(fn)
  local info = debug.getinfo(fn, "S")
  if info.what == "C" then
    fault.raise({ line = 0, column = 0 }, "a C function has no text: pass a Lua function, or a text")
  end
  local found = candidates(read_source(info), info)
  local match
  for _, each in ipairs(found) do
    each.text = anonymous(each.text)
    if is_text_of(each.text, fn) then
      if match and match.text ~= each.text then
        refuse(info, "two functions on this line look alike: write them on lines of their own")
      end
      match = match or each
    end
  end
  if match then return match.text, match.tree, info.short_src end
  if found.refused then error(found.refused, 0) end
  refuse(info, "the text at %s:%d is not the function's: the file was changed since it was loaded, or the function "
    .. "uses a <const> local from outside (leave <const> out there)", info.short_src, info.linedefined)
end

return M
