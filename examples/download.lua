-- SPDX-License-Identifier: MIT
-- Saves a page to a file, with a progress bar: tried again where that may help, and whole or not there at all.
--   lua5.4 examples/download.lua [--url http://...] [--to file]      without a URL: from a server of its own
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { url = "", to = os.tmpname() }
local server <close> = tour.server(options.url)
local url = options.url ~= "" and options.url or server.url .. "/delay/0"

local response, err = braid.http.get(url, {
  file = options.to,
  progress = true, -- or a function(received, total)
  retries = 5, -- after failures of the network, 429 and 503; Retry-After is heeded
  timeout = math.huge, idle_timeout = 30, -- however long it takes, as long as something comes
})
if not response then error(err) end
print(response.status, response.file and "saved" or "not saved")
if options.url == "" then os.remove(options.to) end

-- 200	saved
