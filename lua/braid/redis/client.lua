-- SPDX-License-Identifier: MIT
-- Clients: one connection or several to a Redis server, which the tasks of this state share. What may wait at the
-- server, transactions and subscriptions have connections of their own.
local commands = require "braid.redis.commands"
local core = require "braid.core"
local errors = require "braid.errors"
local link = require "braid.redis.link"
local pipeline = require "braid.redis.pipeline"
local pools = require "braid.sync.resource_pool"
local scopes = require "braid.tasks.scope"
local stream_reader = require "braid.redis.stream_reader"
local subscription = require "braid.redis.subscription"
local transaction = require "braid.redis.transaction"

local await, encode, plain = link.await, core.resp_encode, commands.plain

local M = {}

local PATIENCE = 5 -- seconds until a connection is given up whose server does not end a cancelled command
local AGAIN = 0.02 -- seconds until the server is asked again to end it

---A client. Every command of Redis is a method in lower case: `client:set("key", 1)`; `call` takes its name. Tasks may
---share a client. It is closed by `<close>`.
---@class braid.redis.Client
---@field private _options table
---@field private _links braid.redis.Link[] those that tasks share
---@field private _most integer how many of these there may be
---@field private _turn braid.Lock held while one is opened
---@field private _failures integer how often that has failed
---@field private _failure braid.Error? of the last time
---@field private _closed boolean
---@field private _waiting table<braid.redis.Link, true> links of single calls
---@field private _alone braid.ResourcePool links of single calls
---@field private _subscriptions table<braid.redis.Subscription, true>
local Client = { __name = "braid.redis.client" }

-- ---- connections ----------------------------------------------------------------------------------------------------

local function raise_closed() core.rethrow(errors.new("closed", "redis: the client is closed")) end

-- The link with the fewest missing replies; lost ones are forgotten.
local function least_busy(self)
  local links, best = self._links, nil
  for at = #links, 1, -1 do
    local each = links[at]
    if each.closed then
      table.remove(links, at)
    elseif not best or each.pending < best.pending then
      best = each
    end
  end
  return best
end

