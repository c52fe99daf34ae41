-- SPDX-License-Identifier: MIT
--- What runs here, and where it stands: for programs that hang, or do what nobody understands.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local ANSWERS = 0.25 -- seconds that other states have to answer: one inside a long C function cannot

---Tells what everything in this process does: every task of every state (the script and the workers of its pools), with
---its name, where it stands, what it waits in and for how long; every pool, and which function each of its worker
---processes runs. Does not suspend; blocks for at most 0.25 s. SIGQUIT (Ctrl-\) does the same while a script waits or
---runs tasks, and `braid ps PID` from outside, which asks the worker processes themselves as well.
---@param out file*|false|nil where it is written to, by default io.stderr; false: nowhere
---@return string text
function M.dump(out)
  if out ~= nil and out ~= false and io.type(out) ~= "file" then
    errors.misuse(1, "bad argument #1 to 'dump' (out: an open file, false or nil expected, got %s)",
      io.type(out) or type(out))
  end
  local text = core.tell_state() .. core.tell_states(ANSWERS)
  if out ~= false then (out or io.stderr):write(text) end
  return text
end

-- Where `braid ps` looks for it: written aside and moved there, so that it is seen whole or not at all.
local function write_file()
  local name = core.dump_file(core.pid())
  local file = io.open(name .. ".new", "w")
  if not file then return end
  M.dump(file)
  file:close()
  os.rename(name .. ".new", name)
end

---Answers SIGQUIT.
---@param to_file boolean
function M.answer(to_file)
  if to_file then write_file() else M.dump() end
end

local function read(name)
  local file <close> = io.open(name, "rb")
  return file and file:read "a"
end

-- Whether SIGQUIT is in a set of signals in /proc/PID/status.
local function has_quit(status, set)
  return tonumber(status:match(set .. ":%s*(%x+)"), 16) & (1 << 2) ~= 0
end

-- Why a process cannot be asked, or has not answered.
local function refusal(pid, status)
  local words = read(("/proc/%d/cmdline"):format(pid)) or ""
  local worker = words:find "braid[^%z]*%.work%(%)%z" -- see push_code in lpeer.c
  if worker then
    local parent = status:match "PPid:%s*(%d+)"
    return ("process %d is a worker of process %s and inside a C function: ask process %s"):format(pid, parent, parent)
  elseif has_quit(status, "SigIgn") then
    return ("process %d ignores SIGQUIT, as what a script starts with `&` does: it cannot be asked"):format(pid)
  elseif not has_quit(status, "SigCgt") then
    return ("process %d is not waiting in braid, nor running its tasks"):format(pid)
  end
  return ("process %d did not answer"):format(pid)
end

---The dump of another process of this user in which braid runs.
---@param pid integer
---@param timeout number? seconds, by default 2
---@return string? text
---@return table? err
function M.ask(pid, timeout)
  local status = read(("/proc/%d/status"):format(pid))
  if not status then return nil, errors.new("closed", ("there is no process %d"):format(pid)) end
  if not has_quit(status, "SigCgt") then return nil, errors.new("closed", refusal(pid, status)) end -- it might end it
  local name = core.dump_file(pid)
  os.remove(name)
  local ok, why = core.ask_dump(pid)
  if not ok then return nil, errors.new("closed", ("process %d: %s"):format(pid, why)) end
  local deadline = core.now() + (timeout or 2)
  repeat
    local text = read(name)
    if text then
      os.remove(name)
      return text
    end
    core.sleep(0.01)
  until core.now() > deadline
  return nil, errors.new("timeout", refusal(pid, status))
end

return M
