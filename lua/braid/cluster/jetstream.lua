-- SPDX-License-Identifier: MIT
-- JetStream's interface: questions in JSON. So nothing of it blocks, and the client's own functions for it, which do,
-- are not needed.
local base64 = require "braid.base64"
local core = require "braid.core"
local errors = require "braid.errors"

local decode, encode = core.json_decode, core.json_encode

local M = {}

local API = "$JS.API."
local NO_STREAM, NO_CONSUMER, NO_MESSAGE = 10059, 10014, 10037
local NOT_DELETED = { [NO_MESSAGE] = true, [NO_STREAM] = true, [10043] = true, [10057] = true } -- it is not there
local NO_SPACE = { [10023] = true, [10028] = true, [10047] = true } -- of the server, its memory, its files
local NOT_YET = { [10005] = true, [10008] = true, [10009] = true } -- servers are missing, or have no leader
local NOT_STORED, TOO_MANY = 10077, "maximum messages exceeded"
local NAME_IN_USE, CONSUMER_IN_USE, WRONG_SEQUENCE = 10058, 10148, 10071

local AGAIN = 2 -- seconds until it is asked again: while servers choose a leader, nobody answers
local PAUSE = 0.2 -- seconds until servers without space are asked again

M.SECOND = 1000000000

---The error of what JetStream refuses; its field `code` is the server's number.
local function refusal(what, err)
  return errors.new("system", ("cluster: %s: %s"):format(what, err.description or "refused"), { code = err.err_code })
end

---Asks. Returns the answer; or nil and the refusal, with the server's number of it. What servers cannot do yet is asked
---again, within the patience. Raises kind "disconnected". Suspends.
---@param link braid.cluster.Link
---@param verb string "STREAM.INFO.name"
---@param request table?
---@param patience number?
---@return table? answer
---@return braid.Error? err
function M.ask(link, verb, request, patience)
  local deadline = core.now() + (patience or link.patience)
  local text, opts = request and encode(request) or "", { patience = patience, again = AGAIN }
  local answer = decode((link:call(API .. verb, text, opts)))
  while answer.error and NOT_YET[answer.error.err_code] and core.now() < deadline do
    core.sleep(PAUSE)
    answer = decode((link:call(API .. verb, text, opts)))
  end
  if answer.error then return nil, refusal(verb, answer.error) end
  return answer
end

---Makes the stream unless it is there. Returns what the server says of it. Suspends.
---@param link braid.cluster.Link
---@param config table
---@return table info
function M.make_stream(link, config)
  local made, err = M.ask(link, "STREAM.CREATE." .. config.name, config)
  if not made and err.code == NAME_IN_USE then made, err = M.ask(link, "STREAM.INFO." .. config.name) end
  if not made then core.rethrow(err) end
  return made
end

---What the server says of a stream; nil: there is none. Suspends.
---@param link braid.cluster.Link
---@param name string
---@return table? info
function M.stream(link, name)
  local info, err = M.ask(link, "STREAM.INFO." .. name)
  if not info and err.code ~= NO_STREAM then core.rethrow(err) end
  return info
end

---The names of the streams that begin so. Suspends.
---@param link braid.cluster.Link
---@param subject string
---@return string[]
function M.stream_names(link, subject)
  local answer, err = M.ask(link, "STREAM.NAMES", { subject = subject })
  if not answer then core.rethrow(err) end
  return answer.streams or {}
end

---Makes the durable consumer unless it is there. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param config table
---@return boolean? ok
---@return braid.Error? err
function M.make_consumer(link, stream, config)
  local made, err = M.ask(link, ("CONSUMER.DURABLE.CREATE.%s.%s"):format(stream, config.durable_name),
    { stream_name = stream, config = config })
  if not made and err.code ~= CONSUMER_IN_USE then return nil, err end
  return true
end

