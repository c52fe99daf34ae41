-- SPDX-License-Identifier: MIT
--- braid serve app.lua: the web server.

local options = require "braid.command.options"

local M = { summary = "serve a web application" }

M.usage = [[
usage: braid serve FILE [--host 127.0.0.1] [--port 8000] [--workers N]

FILE returns an app (braid.web.app()).
]]

function M.main(words)
  local read, rest = options.read(words, { host = "string", port = "integer", workers = "integer" })
  if not rest[1] then
    io.stderr:write(M.usage)
    return 2
  end
  local chunk, why = loadfile(rest[1])
  if not chunk then error(why, 0) end
  chunk():serve { host = read.host or "127.0.0.1", port = read.port or 8000, workers = read.workers }
  return 0
end

return M
