-- SPDX-License-Identifier: MIT
--- Proves that a function leaves nothing: what the state and the process hold is compared before and after it.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

-- Threads that stay until the process ends.
local LASTING = { ["braid-kernels"] = true, ["braid-answer"] = true, ["braid-nats"] = true, ["braid-deadlocks"] = true }

local function first_line(path)
  local handle <close> = io.open(path)
  return handle and handle:read "l"
end

local function add_descriptors(held)
  local counts = {}
  for _, fd in ipairs(core.proc_names "/proc/self/fd" or {}) do
    local target = core.proc_link("/proc/self/fd/" .. fd)
    local fleeting = target and (target:find "^/proc/%d+/fd$" or target:find "^/memfd:braid ") -- the memory of arrays
    if target and target:find "^anon_inode:" then -- by how many there are: a loop may replace its poller
      counts[target] = (counts[target] or 0) + 1
      held[("descriptor %s (number %d of them)"):format(target, counts[target])] = true
    elseif target and not fleeting then
      held[("descriptor %s, %s"):format(fd, target)] = true
    end
  end
end

local function add_threads_and_children(held)
  for _, thread in ipairs(core.proc_names "/proc/self/task" or {}) do
    local name = first_line(("/proc/self/task/%s/comm"):format(thread))
    if name and not LASTING[name] then held[("thread %s, %s"):format(thread, name)] = true end
    local children = first_line(("/proc/self/task/%s/children"):format(thread)) or ""
    for child in children:gmatch "%d+" do held["child process " .. child] = true end
  end
end

-- What belongs to the process: a set of words. Empty where there is no /proc.
local function of_process()
  local held = {}
  add_descriptors(held)
  add_threads_and_children(held)
  return held
end

local function of_state()
  local tasks = {}
  for _, task in ipairs(core.tasks()) do tasks[task] = true end
  local jobs, timers, locks = core.state_holdings()
  return { tasks = tasks, jobs = jobs, timers = timers, locks = locks }
end

local function snapshot() return { state = of_state(), process = of_process() } end

local function add_more(left, what, before, after)
  local more = after - before
  if more > 0 then left[#left + 1] = more == 1 and "a " .. what or ("%d %ss"):format(more, what) end
end

local function left_in_state(before)
  local left, now, busy = {}, of_state(), false
  for _, task in ipairs(core.tasks()) do
    if not before.tasks[task] then
      left[#left + 1] = "task " .. tostring(task.name or task)
      busy = true
    end
  end
  add_more(left, "job", before.jobs, now.jobs)
  if not busy then add_more(left, "timer", before.timers, now.timers) end -- a task that sleeps has one
  add_more(left, "held lock", before.locks, now.locks)
  return left
end

local function left_in_process(before)
  local left = {}
  for holding in pairs(of_process()) do
    if not before[holding] then left[#left + 1] = holding end
  end
  table.sort(left)
  return left
end

-- Threads and descriptors end a moment later: seconds of the machine's clock.
local PATIENCE, FIRST_PAUSE, LONGEST_PAUSE = 2, 0.005, 0.1

local function collect()
  collectgarbage()
  collectgarbage()
end

-- Tasks that are about to end get a few turns.
local function rest()
  for _ = 1, 10 do core.checkpoint() end
end

local function wait_for_process(before)
  local left, pause, waited = left_in_process(before), FIRST_PAUSE, 0
  while #left > 0 and waited < PATIENCE do
    core.pause(pause)
    waited, pause = waited + pause, math.min(pause * 2, LONGEST_PAUSE)
    rest()
    collect()
    left = left_in_process(before)
  end
  return left
end

---Calls fn and fails if it leaves something that was not there before: a task, a job, a timer, a held lock, a
---descriptor, a thread or a child process. Raises fn's own error. Suspends.
---@param fn fun(...): ...
---@param ... any its arguments
---@return any ... what fn returned
function M.nothing_left(fn, ...)
  errors.check_function(1, "nothing_left", "fn", fn)
  core.checkpoint() -- the loop's own descriptors are there from now on
  local before = snapshot()
  local results = table.pack(errors.try(fn, ...))
  if not results[1] then core.rethrow(results[2], results[3]) end
  rest()
  local left = left_in_state(before.state)
  if #left > 0 then -- it may belong to something that is garbage now
    collect()
    rest()
    left = left_in_state(before.state)
  else
    collect()
  end
  table.move(wait_for_process(before.process), 1, 1000, #left + 1, left)
  if #left > 0 then errors.misuse(1, "left behind: %s", table.concat(left, "; ")) end
  return table.unpack(results, 2, results.n)
end

return M
