-- SPDX-License-Identifier: MIT
-- What the client must know of single commands; and classes that have every command as a method.
local errors = require "braid.errors"

local M = {}

local function set(words)
  local found = {}
  for word in words:gmatch("%S+") do found[word] = true end
  return found
end

local WAITING = set [[BLPOP BRPOP BRPOPLPUSH BLMOVE BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF]]

-- Commands that change what a connection is. On a connection that tasks share they would hit the others; and a lost
-- connection would forget them.
local INSTEAD = {}
for words, instead in pairs {
  ["SUBSCRIBE UNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE"] = "client:subscribe(channels)",
  ["PSUBSCRIBE PUNSUBSCRIBE"] = "client:psubscribe(patterns)",
  ["MULTI EXEC DISCARD WATCH UNWATCH"] = "client:transaction(fn)",
  ["SELECT"] = "the option 'database'", ["AUTH"] = "the options 'username' and 'password'",
  ["HELLO"] = "the option 'protocol'", ["QUIT RESET"] = "client:close()",
  ["MONITOR SYNC PSYNC"] = "a connection of braid.net",
} do
  for word in words:gmatch("%S+") do INSTEAD[word] = instead end
end

local function has_word(word, ...)
  for i = 1, select("#", ...) do
    local each = select(i, ...)
    if type(each) == "string" and each:upper() == word then return true end
  end
  return false
end

---Whether a command may wait at the server, so that others behind it would wait, too.
---@param word string in upper case
---@param ... any its arguments
---@return boolean
function M.may_wait(word, ...)
  if WAITING[word] then return true end
  return (word == "XREAD" or word == "XREADGROUP") and has_word("BLOCK", ...)
end

---Whether `check` and `may_wait` need not be asked.
---@type table<string, boolean> by the word in upper case
M.plain = setmetatable({}, {
  __index = function(known, word)
    local plain = not (WAITING[word] or INSTEAD[word] or word == "XREAD" or word == "XREADGROUP" or word == "CLIENT")
    known[word] = plain
    return plain
  end,
})

---Raises for a command that a shared connection must not send.
---@param word string in upper case
---@param ... any its arguments
function M.check(word, ...)
  local instead = INSTEAD[word]
  if word == "CLIENT" and has_word("REPLY", (...)) then instead = "nothing: replies are always needed" end
  if instead then errors.misuse(1, "redis: %s is no command for a shared connection: use %s", word, instead) end
end

---The command's word in upper case. Raises for anything but a text.
---@param word any
---@return string
function M.word(word)
  if type(word) ~= "string" or word == "" then
    errors.misuse(1, "bad argument #1 to 'call' (the name of a command expected, got %s)",
      word == "" and "an empty text" or errors.described(word))
  end
  return word:upper()
end

---Gives a class a method for each command: `object:hget(...)` calls `call(object, "HGET", ...)`.
---@param class table its own methods come first
---@param call fun(self: table, word: string, ...): any
function M.give(class, call)
  local methods = {}
  local function method_of(name)
    local word = name:upper()
    return function(self, ...)
      if getmetatable(self) ~= class then errors.no_self(1, class, name, self) end
      return call(self, word, ...)
    end
  end
  class.__index = function(_, name)
    local method = class[name]
    if method == nil then method = methods[name] end
    if method == nil and type(name) == "string" and name:find("^%a[%w_.-]*$") then
      method = method_of(name)
      methods[name] = method
    end
    return method
  end
end

return M
