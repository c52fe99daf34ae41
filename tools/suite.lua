-- SPDX-License-Identifier: MIT
-- Runs the commands it is given one after the other and counts tests.
-- usage: lua tools/suite.lua SECONDS COMMAND...
--
-- A command reports each of its tests by a line `ok - name` or `not ok - name`, and when it has come to its end their
-- number as `1..N` (that is TAP). One that reports none is a test itself. One that ends badly without having said why,
-- or does not come to its end in SECONDS, is one more failure. The last line is `N passed, N failed`.

local seconds = assert(tonumber(arg[1]), "usage: lua tools/suite.lua SECONDS COMMAND...")

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function run(command)
  local count, complete = { passed = 0, failed = 0, skipped = 0 }, false
  local output = assert(io.popen(("timeout -k 5 %d sh -c %s </dev/null"):format(seconds, quoted(command)), "r"))
  for line in output:lines() do
    print(line)
    io.flush()
    if line:find("^ok %- .*# SKIP") then
      count.skipped = count.skipped + 1
    elseif line:find("^ok %- ") then
      count.passed = count.passed + 1
    elseif line:find("^not ok %- ") then
      count.failed = count.failed + 1
    elseif line:find("^1%.%.%d+$") then
      complete = true
    end
  end
  local ended_well, how, code = output:close()
  local is_test = count.passed + count.failed + count.skipped == 0 and not complete
  if ended_well and is_test then
    count.passed = 1
    print("ok - " .. command)
  elseif not ended_well and (count.failed == 0 or not complete) or not complete and not is_test then
    count.failed = count.failed + 1
    local reason = code == 124 and ("no end after %d s"):format(seconds) or ("%s %d"):format(how, code)
    print(("not ok - %s (%s)"):format(command, reason))
  end
  return count
end

local total, failures = { passed = 0, failed = 0, skipped = 0 }, {}
for i = 2, #arg do
  print("# " .. arg[i])
  local count = run(arg[i])
  for key, number in pairs(count) do total[key] = total[key] + number end
  if count.failed > 0 then failures[#failures + 1] = ("# %d failed in: %s"):format(count.failed, arg[i]) end
end

print()
for _, line in ipairs(failures) do print(line) end
if total.skipped > 0 then print(("# %d skipped"):format(total.skipped)) end
print(("%d passed, %d failed"):format(total.passed, total.failed))
os.exit(total.failed == 0)
