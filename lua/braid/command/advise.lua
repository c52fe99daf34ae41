-- SPDX-License-Identifier: MIT
--- braid advise: which model fits.

local braid = require "braid"
local options = require "braid.command.options"

local M = { summary = "which model fits a function, or the decision tree with this machine's numbers" }

M.usage = [[
usage: braid advise FILE [--lang zh|en]
       braid advise --tree [--lang zh|en]

FILE returns a function and a list of sample arguments: `return fn, { item, ... }`. They are run and measured; the
advice is printed as the document's decision tree with the branch taken. --tree prints the tree with this machine's
numbers.
]]

function M.main(words)
  local read, rest = options.read(words, { tree = "flag", lang = "string" })
  local lang = read.lang or "zh"
  if read.tree then
    print(tostring(require("braid.advise").tree(lang)))
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
  print(tostring(braid.advise(fn, sample, { lang = lang })))
  return 0
end

return M
