-- SPDX-License-Identifier: MIT
-- What the tests have passed, by room: lines and branches of csrc by gcov, lines of lua/braid by the marks of the host.
-- usage: lua tools/coverage.lua BUILD      (see `make coverage`; in the root of the tree)
--
-- Writes what was not passed to BUILD/uncovered.txt, a line each, as FILE:LINE: TEXT. Before the text of a line stands
-- "never", or, where only some ways out of it were taken, how many of how many were not.

local build = assert(arg[1], "usage: lua tools/coverage.lua BUILD")

local function output_of(command)
  local output <close> = assert(io.popen(command))
  return output:read("a")
end

-- files["csrc/core/base/heap.c"][12] = { text = "...", ran = true, branches = { true, false } }: the lines with code.
local files = {}

local function line_of(file, number, text)
  files[file] = files[file] or {}
  local line = files[file][number] or { text = text, ran = false, branches = {} }
  files[file][number] = line
  return line
end

-- ---- C --------------------------------------------------------------------------------------------------------------

-- A line of a header is there once for each file that includes it, and a line of a macro has branches several times:
-- the n-th branch of the line is taken when it was taken anywhere.
local function read_gcov(report)
  local file, line, branch
  for row in report:gmatch("[^\n]+") do
    local count, number, text = row:match("^%s*([^:]+):%s*(%d+):(.*)")
    local taken = row:match("^branch%s+%d+ (.*)")
    if number == "0" then
      file = text:match("^Source:(csrc/.*)") or not text:find("^Source:") and file or nil
      line = nil
    elseif number and file and count ~= "-" then
      line, branch = line_of(file, tonumber(number), text), 0
      line.ran = line.ran or count:find("^%d") ~= nil
    elseif taken and line then
      branch = branch + 1
      line.branches[branch] = line.branches[branch] or taken:find("^taken [1-9]") ~= nil
    end
  end
end

read_gcov(output_of("find " .. build .. "/obj/csrc -name '*.gcno' | xargs gcov --stdout --branch-probabilities" ..
  " --branch-counts 2>/dev/null"))

-- ---- Lua ------------------------------------------------------------------------------------------------------------

-- The lines with code, by the compiler's listing. At the end of each function stands a return that belongs to no
-- statement; often nothing comes there.
local function read_listing(file, marks, texts)
  local last
  local function add()
    if last then line_of(file, last, texts[last]).ran = marks:byte(last + 1) == 1 end
  end
  for row in output_of("luac5.4 -l -p " .. file):gmatch("[^\n]+") do
    local number, instruction = row:match("^%s+%d+%s+%[(%d+)%]%s+(%S+)")
    if instruction and instruction ~= "VARARGPREP" then
      add()
      last = tonumber(number)
    elseif not instruction then
      last = nil
    end
  end
end

for file in output_of("find lua/braid -name '*.lua'"):gmatch("[^\n]+") do
  local texts = {}
  for text in io.lines(file) do texts[#texts + 1] = text end
  local marks <close> = io.open(build .. "/lines/" .. file:gsub("^lua/", ""):gsub("/", "."))
  read_listing(file, marks and marks:read("a") or "", texts)
end

-- ---- the list -------------------------------------------------------------------------------------------------------

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function untaken(line)
  local count = 0
  for _, taken in ipairs(line.branches) do count = count + (taken and 0 or 1) end
  return count
end

do
  local list <close> = assert(io.open(build .. "/uncovered.txt", "w"))
  for _, file in ipairs(sorted_keys(files)) do
    for _, number in ipairs(sorted_keys(files[file])) do
      local line = files[file][number]
      local missing = untaken(line)
      local what = not line.ran and "never" or missing > 0 and ("%d of %d"):format(missing, #line.branches)
      if what then list:write(("%s:%d: %s: %s\n"):format(file, number, what, line.text:match("^%s*(.-)%s*$"))) end
    end
  end
end

-- ---- the table ------------------------------------------------------------------------------------------------------

local rooms = {}

for file, lines in pairs(files) do
  local name = file:match("^(.*)/")
  rooms[name] = rooms[name] or { lines = 0, ran = 0, branches = 0, taken = 0 }
  local room = rooms[name]
  for _, line in pairs(lines) do
    room.lines = room.lines + 1
    room.ran = room.ran + (line.ran and 1 or 0)
    room.branches = room.branches + #line.branches
    room.taken = room.taken + #line.branches - untaken(line)
  end
end

local function share(part, whole) return whole == 0 and "" or ("%.1f %%"):format(100 * part / whole) end

print(("%-24s %7s %8s %9s %8s"):format("room", "lines", "passed", "branches", "passed"))
for _, name in ipairs(sorted_keys(rooms)) do
  local room = rooms[name]
  local branches = room.branches > 0 and room.branches or ""
  print(("%-24s %7d %8s %9s %8s"):format(name, room.lines, share(room.ran, room.lines), branches,
    share(room.taken, room.branches)))
end
print("what was not passed: " .. build .. "/uncovered.txt")
