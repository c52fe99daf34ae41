-- SPDX-License-Identifier: MIT
--- braid ps: what the tasks of another process do.

local braid = require "braid"
local sight = require "braid.sight"

local M = { summary = "what every task and worker of a running process does" }

M.usage = [[
usage: braid ps            lists this user's processes in which braid runs
       braid ps PID        every task and worker of that process: its name, where it stands, what it waits in, how long;
                           then the same of its worker processes

The process is asked by SIGQUIT, which braid answers while a script waits or runs tasks; no other process is touched.
]]

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

local function list()
  local entries = assert(braid.process.run { "ls", "/proc" }).stdout
  for pid in entries:gmatch "(%d+)" do
    local maps = read(("/proc/%s/maps"):format(pid))
    if maps and maps:find("/braid/core.so", 1, true) and tonumber(pid) ~= require("braid.core").pid() then
      local words = (read(("/proc/%s/cmdline"):format(pid)) or ""):gsub("%z", " ")
      print(("%8s  %s"):format(pid, words))
    end
  end
  return 0
end

-- A dump, and those of the worker processes that it names.
local function tell(text)
  io.stdout:write(text)
  for pid in text:gmatch "\n  worker process (%d+)" do
    local answer, err = sight.ask(tonumber(pid), 0.5)
    tell(answer or err.message .. "\n")
  end
end

function M.main(words)
  if #words == 0 then return list() end
  local pid = math.tointeger(tonumber(words[1]))
  if not pid or #words > 1 then
    io.stderr:write(M.usage)
    return 2
  end
  local text, err = sight.ask(pid)
  if not text then error(err.message, 0) end
  tell(text)
  return 0
end

return M
