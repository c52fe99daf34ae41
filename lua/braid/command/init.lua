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

local NAMES = { "serve", "run", "worker", "cluster", "tutorial", "advise", "ps", "top", "profile", "env" }
M.NAMES = NAMES
local known = {}
for _, name in ipairs(NAMES) do known[name] = true end

local FOLDER = "braid.command."

local function load(name) return known[name] and require(FOLDER .. name) end

local function overview()
  local lines = { "usage: braid COMMAND ...", "" }
  for _, name in ipairs(NAMES) do lines[#lines + 1] = ("  braid %-10s %s"):format(name, load(name).summary) end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "braid help COMMAND, or braid COMMAND --help, tells more; braid --version tells the version."
  return table.concat(lines, "\n") .. "\n"
end

local function is_help(word) return word == "help" or word == "--help" or word == "-h" end

-- A wrong command line: what is wrong, and status 2.
local function refuse(format, ...)
  io.stderr:write((format .. "\n"):format(...))
  return 2
end

local function unknown(name)
  local near = errors.nearest(name, known)
  return refuse("braid: there is no command %q%s", name, near and (", did you mean %q?"):format(near) or "")
end

local function help(words)
  local name = words[1]
  if name and not load(name) then return unknown(name) end
  io.stdout:write(name and load(name).usage or overview())
  return 0
end

-- Whether the words of a subcommand ask for its help: before `--`, and not as the value of an option.
local function asks_for_help(words) return is_help(words[1]) and words[1] ~= "help" end

local function run(name, words)
  local ok, status, place = errors.try(load(name).main, words)
  if ok then return status end
  if errors.is_error(status, "interrupted") then return 130 end
  if errors.is_error(status) and status.usage then
    return refuse("braid %s: %s\nbraid help %s tells more", name, status.message, name)
  end
  io.stderr:write(("braid %s: %s\n"):format(name, errors.told(status, place)))
  return 1
end

local function dispatch(words)
  local name = words[1]
  local rest = table.move(words, 2, #words, 1, {})
  if not name then
    io.stderr:write(overview())
    return 2
  elseif is_help(name) then
    return help(rest)
  elseif name == "--version" or name == "-V" then
    print(require("braid")._VERSION)
    return 0
  elseif not load(name) then
    return unknown(name)
  elseif asks_for_help(rest) then
    return help { name }
  end
  return run(name, rest)
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
