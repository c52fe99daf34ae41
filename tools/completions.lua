-- SPDX-License-Identifier: MIT
-- Completions of the command for bash, zsh and fish.
local commands = require "tools.commands"

local M = {}

local HEAD = "# SPDX-License-Identifier: MIT\n# Written by `make generated` from the command's own help.\n"

local function names(list)
  local words = {}
  for i, each in ipairs(list) do words[i] = each.name end
  return table.concat(words, " ")
end

function M.bash()
  local cases = {}
  for _, command in ipairs(commands) do
    cases[#cases + 1] = ("    %s) options='%s' ;;\n"):format(command.name, names(command.options))
  end
  return HEAD .. [[
_braid() {
  local word=${COMP_WORDS[COMP_CWORD]} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "${COMP_WORDS[1]}" = help ]; }; then
    mapfile -t COMPREPLY < <(compgen -W ']] .. names(commands) .. [[ help --help --version' -- "$word")
    return
  fi
  case ${COMP_WORDS[1]} in
]] .. table.concat(cases) .. [[
  esac
  case $word in
    -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word") ;;
    *) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
}
complete -F _braid braid
]]
end

-- A text inside single quotes.
local function quoted(text) return (text:gsub("'", [['\'']])) end

-- A text inside a specification of zsh.
local function specified(text) return (quoted(text):gsub("[%[%]:]", "\\%0")) end

function M.zsh()
  local summaries, cases = {}, {}
  for _, command in ipairs(commands) do
    summaries[#summaries + 1] = ("    '%s:%s'\n"):format(command.name, specified(command.summary))
    local lines = {}
    for _, option in ipairs(command.options) do
      local value = option.takes and (":%s:%s"):format(option.takes, option.takes == "FILE" and "_files" or "") or ""
      lines[#lines + 1] = (" \\\n        '%s[%s]%s'"):format(option.name, specified(option.text), value)
    end
    cases[#cases + 1] = ("    %s) _arguments%s \\\n        '*:file:_files' ;;\n"):format(command.name,
      table.concat(lines))
  end
  return "#compdef braid\n" .. HEAD .. [[
_braid() {
  local -a commands
  commands=(
]] .. table.concat(summaries) .. [[
    'help:tells what a command does'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
    help) _describe command commands ;;
]] .. table.concat(cases) .. [[
  esac
}
_braid "$@"
]]
end

local FIRST_WORD = "__fish_use_subcommand; or __fish_seen_subcommand_from help"

function M.fish()
  local lines = { HEAD .. "complete -c braid -n __fish_use_subcommand -l version -d 'the version'\n",
    "complete -c braid -n __fish_use_subcommand -a help -d 'tells what a command does'\n" }
  for _, command in ipairs(commands) do
    lines[#lines + 1] = ("complete -c braid -n '%s' -a %s -d '%s'\n"):format(FIRST_WORD, command.name,
      quoted(command.summary))
    for _, option in ipairs(command.options) do
      lines[#lines + 1] = ("complete -c braid -n '__fish_seen_subcommand_from %s' -l %s%s -d '%s'\n"):format(
        command.name, option.name:sub(3), option.takes and " -r" or "", quoted(option.text))
    end
  end
  return table.concat(lines)
end

return M
