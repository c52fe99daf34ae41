-- SPDX-License-Identifier: MIT
-- What every spec stands on: tests with a deadline that leave nothing behind, and scripts in processes of their own.
local busted = require "busted"
local lfs = require "lfs"
local braid = require "braid"
local elsewhere = require "spec.elsewhere"

local M = {}

--- How many times slower than usual everything may be: the sanitizers and valgrind set it.
M.slowness = tonumber(os.getenv("BRAID_SLOWNESS")) or 1

--- The interpreter that runs this spec.
M.lua = arg[-1] or "lua5.4"

--- Whether a process runs: one that is dead and not yet reaped does not.
---@param pid integer
---@return boolean
function M.lives(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local text = file and file:read("a") -- nil when it goes meanwhile
  return text ~= nil and not text:find("%) [ZX] ")
end

-- ---- the deadline ---------------------------------------------------------------------------------------------------

-- A shell beside us looks once a second whether the deadline in `watched` has passed, and ends us by SIGABRT then:
-- this also works when Lua code loops, or C code blocks. It ends when we do.
local watched = os.tmpname()
os.execute(([[
  lua=$PPID file='%s'
  exec 3>&2 </dev/null >/dev/null 2>&1
  {
    while kill -0 $lua; do
      if read -r deadline name <$file && [ $(date +%%s) -gt $deadline ]; then
        echo "deadline passed: $name" >&3
        kill -ABRT $lua; sleep 3; kill -KILL $lua
      fi
      sleep 1
    done
    rm -f $file
  } &
]]):format(watched))

local function watch(deadline, name)
  local file <close> = assert(io.open(watched, "w"))
  file:write(("%d %s\n"):format(deadline, name))
end

local function unwatch() watch(os.time() + 365 * 86400, "nothing") end

-- ---- what is left behind --------------------------------------------------------------------------------------------

-- Threads that stay until the process ends.
local LASTING = { ["braid-kernels"] = true, ["braid-answer"] = true, ["braid-nats"] = true,
  ["braid-deadlocks"] = true }

local function first_line(file)
  local handle <close> = io.open(file)
  return handle and handle:read("l")
end

-- What this process holds of the system, as a set of words. Empty where there is no /proc.
local function holdings()
  local held, counts = {}, {}
  if not lfs.attributes("/proc/self/fd") then return held end
  for fd in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. fd, "target")
    local fleeting = target and (target:find("^/proc/%d+/fd$") or target:find("^/memfd:braid ")) -- the memory of arrays
    if target and target:find "^anon_inode:" then -- by how many there are: a loop may replace its poller
      counts[target] = (counts[target] or 0) + 1
      held["descriptor " .. target .. " number " .. counts[target]] = true
    elseif target and not fleeting then
      held["descriptor " .. fd .. " " .. target] = true
    end
  end
  local pid = first_line("/proc/self/stat"):match("^%d+")
  for child in (first_line(("/proc/%s/task/%s/children"):format(pid, pid)) or ""):gmatch("%d+") do
    held["child process " .. child] = true
  end
  for thread in lfs.dir("/proc/self/task") do
    local name = thread:find("%d") and first_line(("/proc/self/task/%s/comm"):format(thread))
    if name and not LASTING[name] then held["thread " .. thread .. " " .. name] = true end
  end
  return held
end

