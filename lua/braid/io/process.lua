-- SPDX-License-Identifier: MIT
-- Running programs. No shell is involved unless asked for, so arguments need no quoting.
local core = require "braid.core"
local errors = require "braid.errors"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"

local M = {}

local GRACE = 1 -- seconds between SIGTERM and SIGKILL

-- ---- arguments ------------------------------------------------------------------------------------------------------

local FILE, WORDS = "string|userdata", '"pipe", "inherit", "null"%s or a file of the io library'

local START_OPTIONS = {
  stdin = FILE, stdout = FILE, stderr = FILE, cwd = "string", env = "table", shell = "boolean", group = "boolean",
}
local RUN_OPTIONS = { timeout = "number" }
for name, expected in pairs(START_OPTIONS) do RUN_OPTIONS[name] = expected end

-- As text for the system, for which a zero byte ends a string.
local function text_of(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    errors.misuse(1, "bad %s (a string expected, got %s)", name, errors.described(value))
  end
  value = tostring(value)
  if value:find("\0", 1, true) then errors.misuse(1, "bad %s (it contains a zero byte)", name) end
  return value
end

local function arguments_of(argv, shell)
  if shell then
    if type(argv) == "string" then return { "/bin/sh", "-c", text_of("argument 'argv'", argv) } end
    errors.misuse(1, "bad argument 'argv' (with shell = true a string expected, got %s)", errors.described(argv))
  end
  if type(argv) ~= "table" or #argv == 0 then
    errors.misuse(1, "bad argument 'argv' (a list such as { \"ls\", \"-l\" } expected, got %s)",
      type(argv) == "table" and "one without a program" or type(argv))
  end
  local list = {}
  for i = 1, #argv do list[i] = text_of(("argument 'argv[%d]'"):format(i), argv[i]) end
  return list
end

local function environment_of(env)
  local entries = {}
  for name, value in pairs(env or {}) do
    if type(name) ~= "string" or name == "" or name:find("[=\0]") then
      errors.misuse(1, "bad option 'env' (%q cannot be the name of a variable)", tostring(name))
    end
    entries[name] = value and name .. "=" .. text_of("option 'env." .. name .. "'", value)
  end
  return entries
end

-- What the core wants to know of one of the three: "pipe", "null", "stdout" or a descriptor's number.
local function stdio_of(opts, name)
  local value = opts[name]
  if value == nil or value == "pipe" then return "pipe" end
  if value == "null" or value == "stdout" and name == "stderr" then return value end
  if value == "inherit" then value = io[name] end
  if io.type(value) == "file" then return core.file_number(value) end
  errors.misuse(1, "bad option '%s' (%s expected, got %s)", name, WORDS:format(name == "stderr" and ', "stdout"' or ""),
    io.type(value) or (type(value) == "string" and ("%q"):format(value) or type(value)))
end

-- ---- a program that runs --------------------------------------------------------------------------------------------

---@class braid.process.Result
---@field code integer? its exit code; nil when a signal ended it
---@field signal integer? the number of the signal that ended it
---@field stdout string? what it wrote, where that was piped (of `run` only)
---@field stderr string?

---A program that was started. As a `<close>` variable it is ended: by SIGTERM, after a second by SIGKILL; with
---`group = true` so is what it has left of its group, unless the block has waited for its end and leaves without an
---error. Dropped while it runs, it goes on, without its pipes.
---@class braid.Process
---@field pid integer
---@field stdin braid.Stream? where it is a pipe
---@field stdout braid.Stream?
---@field stderr braid.Stream?
---@field private _child userdata
---@field private _result braid.process.Result?
---@field private _awaited boolean? somebody has waited for its end, and has seen it
---@field private _stopped boolean?
local Process = { __name = "braid.process" }
Process.__index = Process

local function pipe_of(self, name)
  return self[name] or errors.misuse(1, "the %s of this process is not a pipe", name)
end

---Writes to its stdin; see Stream:write. Suspends.
---@param data string|number
---@param timeout? number seconds
---@return true? written
---@return braid.Error? err kinds: timeout, closed (it reads no more), system
function Process:write(data, timeout) return pipe_of(self, "stdin"):write(data, timeout) end

---Reads from its stdout; see Stream:read. Suspends.
---@param what? integer|"l"|"L"|"a"
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Process:read(what, timeout) return pipe_of(self, "stdout"):read(what, timeout) end

---An iterator over the lines of its stdout. Suspends.
---@param what? "l"|"L"
---@return fun(): string?
function Process:lines(what) return pipe_of(self, "stdout"):lines(what) end

---Closes its stdin: it reads an end there.
function Process:close_stdin() pipe_of(self, "stdin"):close() end

---Waits until it has ended. Suspends. May be called again, and by several tasks.
---What it writes must be read meanwhile, or it may wait for that for ever.
---@param timeout? number seconds
---@return braid.process.Result? result code or signal
---@return braid.Error? err kinds: timeout, system
function Process:wait(timeout)
  local ended, code, signal = self._child:wait(timeout)
  self._awaited = self._awaited or not self._child:running()
  if not ended then return nil, code end
  self._result = self._result or { code = code, signal = signal }
  return self._result
end

---Sends it a signal; with `group = true`, to its whole process group, also when it has ended itself.
---@param signal? integer|string a number, or a name such as "TERM" (the default) or "SIGKILL"
---@return boolean? sent false when it had ended already, and all of its group
---@return braid.Error? err kind system
function Process:kill(signal)
  local number = signal or "TERM"
  if type(number) == "string" then number = core.signals[number:gsub("^SIG", "")] end
  if math.type(number) ~= "integer" or number < 0 or number > 64 then
    errors.misuse(1, "bad argument 'signal' (a number or a name such as \"TERM\" expected, got %s)",
      errors.text(signal))
  end
  return self._child:kill(number)
end

-- What is left of a group whose first process has ended has the same grace: nobody tells when it ends.
local function stop_rest(child)
  local deadline = core.now() + GRACE
  while child:kill(0) and core.now() < deadline do scope.shield(core.sleep, 0.01) end
  child:kill(core.signals.KILL)
end

-- Ends it and reaps it, even when the task that does so has been cancelled.
local function stop(self)
  if self._stopped then return end
  self._stopped = true
  local child = self._child
  local running = child:running()
  child:doom()
  if not child:kill(core.signals.TERM) then return end
  if not running then return stop_rest(child) end
  if not child:wait(GRACE, true) then
    child:kill(core.signals.KILL)
    child:wait(nil, true)
  end
end

function Process:__close(err)
  if err ~= nil or not self._awaited then stop(self) end
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if self[name] then self[name]:close() end
  end
end

local function new_process(child, stdin, stdout, stderr)
  return setmetatable({
    pid = child:pid(), _child = child, stdin = stdin and stream.new(stdin), stdout = stdout and stream.new(stdout),
    stderr = stderr and stream.new(stderr),
  }, Process)
end

local function start(argv, opts)
  local group = opts.group
  -- A shell's children are ended with it. Not so at a terminal, from which a group of its own could not read.
  if group == nil then group = opts.shell and opts.stdin ~= "inherit" and opts.stdin ~= io.stdin end
  local child, stdin, stdout, stderr = core.child_start(arguments_of(argv, opts.shell), environment_of(opts.env),
    opts.cwd and text_of("option 'cwd'", opts.cwd), stdio_of(opts, "stdin"), stdio_of(opts, "stdout"),
    stdio_of(opts, "stderr"), group)
  if not child then return nil, stdin end
  local made, process = pcall(new_process, child, stdin, stdout, stderr)
  if made then return process end
  child:kill(core.signals.KILL) -- memory is out: nobody would ever hear of it
  error(process, 0)
end

---Starts a program and lets it run.
---opts.stdin, .stdout, .stderr: "pipe" (the default), "inherit" (ours), "null", or a file of the io library; for stderr
---also "stdout". opts.cwd: the directory it starts in. opts.env: changes to the environment, name -> value, or false to
---leave one out. opts.shell: argv is a line for /bin/sh. opts.group: it gets a process group of its own, which signals
---reach as a whole; default: with shell.
---@param argv string[]|string the program, which is looked for in PATH, and its arguments
---@param opts? table
---@return braid.Process? process
---@return braid.Error? err kind system, naming the program
function M.start(argv, opts)
  errors.check_options(1, "process.start", opts, START_OPTIONS)
  return start(argv, opts or {})
end

-- ---- a program that runs to its end ---------------------------------------------------------------------------------

-- All three pipes at once: whichever side is slow, none waits for another. Returns what was read of them, by name. A
-- pipe that cannot be used ends it, and is in `broken`.
local function talk(process, input, broken)
  local output = {}
  local function fail(name, err)
    broken.name, broken.cause = name, err
    error(err, 0)
  end
  local function read(name)
    if not process[name] then return end
    local text, err = process[name]:read("a")
    output[name] = text or fail(name, err)
  end
  local function write()
    local written, err = process:write(input)
    -- A program may well end without having read everything.
    if not written and err.kind ~= "closed" then fail("stdin", err) end
    process:close_stdin()
  end
  scope.scope(function(tasks)
    if input then tasks:spawn(write) end
    if process.stderr then tasks:spawn(read, "stderr") end
    read "stdout"
  end)
  return output
end

-- What had come of an output that was not read to its end.
local function so_far(output) return output and (output:read_some(nil, 0) or "") end

-- An error that has what the program has written.
local function failed(kind, message, process, output)
  return errors.new(kind, message, {
    stdout = output and output.stdout or so_far(process.stdout),
    stderr = output and output.stderr or so_far(process.stderr),
  })
end

local function communicate(process, input, program)
  local broken = {}
  local ok, output = pcall(talk, process, input, broken)
  if broken.cause then
    stop(process)
    return nil, failed("system", ("%s of %q: %s"):format(broken.name, program, broken.cause.message), process)
  end
  if not ok then core.rethrow(output) end
  local result, err = process:wait()
  if not result then return nil, failed(err.kind, err.message, process, output) end
  output.code, output.signal = result.code, result.signal
  return output
end

---Runs a program to its end and collects what it writes. Suspends. Cancelled, it ends the program first. An exit code
---other than 0 is not an error.
---opts are those of `start`, except: opts.stdin: text for the program (default: none), or a file of the io library
---(io.stdin: ours). opts.timeout: seconds until it is ended, by SIGTERM, a second later by SIGKILL.
---@param argv string[]|string the program, which is looked for in PATH, and its arguments
---@param opts? table
---@return braid.process.Result? result
---@return braid.Error? err kinds: system, naming the program, also when one of its pipes cannot be used: it is ended
--- then; timeout. With .stdout and .stderr so far, when it was started
function M.run(argv, opts)
  errors.check_options(1, "process.run", opts, RUN_OPTIONS)
  opts = opts or {}
  local input, timeout = nil, opts.timeout
  errors.check_seconds(1, "process.run", opts, "timeout")
  local how = setmetatable({ stdin = opts.stdin or "null" }, { __index = opts })
  if type(opts.stdin) == "string" then input, how.stdin = opts.stdin, "pipe" end
  local process <close>, failure = start(argv, how)
  if not process then return nil, failure end
  local program = opts.shell and argv or argv[1]
  local finished, result, err = scope.move_on_after(timeout, communicate, process, input, program)
  if finished then return result, err end
  stop(process)
  return nil, failed("timeout", ("%q took longer than %g s"):format(program, timeout), process)
end

errors.guard(Process)

return M
