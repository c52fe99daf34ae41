-- SPDX-License-Identifier: MIT
--- The tables of `braid top`: which rows and columns each has, and how they are sorted.

local units = require "braid.units"

local M = {}

---@class braid.top.Column
---@field key string of a row
---@field title string
---@field width integer characters; negative: aligned to the right; 0: what is left of the line
---@field show nil|fun(value: any, row: table): string

local function percent(value) return value and ("%.0f%%"):format(value * 100) or "" end
local function per_second(value)
  return value and (value < 10 and value > 0 and "%.1f" or "%.0f"):format(value) or ""
end

local function seconds(value) return value and units.seconds(value) or "" end
local function bytes(value) return value and value > 0 and units.bytes(value) or "" end
local function number(value) return value and ("%d"):format(value) or "" end
local function some(value) return value and value > 0 and ("%d"):format(value) or "" end

local function name_or_place(_, row) return row.name ~= "" and row.name or "-" end
local function room(_, row) return row.maxsize == 0 and number(row.size) or ("%d/%d"):format(row.size, row.maxsize) end

local function name_of_loop(value, row) return row.state == "busy" and value .. " (computes)" or value end

local function define(key, title, width, show) return { key = key, title = title, width = width, show = show } end

local PID, CPU = define("pid", "PID", -7), define("cpu", "CPU", -5, percent)
local MEMORY = define("memory", "MEMORY", -8, bytes)

---@type { name: string, title: string, sort: string, columns: braid.top.Column[] }[]
M.list = {
  { name = "processes", title = "Processes", sort = "cpu", columns = {
    PID, CPU, MEMORY, define("threads", "THREADS", -7, number), define("loops", "LOOPS", -5, number),
    define("tasks", "TASKS", -7, number), define("up", "UP", -8, units.clock),
    define("command", "COMMAND", 0, function(value, row) return row.problem or value end) } },
  { name = "loops", title = "Loops", sort = "cpu", columns = {
    PID, define("thread", "THREAD", -7), CPU, define("steps_rate", "STEPS/s", -8, per_second),
    define("lag", "LAG", -8, seconds), define("tasks", "TASKS", -7, number), define("ready", "READY", -6, number),
    define("waiting", "WAIT", -7, number), define("jobs", "JOBS", -5, some), MEMORY,
    define("name", "LOOP", 0, name_of_loop) } },
  { name = "tasks", title = "Tasks", sort = "seconds", columns = {
    PID, define("kind", "KIND", 4), define("state", "STATE", 5), define("seconds", "SINCE", -8, seconds),
    define("name", "NAME", 24, name_or_place), define("place", "WHERE", 0) } },
  { name = "pools", title = "Pools", sort = "running", columns = {
    PID, define("kind", "KIND", 9), define("workers", "WORKERS", -7), define("running", "RUN", -5, number),
    define("queued", "QUEUED", -7, number), define("done_rate", "DONE/s", -8, per_second),
    define("done", "DONE", -9, number), define("failed", "FAILED", -6, some),
    define("cancelled", "CANCELLED", -9, some), define("name", "POOL", 0) } },
  { name = "queues", title = "Queues", sort = "rate", columns = {
    PID, define("size", "LENGTH", -12, room), define("rate", "PUTS/s", -9, per_second),
    define("puts", "PUTS", -10, number), define("getters", "GETTERS", -7, some),
    define("putters", "PUTTERS", -7, some), define("state", "STATE", 7), define("number", "QUEUE", 0) } },
  { name = "locks", title = "Locks", sort = "waiters", columns = {
    PID, define("kind", "KIND", 9), define("waiters", "WAITERS", -7, number),
    define("count", "COUNT", -6, function(value, row) return row.kind == "lock" and "" or number(value) end),
    define("number", "NUMBER", 14), define("holder_name", "HELD BY", 0) } },
}

M.by_name = {}
for i, view in ipairs(M.list) do M.by_name[view.name] = i end

---What a column shows of a row.
---@param column braid.top.Column
---@param row table
---@return string
function M.cell(column, row)
  local value = row[column.key]
  if column.show then return column.show(value, row) end
  return value == nil and "" or tostring(value)
end

local function matches(view, row, filter)
  for _, column in ipairs(view.columns) do
    if M.cell(column, row):lower():find(filter, 1, true) then return true end
  end
  return false
end

-- Numbers: the largest first; text: in order of the alphabet; rows without a value last.
local function before(a, b, key)
  local x, y = a[key], b[key]
  if x == y then return a.order < b.order end
  if x == nil or y == nil then return y == nil end
  if type(x) == "number" and type(y) == "number" then return x > y end
  return tostring(x) < tostring(y)
end

---The rows of a view, filtered and sorted.
---@param view table
---@param sample braid.top.Sample
---@param settings { sort: string?, reverse: boolean?, filter: string? }
---@return table[]
function M.rows(view, sample, settings)
  local rows, filter = {}, (settings.filter or ""):lower()
  for i, row in ipairs(sample[view.name]) do
    row.order = i
    if filter == "" or matches(view, row, filter) then rows[#rows + 1] = row end
  end
  local key = settings.sort or view.sort
  table.sort(rows, function(a, b)
    if settings.reverse then a, b = b, a end
    return before(a, b, key)
  end)
  return rows
end

return M
