-- SPDX-License-Identifier: MIT
-- A polite crawler: each page once, so many requests a second to each host, robots.txt, retries, a bar. Ctrl-C stops
-- it; what it has found until then is told.
--   lua5.4 examples/crawler.lua [--url http://...] [--pages 200] [--rate 50] [--tasks 8] [--db pages.db]
-- Without a URL it crawls a site of its own. It never leaves the host that it is given. The pages go to a SQLite
-- database where there is one (default: in memory); a page that is there already is stored anew.
package.path = (arg[0]:match "^(.*[/\\])" or "./") .. "?.lua;" .. package.path
local braid = require "braid"
local tour = require "tour"

local options = tour.options { url = "", pages = 200, rate = 50, tasks = 8, db = ":memory:" }
local AGENT = "braid-crawler"

-- ---- a site to crawl ------------------------------------------------------------------------------------------------

-- Ten pages that lead to each other; one is busy at first, one is private, one is gone.
local function own_site()
  local app = braid.web.app()
  local busy = 2
  app:get("/robots.txt", function() return "User-agent: *\nDisallow: /private\nAllow: /private/open\n" end)
  app:get("/page/{n:int}", function(request)
    local n = request.params.n
    if n == 7 and busy > 0 then
      busy = busy - 1
      return braid.web.response { status = 503, headers = { ["Retry-After"] = "0" } }
    end
    local links = { "/page/" .. (n + 1) % 10, (n + 3) % 10, "../page/" .. n * 2 % 10 .. "#part", "/private/x", "/gone" }
    if n == 5 then links[#links + 1] = "/private/open" end
    for i, link in ipairs(links) do links[i] = ('<a href="%s">link</a>'):format(link) end
    return braid.web.response { headers = { ["Content-Type"] = "text/html" }, body = table.concat(links, "\n") }
  end)
  app:get("/private/{rest:path}", function(request) return "private: " .. request.params.rest end)
  return app
end

-- ---- URLs -----------------------------------------------------------------------------------------------------------

-- Where a link on a page leads: without its fragment, and without dot segments.
local function joined(base, link)
  link = link:gsub("#.*$", ""):gsub("&amp;", "&")
  if link:find "^%a[%w+.-]*:" then return link end
  local origin, path = base:match "^(%a+://[^/?#]+)([^?#]*)"
  if link:find "^//" then return base:match "^%a+:" .. link end
  if link == "" then return origin .. path end
  if link:find "^%?" then return origin .. path .. link end
  local whole, query = (link:find "^/" and link or path:gsub("[^/]*$", "") .. link):match "^([^?]*)(.*)$"
  local kept = {}
  for segment in whole:gmatch "[^/]*" do
    if segment == ".." then
      if #kept > 1 then table.remove(kept) end
    elseif segment ~= "." then
      kept[#kept + 1] = segment
    end
  end
  return origin .. table.concat(kept, "/") .. query
end

local function origin_of(url) return url:match "^https?://[^/?#]+" end

-- ---- robots.txt (RFC 9309) ------------------------------------------------------------------------------------------

-- The rules for us, or those for all; and the seconds between two requests.
local function rules_of(text)
  local groups, group, naming = {}, nil, false
  for line in text:gmatch "[^\r\n]+" do
    local name, value = line:gsub("#.*$", ""):match "^%s*([%a-]+)%s*:%s*(.-)%s*$"
    name = name and name:lower()
    if name == "user-agent" then
      group = naming and group or { delay = nil }
      groups[value:lower()] = groups[value:lower()] or group
    elseif group and (name == "allow" or name == "disallow") and value ~= "" then
      group[#group + 1] = { path = value, allow = name == "allow" }
    elseif group and name == "crawl-delay" then
      group.delay = tonumber(value)
    end
    naming = name == "user-agent"
  end
  return groups[AGENT] or groups["*"] or {}
end

-- Whether the longest rule that fits allows the URL.
local function allows(rules, url)
  local path, best, allowed = url:match "^https?://[^/?#]+(.*)$", 0, true
  for _, rule in ipairs(rules) do
    local plain = rule.path:gsub("[%*%$].*$", "")
    if #plain >= best and path:sub(1, #plain) == plain then best, allowed = #plain, rule.allow end
  end
  return allowed
end

-- ---- crawling -------------------------------------------------------------------------------------------------------

local function links_in(response)
  local list = {}
  if (response.headers["content-type"] or ""):find "^text/html" then
    for link in (response:text() or response.body):gmatch "[hH][rR][eE][fF]%s*=%s*[\"']([^\"']*)" do
      list[#list + 1] = joined(response.url, link)
    end
  end
  return list
end

-- ---- the pages ------------------------------------------------------------------------------------------------------

local STORE = "insert into page values (?, ?, ?, ?) on conflict (url) do update set status = excluded.status, "
  .. "type = excluded.type, body = excluded.body"

-- Keeps pages: put(url, response). Tasks only hand them over; one task stores what has gathered, by one transaction.
local function open_store(path)
  if not pcall(require, "braid.sqlite_core") then return { put = function() end, close = function() end } end
  local db = assert(braid.sqlite.open(path))
  db:execute "create table if not exists page (url text primary key, status integer, type text, body blob)"
  local pages = braid.queue(1000)
  local writer = braid.spawn(function()
    for page in pages:items() do
      local list = { page }
      repeat
        local next_page = pages:try_get()
        list[#list + 1] = next_page
      until not next_page
      db:execute_many(STORE, list)
    end
  end)
  return {
    put = function(url, response)
      pages:put { url, response.status, response.headers["content-type"], braid.sqlite.blob(response.body), n = 4 }
    end,
    close = function()
      pages:close()
      writer:result()
      local count = db:value "select count(*) from page"
      db:close()
      return count
    end,
  }
end

local function crawl(start, found, store)
  local home = origin_of(start)
  local session <close> = braid.http.session {
    headers = { ["User-Agent"] = AGENT }, timeout = 20, max_body = 10 << 20, max_per_host = options.tasks,
    retry = { tries = 3, backoff = 0.05 },
  }
  local robots = session:get(home .. "/robots.txt")
  local rules = rules_of(robots and robots.status == 200 and robots:text() or "")
  local limiter = braid.limiter { rate = rules.delay and 1 / rules.delay or options.rate }
  local waiting, seen, open = braid.queue(), {}, 0
  local bar <close> = braid.progress(0, { name = "crawl", unit = "pages" })

  local function add(url)
    if seen[url] or origin_of(url) ~= home or found.pages + open >= options.pages then return end
    seen[url] = true
    if not allows(rules, url) then
      found.refused = found.refused + 1
      return
    end
    open = open + 1
    waiting:put(url)
    bar:update(found.pages, found.pages + open)
  end

  local function visit(url)
    limiter:acquire()
    local response, err = session:get(url)
    if response and response.url ~= url then seen[response.url] = true end
    if not response then
      found.failed[#found.failed + 1] = tostring(err)
    elseif response.status ~= 200 then
      found.failed[#found.failed + 1] = ("%s: status %d"):format(response.url:gsub("^%a+://[^/]*", ""), response.status)
    else
      found.bytes = found.bytes + #response.body
      store.put(response.url, response)
      for _, link in ipairs(links_in(response)) do add(link) end
    end
  end

  add(start)
  braid.scope(function(scope)
    for _ = 1, options.tasks do
      scope:spawn(function()
        for url in waiting:items() do
          visit(url)
          open, found.pages = open - 1, found.pages + 1
          bar:update(found.pages, found.pages + open)
          if open == 0 then waiting:close() end
        end
      end)
    end
  end)
end

local found = { pages = 0, bytes = 0, refused = 0, failed = {} }

-- Is called at the end, also when Ctrl-C ends the run.
local function tell()
  print(("%d pages, %d refused by robots.txt, %d failed"):format(found.pages, found.refused, #found.failed))
  for _, line in ipairs(found.failed) do print("  " .. line) end
  if options.db ~= ":memory:" and found.stored then print(("%d pages in %s"):format(found.stored, options.db)) end
end

braid.run(function()
  local _ <close> = setmetatable({}, { __close = tell })
  local store = open_store(options.db)
  local held <close> = setmetatable({}, { __close = function() found.stored = braid.shield(store.close) end }) -- luacheck: ignore
  if options.url ~= "" then
    crawl(options.url:find("^%a+://[^/]+$") and options.url .. "/" or options.url, found, store)
    return
  end
  local server = assert(own_site():start { port = 0, access_log = false })
  crawl(("http://127.0.0.1:%d/page/0"):format(server.port), found, store)
  server:stop()
end)

-- 12 pages, 1 refused by robots.txt, 1 failed
--   /gone: status 404
