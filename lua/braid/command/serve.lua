-- SPDX-License-Identifier: MIT
--- braid serve app.lua: the web server.

local options = require "braid.command.options"

local M = { summary = "serve a web application" }

M.usage = [[
usage: braid serve FILE [options]

FILE is a Lua script that returns an application (braid.web.app()).

  --host ADDRESS           where to listen (127.0.0.1)
  --port N                 (8000; 0: any that is free)
  --workers N              processes that serve, watched over by this one (1: this one serves)
  --grace SECONDS          that running requests get when the server stops (10)
  --worker-timeout SECONDS without a sign of life, after which a worker is replaced (30)
  --access-log             a line for each request on stderr; --log FILE appends them to a file
  --log-json               the lines are JSON
  --max-body BYTES         of a request's body (1048576); beyond: 413
  --max-header BYTES       of a request's line and headers (8192); beyond: 431
  --max-connections N      beyond: 503
  --idle-timeout SECONDS   that a connection may wait for a request (60; 0: for ever)
  --request-timeout SECONDS  until a request is answered with 504 (0: never)
  --cert FILE --key FILE   PEM: serve HTTPS
  --debug                  tell clients the tracebacks of failing handlers

Signals: TERM and INT stop it (running requests end within --grace); with workers HUP replaces them one by one, loading
FILE anew and losing no request, TTIN and TTOU add and remove one.
]]

local known = {
  host = "string", port = "integer", workers = "integer", grace = "number", worker_timeout = "number",
  access_log = "flag", log = "string", log_json = "flag",
  max_body = "integer", max_header = "integer", max_connections = "integer", idle_timeout = "number",
  request_timeout = "number", cert = "string", key = "string", debug = "flag",
}

---@param words string[]
---@return integer status
function M.main(words)
  local read, rest = options.read(words, known)
  local file = rest[1]
  if #rest ~= 1 then
    io.stderr:write(M.usage)
    return 2
  end
  local handle <close>, problem = io.open(file)
  if not handle then error(problem, 0) end
  read.access_log, read.log = read.log or read.access_log, nil
  if read.log_json then read.log, read.log_json = "json", nil end
  if read.cert or read.key then read.tls = { cert = read.cert, key = read.key } end
  read.cert, read.key = nil, nil
  local serve = require "braid.web.serve"
  serve.serve({ file = file }, serve.read_options(1, "serve", read))
  return 0
end

return M
