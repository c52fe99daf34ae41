-- SPDX-License-Identifier: MIT
--- braid worker ...: runs jobs of a cluster on this machine.

local braid = require "braid"
local connection = require "braid.command.connection"
local options = require "braid.command.options"

local M = { summary = "run jobs of a cluster on this machine" }

M.usage = [[
usage: braid worker [OPTION ...]

Takes jobs of the cluster's pools and runs them in a pool of this machine. SIGTERM and SIGINT let it finish what has
begun, and give the rest back; a second one ends it at once.

]] .. connection.USAGE .. [[
  --pool KIND          threads (default) or processes
  --workers N          jobs at once (default: the usable cores)
  --tag KEY=VALUE      what this worker has, for pools that require it; may be given several times
  --id ID              the worker's name (default: host, pid and a few digits)
]]

M.options = { pool = "string", workers = "integer", id = "string" }
for name, kind in pairs(connection.KNOWN) do M.options[name] = kind end

local function tags_of(texts)
  local tags = {}
  for _, text in ipairs(texts) do
    local key, value = text:match("^([%w_.-]+)=(.*)$")
    if not key then options.refuse("--tag: KEY=VALUE expected, got %q", text) end
    tags[key] = value
  end
  return tags
end

local function serve(settings, opts)
  local signals <close> = braid.signals("TERM", "INT")
  local worker = require "braid.cluster.worker".start(settings, opts)
  print(("braid worker %s: %d %s, cluster %q at %s"):format(worker.id, opts.slots, opts.kind, settings.cluster,
    worker:server()))
  io.stdout:flush()
  local function leave_when(wait, ...)
    return braid.spawn(function(...)
      io.stderr:write(("braid worker: %s\n"):format(wait(...)))
      os.exit(1)
    end, ...):daemon()
  end
  local lost = leave_when(worker.lost, worker)
  signals:get()
  local second = leave_when(function() return signals:get() and "ended at once" end)
  worker:drain()
  worker:close()
  second:cancel()
  lost:cancel()
end

function M.main(words)
  local tags, others = connection.gather(words, "--tag")
  local given, rest = options.read(others, M.options)
  if rest[1] then options.refuse("worker: no arguments expected, got %q", rest[1]) end
  local kind = given.pool or "threads"
  if kind ~= "threads" and kind ~= "processes" then
    options.refuse("--pool: threads or processes expected, got %q", kind)
  end
  local slots = given.workers or braid.cpu_count()
  if slots < 1 or slots > 4096 then options.refuse("--workers: an integer from 1 to 4096 expected, got %d", slots) end
  local id = given.id
  if id and not id:find("^[%w_.-]+$") then options.refuse("--id: letters, digits, _ . - expected, got %q", id) end
  local settings = connection.settings(given)
  braid.run(serve, settings, { id = id, kind = kind, slots = slots, tags = tags_of(tags) })
  return 0
end

return M
