-- SPDX-License-Identifier: MIT
--- braid tutorial: measures the rows of the tutorial document on this machine.

local options = require "braid.command.options"

local M = { summary = "the document's claims, measured on this machine" }

M.usage = [[
usage: braid tutorial [SECTION or ROW ...] [options]

Runs the rows of the document and prints for each what the document says, what must be measured for it to hold, what was
measured here, and the verdict. All of them take two to three minutes. Sections have the document's numbers (三, 3, 3.2);
rows are S14, or S10-S19. A row that does not hold is measured again; if other programs keep the machine busy, it has no
verdict. Ends with status 1 when a row does not hold.

  --list        the sections and rows, without running them
  --lang zh|en  the language of all that is printed (zh)
  --json        the outcomes as JSON
]]

M.options = { lang = "string", json = "flag", list = "flag" }

local SUMMARY = {
  zh = "%d 行: %d 行成立, %d 行未达到, %d 行因机器正忙没有结论; 用时 %.0f 秒",
  en = "%d rows: %d hold, %d do not, %d have no verdict because the machine is busy; %.0f s",
}

local function show(tutorial, outcome, lang)
  local headings = tutorial.headings(outcome.row, lang)
  if headings ~= "" then print(headings .. "\n") end
  print(tutorial.format(outcome, lang) .. "\n")
  io.stdout:flush()
end

-- How many rows have one of these verdicts.
local function count(outcomes, verdict)
  local number = 0
  for _, outcome in ipairs(outcomes) do
    if outcome.verdict == verdict then number = number + 1 end
  end
  return number
end

function M.main(words)
  local read, rows = options.read(words, M.options)
  local lang = read.lang or "zh"
  if not SUMMARY[lang] then options.refuse("--lang: zh or en expected, got %q", lang) end
  local tutorial = require "braid.tutorial"
  if read.list then
    print(tutorial.list(lang))
    return 0
  end
  for _, word in ipairs(rows) do
    if not require("braid.tutorial.outline").range(word) then
      options.refuse("bad row %q: S14, S10-S19, or a section of the document: 三, 3, 3.2", word)
    end
  end
  local start = require("braid").now()
  local outcomes = tutorial.run({ rows = rows, lang = lang }, function(outcome)
    if not read.json then show(tutorial, outcome, lang) end
  end)
  if #outcomes == 0 then options.refuse("there is no row %s", table.concat(rows, " ")) end
  local failed, busy = count(outcomes, "failed"), count(outcomes, "busy")
  if read.json then
    print(require("braid.json").encode(outcomes, { invalid = "replace" }))
  else
    print(SUMMARY[lang]:format(#outcomes, #outcomes - failed - busy, failed, busy, require("braid").now() - start))
  end
  return failed == 0 and 0 or 1
end

return M
