-- SPDX-License-Identifier: MIT
--- braid run script.lua ...: runs a script as the main task.

local braid = require "braid"

local M = { summary = "run a Lua script as the main task of a run" }

M.usage = [[
usage: braid run SCRIPT [ARGUMENT ...]

Runs the script inside braid.run: it may spawn tasks without more ado, and everything that it started has ended when it
ends. Ctrl-C cancels it; Ctrl-\ shows what every task does.
]]

function M.main(words)
  local file = words[1]
  if not file then
    io.stderr:write(M.usage)
    return 2
  end
  local chunk, why = loadfile(file)
  if not chunk then error(why, 0) end
  _G.arg = table.move(words, 2, #words, 1, { [0] = file }) -- luacheck: ignore 122
  braid.run(chunk, table.unpack(words, 2))
  return 0
end

return M
