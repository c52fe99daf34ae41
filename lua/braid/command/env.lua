-- SPDX-License-Identifier: MIT
--- braid env: the lines by which a shell's Lua finds the modules that this command uses.

local core = require "braid.core"

local M = { summary = "lines for the shell that let lua5.4 find this braid" }

M.usage = [[
usage: eval "$(braid env)"

Prints LUA_PATH and LUA_CPATH as `export` lines, so that lua5.4 finds the modules that this command uses. What is set
already stays behind them.
]]

local function quoted(text) return "'" .. text:gsub("'", [['\'']]) .. "'" end

-- The folder above that of `file`, absolute and without "..".
local function root_of(file)
  local folder = file:match "^(.*)/[^/]+/[^/]+$" or "."
  if not folder:find "^/" then folder = core.start_folder .. "/" .. folder end
  local count
  repeat folder, count = folder:gsub("/[^/]+/%.%.%f[/\0]", "", 1) until count == 0
  return folder
end

local function line(name, paths, variable)
  local before = os.getenv(variable) or os.getenv(name) or ";;"
  return ("export %s=%s"):format(name, quoted(paths .. ";" .. before))
end

function M.main(words)
  if #words > 0 then
    io.stderr:write(M.usage)
    return 2
  end
  local lua = root_of(assert(package.searchpath("braid", package.path)))
  local native = root_of(assert(package.searchpath("braid.core", package.cpath)))
  print(line("LUA_PATH", ("%s/?.lua;%s/?/init.lua"):format(lua, lua), "LUA_PATH_5_4"))
  print(line("LUA_CPATH", native .. "/?.so", "LUA_CPATH_5_4"))
  return 0
end

return M
