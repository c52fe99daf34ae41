-- SPDX-License-Identifier: MIT
-- Counts the words of many files at the same time, and tells what changes in a folder meanwhile. No call holds the
-- loop.
-- usage: lua5.4 examples/files.lua [FOLDER]
local braid = require "braid"
local file = braid.file

local function count_words(path)
  local text, count = assert(file.read(path)), 0
  for _ in text:gmatch "%S+" do count = count + 1 end
  return count
end

local function report(folder)
  local paths = {}
  for path, kind in file.walk(folder) do
    if kind == "file" and path:find "%.md$" then paths[#paths + 1] = path end
  end
  local counts = braid.map(count_words, paths, { limit = 16 })
  local lines, total = {}, 0
  for i, path in ipairs(paths) do
    lines[i], total = ("%7d %s"):format(counts[i], path), total + counts[i]
  end
  return table.concat(lines, "\n") .. ("\n%7d in %d files\n"):format(total, #paths)
end

braid.run(function()
  local out <close> = assert(file.temporary { folder = true })
  local changes <close> = assert(file.watch(out.path))
  local text = report(arg[1] or (arg[0]:match "^(.*)/examples/" or ".") .. "/docs")
  print(text)
  assert(file.write(out.path .. "/report", text, { atomic = true }))
  assert(file.read(out.path .. "/report") == text)
  repeat
    local change = assert(changes:get(5))
    print(change.kind, change.path:match "[^/]*$")
  until change.path:find "/report$"
end)