-- Opens a further link. Tasks that have waited while another one failed to open one share its failure.
local function open(self)
  local before = self._failures
  local held <close> = self._turn:hold()
  if self._failures ~= before then core.rethrow(self._failure) end
  local found = least_busy(self)
  if found and (found.pending == 0 or #self._links >= self._most) then return found end
  local made, err = link.open(self._options)
  if not made then
    self._failures, self._failure = before + 1, err
    core.rethrow(err)
  end
  if self._closed then
    made:close()
    raise_closed()
  end
  self._links[#self._links + 1] = made
  return made
end

-- A link for a call that others may share.
local function shared(self)
  local found = self._links[1]
  if self._most == 1 and found and found.pending > 0 then return found end
  if self._closed then raise_closed() end
  found = least_busy(self)
  while found and (found.pending == 0 or #self._links >= self._most) do
    if found:is_open() then return found end
    found = least_busy(self)
  end
  return open(self)
end

local function lease_of(self)
  local lease, err = self._alone:acquire()
  if not lease then core.rethrow(err) end
  return lease
end

-- ---- calls ----------------------------------------------------------------------------------------------------------

-- Ends a command that waits at the server, whose caller was cancelled. Asks until its reply has come: the server may
-- not have begun it yet.
local function unblock(self, slot, id)
  scopes.move_on_after(PATIENCE, function()
    while not slot.kind and not slot.lost do
      shared(self):call("CLIENT", "UNBLOCK", id)
      slot.event:wait(AGAIN)
    end
  end)
end

-- A call that may wait at the server. If it is cancelled, an item that has come is returned all the same: the caller's
-- next wait raises the cancel.
local function call_alone(self, ...)
  local bytes = encode(...)
  local lease <close> = lease_of(self)
  local used = lease.resource
  local slot = used:send(bytes)
  local ok, kind, value = pcall(await, slot)
  if not ok then
    local err = kind
    if not errors.is_echo(err) or not used.id then core.rethrow(err) end
    pcall(scopes.shield, unblock, self, slot, used.id)
    if not slot.kind then core.rethrow(err) end
    lease:keep()
    kind, value = slot.kind, slot.value
    if kind ~= link.REPLY or value == nil then core.rethrow(err) end
  end
  if kind == link.FAILURE then
    lease:keep()
    core.rethrow(value)
  end
  return value
end

local function call(self, word, ...)
  if not plain[word] then
    commands.check(word, ...)
    if commands.may_wait(word, ...) then return call_alone(self, word, ...) end
  end
  local bytes = encode(word, ...)
  local kind, value = await(shared(self):send(bytes))
  if kind == link.FAILURE then core.rethrow(value) end
  return value
end

---Carries out a command: `client:call("SET", "key", "value", "EX", 10)`. Raises kind "redis" with `code` for what the
---server refuses, and kind "closed" when the connection is lost before the reply; the next call connects again.
---Suspends.
---@param word string the command
---@param ... string|number its arguments
---@return any reply nil for nothing; braid.null inside lists
function Client:call(word, ...) return call(self, commands.word(word), ...) end

commands.give(Client, call)

---Sends commands at once: `client:pipeline(function(p) p:incr("a"); p:get("b") end)`. Suspends.
---@param fn fun(pipeline: braid.redis.Pipeline) adds the commands
---@return any[] replies nothing is braid.null; what the server refuses is an error value
function Client:pipeline(fn)
  errors.check_function(1, "pipeline", "fn", fn)
  local list = pipeline.collect(fn)
  if #list == 0 then return setmetatable({}, core.List) end
  return shared(self):call_all(list)
end

local TRANSACTION_OPTIONS = { watch = "table|string" }

---Carries out commands together: `client:transaction(function(tx) tx:incr("a"); tx:incr("b") end)`. With `watch`, fn
---may first read, then it calls `tx:multi()`; it is run again, at most 10 times, if one of the keys has changed.
---Suspends.
---@param fn fun(transaction: braid.redis.Transaction)
---@param opts { watch: string|string[]|nil }?
---@return any[] replies as of a pipeline
function Client:transaction(fn, opts)
  errors.check_function(1, "transaction", "fn", fn)
  errors.check_options(1, "transaction", opts, TRANSACTION_OPTIONS)
  local keys = opts and opts.watch or {}
  if type(keys) ~= "table" then keys = { keys } end
  local lease <close> = lease_of(self)
  return transaction.run(lease.resource, fn, keys)
end

-- ---- scripts --------------------------------------------------------------------------------------------------------

---Makes a function of a Lua script for the server: `local add = client:script("return ARGV[1] + 1")`, then
---`add({ keys }, { arguments })`. The server gets the text once. Calls suspend.
---@param text string
---@return fun(keys: (string|number)[]?, arguments: (string|number)[]?): any
function Client:script(text)
  if type(text) ~= "string" then
    errors.misuse(1, "bad argument 'text' to 'script' (a string expected, got %s)", errors.described(text))
  end
  local digest
  return function(keys, arguments)
    local words = { #(keys or {}) }
    table.move(keys or {}, 1, #(keys or {}), 2, words)
    table.move(arguments or {}, 1, #(arguments or {}), #words + 1, words)
    digest = digest or call(self, "SCRIPT", "LOAD", text)
    local ok, reply, place = errors.try(call, self, "EVALSHA", digest, table.unpack(words))
    if ok then return reply end
    if not errors.is_error(reply, "redis") or reply.code ~= "NOSCRIPT" then core.rethrow(reply, place) end
    return call(self, "EVAL", text, table.unpack(words))
  end
end

-- ---- iterators ------------------------------------------------------------------------------------------------------

local function subscribe(self, what, verb, channels)
  if type(channels) == "string" then channels = { channels } end
  if type(channels) ~= "table" or #channels == 0 then
    errors.misuse(2, "bad argument 'channels' to '%s' (a name or a list of names expected, got %s)", what,
      type(channels) == "table" and "an empty table" or errors.described(channels))
  end
  if self._closed then raise_closed() end
  local made = subscription.new(self._options, verb, table.move(channels, 1, #channels, 1, {}))
  self._subscriptions[made] = true
  return made
end

---Subscribes to channels: `for item in client:subscribe("news") do print(item.message) end`. Returns when the server
---has confirmed it. Connects and subscribes again when the connection is lost. Suspends, as each step does.
---@param channels string|string[]
---@return braid.redis.Subscription
function Client:subscribe(channels) return subscribe(self, "subscribe", "SUBSCRIBE", channels) end

---The same for patterns of channels; the items have the field `pattern`.
---@param patterns string|string[]
---@return braid.redis.Subscription
function Client:psubscribe(patterns) return subscribe(self, "psubscribe", "PSUBSCRIBE", patterns) end

local STREAM_OPTIONS = { from = "string", group = "string", consumer = "string", create = "boolean", ack = "boolean",
  count = "integer" }

---Reads streams: `for entry in client:stream("events", { from = "0" }) do print(entry.id, entry.fields.name) end`. It
---waits for new entries, without end. When the connection is lost it connects again and loses none. Suspends, as each
---step does.
---@param keys string|string[]
---@param opts { from: string?, group: string?, consumer: string?, create: boolean?, ack: boolean?, count: integer? }?
--- from: the id behind which reading begins; "$": new entries only (the default without a group). group: reads as a
--- consumer of this group (default "braid"), first what it has not acknowledged, then what no other consumer has got.
--- create: makes the group, which begins with the stream. ack: an entry is acknowledged when the next one is asked for,
--- so a consumer that dies gets it again. count: entries that are read ahead, default 100
---@return braid.redis.StreamReader
function Client:stream(keys, opts)
  if type(keys) == "string" then keys = { keys } end
  if type(keys) ~= "table" or #keys == 0 then
    errors.misuse(1, "bad argument 'keys' to 'stream' (a name or a list of names expected, got %s)",
      type(keys) == "table" and "an empty table" or errors.described(keys))
  end
  errors.check_options(1, "stream", opts, STREAM_OPTIONS)
  opts = opts or {}
  for _, name in ipairs { "consumer", "create", "ack" } do
    if opts[name] ~= nil and not opts.group then
      errors.misuse(1, "the option '%s' of 'stream' needs the option 'group'", name)
    end
  end
  return stream_reader.new(self, table.move(keys, 1, #keys, 1, {}), opts)
end

---An iterator over the keys, or those that match a pattern. A key may come twice. Each step may suspend.
---@param pattern? string
---@return fun(): string?
function Client:scan(pattern)
  local cursor, keys, at = "0", {}, 0
  local words = pattern ~= nil and { "MATCH", pattern, "COUNT", 500 } or { "COUNT", 500 }
  local begun = false
  return function()
    at = at + 1
    while not keys[at] do
      if begun and cursor == "0" then return nil end
      local reply = call(self, "SCAN", cursor, table.unpack(words))
      begun, cursor, keys, at = true, reply[1], reply[2], 1
    end
    return keys[at]
  end
end

---Closes it, without waiting. Calls that wait for a reply, and later ones, end with kind "closed"; subscriptions end.
function Client:close()
  if self._closed then return end
  self._closed = true
  for _, each in ipairs(self._links) do each:close() end
  for each in pairs(self._subscriptions) do each:close() end
  for each in pairs(self._waiting) do each:close() end
  self._links = {}
  self._alone:close { wait = false }
end

Client.__close = Client.close

---Makes a client that opens connections when they are needed.
---@param options table checked ones
---@param most integer connections that tasks share
---@param alone integer further connections of single calls
---@return braid.redis.Client
function M.new(options, most, alone)
  local waiting = setmetatable({}, { __mode = "k" })
  local function create()
    local made, err = link.open(options)
    if made then waiting[made] = true end
    return made, err
  end
  return setmetatable({
    _options = options, _links = {}, _most = most, _turn = core.lock_new(), _failures = 0, _closed = false,
    _waiting = waiting, _subscriptions = setmetatable({}, { __mode = "k" }),
    _alone = pools.resource_pool {
      name = "redis", max = alone, create = create, destroy = link.close, check = link.is_open,
    },
  }, Client)
end

---Opens the first connection.
---@param client braid.redis.Client
---@return true? opened
---@return braid.Error? err
function M.open(client)
  local ok, err, place = errors.try(open, client)
  if ok then return true end
  if errors.is_echo(err) or not errors.is_error(err) then core.rethrow(err, place) end
  return nil, err
end

errors.guard(Client)

return M
