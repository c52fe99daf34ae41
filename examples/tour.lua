-- SPDX-License-Identifier: MIT
--- What the examples share: their options, the document's words, and the servers that they start by themselves.

local braid = require "braid"

local tour = {}

local here = arg[0]:match "^(.*[/\\])" or "./"

-- The document's lines, and the same in English.
local words = {
  zh = {
    serial = "串行耗时 %.2fs, 结果 [%s]",
    threads = "多线程耗时 %.2fs, 结果 [%s]",
    tasks = "协程耗时 %.2fs, 结果 [%s]",
    serial_time = "串行耗时 %.2fs",
    threads_time = "多线程耗时 %.2fs",
    processes = "多进程耗时 %.2fs, 结果 [%s]",
    processes_time = "多进程耗时 %.2fs",
    tasks_time = "协程耗时 %.2fs",
    produced = "生产 %d",
    consumed = " [%s] 消费 %d",
    requests = "完成 %d 个请求",
  },
  en = {
    serial = "serial: %.2fs, results [%s]",
    threads = "threads: %.2fs, results [%s]",
    tasks = "tasks: %.2fs, results [%s]",
    serial_time = "serial: %.2fs",
    threads_time = "threads: %.2fs",
    processes = "processes: %.2fs, results [%s]",
    processes_time = "processes: %.2fs",
    tasks_time = "tasks: %.2fs",
    produced = "produced %d",
    consumed = " [%s] consumed %d",
    requests = "%d requests done",
  },
}

--- Reads `--name value` options, and `--name` where the default is false; `known` has the names with their defaults.
--- `--lang` is always known.
function tour.options(known)
  local options = { lang = "zh" }
  for name, default in pairs(known) do options[name] = default end
  local i = 1
  while i <= #arg do
    local name = arg[i]:match "^%-%-(.+)$"
    local key = name and name:gsub("-", "_")
    local flag = key and known[key] == false
    if not key or (known[key] == nil and key ~= "lang") or not (flag or arg[i + 1]) then
      io.stderr:write(("usage: %s [--lang zh|en]"):format(arg[0]))
      for option, default in pairs(known) do
        io.stderr:write((" [--%s%s]"):format(option:gsub("_", "-"), default and " " .. option:upper() or ""))
      end
      io.stderr:write "\n"
      os.exit(2)
    end
    local value = flag or arg[i + 1]
    if type(known[key]) == "number" then value = tonumber(value) end
    options[key] = value
    i = i + (flag and 1 or 2)
  end
  tour.words = words[options.lang] or words.en
  return options
end

--- Prints one of the document's lines.
function tour.say(line, ...)
  print(tour.words[line]:format(...))
end

local function interpreter()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

local Server = {}
Server.__index = Server

function Server:__close()
  if self.process then
    self.process:kill()
    self.process:wait()
  end
end

--- The delay server: a real one at `base_url` when that is given, else one of our own in a process of its own, for a
--- `<close>` variable. `url` is where it is.
function tour.server(base_url)
  if base_url and base_url ~= "" then return setmetatable({ url = base_url:gsub("/$", "") }, Server) end
  local process = assert(braid.process.start { interpreter(), here .. "delay_server.lua", "--port", "0" })
  local line = assert(process:read("l", 10))
  return setmetatable({ process = process, url = "http://" .. line:match "(%S+)$" }, Server)
end

-- ---- a cluster of one machine ---------------------------------------------------------------------------------------

local Farm = {}
Farm.__index = Farm

--- Starts a worker with so many slots. Returns its process.
function Farm:worker(id, slots)
  local worker = assert(braid.process.start({
    interpreter(), here .. "../bin/braid", "worker", "--cluster", self.url, "--insecure", "--workers", tostring(slots),
    "--id", id,
  }, { stdin = "null" }))
  self.workers[#self.workers + 1] = worker
  print((worker:read("l")))
  return worker
end

function Farm:__close()
  for _, worker in ipairs(self.workers) do
    worker:kill("TERM") -- it would end what it has begun, and give back the rest
    worker:wait(5)
  end
  self.server:kill("KILL")
  self.server:wait(5)
  os.execute(("rm -rf '%s'"):format(self.folder))
end

--- Starts a NATS server with JetStream, for a `<close>` variable; `url` is where it is. Returns nil and a sentence when
--- it cannot.
function tour.farm()
  if not pcall(require, "braid.cluster_core") then
    return nil, "A cluster needs libnats (Debian: apt-get install libnats-dev, then build braid again)."
  end
  local folder = os.tmpname()
  os.remove(folder)
  for _, program in ipairs { "nats-server", "/usr/sbin/nats-server" } do
    local listener = assert(braid.net.listen("127.0.0.1", 0))
    local port = listener.port
    listener:close()
    local server = braid.process.start({ program, "-a", "127.0.0.1", "-p", tostring(port), "-js", "-sd", folder },
      { stdout = "null", stderr = "null", stdin = "null" })
    if server then
      return setmetatable({ server = server, folder = folder, workers = {}, url = "nats://127.0.0.1:" .. port }, Farm)
    end
  end
  return nil, "A cluster needs nats-server (Debian: apt-get install nats-server)."
end

return tour
