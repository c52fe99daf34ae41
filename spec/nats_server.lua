-- SPDX-License-Identifier: MIT
-- nats-servers with JetStream of the spec's own, on ports that the system chooses, with stores in temporary folders.
-- Without a nats-server the tests are pending. Also workers.
local braid = require "braid"
local busted = require "busted"
local helper = require "spec.helper"

local M = {}

-- They end with the process of the spec, also where it is killed.
local function leashed(argv) return table.move(argv, 1, #argv, 4, { "setpriv", "--pdeathsig", "KILL" }) end

local function program()
  for _, name in ipairs { "nats-server", "/usr/sbin/nats-server" } do
    if braid.process.run({ name, "--version" }) then return name end
  end
end

local there

--- Whether there is one on this machine, and braid has the module for it.
---@return boolean
function M.is_there()
  if there == nil then there = pcall(require, "braid.cluster_core") and program() ~= nil end
  return there
end

--- A test that needs a server; it is pending where there is none.
---@param name string
---@param fn fun()
---@param opts { deadline: number?, unfit: string|false|nil }? deadline: default 60 s; unfit: why not here
function M.test(name, fn, opts)
  local unfit = not M.is_there() and "there is no nats-server here, or no libnats" or opts and opts.unfit
  if unfit then return busted.describe(name, function() busted.pending(unfit) end) end
  helper.test(name, fn, { deadline = opts and opts.deadline or 60 })
end

--- A free port.
function M.port()
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0))
  return listener.port
end

local function answers(port)
  local stream = braid.net.connect("127.0.0.1", port)
  if not stream then return false end
  local line = stream:read("l", 1)
  stream:close()
  return line ~= nil and line:find("^INFO ") ~= nil
end

---@class spec.NatsServer
---@field url string
---@field process braid.Process
---@field folder string
local Server = {}
Server.__index = Server

function Server:start()
  self.process = assert(braid.process.start(self.argv, { stdout = "null", stderr = "null", stdin = "null" }))
  braid.timeout(10 * helper.slowness, function()
    while not answers(self.port) do braid.sleep(0.02) end
  end)
end

function Server:kill(signal) self.process:kill(signal or "KILL") end

function Server:stop()
  self.process:kill("CONT")
  self.process:kill("KILL")
  self.process:wait(5)
end

function Server:remove()
  self:stop()
  os.execute("rm -rf '" .. self.folder .. "'")
end

Server.__close = Server.remove

--- Starts a server. `words`: further arguments.
---@param words string[]?
---@param port integer?
---@param folder string? of its store; default: a temporary one
---@return spec.NatsServer
function M.start(words, port, folder)
  if not folder then
    folder = os.tmpname()
    os.remove(folder)
  end
  port = port or M.port()
  local self = setmetatable({ folder = folder, port = port, url = "nats://127.0.0.1:" .. port }, Server)
  self.argv = { program(), "-a", "127.0.0.1", "-p", tostring(port), "-js", "-sd", folder }
  table.move(words or {}, 1, #(words or {}), #self.argv + 1, self.argv)
  self.argv = leashed(self.argv)
  self:start()
  return self
end

--- Starts a cluster of three servers. Returns the list, whose field `url` names all of them.
---@param folders table<integer, string>? of their stores
function M.start_three(folders)
  local ports, routes, list = {}, {}, {}
  for i = 1, 6 do ports[i] = M.port() end
  for i = 4, 6 do routes[#routes + 1] = "nats://127.0.0.1:" .. ports[i] end
  for i = 1, 3 do
    list[i] = M.start({
      "-n", "s" .. i, "-cluster_name", "spec", "-cluster", "nats://127.0.0.1:" .. ports[i + 3],
      "-routes", table.concat(routes, ","),
    }, ports[i], folders and folders[i])
  end
  list.url = table.concat({ list[1].url, list[2].url, list[3].url }, ",")
  return setmetatable(list, { __close = function() for i = 1, 3 do list[i]:remove() end end })
end

--- Starts `braid worker` and waits until it serves. opts: pool, workers, words (further arguments), secret (a file).
---@param url string
---@param opts table?
---@return braid.Process
function M.worker(url, opts)
  opts = opts or {}
  local argv = { helper.lua, "bin/braid", "worker", "--cluster", url, "--workers", tostring(opts.workers or 2) }
  local words = opts.words or {}
  if opts.pool then table.move({ "--pool", opts.pool }, 1, 2, #argv + 1, argv) end
  if opts.secret then table.move({ "--secret-file", opts.secret }, 1, 2, #argv + 1, argv)
  else argv[#argv + 1] = "--insecure" end
  table.move(words, 1, #words, #argv + 1, argv)
  local worker = assert(braid.process.start(leashed(argv), { stdin = "null", stderr = opts.stderr }))
  local line = worker:read("l", 15 * helper.slowness)
  assert(line and line:find("^braid worker "), "the worker did not start: " .. tostring(line))
  return worker
end

--- A test function: fn(cluster, worker, server), while a server and a worker run.
---@param fn fun(cluster: table, worker: braid.Process, server: spec.NatsServer)
---@param opts table? of `worker`; `cluster`: further options of braid.cluster
function M.with(fn, opts)
  return function()
    helper.run(function()
      local server <close> = M.start()
      local worker <close> = M.worker(server.url, opts)
      local options = { servers = server.url, insecure = true }
      for name, value in pairs(opts and opts.cluster or {}) do options[name] = value end
      local cluster <close> = braid.cluster(options)
      fn(cluster, worker, server)
    end)
  end
end

return M
