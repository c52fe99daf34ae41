-- SPDX-License-Identifier: MIT
--- braid top: a screen that shows what running processes do, again and again.

local braid = require "braid"
local core = require "braid.core"
local dump = require "braid.debug.dump"
local errors = require "braid.errors"
local json = require "braid.json"
local keys = require "braid.command.top.keys"
local options = require "braid.command.options"
local sample = require "braid.command.top.sample"
local screen = require "braid.command.top.screen"
local views = require "braid.command.top.views"

local M = { summary = "a screen of loops, tasks, jobs, queues and locks of running processes" }

M.usage = [[
usage: braid top [PID] [options]

Shows what a process does, and its worker processes; without PID all processes that use braid.

  --delay SECONDS   between two samples (2)
  --view NAME       processes, loops, tasks, pools, queues or locks
  --sort COLUMN     by its title, as in "CPU"
  --filter TEXT     only rows with this text
  --once            prints all tables once, and ends (also without a terminal); with --view only that one
  --json            the same as one JSON object
  --no-color        no colours (also if NO_COLOR is set)

Keys: 1-6 or Tab choose the table, < > the column to sort by, I turns the order, / filters, p pauses, h tells more,
q quits. The process answers as for braid ps, once in each interval; a loop that computes does not answer, and is busy.
]]

local known = { delay = "number", view = "string", sort = "string", filter = "string", once = "flag", json = "flag",
  no_color = "flag" }

local SHORTEST, LONGEST, FIRST = 0.2, 60, 0.5 -- seconds between samples; before the second one

-- ---- settings -------------------------------------------------------------------------------------------------------

local function choose_view(name)
  if not name then return nil end
  local number = views.by_name[name:lower()]
  if number then return views.list[number] end
  local near = errors.nearest(name:lower(), views.by_name)
  options.refuse("--view: there is no table %q%s", name, near and (", did you mean %q?"):format(near) or "")
end

local function choose_column(view, title)
  if not title then return nil end
  for _, column in ipairs(view.columns) do
    if column.title:lower() == title:lower() or column.key == title:lower() then return column.key end
  end
  options.refuse("--sort: the table %s has no column %q", view.name, title)
end

local function read_settings(read, pid)
  local delay = read.delay or 2
  if not (delay >= SHORTEST and delay <= LONGEST) then
    options.refuse("--delay: %g to %g seconds expected, got %g", SHORTEST, LONGEST, delay)
  end
  local view = choose_view(read.view) or views.list[pid and views.by_name.tasks or 1]
  return { delay = delay, view = view, only = read.view ~= nil, sort = choose_column(view, read.sort),
    filter = read.filter or "", plain = read.no_color or os.getenv "NO_COLOR" ~= nil, at = 1, first = 1,
    cores = math.max(1, braid.cpu_count()) }
end

-- ---- samples --------------------------------------------------------------------------------------------------------

local function pids_of(pid)
  if pid then return { pid } end
  return dump.processes()
end

-- A sample with rates since `before`. An error if the process that is watched is gone, or cannot be asked.
local function take(pid, before)
  local taken = sample.take(pids_of(pid))
  local first = taken.processes[1]
  if pid and not first then error(("there is no process %d"):format(pid), 0) end
  if pid and first.problem then error(first.problem, 0) end
  if before then sample.compare(taken, before) end
  return taken
end

