-- SPDX-License-Identifier: MIT
-- What the LuaCATS comments say of every public function, class, method and field, by the name that a program uses, in
-- chapters; and what has no comment. The site and the editor's file are made of it. Needs the built tree.
local braid = require "braid"
local core = require "braid.core"
local comments = require "tools.comments"

local CHAPTERS = {
  { "tasks", "Tasks, futures and scopes", "tasks.task", "tasks.future", "tasks.scope", "tasks.gather", "tasks.every" },
  { "shared", "Shared objects", "sync.queue", "sync.primitives", "sync.dict", "sync.array",
    "sync.view", "sync.npy", "sync.mapping",
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
  { "cluster", "Many machines", "cluster", "cluster.pool", "cluster.queue", "cluster.dict", "cluster.flags",
    "cluster.lease" },
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

local function kernel_modules()
  local list = {}
  for _, chapter in ipairs(CHAPTERS) do
    for i = 3, #chapter do
      if chapter[i]:find "^kernels%." then list[#list + 1] = require("braid." .. chapter[i]) end
    end
  end
  return list
end

-- Functions of kernels by their names. Some are wrapped for arrays of two dimensions: then the module's own stands for
-- it, unless another module has the very function.
local function add_kernels(add)
  local known = {}
  for _, is_exact in ipairs { true, false } do
    for _, module in ipairs(kernel_modules()) do
      for name, value in pairs(module) do
        local public = rawequal(braid.kernels[name], value) or not is_exact and braid.kernels[name] ~= nil
        if public and not known[name] then
          known[name] = true
          add("braid.kernels." .. name, value)
        end
      end
    end
  end
end

-- value -> the name under which a program has it; and the names, of which one may be missing in the manual.
local function public_functions()
  local names, list = {}, {}
  local function add(name, value)
    if type(value) ~= "function" and not (getmetatable(value) or {}).__call then return end
    names[value] = name
    list[#list + 1] = name
  end
  for name in pairs(braid) do add("braid." .. name, braid[name]) end
  for _, part in ipairs(PARTS) do
    for name, value in pairs(braid[part]) do add(("braid.%s.%s"):format(part, name), value) end
  end
  for name, value in pairs(braid.array) do add("braid.array." .. name, value) end
  add_kernels(add)
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

-- "task_pool" for braid.TaskPool: what a variable of that class is called.
local function variable(class)
  return (class:match("[^.]+$"):gsub("(%l)(%u)", "%1_%2"):lower())
end

-- ---- what was told, and is lacking ----------------------------------------------------------------------------------

local names, wanted = public_functions()
local told, lacking = {}, {}

local function lacks(format, ...) lacking[#lacking + 1] = format:format(...) end

local function suspends(item)
  local text = item.text
  for _, result in ipairs(item.results) do text = text .. "\n" .. result.text end
  return text:find "[Ss]uspend" ~= nil
end

local function tell(name, item, where)
  told[name] = true
  if item.text == "" and #item.results == 0 then lacks("%s: %s is not explained", where, name) end
  item.suspends = suspends(item)
  for _, parameter in ipairs(item.parameters) do
    if parameter.name == "timeout" and not item.suspends then
      lacks("%s: %s has a timeout, and does not say whether it suspends", where, name)
    end
  end
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

-- ---- the chapters --------------------------------------------------------------------------------------------------

---@class manual.Item: comments.Item
---@field path string "braid.queue", "braid.Queue:put"
---@field shown string as a program writes it: "queue:put"
---@field suspends boolean

-- What a module has for a chapter, at its end.
local function add_module(chapter, module)
  local file, found, loaded = file_of(module), modules[module], require("braid." .. module)
  local section = { module = module, text = found.text, items = {}, classes = {}, aliases = found.aliases }
  for _, item in ipairs(found.items) do
    local name = name_of(item, loaded)
    if name and not told[name] then
      item.path, item.shown = name, name
      tell(name, item, file)
      table.insert(section.items, item)
    end
  end
  for _, class in ipairs(found.classes) do
    if class.public then
      class.variable = variable(class.name)
      table.insert(section.classes, class)
      for _, item in ipairs(class.items) do
        item.path = class.name .. ":" .. item.name
        item.shown = class.variable .. ":" .. item.name
        tell(item.path, item, file)
      end
    end
  end
  table.insert(chapter.sections, section)
  chapter.size = chapter.size + #section.items + #section.classes
end

local M = { chapters = {}, lacking = lacking, names = wanted }

for _, chapter in ipairs(CHAPTERS) do
  local made = { name = chapter[1], title = chapter[2], sections = {}, size = 0 }
  for i = 3, #chapter do add_module(made, chapter[i]) end
  if made.size == 0 then lacks("the page %s is empty", made.name) end
  table.insert(M.chapters, made)
end

for _, name in ipairs(wanted) do
  if not told[name] then lacks("%s has no comment", name) end
end
for _, name in ipairs(public_methods()) do
  local plain = name:gsub("Task:", "Future:")
  local inherited = name:gsub("Semaphore:", "Lock:"):gsub("Condition:", "Lock:")
  if not (told[name] or told[plain] or told[inherited]) then lacks("%s has no comment", name) end
end
table.sort(lacking)

return M
