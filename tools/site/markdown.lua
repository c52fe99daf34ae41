-- SPDX-License-Identifier: MIT
-- Turns the Markdown of the guides into HTML: headings, paragraphs, lists, tables, code, quotes, links, emphasis.
local highlight = require "tools.site.highlight"

local M = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

---@param text string
---@return string
function M.escape(text) return (text:gsub('[&<>"]', ENTITIES)) end

---The anchor of a heading, as GitHub makes it.
---@param text string
---@return string
function M.anchor(text)
  return (text:lower():gsub("[`*]", ""):gsub("[%z\1-\31!-,./:-@%[-^{-~]", ""):gsub(" ", "-"))
end

-- ---- inside a line -------------------------------------------------------------------------------------------------

---@class markdown.Page what a text is turned for
---@field link fun(target: string): string? the address of a link; nil: it is left out
---@field name fun(name: string): string? the address of a public name in code

local function emphasized(text)
  return (text:gsub("%*%*(.-)%*%*", "<strong>%1</strong>"):gsub("%f[%w*_]%*([^*%s][^*]-)%*%f[^%w*_]", "<em>%1</em>"))
end

local function code(text, page)
  local address = page.name and page.name(text)
  local shown = "<code>" .. M.escape(text) .. "</code>"
  return address and ('<a href="%s">%s</a>'):format(address, shown) or shown
end

