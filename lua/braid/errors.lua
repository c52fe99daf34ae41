-- SPDX-License-Identifier: MIT
--- Error values: how they are made, checked and reported.

local core = require "braid.core"

local M = {}

---An error of braid. `tostring` returns its message. Programs compare `kind`, never the text.
---@class braid.Error
---@field kind string "timeout", "cancelled", "interrupted", "closed", "full", "empty", "not_sendable", "worker_died",
--- "owner_died", "broken", "group", "limit", "deadlock", "http", "json", "process",
--- "proxy", "redis", "postgres", "sqlite", "tls", "system" or "misuse"
---@field message string
---@field cause any? the error behind this one
---@field path string? of kind "json": where the value that cannot be encoded is
---@field line integer? of kind "json": the line of the text that is not JSON; `column` counts characters, `offset`
--- bytes, all from 1
---@field column integer?
---@field offset integer?
---@field code string? of kind "redis": the first word of the server's refusal, as "WRONGTYPE"; of kind
--- "sqlite": the name of SQLite's extended result code
---@field sqlstate string? of kind "postgres", as are severity, detail, hint, constraint, table, column and position
---@field not_sent table<string, string>? of an error from a worker: the parts that could not be sent, and why
local Error = core.Error

---Makes an error.
---@param kind string
---@param message string
---@param fields table? further fields
---@return braid.Error
function M.new(kind, message, fields)
  local err = { kind = kind, message = message }
  for name, value in pairs(fields or {}) do
    err[name] = value
  end
  return setmetatable(err, Error)
end

---Whether a value is an error of braid, and of this kind.
---@param value any
---@param kind string?
---@return boolean
function M.is_error(value, kind)
  return getmetatable(value) == Error and (kind == nil or value.kind == kind)
end

---Whether an error may be the echo of a cancel: it has kind "cancelled" or "interrupted", or is a group of only such.
---@param err any
---@return boolean
function M.is_echo(err)
  if not M.is_error(err) then return false end
  if err.kind ~= "group" then return err.kind == "cancelled" or err.kind == "interrupted" end
  for _, each in ipairs(err.errors) do
    if not M.is_echo(each) then return false end
  end
  return err.errors[1] ~= nil
end

local home = debug.getinfo(1, "S").source:match("^(.*[/\\])") or "@"
local moved = home:find "^@/" and home or ("@%s/%s"):format(core.start_folder, home:sub(2)) -- see search.lua
core.set_home(home, moved)

---Where braid's own Lua files are, for core.set_home in another state: prefixes of the names of their code.
---@return string home
---@return string moved
function M.home() return home, moved end

