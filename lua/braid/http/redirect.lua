-- SPDX-License-Identifier: MIT
-- Where a request goes: its URL in the form that is sent, where redirects lead, and what goes along. Cookies, user and
-- password belong to an origin: scheme, host and port.
local core = require "braid.core"
local errors = require "braid.errors"
local fields_of = require "braid.http.fields"
local request = require "braid.http.request"

local M = {}

---A request on its way.
---@class braid.http.Hop
---@field method string
---@field url string in ASCII, without user and password
---@field record table

---The origin of a URL.
---@param url string
---@return string? origin
---@return string? problem
function M.origin(url)
  local text, origin = core.http_url(url)
  if not text then return nil, origin end
  return origin:lower()
end

-- A copy of the record that is changed by the fields; false takes one away.
local function changed(record, fields)
  local copy = request.copy(record)
  for name, value in pairs(fields) do copy[name] = value or nil end
  return copy
end

-- A copy of the record without some of its headers.
local function without_headers(record, names)
  local fields = {}
  for name, lines in pairs(record.fields) do fields[name] = lines end
  for _, name in ipairs(names) do fields[name] = nil end
  return changed(record, { fields = fields, lines = fields_of.lines(fields) or false })
end

---Whether something in the record belongs to one origin.
---@param record table
---@return boolean
function M.has_own(record)
  local fields = record.fields
  return (record.user or record.cookies or record.cert or fields.authorization or fields.cookie or fields.host
    or fields["proxy-authorization"]) ~= nil
end

---The record for another origin than the one that its cookies, user and password were given for.
---@param record table
---@return table
function M.for_strangers(record)
  local bare = without_headers(record, { "authorization", "cookie", "host", "proxy-authorization" })
  return changed(bare, {
    user = false, password = false, digest = false, cookies = false, cert = false, key = false,
  })
end

---The URL as it is sent, and the record with the user and the password that the URL says, unless it has some.
---@param url string
---@param record table
---@return string? url nil: it is none
---@return table|string record or what is wrong with the URL
function M.prepared(url, record)
  if core.http_plain(url) then return url, record end
  local text, problem, user, password = core.http_url(url)
  if not text then return nil, problem end
  if user and not record.user and not record.fields.authorization then
    record = changed(record, { user = user, password = password or "" })
  end
  return text, record
end

local LEADS_ON = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

---Whether the response says where to ask instead, and is heeded.
---@param response braid.http.Response
---@param record table
---@return boolean
function M.leads_on(response, record)
  return LEADS_ON[response.status] and record.redirects > 0 and response.headers.location ~= nil
end

-- The method after a redirect, and the record. A GET has no body, and no headers that speak of one.
local function method_after(status, method, record)
  local turns = status == 303 and method ~= "HEAD" or status <= 302 and method == "POST"
  if not turns or method == "GET" then return method, record end
  local bare = without_headers(record, {
    "content-type", "content-length", "content-encoding", "content-language", "transfer-encoding", "expect",
  })
  return "GET", changed(bare, { body = false, source = false, upload = false, upload_size = false })
end

local function failed(hop, code, text)
  return nil, errors.new("http", ("%s %s: %s"):format(hop.method, hop.url, text), { url = hop.url, code = code })
end

-- Where the response leads; nil and err: to no URL.
local function next_hop(hop, response, own, home)
  local text, origin, user, password = core.http_url(response:values("location")[1], hop.url)
  if not text then return failed(hop, "URL_MALFORMAT", "bad Location (" .. origin .. ")") end
  if not text:find("^https?://") then
    return failed(hop, "UNSUPPORTED_PROTOCOL", "a redirect to " .. text:match("^[^:]*") .. " is not followed")
  end
  local record = own
  if origin:lower() ~= home then record = M.for_strangers(own) end
  if user then record = changed(record, { user = user, password = password or "", digest = false }) end
  return { method = hop.method, url = text, record = record }
end

---Sends a request on where redirects lead.
---@param send fun(hop: braid.http.Hop, timeout: number): braid.http.Response?, braid.Error?
---@param hop braid.http.Hop
---@param timeout number seconds for all of it, from the first request on
---@param response braid.http.Response to the first request, which leads on
---@return braid.http.Response? response
---@return braid.Error? err
function M.follow(send, hop, timeout, response)
  local err
  local own, home, history = hop.record, M.origin(hop.url), {}
  local elapsed = response.timing.total
  while M.leads_on(response, own) do
    if #history == own.redirects then
      return failed(hop, "TOO_MANY_REDIRECTS", ("more than %d redirects"):format(own.redirects))
    end
    history[#history + 1] = response
    hop.method, own = method_after(response.status, hop.method, own)
    if own.source and not own.source.repeatable then
      return failed(hop, "SEND_FAIL_REWIND", ("the redirect to %s needs the body again, but it came from %s"):format(
        response:values("location")[1], own.source.from))
    end
    hop, err = next_hop(hop, response, own, home)
    if not hop then return nil, err end
    response, err = send(hop, math.max(timeout - elapsed, 0))
    if not response then return nil, err end
    response:came_after(history, elapsed)
    elapsed = response.timing.total
  end
  return response
end

return M
