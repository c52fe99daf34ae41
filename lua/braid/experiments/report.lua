-- SPDX-License-Identifier: MIT
-- The results of an experiment: as a table with bars, as charts, as JSON, and as one self-contained page.
local document = require "braid.document"
local errors = require "braid.errors"
local machine = require "braid.experiments.machine"
local plot = require "braid.experiments.plot"
local statistics = require "braid.experiments.statistics"
local units = require "braid.units"

local M = {}

---@class braid.Measured
---@field name string
---@field kind string
---@field workers integer?
---@field times number[] seconds of each run
---@field median number
---@field low number the first quartile
---@field high number the third quartile
---@field least number
---@field most number
---@field speedup number how many times as fast as the first model
---@field cpu number seconds of processor time of one run, of all threads
---@field busy number cores in use on average
---@field start number seconds to open the pool and to get the first job back
---@field differs integer? the first item whose result differs from that of the first model

---@class braid.Report
---@field name string
---@field items integer
---@field machine braid.Machine
---@field date string
---@field models braid.Measured[]
---@field fastest braid.Measured
---@field same boolean whether all models gave the same results
local Report = {}
local Class = { __name = "braid.report", __index = Report }

-- The colour of each model in the charts.
local COLORS = { inline = 1, tasks = 2, threads = 3, processes = 4, kernel = 5, cluster = 6 }

---@param opts braid.ExperimentOptions
---@param models table[]
---@param facts braid.Machine
---@param time integer
---@return braid.Report
function M.new(opts, models, facts, time)
  local self = setmetatable({
    name = opts.name or "experiment", items = opts.items.n or #opts.items, machine = facts,
    date = os.date("%Y-%m-%d %H:%M", time), models = models, same = true,
  }, Class)
  for _, model in ipairs(models) do
    model.speedup = models[1].median / model.median
    model.busy = model.wall > 0 and model.cpu / model.wall or 0
    if model.differs then self.same = false end
    if not self.fastest or model.median < self.fastest.median then self.fastest = model end
  end
  return self
end

local function plural(count, one, many)
  return ("%d %s"):format(count, count == 1 and one or many or one .. "s")
end

local function workers_of(model)
  if model.kind == "inline" or model.kind == "kernel" or not model.workers then return nil end
  return plural(model.workers, model.kind == "tasks" and "task" or "worker")
end

local function times(factor)
  return ("%.2f ×"):format(factor)
end

local SURE = 0.05 -- a difference that chance makes more often than this is none

-- The model with which the fastest one is compared: the first; if that is the fastest, the next one.
local function other_of(self)
  if self.fastest ~= self.models[1] then return self.models[1] end
  local other
  for _, model in ipairs(self.models) do
    if model ~= self.fastest and (not other or model.median < other.median) then other = model end
  end
  return other
end

-- What the runs show: "faster", "none" (no difference), "few" (too few runs), or nil with one model.
local function finding_of(self)
  local other = other_of(self)
  if not other then return nil end
  if #self.fastest.times < 4 or #other.times < 4 then return "few", other end
  local chance = statistics.chance(self.fastest.times, other.times)
  return chance < SURE and "faster" or "none", other, chance
end

local function comparison(self)
  local first, fastest = self.models[1], self.fastest
  local finding, other, chance = finding_of(self)
  local items = plural(self.items, "item")
  if finding == "none" then
    return ("No difference shown between %s and %s: %s and %s for %s (%d and %d runs, p = %.2f)."):format(fastest.name,
      other.name, units.seconds(fastest.median), units.seconds(other.median), items, #fastest.times, #other.times,
        chance)
  end
  local doubt = finding == "few" and " Too few runs to be sure." or ""
  if fastest == first then
    return ("Nothing was faster than %s: %s for %s.%s"):format(first.name, units.seconds(first.median), items, doubt)
  end
  return ("Fastest: %s, %.2f times as fast as %s: %s instead of %s for %s.%s"):format(fastest.name, fastest.speedup,
    first.name, units.seconds(fastest.median), units.seconds(first.median), items, doubt)
end

