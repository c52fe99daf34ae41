-- SPDX-License-Identifier: MIT
-- Requests/s of the web server in one process.
-- With SPORT in the environment, as the peers' runner has it: serves /hello, and /aggregate, which makes three requests
-- to a delay server on PORT, and WebSockets at /echo, until it is ended; with WORKERS, by so many processes; with CERT
-- and KEY, through TLS. HTTP/2 is there in both ways.
-- Without: starts that server in a process of its own, loads it with wrk where that is installed and with braid's own
-- client otherwise, and prints name, implementation, metric and value, separated by tabs.
local braid = require "braid"

local SECONDS, IN_FLIGHT = 3, 64

local function serve(port)
  local app = braid.web.app()
  local downstream = ("http://127.0.0.1:%s/delay/10"):format(os.getenv("PORT") or 18080)
  local session
  app:on_start(function() session = braid.http.session() end) -- in each worker its own

  local function fetch() return assert(session:get(downstream)).status end

  app:get("/hello", function() return { hello = "world" } end)
  app:get("/aggregate", function()
    local statuses = braid.gather { fetch, fetch, fetch }
    return { user = statuses[1], order = statuses[2], stock = statuses[3] }
  end)
  app:websocket("/echo", function(ws)
    for message in ws:messages() do ws:send(message) end
  end)
  local cert = os.getenv("CERT")
  app:serve {
    port = port, workers = math.tointeger(tonumber(os.getenv("WORKERS") or 1)),
    tls = cert and { cert = cert, key = os.getenv("KEY") } or nil,
  }
end

local function report(metric, value)
  print(("serve\tbraid\t%s\t%.6g"):format(metric, value))
end

local function by_wrk(url)
  local command = { "wrk", "-t1", "-c" .. IN_FLIGHT, "-d" .. SECONDS .. "s", "--latency", url }
  local result = braid.process.run(command)
  if not result or result.code ~= 0 then return false end
  local p99, unit = result.stdout:match("99%%%s+([%d.]+)(%a+)")
  report("p99_ms", p99 * ({ us = 0.001, ms = 1, s = 1000 })[unit])
  report("rps", tonumber(result.stdout:match("Requests/sec:%s+([%d.]+)")))
  return true
end

local function by_client(url)
  local session <close> = braid.http.session()
  local count, began = 0, braid.now()
  local function worker()
    while braid.now() < began + SECONDS do
      assert(assert(session:get(url)).status == 200)
      count = count + 1
    end
  end
  local workers = {}
  for i = 1, IN_FLIGHT do workers[i] = worker end
  braid.gather(workers)
  report("rps_by_braid_http", count / (braid.now() - began))
end

local function measure()
  local interpreter = 0
  while arg[interpreter - 1] do interpreter = interpreter - 1 end
  local env = { SPORT = "0" }
  local server <close> = assert(braid.process.start({ arg[interpreter], arg[0] }, { env = env, stderr = "pipe" }))
  local url = assert(server.stderr:read("l", 10)):match("http%S+") .. "/hello"
  if not by_wrk(url) then by_client(url) end
end

local port = os.getenv("SPORT")
if port then
  serve(math.tointeger(tonumber(port)))
else
  braid.run(measure)
end
