-- SPDX-License-Identifier: MIT
-- Running programs. There is no shell unless asked for, so arguments need no quoting.
local core = require "braid.core"
local errors = require "braid.errors"
local missing = require "braid.missing"
local scope = require "braid.tasks.scope"
local stream = require "braid.io.stream"

local M = {}

local SYSTEM_PATH = "/bin:/usr/bin" -- where a program is looked for that has no PATH
local END_OF_FILE = "\4" -- Ctrl-D
local GRACE = 1 -- seconds between SIGTERM and SIGKILL

-- ---- arguments ------------------------------------------------------------------------------------------------------

local FILE, WORDS = "string|userdata", '"pipe", "inherit", "null"%s or a file of the io library'

local START_OPTIONS = {
  stdin = FILE, stdout = FILE, stderr = FILE, cwd = "string", env = "table", shell = "boolean", group = "boolean",
  clear_env = "boolean", pass_fds = "table", pty = "boolean|table",
  user = "string|integer",
}
local RUN_OPTIONS = { timeout = "number", max_output = "integer", check = "boolean" }
for name, expected in pairs(START_OPTIONS) do RUN_OPTIONS[name] = expected end

-- Converts to text for the system, which ends strings at a zero byte.
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

-- Where to look for the program, if that is not our own PATH.
local function path_of(opts)
  local path = (opts.env or {}).PATH
  if path then return tostring(path) end
  if path == false or opts.clear_env then return SYSTEM_PATH end
end

-- The numbers of the descriptors that the program gets, too.
local function passed_of(list)
  local numbers = {}
  for i, value in ipairs(list or {}) do
    local fd = type(value) == "table" and value.fd or value
    fd = math.type(fd) == "integer" and fd or nil
    if not fd or fd < 3 or fd > 0x7fffffff then
      errors.misuse(1, "bad option 'pass_fds[%d]' (a descriptor from 3 on, or an open stream, expected, got %s)", i,
        errors.described(value))
    end
    numbers[i] = fd
  end
  return numbers
end

-- Converts one of the three options for the core: "pipe", "null", "stdout" or a descriptor's number.
local function stdio_of(opts, name)
  local value = opts[name]
  if value == nil or value == "pipe" then return "pipe" end
  if value == "null" or value == "stdout" and name == "stderr" then return value end
  if value == "inherit" then value = io[name] end
  if io.type(value) == "file" then return core.file_number(value) end
  errors.misuse(1, "bad option '%s' (%s expected, got %s)", name, WORDS:format(name == "stderr" and ', "stdout"' or ""),
    io.type(value) or (type(value) == "string" and ("%q"):format(value) or type(value)))
end

-- ---- a running program ----------------------------------------------------------------------------------------------

---@class braid.process.Result
---@field code integer? the exit code; nil if a signal ended the program
---@field signal integer? the number of the signal that ended it
---@field stdout string? its output, if that was piped (only from `run`)
---@field stderr string?

---A started program. A `<close>` variable ends it: by SIGTERM, after a second by SIGKILL. With `group = true` the rest
---of its process group is ended, too, unless the block has waited for the program and leaves without an error. If the
---object is collected while the program runs, the program goes on without its pipes.
---@class braid.Process
---@field pid integer
---@field stdin braid.Stream? if it is a pipe
---@field stdout braid.Stream? if it is a pipe
---@field stderr braid.Stream? if it is a pipe
---@field private _child userdata
---@field private _terminal braid.Stream? if it has one: stdin and stdout
---@field private _result braid.process.Result?
---@field private _awaited boolean? a wait has seen its end
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
---@return braid.Error? err kinds: timeout, closed (the program reads no more), system
function Process:write(data, timeout) return pipe_of(self, "stdin"):write(data, timeout) end

---Reads from its stdout; see Stream:read. Suspends.
---@param what? integer|"l"|"L"|"a"
---@param timeout? number seconds
---@return string? data nil at the end
---@return braid.Error? err kinds: timeout, closed, system
function Process:read(what, timeout) return pipe_of(self, "stdout"):read(what, timeout) end

---An iterator over the lines of its stdout. Each step suspends.
---@param what? "l"|"L"
---@return fun(): string?
function Process:lines(what) return pipe_of(self, "stdout"):lines(what) end