-- Links whose text may hold code, and text between them.
local function linked(text, page)
  local out, at = {}, 1
  while true do
    local first, last, shown, target = text:find("%[([^%]]-)%]%(([^)%s]+)%)", at)
    if not first then break end
    local address = page.link and page.link(target) or target
    out[#out + 1] = emphasized(text:sub(at, first - 1))
    out[#out + 1] = ('<a href="%s">%s</a>'):format(M.escape(address), emphasized(shown))
    at = last + 1
  end
  out[#out + 1] = emphasized(text:sub(at))
  return table.concat(out)
end

---@param text string
---@param page markdown.Page
---@return string html
function M.inline(text, page)
  local kept = {}
  local function keep(html)
    kept[#kept + 1] = html
    return ("\1%d\2"):format(#kept)
  end
  text = text:gsub("(%[[^%]]*%]%([^)%s]+%))", function(link) -- code inside a link is no link itself
    return (link:gsub("`([^`]+)`", function(inside) return keep("<code>" .. M.escape(inside) .. "</code>") end))
  end)
  text = text:gsub("``(.-)``", function(inside) return keep(code(inside, page)) end)
  text = text:gsub("`([^`]+)`", function(inside) return keep(code(inside, page)) end)
  text = linked(M.escape(text), page)
  return (text:gsub("\1(%d+)\2", function(number) return kept[tonumber(number)] end))
end

-- ---- blocks --------------------------------------------------------------------------------------------------------

local convert

local function indent_of(line) return #line:match "^ *" end

local function is_item(line) return line:find "^ *[-*] " ~= nil or line:find "^ *%d+[.)] " ~= nil end

-- A list: its items, each with the lines that are indented below it.
local function take_list(lines, at, out, page)
  local base, ordered = indent_of(lines[at]), lines[at]:find "^ *%d" ~= nil
  out[#out + 1] = ordered and "<ol>" or "<ul>"
  while lines[at] and is_item(lines[at]) and indent_of(lines[at]) == base do
    local text = lines[at]:gsub("^ *[-*] ", "", 1):gsub("^ *%d+[.)] ", "", 1)
    local inner = { text }
    at = at + 1
    while lines[at] and (indent_of(lines[at]) > base or lines[at] == "" and lines[at + 1] and
      indent_of(lines[at + 1]) > base) do
      inner[#inner + 1] = (lines[at]:gsub("^" .. (" "):rep(base) .. " ? ?", ""))
      at = at + 1
    end
    local html = convert(inner, page)
    if #inner < 2 or not html:find("</p>\n<p>", 1, true) then html = html:gsub("^<p>(.-)</p>", "%1") end
    out[#out + 1] = "<li>" .. html .. "</li>"
    if lines[at] == "" and lines[at + 1] and is_item(lines[at + 1]) and indent_of(lines[at + 1]) == base then
      at = at + 1
    end
  end
  out[#out + 1] = ordered and "</ol>" or "</ul>"
  return at
end

-- The cells of a row; a bar in code or behind a backslash is none between cells.
local function cells_of(line)
  local text = line:gsub("^%s*|", ""):gsub("|%s*$", ""):gsub("`[^`]*`", function(inside)
    return (inside:gsub("|", "\3"))
  end):gsub("\\|", "\3")
  local cells = {}
  for cell in (text .. "|"):gmatch "(.-)|" do
    cells[#cells + 1] = (cell:gsub("\3", "|"):gsub("^%s+", ""):gsub("%s+$", ""))
  end
  return cells
end

local function row(cells, tag, page)
  local out = {}
  for i, cell in ipairs(cells) do out[i] = ("<%s>%s</%s>"):format(tag, M.inline(cell, page), tag) end
  return "<tr>" .. table.concat(out) .. "</tr>"
end

local function take_table(lines, at, out, page)
  out[#out + 1] = '<div class="table"><table>'
  local head = cells_of(lines[at])
  if table.concat(head):find "%S" then out[#out + 1] = "<thead>" .. row(head, "th", page) .. "</thead>" end
  out[#out + 1] = "<tbody>"
  at = at + 2
  while lines[at] and lines[at]:find "^%s*|" do
    out[#out + 1] = row(cells_of(lines[at]), "td", page)
    at = at + 1
  end
  out[#out + 1] = "</tbody></table></div>"
  return at
end

local function take_code(lines, at, out, page)
  local margin, language = lines[at]:match "^( *)```(%w*)"
  local inside = {}
  at = at + 1
  while lines[at] and not lines[at]:find "^ *```%s*$" do
    inside[#inside + 1] = (lines[at]:gsub("^" .. margin, ""))
    at = at + 1
  end
  local text = table.concat(inside, "\n")
  local html = language == "lua" and highlight.lua(text, page.name) or M.escape(text)
  out[#out + 1] = ('<pre class="%s"><code>%s</code></pre>'):format(language, html)
  return at + 1
end

local function take_heading(line, out, page)
  local marks, text = line:match "^(#+)%s+(.-)%s*#*$"
  local level, anchor = #marks, M.anchor(text)
  if page.heading then page.heading(level, text, anchor) end
  out[#out + 1] = ('<h%d id="%s">%s</h%d>'):format(level, M.escape(anchor), M.inline(text, page), level)
end

local function begins_block(line)
  return line == "" or line:find "^#+%s" or line:find "^ *```" or line:find "^%s*|" or line:find "^>" or
    line:find "^<!%-%-" or is_item(line)
end

local function take_paragraph(lines, at, out, page)
  local text = {}
  repeat
    text[#text + 1] = (lines[at]:gsub("^%s+", ""))
    at = at + 1
  until not lines[at] or begins_block(lines[at])
  out[#out + 1] = "<p>" .. M.inline(table.concat(text, "\n"), page) .. "</p>"
  return at
end

local function take_quote(lines, at, out, page)
  local inner = {}
  while lines[at] and lines[at]:find "^>" do
    inner[#inner + 1] = (lines[at]:gsub("^> ?", ""))
    at = at + 1
  end
  out[#out + 1] = "<blockquote>" .. convert(inner, page) .. "</blockquote>"
  return at
end

local function take_block(lines, at, out, page)
  local line = lines[at]
  if line:find "^ *```" then return take_code(lines, at, out, page) end
  if is_item(line) then return take_list(lines, at, out, page) end
  if line:find "^>" then return take_quote(lines, at, out, page) end
  if line:find "^%s*|" and lines[at + 1] and lines[at + 1]:find "^%s*|[%s|:-]+$" then
    return take_table(lines, at, out, page)
  end
  if line:find "^#+%s" then take_heading(line, out, page) elseif line:find "^%-%-%-+%s*$" then out[#out + 1] = "<hr>"
  elseif line ~= "" and not line:find "^<!%-%-.*%-%->%s*$" then return take_paragraph(lines, at, out, page) end
  return at + 1
end

convert = function(lines, page)
  local out, at = {}, 1
  while lines[at] do at = take_block(lines, at, out, page) end
  return table.concat(out, "\n")
end

---@param text string
---@param page markdown.Page
---@return string html
function M.html(text, page)
  local lines = {}
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return convert(lines, page)
end

return M
