-- SPDX-License-Identifier: MIT
-- What stands around the text of each page: the head, search, the list of pages, and what is on this one.
local markdown = require "tools.site.markdown"

local M = {}

local WORDS = {
  en = { search = "Search: / to begin", none = "nothing found", menu = "Menu", here = "On this page", other = "中文",
    theme = "Light or dark", skip = "To the text", before = "Before: ", after = "Next: " },
  zh = { search = "搜索 (按 /)", none = "没有找到", menu = "目录", here = "本页内容", other = "English",
    theme = "浅色或深色", skip = "到正文", before = "上一页: ", after = "下一页: " },
}

local TEMPLATE = [[
<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · braid</title>
<meta name="description" content="{summary}">
<link rel="stylesheet" href="{base}style.css">
<script>
try { var t = localStorage.getItem("theme"); if (t) document.documentElement.dataset.theme = t; } catch (e) {}
</script>
</head>
<body>
<a class="skip" href="#text">{skip}</a>
<header>
<button id="menu-button" aria-label="{menu}">☰</button>
<a class="home" href="{base}{home}">braid<small>{version}</small></a>
<div class="search">
<input id="search" type="search" placeholder="{search}" aria-label="{search}" autocomplete="off" data-base="{base}"
  data-none="{none}"><ul id="results" hidden></ul>
</div>
<a class="switch" href="{base}{other_page}">{other}</a>
<button id="theme" aria-label="{theme}" title="{theme}">◐</button>
</header>
<div class="frame">
<nav aria-label="{menu}">{nav}</nav>
<main id="text">
{body}
<footer><span>{before}</span><span>{after}</span></footer>
</main>
<aside aria-label="{here}">{toc}</aside>
</div>
<script src="{base}index.js"></script>
<script src="{base}search.js"></script>
</body>
</html>
]]

local function nav_of(page, groups, base)
  local out = {}
  for _, group in ipairs(groups) do
    out[#out + 1] = ("<h2>%s</h2><ul>"):format(markdown.escape(group.title))
    for _, each in ipairs(group.pages) do
      out[#out + 1] = ('<li><a href="%s%s"%s>%s</a></li>'):format(base, each.path,
        each == page and ' aria-current="page"' or "", markdown.escape(each.short or each.title))
    end
    out[#out + 1] = "</ul>"
  end
  return table.concat(out)
end

local function toc_of(page, words)
  if #page.headings < 2 then return "" end
  local out = { ("<h2>%s</h2><ul>"):format(words.here) }
  for _, heading in ipairs(page.headings) do
    out[#out + 1] = ('<li><a%s href="#%s">%s</a></li>'):format(heading.level > 2 and ' class="deep"' or "",
      markdown.escape(heading.anchor), markdown.escape((heading.text:gsub("`", ""))))
  end
  return table.concat(out) .. "</ul>"
end

local function neighbour(page, base, words, key)
  local other = page[key]
  return other and ('%s<a href="%s%s">%s</a>'):format(words[key], base, other.path,
    markdown.escape(other.short or other.title)) or ""
end

---The whole page.
---@param page table
---@param groups table[] of pages, for the list
---@param version string
---@return string html
function M.html(page, groups, version)
  local words = WORDS[page.lang]
  local base = ("../"):rep(select(2, page.path:gsub("/", "")))
  local values = {
    lang = page.lang == "zh" and "zh-CN" or "en", title = markdown.escape(page.title), base = base, version = version,
    summary = markdown.escape(page.summary or page.title), home = page.lang == "zh" and "zh/index.html" or "index.html",
    other_page = page.other or (page.lang == "zh" and "index.html" or "zh/index.html"),
    nav = nav_of(page, groups, base), toc = toc_of(page, words), body = page.body,
    before = neighbour(page, base, words, "before"), after = neighbour(page, base, words, "after"),
  }
  return (TEMPLATE:gsub("{([%w_]+)}", function(name) return values[name] or words[name] end))
end

return M