---Closes its stdin: the program reads the end of the file. At a terminal (`pty`) it is told so by Ctrl-D, which counts
---at the beginning of a line. Suspends at a terminal.
function Process:close_stdin()
  if self._terminal then
    self._terminal:write(END_OF_FILE)
  else
    pipe_of(self, "stdin"):close()
  end
end

---Waits until the program has ended. Suspends. May be called again, and by several tasks.
---Read its output meanwhile: if a pipe is full, the program waits for ever.
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

---Sends it a signal. With `group = true` the signal goes to its process group, even after the program itself has ended.
---@param signal? integer|string a number, or a name such as "TERM" (the default) or "SIGKILL"
---@return boolean? sent false if it, and all of its group, have ended
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

-- The first process of the group has ended; the rest gets the same grace. Nobody tells when it ends, so poll.
local function stop_rest(child)
  local deadline = core.now() + GRACE
  while child:kill(0) and core.now() < deadline do scope.shield(core.sleep, 0.01) end
  child:kill(core.signals.KILL)
end

-- Ends the program and reaps it, even if the calling task is cancelled.
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

local function new_process(child, stdin, stdout, stderr, terminal)
  local both = terminal and stream.new(terminal)
  return setmetatable({
    pid = child:pid(), _child = child, _terminal = both, stdin = both or stdin and stream.new(stdin),
    stdout = both or stdout and stream.new(stdout), stderr = stderr and stream.new(stderr),
  }, Process)
end

-- Opens the terminal that the options ask for: returns our side, and the path of the program's. Nothing if they do not.
local function terminal_of(opts)
  if not opts.pty then return nil end
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    if opts[name] ~= nil and opts[name] ~= "pipe" then
      errors.misuse(1, "bad option '%s' (with pty all three are the terminal)", name)
    end
  end
  local size = type(opts.pty) == "table" and opts.pty or {}
  errors.check_options(1, "pty", size, { rows = "integer", columns = "integer" })
  errors.check_ranges(1, "pty", size, { rows = { 1, 65535 }, columns = { 1, 65535 } })
  return core.terminal_open(size.rows or 24, size.columns or 80)
end

local function start(argv, opts)
  local group = opts.group
  -- A shell's children are ended with it. Not at a terminal: a background process group could not read from it.
  if group == nil then group = opts.shell and opts.stdin ~= "inherit" and opts.stdin ~= io.stdin end
  local words, terminal, path = arguments_of(argv, opts.shell), terminal_of(opts)
  if opts.pty and not terminal then return nil, path end
  local child, stdin, stdout, stderr = core.child_start(words, environment_of(opts.env),
    opts.cwd and text_of("option 'cwd'", opts.cwd), stdio_of(opts, "stdin"), stdio_of(opts, "stdout"),
    stdio_of(opts, "stderr"), group or opts.pty, opts.clear_env, path_of(opts), passed_of(opts.pass_fds), path,
    opts.user and text_of("option 'user'", opts.user))
  if not child then return nil, stdin end
  local made, process = pcall(new_process, child, stdin, stdout, stderr, terminal)
  if made then return process end
  child:kill(core.signals.KILL) -- memory is out, so nobody will have this process
  error(process, 0)
end

---Starts a program. Does not wait for it.
---opts.stdin, .stdout, .stderr: "pipe" (default), "inherit" (ours), "null", or a file of the io library; for stderr
---also "stdout". opts.cwd: its working directory. opts.env: changes to the environment, name -> value, or false to
---remove a variable; the program is looked for in the PATH that it gets. opts.clear_env: it gets opts.env alone.
---opts.pass_fds: a list of descriptors, or streams, that it gets under the same numbers. opts.pty: true, or a table
---with `rows` and `columns`: the three are a terminal, to which `write` writes and from which `read` reads; it has a
---session and a process group of its own. opts.shell: argv is a command line for /bin/sh. opts.group: it gets its own
---process group, and signals go to the whole group; default: true with shell, unless it reads our stdin. opts.user: the
---name or the number of the user as whom it runs, with all groups of that user; only root may do this. The environment
---stays as it is.
---@param argv string[]|string the program, which is searched in PATH, and its arguments
---@param opts? table
---@return braid.Process? process
---@return braid.Error? err kind system; the message names the program
function M.start(argv, opts)
  errors.check_options(1, "process.start", opts, START_OPTIONS)
  return start(argv, opts or {})
end

-- ---- running a program to its end -----------------------------------------------------------------------------------