---The consumers of a stream, as the server describes them. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@return table[]
function M.consumers(link, stream)
  local list, offset = {}, 0
  repeat
    local answer, err = M.ask(link, "CONSUMER.LIST." .. stream, { offset = offset })
    if not answer then
      if err.code == NO_STREAM then return {} end
      core.rethrow(err)
    end
    local some = answer.consumers or {}
    table.move(some, 1, #some, #list + 1, list)
    offset = offset + #some
  until #some == 0 or #list >= answer.total
  return list
end

-- Whether the servers have no space for a message now. A stream that has as many as it may have is something else.
local function lacks_space(err)
  return NO_SPACE[err.err_code] or err.err_code == NOT_STORED and err.description ~= TOO_MANY
end

---Publishes into a stream, and waits until a server has it. `missing` is called when there is no such stream. While
---the servers have no space it waits for some, within the patience. Returns the sequence of the message, and whether
---it was there before; or nil and an error with `code`. Suspends.
---@param link braid.cluster.Link
---@param subject string
---@param body string
---@param opts table as of Link:call
---@return integer? sequence
---@return boolean|braid.Error duplicate
function M.publish(link, subject, body, opts)
  local deadline = core.now() + (opts.patience or link.patience)
  local answer = decode((link:call(subject, body, opts)))
  while answer.error and lacks_space(answer.error) and core.now() < deadline do
    core.sleep(PAUSE)
    answer = decode((link:call(subject, body, opts)))
  end
  if not answer.error then return answer.seq, answer.duplicate == true end
  if lacks_space(answer.error) then subject = "the servers have no space for a message" end
  return nil, refusal(subject, answer.error)
end

-- Of one replica, which may be behind the others.
local function read_from_any(link, stream, subject)
  local body, status, sequence = link:call(("%sDIRECT.GET.%s.%s"):format(API, stream, subject), "", { headed = true })
  if status == "404" then return nil end
  return body, math.tointeger(tonumber(sequence))
end

-- Of the server that takes what is published.
local function read_from_leader(link, stream, request)
  local answer, err = M.ask(link, "STREAM.MSG.GET." .. stream, request)
  if answer then return base64.decode(answer.message.data or ""), answer.message.seq end
  if err.code ~= NO_MESSAGE and err.code ~= NO_STREAM then core.rethrow(err) end
end

---The last message of a subject. Returns its body and sequence; nothing: there is none. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param subject string
---@return string? body
---@return integer? sequence
function M.last(link, stream, subject)
  if link.replicated then return read_from_leader(link, stream, { last_by_subj = subject }) end
  return read_from_any(link, stream, subject)
end

---The only message of a subject. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param subject string
---@return string? body
function M.only(link, stream, subject)
  local body = read_from_any(link, stream, subject)
  return body or link.replicated and read_from_leader(link, stream, { last_by_subj = subject }) or nil
end

---The first message of a subject, which may have wildcards, from this sequence on. Returns its body and sequence;
---nothing: there is none. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param subject string
---@param sequence integer
---@return string? body
---@return integer? sequence
function M.next(link, stream, subject, sequence)
  local request = { seq = sequence, next_by_subj = subject }
  if link.replicated then return read_from_leader(link, stream, request) end
  local body, status, found = link:call(API .. "DIRECT.GET." .. stream, encode(request), { headed = true })
  if status then return nil end
  return body, math.tointeger(tonumber(found))
end

---Deletes a message by its sequence. Returns whether it was there. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param sequence integer
---@return boolean
function M.delete(link, stream, sequence)
  local answer, err = M.ask(link, "STREAM.MSG.DELETE." .. stream, { seq = sequence, no_erase = true })
  if not answer and not NOT_DELETED[err.code] then core.rethrow(err) end
  return answer ~= nil
end

---Drops the messages of a subject, or those before a sequence. Returns how many. Suspends.
---@param link braid.cluster.Link
---@param stream string
---@param subject string
---@param before integer?
---@return integer count
function M.purge(link, stream, subject, before)
  local answer, err = M.ask(link, "STREAM.PURGE." .. stream, { filter = subject, seq = before })
  if answer then return answer.purged end
  if err.code == NO_STREAM then return 0 end
  core.rethrow(err)
end

---Whether an error says that there is no such stream or consumer.
---@param err any
---@return boolean
function M.is_missing(err) return err.code == NO_STREAM or err.code == NO_CONSUMER end
---Whether an error says that the last message was not the expected one.
---@param err any
---@return boolean
function M.is_wrong_sequence(err) return err.code == WRONG_SEQUENCE end

return M
