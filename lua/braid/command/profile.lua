-- SPDX-License-Identifier: MIT
--- braid profile: where a program spends its time, over all its tasks, threads and processes.

local core = require "braid.core"
local document = require "braid.document"
local options = require "braid.command.options"

local M = { summary = "where a program spends its time: a flame graph" }

M.usage = [[
usage: braid profile FILE [options] [-- ARGUMENT ...]    runs a Lua script to its end
       braid profile PID [options]                       looks at a running process for a while

Both see all tasks, threads and worker processes. What computes is met RATE times in a second; what waits is not met.

  --out FILE      by its ending: .html a flame graph on a page, .folded stacks for flamegraph.pl, .json for speedscope
                  (without it: folded stacks on stdout)
  --rate N        1 to 1000 times in a second (100)
  --seconds N     how long (FILE: to its end; PID: 10; Ctrl-C ends both)

A process can be looked at as by `braid ps`. It goes on when the profile has ended, however it ends.
]]

M.options = { out = "string", rate = "integer", seconds = "number" }

local DEFAULT_RATE, MOST_RATE, DEFAULT_SECONDS = 100, 1000, 10

local RENDER = {
  html = function(stacks, title) return require("braid.profile.page").page(stacks, title) end,
  json = function(stacks, title) return require("braid.profile.forms").speedscope(stacks, title) end,
  folded = function(stacks) return require("braid.profile.forms").folded(stacks) end,
}
RENDER.htm = RENDER.html

local function form_of(path)
  local ending = path and path:match "%.(%w+)$" or ""
  if not path or RENDER[ending] then return path and ending or "folded" end
  options.refuse("--out: a name that ends in .html, .folded or .json expected, got %q", path)
end

local function check(read)
  if read.rate and (read.rate < 1 or read.rate > MOST_RATE) then
    options.refuse("--rate: 1 to %d expected, got %d", MOST_RATE, read.rate)
  end
  if read.seconds and (read.seconds <= 0 or read.seconds ~= read.seconds) then
    options.refuse("--seconds: a number above 0 expected, got %g", read.seconds)
  end
end

-- The profile goes to its file, else to stdout; what it contains is told on stderr.
local function write(read, form, collector, title)
  local text = RENDER[form](collector.stacks, title)
  if read.out then
    local saved, err = document.save(read.out, text)
    if not saved then error(err, 0) end
  else
    io.stdout:write(text)
  end
  local total, rate = collector.stacks.total, collector.stacks.rate
  io.stderr:write(("braid profile: %d samples at %d Hz (%.2f s of computing) of %d %s%s\n"):format(total, rate,
    total / rate, collector.processes, collector.processes == 1 and "process" or "processes",
    read.out and ", in " .. read.out or ""))
end

-- ---- a script -------------------------------------------------------------------------------------------------------

local function interpreter() return os.getenv "BRAID_LUA" or core.proc_link "/proc/self/exe" or "lua5.4" end

-- The script's process loads braid first, which sends the profile.
local PRELUDE = [[package.path, package.cpath = %q, %q require "braid" require "braid.core"]]

local function start_script(collector, words)
  local process = require "braid.io.process"
  local argv = { interpreter(), "-e", PRELUDE:format(package.path, package.cpath), table.unpack(words) }
  local handle <close>, problem = io.open(words[1])
  if not handle then error(problem, 0) end
  return assert(process.start(argv, {
    stdin = "inherit", stdout = "inherit", stderr = "inherit", env = { BRAID_PROFILE = collector.number },
  }))
end

-- The script's own status; 128 and the signal if that has ended it.
local function status_of(result) return result.code or 128 + result.signal end

local function profile_script(collector, words, seconds)
  local signals = require("braid.io.signals").signals("INT", "TERM")
  local script = start_script(collector, words)
  local watcher = core.spawn(function()
    for name in signals do
      if name == "TERM" then script:kill(core.signals.TERM) end -- the terminal sends INT to the script, too
    end
  end)
  if seconds then
    core.spawn(function()
      core.sleep(seconds)
      collector:close()
    end):daemon()
  end
  local result = script:wait()
  collector:wait(1) -- worker processes end with it
  signals:close()
  watcher:wait()
  return status_of(result)
end

-- ---- a process ------------------------------------------------------------------------------------------------------

local function profile_process(collector, pid, seconds)
  local signals <close> = require("braid.io.signals").signals("INT", "TERM")
  local connected, err = collector:ask(pid)
  if not connected then error(err.message, 0) end
  local follower = core.spawn(collector.follow, collector, pid):daemon()
  local ended = core.spawn(collector.wait, collector):daemon()
  local stopped = core.spawn(signals.get, signals):daemon()
  require("braid.tasks.gather").wait({ ended, stopped }, {
    timeout = seconds or DEFAULT_SECONDS, return_when = "first",
  })
  for _, task in ipairs { follower, ended, stopped } do task:cancel() end
  return 0
end

-- ---------------------------------------------------------------------------------------------------------------------

local function profile(read, rest, pid, form)
  local collector <close> = require("braid.profile.collector").new(read.rate or DEFAULT_RATE)
  local server = core.spawn(collector.serve, collector):daemon()
  local status = pid and profile_process(collector, pid, read.seconds) or
    not pid and profile_script(collector, rest, read.seconds)
  server:cancel()
  collector:close()
  write(read, form, collector, pid and ("process %d"):format(pid) or rest[1])
  return status
end

function M.main(words)
  local read, rest = options.read(words, M.options)
  if not rest[1] then
    io.stderr:write(M.usage)
    return 2
  end
  check(read)
  local pid = math.tointeger(tonumber(rest[1]))
  if pid and (pid < 1 or rest[2]) then
    io.stderr:write(M.usage)
    return 2
  end
  local form = form_of(read.out)
  return require("braid").run(profile, read, rest, pid, form)
end

return M