local function print_once(pid, settings, as_json, delay)
  local before = take(pid)
  braid.sleep(delay)
  local taken = take(pid, before)
  if not as_json then
    settings.plain = true
    io.stdout:write(screen.page(taken, settings, core.terminal(1) or 160))
    return 0
  end
  local all = { deadlocks = json.array(taken.deadlocks) }
  for _, view in ipairs(views.list) do
    local rows = json.array {}
    for _, row in ipairs(views.rows(view, taken, { filter = settings.filter })) do
      local copy = {}
      for key, value in pairs(row) do if type(value) ~= "table" and key ~= "order" then copy[key] = value end end
      rows[#rows + 1] = copy
    end
    all[view.name] = rows
  end
  print(json.encode(all, { sort_keys = true, invalid = "replace" }))
  return 0
end

-- ---- keys -----------------------------------------------------------------------------------------------------------

local function select_view(settings, number)
  local view = views.list[number]
  if not view then return end
  settings.view, settings.sort, settings.reverse, settings.at, settings.first = view, nil, nil, 1, 1
end

local function sort_by(settings, step)
  local columns, key = settings.view.columns, settings.sort or settings.view.sort
  for i, column in ipairs(columns) do
    if column.key == key then
      settings.sort = columns[(i - 1 + step) % #columns + 1].key
      return
    end
  end
end

local function number_of(view)
  for i, other in ipairs(views.list) do if other == view then return i end end
end

local function move(settings, by) settings.at = math.max(1, math.min((settings.count or 1), settings.at + by)) end

local ACTIONS = {
  quit = function(settings) settings.done = true end,
  help = function(settings) settings.help = not settings.help end,
  filter = function(settings) settings.typing = true end,
  escape = function(settings)
    if settings.help then settings.help = false else settings.filter = "" end
  end,
  tab = function(settings) select_view(settings, number_of(settings.view) % #views.list + 1) end,
  backtab = function(settings) select_view(settings, (number_of(settings.view) - 2) % #views.list + 1) end,
  up = function(settings) move(settings, -1) end,
  down = function(settings) move(settings, 1) end,
  pageup = function(settings) move(settings, -10) end,
  pagedown = function(settings) move(settings, 10) end,
  home = function(settings) settings.at = 1 end,
  ["end"] = function(settings) settings.at = math.max(1, settings.count or 1) end,
  ["<"] = function(settings) sort_by(settings, -1) end,
  [">"] = function(settings) sort_by(settings, 1) end,
  I = function(settings) settings.reverse = not settings.reverse end,
  p = function(settings) settings.paused = not settings.paused end,
  ["+"] = function(settings) settings.delay = math.min(LONGEST, settings.delay * 2) end,
  ["-"] = function(settings) settings.delay = math.max(SHORTEST, settings.delay / 2) end,
}
ACTIONS.q, ACTIONS.h, ACTIONS["?"], ACTIONS["/"] = ACTIONS.quit, ACTIONS.help, ACTIONS.help, ACTIONS.filter
ACTIONS[" "], ACTIONS.left, ACTIONS.right = ACTIONS.p, ACTIONS["<"], ACTIONS[">"]

-- A key while the filter is typed.
local function type_key(settings, key)
  if key == "enter" then
    settings.typing = false
  elseif key == "escape" then
    settings.typing, settings.filter = false, ""
  elseif key == "back" then
    settings.filter = settings.filter:gsub("[^\128-\191][\128-\191]*$", "")
  elseif key == "quit" then
    settings.done = true
  elseif utf8.len(key) == 1 and key:byte() >= 32 then
    settings.filter = settings.filter .. key
  end
end

local function press(settings, key)
  if settings.typing then
    type_key(settings, key)
  elseif key:find "^%d$" then
    select_view(settings, tonumber(key))
  elseif ACTIONS[key] then
    ACTIONS[key](settings)
  end
end

-- ---- the screen -----------------------------------------------------------------------------------------------------

local ENTER, LEAVE = "\27[?1049h\27[?25l\27[?7l", "\27[?7h\27[?25h\27[?1049l"

-- The terminal as it was comes back when the variable closes.
local function open_terminal()
  local before, why = core.terminal_raw(0)
  if not before then error("the terminal cannot be used: " .. why, 0) end
  io.stdin:setvbuf "no"
  io.stdout:write(ENTER)
  return setmetatable({}, { __close = function()
    io.stdout:write(LEAVE)
    io.stdout:flush()
    core.terminal_restore(0, before)
  end })
end

local function draw(taken, settings)
  local width, height = core.terminal(1)
  if not width then return end
  local lines = screen.lines(taken, settings, width, height)
  io.stdout:write("\27[H\27[2K", table.concat(lines, "\r\n\27[2K"))
  io.stdout:flush()
end

-- Reads keys until the end; tells `changed` after each.
local function read_keys(settings, changed)
  local text = ""
  while not settings.done do
    local key
    key, text = keys.take(text, false)
    if key then
      press(settings, key)
      changed:set()
    else
      local ready = braid.wait_fd(0, "r", text ~= "" and 0.05 or nil)
      local byte = ready and io.stdin:read(1)
      if byte then
        text = text .. byte
      elseif ready then
        settings.done = true -- the terminal is gone
        changed:set()
      else
        key, text = keys.take(text, true)
        if key then press(settings, key) end
        changed:set()
      end
    end
  end
end

-- A new size of the window, and the end from outside.
local function read_signals(signals, settings, changed)
  for name in signals do
    if name ~= "WINCH" then settings.done = true end
    changed:set()
  end
end

-- Shows samples until somebody quits. If the process ends, its last sample stays.
local function watch(pid, settings)
  local changed = braid.event()
  local signals <close> = braid.signals("WINCH", "TERM", "HUP", "INT")
  local terminal <close> = open_terminal() -- luacheck: ignore
  local taken = take(pid)
  local next_time = braid.now() + math.min(FIRST, settings.delay)
  braid.spawn(read_keys, settings, changed):daemon()
  braid.spawn(read_signals, signals, settings, changed):daemon()
  while not settings.done do
    draw(taken, settings)
    changed:wait(math.max(0, math.min(next_time - braid.now(), settings.delay)))
    changed:clear()
    if settings.over or settings.paused or braid.now() < next_time then
      if braid.now() >= next_time then next_time = braid.now() + settings.delay end
    else
      local ok, fresh = pcall(take, pid, taken)
      if ok then taken = fresh else settings.message, settings.over = errors.text(fresh), true end
      next_time = braid.now() + settings.delay
    end
  end
  return 0
end

---@param words string[]
---@return integer status
function M.main(words)
  local read, rest = options.read(words, known)
  local pid = rest[1] and math.tointeger(tonumber(rest[1]))
  if #rest > 1 or (rest[1] and (not pid or pid < 1)) then
    io.stderr:write(M.usage)
    return 2
  end
  local settings = read_settings(read, pid)
  local once = read.once or read.json or not core.terminal(0) or not core.terminal(1)
  return braid.run(function()
    if once then return print_once(pid, settings, read.json, math.min(FIRST, settings.delay)) end
    return watch(pid, settings)
  end)
end

return M