-- What makes the numbers doubtful: other work on the machine, and runs far from the others.
local function doubts(self)
  local sentences = {}
  local facts, evidence = self.machine, {}
  local cores = facts.cores or 1
  if facts.load and facts.load > 0.5 * cores then evidence[1] = ("load %.1f before it began"):format(facts.load) end
  if facts.others and facts.others > 0.1 * cores then
    evidence[#evidence + 1] = ("other programs used %.1f of %d cores"):format(facts.others, cores)
  end
  if evidence[1] then sentences[1] = ("The machine was busy (%s)."):format(table.concat(evidence, ", ")) end
  for _, model in ipairs(self.models) do
    for _, run in ipairs(statistics.outliers(model.times)) do
      sentences[#sentences + 1] = ("Run %d of %s was an outlier (%s)."):format(run, model.name,
        units.seconds(model.times[run]))
    end
  end
  return sentences
end

---The result in a few sentences. A difference is named only where a rank test at 95 % shows one.
---@return string
function Report:verdict()
  local sentences = { comparison(self) }
  if self.same then sentences[2] = "All models gave the same results." end
  for _, model in ipairs(self.models) do
    if model.differs then
      sentences[#sentences + 1] = ("But %s gave another result than %s for item %d."):format(model.name,
        self.models[1].name, model.differs)
    end
  end
  table.move(doubts(self), 1, 64, #sentences + 1, sentences)
  return table.concat(sentences, " ")
end

-- ---- the table ------------------------------------------------------------------------------------------------------

local HEAD = { "model", "median", "quartiles", "runs", "speed-up", "CPU time", "cores", "start", "" }

local function cells(model, slowest)
  return {
    model.name, units.seconds(model.median),
    units.seconds(model.low) .. " … " .. units.seconds(model.high), tostring(#model.times),
    times(model.speedup), units.seconds(model.cpu), ("%.2f"):format(model.busy), units.seconds(model.start),
    ("█"):rep(math.max(1, math.floor(model.median / slowest * 24 + 0.5))) .. (model.differs and "  differs" or ""),
  }
end

local function rows_of(self)
  local slowest, rows = 0, { HEAD }
  for _, model in ipairs(self.models) do slowest = math.max(slowest, model.median) end
  for _, model in ipairs(self.models) do rows[#rows + 1] = cells(model, slowest) end
  return rows
end

function Class.__tostring(self)
  local rows, widths = rows_of(self), {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, units.width(cell)) end
  end
  local lines = { self.name .. ": " .. plural(self.items, "item"), machine.line(self.machine), "" }
  for _, row in ipairs(rows) do
    local padded = {}
    for i, cell in ipairs(row) do
      local edge = i == 1 or i == #row
      padded[i] = i == #row and cell or units.pad(cell, edge and widths[i] or -widths[i])
    end
    lines[#lines + 1] = (table.concat(padded, "  "):gsub("%s+$", ""))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = self:verdict()
  return table.concat(lines, "\n")
end

---Prints the table.
function Report:print()
  print(tostring(self))
end

-- ---- pictures -------------------------------------------------------------------------------------------------------

local function subtitle(self)
  return ("%s; %s"):format(plural(self.items, "item"), machine.line(self.machine))
end

local function bars(self, in_page)
  local rows = {}
  for i, model in ipairs(self.models) do
    rows[i] = {
      label = model.name, note = workers_of(model), color = COLORS[model.kind], value = model.median, low = model.low,
      high = model.high, dots = model.times, remark = i > 1 and times(model.speedup) .. " as fast" or nil,
    }
  end
  return plot.bars {
    title = in_page and "How long it took" or self.name, rows = rows,
    subtitle = in_page and "median, quartiles and each run" or subtitle(self),
    label = "time for " .. plural(self.items, "item"),
  }
end

local function timeline(self)
  local groups = {}
  for _, model in ipairs(self.models) do
    if model.lanes then
      groups[#groups + 1] = {
        label = model.name, note = workers_of(model), color = COLORS[model.kind], lanes = model.lanes,
      }
    end
  end
  return plot.timeline {
    title = "Who worked when", subtitle = "one lane for each worker, one block for each item", groups = groups,
    label = "time in one more run",
  }
end

local function check_path(what, path)
  if path ~= nil and type(path) ~= "string" then
    errors.misuse(2, "bad argument 'path' to '%s' (a string or nil expected, got %s)", what, errors.described(path))
  end
end

local function write(path, text)
  if not path then return text end
  local ok, err = document.save(path, text)
  if not ok then return nil, err end
  return text
end

---The chart of the times, or the timeline, as SVG.
---@param path string? where to write it
---@param which "times"|"timeline"|nil default "times"
---@return string? svg
---@return braid.Error? err
function Report:svg(path, which)
  check_path("svg", path)
  if which ~= nil and which ~= "times" and which ~= "timeline" then
    errors.misuse(1, "bad argument 'which' to 'svg' (\"times\" or \"timeline\" expected, got %s)", tostring(which))
  end
  return write(path, which == "timeline" and timeline(self) or bars(self))
end

---All numbers as JSON.
---@param path string? where to write it
---@return string? json
---@return braid.Error? err
function Report:json(path)
  check_path("json", path)
  local models = {}
  for i, model in ipairs(self.models) do
    models[i] = {
      name = model.name, kind = model.kind, workers = model.workers, times = model.times, median = model.median,
      low = model.low, high = model.high, least = model.least, most = model.most, speedup = model.speedup,
      cpu = model.cpu, busy = model.busy, start = model.start, same = not model.differs,
    }
  end
  return write(path, require "braid.json".encode({
    name = self.name, date = self.date, items = self.items, machine = self.machine, models = models, same = self.same,
    fastest = self.fastest.name, verdict = self:verdict(),
  }, { invalid = "replace" }) .. "\n")
end

-- ---- the page -------------------------------------------------------------------------------------------------------

local PAGE = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
:root { color-scheme: light dark; --ink: #1d2330; --muted: #626b7c; --line: #e3e6ec; --ground: #f6f7f9; --card: #ffffff;
  --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --muted: #9aa3b5; --line: #2e3442; --ground: #0f1218;
  --card: #161a22; --accent: #56b4e9; } }
body { margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5; font-size: 15px;
  font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; }
.facts { color: var(--muted); margin: 0 0 22px; }
.verdict { font-size: 18px; border-left: 4px solid var(--accent); padding: 2px 0 2px 16px; margin: 0 0 26px; }
figure, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0 0 22px;
  padding: 10px 12px; overflow-x: auto; }
figure svg { display: block; width: 100%%; height: auto; }
figcaption { color: var(--muted); font-size: 13px; padding: 4px 8px 6px; }
table { border-collapse: collapse; width: 100%%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--muted); font-weight: 500; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.fastest td { font-weight: 650; }
.note { color: var(--muted); font-size: 13px; }
</style>
</head>
<body>
<main>
<h1>%s</h1>
<p class="facts">%s</p>
<p class="verdict">%s</p>
<figure>
%s<figcaption>Bar: median of the runs. Whisker: the middle half of them. Dots: each run.</figcaption>
</figure>
<figure>
%s<figcaption>One more run of each model, watched item by item. Strong colour: computing; faint: waiting.</figcaption>
</figure>
<div class="card">
<table>
%s
</table>
</div>
<p class="note">Speed-up: against %s. CPU time: processor time of all threads in one run; cores: that time by the
clock's. Start: opening the pool until its first job is back, not part of the times.</p>
</main>
</body>
</html>
]]

local function html_table(self)
  local lines = {}
  for i, row in ipairs(rows_of(self)) do
    local tag, texts = i == 1 and "th" or "td", {}
    for column = 1, #row - 1 do texts[column] = ("<%s>%s</%s>"):format(tag, plot.escape(row[column]), tag) end
    local class = self.models[i - 1] == self.fastest and ' class="fastest"' or ""
    lines[i] = ("<tr%s>%s</tr>"):format(class, table.concat(texts))
  end
  return table.concat(lines, "\n")
end

---One page with the charts and the table. It loads nothing from elsewhere.
---@param path string? where to write it
---@return string? html
---@return braid.Error? err
function Report:html(path)
  check_path("html", path)
  local name, facts = plot.escape(self.name), plot.escape(machine.line(self.machine))
  return write(path, PAGE:format(name, name, facts .. ". " .. plot.escape(self.date) .. ".",
    plot.escape(self:verdict()), bars(self, true), timeline(self), html_table(self), plot.escape(self.models[1].name)))
end

errors.guard(Class, Report)

return M
