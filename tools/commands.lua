-- SPDX-License-Identifier: MIT
-- What the command `braid` has, read from its own help: the subcommands, and the options that each one explains.
local command = require "braid.command"

---@class commands.Option
---@field name string "--port"
---@field takes string? what follows it: "N", "FILE"
---@field text string

-- The options at the beginning of a line like "--cert FILE --key FILE   PEM: serve HTTPS", and the text behind them.
local function read_line(line)
  local found, rest = {}, line
  while rest:find "^%-%-%l" do
    local name, gap, tail = rest:match "^(%-%-[%w-]+)(%s*)(.*)$"
    local takes = gap == " " and (tail:match "^%u[%u%d,.=]*%f[%s\0]" or tail:match "^%l+|[%l|]+") or nil
    rest = takes and tail:sub(#takes + 1):gsub("^%s+", "") or tail
    found[#found + 1] = { name = name, takes = takes }
  end
  for _, option in ipairs(found) do option.text = rest end
  return found
end

local function options_of(usage)
  local options = {}
  for line in usage:gmatch "\n  (%-%-[^\n]+)" do table.move(read_line(line), 1, 9, #options + 1, options) end
  options[#options + 1] = { name = "--help", text = "tells what it does" }
  return options
end

local list = {}
for _, name in ipairs(command.NAMES) do
  local module = require("braid.command." .. name)
  list[#list + 1] = { name = name, summary = module.summary, usage = module.usage, options = options_of(module.usage) }
end
return list
