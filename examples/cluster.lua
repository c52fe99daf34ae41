-- SPDX-License-Identifier: MIT
-- Many machines: a number is taken apart by two workers, one of which is killed in the middle. Starts its own server
-- and workers; on real machines each of them runs `braid worker --cluster nats://server:4222 --secret-file secret`.
--   lua5.4 examples/cluster.lua [COUNT]
local braid = require "braid"

local here = arg[0]:match "^(.*[/\\])" or "./"
local count = math.tointeger(tonumber(arg[1] or 24))
local lua = arg[-1] or "lua5.4"

local function start_server(folder)
  for _, program in ipairs { "nats-server", "/usr/sbin/nats-server" } do
    local listener = assert(braid.net.listen("127.0.0.1", 0))
    local port = listener.port
    listener:close()
    local server = braid.process.start({ program, "-a", "127.0.0.1", "-p", tostring(port), "-js", "-sd", folder },
      { stdout = "null", stderr = "null", stdin = "null" })
    if server then return server, "nats://127.0.0.1:" .. port end
  end
end

local function start_worker(url, id)
  local worker = assert(braid.process.start({
    lua, here .. "../bin/braid", "worker", "--cluster", url, "--insecure", "--workers", "1", "--id", id,
  }, { stdin = "null" }))
  print((worker:read("l")))
  return worker
end

local function factorize(n)
  local factors, d = {}, 2
  while d * d <= n do
    while n % d == 0 do
      factors[#factors + 1] = d
      n = n // d
    end
    d = d + 1
  end
  if n > 1 then factors[#factors + 1] = n end
  return factors
end

if not pcall(require, "braid.cluster_core") then
  print("This example needs libnats (Debian: apt-get install libnats-dev, then build braid again).")
  return
end

braid.run(function()
  local folder = os.tmpname()
  os.remove(folder)
  local server <close>, url = start_server(folder)
  if not server then
    print("This example needs nats-server (Debian: apt-get install nats-server).")
    return
  end
  local first <close> = start_worker(url, "first")
  local second <close> = start_worker(url, "second")
  do
    local cluster <close> = braid.cluster { servers = url, insecure = true, patience = 10 }
    local pool <close> = cluster:pool()

    -- The same function as for threads and processes, and the same futures.
    local start = braid.now()
    local futures = {}
    for i = 1, count do futures[i] = pool:submit(factorize, 4398050705407 + 2 * i) end
    futures[2]:result()
    first:kill("KILL")
    print "one worker was killed"
    for i = 1, count do
      print(("%d = %s"):format(4398050705407 + 2 * i, table.concat(futures[i]:result(), " * ")))
    end
    print(("%d numbers in %.2f s; %d worker is left"):format(count, braid.now() - start, #cluster:workers()))
  end
  second:kill("TERM") -- it would end what it has begun, and give back the rest
  second:wait(5)
  server:kill("KILL")
  server:wait(5)
  os.execute(("rm -rf '%s'"):format(folder))
end)
