-- SPDX-License-Identifier: MIT
-- Sends spans to a collector: OTLP over HTTP, as JSON. Spans that have ended wait in a queue, the inbox, also those of
-- workers. One task of braid's own takes them from there and sends them in batches. Nobody else waits for a collector.
local core = require "braid.core"
local counters = require "braid.sync.primitives"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local otlp = require "braid.telemetry.otlp"
local pools = require "braid.pools.registry"
local queues = require "braid.sync.queue"
local retry = require "braid.http.retry"
local scope = require "braid.tasks.scope"
local session = require "braid.http.session"

local M = {}

local MOST_KEPT = 4096   -- spans in the inbox; later ones are dropped
local MOST_SENT = 512    -- spans of one request
local INTERVAL = 0.5     -- seconds after which a batch is sent that is not full
local PATIENCE = 10      -- seconds for one request
local LAST = 5           -- seconds for what is left at the end of a run
local TRIES, FIRST_PAUSE, LONGEST_PAUSE = 5, 0.5, 30

local PASSING = { [429] = true, [502] = true, [503] = true, [504] = true } -- as OTLP says; others are final

---What sends spans. `<close>` sends what is left, and ends it.
---@class braid.telemetry.Exporter: braid.telemetry.Sink
---@field private _service string
---@field private _url string
---@field private _session braid.http.Session
---@field private _hurry braid.Event set: a batch is tried only once
---@field private _flushes table<integer, table> flushes that wait, by their numbers in the inbox
---@field private _flush_count integer
---@field private _taken integer spans that were taken from the inbox
---@field private _failed boolean? the last batch was lost
---@field private _closed boolean?
---@field private _task braid.Task
---@field private _at_end fun(exporter: braid.telemetry.Exporter)
local Exporter = { __name = "braid.telemetry.Exporter" }
Exporter.__index = Exporter

-- ---- sending --------------------------------------------------------------------------------------------------------

-- Reports once, until a batch arrives.
local function lose(self, count, why)
  self.dropped:add(count)
  if not self._failed then
    io.stderr:write(("braid.telemetry: spans cannot be sent to %s: %s\n"):format(self._url, tostring(why)))
  end
  self._failed = true
end

-- A collector may take a batch and yet refuse some of its spans.
local function count_refused(self, response)
  local ok, answer = pcall(response.json, response)
  local partial = ok and type(answer) == "table" and answer.partialSuccess
  local refused = type(partial) == "table" and tonumber(partial.rejectedSpans) or 0
  if refused > 0 then lose(self, math.tointeger(refused) or 0, partial.errorMessage or "some were refused") end
end

-- Returns true, or nil and why not; then the seconds after which another try may help, or nil.
local function try_to_send(self, text)
  local unsampled = ("00-%s-%s-00"):format(core.random_hex(32), core.random_hex(16)) -- the collector may trace, too
  local response, err = self._session:post(self._url, {
    body = text, headers = { ["Content-Type"] = "application/json", traceparent = unsampled }, timeout = PATIENCE,
  })
  if not response then return nil, err, 0 end
  if response.status < 300 then
    self._failed = nil
    count_refused(self, response)
    return true
  end
  local again = PASSING[response.status] and (retry.after(response.headers["retry-after"]) or 0)
  return nil, ("status %d"):format(response.status), again or nil
end

