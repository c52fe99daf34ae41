-- SPDX-License-Identifier: MIT
-- Writes the manual as a site that needs no server: guides in English and Chinese, the examples, the reference made of
-- the comments in the code, and a search. Says what the manual lacks, and which links lead nowhere.
-- usage: lua tools/site.lua FOLDER      (in the root of the tree, with the tree's paths)
local frame = require "tools.site.frame"
local highlight = require "tools.site.highlight"
local manual = require "tools.manual"
local markdown = require "tools.site.markdown"
local reference = require "tools.site.reference"

-- The guides in the order in which they are read. What stands in docs/ and not here comes at the end of a
-- list.
local GUIDES = {
  { "Begin", "install", "tasks", "threads-and-processes", "pitfalls" },
  { "Talk to the world", "http", "web", "websocket", "streams", "files", "json", "databases", "cluster", "blocking" },
  { "Compute", "kernels", "experiments", "scaling" },
  { "Run it", "testing", "busted", "supervision", "deployment", "security", "embedding" },
  { "Coming from elsewhere", "from-python", "from-fastapi", "from-go", "from-node", "from-luasocket", "comparison" },
  { "About braid", "CONCURRENCY", "stability" },
}
local TREE_FILES = { "README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md" }

local folder = arg[1]
local pages, by_source, search, problems = {}, {}, {}, 0

local function complain(format, ...)
  problems = problems + 1
  print("site: " .. format:format(...))
end

local function read(path)
  local handle <close> = io.open(path)
  return handle and handle:read "a"
end

local function write(path, text)
  local handle <close> = assert(io.open(folder .. "/" .. path, "w"))
  assert(handle:write(text))
end

local function files(command)
  local list = {}
  local output <close> = assert(io.popen(command))
  for file in output:lines() do list[#list + 1] = file end
  return list
end

-- ---- which pages there are ------------------------------------------------------------------------------------------

local groups = { en = {}, zh = {} }

local function add_page(group, page)
  page.headings, page.entries = {}, {}
  pages[#pages + 1] = page
  if page.source then by_source[page.source] = page end
  if group then table.insert(group.pages, page) end
  return page
end

local function add_group(lang, title)
  local group = { title = title, pages = {} }
  table.insert(groups[lang], group)
  return group
end

local function title_of(text, path) return text:match "^#%s+([^\n]+)" or text:match "\n#%s+([^\n]+)" or path end

local function add_guide(group, source, path, lang)
  local text = read(source)
  if not text then return complain("there is no %s", source) end
  local title = title_of(text, source):gsub("`", "")
  return add_page(group, { source = source, path = path, lang = lang, title = title, text = text })
end

local function add_guides()
  local known, group_of = {}, {}
  for _, list in ipairs(GUIDES) do
    local group = add_group("en", list[1])
    group_of[list[1]] = group
    for i = 2, #list do
      known[list[i]] = true
      add_guide(group, ("docs/%s.md"):format(list[i]), ("guides/%s.html"):format(list[i]), "en")
    end
  end
  for _, file in ipairs(files "ls docs/*.md") do
    local name = file:match "([^/]+)%.md$"
    local group = group_of[name:find "^from%-" and "Coming from elsewhere" or "Run it"]
    if not known[name] then add_guide(group, file, ("guides/%s.html"):format(name), "en") end
  end
end

local function add_examples()
  local group = add_group("en", "Examples")
  add_guide(group, "examples/README.md", "examples/index.html", "en").short = "The tour"
  for _, file in ipairs(files "ls examples/*.lua") do
    local name = file:match "([^/]+)%.lua$"
    add_page(nil, { source = file, path = ("examples/%s.html"):format(name), lang = "en", title = name .. ".lua",
      code = read(file) })
  end
end

local function add_reference()
  local group = add_group("en", "Reference")
  for _, chapter in ipairs(manual.chapters) do
    add_page(group, { path = ("reference/%s.html"):format(chapter.name), lang = "en", title = chapter.title,
      chapter = chapter })
  end
end

local function add_chinese()
  local group = add_group("zh", "入门")
  add_guide(group, "README.zh-CN.md", "zh/readme.html", "zh").short = "braid 是什么"
  group = add_group("zh", "文档的十节")
  for _, file in ipairs(files "ls docs/zh/*.md 2>/dev/null") do
    add_guide(group, file, ("zh/%s.html"):format(file:match "([^/]+)%.md$"), "zh")
  end
  group = add_group("zh", "参考 (英文)")
  for _, chapter in ipairs(groups.en[#groups.en].pages) do table.insert(group.pages, chapter) end
end

local function add_tree_files()
  local group = add_group("en", "The project")
  for _, file in ipairs(TREE_FILES) do
    add_guide(group, file, ("project/%s.html"):format(file:gsub("%.md$", ""):gsub("/", "-"):lower()), "en")
  end
end

add_guides()
add_examples()
add_tree_files()
add_reference()
add_chinese()

-- ---- names and links -----------------------------------------------------------------------------------------------

local addresses = {} -- a public name, or "queue:put" -> the address of its section
for _, page in ipairs(pages) do
  for name, anchor in pairs(page.chapter and reference.names(page.chapter) or {}) do
    addresses[name] = addresses[name] or page.path .. "#" .. anchor
  end
end

local function base_of(page) return ("../"):rep(select(2, page.path:gsub("/", ""))) end

-- "braid.spawn(fn)" in code; also "http.get" and "queue:put(v)".
local function address_of(page, text)
  local name = text:match "^[%a_][%w_.:]*"
  local address = name and (addresses[name] or addresses["braid." .. name])
  return address and base_of(page) .. address
end

-- "docs/../examples/fetch.lua" is "examples/fetch.lua".
local function normal(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then table.remove(parts) elseif part ~= "." then parts[#parts + 1] = part end
  end
  return table.concat(parts, "/")
end

local function link(page, target)
  if target:find "^%a+:" or target:find "^#" then return target end
  local path, anchor = target:match "^([^#]*)(#?.*)$"
  local source = normal((page.source or ""):gsub("[^/]*$", "") .. path)
  local other = by_source[source] or by_source[source .. "/README.md"]
  if other then return base_of(page) .. other.path .. anchor end
  if not read(source) and #files("ls -d '" .. source .. "' 2>/dev/null") == 0 then
    complain("%s: the link %s leads nowhere", page.source or page.path, target)
  end
  return "#"
end

-- ---- the text of the pages -----------------------------------------------------------------------------------------

local function plain(text)
  return (text:gsub("```.-```", " "):gsub("[`*#|]", ""):gsub("%[([^%]]*)%]%([^)]*%)", "%1"):gsub("%s+", " "))
end

-- The index of a guide: a line for each of its sections.
local function index_guide(page)
  local title, anchor, text = page.title, "", {}
  local function finish()
    local said = plain(table.concat(text, "\n")):sub(1, 600)
    search[#search + 1] = { title, page.path .. anchor, page.title, said }
    text = {}
  end
  for line in (page.text .. "\n"):gmatch "([^\n]*)\n" do
    local heading = line:match "^##+%s+(.+)$"
    if heading then
      finish()
      title, anchor = heading:gsub("`", ""), "#" .. markdown.anchor(heading)
    else
      text[#text + 1] = line
    end
  end
  finish()
end

local function brief(text)
  local line = plain(text)
  return line:match "^(.-[.:]) " or line
end

-- The first sentence of a guide's text: of its first paragraph that is neither code nor a table.
local function first_sentence(text)
  for paragraph in (text:gsub("```.-\n```", "") .. "\n\n"):gmatch "(.-)\n\n+" do
    local line = plain(paragraph)
    if not paragraph:find "^%s*[#|<-]" and line:find "%S" then
      return line:match "^.-。" or line:match "^(.-%.) " or line
    end
  end
  return ""
end

local function context(page)
  return {
    name = function(text) return address_of(page, text) end,
    link = function(target) return link(page, target) end,
    heading = function(level, text, anchor)
      if level > 1 then table.insert(page.headings, { level = level, text = text, anchor = anchor }) end
    end,
    entry = function(title, anchor, text)
      search[#search + 1] = { title, page.path .. "#" .. anchor, page.title, brief(text) }
    end,
  }
end

local function write_body(page)
  local to = context(page)
  if page.chapter then
    page.body = reference.html(page.chapter, to)
  elseif page.code then
    page.body = ('<h1>%s</h1>\n<pre class="lua"><code>%s</code></pre>'):format(page.title,
      highlight.lua(page.code, to.name))
    search[#search + 1] = { page.title, page.path, "Examples", plain(page.code):sub(1, 300) }
  else
    page.body = markdown.html(page.text, to)
    index_guide(page)
  end
end

-- ---- the first pages -----------------------------------------------------------------------------------------------

local function cards(group)
  local out = { ("<h2>%s</h2>\n<ul class=\"cards\">"):format(markdown.escape(group.title)) }
  for _, page in ipairs(group.pages) do
    local said = page.chapter and page.summary or page.text and first_sentence(page.text) or ""
    out[#out + 1] = ('<li><a href="%s"><b>%s</b><span>%s</span></a></li>'):format(page.path, markdown.escape(
      page.short or page.title), markdown.escape(said))
  end
  out[#out + 1] = "</ul>"
  return table.concat(out, "\n")
end

local FIRST = {
  en = { path = "index.html", title = "braid: the manual", text = [[
# braid: the manual

braid lets a Lua 5.4 program do many things at once: tasks on one event loop, threads, processes, HTTP, databases, and
parallel kernels, behind one interface without `async` or `await`. Begin with [tasks](docs/tasks.md); press <kbd>/</kbd>
to search.

```lua
local braid = require "braid"

braid.run(function()
  local pages = braid.map(function(url)
    return assert(braid.http.get(url)).body
  end, { "https://example.com", "https://example.org" })
  print(#pages[1], #pages[2])
end)
```
]] },
  zh = { path = "zh/index.html", title = "braid 手册", text = [[
# braid 手册

braid 让一个 Lua 5.4 程序同时做许多事: 任务、线程、进程、HTTP、数据库和并行计算, 一个接口, 不需要 `async` 和 `await`。
先读[入门](README.zh-CN.md); 按 <kbd>/</kbd> 搜索。下面的十节对应教程文档的十节。
]] },
}

local function write_first(lang)
  local page = add_page(nil, { path = FIRST[lang].path, lang = lang, title = FIRST[lang].title, source = "index" })
  page.other = lang == "en" and "zh/index.html" or "index.html"
  local out = { (markdown.html(FIRST[lang].text, context(page)):gsub("&lt;(/?kbd)&gt;", "<%1>")) }
  for _, group in ipairs(groups[lang]) do out[#out + 1] = cards(group) end
  page.body = table.concat(out, "\n"):gsub('href="zh/', lang == "zh" and 'href="' or 'href="zh/')
  if lang == "zh" then page.body = page.body:gsub('href="reference/', 'href="../reference/') end
  page.headings = {}
end

local function write_index()
  local out = {}
  for i, entry in ipairs(search) do
    local words = {}
    for n, text in ipairs(entry) do words[n] = ("%q"):format(text):gsub("\\\n", " "):gsub("\\(%d+)", " ") end
    out[i] = "[" .. table.concat(words, ",") .. "]"
  end
  write("index.js", "var INDEX = [\n" .. table.concat(out, ",\n") .. "\n];\n")
end

for _, page in ipairs(pages) do
  if not page.body then write_body(page) end
end
write_first "en"
write_first "zh"
for _, list in pairs(groups) do
  local before
  for _, group in ipairs(list) do
    for _, page in ipairs(group.pages) do
      if page.lang == (list == groups.zh and "zh" or "en") then
        if before then before.after, page.before = page, before end
        before = page
      end
    end
  end
end

local version = require("braid")._VERSION:match "[%d.]+"
assert(os.execute(("mkdir -p '%s/guides' '%s/examples' '%s/reference' '%s/project' '%s/zh'"):format(folder, folder,
  folder, folder, folder)))
for _, page in ipairs(pages) do write(page.path, frame.html(page, groups[page.lang], version)) end
for _, name in ipairs { "style.css", "search.js" } do write(name, read("tools/site/" .. name)) end
write_index()

for _, lack in ipairs(manual.lacking) do complain("%s", lack) end
print(("site: %d pages, %d entries to search, %d problems"):format(#pages, #search, problems))
os.exit(problems == 0)