-- Reads all of an output, or nil, the error, and a part of it. No more than `most` bytes.
local function read_output(pipe, most)
  if not most then return pipe:read("a") end
  local text, err = pipe:read(most + 1)
  if err then return nil, err end
  if not text or #text <= most then return text or "" end
  return nil, errors.new("limit", ("more than %d bytes (max_output)"):format(most)), text:sub(1, most)
end

-- Uses all three pipes at the same time, so that no side waits for another. `output` gets what was read, by name. If a
-- pipe fails, it raises, and `broken` has the pipe's name and the error.
local function talk(process, input, most, output, broken)
  local function fail(name, err)
    broken.name, broken.cause = name, err
    error(err, 0)
  end
  local function read(name)
    if not process[name] then return end
    local text, err, part = read_output(process[name], most)
    output[name] = text or part
    if not text then fail(name, err) end
  end
  local function write()
    local written, err = process:write(input)
    -- A program may end without having read all its input.
    if not written and err.kind ~= "closed" then fail("stdin", err) end
    process:close_stdin()
  end
  scope.scope(function(tasks)
    if input then tasks:spawn(write) end
    if process.stderr then tasks:spawn(read, "stderr") end
    read "stdout"
  end)
end

-- What is already read of an output.
local function so_far(output) return output and (output:read_some(nil, 0) or "") end

-- Makes an error with the program's output so far.
local function failed(kind, message, process, output)
  return errors.new(kind, message, {
    stdout = output and output.stdout or so_far(process.stdout),
    stderr = output and output.stderr or so_far(process.stderr),
  })
end

local function communicate(process, input, program, most)
  local output, broken = {}, {}
  local ok, failure = pcall(talk, process, input, most, output, broken)
  local cause = broken.cause
  if cause then
    stop(process)
    local kind = cause.kind == "limit" and "limit" or "system"
    return nil, failed(kind, ("%s of %q: %s"):format(broken.name, program, cause.message), process, output)
  end
  if not ok then core.rethrow(failure) end
  local result, err = process:wait()
  if not result then return nil, failed(err.kind, err.message, process, output) end
  output.code, output.signal = result.code, result.signal
  return output
end

-- Makes an error of a result that is no success.
local function checked(result, program)
  if result.code == 0 then return result end
  local how = result.code and ("ended with exit code %d"):format(result.code)
    or ("was ended by signal %d"):format(result.signal)
  local said = (result.stderr or ""):match("([^\n]+)%s*$")
  return nil, errors.new("process", ("%q %s%s"):format(program, how, said and ": " .. said or ""), result)
end

---Runs a program to its end and collects its output. Suspends. A cancel ends the program first. An exit code other than
---0 is not an error.
---opts: those of `start`, except: opts.stdin: text for the program (default: none), or a file of the io library
---(io.stdin: ours). opts.timeout: seconds until it is ended, by SIGTERM, and a second later by SIGKILL.
---opts.max_output: bytes of each output; beyond it the program is ended. opts.check: an exit code other than 0, or a
---signal, is an error.
---@param argv string[]|string the program, which is searched in PATH, and its arguments
---@param opts? table
---@return braid.process.Result? result
---@return braid.Error? err kinds: system (the message names the program; also if one of its pipes fails, which ends
--- it); timeout; limit (max_output); process (only with check; it has .code or .signal). If the program was started,
--- the error has .stdout and .stderr so far
function M.run(argv, opts)
  errors.check_options(1, "process.run", opts, RUN_OPTIONS)
  opts = opts or {}
  local input, timeout = nil, opts.timeout
  errors.check_seconds(1, "process.run", opts, "timeout")
  errors.check_ranges(1, "process.run", opts, { max_output = { 0, math.maxinteger - 1 } })
  local how = setmetatable({ stdin = opts.stdin or not opts.pty and "null" or nil }, { __index = opts })
  if type(opts.stdin) == "string" then input, how.stdin = opts.stdin, "pipe" end
  local process <close>, failure = start(argv, how)
  if not process then return nil, failure end
  local program = opts.shell and argv or argv[1]
  local finished, result, err = scope.move_on_after(timeout, communicate, process, input, program,
    opts.max_output)
  if finished and result and opts.check then return checked(result, program) end
  if finished then return result, err end
  stop(process)
  return nil, failed("timeout", ("%q took longer than %g s"):format(program, timeout), process)
end

errors.guard(Process)
missing.methods(Process, "process")

return M
