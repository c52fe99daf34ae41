-- SPDX-License-Identifier: MIT
-- The manual, from the LuaCATS comments that the language server reads: a page of Markdown for each chapter with every
-- public function, class, method and field, by the name that a program uses. What has no comment is named: an error.
-- usage: lua tools/manual.lua FOLDER      (in the root of the tree, with the tree's paths)
local braid = require "braid"
local core = require "braid.core"
local comments = require "tools.comments"

local CHAPTERS = {
  { "tasks", "Tasks, futures and scopes", "tasks.task", "tasks.future", "tasks.scope", "tasks.gather", "tasks.every" },
  { "shared", "Shared objects", "sync.queue", "sync.primitives", "sync.dict", "sync.array",
    "sync.view", "sync.npy",
    "sync.resource_pool",
    "sync.limiter" },
  { "pools", "Pools", "pools.executor", "pools.pool", "pools.inline", "pools.task_pool", "pools.thread_pool",
    "pools.process_pool", "supervision.supervisor" },
  { "io", "Programs, sockets, descriptors, signals", "io.process", "io.net", "io.udp", "io.stream", "io.descriptor",
    "io.signals" },
  { "files", "Files and folders", "file", "file.handle", "file.watch" },
  { "http", "HTTP client", "http", "http.request", "http.response", "http.session", "http.download", "http.retry",
    "http.multipart", "http.attempt", "http.events", "http.event_parser" },
  { "telemetry", "Spans and metrics", "telemetry", "telemetry.exporter", "telemetry.metrics" },
  { "websocket", "WebSocket", "websocket", "websocket.connection" },
  { "web", "Web server", "web", "web.app", "web.routes", "web.request", "web.response", "web.schema", "web.multipart",
    "web.cookies", "web.sessions", "web.compress", "web.cors", "web.limiter", "web.proxies", "web.options",
    "web.server", "web.supervisor", "web.headers", "web.websocket", "web.test_client" },
  { "databases", "Databases", "redis", "redis.client", "redis.pipeline", "redis.transaction", "redis.subscription",
    "redis.stream_reader",
    "postgres", "postgres.session", "postgres.connection", "postgres.transaction", "postgres.pool", "postgres.rows",
    "postgres.copies", "postgres.listener", "sqlite", "sqlite.connection", "sqlite.rows" },
  { "cluster", "Many machines", "cluster", "cluster.pool" },
  { "json", "JSON", "json" },
  { "kernels", "Kernels", "kernels", "kernels.numbers", "kernels.vectors", "kernels.random", "kernels.selection",
    "kernels.groups", "kernels.series", "kernels.matrices", "kernels.comparisons", "kernels.linear", "kernels.csv",
    "kernels.compile.kernel" },
  { "advice", "Advice, experiments, progress", "advice", "advice.advice", "advice.profile", "advice.estimate",
    "advice.pilot", "advice.calibration", "experiments", "experiments.report", "experiments.machine",
    "experiments.statistics", "progress" },
  { "testing", "Tests of concurrent code", "testing", "testing.clock", "testing.trace", "testing.leaks" },
  { "errors", "Errors, dump and trace", "errors", "debug.dump", "debug.deadlocks", "debug.trace" },
}

local function file_of(module)
  local path = "lua/braid/" .. module:gsub("%.", "/")
  local file = io.open(path .. ".lua")
  if not file then return path .. "/init.lua" end
  file:close()
  return path .. ".lua"
end

-- ---- what is public -------------------------------------------------------------------------------------------------

local PARTS = { "http", "web", "json", "process", "net", "redis", "file", "websocket", "postgres", "sqlite",
  "testing" }
local CLASSES = { "Task", "Scope", "Queue", "Lock", "Semaphore", "Event", "Condition", "Barrier", "Counter", "Dict",
  "Array" }

-- The names that the face of braid has: see lua/braid/init.lua.
local function homes()
  local face = getmetatable(braid).__index
  for i = 1, debug.getinfo(face, "u").nups do
    local name, value = debug.getupvalue(face, i)
    if name == "home" then return value end
  end
end

-- value -> the name under which a program has it; and the names, of which one may be missing in the manual.
local function public_functions()
  local names, list = {}, {}
  local function add(name, value)
    if type(value) ~= "function" then return end
    names[value] = name
    list[#list + 1] = name
  end
  for name in pairs(homes()) do add("braid." .. name, braid[name]) end
  for _, part in ipairs(PARTS) do
    for name, value in pairs(braid[part]) do add(("braid.%s.%s"):format(part, name), value) end
  end
  for _, part in ipairs { "numbers", "vectors", "random", "selection", "groups", "series", "comparisons", "linear" } do
    for name, value in pairs(require("braid.kernels." .. part)) do add("braid.kernels." .. name, value) end
  end
  return names, list
end

-- "queue:put", of classes that C code has, which no file shows.
local function public_methods()
  local list = {}
  for _, class in ipairs(CLASSES) do
    for name, value in pairs(core[class]) do
      if type(value) == "function" and not name:find "^_" then list[#list + 1] = "braid." .. class .. ":" .. name end
    end
  end
  return list
end

-- ---- pages ----------------------------------------------------------------------------------------------------------

-- "task_pool" for braid.TaskPool: what a variable of that class is called.
local function variable(class)
  return (class:match("[^.]+$"):gsub("(%l)(%u)", "%1_%2"):lower())
end

local function signature(name, item)
  local words = {}
  for i, parameter in ipairs(item.parameters) do
    words[i] = parameter.optional and parameter.name .. "?" or parameter.name
  end
  return ("%s(%s)"):format(name, table.concat(words, ", "))
end

local function described(entry)
  local text = entry.name and ("`%s` "):format(entry.name) or ""
  text = ("%s(`%s`)"):format(text, entry.type)
  return entry.text ~= "" and text .. ": " .. entry.text or text
end

local function write_item(out, name, item)
  local function say(...) out[#out + 1] = table.concat { ... } end
  say("### `", signature(name, item), "`\n")
  if item.text ~= "" then say(item.text, "\n") end
  for _, parameter in ipairs(item.parameters) do say("- ", described(parameter)) end
  for i, result in ipairs(item.results) do say("- ", i == 1 and "returns " or "and ", described(result)) end
  if #item.parameters + #item.results > 0 then say("") end
end

local function write_class(out, class)
  local function say(...) out[#out + 1] = table.concat { ... } end
  say("## ", class.name, "\n")
  if class.text ~= "" then say(class.text, "\n") end
  if class.parent then say("Has all that ", class.parent, " has, and:\n") end
  for _, field in ipairs(class.fields) do
    if not field.name:find "^_" then say("- ", described(field)) end
  end
  if #class.fields > 0 then say("") end
  for _, item in ipairs(class.items) do write_item(out, variable(class.name) .. ":" .. item.name, item) end
end

-- ---- what was told, and is lacking ----------------------------------------------------------------------------------

local folder = arg[1]
local names, wanted = public_functions()
local told, lacking, index = {}, 0, { "# braid: the manual\n" }

local function lacks(format, ...)
  lacking = lacking + 1
  print("manual: " .. format:format(...))
end

local function write_page(file, lines)
  local handle <close> = assert(io.open(folder .. "/" .. file .. ".md", "w"))
  assert(handle:write(table.concat(lines, "\n"), "\n"))
end

local function tell(name, item, where)
  told[name] = true
  if item.text == "" and #item.results == 0 then lacks("%s: %s is not explained", where, name) end
end

-- ---- the classes that a program meets -------------------------------------------------------------------------------

local modules, classes = {}, {} -- module -> what its file says; name -> class

for _, chapter in ipairs(CHAPTERS) do
  for i = 3, #chapter do
    local found = comments.read(file_of(chapter[i]))
    modules[chapter[i]] = found
    for _, class in ipairs(found.classes) do classes[class.name] = class end
  end
end

local function reach(text)
  for name in text:gmatch "braid%.[%w_.]+" do
    local class = classes[name]
    if class and not class.public then
      class.public = true
      reach(class.parent or "")
      for _, field in ipairs(class.fields) do
        if not field.name:find "^_" then reach(field.type) end
      end
      for _, item in ipairs(class.items) do reach(item.types) end
    end
  end
end

local function name_of(item, loaded) return type(loaded) == "table" and names[loaded[item.name]] end

for module, found in pairs(modules) do
  local loaded = require("braid." .. module)
  for _, item in ipairs(found.items) do
    if name_of(item, loaded) then reach(item.types) end
  end
end
reach "braid.Executor braid.Error"

-- ---- all pages ------------------------------------------------------------------------------------------------------

-- A module's functions and classes, at the end of the page; their names go into the list.
local function add_module(out, module, list)
  local file, found, loaded = file_of(module), modules[module], require("braid." .. module)
  if found.text ~= "" then out[#out + 1] = (#out > 1 and "---\n\n" or "") .. found.text .. "\n" end
  for _, item in ipairs(found.items) do
    local name = name_of(item, loaded)
    if name and not told[name] then
      write_item(out, name, item)
      tell(name, item, file)
      list[#list + 1] = name
    end
  end
  for _, class in ipairs(found.classes) do
    if class.public then
      write_class(out, class)
      list[#list + 1] = class.name
      for _, item in ipairs(class.items) do tell(class.name .. ":" .. item.name, item, file) end
    end
  end
end

for _, chapter in ipairs(CHAPTERS) do
  local page, title = chapter[1], chapter[2]
  local out, list = { "# " .. title .. "\n" }, {}
  for i = 3, #chapter do add_module(out, chapter[i], list) end
  if #list == 0 then lacks("the page %s is empty", page) end
  write_page(page, out)
  index[#index + 1] = ("- [%s](%s.md): `%s`"):format(title, page, table.concat(list, "`, `"))
end
write_page("index", index)

for _, name in ipairs(wanted) do
  if not told[name] then lacks("%s has no comment", name) end
end
for _, name in ipairs(public_methods()) do
  local plain = name:gsub("Task:", "Future:")
  local inherited = name:gsub("Semaphore:", "Lock:"):gsub("Condition:", "Lock:")
  if not (told[name] or told[plain] or told[inherited]) then lacks("%s has no comment", name) end
end
print(("manual: %d chapters, %d names lack a comment"):format(#CHAPTERS, lacking))
os.exit(lacking == 0)
