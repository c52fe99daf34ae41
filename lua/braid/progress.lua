-- SPDX-License-Identifier: MIT
-- Progress bars on stderr: several at once on a terminal; otherwise a line from time to time.
local core = require "braid.core"
local errors = require "braid.errors"
local units = require "braid.units"

local M = {}

-- ---- the screen -----------------------------------------------------------------------------------------------------

-- The bars on the screen, the oldest at the top. The cursor is in the line of the last one.
local screen = { texts = {}, drawn = 0 }

-- Draws all bars again. The text `above` stays above them. Uses one write, so lines of other threads do not mix in.
local function redraw(above)
  local parts = {}
  if screen.drawn > 1 then parts[1] = ("\27[%dA"):format(screen.drawn - 1) end
  parts[#parts + 1] = "\r\27[J"
  if above then parts[#parts + 1] = above .. "\n" end
  parts[#parts + 1] = table.concat(screen.texts, "\n")
  screen.drawn = #screen.texts
  io.stderr:write(table.concat(parts))
end

local function place_of(line)
  for i, other in ipairs(screen) do
    if other == line then return i end
  end
end

local function show(line, text)
  local place = place_of(line) or #screen + 1
  screen[place], screen.texts[place] = line, text
  redraw()
end

local function finish(line, text)
  local place = place_of(line)
  if place then
    table.remove(screen, place)
    table.remove(screen.texts, place)
  end
  redraw(text)
end

-- ---- the bar --------------------------------------------------------------------------------------------------------

---Shows the progress of some work. It is an iterator itself, and can be held in a `<close>` variable. If it is
---forgotten, it is finished when it is collected.
---@class braid.Progress
---@field count number the amount done
---@field total number? the whole amount
local Progress = {}

-- The rate is a mean over about so many seconds.
local MEMORY = 5

local EIGHTHS = { [0] = "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function bar(fraction, width)
  local filled = math.floor(fraction * width * 8 + 0.5)
  local text = ("█"):rep(filled // 8) .. EIGHTHS[filled % 8]
  return units.pad(text, width)
end

local function learn_rate(self, now)
  local dt = now - self._looked
  if dt <= 0 then return end
  local rate = (self.count - self._seen) / dt
  local weight = 1 - math.exp(-dt / MEMORY)
  if not self._rate then
    self._rate = self.count / math.max(now - self._began, 1e-9)
  else
    self._rate = self._rate + weight * (rate - self._rate)
  end
  self._looked, self._seen = now, self.count
end

-- The parts that are known: "420/1000", "1.3 k/s", "0:12 left".
local function words(self, now, ended)
  local say = self._unit == "bytes" and units.bytes or units.count
  local spent = now - self._began
  local rate = ended and self.count / math.max(spent, 1e-9) or self._rate
  local amount = say(self.count)
  if self.total then amount = amount .. "/" .. say(self.total) end
  if self._unit and self._unit ~= "bytes" then amount = amount .. " " .. self._unit end
  local parts = { amount }
  if rate and self.count > 0 then parts[#parts + 1] = say(rate) .. "/s" end
  if ended or not self.total or not rate or rate <= 0 then
    parts[#parts + 1] = ended and spent < 10 and units.seconds(spent) or units.clock(spent)
  else
    parts[#parts + 1] = units.clock(math.max(0, self.total - self.count) / rate) .. " left"
  end
  return table.concat(parts, "  ")
end

local function draw(self, now, ended)
  local name = self._name and self._name .. "  " or ""
  local text, total = words(self, now, ended), self.total
  local fraction = total and total > 0 and math.min(1, self.count / total)
  local percent = fraction and ("%3d %%"):format(fraction * 100 // 1) or ""
  if not self._columns then
    return ("%s%s%s%s"):format(name, percent, percent ~= "" and "  " or "", text)
  end
  local room = math.min(30, self._columns - 1 - units.width(name) - #percent - units.width(text) - 4)
  local middle = fraction and room >= 4 and " " .. bar(fraction, room) .. "  " or "  "
  local line = name .. percent .. (fraction and middle or "") .. text
  if units.width(line) < self._columns then return line end
  return line:sub(1, (utf8.offset(line, self._columns) or #line + 1) - 1)
end

local function look(self, now)
  self._next = now + self._interval
  learn_rate(self, now)
  local text = draw(self, now, false)
  if self._columns then show(self._line, text) else io.stderr:write(text, "\n") end
end

local function check_amount(what, name, value)
  if type(value) == "number" and value == value then return end
  errors.misuse(2, "bad argument '%s' to '%s' (a number expected, got %s)", name, what, errors.described(value))
end

---Adds to the amount done.
---@param n number? default 1
---@return braid.Progress self
function Progress:advance(n)
  if n ~= nil then check_amount("advance", "n", n) end
  self.count = self.count + (n or 1)
  local now = core.now()
  if now >= self._next and not self._ended then look(self, now) end
  return self
end

---Sets the amount done, and the total. For transfers, which learn their size late.
---@param done number
---@param total number? nil: unchanged
---@return braid.Progress self
function Progress:update(done, total)
  check_amount("update", "done", done)
  if total ~= nil then check_amount("update", "total", total) end
  if total and total > 0 then self.total = total end
  return self:advance(done - self.count)
end

---Finishes the bar: its last line is written and stays. A second call does nothing.
function Progress:done()
  if self._ended then return end
  self._ended = true
  local text = draw(self, core.now(), true)
  if self._columns then finish(self._line, text) else io.stderr:write(text, "\n") end
end

---Writes a line above the bars.
---@param text string
function Progress:write(text)
  if self._columns then redraw(text) else io.stderr:write(text, "\n") end
end

-- One step of a `for` loop: the previous item is done.
local function step(self)
  if self._taken then self:advance() end
  local item, second = self._input()
  self._taken = item ~= nil
  if item == nil then self:done() end
  return item, second
end

local Class = {
  __name = "braid.progress", __index = Progress, __call = step, __close = Progress.done, __gc = Progress.done,
  __tostring = function(self) return draw(self, core.now(), self._ended) end,
}

-- ---- making one -----------------------------------------------------------------------------------------------------

local known = { total = "number", name = "string", unit = "string", interval = "number" }

local function count_up(total)
  local i = 0
  return function()
    i = i + 1
    if i <= total then return i end
  end
end

local function walk(list)
  local i, n = 0, list.n or #list
  return function()
    i = i + 1
    if i > n then return nil end
    local item = list[i]
    return item == nil and core.null or item, i
  end, n
end

-- Returns the iterator of the input, and its size if it is known.
local function read(what)
  if type(what) == "number" then return count_up(what), what end
  if getmetatable(what) == core.Queue then return function() return (what:get()) end end
  if type(what) == "table" and not (getmetatable(what) or {}).__call then return walk(what) end
  if what ~= nil then
    errors.check_function(2, "progress", "what", what)
    return what
  end
end

---@class braid.ProgressOptions
---@field name string? text before the bar
---@field total number? the whole amount, if the iterator does not tell it
---@field unit string? "bytes" gives MB and MB/s; any other text follows the numbers
---@field interval number? seconds between two updates; default 0.1 on a terminal, 10 elsewhere

---Makes a bar on stderr with rate and remaining time. If stderr is no terminal, writes a plain line every ten seconds
---and at the end. Iterate over it, or call `advance` and `done`:
---
---    for item in braid.progress(list) do work(item) end
---@param what number|any[]|braid.Queue|(fun(): any)|nil a total, a list, a queue or an iterator
---@param opts braid.ProgressOptions?
---@return braid.Progress bar followed by the values that `for` needs to finish it when the loop is left
function M.progress(what, opts)
  errors.check_options(1, "progress", opts, known)
  opts = opts or {}
  local input, total = read(what)
  total = opts.total or total
  if total and (total < 0 or total ~= total) then
    errors.misuse(1, "bad argument 'what' to 'progress' (a total, not negative, expected, got %s)", total)
  end
  local columns = core.terminal(2)
  local interval = opts.interval or (columns and 0.1 or 10)
  local now = core.now()
  local self = setmetatable({
    count = 0, total = total, _input = input, _name = opts.name, _unit = opts.unit,
    _columns = columns, _interval = interval, _began = now, _looked = now, _seen = 0,
    _next = columns and now or now + interval, _line = {}, _ended = false,
  }, Class)
  if columns then look(self, now) end
  return self, nil, nil, self
end

---Makes the bar for an option `progress`, which is true, a table of options, or an existing bar.
---@param wish boolean|braid.ProgressOptions|braid.Progress|nil
---@param total number?
---@param unit string?
---@return braid.Progress? bar nil: no bar is wanted
---@return braid.Progress? own the same bar for a `<close>` variable, if it was made here
function M.from_option(wish, total, unit)
  if not wish then return nil end
  if getmetatable(wish) == Class then return wish end
  local opts = { total = total, unit = unit }
  for name, value in pairs(type(wish) == "table" and wish or {}) do opts[name] = value end
  local made = M.progress(nil, opts)
  return made, made
end

errors.guard(Class, Progress)

return M
