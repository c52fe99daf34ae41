-- SPDX-License-Identifier: MIT
-- What Lua's own messages leave unsaid: a sentence for those that a user of braid is likely to meet.

local M = {}

-- Names that a program looked for in braid and that are not there -> what was meant.
local MOST = 64
local missed, count = {}, 0

---Keeps what was meant by a name that is not there, for the message of a later error. See missing.lua.
---@param name string
---@param meant string
function M.keep(name, meant)
  if count == MOST then missed, count = {}, 0 end
  missed[name], count = meant, count + 1
end

local function meant_by(name) return missed[name] end

local HINTS = {
  { "attempt to call a nil value %(global 'await'%)", function()
    return "there is no await: what waits suspends its task by itself; task:result() waits for a task"
  end },
  { "attempt to call a nil value %(global 'async'%)", function()
    return "there is no async: every function can be a task, braid.spawn(fn, ...)"
  end },
  { "attempt to call a braid%.queue value", function() return "write `for item in queue:items() do`" end },
  { "variable '[%w_]+' got a non%-closable value", function()
    return "lock:acquire() and semaphore:acquire() return true: write `local held <close> = lock:hold()`"
  end },
  { "attempt to call a nil value %(%l+ '([%w_]+)'%)", meant_by },
  { "attempt to index a nil value %(%l+ '([%w_]+)'%)", meant_by },
}

---The hint for a message; nil if there is none.
---@param message string
---@return string?
function M.of(message)
  for _, hint in ipairs(HINTS) do
    local name = message:match(hint[1])
    local text = name and hint[2](name)
    if text then return text end
  end
  return nil
end

return M
