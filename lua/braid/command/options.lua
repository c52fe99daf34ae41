-- SPDX-License-Identifier: MIT
--- Reads the words of a command line.

local errors = require "braid.errors"

local M = {}

---Raises a mistake of the command line: the command prints it and ends with status 2.
---@param format string
---@param ... any
function M.refuse(format, ...) error(errors.new("misuse", format:format(...), { usage = true }), 0) end

local function convert(name, value, kind)
  if kind == "string" then return value end
  local number = tonumber(value)
  if not number or (kind == "integer" and not math.tointeger(number)) then
    M.refuse("--%s: %s expected, got %q", name, kind, value)
  end
  return kind == "integer" and math.tointeger(number) or number
end

---Reads `--name value`, `--name=value` and `--flag`. Words without dashes, and all words after `--`, are the rest.
---Refuses an unknown option (it names the nearest one), and a missing value.
---@param words string[]
---@param known table<string, "string"|"number"|"integer"|"flag"> by name; dashes are underscores
---@return table<string, any> options
---@return string[] rest
function M.read(words, known)
  local options, rest, i = {}, {}, 1
  while i <= #words do
    local word = words[i]
    local name, value = word:match "^%-%-([%w-]+)=(.*)$"
    name = name or word:match "^%-%-([%w-]+)$"
    if word == "--" then
      table.move(words, i + 1, #words, #rest + 1, rest)
      break
    elseif not name then
      rest[#rest + 1] = word
    else
      local key = name:gsub("-", "_")
      local kind = known[key]
      if not kind then
        local names = {}
        for option in pairs(known) do names[(option:gsub("_", "-"))] = true end
        local near = errors.nearest(name, names)
        M.refuse("there is no option --%s%s", name, near and (", did you mean --%s?"):format(near) or "")
      end
      if kind == "flag" then
        options[key] = true
      else
        if not value then
          i = i + 1
          value = words[i]
        end
        if not value then M.refuse("--%s: %s expected", name, kind) end
        options[key] = convert(name, value, kind)
      end
    end
    i = i + 1
  end
  return options, rest
end

return M
