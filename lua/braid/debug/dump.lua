-- SPDX-License-Identifier: MIT
--- Shows what all tasks do: for programs that hang or behave strangely.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---Tells what everything in this process does: every task of every state (the script and the workers of its pools), with
---its name, its position in the source, what it waits for and how long; every pool, and the function that each of its
---worker processes runs. Does not suspend; blocks for at most 0.25 s. SIGQUIT (Ctrl-\) writes the same to stderr while
---a script waits or runs tasks. `braid ps PID` asks from outside, and also asks the worker processes.
---@param out file*|false|nil where to write the text; default io.stderr; false: nowhere
---@return string? text nil if the file cannot be written
---@return table? err kind "system"
function M.dump(out)
  if out ~= nil and out ~= false and io.type(out) ~= "file" then
    errors.misuse(1, "bad argument #1 to 'dump' (out: an open file, false or nil expected, got %s)",
      io.type(out) or type(out))
  end
  local text = core.tell_state() .. core.tell_states()
  if out == false then return text end
  local file = out or io.stderr
  local written, why = file:write(text)
  if written then written, why = file:flush() end
  if out and not written then return nil, errors.new("system", "the dump could not be written: " .. why) end
  return text
end

-- ---- other processes ------------------------------------------------------------------------------------------------

local CONNECT, WHOLE = 1, 10 -- seconds until an answer must have begun, and must be complete
local AGAIN = 0.1 -- seconds until the question is repeated
local THREAD = "braid-answer" -- the name of the answering thread: see csrc/core/inspect/answer.h

local HIDDEN = { [1] = true, [2] = true, [3] = true, [13] = true } -- EPERM, ENOENT, ESRCH, EACCES

-- A process that has ended, or is not ours to see, counts as nothing there. Other errors (no descriptors, no memory)
-- raise.
local function shown(value, why, code)
  if not value and not HIDDEN[code] then error(errors.new("system", why, { code = code })) end
  return value
end

local function read(path)
  local file <close> = shown(io.open(path, "rb"))
  return file and file:read "a"
end

local function numbers_in(folder) return shown(core.numbers(folder)) or {} end

local function answers(pid)
  for _, thread in ipairs(numbers_in(("/proc/%d/task"):format(pid))) do
    if read(("/proc/%d/task/%d/comm"):format(pid, thread)) == THREAD .. "\n" then return true end
  end
  return false
end

local function has_module(maps) return maps:find("/braid/core%.so\n") or maps:find("/braid/core%.so %(deleted%)\n") end

