-- SPDX-License-Identifier: MIT
-- Measures what a function does with its time: runs each item of a sample here.
local core = require "braid.core"
local statistics = require "braid.experiments.statistics"

local M = {}

---@class braid.Profile
---@field count integer
---@field wall number seconds of an item, on average
---@field cpu number seconds of it in which this thread computed, or was ready while others had its core
---@field blocked number seconds of it in which the thread waited and nothing else could run
---@field suspended number seconds of it in which other tasks could run
---@field elsewhere number seconds of processor time that other threads and programs used at the same time
---@field longest number seconds of the longest item
---@field results table
---@field refusal string? why the function or an item cannot be sent
---@field bytes_in number bytes of an item, encoded
---@field bytes_out number bytes of a result
---@field encode_in number seconds to encode an item
---@field decode_in number seconds to decode it
---@field encode_out number
---@field decode_out number
---@field ship number seconds to encode and decode the function
---@field kernel number? seconds of an item, if a kernel gets it with the others
---@field failures table<string, string> what the function raised in pilot runs, by model
---@field unsafe string? a module that the function uses and that is not safe in several threads
---@field why_unsafe string? the reason

-- ---- time -----------------------------------------------------------------------------------------------------------

-- Seconds in which this thread was ready and had no core; 0 if the system does not tell.
local function stolen_time()
  local file <close> = io.open "/proc/thread-self/schedstat"
  local nanoseconds = file and file:read("a"):match "^%d+ (%d+)"
  return nanoseconds and nanoseconds * 1e-9 or 0
end

local function run_items(fn, items, n)
  local walls, cpus, idles, results = {}, {}, {}, { n = n }
  local now, thread_time, idle_time = core.now, core.thread_time, core.idle_time
  for i = 1, n do
    local idle, cpu, began = idle_time(), thread_time(), now()
    results[i] = fn(items[i])
    walls[i] = now() - began
    cpus[i], idles[i] = thread_time() - cpu, idle_time() - idle
  end
  return walls, cpus, idles, results
end

local function mean(values, n, overhead)
  local sum = 0
  for i = 1, n do sum = sum + math.max(0, values[i] - overhead) end
  return sum / n
end

-- Processor time of the other threads of this process, and of child processes.
local function time_elsewhere()
  return os.clock() + core.children_time() - core.thread_time()
end

-- The time that the measurement itself takes.
local function overheads()
  local walls, cpus = run_items(function() end, {}, 50)
  return statistics.median(walls), statistics.median(cpus)
end

-- Splits the time of an item into computing, blocked and suspended. If the thread was ready without a core, its steps
-- and its waits became longer; the lost time is shared between them.
local function split(profile, cpu, taken)
  local share = cpu / math.max(cpu + profile.suspended, profile.wall - taken, 1e-9)
  profile.cpu = math.min(cpu + taken * share, profile.wall - profile.suspended)
  local rest = profile.wall - profile.suspended - profile.cpu
  profile.blocked = math.max(0, rest - taken * (1 - share))
  profile.suspended = profile.suspended + rest - profile.blocked
  if profile.blocked > 0.05 * profile.wall then return end -- less is noise
  local greater = profile.suspended > profile.cpu and "suspended" or "cpu"
  profile[greater] = profile[greater] + profile.blocked
  profile.blocked = 0
end

local function measure_time(profile, fn, items, n)
  local wall_overhead, cpu_overhead = overheads()
  fn(items[1]) -- work that only the first call does (modules, connections) is not the items' time
  local stolen, elsewhere, began = stolen_time(), time_elsewhere(), core.now()
  local walls, cpus, idles, results = run_items(fn, items, n)
  local took = core.now() - began
  stolen = stolen_time() - stolen
  elsewhere = time_elsewhere() - elsewhere
  profile.results = results
  profile.wall = mean(walls, n, wall_overhead)
  profile.suspended = math.min(profile.wall, mean(idles, n, 0))
  profile.elsewhere = elsewhere > 0.02 * took and elsewhere / n or 0 -- less is an error of the clocks
  split(profile, mean(cpus, n, cpu_overhead), math.min(stolen, took) / n)
  profile.longest = math.max(table.unpack(walls, 1, math.min(n, 200)))
end

-- ---- size -----------------------------------------------------------------------------------------------------------

