-- SPDX-License-Identifier: MIT
--- A timeline of steps of tasks and of jobs in threads and processes, from submit to result.

local core = require "braid.core"
local document = require "braid.document"
local errors = require "braid.errors"
local json = require "braid.json"

local M = {}

-- Makes spans, tracks and jobs (drawn as arrows) from the log.
local function collect()
  local names, open, origin = {}, {}, nil
  local spans, jobs, tracks, order = {}, {}, {}, {}

  local function track_of(number)
    if not tracks[number] then
      order[#order + 1] = number
      tracks[number] = number < 0 and ("process %d"):format(-number) or ("thread %d"):format(number)
    end
    return number
  end

  local function add(kind, whose, track, first, last)
    spans[#spans + 1] = { kind = kind, name = names[whose] or kind, track = track_of(track), first = first - origin,
      last = last - origin }
  end

  local function job_of(whose)
    jobs[whose] = jobs[whose] or { name = names[whose] or "job" }
    return jobs[whose]
  end

  local finished = {}
  for i = 1, math.huge do
    local what, whose, track, time, name = core.trace_event(i)
    if not what then break end
    origin = origin or time
    if what == "name" then
      names[whose] = name
    elseif what == "step" or what == "run" then
      open[what .. track .. ":" .. whose] = time
      if what == "run" then job_of(whose).run = { track = track_of(track), time = time - origin } end
    elseif what == "park" or what == "done" then
      local begun = (what == "park" and "step" or "run") .. track .. ":" .. whose
      if open[begun] then add(what == "park" and "task" or "job", whose, track, open[begun], time) end
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
  return { spans = json.array(spans), jobs = json.array(finished), tracks = json.array(named) }
end

-- Chrome's trace format, which Perfetto reads. Times in microseconds; "X" is a span; "s", "t" and "f" are points of an
-- arrow.
local function to_perfetto(trace)
  local events = {}
  local pid = core.pid()
  local function process(track) return track < 0 and -track or pid end
  for _, track in ipairs(trace.tracks) do
    events[#events + 1] = { ph = "M", name = "thread_name", pid = process(track.number), tid = math.abs(track.number),
      args = { name = track.name } }
  end
  for _, span in ipairs(trace.spans) do
    events[#events + 1] = { ph = "X", cat = span.kind, name = span.name, pid = process(span.track),
      tid = math.abs(span.track), ts = span.first * 1e6, dur = (span.last - span.first) * 1e6 }
  end
  for id, job in ipairs(trace.jobs) do
    for _, phase in ipairs { { "submit", "s" }, { "run", "t" }, { "home", "f" } } do
      local at = job[phase[1]]
      if at then
        events[#events + 1] = { ph = phase[2], cat = "job", name = job.name, id = id, pid = process(at.track),
          tid = math.abs(at.track), ts = at.time * 1e6, bp = phase[2] == "f" and "e" or nil }
      end
    end
  end
  return json.encode({ traceEvents = json.array(events), displayTimeUnit = "ms" }, { invalid = "replace" })
end

local PAGE = [==[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>braid trace</title>
<style>
:root { color-scheme: light dark; --ink: #1a1a1a; --faint: #8886; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #161616; } }
body { margin: 24px; font: 14px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
canvas { width: 100%; display: block; cursor: grab; }
#about { min-height: 1.4em; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 4px 0 12px;
  vertical-align: -1px; }
</style></head><body>
<h1 style="font-size:18px">braid trace</h1>
<p><span class="key" style="background:#0072b2;margin-left:0"></span>steps of tasks
<span class="key" style="background:#e69f00"></span>jobs
<span style="margin-left:12px">curves: submit &rarr; run &rarr; result. Wheel: zoom; drag: move.</span></p>
<p id="about">&nbsp;</p><canvas id="c"></canvas>
<script>
const trace = @TRACE@;
const canvas = document.getElementById("c"), about = document.getElementById("about"), g = canvas.getContext("2d");
const row = 34, left = 130, top_ = 28, index = new Map(trace.tracks.map((t, i) => [t.number, i]));
const end = trace.jobs.reduce((t, j) => Math.max(t, j.home ? j.home.time : 0),
  trace.spans.reduce((t, s) => Math.max(t, s.last), 1e-6));
let from = 0, to = end;
const ink = () => getComputedStyle(document.body).color;
const x = t => left + (t - from) / (to - from) * (canvas.clientWidth - left - 10);
const y = track => top_ + index.get(track) * row;
const unit = s => s < 1e-3 ? (s * 1e6).toFixed(1) + " us" : s < 1 ? (s * 1e3).toFixed(2) + " ms" : s.toFixed(3) + " s";
function draw() {
  const w = canvas.clientWidth, h = top_ + trace.tracks.length * row + 10, k = devicePixelRatio || 1;
  canvas.width = w * k; canvas.height = h * k; canvas.style.height = h + "px";
  g.setTransform(k, 0, 0, k, 0, 0); g.clearRect(0, 0, w, h);
  g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle"; g.fillStyle = ink();
  for (const t of trace.tracks) {
    g.fillText(t.name, 4, y(t.number) + row / 2 - 4);
    g.globalAlpha = .15; g.fillRect(left, y(t.number) + row - 6, w - left - 10, 1); g.globalAlpha = 1;
  }
  const raw = (to - from) / 8, mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(f => f * mag).find(f => f >= raw);
  g.textAlign = "center";
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) {
    g.globalAlpha = .15; g.fillRect(x(t), top_ - 6, 1, h); g.globalAlpha = 1; g.fillText(unit(t), x(t), 10);
  }
  g.textAlign = "left"; g.save(); g.beginPath(); g.rect(left, 0, w - left - 10, h); g.clip();
  for (const s of trace.spans) {
    if (s.last < from || s.first > to) continue;
    const a = x(s.first), b = Math.max(a + 1, x(s.last));
    g.fillStyle = s.kind === "job" ? "#e69f00" : "#0072b2";
    g.globalAlpha = .85; g.fillRect(a, y(s.track) + (s.kind === "job" ? 14 : 2), b - a, 11); g.globalAlpha = 1;
    if (b - a > 60) { g.fillStyle = "#fff"; g.save(); g.beginPath(); g.rect(a, y(s.track), b - a, row); g.clip();
      g.fillText(s.name, a + 4, y(s.track) + (s.kind === "job" ? 20 : 8)); g.restore(); }
  }
  g.strokeStyle = ink(); g.globalAlpha = .35;
  for (const j of trace.jobs) for (const [p, q] of [[j.submit, j.run], [j.done, j.home]]) {
    if (!p || !q) continue;
    const a = x(p.time), b = x(q.time), ya = y(p.track) + 16, yb = y(q.track) + 16;
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
  const near = s => s.first <= t && t <= s.last && Math.abs(e.offsetY - y(s.track) - 12) < 14;
  const s = trace.spans.filter(near).pop();
  about.textContent = s ? `${s.name}: ${unit(s.last - s.first)} at ${unit(s.first)}` : "\u00a0";
};
addEventListener("resize", draw); draw();
</script></body></html>
]==]

-- The content of the file, as one or several strings.
local function render(path, trace)
  if not path:find "%.html?$" then return to_perfetto(trace) end
  local text = json.encode(trace, { invalid = "replace" }):gsub("</", "<\\/")
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
