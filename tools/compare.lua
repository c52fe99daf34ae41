-- SPDX-License-Identifier: MIT
-- Compares the figures of this tree with those of another revision. Both trees are built, and each program of bench/
-- runs with one and then with the other, in turn; which one begins changes from round to round. For each figure it
-- prints the medians, the median of the ratios of the pairs (this tree / the revision), and an interval that holds the
-- true median with at least 95 %.
-- usage: lua tools/compare.lua MAKE LUA REVISION ROUNDS "PROGRAM [ARGUMENTS]"...

local make, lua, revision, rounds = arg[1], arg[2], arg[3], tonumber(arg[4])
local programs = table.move(arg, 5, #arg, 1, {})

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function read(command)
  local output = assert(io.popen(command))
  local text = output:read "a"
  return output:close() and text or nil
end

local function run(command, what)
  if not os.execute(command) then
    io.stderr:write(what, " has failed\n")
    os.exit(1)
  end
end

-- ---- the two trees --------------------------------------------------------------------------------------------------

local here = read "pwd":gsub("\n$", "")
local commit = read("git rev-parse --short " .. quoted(revision) .. "^0")
if not commit then os.exit(1) end
commit = commit:gsub("\n$", "")
local there = here .. "/build/compare/" .. commit

if not io.open(there .. "/Makefile") then
  run(("mkdir -p %s && git archive %s | tar -x -C %s"):format(quoted(there), commit, quoted(there)), "git archive")
end
run(("%s -s -C %s BUILD=build all >&2"):format(make, quoted(there)), "the build of " .. commit)
run(("%s -s BUILD=build/compare/this all >&2"):format(make), "the build of this tree")

local function environment(root, build)
  return ("env -u MAKEFLAGS LUA_PATH=%s LUA_CPATH=%s"):format(quoted(root .. "/lua/?.lua;" .. root ..
    "/lua/?/init.lua;;"), quoted(build .. "/?.so;;"))
end

local trees = { environment(there, there .. "/build"), environment(here, here .. "/build/compare/this") }

-- ---- measuring ------------------------------------------------------------------------------------------------------

-- figures[name] = { old = { value of each round }, new = { ... } }
local figures, names = {}, {}

local function note(tree, round, text)
  for line in text:gmatch "[^\n]+" do
    local name, metric, value = line:match "^([^\t]+)\t[^\t]+\t([^\t]+)\t([^\t]+)$"
    if name and tonumber(value) then
      local key = name .. " " .. metric
      if not figures[key] then
        figures[key] = { {}, {} }
        names[#names + 1] = key
      end
      figures[key][tree][round] = tonumber(value)
    end
  end
end

for round = 1, rounds do
  for _, program in ipairs(programs) do
    for turn = 1, 2 do
      local tree = (round + turn) % 2 + 1
      local text = read(("%s %s %s/bench/%s 2>&1"):format(trees[tree], quoted(lua), quoted(here),
        program:gsub("^(%S+)", "%1.lua")))
      if text then note(tree, round, text) else io.stderr:write(program, " has failed\n") end
    end
  end
  io.stderr:write(("round %d of %d, load %s"):format(round, rounds, io.open("/proc/loadavg"):read "l"), "\n")
end

-- ---- telling --------------------------------------------------------------------------------------------------------

local function median(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

local function sorted(values)
  local list = {}
  for _, value in pairs(values) do list[#list + 1] = value end
  table.sort(list)
  return list
end

-- Of n sorted values, those from the k-th to the k-th from the end hold the median with a probability of
-- 1 - 2 * P(Binomial(n, 1/2) < k).
local function interval(values)
  local n, k, below, term = #values, 0, 0, 0.5 ^ #values
  while below + term <= 0.025 and k < n // 2 do
    below = below + term
    term = term * (n - k) / (k + 1)
    k = k + 1
  end
  if k == 0 then return nil end
  return values[k], values[n + 1 - k]
end

print(("%-34s %12s %12s %8s  %s"):format("figure", commit, "this", "ratio", "95 %"))
for _, key in ipairs(names) do
  local old, new, ratios = figures[key][1], figures[key][2], {}
  for round = 1, rounds do
    if old[round] and new[round] and old[round] ~= 0 then ratios[#ratios + 1] = new[round] / old[round] end
  end
  if #ratios > 0 then
    table.sort(ratios)
    local low, high = interval(ratios)
    local told = low and ("%.3f to %.3f%s"):format(low, high, (low > 1 or high < 1) and "" or "  no difference seen")
      or ("%.3f to %.3f, too few rounds"):format(ratios[1], ratios[#ratios])
    print(("%-34s %12.5g %12.5g %8.3f  %s"):format(key, median(sorted(old)), median(sorted(new)), median(ratios), told))
  end
end
