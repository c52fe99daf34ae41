-- SPDX-License-Identifier: MIT
-- Many machines: a number is taken apart by two workers, one of which is killed in the middle. Starts its own server
-- and workers; on real machines each of them runs `braid worker --cluster nats://server:4222 --secret-file secret`.
--   lua5.4 examples/cluster.lua [COUNT]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local count = math.tointeger(tonumber(arg[1] or 24))

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

braid.run(function()
  local farm <close>, why = tour.farm()
  if not farm then return print(why) end
  local first = farm:worker("first", 1)
  farm:worker("second", 1)
  local cluster <close> = braid.cluster { servers = farm.url, insecure = true, patience = 10 }
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
end)
