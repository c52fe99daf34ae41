-- SPDX-License-Identifier: MIT
-- Requests that are more than one call of the core: whose body goes to a sink, a file or a reader, or is made while it
-- is sent; that are repeated, traced or kept.
local core = require "braid.core"
local errors = require "braid.errors"
local outcome = require "braid.http.outcome"
local redirect = require "braid.http.redirect"
local request = require "braid.http.request"
local response = require "braid.http.response"

local M = {}

-- The outcome of a transfer that was streamed, and whose body, if it has one, was sent by the sender.
local function finish(hop, transfer, sender)
  local trouble = sender and sender:problem()
  if trouble then return nil, trouble end
  return outcome.of(hop, transfer:finish())
end

-- ---- one attempt ----------------------------------------------------------------------------------------------------

-- The response without its body, when the headers are there; nil if the transfer failed before.
local function begin(transfer, hop)
  local status, _, head, version, times, address, port = transfer:begin()
  return status and response.new(hop.method, hop.url, status, nil, head, version, times, address, port)
end

-- Returns fn(bytes so far), which shows the progress, and what must be closed at the end. `before`: bytes that are
-- there already.
local function reporter(record, url, begun, before)
  local wish = record.progress
  local total = not begun.headers["content-encoding"] and math.tointeger(begun.headers["content-length"]) or nil
  if total and before then total = total + before end
  if type(wish) == "function" then return function(received) wish(received, total) end end
  if not wish then return function() end end
  if wish == true then wish = { name = (record.file or url:gsub("[?#].*$", "")):match("([^/]+)/*$") } end
  local bar, own = require("braid.progress").from_option(wish, total, "bytes")
  return function(received) bar:update(received, total) end, own
end

