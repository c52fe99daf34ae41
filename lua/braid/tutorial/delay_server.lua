-- SPDX-License-Identifier: MIT
--- The delay server of the tutorial and the examples: it answers slowly, and it counts. /delay/{seconds} answers after
--- that time, /get?id=7 after 0.02 s (like a nearby server), /status/{code} with that status, /pid with the process id.
--- /stats tells how many of these requests there are now (requests), at most (peak) and in total (total), and the
--- connections, now and in total (accepted). /reset starts counting again.

local braid = require "braid"

local M = {}

---@return braid.App
function M.app()
  local app = braid.web.app()
  local requests, peak, total = 0, 0, 0

  -- Makes a handler that counts its requests while they run, however they end.
  local function counted(handler)
    local ended = setmetatable({}, { __close = function() requests = requests - 1 end })
    return function(request)
      requests, total = requests + 1, total + 1
      peak = math.max(peak, requests)
      local _ <close> = ended
      return handler(request)
    end
  end

  app:get("/delay/{seconds}", counted(function(request)
    local seconds = tonumber(request.params.seconds)
    if not seconds or seconds < 0 then braid.web.abort(400, "/delay/{seconds}: a number, not negative") end
    braid.sleep(seconds)
    return { delay = seconds, url = request.path }
  end))

  app:get("/get", counted(function(request)
    braid.sleep(0.02)
    return { args = request.query, url = request.path }
  end))

  app:any("/status/{code:int}", counted(function(request)
    local code = request.params.code
    if code < 200 or code > 599 then braid.web.abort(400, "/status/{code}: from 200 to 599") end
    return braid.web.response { status = code, body = { status = code } }
  end))

  app:get("/pid", counted(function() return { pid = require("braid.core").pid() } end))

  app:get("/stats", function()
    local stats = M.server:stats()
    return {
      requests = requests, peak = peak, total = total, connections = stats.connections, accepted = stats.accepted,
    }
  end)

  app:any("/reset", function()
    peak, total = requests, 0
  end)
  return app
end

---Serves until the process is ended; prints the address.
---@param options {host: string?, port: integer?}?
function M.main(options)
  options = options or {}
  M.server = assert(M.app():start { host = options.host or "127.0.0.1", port = options.port or 0 })
  print(("listening on %s:%d"):format(M.server.host, M.server.port))
  io.stdout:flush()
  M.server:wait()
end

return M
