-- SPDX-License-Identifier: MIT
--- The delay server of the tutorial and the examples: slow on purpose, and it counts. /delay/{seconds} answers after that
--- time; /get?id=7 after 0.02 s, as from somewhere near; /status/{code} with that status; /pid with the process. /stats
--- tells how many requests those have now (requests), had at most (peak) and in all (total), and the connections, now
--- and in all (accepted). /reset counts anew.

local braid = require "braid"

local M = {}

---@return braid.App
function M.app()
  local app = braid.web.app()
  local requests, peak, total = 0, 0, 0

  -- A handler whose requests count while they run, however they end.
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

---Serves until it is ended; prints where.
---@param options {host: string?, port: integer?}?
function M.main(options)
  options = options or {}
  M.server = assert(M.app():start { host = options.host or "127.0.0.1", port = options.port or 0 })
  print(("listening on %s:%d"):format(M.server.host, M.server.port))
  io.stdout:flush()
  M.server:wait()
end

return M
