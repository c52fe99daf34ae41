-- SPDX-License-Identifier: MIT
-- Lua values as bytes that others of the cluster can decode; large ones are in pieces.
local core = require "braid.core"

local pack, unpack = string.pack, string.unpack

local M = {}

local WHOLE, PIECES = "w", "p"

---The bytes of a value. Raises kind "not_sendable". Suspends for what the servers do not have.
---@param cluster braid.cluster.Cluster
---@param what string for errors: "item"
---@param value any
---@return string
function M.encode(cluster, what, value)
  local bytes, boxes = core.freeze(what, value)
  local cargo = cluster.cargo:pack(boxes)
  if not cluster.pieces:is_large(#bytes + #cargo) then return WHOLE .. pack("<s4", cargo) .. bytes end
  return PIECES .. cluster.pieces:put_news(cargo, bytes)
end

---The value. With `once` pieces are dropped. Suspends for what is not here.
---@param cluster braid.cluster.Cluster
---@param text string
---@param once boolean?
---@return any
function M.decode(cluster, text, once)
  local how = text:sub(1, 1)
  if how == PIECES then
    local reference = text:sub(2)
    local cargo, bytes = cluster.pieces[once and "take_news" or "unpack_news"](cluster.pieces, reference)
    return (core.thaw(bytes, cluster.cargo:unpack(cargo)))
  end
  local cargo, at = unpack("<s4", text, 2)
  return (core.thaw(text:sub(at), cluster.cargo:unpack(cargo)))
end

---Drops the pieces of a value that nobody needs any more. Suspends.
---@param cluster braid.cluster.Cluster
---@param text string
function M.drop(cluster, text)
  if text:sub(1, 1) == PIECES then cluster.pieces:drop(text:sub(2)) end
end

return M
