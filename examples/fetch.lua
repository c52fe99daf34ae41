-- SPDX-License-Identifier: MIT
-- Rows S10-S19: five slow pages, one after the other, in five threads, in five processes, and as tasks of one thread.
--   lua5.4 examples/fetch.lua [--count 5] [--url /delay/1] [--base-url https://httpbin.org] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { count = 5, url = "/delay/1", base_url = "" }
local server <close> = tour.server(options.base_url)
local url = options.url:find "^https?://" and options.url or server.url .. options.url
local urls = {}
for i = 1, options.count do urls[i] = url end

local function fetch(client, address)
  return assert(client.get(address, { timeout = 10 })).status
end

local function serially()
  local statuses = {}
  for i, address in ipairs(urls) do statuses[i] = fetch(braid.http, address) end
  return statuses
end

local function in_pool(kind)
  local pool <close> = braid.pool(kind, options.count)
  return pool:map(function(address) return fetch(braid.http, address) end, urls)
end

local function as_tasks()
  local session <close> = braid.http.session { timeout = 10 }
  return braid.map(function(address) return assert(session:get(address)).status end, urls)
end

local ways = { { "serial", serially }, { "threads", in_pool }, { "processes", in_pool }, { "tasks", as_tasks } }
for _, way in ipairs(ways) do
  local start = braid.now()
  local statuses = way[2](way[1])
  tour.say(way[1], braid.now() - start, table.concat(statuses, ", "))
end

-- 串行耗时 5.02s, 结果 [200, 200, 200, 200, 200]
-- 多线程耗时 1.04s, 结果 [200, 200, 200, 200, 200]
-- 多进程耗时 1.05s, 结果 [200, 200, 200, 200, 200]
-- 协程耗时 1.01s, 结果 [200, 200, 200, 200, 200]
