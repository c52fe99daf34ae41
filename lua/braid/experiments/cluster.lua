-- SPDX-License-Identifier: MIT
-- The model "cluster": a cluster that the caller has, or one that is opened with the caller's options and closed after
-- the measurements. The module of clusters is loaded only when one is named.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local PATIENCE = 5 -- seconds until some worker has run a job that does nothing

local function nothing() end

local function is_cluster(given)
  local meta = getmetatable(given)
  return type(meta) == "table" and meta.__name == "braid.cluster"
end

---Checks the option 'cluster'.
---@param what string the function, for messages
---@param given any
function M.check(what, given)
  if given == nil or is_cluster(given) then return end
  if type(given) ~= "table" or getmetatable(given) then
    errors.misuse(3, "bad option 'cluster' to '%s' (a cluster or the options of braid.cluster expected, got %s)", what,
      errors.described(given))
  end
end

---The cluster that is named, for a `<close>` variable: what was opened here is closed with it. Suspends.
---@param given table|nil
---@return { cluster: braid.cluster.Cluster? }
function M.hold(given)
  if given == nil or is_cluster(given) then return setmetatable({ cluster = given }, { __close = nothing }) end
  local opened = require "braid.cluster".cluster(given)
  return setmetatable({ cluster = opened }, { __close = function() opened:close() end })
end

---A pool of the cluster in which a job has run, and the slots of all its workers. Raises kind "timeout" when there is
---no worker. Suspends.
---@param cluster braid.cluster.Cluster
---@return braid.ClusterPool pool
---@return integer slots
function M.open(cluster)
  local pool = cluster:pool()
  local first = pool:submit(nothing)
  if first:wait(PATIENCE) then
    first:result()
    return pool, cluster.home:slots()
  end
  first:cancel()
  pool:close()
  core.rethrow(errors.new("timeout", ("the cluster %q has no worker that takes a job: start `braid worker`"):format(
    cluster.name)))
end

return M
