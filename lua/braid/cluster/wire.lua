-- SPDX-License-Identifier: MIT
-- What travels between machines: signed messages, jobs and their results.
--
--   message   "BRD1", format (length in a byte, text), signature (32 bytes), body
--
-- The format names the release of Lua, the byte order, and the sizes of numbers: bytecode and encoded values are good
-- only where all of them are the same. The signature is over the kind of message, the format and the body.
local core = require "braid.core"

local pack, unpack = string.pack, string.unpack

local M = {}

local MAGIC = "BRD1"
local order = pack("=I2", 1) == pack("<I2", 1) and "little-endian" or "big-endian"

---The format of this process.
M.FORMAT = ("Lua %s, %s, integers of %d and floats of %d bytes"):format(core.lua_release, order,
  string.packsize("j"), string.packsize("n"))

local HEAD = MAGIC .. pack("s1", M.FORMAT)
local SIGNATURE = 32

---@class braid.cluster.Wire
---@field private _signer userdata
local Wire = {}
Wire.__index = Wire

---@param nats table the C module
---@param secret string
---@return braid.cluster.Wire
function M.new(nats, secret) return setmetatable({ _signer = nats.signer(secret) }, Wire) end

---Makes a message.
---@param kind string "job", "result", ...
---@param body string
---@return string message
function Wire:seal(kind, body)
  return HEAD .. self._signer:sign(kind .. "\0" .. M.FORMAT .. "\0" .. body) .. body
end

---The body of a message; or nil, why not, and the body of which nothing must be believed.
---@param kind string
---@param message string
---@return string? body
---@return string? reason
---@return string? unsigned
function Wire:open(kind, message)
  if message:sub(1, #HEAD) == HEAD then
    local body = message:sub(#HEAD + SIGNATURE + 1)
    local signature = message:sub(#HEAD + 1, #HEAD + SIGNATURE)
    if self._signer:check(kind .. "\0" .. M.FORMAT .. "\0" .. body, signature) then return body end
    return nil, "its signature is wrong: both sides need the same secret", body
  end
  if message:sub(1, #MAGIC) ~= MAGIC then return nil, "it is no message of this braid" end
  local ok, format, at = pcall(unpack, "s1", message, #MAGIC + 1)
  if not ok then return nil, "it is no message of this braid" end
  return nil, ("it is of %s, and here is %s"):format(format, M.FORMAT), message:sub(at + SIGNATURE)
end

-- ---- jobs -----------------------------------------------------------------------------------------------------------

local JOB = "<s2s2s2BI2I4I8dds4"

M.DETACHED, M.PIECES = 1, 2 -- flags

---@class braid.cluster.Job
---@field id string
---@field home string the submitter
---@field name string? the pool's
---@field flags integer
---@field ttl integer seconds that the result of a detached job stays; 0: it is not detached
---@field since integer when it was submitted, as of os.time
---@field max_tries integer
---@field time_limit number 0: none
---@field memory_limit number
---@field cargo string
---@field bytes string

---The bytes of a job.
---@param job table
---@return string
function M.pack_job(job)
  return pack(JOB, job.id, job.home, job.name or "", job.flags, job.max_tries, job.ttl, os.time(), job.time_limit or 0,
    job.memory_limit or 0, job.cargo) .. job.bytes
end

---Who has submitted the job; nil for bytes that are none. For bytes that nobody has signed.
---@param body string
---@return string? id
---@return string? home
function M.peek_job(body)
  local ok, id, home = pcall(unpack, "<s2s2", body or "")
  if ok and #id <= 100 and home:find("^%x+$") and #home <= 100 then return id, home end
end

---@param body string
---@return braid.cluster.Job
function M.unpack_job(body)
  local id, home, name, flags, max_tries, ttl, since, time_limit, memory_limit, cargo, at = unpack(JOB, body)
  return {
    id = id, home = home, name = name ~= "" and name or nil, flags = flags, max_tries = max_tries, ttl = ttl,
    since = since, time_limit = time_limit > 0 and time_limit or nil,
    memory_limit = memory_limit > 0 and memory_limit or nil, cargo = cargo, bytes = body:sub(at),
  }
end

-- ---- what is told of jobs -------------------------------------------------------------------------------------------

-- Kinds of news. The first five end the job.
M.DONE, M.FAILED, M.CANCELLED, M.DIED, M.REFUSED, M.BEGUN, M.RETURNED = 1, 2, 3, 4, 5, 6, 7

local NEWS = "<s2BI2ds1s4s4"

---The bytes of one piece of news.
---@param id string the job
---@param what integer
---@param try integer how often the job was delivered
---@param worker string
---@param cargo string?
---@param bytes string?
---@param seconds number? that it ran
---@return string
function M.pack_news(id, what, try, worker, cargo, bytes, seconds)
  return pack(NEWS, id, what, try, seconds or 0, worker, cargo or "", bytes or "")
end

---Iterates over the news in a body: position, id, what, try, worker, cargo, bytes, seconds.
---@param body string
---@return fun(state: nil, position: integer): integer?, ...
---@return nil
---@return integer position
function M.each_news(body)
  return function(_, at)
    if at > #body then return nil end
    local id, what, try, seconds, worker, cargo, bytes, next_at = unpack(NEWS, body, at)
    return next_at, id, what, try, worker, cargo, bytes, seconds
  end, nil, 1
end

return M
