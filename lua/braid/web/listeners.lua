-- SPDX-License-Identifier: MIT
-- Where a server listens: TCP addresses, Unix sockets, and sockets that the service manager has opened (systemd's
-- socket activation).
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local FIRST = 3 -- the first descriptor that a service manager passes
local MOST_PASSED = 1024

---One place to listen at.
---@class braid.web.Address
---@field kind "tcp"|"unix"|"passed"
---@field host string?
---@field port integer?
---@field path string? of a Unix socket; "@name" is an abstract one
---@field descriptor integer? of a passed one
---@field state string? of a Unix socket's file, as it was made

local function bad(level, what, text)
  errors.misuse(level + 1,
    "bad option 'listen' to '%s' (\"host:port\", \"[::1]:8000\" or \"unix:/path\" expected, got %s)", what,
    type(text) == "string" and ("%q"):format(text) or errors.described(text))
end

-- "127.0.0.1:8000", "[::1]:8000", "localhost:0", "unix:/run/app.sock"
local function read(level, what, text)
  if type(text) ~= "string" then bad(level + 1, what, text) end
  local path = text:match "^unix:(.+)$"
  if path then return { kind = "unix", path = path } end
  local host, port = text:match "^%[([%x:.%%%w]+)%]:(%d+)$"
  if not host then host, port = text:match "^([^:%[%]/%s]+):(%d+)$" end
  port = math.tointeger(tonumber(port))
  if not host or not port or port > 65535 then bad(level + 1, what, text) end
  return { kind = "tcp", host = host, port = port }
end

-- What the service manager has passed to this process.
local function passed()
  local count = math.tointeger(tonumber(os.getenv "LISTEN_FDS"))
  local pid = math.tointeger(tonumber(os.getenv "LISTEN_PID"))
  if not count or count < 1 or count > MOST_PASSED or pid ~= core.pid() then
    return nil, errors.new("system", "socket_activation: no sockets were passed to this process (LISTEN_FDS)")
  end
  local list = {}
  for descriptor = FIRST, FIRST + count - 1 do
    local name, port = core.web_inherit(descriptor)
    if not name then
      return nil, errors.new("system", ("socket_activation: descriptor %d is no listening socket: %s"):format(
        descriptor, port))
    end
    local path = not port and name or nil
    list[#list + 1] = { kind = "passed", host = port and name, port = port, path = path, descriptor = descriptor }
  end
  return list
end

--- Reads where to listen from the options of serve.
---@param level integer as for errors.misuse
---@param what string
---@param options braid.web.ServeOptions as the caller gave them
---@return braid.web.Address[] addresses
function M.read(level, what, options)
  if options.listen == nil then
    return { { kind = "tcp", host = options.host or "127.0.0.1", port = math.tointeger(options.port or 8000) } }
  end
  if options.host or options.port then
    errors.misuse(level + 1, "'%s' has 'listen' and '%s': one of them says where", what,
      options.host and "host" or "port")
  end
  local list = {}
  local given = type(options.listen) == "table" and options.listen or { options.listen }
  for i, text in ipairs(given) do list[i] = read(level + 1, what, text) end
  if not list[1] then bad(level + 1, what, nil) end
  return list
end

--- How an address is written: "127.0.0.1:8000", "[::1]:8000", "unix:/path".
---@param address braid.web.Address
---@return string
function M.text(address)
  if address.path then return "unix:" .. address.path end
  return (address.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address.host, address.port)
end

--- What a server tells of where it listens: the first host and port, and the addresses as clients write them.
---@param addresses braid.web.Address[]
---@param secure boolean
---@return {host: string?, port: integer?, url: string, urls: string[]}
function M.described(addresses, secure)
  local told = { urls = {} }
  for i, address in ipairs(addresses) do
    told.urls[i] = address.path and M.text(address) or (secure and "https://" or "http://") .. M.text(address)
    if address.port and not told.port then told.host, told.port = address.host, address.port end
  end
  told.url = told.urls[1]
  return told
end

local function close_all(descriptors)
  for _, descriptor in ipairs(descriptors) do core.close_fd(descriptor) end
end

local function failed(address, problem, code)
  return nil, errors.new("system", ("cannot listen on %s: %s"):format(M.text(address), problem), { code = code })
end

-- Listens at one address. A port of 0 becomes the port that was found.
local function open_one(address, shared)
  if address.kind == "passed" then return address.descriptor end
  if address.kind == "unix" then
    local listener, problem, code = core.web_listen_unix(address.path)
    if not listener then return failed(address, problem, code) end
    address.state = core.file_state(address.path)
    return listener
  end
  local listener, port, code = core.web_listen(address.host, address.port, shared)
  if not listener then return failed(address, port, code) end
  address.port = port
  return listener
end

--- Listens at all addresses of some kinds.
---@param addresses braid.web.Address[]
---@param shared boolean? other sockets may listen at the TCP addresses, too
---@param kinds table<string, true>? default: all
---@return integer[]? descriptors
---@return braid.Error? err
function M.open(addresses, shared, kinds)
  local descriptors = {}
  for _, address in ipairs(addresses) do
    if not kinds or kinds[address.kind] then
      local descriptor, err = open_one(address, shared or false)
      if not descriptor then
        close_all(descriptors)
        return nil, err
      end
      descriptors[#descriptors + 1] = descriptor
    end
  end
  return descriptors
end

M.close = close_all

--- The addresses for a worker, to whom the files of Unix sockets do not belong.
---@param addresses braid.web.Address[]
---@return braid.web.Address[]
function M.lent(addresses)
  local list = {}
  for i, address in ipairs(addresses) do
    list[i] = { kind = address.kind, host = address.host, port = address.port, path = address.path }
  end
  return list
end

--- Where a server with these options listens: its addresses, or what the service manager has passed.
---@param options braid.web.ServeOptions the result of options.read
---@return braid.web.Address[]?
---@return braid.Error? err
function M.places(options)
  if options.socket_activation then return passed() end
  return M.lent(options.addresses)
end

--- Removes the files of Unix sockets that are still those which were made.
---@param addresses braid.web.Address[]
function M.remove(addresses)
  for _, address in ipairs(addresses) do
    if address.state and core.file_state(address.path) == address.state then os.remove(address.path) end
  end
end

return M
