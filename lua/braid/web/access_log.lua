-- SPDX-License-Identifier: MIT
-- The access log of a server. Each line is one write, so that lines of several processes do not mix.
local errors = require "braid.errors"

local M = {}

local function to_stderr(line) io.stderr:write(line .. "\n") end

---@param where boolean|string|fun(line: string)|nil true: stderr; a string: the file to append to; a function
---@return fun(line: string)? write
function M.open(where)
  if not where then return nil end
  if where == true then return to_stderr end
  if type(where) ~= "string" then return where end
  local file, problem = io.open(where, "a")
  if not file then errors.misuse(1, "option 'access_log': %s", problem) end
  file:setvbuf("no")
  local lost = false
  return function(line)
    local written, why = file:write(line .. "\n")
    if not written and not lost then
      io.stderr:write(("braid: lines of the access log %s are lost: %s\n"):format(where, why))
    end
    lost = not written -- a loss is reported once, until writing works again
  end
end

return M
