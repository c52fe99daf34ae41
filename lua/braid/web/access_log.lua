-- SPDX-License-Identifier: MIT
-- The access log of a server: one line for each request, as text or JSON. Each line is one write, so that lines of
-- several processes do not mix. What a client has sent is escaped: a line holds printable ASCII only.
local core = require "braid.core"
local errors = require "braid.errors"
local json = require "braid.json"

local M = {}

---@class braid.web.LogEntry
---@field peer string
---@field method string
---@field target string
---@field status integer 499: the client has left; 504: request_timeout
---@field bytes integer of the body
---@field seconds number
---@field protocol string
---@field agent string?
---@field referer string?
---@field id string

local function escape(text)
  return (text:gsub('[^ -~]', function(c) return ("\\x%02X"):format(c:byte()) end))
end

-- A word of the line: without blanks.
local function word(text)
  if not text or text == "" then return "-" end
  return (escape(text):gsub(" ", "\\x20"))
end

local function quoted(text) return '"' .. (escape(text or "-"):gsub('["\\]', "\\%0")) .. '"' end

local stamp_second, stamp -- the time of the last line, to the second

local function time_of_day()
  local now = os.time()
  if now ~= stamp_second then
    stamp_second, stamp = now, os.date("!%Y-%m-%dT%H:%M:%SZ", now)
  end
  return stamp
end

---@param entry braid.web.LogEntry
---@return string
local function as_text(entry)
  return ("%s %s %s %d %d %.1fms %s %s %s %s"):format(word(entry.peer), word(entry.method), word(entry.target),
    entry.status, entry.bytes, entry.seconds * 1000, word(entry.protocol), quoted(entry.agent), time_of_day(),
    entry.id)
end

local function as_json(entry)
  return json.encode({
    time = time_of_day(), peer = entry.peer, method = escape(entry.method), target = escape(entry.target),
    status = entry.status, bytes = entry.bytes, seconds = math.floor(entry.seconds * 1e6 + 0.5) / 1e6,
    protocol = entry.protocol, agent = entry.agent and escape(entry.agent),
    referer = entry.referer and escape(entry.referer), id = entry.id,
  }, { sort_keys = true })
end

local forms = { text = as_text, json = as_json }

-- Reports a loss once, until writing works again.
local function careful(write, name)
  local lost = false
  return function(line)
    local ok, written, why = pcall(write, line)
    if not ok then written, why = nil, written end
    if written == nil and why ~= nil and not lost then
      pcall(io.stderr.write, io.stderr, ("braid: lines of the access log %s are lost: %s\n"):format(name,
        errors.text(why)))
    end
    lost = written == nil and why ~= nil
  end
end

local function to_stderr(line) return io.stderr:write(line .. "\n") end

local function writer(where)
  if where == true then return careful(to_stderr, "on stderr") end
  if type(where) ~= "string" then
    return careful(function(line) where(line) return true end, "function")
  end
  local file, problem = io.open(where, "a")
  if not file then errors.misuse(2, "option 'access_log': %s", problem) end
  file:setvbuf("no")
  return careful(function(line) return file:write(line .. "\n") end, where)
end

--- Opens the log that the options `access_log` (where) and `log` (the form, or a function) describe.
---@param options braid.web.ServeOptions
---@return fun(entry: braid.web.LogEntry)? write does not raise
function M.open(options)
  local where, form = options.access_log, options.log
  if form and form ~= "text" and form ~= "json" and form ~= true then where, form = form, nil end
  if form and not where then where = true end
  if not where then return nil end
  local render, write = forms[form] or as_text, writer(where)
  return function(entry) return write(render(entry)) end
end

local prefix = ("%08x"):format(math.random(0, 0xFFFFFFFF))
local count = 0

--- Makes the id of a request. It is unique among the processes of a server, most likely.
---@return string
function M.new_id()
  if count == 0 then prefix = ("%08x"):format((math.random(0, 0xFFFFFFFF) ~ core.pid() * 40503) & 0xFFFFFFFF) end
  count = count + 1
  return ("%s%08x"):format(prefix, count)
end

return M
