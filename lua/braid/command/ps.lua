-- SPDX-License-Identifier: MIT
--- braid ps: shows what the tasks of another process do.

local dump = require "braid.debug.dump"

local M = { summary = "what every task and worker of a running process does" }

M.usage = [[
usage: braid ps            lists the processes in which braid is loaded, of those that this user may look at
       braid ps PID        every task and worker of that process: its name, where it stands, what it waits in, how long;
                           then the same of its worker processes

The process answers once a loop of braid's has turned in it, or a pool was started, whatever it does then. Users may ask
their own processes, root everybody's, in the same name spaces. No other process is touched, and nothing is left behind.
]]

local function list()
  for _, pid in ipairs(dump.processes()) do print(("%8d  %s"):format(pid, dump.command_line(pid))) end
  return 0
end

-- Prints a dump, and the dumps of the worker processes that it names. A process may write anything into its dump: so
-- only its own children are asked, each once.
local function tell(pid, text, asked)
  io.stdout:write(text)
  for number in text:gmatch "\n  worker process (%d+)" do
    local worker = tonumber(number)
    if dump.is_child(worker, pid) and not asked[worker] then
      asked[worker] = true
      local answer, err = dump.ask(worker)
      tell(worker, answer or err.message .. "\n", asked)
    end
  end
end

function M.main(words)
  if #words == 0 then return list() end
  local pid = math.tointeger(tonumber(words[1]))
  if not pid or pid < 1 or #words > 1 then
    io.stderr:write(M.usage)
    return 2
  end
  local text, err = dump.ask(pid)
  if not text then error(err.message, 0) end
  tell(pid, text, {})
  return 0
end

return M
