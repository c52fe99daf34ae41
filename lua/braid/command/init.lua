-- SPDX-License-Identifier: MIT
--- The command `braid`: loads the module of its first word and passes it the other words.

local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

---A subcommand. `main` gets the words after its name and returns the exit status.
---@class braid.Command
---@field summary string one line
---@field usage string the help text
---@field main fun(words: string[]): integer

local NAMES = { "serve", "run", "worker", "cluster", "tutorial", "advise", "ps" }
local known = {}
for _, name in ipairs(NAMES) do known[name] = true end

local FOLDER = "braid.command."

local function load(name) return known[name] and require(FOLDER .. name) end

local function overview()
  local lines = { "usage: braid COMMAND ...", "" }
  for _, name in ipairs(NAMES) do lines[#lines + 1] = ("  braid %-10s %s"):format(name, load(name).summary) end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "braid COMMAND --help tells more."
  return table.concat(lines, "\n") .. "\n"
end

local function is_help(word) return word == nil or word == "help" or word == "--help" or word == "-h" end

local function dispatch(words)
  local name = words[1]
  if is_help(name) then
    io.stdout:write(overview())
    return name and 0 or 2
  end
  if name == "--version" then
    print(require("braid")._VERSION)
    return 0
  end
  local command = load(name)
  if not command then
    local near = errors.nearest(name, known)
    local hint = near and (", did you mean %q?"):format(near) or ""
    io.stderr:write(("braid: there is no command %q%s\n"):format(name, hint))
    return 2
  end
  local rest = table.move(words, 2, #words, 1, {})
  if #rest == 1 and rest[1] ~= "help" and is_help(rest[1]) then
    io.stdout:write(command.usage)
    return 0
  end
  local ok, status, place = errors.try(command.main, rest)
  if ok then return status end
  if errors.is_error(status, "interrupted") then return 130 end
  io.stderr:write(("braid %s: %s\n"):format(name, errors.told(status, place)))
  return 1
end

---@param words string[] the command line
---@return integer status 1 if all went well, but the output could not be written
function M.main(words)
  local status = dispatch(words)
  local written, why = core.flush_output()
  if written then return status end
  io.stderr:write(("braid: standard output: %s\n"):format(why))
  return status == 0 and 1 or status
end

---Runs the command and ends the process with its status.
---@param words string[]
function M.run(words) os.exit(M.main(words), true) end

return M
