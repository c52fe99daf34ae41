-- SPDX-License-Identifier: MIT
-- Which span the code belongs to that runs now. A context goes along with tasks, because it is one of the values that a
-- new task copies from its parent; with jobs and items of queues (csrc/lua/codec/lcarry.c calls the functions below);
-- and with requests, as the headers that the W3C's Trace Context defines.
local core = require "braid.core"

local M = {}

---@class braid.telemetry.Context
---@field trace string 32 hexadecimal digits
---@field span string 16 hexadecimal digits
---@field sampled boolean whether its spans are sent to a collector
---@field state string? the header tracestate
---@field owner any the task that runs this span; nil: the context has come from outside
---@field links braid.telemetry.Context[]? contexts of items that the span's task got
---@field before table? of an item: { the context that the task had before, or nil }

---Where the finished spans of a state go: to a collector, or to the state that has one.
---@class braid.telemetry.Sink
---@field sample number the part of the traces that are sent, 0 to 1
---@field inbox braid.Queue takes texts; shared with the states to which the program sends jobs
---@field dropped braid.Counter spans that the inbox had no room for

---@type braid.telemetry.Sink?
M.sink = nil

---Runs a server's function as a span: fn(serve, request, route, ...). Set by braid.telemetry.
---@type (fun(serve: function, request: table, ...: any): any)?
M.serve = nil

local KEY = "braid.span" -- of the task's locals
local SCRIPT = {}        -- the owner of spans outside of tasks
local MOST_LINKS = 128

local function owner() return core.current() or SCRIPT end

---@return braid.telemetry.Context?
function M.current() return core.locals()[KEY] end

---Sets the context of the current task. Returns the one before.
---@param context braid.telemetry.Context?
---@return braid.telemetry.Context?
function M.swap(context)
  local locals = core.locals()
  local before = locals[KEY]
  locals[KEY] = context
  return before
end

---The context of a new span of the current task.
---@param parent braid.telemetry.Context?
---@return braid.telemetry.Context
function M.new(parent)
  M.begin()
  local sampled
  if parent then sampled = parent.sampled else sampled = M.sink ~= nil and math.random() < M.sink.sample end
  return {
    trace = parent and parent.trace or core.random_hex(32), span = core.random_hex(16), sampled = sampled,
    state = parent and parent.state, owner = owner(),
  }
end

---Gives a finished span to the sink. Does not wait; a span for which there is no room is counted.
---@param text string
function M.give(text)
  local sink = M.sink
  if sink and not sink.inbox:try_put(text) then sink.dropped:add(1) end
end

-- ---- jobs and items of queues ---------------------------------------------------------------------------------------

-- What is sent instead of a value: { value, context or false, whether it goes to another machine }.
local Carrier = { __name = "braid.telemetry.Carrier" }

function Carrier:__braid_pack()
  local context, sink = self[2] or {}, not self[3] and M.sink or {} -- shared objects stay on the machine
  return M.open, self[1], context.trace, context.span, context.sampled, context.state, sink.inbox, sink.dropped,
    sink.sample
end

-- `to`: a queue; false: a worker gets the value as a job; true: one of another machine does.
local function carry(value, to)
  local context, sink = core.locals()[KEY], M.sink
  if not context and (to or not sink) or sink and to == sink.inbox then return value end
  return setmetatable({ value, context or false, to == true }, Carrier)
end

-- The current task takes part in the context of what it has received. In a span of its own it stays in that, which is
-- linked with it.
local function receive(context)
  local locals = core.locals()
  local own = locals[KEY]
  if own and own.owner == owner() then
    own.links = own.links or {}
    if #own.links < MOST_LINKS then own.links[#own.links + 1] = context end
  else
    context.before = { own }
    locals[KEY] = context
  end
end

local function forget()
  local locals = core.locals()
  local own = locals[KEY]
  if own and own.before then locals[KEY] = own.before[1] end
end

local function unwrap(carrier)
  local context = carrier[2]
  receive { trace = context.trace, span = context.span, sampled = context.sampled, state = context.state }
  return carrier[1]
end

---Receives a job's function or an item from another state. Called where that is decoded.
---@param value any
---@param trace string? of the context; nil: there is none
---@param span string?
---@param sampled boolean?
---@param state string?
---@param inbox braid.Queue? of the sink there
---@param dropped braid.Counter?
---@param sample number?
---@return any value
function M.open(value, trace, span, sampled, state, inbox, dropped, sample)
  M.begin()
  if inbox and not (M.sink and (M.sink.collects or M.sink.inbox == inbox)) then
    M.sink = { inbox = inbox, dropped = dropped, sample = sample }
  end
  if trace then receive { trace = trace, span = span, sampled = sampled, state = state } end
  return value
end

local begun = false

---From now on contexts go along with jobs and items of this state.
function M.begin()
  if begun then return end
  begun = true
  core.set_hook("carry", carry)
  core.set_hook("forget", forget)
  core.set_hook("unwrap", unwrap)
  core.carry(Carrier)
end

-- ---- headers --------------------------------------------------------------------------------------------------------

local ZEROS = "^0+$"

---The context that the headers of a request tell of; nil if there is none, or it cannot be understood.
---@param traceparent string?
---@param tracestate string?
---@return braid.telemetry.Context?
function M.read(traceparent, tracestate)
  if not traceparent or traceparent:find "%u" then return nil end
  local version, trace, span, flags, rest = traceparent:match "^(%x%x)%-(%x+)%-(%x+)%-(%x%x)(.*)$"
  if not version or version == "ff" or #trace ~= 32 or #span ~= 16 or trace:find(ZEROS) or span:find(ZEROS) then
    return nil
  end
  if rest ~= "" and (version == "00" or rest:sub(1, 1) ~= "-") then return nil end -- later versions may add fields
  return { trace = trace, span = span, sampled = tonumber(flags, 16) % 2 == 1, state = tracestate }
end

---The headers that tell another program of the context.
---@param context braid.telemetry.Context
---@return table<string, string>
function M.headers(context)
  return {
    traceparent = ("00-%s-%s-%s"):format(context.trace, context.span, context.sampled and "01" or "00"),
    tracestate = context.state,
  }
end

return M