local function send(self, spans)
  local text, pause = otlp.message("Spans", self._service, spans), FIRST_PAUSE
  for try = 1, TRIES do
    local sent, why, again = try_to_send(self, text)
    if sent then return end
    if not again or try == TRIES or self._hurry:is_set() then return lose(self, #spans, why) end
    self._hurry:wait(math.min(LONGEST_PAUSE, math.max(again, pause * (0.5 + math.random()))))
    pause = pause * 2
  end
end

-- Takes spans from the inbox until a batch is full, or its time is over. Returns it, and the number of a flush that
-- waits for it.
local function next_batch(self)
  local batch, deadline = {}, nil
  while #batch < MOST_SENT do
    local item = self.inbox:get(deadline and math.max(0, deadline - core.now()))
    if type(item) ~= "string" then return batch, item end
    batch[#batch + 1] = item
    self._taken = self._taken + 1
    deadline = deadline or core.now() + INTERVAL
  end
  return batch
end

local function serve(self)
  core.locals()["braid.span"] = nil -- its requests are no part of a trace
  repeat
    local batch, flush = next_batch(self)
    if batch[1] then
      local ok, err = pcall(send, self, batch)
      if not ok and core.cancelled() then return end
      if not ok then lose(self, #batch, errors.text(err)) end
    end
    local waiting = flush and self._flushes[flush]
    if waiting then
      self._flushes[flush] = nil
      waiting.sent = not self._failed
      waiting.done:set()
    end
  until self._closed and self.inbox:size() == 0
end

-- ---- what a program calls -------------------------------------------------------------------------------------------

-- `last`: a batch that does not arrive is not tried again.
local function flush(self, timeout, last)
  self._flush_count = self._flush_count + 1
  local number, waiting = self._flush_count, { done = core.event_new() }
  local deadline = core.now() + timeout
  self._flushes[number] = waiting
  if last then self._hurry:set() end
  local put = self.inbox:put(number, timeout)
  local over = put and waiting.done:wait(math.max(0, deadline - core.now()))
  if last then self._hurry:clear() end
  self._flushes[number] = nil
  return over == true and waiting.sent
end

---Sends all that was not sent yet. Suspends.
---@param timeout number? seconds; default 10
---@return boolean sent
function Exporter:flush(timeout)
  errors.deadline(1, "flush", timeout)
  if self._closed then return self.inbox:size() == 0 end
  return flush(self, timeout or PATIENCE, false)
end

---Sends what is left, trying once, and ends it: later spans are not sent. Suspends for at most 5 s.
function Exporter:close()
  if self._closed then return end
  scope.shield(function()
    flush(self, LAST, true)
    self._closed = true
    self._at_end(self)
    self._task:cancel()
    self._task:wait()
    self.inbox:close()
    self._session:close()
  end)
end
Exporter.__close = Exporter.close

---Spans that were lost: too many waited, or the collector could not be reached or refused them.
---@return integer
function Exporter:lost() return self.dropped:get() end

-- The end of a run or of the script waits for the last spans, as for the jobs of pools.
local function handle_of(self)
  return {
    rest = function()
      if not self._closed then flush(self, LAST, true) end
    end,
    submitted = function() return self._taken + self.inbox:size() end,
    over = function() return self._closed end,
    abort = function() end,
  }
end

local KNOWN = { endpoint = "string", service = "string", sample = "number", headers = "table" }

---@param opts braid.telemetry.Options
---@param at_end fun(exporter: braid.telemetry.Exporter)
---@return braid.telemetry.Exporter
function M.new(opts, at_end)
  errors.check_options(1, "telemetry", opts, KNOWN)
  for _, name in ipairs { "endpoint", "service" } do
    if type(opts) ~= "table" or not opts[name] then errors.misuse(1, "telemetry: the option '%s' is missing", name) end
  end
  local sample = opts.sample or 1
  if not (sample >= 0 and sample <= 1) then
    errors.misuse(1, "bad option 'sample' (0 to 1 expected, got %s)", sample)
  end
  if not opts.endpoint:find("^[Hh][Tt][Tt][Pp][Ss]?://") then
    errors.misuse(1, "bad option 'endpoint' (a URL with http:// or https:// expected, got %q)", opts.endpoint)
  end
  local self = setmetatable({
    sample = sample, collects = true, inbox = queues.queue(MOST_KEPT), dropped = counters.counter(),
    _service = opts.service, _url = opts.endpoint:gsub("/*$", "") .. "/v1/traces", _hurry = core.event_new(),
    _session = session.new { cookies = false, headers = opts.headers }, _flushes = {}, _flush_count = 0,
    _taken = 0, _at_end = at_end,
  }, Exporter)
  self._task = daemon.start(serve, self)
  self._task.name = "braid.telemetry"
  pools.add(handle_of(self))
  return self
end

errors.guard(Exporter)

return M
