-- SPDX-License-Identifier: MIT
-- HTTP requests, in the form that the peers' runner expects:
--   fetch.lua MODE N INFLIGHT PORT PATH      to a server that is there, on the host in BENCH_HOST (default 127.0.0.1)
-- MODE rps: N requests, INFLIGHT at a time; per second. MODE delay: all at once; milliseconds beyond 100.
-- Prints BENCH_NAME, BENCH_IMPL, metric and value, separated by tabs.
-- Without arguments: rps at 64 and 256 against build/raw_server, which has a thread for each connection.
local braid = require "braid"

local function report(inflight, metric, value)
  local name = os.getenv("BENCH_NAME") or "fetch_" .. inflight
  print(("%s\t%s\t%s\t%.6g"):format(name, os.getenv("BENCH_IMPL") or "braid", metric, value))
end

-- Fetches until nothing is left of the n; gives the seconds it took.
local function measure(url, n, inflight)
  local function worker(session)
    while n > 0 do
      n = n - 1
      assert(assert(session:get(url)).status == 200)
    end
  end
  local started = braid.now()
  braid.run(function()
    local session <close> = braid.http.session()
    braid.scope(function(scope)
      for _ = 1, inflight do scope:spawn(worker, session) end
    end)
  end)
  return braid.now() - started
end

if arg[1] then
  local mode, n, inflight, port, path = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4], arg[5]
  local seconds = measure(("http://%s:%s%s"):format(os.getenv("BENCH_HOST") or "127.0.0.1", port, path), n, inflight)
  if mode == "rps" then
    report(inflight, "rps", n / seconds)
  else
    report(inflight, "over_ms", (seconds - 0.1) * 1000)
  end
else
  local server <close> = assert(io.popen("build/raw_server"))
  local base = "http://127.0.0.1:" .. (server:read("n") or error("no build/raw_server: make build/raw_server"))
  for _, inflight in ipairs { 64, 256 } do
    report(inflight, "rps", 50000 / measure(base .. "/ok", 50000, inflight))
  end
  braid.http.get(base .. "/quit")
end
