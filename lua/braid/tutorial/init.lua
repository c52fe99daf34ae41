-- SPDX-License-Identifier: MIT
--- The document, row by row, on this machine: its claim, the measurement, and the verdict. `braid tutorial`.

local braid = require "braid"
local errors = require "braid.errors"
local Lab = require "braid.tutorial.lab"
local load = require "braid.tutorial.load"
local outline = require "braid.tutorial.outline"
local units = require "braid.units"

local M = {}

local FOLDER = "braid.tutorial."
local CHAPTERS = { "concepts", "fetching", "computing", "pipeline", "service", "primitives", "databases", "pitfalls" }
local TRIES, PATIENCE = 3, 10 -- seconds that a row waits for a calm machine

local labels = {
  zh = { document = "文档", bound = "要求", measured = "实测", verdict = "结论", tries = "第 %d 次测量",
    confirmed = "✓ 与文档一致", better = "✓ 这里不同", wrong = "✓ 文档有误", failed = "✗ 未达到",
    busy = "– 机器正忙, 没有结论", used = "其他程序占用了 %.0f%% 的处理器" },
  en = { document = "document", bound = "bound", measured = "measured", verdict = "verdict", tries = "measured %d times",
    confirmed = "✓ as the document says", better = "✓ otherwise here", wrong = "✓ the document errs",
    failed = "✗ not reached", busy = "– machine busy, no verdict", used = "other programs use %.0f%% of the cores" },
}

local function rows()
  local all = {}
  for _, chapter in ipairs(CHAPTERS) do
    local list = require(FOLDER .. chapter)
    table.move(list, 1, #list, #all + 1, all)
  end
  table.sort(all, function(a, b) return outline.rows_of(a.row) < outline.rows_of(b.row) end)
  return all
end

-- Whether a row covers the wanted rows: "S14" is a part of the row "S13-S16".
local function wants(row, ranges)
  local first, last = outline.rows_of(row.row)
  for _, range in ipairs(ranges) do
    if first <= range[2] and last >= range[1] then return true end
  end
  return #ranges == 0
end

local function ranges_of(words)
  local ranges = {}
  for i, word in ipairs(words or {}) do
    local from, to = outline.range(word)
    if not from then errors.misuse(2, "bad row %q: S14, S10-S19, or a section of the document: 三, 3, 3.2", word) end
    ranges[i] = { from, to }
  end
  return ranges
end

-- ---- measuring -----------------------------------------------------------------------------------------------------

-- Measures a row once; its failure is a result, too.
local function attempt(row, lab)
  local ok, result = pcall(braid.run, row.run, lab)
  return ok and result or { ok = false, measured = tostring(result) }
end

local function evidence(result, lab)
  if result.busy then return result.busy end
  local share = braid.run(load.busy)
  return share and labels[lab.lang].used:format(share * 100)
end

-- Measures a row. One that does not hold is measured again: once on a calm machine, and more often on a busy one.
local function measure(row, lab)
  local start, tries = braid.now(), 0
  local result, busy
  repeat
    tries = tries + 1
    result = attempt(row, lab)
    busy = not result.ok and evidence(result, lab) or nil
    local again = not result.ok and tries < (busy and TRIES or 2)
    if again and busy then braid.run(load.await_calm, PATIENCE) end
  until not again
  local verdict = result.ok and (result.verdict or "confirmed") or busy and "busy" or "failed"
  return {
    row = row.row, section = outline.section_of(row.row).number, says = lab:text(row.says), bound = lab:text(row.needs),
    measured = result.measured, ok = result.ok and true or false, verdict = verdict,
    reason = result.ok and result.reason or busy, tries = tries, seconds = braid.now() - start,
  }
end

-- ---- telling -------------------------------------------------------------------------------------------------------

local function indent(text, by) return (tostring(text):gsub("\n", "\n" .. (" "):rep(by))) end

---Formats one outcome as lines.
---@param outcome braid.TutorialRow
---@param lang "zh"|"en"
---@return string
function M.format(outcome, lang)
  local label = labels[lang]
  local verdict = label[outcome.verdict] .. (outcome.reason and ": " .. outcome.reason or "")
  if outcome.tries > 1 then verdict = ("%s (%s)"):format(verdict, label.tries:format(outcome.tries)) end
  local lines = {}
  for i, part in ipairs { { "document", outcome.says }, { "bound", outcome.bound }, { "measured", outcome.measured },
    { "verdict", verdict } } do
    local width = lang == "zh" and 4 or 8
    lines[i] = ("%-8s %s  %s"):format(i == 1 and outcome.row or "", units.pad(label[part[1]], width),
      indent(part[2], 11 + width))
  end
  return table.concat(lines, "\n")
end

local function heading(section, lang)
  local deep = section.number:find "%." and "  " or ""
  local number = section.number
  if lang ~= "zh" and deep == "" then number = ("%s (%s)"):format(section.number, section.arabic) end
  return ("%s%s %s"):format(deep, number, section[lang])
end

---The headings of the sections that begin with a row.
---@param row string
---@param lang "zh"|"en"
---@return string
function M.headings(row, lang)
  local lines = {}
  for i, section in ipairs(outline.beginning_at(row)) do lines[i] = heading(section, lang) end
  return table.concat(lines, "\n")
end

---The sections and their rows, with what the document says in each.
---@param lang "zh"|"en"
---@return string
function M.list(lang)
  local lab, lines = Lab.new(lang), {}
  for _, row in ipairs(rows()) do
    local headings = M.headings(row.row, lang)
    if headings ~= "" then lines[#lines + 1] = headings end
    lines[#lines + 1] = ("    %-8s %s"):format(row.row, lab:text(row.says))
  end
  return table.concat(lines, "\n")
end

---@class braid.TutorialRow
---@field row string "S10" or "S13-S16"
---@field section string of the document: "三", "3.2"
---@field says string the claim of the document
---@field bound string what must be measured for the row to hold
---@field measured string the measurement
---@field ok boolean whether the claim holds
---@field verdict "confirmed"|"better"|"wrong"|"failed"|"busy" compared with the document
---@field reason string? for the verdict; of a busy machine: the evidence
---@field tries integer how often it was measured
---@field seconds number

---Runs the rows. Calls `each` with each outcome.
---@param opts {rows: string[]?, lang: string?}? rows like "S14" or "S10-S19", sections like "三" or
--- "3.2", all by default; lang "zh" (default) or "en"
---@param each fun(outcome: braid.TutorialRow)?
---@return braid.TutorialRow[]
function M.run(opts, each)
  opts = opts or {}
  errors.check_options(1, "tutorial.run", opts, { rows = "table", lang = "string" })
  local ranges = ranges_of(opts.rows)
  local lab <close> = Lab.new(opts.lang or "zh")
  local outcomes = {}
  for _, row in ipairs(rows()) do
    if wants(row, ranges) then
      local outcome = measure(row, lab)
      outcomes[#outcomes + 1] = outcome
      if each then each(outcome) end
    end
  end
  return outcomes
end

return M
