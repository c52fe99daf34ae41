-- SPDX-License-Identifier: MIT
--- The numbers of running processes, as they answer for `braid top`, and what they were a moment before.

local core = require "braid.core"
local dump = require "braid.debug.dump"
local gather = require "braid.tasks.gather"

local M = {}

---@class braid.top.Row
---@field pid integer
---@field id string the same in the next sample

---@class braid.top.Sample
---@field time number
---@field processes table[] by pid, in order
---@field loops braid.top.Row[]
---@field tasks braid.top.Row[]
---@field pools braid.top.Row[]
---@field queues braid.top.Row[]
---@field locks braid.top.Row[]
---@field deadlocks string[] lines

-- ---- what the system tells --------------------------------------------------------------------------------------

local TICKS = 100 -- of processor time in a second: Linux tells it so everywhere

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a"
end

-- Processor seconds, and the time at which it began, in seconds after the system's start.
local function processor_time(path)
  local text = read(path)
  local fields = {}
  for word in (text and text:match ".*%) (.*)" or ""):gmatch "%S+" do fields[#fields + 1] = word end
  if #fields < 20 then return nil end
  return (fields[12] + fields[13]) / TICKS, fields[20] / TICKS
end

local function memory(pid)
  local status = read(("/proc/%d/status"):format(pid)) or ""
  return (tonumber(status:match "VmRSS:%s*(%d+)") or 0) * 1024
end

local function uptime() return tonumber((read "/proc/uptime" or "0"):match "^[%d.]+") end

local function new_process(pid, parent)
  local cpu, began = processor_time(("/proc/%d/stat"):format(pid))
  if not cpu then return nil end
  return { pid = pid, id = tostring(pid), parent = parent, cpu_time = cpu, up = uptime() - began, memory = memory(pid),
    command = dump.command_line(pid), threads = #(core.numbers(("/proc/%d/task"):format(pid)) or {}), tasks = 0,
    loops = 0 }
end

-- ---- what the process tells ---------------------------------------------------------------------------------------

local function fields_of(line)
  local fields = {}
  for field in (line .. "\t"):gmatch "(.-)\t" do fields[#fields + 1] = core.printable(field) end
  return fields
end

local function count(text) return math.tointeger(tonumber(text)) or 0 end

local READERS = {}

function READERS.loop(sample, process, f)
  local thread = count(f[3])
  local row = { pid = process.pid, id = process.pid .. ":" .. thread, name = f[2], thread = thread, state = f[4],
    cpu_time = processor_time(("/proc/%d/task/%d/stat"):format(process.pid, thread)), process = process }
  if f[4] == "free" then
    row.idle, row.steps, row.tasks, row.waiting = count(f[5]) / 1e9, count(f[6]), count(f[7]), count(f[8])
    row.ready, row.memory, row.lag, row.jobs = count(f[9]), count(f[10]), count(f[11]) / 1e9, count(f[12])
    process.tasks = process.tasks + row.tasks
  end
  process.loops = process.loops + 1
  if process.parent then process.command = row.name end -- its command line is braid's own
  process.current = row
  table.insert(sample.loops, row)
end

function READERS.task(sample, process, f)
  table.insert(sample.tasks, { pid = process.pid, id = process.pid .. ":" .. f[2], number = f[2], kind = f[3],
    state = f[4], seconds = tonumber(f[5]) or 0, name = f[6] or "", place = f[7] or "", loop = process.current })
end

function READERS.pool(sample, process, f)
  process.pools = process.pools + 1
  table.insert(sample.pools, { pid = process.pid, id = process.pid .. ":" .. process.pools .. ":" .. (f[10] or ""),
    kind = f[2], workers = count(f[3]), queued = count(f[4]), running = count(f[5]), done = count(f[6]),
    failed = count(f[7]), cancelled = count(f[8]), busy = count(f[9]) / 1e9, name = f[10] or "" })
end

function READERS.child(_, process, f) table.insert(process.children, count(f[2])) end

-- A job in a worker process: the process tells of it itself, unless it computes.
function READERS.job(sample, process, f)
  table.insert(sample.begun, { pid = count(f[2]), parent = process.pid, seconds = tonumber(f[3]) or 0,
    name = f[4] or "" })
end

local function once(process, number)
  local new = not process.seen[number]
  process.seen[number] = true
  return new
end

-- Several states of a process know the same queue.
function READERS.queue(sample, process, f)
  if not once(process, f[2]) then return end
  table.insert(sample.queues, { pid = process.pid, id = process.pid .. ":" .. f[2], number = f[2], size = count(f[3]),
    maxsize = count(f[4]), puts = count(f[5]), getters = count(f[6]), putters = count(f[7]), state = f[8] })
end

function READERS.lock(sample, process, f)
  if not once(process, f[2]) then return end
  local holder = f[6] ~= "0" and (f[7] == "0" and process.pid or count(f[7])) .. ":" .. f[6] or nil
  table.insert(sample.locks, { pid = process.pid, id = process.pid .. ":" .. f[2], number = f[2], kind = f[3],
    waiters = count(f[4]), count = count(f[5]), holder = holder })
end

local function read_answer(sample, process, text)
  process.children, process.seen, process.pools = {}, {}, 0
  for line in text:gmatch "[^\n]+" do
    local fields = fields_of(line)
    local reader = READERS[fields[1]]
    if reader then
      reader(sample, process, fields)
    else
      table.insert(sample.deadlocks, core.printable(line))
    end
  end
end

-- Asks the process, and then the workers that it names.
local function ask(sample, pid, parent, asked)
  asked[pid] = true
  local process = new_process(pid, parent)
  if not process then return end
  table.insert(sample.processes, process)
  local text, err = dump.count(pid)
  if not text then
    process.problem = err.message
    return
  end
  read_answer(sample, process, text)
  local workers = {}
  for _, child in ipairs(process.children) do
    if not asked[child] and dump.is_child(child, pid) then workers[#workers + 1] = child end
  end
  gather.map(function(child) ask(sample, child, pid, asked) end, workers, { limit = 8 })
end

-- ---- names and rates ----------------------------------------------------------------------------------------------

-- Jobs of worker processes that compute, and have told nothing.
local function add_begun(sample)
  local told = {}
  for _, task in ipairs(sample.tasks) do
    if task.kind == "job" then told[task.pid] = true end
  end
  for _, job in ipairs(sample.begun) do
    if not told[job.pid] then
      table.insert(sample.tasks, { pid = job.pid, id = job.pid .. ":" .. job.name, kind = "job", state = "runs",
        name = job.name, seconds = job.seconds, place = "" })
    end
  end
end

local function name_holders(sample)
  local by_id = {}
  for _, task in ipairs(sample.tasks) do by_id[task.id] = task end
  for _, lock in ipairs(sample.locks) do
    local task = by_id[lock.holder]
    lock.holder_name = task and (task.name ~= "" and task.name or task.place) or lock.holder and "?" or ""
  end
end

local function by_id(rows)
  local found = {}
  for _, row in ipairs(rows) do found[row.id] = row end
  return found
end

-- Adds `to` = how fast `from` grows.
local function add_rates(rows, before, seconds, from, to)
  local old = by_id(before)
  for _, row in ipairs(rows) do
    local last = old[row.id]
    if last and last[from] and row[from] then row[to] = math.max(0, (row[from] - last[from]) / seconds) end
  end
end

---Adds the rates since an older sample.
---@param sample braid.top.Sample
---@param before braid.top.Sample
function M.compare(sample, before)
  local seconds = math.max(1e-3, sample.time - before.time)
  add_rates(sample.processes, before.processes, seconds, "cpu_time", "cpu")
  add_rates(sample.loops, before.loops, seconds, "cpu_time", "cpu")
  add_rates(sample.loops, before.loops, seconds, "steps", "steps_rate")
  add_rates(sample.pools, before.pools, seconds, "done", "done_rate")
  add_rates(sample.queues, before.queues, seconds, "puts", "rate")
end

---Asks processes and their worker processes. Suspends.
---@param pids integer[]
---@return braid.top.Sample
function M.take(pids)
  local sample = { time = core.now(), processes = {}, loops = {}, tasks = {}, pools = {}, queues = {}, locks = {},
    begun = {}, deadlocks = {} }
  local asked = {}
  gather.map(function(pid) if not asked[pid] then ask(sample, pid, nil, asked) end end, pids, { limit = 8 })
  add_begun(sample)
  name_holders(sample)
  return sample
end

return M