-- Returns fn(piece), which takes the body as the options say, and may fail; and fn(result), which completes the
-- response. `saved`: where the body is saved; nil: nowhere.
local function taker(record, saved, attempt)
  if record.sink then
    return function(piece)
      attempt.spilt = true
      local taken, why = record.sink(piece)
      if taken or why == nil then return true end
      return nil, errors.is_error(why) and why or errors.new("system", "the sink failed: " .. tostring(why))
    end, function(result) result.body = nil return result end
  end
  if saved then
    return function(piece) return saved:write(piece) end, function(result)
      local kept, err = saved:keep()
      if not kept then return nil, err end
      result.body, result.file = nil, saved.path
      return result
    end
  end
  local pieces = {}
  return function(piece)
    pieces[#pieces + 1] = piece
    return true
  end, function(result) result.body = table.concat(pieces) return result end
end

-- Opens the file for the body, if one is wanted.
local function open_file(record)
  if not record.file then return nil end
  return require(record.resume and "braid.http.resume" or "braid.http.download").open(record.file)
end

-- Starts the transfer. Returns it, and what sends the body, if there is one; or nil and an error: the body cannot be
-- sent.
local function start(handle, hop, timeout)
  local record = hop.record
  local trouble = record.source and record.source:begin()
  if trouble then return nil, trouble end
  local transfer = handle:stream(hop.url, request.ready(hop.method, record), timeout)
  return transfer, record.source and record.source:send(transfer) or nil
end

-- Reads the whole body; returns the response as `complete` makes it.
local function drain(hop, transfer, sender, before, take, complete, report)
  local received = before
  local piece = transfer:read()
  while piece do
    received = received + #piece
    local taken, err = take(piece)
    if not taken then return nil, err end
    report(received)
    piece = transfer:read()
  end
  local result, err = finish(hop, transfer, sender)
  if not result then return nil, err end
  return complete(result)
end

local AGAIN = {} -- what was saved earlier is of no use: the request has to be sent anew

-- All of the file was there before.
local function already_there(saved, begun)
  local kept, err = saved:keep()
  if not kept then return nil, err end
  begun.status, begun.body, begun.file = 206, nil, saved.path -- as if the rest had come, which is empty
  return begun
end

local function receive(handle, hop, timeout, attempt, saved)
  local transfer <close>, mate = start(handle, hop, timeout)
  if not transfer then return nil, mate end
  local sender <close> = mate
  local begun = begin(transfer, hop)
  if not begun then return finish(hop, transfer, sender) end
  if attempt:repeats(begun) then return begun end
  local meaning, before = saved and saved:meaning(begun) or "other", 0
  if meaning == "again" then return AGAIN end
  if meaning == "complete" then return already_there(saved, begun) end
  if meaning == "rest" then before = saved:size() end
  if meaning ~= "other" then
    local ready, err = saved:begin(begun, meaning)
    if not ready then return nil, err end
  end
  local take, complete = taker(hop.record, meaning ~= "other" and saved or nil, attempt)
  local report, held <close> = reporter(hop.record, hop.url, begun, before)
  return drain(hop, transfer, sender, before, take, complete, report)
end

-- Receives the body piece by piece and passes it on. The sink runs in this task; if it raises, the transfer is closed.
local function pour(handle, hop, timeout, attempt)
  local saved <close>, trouble = open_file(hop.record)
  if trouble then return nil, trouble end
  local headers, started = saved and saved:headers(), core.now()
  local asked = hop
  if headers then asked = { method = hop.method, url = hop.url, record = request.with_headers(hop.record, headers) } end
  local result, err = receive(handle, asked, timeout, attempt, saved)
  if result ~= AGAIN then return result, err end
  saved:forget()
  return receive(handle, hop, math.max(timeout - (core.now() - started), 0), attempt, saved)
end

-- A transfer and what sends its body, which end together.
local Pair = {}
Pair.__index = Pair

function Pair:close()
  self.transfer:close()
  if self.sender then self.sender:__close() end
end

-- Closes a pair, unless another owner has taken it.
local Holder = { __close = function(holder) if holder.pair then holder.pair:close() end end }

local function open_stream(handle, hop, timeout, attempt)
  local record, url = hop.record, hop.url
  local transfer, sender = start(handle, hop, timeout)
  if not transfer then return nil, sender end
  local pair = setmetatable({ transfer = transfer, sender = sender }, Pair)
  local holder <close> = setmetatable({ pair = pair }, Holder)
  local begun = begin(transfer, hop)
  if not begun then return finish(hop, transfer, sender) end
  if attempt:repeats(begun) then return begun end
  local report, bar = reporter(record, url, begun)
  holder.pair = nil
  attempt.spilt = true
  begun:pull(pair, function() return finish(hop, transfer, sender) end, report, bar)
  return begun
end

-- Gives a response that was kept where the options say: as if it had come from the server.
local function deliver(hop, found, attempt)
  local record = hop.record
  if not found.cached or redirect.leads_on(found, record) then return found end
  attempt.decided, attempt.delay = nil, nil
  if record.stream then
    found:replay()
    return found
  end
  local saved <close>, trouble = open_file(record)
  if trouble then return nil, trouble end
  local meaning = saved and saved:meaning(found) or "other"
  local take, complete = taker(record, meaning ~= "other" and saved or nil, attempt)
  local report, held <close> = reporter(record, hop.url, found)
  if found.body ~= "" then
    local taken, err = take(found.body)
    if not taken then return nil, err end
    report(#found.body)
  end
  return complete(found)
end

-- The way through the cache.
local function cached(way)
  return function(handle, hop, timeout, attempt)
    local kept, trouble = require("braid.http.cache").open(hop.record.cache)
    if not kept then return nil, trouble end
    local found, err = kept:get(hop, function(asked) return way(handle, asked, timeout, attempt) end)
    if not found then return nil, err end
    return deliver(hop, found, attempt)
  end
end

-- ---- attempts -------------------------------------------------------------------------------------------------------

---What `trace` is called with.
---@class braid.http.Event
---@field event "request"|"response"|"failure"|"retry"
---@field method string
---@field url string
---@field attempt integer 1, 2, ...
---@field response braid.http.Response? of "response": its headers are there; the body of a streamed one is not
---@field status integer? of "response"
---@field timing braid.http.Timing? of "response"
---@field error braid.Error? of "failure"
---@field delay number? of "retry": seconds until the next attempt

local Attempt = {}
Attempt.__index = Attempt

-- Returns the seconds until the next attempt; nil if there is none.
function Attempt:repeats(result, err)
  local policy = self.record.retries
  local delay = policy and require("braid.http.retry").delay(policy, self.method, self.number, result, err)
  local source = self.record.source
  if delay and source and not source.repeatable then
    if err then err.message = ("%s (not tried again: the body came from %s)"):format(err.message, source.from) end
    delay = nil
  end
  if delay and core.now() + delay >= self.deadline then delay = nil end
  self.decided, self.delay = true, delay
  return delay
end

function Attempt:tell(event, fields)
  local trace = self.record.trace
  if not trace then return end
  fields = fields or {}
  fields.event, fields.method, fields.url, fields.attempt = event, self.method, self.url, self.number
  trace(fields)
end

function Attempt:tell_end(result, err)
  if result then
    self:tell("response", { response = result, status = result.status, timing = result.timing })
  else
    self:tell("failure", { error = err })
  end
end

-- Returns the response, or nil and err. self.delay is set if there is to be another attempt.
function Attempt:run(handle)
  local record = self.record
  self:tell("request")
  local in_pieces = record.sink or record.file or record.progress or record.source
  local way = record.stream and open_stream or in_pieces and pour or outcome.fetch
  if record.cache then way = cached(way) end
  local hop = { method = self.method, url = self.url, record = record }
  local result, err = way(handle, hop, self.timeout, self)
  if result and redirect.leads_on(result, record) then
    result, err = redirect.follow(function(next_hop, timeout)
      return way(handle, next_hop, timeout, self)
    end, hop, self.timeout, result)
  end
  if self.spilt then
    self.delay = nil
  elseif err or not self.decided then
    self:repeats(result, err)
  end
  self:tell_end(result, err)
  return result, err
end

---Sends a request until it is answered or given up.
---@param handle userdata
---@param method string
---@param url string
---@param record table
---@return braid.http.Response?
---@return braid.Error?
function M.send(handle, method, url, record)
  local deadline, number = core.now() + record.timeout, 0
  while true do
    number = number + 1
    local attempt = setmetatable({
      method = method, url = url, record = record, number = number, deadline = deadline,
      timeout = math.max(deadline - core.now(), 0),
    }, Attempt)
    local result, err = attempt:run(handle)
    if not attempt.delay then return result, err end
    attempt:tell("retry", { delay = attempt.delay })
    core.sleep(attempt.delay)
  end
end

return M