-- Returns for one value of a list: its encoded bytes, and the seconds to encode and to decode it.
local function measure_list(list, n)
  local size, encoding, decoding = 0, {}, {}
  for i = 1, 3 do
    local began = core.now()
    local parcel = core.encode(list)
    local between = core.now()
    core.decode(parcel)
    encoding[i], decoding[i], size = between - began, core.now() - between, #parcel
  end
  return size / n, statistics.median(encoding) / n, statistics.median(decoding) / n
end

local function measure_size(profile, fn, items, n)
  local _, encode, decode = measure_list({ fn }, 1)
  profile.ship = encode + decode
  profile.bytes_in, profile.encode_in, profile.decode_in = measure_list(table.move(items, 1, n, 1, {}), n)
  profile.bytes_out, profile.encode_out, profile.decode_out = measure_list(profile.results, n)
end

-- ---- modules --------------------------------------------------------------------------------------------------------

-- Modules that have one state for the whole process, or whose libraries do not support several threads.
local UNSAFE = {
  ["lfs"] = { "chdir", "the working directory is the process's" },
  ["posix"] = { "chdir umask setenv fork", "the directory, the mask and the environment are the process's" },
  ["posix.unistd"] = { "chdir fork", "the working directory is the process's" },
  ["posix.stdlib"] = { "setenv", "the environment is the process's" },
  ["lgi"] = { true, "GLib's main loop belongs to one thread" },
  ["curses"] = { true, "there is one screen" }, ["readline"] = { true, "there is one line" },
  ["rrd"] = { true, "librrd keeps its state for the process" }, ["alien"] = { true, "nobody knows what it calls" },
  ["ffi"] = { true, "nobody knows what it calls" }, ["cffi"] = { true, "nobody knows what it calls" },
  ["lua-gtk"] = { true, "GTK belongs to one thread" }, ["wx"] = { true, "windows belong to one thread" },
  ["iuplua"] = { true, "windows belong to one thread" },
}

-- The source lines of a function, if its file can be read.
local function source_of(fn)
  local info = debug.getinfo(fn, "S")
  if info.source:sub(1, 1) ~= "@" then
    return info.source:sub(1, 1) ~= "=" and info.source or ""
  end
  local file = io.open(info.source:sub(2))
  if not file then return "" end
  local held <close> = file
  local lines, number = {}, 0
  for line in file:lines() do
    number = number + 1
    if number > info.lastlinedefined then break end
    if number >= info.linedefined then lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n")
end

local function mentions(text, names)
  for name in names:gmatch "%S+" do
    if text:find("[%.:]%s*" .. name .. "%f[%W]") then return true end
  end
  return false
end

-- Whether a function uses a module: its source requires it, or an upvalue is the module or one of its functions.
local function uses(fn, text, name, loaded)
  if text:find("require%s*%(?%s*[\"']" .. name:gsub("%p", "%%%0") .. "[\"']") then return true end
  if loaded == nil then return false end
  for i = 1, 255 do
    local upvalue, value = debug.getupvalue(fn, i)
    if not upvalue then return false end
    if value == loaded then return true end
    if type(value) == "function" and type(loaded) == "table" then
      for _, member in pairs(loaded) do
        if member == value then return true end
      end
    end
  end
end

local function find_unsafe(profile, fn)
  if type(fn) ~= "function" or debug.getinfo(fn, "S").what == "C" then return end
  local text = source_of(fn)
  for name, entry in pairs(UNSAFE) do
    local which = entry[1]
    if which and uses(fn, text, name, package.loaded[name]) and (which == true or mentions(text, which)) then
      profile.unsafe, profile.why_unsafe = name, entry[2]
      return
    end
  end
end

---Measures a kernel, which gets all items in one call.
---@param profile braid.Profile its field kernel is set
---@param kernel fun(items: any[]): any
---@param items any[]
function M.measure_kernel(profile, kernel, items)
  kernel(items) -- the first call starts its threads
  local began = core.now()
  kernel(items)
  profile.kernel = (core.now() - began) / profile.count
end

---Runs the first item once as a warm-up, then each item once, here, and measures. Errors of fn are raised. Suspends.
---@param fn fun(item: any): any
---@param items any[] not empty
---@return braid.Profile
function M.measure(fn, items)
  local n = items.n or #items
  local profile = { count = n, failures = {} }
  measure_time(profile, fn, items, n)
  local ok, refusal = pcall(measure_size, profile, fn, items, n)
  if not ok then profile.refusal = tostring(refusal) end
  find_unsafe(profile, fn)
  return profile
end

return M
