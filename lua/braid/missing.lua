-- SPDX-License-Identifier: MIT
-- What happens when a program reads a name that a module does not have. `if braid.websocket then` is a test that must
-- stay possible, so the value is nil. But Lua's own error for a call of nil cannot say what was meant. So the line that
-- reads the name is looked at: if it calls the name, or reads a field of it, and does nothing else with it, the error
-- is raised here. Where there is no line to read (a precompiled chunk, standard input), the value is nil.

local errors = require "braid.errors"
local hints = require "braid.hints"
local spelling = require "braid.spelling"

local M = {}

-- The text of a line of the chunk that this is the position of; nil when it cannot be read.
local function line_of(info)
  if info.currentline < 1 then return nil end
  local number = 0
  local function is_it()
    number = number + 1
    return number == info.currentline
  end
  if info.source:find "^@" then
    local file <close> = io.open(info.source:sub(2))
    for line in (file and file:lines() or function() end) do
      if is_it() then return line end
    end
  elseif not info.source:find "^=" then
    for line in (info.source .. "\n"):gmatch "([^\n]*)\n" do
      if is_it() then return line end
    end
  end
  return nil
end

local USES = { "^%s*%(", "^%s*{", "^%s*[\"']", "^%s*%[=*%[", "^%s*%.%s*[%a_]", "^%s*:%s*[%a_]" }

local function is_used(rest)
  for _, use in ipairs(USES) do
    if rest:find(use) then return true end
  end
  return false
end

-- Whether a line calls or indexes this field wherever it names it.
local function only_uses(line, name)
  local code, found = line:gsub("%-%-.*", ""), false
  for place in code:gmatch("%.%s*" .. name .. "%f[^%w_]()") do
    found = true
    if not is_used(code:sub(place)) then return false end
  end
  return found
end

-- "chunk:line" -> its text: so that a test in a loop costs little.
local MOST = 64
local kept, count = {}, 0

local function known_line(info)
  local key = ("%s:%d"):format(info.source, info.currentline)
  if kept[key] == nil then
    if count == MOST then kept, count = {}, 0 end
    kept[key], count = line_of(info) or false, count + 1
  end
  return kept[key]
end

-- What the line that reads the name does with it: calls or indexes it, or something else; nil when that is not known.
local function use_of(info, name)
  local line = info and known_line(info)
  if not line then return nil end
  return only_uses(line, name) and "call" or "test"
end

local function explained(module, name, known)
  local meant = spelling.name(name, known)
  local hint = meant and ("did you mean %s?"):format(meant) or "there is no such name"
  if name == "await" or name == "async" then hint = "there is none: what waits suspends its task by itself" end
  return ("%s.%s: %s"):format(module, name, hint)
end

---Raises kind "misuse" at the line of the program that calls a name which is not there; else returns nil. Called by
---`__index`, not as a tail call.
---@param module string "braid"
---@param name any
---@param known table<string, any> the names that are there
---@return nil
function M.name(module, name, known)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or name:find "^_" then return nil end
  local info = debug.getinfo(3, "Sl")
  local use = use_of(info, name)
  if use == "call" then errors.misuse(2, "%s", explained(module, name, known)) end
  if not use then hints.keep(name, explained(module, name, known)) end
  return nil
end

---Makes a module say what was meant by a name that it does not have.
---@param module table
---@param path string "braid.http"
---@return table module
function M.watch(module, path)
  if getmetatable(module) then return module end
  return setmetatable(module, { __index = function(self, name) return (M.name(path, name, self)) end })
end

return M