-- The caller's position. Level 1 is the caller of the function that calls this. Frames of braid are skipped.
local function where(level)
  for at = level + 2, math.huge do
    local info = debug.getinfo(at, "Sl")
    if not info then return "" end
    local ours = info.source:sub(1, #home) == home or info.source:sub(1, #moved) == moved
    if info.currentline > 0 and not ours then
      return ("%s:%d: "):format(info.short_src, info.currentline)
    end
  end
end

---Raises kind "misuse" at the line of the caller.
---@param level integer 1: the caller of the function that calls this
---@param format string
---@param ... any
function M.misuse(level, format, ...)
  core.rethrow(M.new("misuse", where(level) .. format:format(...)))
end

---pcall that keeps the place of the error, for core.rethrow.
---@param fn fun(...): ...
---@param ... any
---@return boolean ok
---@return any ... what fn returned, or the error and its place
function M.try(fn, ...)
  local place
  local function finish(ok, ...)
    if ok then return true, ... end
    return false, (...), place
  end
  return finish(xpcall(fn, function(err)
    place = core.trace(err)
    return err
  end, ...))
end

-- ---- options -------------------------------------------------------------------------------------------------------

---The known name that is most similar to this one; nil if none is similar enough.
---@param name string
---@param known table<string, any>
---@return string?
function M.nearest(name, known) return require("braid.spelling").nearest(name, known) end

---Describes a wrong argument: "3.5" for a number, "a string" and so on.
---@param value any
---@return string
function M.described(value)
  if type(value) == "number" then return tostring(value) end
  return value == nil and "nil" or "a " .. type(value)
end

-- The integer of a whole number (2.0 gives 2); nil for any other value.
local function whole(value) return type(value) == "number" and math.tointeger(value) or nil end

local function fits(value, expected)
  for alternative in expected:gmatch("[^|]+") do
    if alternative == "any" or type(value) == alternative then return true end
    if alternative == "integer" and whole(value) then return true end
    if alternative == "function" and (debug.getmetatable(value) or {}).__call then return true end
  end
  return false
end

---Returns a whole number as an integer: 2.0 gives 2. Raises for any other value, and for one below `least`.
---@param level integer as for misuse
---@param what string the function, for the message
---@param name string the argument
---@param value any
---@param least integer
---@return integer
function M.integer(level, what, name, value, least)
  local number = whole(value)
  if not number or number < least then
    M.misuse(level + 1, "bad argument '%s' to '%s' (an integer from %d expected, got %s)", name, what, least,
      M.described(value))
  end
  return number
end

---Raises for a numeric option that is out of its range. Other options are not checked.
---@param level integer as for misuse
---@param what string the function, for the message
---@param options table?
---@param ranges table<string, number[]> name -> { least, most or nil }
function M.check_ranges(level, what, options, ranges)
  for name, range in pairs(ranges) do
    local value, least, most = options and options[name], range[1], range[2] or math.huge
    if type(value) == "number" and not (value >= least and value <= most) then
      M.misuse(level + 1, "bad option '%s' to '%s' (%s %s expected, got %s)", name, what,
        range[2] and "a number from" or "a number of at least", range[2] and ("%s to %s"):format(least, most) or least,
        value)
    end
  end
end

---Raises for an option that is unknown or has the wrong type.
---@param level integer as for misuse
---@param what string the function, for the message
---@param options table?
---@param known table<string, string> name -> types, "number|string"
function M.check_options(level, what, options, known)
  if options == nil then return end
  if type(options) ~= "table" then
    M.misuse(level + 1, "bad argument 'opts' to '%s' (a table expected, got %s)", what, M.described(options))
  end
  for name, value in pairs(options) do
    local expected = known[name]
    if not expected then
      local nearest = type(name) == "string" and require("braid.spelling").option(name, known)
      M.misuse(level + 1, "unknown option '%s' to '%s'%s", M.text(name), what,
        nearest and (" (did you mean '%s'?)"):format(nearest) or "")
    elseif not fits(value, expected) then
      M.misuse(level + 1, "bad option '%s' to '%s' (%s expected, got %s)", name, what,
        expected:gsub("|", " or "), M.described(value))
    end
  end
end

---Raises for an option that should be a time and is negative or NaN. Its type was checked before.
---@param level integer as for misuse
---@param what string the function, for the message
---@param options table?
---@param name string
function M.check_seconds(level, what, options, name)
  local value = options and options[name]
  if value and (value < 0 or value ~= value) then
    M.misuse(level + 1, "bad option '%s' to '%s' (seconds, not negative, expected, got %s)", name, what, value)
  end
end

---Raises for a value that cannot be called.
---@param level integer as for misuse
---@param what string the function, for the message
---@param name string the argument
---@param value any
function M.check_function(level, what, name, value)
  if value == package.loaded.braid and value then M.misuse(level + 1, "call it with a dot: braid.%s(...)", what) end
  if not fits(value, "function") then
    M.misuse(level + 1, "bad argument '%s' to '%s' (a function expected, got %s)%s", name, what, M.described(value),
      name == "fn" and type(value) == "table" and ": the function comes first" or "")
  end
end

---As tostring, but never raises: the __tostring of a foreign value may fail.
---@param value any
---@return string
function M.text(value)
  local ok, text = pcall(tostring, value)
  return ok and text or ("a %s whose __tostring fails"):format(type(value))
end

-- Whether a traceback has a line of Lua code.
local function names_code(traceback)
  for line in traceback:gmatch "\n\t([^\n]+)" do
    local code = not (line:find "^%[C%]:" or line:find "^%(%.%.%.tail" or line:find "^%.%.%.\t")
    if code then return true end
  end
  return false
end

-- Text from elsewhere cannot command a terminal: control characters are shown, not sent. Lines and tabs stay.
local function printable(text)
  return (text:gsub("[^\t]+", function(piece) return core.printable(piece, true) end))
end

-- A plain table as an error: its first fields.
local function fields_of(err)
  local list, most = {}, 8
  for name, value in next, err do
    if #list == most then return ("{ %s, ... }"):format(table.concat(list, ", ")) end
    local text = type(value) == "string" and ("%q"):format(value) or M.text(value)
    list[#list + 1] = type(name) == "string" and ("%s = %s"):format(name, text) or text
  end
  table.sort(list)
  return ("{ %s }"):format(table.concat(list, ", "))
end

-- The error, and what Lua's message leaves unsaid.
local function explained(err)
  local text = type(err) == "table" and not getmetatable(err) and fields_of(err) or M.text(err)
  local hint = type(err) == "string" and require("braid.hints").of(text)
  return hint and ("%s (%s)"):format(text, hint) or text
end

---The text for an error that ends something, with its traceback if that names the user's code. Control characters are
---escaped.
---@param err any
---@param traceback string?
---@return string
function M.told(err, traceback)
  local text = explained(err)
  return printable(traceback and names_code(traceback) and text .. "\n" .. traceback or text)
end

---The point in time `timeout` seconds from now; nil for nil. Raises for a negative number and for any other value.
---@param level integer as for misuse
---@param what string the function, for the message
---@param timeout number?
---@return number?
function M.deadline(level, what, timeout)
  if timeout == nil then return nil end
  if type(timeout) ~= "number" or timeout < 0 or timeout ~= timeout then
    M.misuse(level + 1, "bad argument 'timeout' to '%s' (seconds, not negative, expected, got %s)", what,
      M.described(timeout))
  end
  return core.now() + timeout
end

---The seconds until this point in time, at least 0; nil for nil.
---@param deadline number? as from `deadline`
---@return number?
function M.time_left(deadline)
  if not deadline then return nil end
  local left = deadline - core.now()
  return left > 0 and left or 0
end

-- ---- methods -------------------------------------------------------------------------------------------------------

-- A guarded method -> the original method, for classes that take over methods of another class.
local unguarded = setmetatable({}, { __mode = "k" })

-- Also an object that lives in another process: its class has the same name.
local function is_object(value, class)
  local own = debug.getmetatable(value)
  return own == class or type(value) == "userdata" and own and rawget(own, "__name") == class.__name
end

---Raises if the value is no object of this class: a method was called on another value, most likely with a dot.
---@param level integer as for misuse
---@param class table its metatable
---@param name string the method
---@param value any
function M.no_self(level, class, name, value)
  if is_object(value, class) then return end
  M.misuse(level + 1, "call it with a colon: %s:%s(...) (%s expected as self, got %s)",
    class.__name:match "[^._]*$":lower(), name, class.__name, M.described(value))
end

local function guarded(class, name, method)
  return function(self, ...)
    if getmetatable(self) ~= class then M.no_self(1, class, name, self) end
    return method(self, ...)
  end
end

---Makes the public Lua methods of a class refuse a call with a dot. (Methods in C do that themselves.) Called at the
---end of the module that makes the class.
---@param class table its metatable, with `__name`
---@param methods table? the table of the methods; default: the class
---@param but table<string, true>? methods that check self themselves
function M.guard(class, methods, but)
  methods = methods or class
  for name, method in pairs(methods) do
    method = unguarded[method] or method
    local public = type(name) == "string" and type(method) == "function" and name:sub(1, 1) ~= "_"
    if public and debug.getinfo(method, "S").what == "Lua" and not (but and but[name]) then
      methods[name] = guarded(class, name, method)
      unguarded[methods[name]] = method
    end
  end
end

-- ---- groups --------------------------------------------------------------------------------------------------------

-- The text of one of several failures. Its lines are limited, because groups inside groups would grow without end.
-- The field `errors` has all of them.
local function excerpt(err)
  local most, text, last = 20, M.text(err), 0
  for _ = 1, most do
    last = text:find("\n", last + 1, true)
    if not last then return text end
  end
  return text:sub(1, last) .. "..."
end

---Makes one error of several failures: kind "group", and the field `errors` is the list.
---@param list any[] its field `more` counts further failures whose errors are not known
---@return braid.Error
function M.group(list)
  local most, count, more, lines, plain = 10, list.n or #list, list.more or 0, {}, {}
  for i = 1, count do plain[i] = list[i] end
  for i = 1, math.min(count, most) do
    lines[i] = ("  %d. %s"):format(i, (excerpt(list[i]):gsub("\n", "\n     ")))
  end
  if count + more > #lines then lines[#lines + 1] = ("  ... and %d more"):format(count + more - #lines) end
  return M.new("group", ("%d failures:\n%s"):format(count + more, table.concat(lines, "\n")), { errors = plain })
end

---Raises a single error as it is, and several errors as a group.
---@param list any[]
---@param traceback string? of the first error
function M.raise(list, traceback)
  if (list.n or #list) + (list.more or 0) == 1 then core.rethrow(list[1], traceback) end
  core.rethrow(M.group(list), traceback)
end

-- ---- what nobody asked for -----------------------------------------------------------------------------------------

local last_shown -- the last traceback that was written to stderr

local function to_stderr(err, traceback, name)
  local text = ("braid: unhandled error%s: %s\n"):format(name and (" in task " .. name) or "", explained(err))
  if traceback then text = text .. traceback .. "\n" end
  last_shown = traceback
  io.stderr:write(printable(text))
end

local handler = to_stderr

---Sets the function that reports errors nobody has asked for; nil restores the report on stderr.
---@param fn fun(err: any, traceback: string?, name: string?)?
function M.on_unhandled(fn)
  if fn ~= nil then M.check_function(1, "on_unhandled", "fn", fn) end
  handler = fn or to_stderr
end

---Replaces that function for a while: returns the one before, which is to be set again.
---@param fn fun(err: any, traceback: string?, name: string?)
---@return fun(err: any, traceback: string?, name: string?)
function M.swap_handler(fn)
  local before = handler
  handler = fn
  return before
end

---Reports an error. If the handler fails, both errors are reported on stderr.
---@param err any
---@param traceback string?
---@param name string?
function M.report(err, traceback, name)
  local ok, failure = pcall(handler, err, traceback, name)
  if ok then return end
  to_stderr(err, traceback, name)
  to_stderr(failure, nil, "on_unhandled")
end

core.set_hook("report", M.report)

core.set_hook("callback", function(fn, future)
  local traceback
  local ok, err = xpcall(fn, function(e)
    traceback = core.trace(e)
    return e
  end, future)
  local passed_on = M.is_echo(err) and future:cancelled() -- the callback asked for a cancelled result
  if not ok and not passed_on then M.report(err, traceback, "on_done callback") end
end)

core.set_hook("insists", function(place, task)
  local message = place .. "what was cancelled went on again and again, and is stopped here: let errors of kind "
    .. '"cancelled" through, and clean up inside braid.shield'
  local err = M.new("misuse", message)
  M.report(err, core.trace(err), task and task.name)
end)

-- ---- what nobody catches -------------------------------------------------------------------------------------------

-- An error that ends the script, in the form that the interpreter prints: once, with its traceback. `<close>` variables
-- on its way can still read the fields of the error.
local Uncaught = { __name = "braid.uncaught" }

function Uncaught:__tostring() return rawget(self, "_text") end

function Uncaught:__index(name)
  local err = rawget(self, "_error")
  if type(err) == "table" then return err[name] end
end

core.set_hook("uncaught", function(err, traceback)
  if M.is_error(err, "interrupted") then
    io.stderr:write("braid: interrupted\n") -- exit status 130, as a shell expects
    core.leave()
    os.exit(130, true)
  end
  if getmetatable(err) == Uncaught then return err end -- it was raised again by a `<close>` variable
  local shown = traceback == last_shown or type(err) == "string" and err:find("\nstack traceback:\n", 1, true)
  local text = M.told(err, not shown and traceback or nil)
  return setmetatable({ _error = err, _text = text }, Uncaught)
end)

return M
