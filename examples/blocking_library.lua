-- SPDX-License-Identifier: MIT
-- Rows S48-S49: a library that blocks (LuaSocket's socket.http: Debian lua-socket, LuaRocks luasocket) in a plain loop,
-- in a thread pool with its code unchanged, and the same work with a client that waits in the loop, as tasks.
--   lua5.4 examples/blocking_library.lua [--count 5] [--url /delay/0.5] [--lang en]
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

if not pcall(require, "socket.http") then
  print "this example needs LuaSocket (Debian: lua-socket)"
  os.exit(0)
end

local options = tour.options { count = 5, url = "/delay/0.5" }
local server <close> = tour.server()
local urls = {}
for i = 1, options.count do urls[i] = server.url .. options.url end

-- The job: it knows nothing of braid.
local function fetch(url)
  local http = require "socket.http"
  local _, status = http.request(url)
  return status
end

local function in_a_loop()
  local statuses = {}
  for i, url in ipairs(urls) do statuses[i] = fetch(url) end
  return statuses
end

local function in_threads()
  local pool <close> = braid.thread_pool(options.count)
  return pool:map(fetch, urls)
end

local function as_tasks()
  return braid.map(function(url) return assert(braid.http.get(url)).status end, urls)
end

for _, way in ipairs { { "serial", in_a_loop }, { "threads", in_threads }, { "tasks", as_tasks } } do
  local start = braid.now()
  local statuses = way[2]()
  tour.say(way[1], braid.now() - start, table.concat(statuses, ", "))
end

-- 串行耗时 2.51s, 结果 [200, 200, 200, 200, 200]
-- 多线程耗时 0.52s, 结果 [200, 200, 200, 200, 200]
-- 协程耗时 0.50s, 结果 [200, 200, 200, 200, 200]
