-- SPDX-License-Identifier: MIT
-- The examples of the reference. docs/reference/*.lua hold them: each behind a line `--@ name`, or `--@ name, name`
-- where one example shows several functions. tools/docs.lua runs each one.
local M = {}

local found, list = {}, {}

local function add(file, line, names, lines)
  while lines[#lines] == "" do table.remove(lines) end
  local example = { file = file, line = line, text = table.concat(lines, "\n"), names = {} }
  for name in names:gmatch "[^%s,]+" do
    found[name] = example.text
    table.insert(example.names, name)
  end
  list[#list + 1] = example
end

local function read(file)
  local names, start, lines, number = nil, nil, {}, 0
  for line in io.lines(file) do
    number = number + 1
    local marked = line:match "^%-%-@%s*(.+)$"
    if marked then
      if names then add(file, start, names, lines) end
      names, start, lines = marked, number, {}
    elseif names then
      lines[#lines + 1] = line
    end
  end
  if names then add(file, start, names, lines) end
end

local files <close> = assert(io.popen "ls docs/reference/*.lua 2>/dev/null")
for file in files:lines() do read(file) end

---The example of a public name; nil if it has none.
---@param name string "braid.spawn", "braid.Queue:put"
---@return string?
function M.of(name) return found[name] end

---All examples: file, line, text, and the names that each one shows.
M.list = list

return M
