-- SPDX-License-Identifier: MIT
--- What happens to a deadlock among tasks, threads and processes.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local MODES = { report = true, raise = true, off = true }

---Says what happens when tasks wait for each other, in whatever threads and processes, and nothing else can wake them:
---"report" (the default) writes on stderr who holds what, who waits for what, where and since when; "raise" raises kind
---"deadlock" with the same text in one of the waits; "off" does not look for deadlocks. It holds for the whole process,
---and for worker processes of pools that are made later. It takes up to 2 s until a deadlock is noticed. Deadlocks of a
---whole script, with no thread or process involved, are raised at once, whatever the mode is. Does not suspend.
---@param mode "report"|"raise"|"off"|nil nil: the mode stays
---@return "report"|"raise"|"off" before the mode until now
function M.deadlocks(mode)
  if mode ~= nil and not MODES[mode] then
    local near = type(mode) == "string" and errors.nearest(mode, MODES)
    errors.misuse(1, "bad argument #1 to 'deadlocks' (mode: \"report\", \"raise\" or \"off\" expected, got %s%s)",
      type(mode) == "string" and ("%q"):format(mode) or errors.described(mode),
      near and (", did you mean %q?"):format(near) or "")
  end
  return core.deadlocks(mode)
end

return M
