-- SPDX-License-Identifier: MIT
-- Pages from templates: braid leaves them to libraries. This one is Penlight's (Debian: lua-penlight), which inserts
-- texts as they are; so `html` escapes them. A template is compiled once.
-- usage: lua5.4 examples/templates.lua, which prints the page; or: braid serve examples/templates.lua
local braid = require "braid"
local template = require "pl.template"

local SIGNS = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

local function html(text) return (tostring(text):gsub("[&<>\"']", SIGNS)) end

local page = assert(template.compile([[
<!doctype html>
<meta charset="utf-8">
<title>$(html(title))</title>
<h1>$(html(title))</h1>
<ul>
# for _, item in ipairs(items) do
  <li>$(html(item.name)): $(item.count)</li>
# end
</ul>
]]))

-- An answer with the page. What the template uses has to be given to it.
local function render(values)
  local environment = { html = html, ipairs = ipairs }
  for name, value in pairs(values) do environment[name] = value end
  return braid.web.response {
    body = assert(page:render(environment)), headers = { ["Content-Type"] = "text/html; charset=utf-8" },
  }
end

local app = braid.web.app()

app:get("/", function(request)
  local items = { { name = "tea", count = 3 }, { name = "bread & butter", count = 1 } }
  return render { title = request.query.title or "The shop", items = items }
end)

if arg and arg[0] and arg[0]:find "templates%.lua$" then io.write(app:test_client():get("/").body) end

return app

-- <!doctype html>
-- <meta charset="utf-8">
-- <title>The shop</title>
-- <h1>The shop</h1>
-- <ul>
--   <li>tea: 3</li>
--   <li>bread &amp; butter: 1</li>
-- </ul>
