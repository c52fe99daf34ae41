-- SPDX-License-Identifier: MIT
--- A timeline of steps of tasks and of jobs in threads and processes, from submit to result.

local core = require "braid.core"
local document = require "braid.document"
local errors = require "braid.errors"
local json = require "braid.json"

local M = {}

local MOST = 100000 -- spans of a page

-- Joins neighbouring steps of a track that are too short to be seen, until there are at most MOST spans. A joined span
-- tells how many steps it has.
local function thinned(spans, duration)
  local width = duration / MOST
  while #spans > MOST do
    local kept, last = {}, {} -- last[track .. kind]: the span that may grow
    for _, span in ipairs(spans) do
      local key = span.kind .. span.track
      local before = last[key]
      if before and span.last - before.first < width then
        before.last, before.steps = math.max(before.last, span.last), (before.steps or 1) + (span.steps or 1)
        if before.name ~= span.name then before.name = "several" end
      else
        kept[#kept + 1], last[key] = span, span
      end
    end
    spans, width = kept, width * 2
  end
  return spans
end

-- Makes spans, tracks and jobs (drawn as arrows) from the log.
local function collect()
  local names, open, origin = {}, {}, nil
  local spans, jobs, tracks, order = {}, {}, {}, {}
  local duration = 0

  local function track_of(number)
    if not tracks[number] then
      order[#order + 1] = number
      tracks[number] = number < 0 and ("process %d"):format(-number) or ("thread %d"):format(number)
    end
    return number
  end

  local function add(kind, whose, track, first, last)
    spans[#spans + 1] = { kind = kind, name = names[whose] or kind, track = track_of(track), first = first - origin,
      last = last - origin, whose = whose }
  end

  local function job_of(whose)
    jobs[whose] = jobs[whose] or { name = names[whose] or "job" }
    return jobs[whose]
  end

  local finished = {}
  local ends = { park = { "step", "task" }, done = { "run", "job" }, kernel_end = { "kernel", "kernel" } }
  for i = 1, math.huge do
    local what, whose, track, time, name = core.trace_event(i)
    if not what then break end
    origin = origin or time
    duration = math.max(duration, time - origin)
    local step = "step" .. track .. ":" .. whose
    if what == "name" and open[step] and names[whose] ~= name then -- a worker goes on with another job
      add("task", whose, track, open[step], time)
      open[step] = time
    end
    if what == "name" or what == "kernel" then names[whose] = name end
    if what == "step" or what == "run" or what == "kernel" then
      open[what .. track .. ":" .. whose] = time
      if what == "run" then job_of(whose).run = { track = track_of(track), time = time - origin } end
    elseif ends[what] then
      local begun = ends[what][1] .. track .. ":" .. whose
      if open[begun] then add(ends[what][2], whose, track, open[begun], time) end
      open[begun] = nil
      if what == "done" then job_of(whose).done = { track = track_of(track), time = time - origin } end
    elseif what == "submit" then
      jobs[whose] = { name = names[whose] or "job", submit = { track = track_of(track), time = time - origin } }
    elseif what == "home" then
      local job = job_of(whose)
      job.home = { track = track_of(track), time = time - origin }
      finished[#finished + 1] = job
      jobs[whose] = nil -- the next job may have the same address
    end
  end
  for _, job in pairs(jobs) do finished[#finished + 1] = job end
  local named = {}
  for i, number in ipairs(order) do named[i] = { number = number, name = tracks[number] } end
  table.sort(spans, function(a, b) return a.first < b.first end)
  return { spans = json.array(thinned(spans, duration)), jobs = json.array(finished), tracks = json.array(named) }
end

-- ---- for Perfetto -------------------------------------------------------------------------------------------------

local function microseconds(seconds) return math.floor(seconds * 1e9 + 0.5) / 1e3 end

-- Whether a time is inside one of the slices of a track, which are in order and apart.
local function is_inside(slices, time)
  local low, high = 1, slices and #slices or 0
  while low <= high do
    local middle = (low + high) // 2
    local slice = slices[middle]
    if time < slice.ts then
      high = middle - 1
    elseif time > slice.ts + slice.dur then
      low = middle + 1
    else
      return true
    end
  end
  return false
end

-- Steps of tasks are slices: a thread runs one at a time, so they nest. Jobs and kernels may overlap in a thread, so
-- they are asynchronous events: each has its own lane.
local function add_spans(events, trace, place)
  local slices = {}
  for id, span in ipairs(trace.spans) do
    local where = place(span.track)
    local first, last = microseconds(span.first), microseconds(span.last)
    if span.kind == "task" then
      local slice = { ph = "X", cat = "task", name = span.name, pid = where.pid, tid = where.tid, ts = first,
        dur = last - first, args = span.steps and { steps = span.steps } or nil }
      slices[span.track] = slices[span.track] or {}
      table.insert(slices[span.track], slice)
      events[#events + 1] = slice
    else
      for _, edge in ipairs { { "b", first }, { "e", last } } do
        events[#events + 1] = { ph = edge[1], cat = span.kind, name = span.name, id = id, pid = where.pid,
          tid = where.tid, ts = edge[2] }
      end
    end
  end
  return slices
end

-- Arrows from a job's submit over its run to its result. An arrow is drawn only from and to slices: where there is
-- none, a slice without length is made.
local function add_arrows(events, trace, place, slices)
  for id, job in ipairs(trace.jobs) do
    for _, phase in ipairs { { "submit", "s" }, { "run", "t" }, { "home", "f" } } do
      local at = job[phase[1]]
      if at then
        local where, ts = place(at.track), microseconds(at.time)
        if not is_inside(slices[at.track], ts) then
          events[#events + 1] = { ph = "X", cat = "point", name = phase[1] .. " " .. job.name, pid = where.pid,
            tid = where.tid, ts = ts, dur = 0 }
        end
        events[#events + 1] = { ph = phase[2], cat = "job", name = job.name, id = id, pid = where.pid, tid = where.tid,
          ts = ts, bp = phase[2] == "f" and "e" or nil }
      end
    end
  end
end

-- Chrome's trace format, which Perfetto reads. Times in microseconds; "X" is a slice; "b" and "e" are the ends of an
-- asynchronous event; "s", "t" and "f" are points of an arrow.
local function to_perfetto(trace)
  local events, pid = {}, core.pid()
  local function place(track) return { pid = track < 0 and -track or pid, tid = math.abs(track) } end
  for _, track in ipairs(trace.tracks) do
    local where = place(track.number)
    events[#events + 1] = { ph = "M", name = "thread_name", pid = where.pid, tid = where.tid,
      args = { name = track.name } }
  end
  add_arrows(events, trace, place, add_spans(events, trace, place))
  return json.encode({ traceEvents = json.array(events), displayTimeUnit = "ms" }, { invalid = "replace" })
end

-- ---- the page -----------------------------------------------------------------------------------------------------

-- The trace in a short form: names once, spans as lists of kind, name, track, first, last and steps.
local function compact(trace)
  local names, number, spans = {}, {}, {}
  local kinds = { task = 0, job = 1, kernel = 2 }
  for at, span in ipairs(trace.spans) do
    local name = span.steps and ("%s (%d steps)"):format(span.name, span.steps) or span.name
    if not number[name] then
      names[#names + 1] = name
      number[name] = #names - 1
    end
    spans[at] = json.array { kinds[span.kind], number[name], span.track, microseconds(span.first),
      microseconds(span.last) }
  end
  return { names = json.array(names), spans = json.array(spans), jobs = trace.jobs, tracks = trace.tracks }
end

local PAGE = [==[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>braid trace</title>
<style>
:root { color-scheme: light dark; --ink: #1a1a1a; --faint: #8886; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #161616; } }
body { margin: 24px; font: 14px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
canvas { width: 100%; display: block; cursor: grab; }
@media (max-width: 600px) { body { margin: 12px; } }
#about { min-height: 1.4em; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 4px 0 12px;
  vertical-align: -1px; }
</style></head><body>
<h1 style="font-size:18px">braid trace</h1>
<p><span class="key" style="background:#0072b2;margin-left:0"></span>steps of tasks
<span class="key" style="background:#e69f00"></span>jobs
<span class="key" style="background:#009e73"></span>kernels
<span style="margin-left:12px">curves: submit &rarr; run &rarr; result. Wheel: zoom; drag: move.</span></p>
<p id="about">&nbsp;</p><canvas id="c"></canvas>
<script>
const trace = @TRACE@;
trace.spans = trace.spans.map(s => ({ kind: ["task", "job", "kernel"][s[0]], name: trace.names[s[1]], track: s[2],
  first: s[3] / 1e6, last: s[4] / 1e6 }));
const canvas = document.getElementById("c"), about = document.getElementById("about"), g = canvas.getContext("2d");
const row = 44, bar = 16, left = 112, head = 28, index = new Map(trace.tracks.map((t, i) => [t.number, i]));
const end = trace.jobs.reduce((t, j) => Math.max(t, j.home ? j.home.time : 0),
  trace.spans.reduce((t, s) => Math.max(t, s.last), 1e-6));
let from = 0, to = end;
const ink = () => getComputedStyle(document.body).color;
const x = t => left + (t - from) / (to - from) * (canvas.clientWidth - left - 10);
const y = track => head + index.get(track) * row;
const upper = s => y(s.track) + (s.kind === "task" ? 2 : 4 + bar);
const unit = s => s < 1e-3 ? (s * 1e6).toFixed(1) + " us" : s < 1 ? (s * 1e3).toFixed(2) + " ms" : s.toFixed(3) + " s";
function draw() {
  const w = canvas.clientWidth, h = head + trace.tracks.length * row + 10, k = devicePixelRatio || 1;
  canvas.width = w * k; canvas.height = h * k; canvas.style.height = h + "px";
  g.setTransform(k, 0, 0, k, 0, 0); g.clearRect(0, 0, w, h);
  g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle"; g.fillStyle = ink();
  for (const t of trace.tracks) {
    g.fillText(t.name, 0, y(t.number) + row / 2 - 3);
    g.globalAlpha = .15; g.fillRect(left, y(t.number) + row - 6, w - left - 10, 1); g.globalAlpha = 1;
  }
  const raw = (to - from) / Math.min(8, (w - left) / 80), mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(f => f * mag).find(f => f >= raw);
  g.textAlign = "center";
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    g.globalAlpha = .15; g.fillRect(x(t), head - 6, 1, h); g.globalAlpha = 1; g.fillText(unit(t), x(t), 10);
  }
  g.textAlign = "left"; g.save(); g.beginPath(); g.rect(left, 0, w - left - 10, h); g.clip();
  for (const s of trace.spans) {
    if (s.last < from || s.first > to) continue;
    const a = x(s.first), b = Math.max(a + 1, x(s.last));
    const up = upper(s), start = Math.max(a, left);
    g.fillStyle = { task: "#0072b2", job: "#e69f00", kernel: "#009e73" }[s.kind];
    g.fillRect(a, up, b - a, bar);
    if (b - start > 60) { g.fillStyle = s.kind === "task" ? "#fff" : "#111"; g.save(); g.beginPath();
      g.rect(start, up, b - start - 4, bar); g.clip(); g.fillText(s.name, start + 4, up + bar / 2 + 1); g.restore(); }
  }
  g.strokeStyle = ink(); g.globalAlpha = .35;
  for (const j of trace.jobs) for (const [p, q] of [[j.submit, j.run], [j.done, j.home]]) {
    if (!p || !q) continue;
    const a = x(p.time), b = x(q.time), ya = y(p.track) + bar + 3, yb = y(q.track) + bar + 3;
    g.beginPath(); g.moveTo(a, ya); g.bezierCurveTo((a + b) / 2, ya, (a + b) / 2, yb, b, yb); g.stroke();
  }
  g.restore(); g.globalAlpha = 1;
}
const time = e => from + (e.offsetX - left) / (canvas.clientWidth - left - 10) * (to - from);
canvas.onwheel = e => {
  e.preventDefault();
  const t = time(e), f = e.deltaY > 0 ? 1.25 : .8;
  from = Math.max(0, t - (t - from) * f);
  to = Math.min(end, t + (to - t) * f);
  draw();
};
canvas.onmousemove = e => {
  if (e.buttons) { const d = -e.movementX / (canvas.clientWidth - left - 10) * (to - from);
    if (from + d >= 0 && to + d <= end) { from += d; to += d; draw(); } }
  const t = time(e);
  const near = s => s.first <= t && t <= s.last && upper(s) <= e.offsetY && e.offsetY <= upper(s) + bar;
  const s = trace.spans.filter(near).pop();
  about.textContent = s ? `${s.name}: ${unit(s.last - s.first)} at ${unit(s.first)}` : "\u00a0";
};
addEventListener("resize", draw); draw();
</script></body></html>
]==]

-- The content of the file, as one or several strings.
local function render(path, trace)
  if not path:find "%.html?$" then return to_perfetto(trace) end
  local text = json.encode(compact(trace), { invalid = "replace" }):gsub("</", "<\\/")
  local before, after = PAGE:match "^(.*)@TRACE@(.*)$"
  return before, text, after
end

---Runs fn(...) and writes a timeline: every step of a task, and every job in a thread or process, with the way from its
---submit over its run to its result. A path that ends in .html gets a self-contained page; any other gets JSON for
---Perfetto and Chrome. The timeline is written even if fn raises. Raises kind "system" if the file cannot be written.
---Only one trace can run at a time. Suspends if fn does.
---@param path string
---@param fn fun(...): ...
---@param ... any its arguments
---@return any ... what fn returned
function M.trace(path, fn, ...)
  if type(path) ~= "string" then
    errors.misuse(1, "bad argument #1 to 'trace' (path: a string expected, got %s)", errors.described(path))
  end
  errors.check_function(1, "trace", "fn", fn)
  local file, problem = document.open(path) -- before fn runs: else its work would be in vain
  if not file then error(problem) end
  if not core.trace_start() then
    file:close()
    errors.misuse(1, "a trace is under way already: one at a time")
  end
  local results = table.pack(errors.try(fn, ...))
  core.trace_stop()
  local written, err = document.finish(file, path, render(path, collect()))
  if not results[1] then
    if not written then io.stderr:write("braid: the trace ", errors.text(err), "\n") end
    core.rethrow(results[2], results[3])
  end
  if not written then error(err) end
  return table.unpack(results, 2, results.n)
end

return M
