-- SPDX-License-Identifier: MIT
--- braid tutorial: measures the rows of the tutorial document on this machine.

local errors = require "braid.errors"
local options = require "braid.command.options"

local M = { summary = "the document's claims, measured on this machine" }

M.usage = [[
usage: braid tutorial [ROW ...] [--lang zh|en] [--json]

Runs the rows of the document (S14, or S10-S19; all of them take two to three minutes) and prints for each what the
document says, what was measured here, and the verdict. Ends with status 1 when a row does not hold.
]]

function M.main(words)
  local read, rows = options.read(words, { lang = "string", json = "flag" })
  local lang = read.lang or "zh"
  local tutorial = require "braid.tutorial"
  local start = require("braid").now()
  local red = 0
  local outcomes = tutorial.run({ rows = rows, lang = lang }, function(outcome)
    if not outcome.ok then red = red + 1 end
    if read.json then return end
    print(tutorial.format(outcome, lang))
    print()
    io.stdout:flush()
  end)
  if #outcomes == 0 then
    error(errors.new("misuse", ("there is no row %s"):format(table.concat(rows, " "))), 0)
  end
  if read.json then
    print(require("braid.json").encode(outcomes, { invalid = "replace" }))
  else
    print(("%d rows, %d green, %d red, %.0f s"):format(#outcomes, #outcomes - red, red, require("braid").now() - start))
  end
  return red == 0 and 0 or 1
end

return M
