-- SPDX-License-Identifier: MIT
--- Draws `braid top`: lines of text that are as wide as the terminal, with colours or without.

local units = require "braid.units"
local views = require "braid.command.top.views"

local M = {}

local BAR = 10 -- characters

local CODES = { title = "1", head = "30;46", mark = "30;47", bar = "32", busy = "31", faint = "2", alarm = "1;31",
  key = "30;46" }

local function painted(text, colour, plain)
  if plain or text == "" then return text end
  return "\27[" .. CODES[colour] .. "m" .. text .. "\27[0m"
end

-- A line of the table. The last column takes what is left.
local function line(view, width, cell)
  local parts, used = {}, 0
  for _, column in ipairs(view.columns) do
    local room = column.width == 0 and math.max(0, width - used) or column.width
    if used + math.abs(room) > width then break end
    local text = units.cut(cell(column), math.abs(room))
    parts[#parts + 1] = column.width == 0 and text or units.pad(text, room)
    used = used + math.abs(room) + 1
  end
  return units.pad(units.cut(table.concat(parts, " "), width), width)
end

local function sum(rows, key)
  local total = 0
  for _, row in ipairs(rows) do total = total + (row[key] or 0) end
  return total
end

local function bar(share, width, plain)
  local full = math.floor(math.min(1, share) * width + 0.5)
  return "[" .. painted(("|"):rep(full), share > 0.9 and "busy" or "bar", plain) .. (" "):rep(width - full) .. "]"
end

local function most(rows, key)
  local highest = 0
  for _, row in ipairs(rows) do highest = math.max(highest, row[key] or 0) end
  return highest
end

-- The three lines at the top.
local function summary(sample, settings, width)
  local first = sample.processes[1]
  local title = first and ("braid top  %d  %s"):format(first.pid, first.command) or "braid top"
  local up = first and "up " .. units.clock(first.up) or ""
  local cpu, cores = sum(sample.processes, "cpu"), settings.cores
  local numbers = (" %3.0f%%  MEM %s  loops %d  lag %s  tasks %d"):format(cpu * 100,
    units.bytes(sum(sample.processes, "memory")), #sample.loops, units.seconds(most(sample.loops, "lag")),
    sum(sample.loops, "tasks"))
  local jobs = ("jobs %d running, %d queued, %s done/s  queued items %d  waits for locks %d"):format(
    sum(sample.pools, "running"), sum(sample.pools, "queued"), ("%.0f"):format(sum(sample.pools, "done_rate")),
    sum(sample.queues, "size"), sum(sample.locks, "waiters"))
  local name = units.cut(title, math.max(0, width - #up - 1))
  return {
    painted(units.cut(units.pad(name, width - #up) .. up, width), "title", settings.plain),
    width < BAR + 6 and units.cut(numbers, width)
      or "CPU " .. bar(cpu / cores, BAR, settings.plain) .. units.cut(numbers, width - BAR - 6),
    units.cut(jobs, width),
  }
end

local function tabs(sample, settings, width)
  local parts, used = {}, 0
  for i, view in ipairs(views.list) do
    local text = (" %d %s %d "):format(i, view.title, #sample[view.name])
    if used + #text > width then break end
    used = used + #text
    parts[#parts + 1] = view == settings.view and painted(text, "mark", settings.plain) or text
  end
  return table.concat(parts)
end

local function heading(settings, width)
  local key = settings.sort or settings.view.sort
  local text = line(settings.view, width, function(column)
    return column.key == key and column.title .. (settings.reverse and "+" or "-") or column.title
  end)
  return painted(text, "head", settings.plain)
end

local HELP = {
  "1-6, Tab        the tables: processes, loops, tasks, pools, queues, locks",
  "arrows, PgUp/Dn move; Home, End: first and last row",
  "< >             sort by another column;  I: the other way round",
  "/ or F4         show only rows with a text;  Esc: all of them",
  "+ -             a longer or shorter time between two samples",
  "p, space        stand still, and go on",
  "q, F10, Ctrl-C  quit",
  "",
  "LAG     how late the loop answers: how long a task that is ready waits at most",
  "STEPS/s how often tasks go on",
  "SINCE   how long a task waits, or a job runs",
}

local function footer(settings, width)
  if settings.typing then return units.cut("filter: " .. settings.filter .. "_", width) end
  local keys = "1-6 table  < > sort  I reverse  / filter  p pause  h help  q quit"
  local state = settings.paused and "paused" or ("every %g s"):format(settings.delay)
  if settings.filter ~= "" then state = ("filter %q  "):format(settings.filter) .. state end
  if settings.message then state = settings.message end
  local text = units.pad(units.cut(keys, math.max(0, width - #state - 1)), math.max(0, width - #state)) .. state
  return painted(units.cut(text, width), "key", settings.plain)
end

local function body(sample, settings, width, room)
  local lines, rows = {}, views.rows(settings.view, sample, settings)
  settings.count = #rows
  settings.at = math.max(1, math.min(settings.at, #rows))
  settings.first = math.max(1, math.min(settings.first, settings.at, math.max(1, #rows - room + 1)))
  if settings.at >= settings.first + room then settings.first = settings.at - room + 1 end
  for i = settings.first, math.min(#rows, settings.first + room - 1) do
    local text = line(settings.view, width, function(column) return views.cell(column, rows[i]) end)
    lines[#lines + 1] = i == settings.at and painted(text, "mark", settings.plain) or text
  end
  return lines
end

---The lines of a screen: not more than `height`, each not wider than `width`.
---@param sample braid.top.Sample
---@param settings table
---@param width integer
---@param height integer
---@return string[]
function M.lines(sample, settings, width, height)
  local lines = summary(sample, settings, width)
  for i = 1, math.min(#sample.deadlocks, math.max(0, height // 3)) do
    lines[#lines + 1] = painted(units.cut(sample.deadlocks[i], width), "alarm", settings.plain)
  end
  lines[#lines + 1] = tabs(sample, settings, width)
  lines[#lines + 1] = heading(settings, width)
  local room = math.max(0, height - #lines - 1)
  local shown = settings.help and HELP or body(sample, settings, width, room)
  for i = 1, math.min(room, #shown) do lines[#lines + 1] = settings.help and units.cut(shown[i], width) or shown[i] end
  while #lines < height - 1 do lines[#lines + 1] = "" end
  lines[#lines + 1] = footer(settings, width)
  return table.move(lines, 1, height, 1, {})
end

---All tables, without colours, for a file.
---@param sample braid.top.Sample
---@param settings table
---@param width integer
---@return string
function M.page(sample, settings, width)
  local lines = summary(sample, settings, width)
  for _, text in ipairs(sample.deadlocks) do lines[#lines + 1] = text end
  for _, view in ipairs(views.list) do
    local chosen = view == settings.view
    local rows = views.rows(view, sample,
      { filter = settings.filter, sort = chosen and settings.sort or nil, reverse = chosen and settings.reverse })
    if #rows > 0 and (chosen or not settings.only) then
      lines[#lines + 1] = ""
      lines[#lines + 1] = view.title
      lines[#lines + 1] = line(view, width, function(column) return column.title end)
      for _, row in ipairs(rows) do
        lines[#lines + 1] = line(view, width, function(column) return views.cell(column, row) end)
      end
    end
  end
  for i, text in ipairs(lines) do lines[i] = text:gsub("%s+$", "") end
  return table.concat(lines, "\n") .. "\n"
end

return M
