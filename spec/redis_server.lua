-- SPDX-License-Identifier: MIT
-- A redis-server of the spec's own, at a Unix socket and without a port. Without one the tests are pending.
local braid = require "braid"
local helper = require "spec.helper"

local M = {}

--- Whether there is one on this machine.
function M.is_there()
  local found = braid.process.run({ "redis-server", "--version" })
  return found ~= nil
end

--- Starts one at this path and waits until it answers.
---@param path string
---@param words string[]? further arguments
---@return braid.Process
function M.start(path, words)
  local argv = {
    "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", "/tmp",
  }
  table.move(words or {}, 1, #(words or {}), #argv + 1, argv)
  local server = assert(braid.process.start(argv, { stdout = "null", stderr = "null", stdin = "null" }))
  braid.timeout(8 * helper.slowness, function()
    repeat
      braid.sleep(0.02)
      local stream = braid.net.connect { unix = path }
      if stream then stream:close() end
    until stream
  end)
  return server
end

--- A free port.
function M.port()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  return listener.port
end

--- A test function: fn(options, server, path), while a server runs.
function M.with(fn, words)
  return function()
    local path = os.tmpname()
    os.remove(path)
    helper.run(function()
      local server <close> = M.start(path, words)
      fn({ unix = path }, server, path)
    end)
    os.remove(path)
  end
end

return M