---The processes that have loaded braid, as far as this user may see.
---@return integer[] pids
function M.processes()
  local pids = {}
  for _, pid in ipairs(numbers_in "/proc") do
    local maps = pid ~= core.pid() and read(("/proc/%d/maps"):format(pid))
    local lives = maps and maps ~= "" -- a zombie has an empty file
    if lives and (has_module(maps) or answers(pid)) then pids[#pids + 1] = pid end
  end
  return pids
end

---The command line of a process, safe to print on a terminal.
---@param pid integer
---@return string
function M.command_line(pid)
  local words = (read(("/proc/%d/cmdline"):format(pid)) or ""):gsub("%z$", ""):gsub("%z", " ")
  return core.printable(words)
end

---The children of a process.
---@param pid integer
---@return integer[]
function M.children(pid)
  local list = {}
  for _, thread in ipairs(numbers_in(("/proc/%d/task"):format(pid))) do
    local text = read(("/proc/%d/task/%d/children"):format(pid, thread)) or ""
    for child in text:gmatch "%d+" do list[#list + 1] = math.tointeger(tonumber(child)) end
  end
  return list
end

---Whether a process has loaded braid, as far as this user may see.
---@param pid integer
---@return boolean
function M.uses_braid(pid)
  local maps = read(("/proc/%d/maps"):format(pid))
  return maps ~= nil and maps ~= "" and (has_module(maps) ~= nil or answers(pid))
end

-- One value of /proc/PID/status.
local function status_of(pid, name)
  local status = read(("/proc/%d/status"):format(pid))
  return status and status:match("\n" .. name .. ":%s*(%S+)")
end

---Whether a process is a child of another one.
---@param pid integer
---@param parent integer
---@return boolean
function M.is_child(pid, parent) return tonumber(status_of(pid, "PPid")) == parent end

local function has_ended(pid)
  local state = status_of(pid, "State")
  return state == nil or state == "Z"
end

local STOPPED = "does not answer: it is stopped, and can when it goes on (SIGCONT)"
local function is_stopped(pid) return (status_of(pid, "State") or ""):find "[Tt]" end

-- A process that has just started may need a moment: waits for its answering thread.
local function begins_to_answer(pid, patience)
  local began = core.now()
  while not answers(pid) do
    if core.now() - began > patience or has_ended(pid) then return false end
    core.sleep(0.01)
  end
  return true
end

---Why a process cannot be asked; nil if it can. A process that does not expect the signal never gets it. Suspends.
---@param pid integer
---@param patience number seconds
---@return string?
function M.obstacle(pid, patience)
  if has_ended(pid) then return "has ended" end -- a zombie has no maps
  local maps = read(("/proc/%d/maps"):format(pid))
  if not maps and not has_ended(pid) then
    return "may not be looked at by this user: ask as the user that it runs as, or as root"
  end
  local loaded = maps and has_module(maps)
  local space = core.other_space(pid)
  if maps and not loaded and not answers(pid) then return "does not use braid" end
  if space then return ("is in another %s name space: ask from within that"):format(space) end
  if begins_to_answer(pid, patience) then return nil end
  if has_ended(pid) then return "has ended" end
  if is_stopped(pid) then return STOPPED end
  return "does not answer: no loop of braid's has turned in it yet, and no pool was started"
end

-- Why there was no answer.
local function silence(pid, patience)
  return is_stopped(pid) and STOPPED or ("did not answer within %g s"):format(patience)
end

local function failure(kind, pid, why) return nil, errors.new(kind, ("process %d %s"):format(pid, why)) end

local function trouble(pid, why)
  return failure("closed", pid, why == "ended" and "has ended" or "cannot be asked: " .. why)
end

-- Repeats the question until the answer begins. Returns the complete text.
local function converse(question, pid, patience, counts)
  local began, ask_next, answering = core.now(), 0, false
  while true do
    local now = core.now()
    if not answering and now >= ask_next then
      local ok, why = question:ask(counts)
      if not ok then return trouble(pid, why) end
      ask_next = now + AGAIN
    end
    local text, state = question:look()
    if text then return text end
    if text == nil then return trouble(pid, state) end
    answering = state
    if not answering and now - began > patience then return failure("timeout", pid, silence(pid, patience)) end
    if now - began > WHOLE then return failure("timeout", pid, "did not answer to the end") end
    core.sleep(0.005)
  end
end

local function ask(pid, patience, counts)
  local question <close>, why = core.question_new(pid)
  if not question then
    if why == "ended" then return nil, errors.new("closed", ("there is no process %d"):format(pid)) end
    return trouble(pid, why)
  end
  patience = patience or CONNECT
  local refusal = M.obstacle(pid, patience)
  if refusal then return failure("closed", pid, refusal) end
  return converse(question, pid, patience, counts)
end

---The dump of another process that uses braid. The user must own it, or be root. Suspends.
---@param pid integer
---@param patience number? seconds until the answer must begin; default 1
---@return string? text with control characters escaped
---@return table? err kind "closed": it cannot be asked, "timeout": it did not answer
function M.ask(pid, patience)
  local text, err = ask(pid, patience, false)
  return text and core.printable(text, true), err
end

---The numbers of another process, for `braid top`: lines of fields with tabs between them. Suspends.
---@param pid integer
---@return string? text as it came
---@return table? err as for `ask`
function M.count(pid) return ask(pid, nil, true) end

return M
