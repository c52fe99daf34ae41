-- SPDX-License-Identifier: MIT
-- HTTP requests, in the form that the peers' runner expects:
--   fetch.lua MODE N INFLIGHT PORT PATH      to a server that is there, on the host in BENCH_HOST (default 127.0.0.1)
-- MODE rps: N requests, INFLIGHT at a time; per second. MODE delay: all at once; milliseconds beyond 100.
-- MODE cold: the first request of a program, with the loading of all that it needs; milliseconds.
-- BENCH_CA: a file of certificates; then the server is asked by https.
-- Prints BENCH_NAME, BENCH_IMPL, metric and value, separated by tabs.
-- Without arguments: rps at 64 and 256 against build/raw_server, which has a thread for each connection.
local braid = require "braid"

local function report(inflight, metric, value)
  local name = os.getenv("BENCH_NAME") or "fetch_" .. inflight
  print(("%s\t%s\t%s\t%.6g"):format(name, os.getenv("BENCH_IMPL") or "braid", metric, value))
end

-- Fetches until nothing is left of the n; gives the seconds it took. The session is made before the clock starts: its
-- first one loads libcurl (see `cold`).
local function measure(url, n, inflight)
  local function worker(session)
    while n > 0 do
      n = n - 1
      assert(assert(session:get(url)).status == 200)
    end
  end
  return braid.run(function()
    local session <close> = braid.http.session { tls = { ca_file = os.getenv("BENCH_CA") } }
    local started = braid.now()
    braid.scope(function(scope)
      for _ = 1, inflight do scope:spawn(worker, session) end
    end)
    return braid.now() - started
  end)
end

local function cold(url)
  local started = braid.now()
  assert(assert(braid.http.get(url, { tls = { ca_file = os.getenv("BENCH_CA") } })).status == 200)
  return braid.now() - started
end

if arg[1] then
  local mode, n, inflight, port, path = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4], arg[5]
  local scheme = os.getenv("BENCH_CA") and "https" or "http"
  local url = ("%s://%s:%s%s"):format(scheme, os.getenv("BENCH_HOST") or "127.0.0.1", port, path)
  if mode == "cold" then
    report(inflight, "first_ms", cold(url) * 1000)
  elseif mode == "rps" then
    report(inflight, "rps", n / measure(url, n, inflight))
  else
    report(inflight, "over_ms", (measure(url, n, inflight) - 0.1) * 1000)
  end
else
  local server <close> = assert(io.popen("build/raw_server"))
  local base = "http://127.0.0.1:" .. (server:read("n") or error("no build/raw_server: make build/raw_server"))
  report("cold", "first_ms", cold(base .. "/ok") * 1000)
  for _, inflight in ipairs { 64, 256 } do
    report(inflight, "rps", 50000 / measure(base .. "/ok", 50000, inflight))
  end
  braid.http.get(base .. "/quit")
end
