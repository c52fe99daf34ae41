-- SPDX-License-Identifier: MIT
-- WebSockets of an application: the answer that agrees to one, and its handler's life after that.
local core = require "braid.core"
local daemon = require "braid.tasks.daemon"
local errors = require "braid.errors"
local origins = require "braid.web.origins"
local response = require "braid.web.response"
local scope = require "braid.tasks.scope"

local M = {}

local NORMAL, AWAY, INTERNAL = 1000, 1001, 1011
local NOTICE = 1 -- seconds in which a handler may notice by itself that its client has closed
local FAREWELL = 2 -- seconds for the client's answer to our close

---How an application's WebSockets behave; see `braid.websocket.connect`.
---@class braid.web.WebSocketOptions
---@field protocols string[]? subprotocols; the first one of the client's that is among them is agreed on
---@field max_message integer? bytes of a message that arrives, default 16 MiB
---@field ping_interval number? seconds between pings; default: none
---@field idle_timeout number? seconds without a message; default: no limit
---@field compress boolean? whether compression is agreed on, default true
---@field origins string|string[]|function|nil from which pages browsers may connect: as of braid.web.cors; default:
---  those of the host itself. Clients that are no browsers send no origin
---@field name string? for url_for
---@field use braid.web.Middleware[]? of this route alone

local known = {
  protocols = "table", max_message = "integer", ping_interval = "number", idle_timeout = "number", compress = "boolean",
  origins = "string|table|function", name = "string", use = "table",
}
local ranges = { max_message = { 0, math.maxinteger }, ping_interval = { 0.001 }, idle_timeout = { 0.001 } }

---Checks the options.
---@param spec braid.web.WebSocketOptions?
function M.check(spec)
  errors.check_options(1, "websocket", spec, known)
  errors.check_ranges(1, "websocket", spec, ranges)
  require("braid.websocket.handshake").check_protocols("websocket", spec and spec.protocols)
end

-- Whether a page of the same host asks. A proxy may have changed the scheme.
local function is_same_host(origin, request)
  local scheme, host = origin:lower():match "^(%a+)://(.+)$"
  local usual = scheme == "https" and ":443$" or ":80$"
  return host ~= nil and host:gsub(usual, "") == request.host:lower():gsub(usual, "")
end

local function judge_of(spec)
  if origins.are_all(spec.origins) then return function() return true end end
  return spec.origins and origins.judge("websocket", spec.origins) or is_same_host
end

---The handler of a route. Its answer is an agreement, with which `run` goes on; or a refusal.
---@param spec braid.web.WebSocketOptions
---@param fn fun(ws: braid.WebSocket, request: braid.web.Request)
---@return fun(request: braid.web.Request): braid.web.Response
function M.handler(spec, fn)
  local judge = judge_of(spec)
  return function(request)
    local handshake = require "braid.websocket.handshake"
    local origin = request.headers.origin
    if origin and not judge(origin, request) then
      return response.failure(403, "pages of this origin may not connect")
    end
    local agreement, status, text, more = handshake.answer(request.method, request.headers, spec)
    if agreement then return response.upgrade(agreement, spec, fn) end
    local refusal = response.failure(status, text)
    for i = 1, #more, 2 do refusal.headers[more[i]] = more[i + 1] end
    return refusal
  end
end

---The head of the answer that agrees.
---@param answer braid.web.Response
---@param list string[] its headers: names and values alternately
---@return string
function M.head(answer, list)
  local lines, own = { "HTTP/1.1 101 Switching Protocols" }, answer.upgrade.agreement.headers
  for i = 1, #own, 2 do lines[#lines + 1] = own[i] .. ": " .. own[i + 1] end
  for i = 1, #list, 2 do lines[#lines + 1] = list[i] .. ": " .. list[i + 1] end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- Cancels the handler when the client has left, unless the handler knows it already: then it is ending by itself. After
-- a close it may have messages to work on.
local function watch(ws, task)
  local err = ws:_ended()
  if err.code ~= 1006 then core.sleep(NOTICE) end
  if not ws:_knows() then task:cancel("the client has left") end
end

-- Runs the handler. Returns the code to close with, and the error, if there was one.
local function call(ws, request, fn)
  local watcher = daemon.start(watch, ws, core.current())
  local ok, err, place = errors.try(fn, ws, request)
  watcher:cancel()
  if ok then return NORMAL end
  return errors.is_echo(err) and core.cancelled() and AWAY or INTERNAL, err, place
end

---Runs the handler on a connection that was agreed on, and closes it.
---@param answer braid.web.Response
---@param request braid.web.Request its headers have been read
---@param descriptor userdata
---@param rest string what came behind the request
---@param sockets table<braid.WebSocket, true>? of a server: the handler's is among them meanwhile
---@return any cancelled the error to raise, if the task was cancelled
---@return any failure of the handler
---@return string? place of that
function M.run(answer, request, descriptor, rest, sockets)
  local upgrade = answer.upgrade
  local agreement = upgrade.agreement
  local ws = require("braid.websocket.connection").new(descriptor, rest, true, agreement.terms, upgrade.spec)
  ws.protocol, ws.headers = agreement.protocol, request.headers
  if sockets then sockets[ws] = true end
  local code, err, place = call(ws, request, upgrade.fn)
  if sockets then sockets[ws] = nil end
  scope.shield(ws.close, ws, code, nil, FAREWELL)
  if code == AWAY then return err end
  -- what the client's leaving has raised is no failure of the handler
  if errors.is_error(err, "closed") and ws:_knows() then return nil end
  return nil, err, place
end

---Closes WebSockets because their server stops. Does not wait.
---@param sockets table<braid.WebSocket, true>
function M.close_all(sockets)
  for ws in pairs(sockets) do
    daemon.start(function() ws:close(AWAY, "the server stops", FAREWELL) end)
  end
end

return M
