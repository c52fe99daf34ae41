-- SPDX-License-Identifier: MIT
-- A profile as a page: a flame graph, and a list of the functions that take most of the time. The page needs nothing
-- else.
local json = require "braid.json"

local M = {}

-- The stacks as a tree. A node is a list: number of its frame, ticks, children.
local function tree_of(stacks)
  local frames, number = {}, {}
  local root = { number = -1, ticks = 0, children = {}, order = {} }
  for _, stack in ipairs(stacks:list()) do
    local node = root
    node.ticks = node.ticks + stack.ticks
    for _, frame in ipairs(stack.frames) do
      if not number[frame] then
        frames[#frames + 1] = frame
        number[frame] = #frames - 1
      end
      local child = node.children[frame]
      if not child then
        child = { number = number[frame], ticks = 0, children = {}, order = {} }
        node.children[frame], node.order[#node.order + 1] = child, child
      end
      child.ticks = child.ticks + stack.ticks
      node = child
    end
  end
  return root, frames
end

local function compact(node)
  local children = {}
  for i, child in ipairs(node.order) do children[i] = compact(child) end
  return json.array { node.number, node.ticks, json.array(children) }
end

-- The lines of a function where it was met most often: { line, ticks }.
local function lines_of(stacks, frame)
  local list = {}
  for line, ticks in pairs(stacks.lines[frame] or {}) do list[#list + 1] = json.array { line, ticks } end
  table.sort(list, function(a, b) return a[2] > b[2] or a[2] == b[2] and a[1] < b[1] end)
  return json.array(table.move(list, 1, math.min(#list, 3), 1, {}))
end

local PAGE = [==[<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>@TITLE@</title>
<style>
:root { color-scheme: light; --ink: #1c1c1c; --faint: #000000a0; --line: #0002; --paper: #fff; --cell: #1c1c1c; }
:root[data-theme=dark] { color-scheme: dark; --ink: #e8e8e8; --faint: #ffffffa0; --line: #fff2; --paper: #17181a; }
body { margin: 20px; font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 18px; margin: 0 0 2px; }
p { margin: 4px 0; color: var(--faint); }
header { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: end; justify-content: space-between; }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
input, button, select { font: inherit; padding: 3px 8px; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 5px; }
input { width: 220px; }
select { max-width: 100%; }
button { cursor: pointer; }
button:disabled { opacity: .4; cursor: default; }
#about { min-height: 1.45em; margin: 10px 0 4px; color: var(--ink); font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; }
svg g { cursor: pointer; }
svg rect { stroke: var(--paper); stroke-width: 1; }
svg text { font: 12px system-ui, sans-serif; fill: var(--cell); pointer-events: none; }
svg g:hover rect, svg g:focus rect { stroke: var(--ink); }
svg g:focus { outline: none; }
.dim rect { opacity: .25; } .dim text { opacity: .65; fill: var(--ink); }
.above rect { opacity: .45; }
table { border-collapse: collapse; margin-top: 24px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 3px 10px 3px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; cursor: pointer; width: 5em; }
td:last-child, th:last-child { text-align: left; width: auto; white-space: normal; overflow-wrap: anywhere; }
td:last-child { cursor: pointer; }
small { color: var(--faint); }
@media (max-width: 600px) {
  body { margin: 12px; }
  .tools { width: 100%; }
  select { flex: 1 0 100%; }
  input { flex: 1; min-width: 0; }
}
</style></head><body>
<header><div><h1>@TITLE@</h1><p id="sum"></p></div>
<div class="tools"><select id="state" aria-label="thread or process"></select>
<input id="find" type="search" placeholder="search: text or /pattern/" aria-label="search">
<button id="out" disabled>zoom out</button><button id="theme" aria-label="light or dark">&#9680;</button></div></header>
<p id="about">&nbsp;</p>
<svg id="graph" role="img" aria-label="flame graph"></svg>
<table id="list"><thead><tr><th data-by="self">self</th><th data-by="total">total</th><th>function</th></tr></thead>
<tbody></tbody></table>
<script>
const profile = @PROFILE@;
const $ = id => document.getElementById(id), NS = "http://www.w3.org/2000/svg", ROW = 19;
function grow(d, up) {
  const node = { frame: profile.frames[d[0]] || { name: "all" }, number: d[0], ticks: d[1], up };
  node.below = d[2].map(c => grow(c, node)).sort((a, b) => b.ticks - a.ticks);
  node.depth = 1 + Math.max(0, ...node.below.map(c => c.depth));
  return node;
}
const all = grow(profile.tree, null);
let root = all, zoom = all, pattern = null, by = "self";
const percent = (part, whole) => (100 * part / whole).toFixed(part < whole / 1000 ? 2 : 1) + " %";
const unit = s => s >= 1 ? s.toFixed(2) + " s" : (s * 1000).toFixed(0) + " ms";
const time = ticks => unit(ticks / profile.rate);
/* Lua functions are warm, C functions and kernels are cool, braid's own are grey, the rest is green. */
function colour(f) {
  let h = 0;
  for (const c of f.name.replace(/:\d+\)$/, "")) h = (h * 31 + c.charCodeAt(0)) >>> 0;
  const v = h % 20;
  if (/\(braid\//.test(f.name)) return `hsl(${210 + v} 12% ${70 + h % 7}%)`;
  if (/\[C\]$|^\(kernel/.test(f.name)) return `hsl(${190 + v} 55% ${68 + h % 8}%)`;
  return f.file ? `hsl(${18 + v * 1.6} 85% ${64 + h % 9}%)` : `hsl(${110 + v} 35% ${70 + h % 7}%)`;
}
const matches = node => pattern && pattern.test(node.frame.name);
function tell(node) {
  $("about").textContent = node ? `${node.frame.name}: ${time(node.ticks)}, ${percent(node.ticks, root.ticks)}` +
    (zoom !== root ? ` (${percent(node.ticks, zoom.ticks)} of what is shown)` : "") : "\u00a0";
}
/* A name, cut so that it fits into so many pixels; "" where less than two letters would be left. */
const ruler = document.createElement("canvas").getContext("2d");
ruler.font = "12px system-ui, sans-serif";
function fitting(name, room) {
  if (room < 20) return "";
  if (ruler.measureText(name).width <= room) return name;
  let least = 0, most = name.length;
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (ruler.measureText(name.slice(0, middle) + "\u2026").width <= room) least = middle; else most = middle - 1;
  }
  return least < 2 ? "" : name.slice(0, least) + "\u2026";
}
function cell(svg, node, x, w, y, above) {
  const g = document.createElementNS(NS, "g"), r = document.createElementNS(NS, "rect");
  const t = document.createElementNS(NS, "title");
  g.setAttribute("class", (pattern && !matches(node) ? "dim" : "") + (above ? " above" : ""));
  g.setAttribute("tabindex", 0);
  for (const [k, v] of Object.entries({ x, y, width: Math.max(w, .5), height: ROW - 1, rx: 2 })) r.setAttribute(k, v);
  r.style.fill = pattern && matches(node) ? "#d63bd6" : colour(node.frame);
  t.textContent = `${node.frame.name}\n${time(node.ticks)}, ${percent(node.ticks, root.ticks)}`;
  g.append(t, r);
  const words = fitting(node.frame.name, w - 8);
  if (words) {
    const text = document.createElementNS(NS, "text");
    text.setAttribute("x", x + 4); text.setAttribute("y", y + 13);
    text.textContent = words;
    g.append(text);
  }
  g.onmouseenter = g.onfocus = () => tell(node);
  g.onmouseleave = () => tell(null);
  g.onclick = () => go(node);
  g.onkeydown = e => { if (e.key === "Enter") go(node); };
  svg.append(g);
}
function draw() {
  const svg = $("graph"), width = svg.clientWidth || 1000;
  const path = [];
  for (let n = zoom; n; n = n === root ? null : n.up) path.unshift(n);
  svg.replaceChildren();
  svg.setAttribute("height", (path.length - 1 + zoom.depth) * ROW);
  path.forEach((n, i) => cell(svg, n, 0, width, i * ROW, n !== zoom));
  (function level(node, x, y) {
    for (const c of node.below) {
      const w = c.ticks / zoom.ticks * width;
      if (w >= .4) { cell(svg, c, x, w, y, false); level(c, x, y + ROW); }
      x += w;
    }
  })(zoom, 0, path.length * ROW);
  $("out").disabled = zoom === root;
}
function go(node) { zoom = node; draw(); list(); tell(node); }
function count() {
  const sums = new Map();
  (function walk(node, open) {
    const own = node.ticks - node.below.reduce((s, c) => s + c.ticks, 0), first = !open.has(node.number);
    const s = sums.get(node.number) || { frame: node.frame, self: 0, total: 0 };
    sums.set(node.number, s);
    s.self += own;
    if (first) { s.total += node.ticks; open.add(node.number); }
    node.below.forEach(c => walk(c, open));
    if (first) open.delete(node.number);
  })(zoom, new Set());
  sums.delete(-1);
  return [...sums.values()].filter(s => s.self || s.frame.file || s.frame.name.endsWith("[C]"));
}
function list() {
  const rows = count().filter(s => !pattern || pattern.test(s.frame.name)).sort((a, b) => b[by] - a[by]).slice(0, 60);
  const body = $("list").tBodies[0];
  body.replaceChildren(...rows.map(s => {
    const tr = document.createElement("tr"), name = document.createElement("td");
    for (const v of [s.self, s.total]) {
      const td = tr.insertCell();
      td.textContent = percent(v, zoom.ticks);
      td.title = time(v);
    }
    name.textContent = s.frame.name + " ";
    if (zoom === all && (s.frame.lines || []).length > 0) {
      const small = document.createElement("small");
      small.textContent = "line " + s.frame.lines.map(l => `${l[0]}: ${percent(l[1], all.ticks)}`).join(", ");
      name.append(small);
    }
    name.onclick = () => { $("find").value = s.frame.name; search(); scrollTo({ top: 0, behavior: "smooth" }); };
    tr.append(name);
    return tr;
  }));
}
function search() {
  const text = $("find").value, m = text.match(/^\/(.*)\/$/);
  try {
    pattern = text === "" ? null : new RegExp(m ? m[1] : text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  } catch { pattern = null; }
  draw(); list();
  if (!pattern) return tell(null);
  let found = 0;
  (function walk(n) { if (matches(n)) found += n.ticks; else n.below.forEach(walk); })(zoom);
  $("about").textContent = `found in ${percent(found, zoom.ticks)} of what is shown`;
}
function choose(i) {
  root = zoom = i < 0 ? all : all.below[i];
  $("sum").textContent = `${root.ticks} samples at ${profile.rate} Hz: ${time(root.ticks)}`;
  draw(); list();
}
const option = (text, value) => Object.assign(document.createElement("option"), { textContent: text, value });
$("state").append(option("all threads and processes", -1),
  ...all.below.map((n, i) => option(`${n.frame.name} (${percent(n.ticks, all.ticks)})`, i)));
$("state").onchange = e => choose(Number(e.target.value));
$("find").oninput = search;
$("out").onclick = () => go(zoom.up && zoom !== root ? zoom.up : root);
const shade = dark => { document.documentElement.dataset.theme = dark ? "dark" : "light"; };
shade(matchMedia("(prefers-color-scheme: dark)").matches);
$("theme").onclick = () => shade(document.documentElement.dataset.theme !== "dark");
for (const th of document.querySelectorAll("th[data-by]")) th.onclick = () => { by = th.dataset.by; list(); };
addEventListener("keydown", e => {
  if (e.key === "/" && document.activeElement !== $("find")) { e.preventDefault(); $("find").focus(); }
  if (e.key === "Escape") { $("find").value = ""; zoom = root; search(); }
});
addEventListener("resize", draw);
if (all.ticks === 0) $("sum").textContent = "no samples: nothing has computed";
else choose(-1);
</script></body></html>
]==]

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

---@param stacks braid.profile.Stacks
---@param title string
---@return string
function M.page(stacks, title)
  local root, frames = tree_of(stacks)
  local list = {}
  for i, frame in ipairs(frames) do
    list[i] = { name = frame.name, file = frame.file, lines = lines_of(stacks, frame) }
  end
  local data = { rate = stacks.rate, frames = json.array(list), tree = compact(root) }
  local values = {
    TITLE = title:gsub('[&<>"]', ENTITIES), PROFILE = json.encode(data, { invalid = "replace" }):gsub("</", "<\\/"),
  }
  return (PAGE:gsub("@(%u+)@", values))
end

return M
