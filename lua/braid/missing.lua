-- SPDX-License-Identifier: MIT
-- What happens when a program reads a name that a module does not have. `if braid.websocket then` is a test that must
-- stay possible, so the value is nil. But Lua's own error for a call of nil cannot say what was meant. So the line that
-- reads the name is looked at: if it calls the name, or reads a field of it, and does nothing else with it, the error
-- is raised here. What is given to pcall is a function that raises it. Where the line does something else, or is not
-- known (a stripped chunk), the value is nil.

local errors = require "braid.errors"

local M = {}

-- function -> what its lines do with names: so that a test in a loop costs little.
local kept = setmetatable({}, { __mode = "k" })

-- What the line that reads the name does with it; nil when that is not known.
local function use_of(info, name)
  if not info or info.what == "C" then return nil end
  local uses = kept[info.func]
  if uses == nil then
    local ok, bytecode = pcall(require, "braid.bytecode")
    if not ok then return "other" end -- no descriptors, say: then no test of a name may become an error
    uses = bytecode.uses(info.func) or false
    kept[info.func] = uses
  end
  if not uses then return nil end
  return (uses[info.currentline] or {})[name] or "other"
end

local function explained(before, name, known)
  local meant = require("braid.spelling").name(name, known)
  local hint = meant and ("did you mean %s?"):format(meant) or "there is no such name"
  if name == "await" or name == "async" then hint = "there is none: what waits suspends its task by itself" end
  return ("%s%s: %s"):format(before, name, hint)
end

---Raises kind "misuse" at the line of the program that calls a name which is not there; else returns nil, or what
---raises when pcall calls it. Called by `__index`, not as a tail call.
---@param before string "braid.", "queue:"
---@param name any
---@param known table<string, any> the names that are there
---@return function?
function M.name(before, name, known)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or name:find "^_" then return nil end
  local use = use_of(debug.getinfo(3, "Slf"), name)
  if use == "other" then return nil end
  local text = explained(before, name, known)
  if use == "call" or use == "index" then errors.misuse(2, "%s", text) end
  if use == "pcall" then return function() errors.misuse(1, "%s", text) end end
  require("braid.hints").keep(name, text)
  return nil
end

---Makes a module say what was meant by a name that it does not have.
---@param module table
---@param path string "braid.http"
---@return table module
function M.watch(module, path)
  if getmetatable(module) then return module end
  return setmetatable(module, { __index = function(self, name) return (M.name(path .. ".", name, self)) end })
end

---Makes a class say what was meant by a method that it does not have. Names that begin with `_` are fields which are
---not set: they cost little.
---@param methods table
---@param object string what its objects are called: "queue"
function M.methods(methods, object)
  local before = object .. ":"
  setmetatable(methods, { __index = function(_, name)
    if type(name) ~= "string" or name:byte() == 95 then return nil end
    return (M.name(before, name, methods))
  end })
end

return M
