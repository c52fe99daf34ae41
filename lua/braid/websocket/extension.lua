-- SPDX-License-Identifier: MIT
-- What client and server agree on in Sec-WebSocket-Extensions: permessage-deflate (RFC 7692), and nothing else.
local M = {}

local LARGEST = 15 -- bits of a window
local SERVERS = 12 -- bits of a server's windows: it has many connections

---What was agreed on: for each direction the bits of the window, and whether it stays from message to message.
---@class braid.websocket.Terms
---@field out_window integer
---@field out_takeover boolean
---@field in_window integer
---@field in_takeover boolean

local TOKEN = "[%w!#$%%&'*+.^_`|~-]+"

-- Reads a parameter that begins at `at`. Returns name, value (true: none), and the place after it.
local function parameter(text, at)
  local name, after = text:match("^[ \t]*(" .. TOKEN .. ")[ \t]*()", at)
  if not name then return nil end
  local value, last = text:match("^=[ \t]*(" .. TOKEN .. ")[ \t]*()", after)
  if not value then value, last = text:match('^=[ \t]*"(' .. TOKEN .. ')"[ \t]*()', after) end
  if value then return name, value, last end
  return name, true, after
end

---Reads the header. Each extension is a table of its parameters with the extension's name as `name`; a parameter that
---comes twice makes it `repeated`.
---@param text string
---@return table[]? extensions nil: it does not have the form of this header
function M.parse(text)
  local list, at = {}, 1
  while true do
    local name, _, after = parameter(text, at)
    if not name then return nil end
    local extension = { name = name, parameters = {} }
    while text:sub(after, after) == ";" do
      local key, value
      key, value, after = parameter(text, after + 1)
      if not key then return nil end
      extension.repeated = extension.repeated or extension.parameters[key] ~= nil
      extension.parameters[key] = value
    end
    list[#list + 1] = extension
    if after > #text then return list end
    if text:sub(after, after) ~= "," then return nil end
    at = after + 1
  end
end

-- The bits of a window; nil: not a number from 8 to 15.
local function bits(value)
  if type(value) ~= "string" or not value:find("^[1-9]%d?$") then return nil end
  local number = math.tointeger(value)
  return number >= 8 and number <= LARGEST and number or nil
end

-- Whether the parameters are those of permessage-deflate. `offered`: in an offer client_max_window_bits needs no value.
local function is_deflate(extension, offered)
  if extension.name ~= "permessage-deflate" or extension.repeated then return false end
  for name, value in pairs(extension.parameters) do
    if name == "server_no_context_takeover" or name == "client_no_context_takeover" then
      if value ~= true then return false end
    elseif name == "server_max_window_bits" or name == "client_max_window_bits" then
      local bare = offered and name == "client_max_window_bits" and value == true
      if not bare and not bits(value) then return false end
    else
      return false
    end
  end
  return true
end

---What a client offers.
M.OFFER = "permessage-deflate; client_max_window_bits"

---A client reads the server's answer to its offer.
---@param text string? the header
---@param offered boolean
---@return braid.websocket.Terms|false|nil terms false: no extension; nil: the answer is wrong
function M.accepted(text, offered)
  if not text then return false end
  local list = M.parse(text)
  if not offered or not list or #list ~= 1 or not is_deflate(list[1], false) then return nil end
  local parameters = list[1].parameters
  return {
    out_window = bits(parameters.client_max_window_bits) or LARGEST,
    out_takeover = not parameters.client_no_context_takeover,
    in_window = LARGEST, -- a larger window reads everything
    in_takeover = not parameters.server_no_context_takeover,
  }
end

-- What a server answers to an offer of permessage-deflate.
local function answer_to(parameters)
  local out = math.min(bits(parameters.server_max_window_bits) or LARGEST, SERVERS)
  local words = { "permessage-deflate", "server_max_window_bits=" .. out }
  local wanted = parameters.client_max_window_bits
  if wanted then words[#words + 1] = "client_max_window_bits=" .. math.min(bits(wanted) or LARGEST, SERVERS) end
  for _, name in ipairs { "server_no_context_takeover", "client_no_context_takeover" } do
    if parameters[name] then words[#words + 1] = name end
  end
  return table.concat(words, "; "), {
    out_window = out, out_takeover = not parameters.server_no_context_takeover,
    in_window = LARGEST, in_takeover = not parameters.client_no_context_takeover,
  }
end

---A server chooses among a client's offers: the first one that it can fulfil.
---@param text string? the header
---@return string? answer for the response; nil: no extension
---@return braid.websocket.Terms? terms
function M.choose(text)
  for _, extension in ipairs(text and M.parse(text) or {}) do
    if is_deflate(extension, true) then return answer_to(extension.parameters) end
  end
end

return M
