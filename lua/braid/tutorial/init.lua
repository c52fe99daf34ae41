-- SPDX-License-Identifier: MIT
--- The document, row by row, on this machine: its claim, the measurement, and the verdict. `braid tutorial`.

local braid = require "braid"
local errors = require "braid.errors"
local Lab = require "braid.tutorial.lab"

local M = {}

local FOLDER = "braid.tutorial."
local CHAPTERS = { "concepts", "fetching", "computing", "pipeline", "service", "primitives", "databases", "pitfalls" }

local labels = {
  zh = { document = "文档", measured = "实测", verdict = "结论",
    confirmed = "✓ 与文档一致", better = "✓ 这里不同", wrong = "✓ 文档有误", red = "✗ 未达到" },
  en = { document = "document", measured = "measured", verdict = "verdict",
    confirmed = "✓ as the document says", better = "✓ otherwise here", wrong = "✓ the document errs",
    red = "✗ not reached" },
}

local function rows()
  local all = {}
  for _, chapter in ipairs(CHAPTERS) do
    local list = require(FOLDER .. chapter)
    table.move(list, 1, #list, #all + 1, all)
  end
  return all
end

-- Whether a row covers the wanted one: "S14" is a part of the row "S13-S16".
local function covers(row, wanted)
  local first, last = row.row:match "S(%d+)%-S(%d+)"
  first = first or row.row:match "S(%d+)"
  local from, to = wanted:match "^[Ss]?(%d+)%-[Ss]?(%d+)$"
  from = from or wanted:match "^[Ss]?(%d+)$"
  if not from then
    errors.misuse(3, "bad row %q: S14, or S10-S19", wanted)
  end
  return tonumber(first) <= tonumber(to or from) and tonumber(last or first) >= tonumber(from)
end

local function wants(row, wanted)
  if not wanted or #wanted == 0 then return true end
  for _, name in ipairs(wanted) do
    if covers(row, name) then return true end
  end
  return false
end

-- Measures a row; its failure is a result, too.
local function measure(row, lab)
  local start = braid.now()
  local ok, result = pcall(braid.run, row.run, lab)
  if not ok then result = { ok = false, measured = tostring(result) } end
  return {
    row = row.row, says = lab:text(row.says), measured = result.measured, ok = result.ok and true or false,
    verdict = result.verdict or "confirmed", reason = result.reason, seconds = braid.now() - start,
  }
end

local function indent(text, by) return (tostring(text):gsub("\n", "\n" .. (" "):rep(by))) end

---Formats one outcome as lines.
---@param outcome braid.TutorialRow
---@param lang "zh"|"en"
---@return string
function M.format(outcome, lang)
  local label = labels[lang] or labels.en
  local verdict = outcome.ok and label[outcome.verdict] or label.red
  if outcome.reason then verdict = verdict .. ": " .. outcome.reason end
  local lines = { ("%-8s %s"):format(outcome.row, indent(outcome.says, 9)) }
  lines[2] = ("         %s  %s"):format(label.measured, indent(outcome.measured, lang == "zh" and 15 or 19))
  lines[3] = ("         %s  %s"):format(label.verdict, verdict)
  return table.concat(lines, "\n")
end

---@class braid.TutorialRow
---@field row string "S10" or "S13-S16"
---@field says string the claim of the document
---@field measured string the measurement
---@field ok boolean whether the claim holds
---@field verdict "confirmed"|"better"|"wrong" compared with the document
---@field reason string? for the verdict
---@field seconds number

---Runs the rows. Calls `each` with each outcome.
---@param opts {rows: string[]?, lang: string?}? rows like "S14" or "S10-S19", all by default; lang "zh" (default) or
--- "en"
---@param each fun(outcome: braid.TutorialRow)?
---@return braid.TutorialRow[]
function M.run(opts, each)
  opts = opts or {}
  errors.check_options(1, "tutorial.run", opts, { rows = "table", lang = "string" })
  local lab <close> = Lab.new(opts.lang or "zh")
  local outcomes = {}
  for _, row in ipairs(rows()) do
    if wants(row, opts.rows) then
      local outcome = measure(row, lab)
      outcomes[#outcomes + 1] = outcome
      if each then each(outcome) end
    end
  end
  return outcomes
end

return M
