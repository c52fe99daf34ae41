-- SPDX-License-Identifier: MIT
-- Values by keys in a stream that keeps the last message of each subject. A put may name the revision that it replaces:
-- the sequence of the last message, 0 if there was none. After each change a notice is published, for those who wait.
local core = require "braid.core"
local jetstream = require "braid.cluster.jetstream"
local link_of = require "braid.cluster.link"

local M = {}

local LOOK = 1 -- seconds after which a wait looks again, in case that a notice was lost

---A name as a token of a subject.
---@param name string
---@return string
function M.token(name)
  if name:find("^[%w_-]+$") and #name <= 64 then return "n" .. name end
  return "x" .. name:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
end

---@class braid.cluster.Kv
---@field private _cluster braid.cluster.Cluster
---@field private _what string the stream
---@field private _prefix string of subjects
local Kv = {}
Kv.__index = Kv

local function stream_config(storage)
  return { max_msgs_per_subject = 1, allow_direct = true, discard = "new", storage = storage }
end

---Opens it: makes the stream unless it is there. Suspends.
---@param cluster braid.cluster.Cluster
---@param what string the stream's name: "kv", or of its own object
---@param storage string?
---@return braid.cluster.Kv
function M.open(cluster, what, storage)
  cluster.streams:need(what, stream_config(storage))
  return setmetatable({ _cluster = cluster, _what = what, _prefix = cluster.streams:subject(what, "") }, Kv)
end

---The value; nil: there is none. Suspends.
---@param key string a token
---@return string? value
---@return integer revision 0: nothing was ever there
function Kv:get(key)
  local subject = self._prefix .. key
  local cluster = self._cluster
  local message, revision = jetstream.last(cluster.link, cluster.streams:name(self._what), subject)
  if not message then return nil, 0 end
  local body, why = cluster.wire:open(subject, message)
  if not body then core.rethrow(link_of.refused(why)) end
  if body == "" then return nil, revision end
  return body:sub(2), revision
end

---Sets the value; nil removes it. Returns the new revision; nil: the revision was not the expected one. Suspends.
---@param key string
---@param value string?
---@param expected integer? nil: whatever was there
---@return integer? revision
function Kv:put(key, value, expected)
  local cluster, subject = self._cluster, self._prefix .. key
  local message = cluster.wire:seal(subject, value and "=" .. value or "")
  local revision, err = jetstream.publish(cluster.link, subject, message, {
    id = cluster:next_id(0), -- else a put whose answer was lost would be refused when it is repeated
    expected = expected and ("%d"):format(expected), missing = function() cluster.streams:renew(self._what) end,
  })
  if not revision then
    if jetstream.is_wrong_sequence(err) then return nil end
    core.rethrow(err)
  end
  if not value then jetstream.purge(cluster.link, cluster.streams:name(self._what), subject, revision + 1) end
  cluster.link:publish(cluster.streams:subject("note", self._what, key), nil, "")
  return revision
end

---The keys that are there. Suspends.
---@return string[]
function Kv:keys()
  local cluster, list, offset = self._cluster, {}, 0
  repeat
    local info, err = jetstream.ask(cluster.link, "STREAM.INFO." .. cluster.streams:name(self._what), {
      subjects_filter = self._prefix .. ">", offset = offset,
    })
    if not info then core.rethrow(err) end
    local count = 0
    for subject in pairs(info.state.subjects or {}) do
      list[#list + 1] = subject:sub(#self._prefix + 1)
      count = count + 1
    end
    offset = offset + count
  until count == 0 or offset >= (info.total or offset)
  return list
end

---Calls fn until it returns something, again after each notice of the key. Returns what it returned; nothing at the
---deadline. Suspends.
---@param key string
---@param deadline number?
---@param fn fun(): any ...
---@return any ...
function Kv:wait(key, deadline, fn)
  local link, changed = self._cluster.link, core.event_new()
  local subject = self._cluster.streams:subject("note", self._what, key)
  local number = link:subscribe(subject, function() changed:set() end)
  local ok, results = pcall(function()
    while true do
      changed:clear()
      local results = table.pack(fn())
      local left = deadline and deadline - core.now()
      if results[1] ~= nil or left and left <= 0 then return results end
      changed:wait(math.min(LOOK, left or LOOK))
    end
  end)
  link:unsubscribe(number)
  if not ok then core.rethrow(results) end
  return table.unpack(results, 1, results.n)
end

return M
