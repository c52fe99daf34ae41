-- SPDX-License-Identifier: MIT
-- Redis: a hundred tasks share one connection, a worker waits for jobs, a transaction counts. Starts its own server.
local braid = require "braid"

local path = os.tmpname()
os.remove(path)
local server <close> = braid.process.start({
  "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", "/tmp",
}, { stdout = "null", stderr = "null" })
if not server then
  print("This example needs redis-server (Debian: apt-get install redis-server).")
  return
end

local function connect()
  while true do
    local client = braid.redis.connect { unix = path }
    if client then return client end
    braid.sleep(0.02)
  end
end

braid.run(function()
  local client <close> = braid.timeout(10, connect)

  -- Tasks on one connection: each waits only for its own reply, and what they send goes out together.
  local start = braid.now()
  local jobs = {}
  for i = 1, 100 do
    jobs[i] = function()
      client:set("user:" .. i, "name " .. i)
      assert(client:get("user:" .. i) == "name " .. i)
    end
  end
  braid.gather(jobs)
  print(("200 commands of 100 tasks on one connection: %.1f ms"):format((braid.now() - start) * 1000))

  -- A worker waits for jobs; its BLPOP has a connection of its own.
  local worker = braid.spawn(function()
    local done = {}
    while #done < 3 do done[#done + 1] = client:blpop("jobs", 0)[2] end
    return table.concat(done, " ")
  end)
  client:rpush("jobs", "one", "two", "three")
  print("the worker got: " .. worker:result())

  -- Read, then change: again if somebody else was faster.
  local function transfer(amount)
    return client:transaction(function(tx)
      local balance = tonumber(tx:get("balance")) or 0
      tx:multi()
      tx:set("balance", balance + amount)
    end, { watch = { "balance" } })
  end
  local transfers = {}
  for i = 1, 5 do transfers[i] = function() transfer(10) end end
  braid.gather(transfers)
  print("balance after five transfers at once: " .. client:get("balance"))

  local news <close> = client:subscribe("news")
  client:publish("news", "hello")
  print("a message: " .. news().message)
end)

--[[ prints:
200 commands of 100 tasks on one connection: 17.3 ms
the worker got: one two three
balance after five transfers at once: 50
a message: hello
]]
