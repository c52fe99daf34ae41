-- SPDX-License-Identifier: MIT
-- The pages of the reference: each public function with its signature, arguments, results, errors, whether it suspends,
-- and an example.
local examples = require "tools.site.examples"
local highlight = require "tools.site.highlight"
local markdown = require "tools.site.markdown"

local M = {}

local escape = markdown.escape

local function signature(item)
  local words = {}
  for i, parameter in ipairs(item.parameters) do
    words[i] = parameter.optional and parameter.name .. "?" or parameter.name
  end
  return ("%s(%s)"):format(item.shown, table.concat(words, ", "))
end

-- A type, with links to the classes in it.
local function type_html(type, page)
  return (escape(type):gsub("braid[%w_.]*[%w_]", function(name)
    local address = page.name(name)
    return address and ('<a href="%s">%s</a>'):format(address, name) or name
  end))
end

local function write_entries(out, caption, entries, page)
  if #entries == 0 then return end
  out[#out + 1] = ('<p class="caption">%s</p><dl>'):format(caption)
  for _, entry in ipairs(entries) do
    local name, text = entry.name, entry.text
    if not name then name, text = text:match "^([%a_][%w_]*)%s*(.*)$" end
    out[#out + 1] = ('<dt>%s<span class="type">%s</span></dt><dd>%s</dd>'):format(
      name and "<code>" .. escape(name) .. "</code> " or "", type_html(entry.type, page),
      markdown.inline(text or "", page))
  end
  out[#out + 1] = "</dl>"
end

-- The results, and the errors apart: those that are returned behind nil.
local function results_of(item)
  local results, errors = {}, {}
  for _, result in ipairs(item.results) do
    table.insert(result.type:find "^braid%.Error" and errors or results, result)
  end
  return results, errors
end

local function write_item(out, item, page, level)
  local anchor = item.path
  out[#out + 1] = ('<section class="entry"><h3 id="%s"><a href="#%s"><code>%s</code></a>%s</h3>'):format(
    escape(anchor), escape(anchor), escape(signature(item)),
    item.suspends and '<span class="badge" title="other tasks run meanwhile">suspends</span>' or "")
  if item.text ~= "" then out[#out + 1] = markdown.html(item.text, page) end
  local results, errors = results_of(item)
  write_entries(out, "Arguments", item.parameters, page)
  write_entries(out, "Returns", results, page)
  write_entries(out, "Errors", errors, page)
  local example = examples.of(item.path)
  if example then
    out[#out + 1] = ('<p class="caption">Example</p><pre class="lua"><code>%s</code></pre>'):format(
      highlight.lua(example, page.name))
  end
  out[#out + 1] = "</section>"
  page.heading(level, item.shown, anchor)
  page.entry(signature(item), anchor, item.text)
end

local function write_class(out, class, page)
  out[#out + 1] = ('<h2 id="%s"><code>%s</code></h2>'):format(escape(class.name), escape(class.name))
  page.heading(2, class.name:gsub("^braid%.", ""), class.name)
  page.entry(class.name, class.name, class.text)
  if class.text ~= "" then out[#out + 1] = markdown.html(class.text, page) end
  if class.parent then
    out[#out + 1] = ("<p>Has all that %s has, and:</p>"):format(markdown.inline("`" .. class.parent .. "`", page))
  end
  local fields = {}
  for _, field in ipairs(class.fields) do
    if not field.name:find "^[_[]" then fields[#fields + 1] = field end
  end
  if #fields > 0 then
    out[#out + 1] = '<div class="entry">'
    write_entries(out, class.name:find "Options$" and "Options" or "Fields", fields, page)
    out[#out + 1] = "</div>"
  end
  for _, item in ipairs(class.items) do write_item(out, item, page, 3) end
end

---The text of a chapter's page.
---@param chapter table as tools/manual.lua has it
---@param page table with `name`, `link`, `heading` and `entry`
---@return string html
function M.html(chapter, page)
  local out = { ("<h1>%s</h1>"):format(escape(chapter.title)) }
  for _, section in ipairs(chapter.sections) do
    if section.text ~= "" then out[#out + 1] = markdown.html(section.text, page) end
    for _, item in ipairs(section.items) do write_item(out, item, page, 2) end
    for _, class in ipairs(section.classes) do write_class(out, class, page) end
  end
  return table.concat(out, "\n")
end

---name -> the anchor of every function, method and class of a chapter.
---@param chapter table
---@return table<string, string>
function M.names(chapter)
  local names = {}
  for _, section in ipairs(chapter.sections) do
    for _, item in ipairs(section.items) do names[item.path] = item.path end
    for _, class in ipairs(section.classes) do
      names[class.name] = class.name
      for _, item in ipairs(class.items) do
        names[item.path] = item.path
        names[item.shown] = names[item.shown] or item.path
      end
    end
  end
  return names
end

return M
