-- SPDX-License-Identifier: MIT
--- braid serve app.lua: the web server.

local options = require "braid.command.options"

local M = { summary = "serve a web application" }

M.usage = [[
usage: braid serve FILE [options]

FILE is a Lua script that returns an application (braid.web.app()).

  --host ADDRESS           where to listen (127.0.0.1)
  --port N                 (8000; 0: any that is free)
  --listen ADDRESS,...     instead: 127.0.0.1:8000, [::1]:8000, unix:/run/app.sock
  --socket-activation      listen at the sockets that systemd has passed
  --workers N              processes that serve, watched over by this one (1: this one serves)
  --grace SECONDS          that running requests get when the server stops (10)
  --worker-timeout SECONDS without a sign of life, after which a worker is replaced (30)
  --access-log             a line for each request on stderr
  --log FILE               appends these lines to a file
  --log-json               the lines are JSON
  --max-body BYTES         of a request's body (1048576); beyond: 413
  --max-header BYTES       of a request's line and headers (8192); beyond: 431
  --max-connections N      beyond: 503
  --idle-timeout SECONDS   that a connection may wait for a request (60; 0: for ever)
  --request-timeout SECONDS  until a request is answered with 504 (0: never)
  --cert FILE --key FILE   PEM: serve HTTPS
  --proxies NETWORK,...    whose X-Forwarded-* headers are believed: 10.0.0.0/8, ::1, unix
  --user NAME --group NAME who serves; the addresses are opened before
  --reload                 replace the workers when a Lua file beside FILE changes (for development)
  --reload-folders A,...   and when any file in these folders does
  --debug                  tell clients the tracebacks of failing handlers

Signals: TERM and INT stop it (running requests end within --grace); with workers HUP replaces them one by one, loading
FILE anew and losing no request, TTIN and TTOU add and remove one.
]]

M.options = {
  host = "string", port = "integer", workers = "integer", grace = "number", worker_timeout = "number",
  access_log = "flag", log = "string", log_json = "flag",
  max_body = "integer", max_header = "integer", max_connections = "integer", idle_timeout = "number",
  request_timeout = "number", cert = "string", key = "string", debug = "flag", listen = "string",
  socket_activation = "flag", proxies = "string", user = "string", group = "string", reload = "flag",
  reload_folders = "string",
}

-- "a, b" -> { "a", "b" }
local function list_of(text)
  local list = {}
  for word in text:gmatch "[^,%s]+" do list[#list + 1] = word end
  return list
end

-- The options of serve for those of the command line.
local function options_of(read)
  read.access_log, read.log = read.log or read.access_log, nil
  if read.log_json then read.log, read.log_json = "json", nil end
  if read.cert or read.key then read.tls = { cert = read.cert, key = read.key } end
  read.cert, read.key = nil, nil
  for _, name in ipairs { "listen", "proxies", "reload_folders" } do read[name] = read[name] and list_of(read[name]) end
  read.reload, read.reload_folders = read.reload_folders or read.reload, nil
  return read
end

---@param words string[]
---@return integer status
function M.main(words)
  local read, rest = options.read(words, M.options)
  local file = rest[1]
  if #rest ~= 1 then
    io.stderr:write(M.usage)
    return 2
  end
  local handle <close>, problem = io.open(file)
  if not handle then error(problem, 0) end
  local serve = require "braid.web.serve"
  serve.serve({ file = file }, serve.read_options(1, "serve", options_of(read)))
  return 0
end

return M
