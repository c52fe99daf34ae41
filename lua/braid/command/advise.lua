-- SPDX-License-Identifier: MIT
--- braid advise: which concurrency model fits a function.

local braid = require "braid"
local options = require "braid.command.options"

local M = { summary = "which model fits a function, or the decision tree with this machine's numbers" }

M.usage = [[
usage: braid advise FILE [options]
       braid advise --tree [--lang zh|en]

FILE returns a function and a list of sample arguments: `return fn, { item, ... }`. They are run and measured, and run
again under each model that could be best; the advice is printed as the document's decision tree with the branch taken.

  --tree        prints the tree with this machine's numbers
  --items N     for how many items (as many as the sample has)
  --workers N   that there may be
  --isolate     a crash must not take the program with it
  --lang zh|en  what is printed: the document's lines, or English (zh)
]]

M.options = { tree = "flag", lang = "string", items = "integer", workers = "integer", isolate = "flag" }

function M.main(words)
  local read, rest = options.read(words, M.options)
  if read.tree then
    print(tostring(require("braid.advice").tree(read.lang)))
    return 0
  end
  if not rest[1] then
    io.stderr:write(M.usage)
    return 2
  end
  local chunk, why = loadfile(rest[1])
  if not chunk then error(why, 0) end
  local fn, sample = chunk()
  if type(fn) ~= "function" or type(sample) ~= "table" then
    error(rest[1] .. " does not return a function and a list of sample arguments", 0)
  end
  print(tostring(braid.advise(fn, sample, read)))
  return 0
end

return M
