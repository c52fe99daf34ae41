-- SPDX-License-Identifier: MIT
-- The page of an application's documents: one file, which needs nothing from elsewhere.
local M = {}

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escaped(text) return (text:gsub('[&<>"]', escapes)) end

local FORM = [[
<!doctype html>
<html lang="en" data-source="%s" data-base="%s">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>%s</title>
<style>
%s</style>
<header>
  <button id="menu" class="menu" type="button">Menu</button>
  <h1 id="title">%s</h1><span id="version" class="version"></span>
  <span class="space"></span>
  <input id="search" type="search" placeholder="Search" aria-label="Search">
  <input id="authorization" placeholder="Authorization header" aria-label="Authorization header" autocomplete="off">
  <a href="%s">JSON</a>
  <button id="theme" type="button">Dark</button>
</header>
<div class="layout"><nav id="nav" aria-label="Operations"></nav><main id="main"></main></div>
<script>
%s</script>
</html>
]]

--- What the page may do: run its own script and style, and ask its own server.
M.policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src *; img-src data:; "
  .. "base-uri 'none'; form-action 'self'"

--- The page as HTML.
---@param title string
---@param source string the path of the document
---@param base string the path before those of the document, "" or "/shop"
---@return string
function M.html(title, source, base)
  local name, place = escaped(title), escaped(source)
  return FORM:format(place, escaped(base), name, require "braid.web.page_style", name, place,
    require "braid.web.page_script")
end

return M