local function left_behind(before)
  local left = {}
  for _, task in ipairs(braid.tasks()) do left[#left + 1] = "task " .. tostring(task.name or task) end
  for holding in pairs(holdings()) do
    if not before[holding] then left[#left + 1] = holding end
  end
  table.sort(left)
  return left
end

-- Some things end a moment later, on their own: a server's side of a connection, a process that was killed.
local function assert_nothing_left(before)
  local patience = os.time() + 2 * M.slowness
  repeat
    collectgarbage()
    collectgarbage()
    local left = left_behind(before)
    if #left == 0 then return end
    braid.sleep(0.01)
  until os.time() > patience
  error("left behind: " .. table.concat(left_behind(before), ", "), 0)
end

-- ---- tests ----------------------------------------------------------------------------------------------------------

-- busted runs what `finally` was given after the test, but then it would be too late to look for what is left.
local function collect_finally(fn)
  local cleanups = {}
  for i = 1, 255 do
    local name, env = debug.getupvalue(fn, i)
    if not name then break end
    if name == "_ENV" then env.finally = function(cleanup) cleanups[#cleanups + 1] = cleanup end end
  end
  return cleanups
end

-- busted knows its own failures by their metatable; everything else becomes text that says where.
local function with_traceback(err)
  local meta = getmetatable(err)
  if type(meta) == "table" and meta.__type then return err end
  if type(err) == "table" and not (meta and meta.__tostring) then return err end
  return (debug.traceback(tostring(err), 2):gsub("\n%s*%[C%]: in function 'xpcall'\n[^\n]*spec/helper%.lua.*", ""))
end

-- Ends the test that runs, if it cannot pass here.
local leave_out
busted.subscribe({ "test", "start" }, function(element)
  local name, block = element.name, busted.parent(element)
  while block and block.descriptor == "describe" do
    name = block.name .. " " .. name -- as it is reported
    block = busted.parent(block)
  end
  local reason, pending = elsewhere[name], element.env and element.env.pending -- none where it is pending anyway
  leave_out = function() if reason then pending(reason) end end
  --- Ends the test that runs: it is pending, for this reason.
  M.leave_out = pending
  return nil, true
end)

--- A test: busted's `it` with a deadline (opts.deadline, in seconds, default 10), after which nothing may be left that
--- was not there before: no task, descriptor, child process or thread.
---@param name string
---@param fn fun()
---@param opts? {deadline: number?}
function M.test(name, fn, opts)
  local deadline = (opts and opts.deadline or 10) * M.slowness
  busted.it(name, function()
    leave_out()
    watch(os.time() + deadline // 1 + 1, name)
    braid.sleep(0) -- the loop's own descriptors are there from now on
    local before = holdings()
    local cleanups = collect_finally(fn)
    local ok, err = xpcall(fn, with_traceback)
    for i = #cleanups, 1, -1 do cleanups[i]() end
    if not ok then unwatch() error(err, 0) end
    assert_nothing_left(before)
    unwatch()
  end)
end

--- braid.run, inside a test: the test's deadline is its.
---@param fn fun(...): ...
---@return ... fn's results
function M.run(fn, ...) return braid.run(fn, ...) end

--- Runs fn as a program in virtual time, in several orders of what the model leaves open.
---@param fn fun()
function M.in_virtual_time(fn) braid.testing.run(fn, { schedules = 10 }) end

-- ---- scripts --------------------------------------------------------------------------------------------------------

local function quoted(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

local function take(file)
  local handle <close> = assert(io.open(file, "rb"))
  local text = handle:read("a")
  os.remove(file)
  return text
end

--- Runs a Lua script in a process of its own, with this process's paths.
--- opts.timeout: seconds until it is killed (default 10); opts.args: its arguments; opts.stdin: text for it;
--- opts.env: further environment variables; opts.limits: the shell's ulimit for it, "-n 100".
---@param code string
---@param opts? {timeout: number?, args: string[]?, stdin: string?, env: table<string, string>?, limits: string?}
---@return string stdout
---@return string stderr
---@return integer code its exit status; 128 + n when signal n ended it; 124 when it was killed for its timeout
function M.lua_process(code, opts)
  opts = opts or {}
  local script, stdin, stdout, stderr = os.tmpname(), os.tmpname(), os.tmpname(), os.tmpname()
  for file, text in pairs { [script] = code, [stdin] = opts.stdin or "" } do
    local handle <close> = assert(io.open(file, "wb"))
    handle:write(text)
  end
  local words = {}
  for name, value in pairs(opts.env or {}) do words[#words + 1] = name .. "=" .. quoted(value) end
  local seconds = (opts.timeout or 10) * M.slowness
  for _, word in ipairs { "timeout", "-k", 2, seconds, M.lua, script } do words[#words + 1] = quoted(word) end
  for _, word in ipairs(opts.args or {}) do words[#words + 1] = quoted(word) end
  local limits = opts.limits and "ulimit " .. opts.limits .. "; " or ""
  local command = ("%s%s <%s >%s 2>%s"):format(limits, table.concat(words, " "), stdin, stdout, stderr)
  local _, how, number = os.execute(command)
  os.remove(script)
  os.remove(stdin)
  return take(stdout), take(stderr), how == "signal" and 128 + number or number
end

return M
