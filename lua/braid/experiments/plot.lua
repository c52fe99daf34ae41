-- SPDX-License-Identifier: MIT
-- Charts in SVG: bars with their measurements, and timelines. They work alone or inside a page, on a light or a dark
-- background, in colours that colour-blind readers can tell apart.
local units = require "braid.units"

local M = {}

---Escapes a text for XML.
---@param text any
---@return string
function M.escape(text)
  return (tostring(text):gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
    ["'"] = "&#39;" }))
end

local escape = M.escape

-- Colours of Okabe and Ito, and lighter ones for a dark background. They are literal, because programs other than
-- browsers know no CSS variables.
local STYLE = [[
<style>
.braid-plot { font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
  font-size: 13px; }
.braid-plot text { fill: #1d2330; }
.braid-plot .title { font-size: 16px; font-weight: 650; }
.braid-plot .strong { font-weight: 600; }
.braid-plot .muted { fill: #626b7c; font-size: 12px; }
.braid-plot .ground { fill: #ffffff; }
.braid-plot .grid { stroke: #e3e6ec; stroke-width: 1; }
.braid-plot .axis { stroke: #626b7c; stroke-width: 1; }
.braid-plot .whisker { stroke: #1d2330; stroke-width: 1.5; fill: none; }
.braid-plot .dot { fill: #1d2330; fill-opacity: .42; }
.braid-plot .c1 { fill: #7c8494; } .braid-plot .c2 { fill: #0072b2; } .braid-plot .c3 { fill: #d9820f; }
.braid-plot .c4 { fill: #009e73; } .braid-plot .c5 { fill: #b85c92; } .braid-plot .c6 { fill: #5a4fb0; }
@media (prefers-color-scheme: dark) {
.braid-plot text, .braid-plot .dot { fill: #e8eaf0; }
.braid-plot .muted { fill: #9aa3b5; }
.braid-plot .ground { fill: #161a22; }
.braid-plot .grid { stroke: #2e3442; } .braid-plot .axis { stroke: #9aa3b5; } .braid-plot .whisker { stroke: #e8eaf0; }
.braid-plot .c1 { fill: #8d95a5; } .braid-plot .c2 { fill: #56b4e9; } .braid-plot .c3 { fill: #f0a94a; }
.braid-plot .c4 { fill: #2fbf95; } .braid-plot .c5 { fill: #dc8fb9; } .braid-plot .c6 { fill: #9c93ea; }
}
</style>]]

local function number(value)
  return (("%.2f"):format(value):gsub("%.?0+$", ""))
end

-- A drawing is a list of pieces; `draw(format, ...)` adds one.
local function sheet()
  local pieces = {}
  return pieces, function(format, ...)
    local values = table.pack(...)
    for i = 1, values.n do
      if type(values[i]) == "number" then values[i] = number(values[i]) end
    end
    pieces[#pieces + 1] = format:format(table.unpack(values, 1, values.n))
  end
end

local function text(draw, x, y, class, anchor, words)
  draw('<text x="%s" y="%s" class="%s" text-anchor="%s">%s</text>', x, y, class, anchor, escape(words))
end

local function finish(pieces, width, height, title)
  return ('<svg xmlns="http://www.w3.org/2000/svg" class="braid-plot" viewBox="0 0 %s %s" width="%s" height="%s" ' ..
    'role="img" aria-label="%s">\n%s\n<rect width="100%%" height="100%%" class="ground"/>\n%s\n</svg>\n')
    :format(number(width), number(height), number(width), number(height), escape(title), STYLE,
      table.concat(pieces, "\n"))
end

-- ---- the axis -------------------------------------------------------------------------------------------------------

-- The distance of ticks: 1, 2 or 5 times a power of ten, so that there are about `count` of them.
local function tick_step(most, count)
  local raw = most / count
  local power = 10 ^ math.floor(math.log(raw, 10))
  for _, factor in ipairs { 1, 2, 5 } do
    if raw <= factor * power * 1.0001 then return factor * power end
  end
  return 10 * power
end

local scales = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "µs" }, { 1e-9, "ns" } }

local function time_scale(most)
  for _, scale in ipairs(scales) do
    if most >= 0.8 * scale[1] then return scale[1], scale[2] end
  end
  return 1e-9, "ns"
end

-- Draws the grid, the ticks and the label of a time axis from 0. Returns a function: seconds -> x.
local function time_axis(draw, left, right, top, bottom, most, label)
  most = math.max(most, 1e-9)
  local function place(seconds) return left + (right - left) * seconds / most end
  local factor, unit = time_scale(most)
  local step = tick_step(most / factor, 6)
  for i = 0, math.floor(most / factor / step + 1e-6) do
    local x = place(i * step * factor)
    draw('<line class="grid" x1="%s" x2="%s" y1="%s" y2="%s"/>', x, x, top, bottom)
    text(draw, x, bottom + 17, "muted", "middle", number(i * step))
  end
  draw('<line class="axis" x1="%s" x2="%s" y1="%s" y2="%s"/>', left, left, top, bottom)
  text(draw, (left + right) / 2, bottom + 36, "muted", "middle", ("%s (%s)"):format(label, unit))
  return place
end

-- ---- bars -----------------------------------------------------------------------------------------------------------

---@class braid.BarRow
---@field label string
---@field note string? text below the label
---@field color integer 1 to 6
---@field value number seconds
---@field low number the first quartile
---@field high number the third quartile
---@field dots number[] all measurements
---@field remark string? text below the value

local WIDTH, LEFT, RIGHT, BAR_ROW = 800, 128, 660, 56
local LETTER = 8 -- the widest average letter of a label

-- How far everything moves to the right, so that the longest label has room.
local function shift_of(rows)
  local widest = 0
  for _, row in ipairs(rows) do
    widest = math.max(widest, units.width(row.label), units.width(row.note or ""))
  end
  return math.max(0, widest * LETTER + 34 - LEFT)
end

local function draw_bar(draw, row, y, place, left, right)
  local x0, x1 = place(0), math.max(place(row.value), place(0) + 1.5)
  text(draw, left - 14, y + 20, "strong", "end", row.label)
  if row.note then text(draw, left - 14, y + 36, "muted", "end", row.note) end
  draw('<rect x="%s" y="%s" width="%s" height="20" rx="3" class="c%s"/>', x0, y + 6, x1 - x0, row.color)
  local low, high = place(row.low), place(row.high)
  draw('<path class="whisker" d="M%s %sv8M%s %sh%sM%s %sv8"/>', low, y + 12, low, y + 16, high - low, high, y + 12)
  for i, value in ipairs(row.dots) do
    draw('<circle class="dot" cx="%s" cy="%s" r="2.1"/>', place(value), y + 34 + (i * 5 % 4 - 1.5) * 1.6)
  end
  text(draw, right + 16, y + 20, "strong", "start", units.seconds(row.value))
  if row.remark then text(draw, right + 16, y + 36, "muted", "start", row.remark) end
end

---Draws a horizontal bar for each row, with the quartiles as a whisker and each measurement as a dot.
---@param opts { title: string, subtitle: string?, label: string, rows: braid.BarRow[] }
---@return string svg
function M.bars(opts)
  local pieces, draw = sheet()
  local top = opts.subtitle and 72 or 52
  local bottom, most = top + #opts.rows * BAR_ROW, 0
  for _, row in ipairs(opts.rows) do
    most = math.max(most, row.value, row.high)
    for _, value in ipairs(row.dots) do most = math.max(most, value) end
  end
  text(draw, 20, 32, "title", "start", opts.title)
  if opts.subtitle then text(draw, 20, 52, "muted", "start", opts.subtitle) end
  local shift = shift_of(opts.rows)
  local place = time_axis(draw, LEFT + shift, RIGHT + shift, top, bottom, most * 1.02, opts.label)
  for i, row in ipairs(opts.rows) do draw_bar(draw, row, top + (i - 1) * BAR_ROW, place, LEFT + shift,
    RIGHT + shift) end
  return finish(pieces, WIDTH + shift, bottom + 50, opts.title)
end

-- ---- the timeline ---------------------------------------------------------------------------------------------------

---@class braid.Span
---@field start number seconds from the group's beginning
---@field stop number
---@field load number the part of the time in which it computed, from 0 to 1
---@field name string

---@class braid.SpanGroup
---@field label string
---@field note string?
---@field color integer
---@field lanes braid.Span[][]

local MOST_LANES, LANE = 16, 13

-- Merges spans that are too narrow to be seen with their neighbours.
local function merged(lane, place)
  local list, last = {}, nil
  for _, span in ipairs(lane) do
    if last and place(span.stop) - place(last.start) < 2.5 then
      local before, after = last.stop - last.start, span.stop - span.start
      last.load = (last.load * before + span.load * after) / math.max(before + after, 1e-12)
      last.stop, last.last = span.stop, span.name
    else
      last = { start = span.start, stop = span.stop, load = span.load, name = span.name }
      list[#list + 1] = last
    end
  end
  return list
end

local function draw_lane(draw, lane, y, color, place)
  for _, span in ipairs(merged(lane, place)) do
    local x, right = place(span.start), place(span.stop)
    local name = span.last and span.name .. " to " .. span.last or span.name
    draw('<rect x="%s" y="%s" width="%s" height="%s" rx="2" class="c%s" fill-opacity="%s"><title>%s</title>' ..
      '</rect>', x, y, math.max(0.6, right - x - 0.8), LANE - 3, color, 0.28 + 0.72 * math.min(1, span.load),
      escape(("%s: %s"):format(name, units.seconds(span.stop - span.start))))
  end
end

local function group_height(group)
  local hidden = #group.lanes > MOST_LANES
  return math.max(40, math.min(#group.lanes, MOST_LANES) * LANE + (hidden and 16 or 0) + 18)
end

local function draw_group(draw, group, y, place, left)
  text(draw, left - 14, y + 14, "strong", "end", group.label)
  if group.note then text(draw, left - 14, y + 30, "muted", "end", group.note) end
  for i = 1, math.min(#group.lanes, MOST_LANES) do
    draw_lane(draw, group.lanes[i], y + 4 + (i - 1) * LANE, group.color, place)
  end
  if #group.lanes > MOST_LANES then
    text(draw, left + 6, y + MOST_LANES * LANE + 16, "muted", "start",
      ("and %d more at the same time"):format(#group.lanes - MOST_LANES))
  end
end

local function draw_legend(draw, y, width)
  local x = width - 20
  text(draw, x, y, "muted", "end", "computing")
  draw('<rect x="%s" y="%s" width="18" height="10" rx="2" class="c1"/>', x - 90, y - 9)
  text(draw, x - 100, y, "muted", "end", "waiting")
  draw('<rect x="%s" y="%s" width="18" height="10" rx="2" class="c1" fill-opacity=".28"/>', x - 170, y - 9)
end

---Draws a timeline: a lane for each worker, a span for each item. The stronger the colour, the more of it was
---computing.
---@param opts { title: string, subtitle: string?, label: string, groups: braid.SpanGroup[] }
---@return string svg
function M.timeline(opts)
  local pieces, draw = sheet()
  local top = opts.subtitle and 72 or 52
  local bottom, most = top, 0
  for _, group in ipairs(opts.groups) do
    bottom = bottom + group_height(group)
    for _, lane in ipairs(group.lanes) do
      for _, span in ipairs(lane) do most = math.max(most, span.stop) end
    end
  end
  text(draw, 20, 32, "title", "start", opts.title)
  if opts.subtitle then text(draw, 20, 52, "muted", "start", opts.subtitle) end
  local shift = shift_of(opts.groups)
  local left, width = LEFT + shift, WIDTH + shift
  draw_legend(draw, 32, width)
  local place = time_axis(draw, left, width - 24, top, bottom, most, opts.label)
  local y = top
  for i, group in ipairs(opts.groups) do
    if i > 1 then draw('<line class="grid" x1="20" x2="%s" y1="%s" y2="%s"/>', width - 24, y - 5, y - 5) end
    draw_group(draw, group, y, place, left)
    y = y + group_height(group)
  end
  return finish(pieces, width, bottom + 50, opts.title)
end

return M
