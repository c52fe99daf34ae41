-- SPDX-License-Identifier: MIT
-- The cluster that jobs on a worker belong to: its shared objects arrive by name, and are used on a connection of the
-- state's own, which is made when it is first needed.
local cluster_of = require "braid.cluster"
local objects = require "braid.cluster.objects"

local M = {}

---The init of the worker's pools.
---@param settings table of the worker's cluster
function M.prepare(settings)
  local own
  function objects.own()
    if not own or own.closed or own.link.closed then own = cluster_of.open(settings) end
    return own
  end
end

return M
