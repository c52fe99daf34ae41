-- SPDX-License-Identifier: MIT
-- The HTTP client: requests that use a shared session.
local session = require "braid.http.session"

local M = {}

M.session = session.new

-- It keeps connections but no cookies, because its users do not know of each other.
local shared

local function ours()
  shared = shared or session.new { cookies = false }
  return shared
end

---GET. Suspends until the whole response is there. Keeps the connection for later requests.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response? response also for statuses like 404 (see Response:raise_for_status)
---@return braid.Error? err kinds: timeout, limit, closed and http, with `url` and `code` (libcurl's name of the error)
function M.get(url, opts) return ours():get(url, opts) end

---POST; the content is `opts.body`, `.json`, `.form` or `.multipart`. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.post(url, opts) return ours():post(url, opts) end

---PUT. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.put(url, opts) return ours():put(url, opts) end

---PATCH. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.patch(url, opts) return ours():patch(url, opts) end

---DELETE. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.delete(url, opts) return ours():delete(url, opts) end

---HEAD. Suspends.
---@param url string
---@param opts braid.http.Options?
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.head(url, opts) return ours():head(url, opts) end

---A request with any method: `http.request{ method = "OPTIONS", url = url, ... }`. Suspends.
---@param opts braid.http.Options with `url`, and `method` (default "GET")
---@return braid.http.Response?
---@return braid.Error? err as of `get`
function M.request(opts) return ours():request(opts) end

---The server-sent events of a URL: `for event in http.events(url) do print(event.event, event.data, event.id) end`.
---When the connection is lost, it connects again, and says by Last-Event-ID what it has got. It raises when it cannot
---connect for the first time, when the answer is no event stream, or an event is too large. Each step suspends.
---@param url string
---@param opts braid.http.EventOptions?
---@return braid.http.Events events
---@return nil, nil
---@return braid.http.Events closing what a `for` closes at its end
function M.events(url, opts) return ours():events(url, opts) end

---Closes the connections that the functions above have kept. Their running requests end with kind closed.
function M.close()
  if shared then shared:close() end
  shared = nil
end

return M
