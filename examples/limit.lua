-- SPDX-License-Identifier: MIT
-- Row S44: a semaphore of 10 over 100 URLs. The server's own count tells that there never were more than 10 at once.
--   lua5.4 examples/limit.lua [--count 100] [--limit 10] [--base-url URL] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { count = 100, limit = 10, base_url = "" }
local server <close> = tour.server(options.base_url)

local bodies = braid.run(function()
  local session <close> = braid.http.session()
  local turns = braid.semaphore(options.limit)
  local ids = {}
  for i = 1, options.count do ids[i] = i - 1 end
  return braid.map(function(id)
    return turns:with(function()
      return assert(session:get(server.url .. "/get?id=" .. id)).body
    end)
  end, ids)
end)
tour.say("requests", #bodies)

if server.process then
  local stats = assert(braid.http.get(server.url .. "/stats")):json()
  print(("peak at the server: %d at once"):format(stats.peak))
end

-- 完成 100 个请求
-- peak at the server: 10 at once
