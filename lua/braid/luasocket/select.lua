-- SPDX-License-Identifier: MIT
-- socket.select: waits for any of several sockets.
local core = require "braid.core"
local object = require "braid.luasocket.object"

local M = { _SETSIZE = 1024 }

-- The objects of a list that have a descriptor, and the descriptors.
local function collect(what, number, list)
  local objects, fds = {}, {}
  if list ~= nil and type(list) ~= "table" then
    object.bad_argument(what, number, ("table expected, got %s"):format(type(list)))
  end
  for _, each in ipairs(list or {}) do
    local get = each.getfd
    local fd = get and math.tointeger(get(each))
    if fd and fd >= 0 then objects[#objects + 1], fds[#fds + 1] = each, fd end
  end
  return objects, fds
end

-- Adds the objects that are ready; both the list and the set of them.
local function add_ready(found, objects, ready, offset)
  for i, each in ipairs(objects) do
    if ready[offset + i] and not found[each] then
      found[#found + 1] = each
      found[each] = #found + 0.0
    end
  end
end

-- Objects that have read more than was asked for are ready at once.
local function add_dirty(found, objects)
  for _, each in ipairs(objects) do
    local dirty = each.dirty
    if dirty and dirty(each) then
      found[#found + 1] = each
      found[each] = #found + 0.0
    end
  end
  return found[1] ~= nil
end

-- Returns the sockets to read and to write that are ready, and "timeout" if there are none. Suspends.
function M.select(readers, writers, timeout)
  local to_read, read_fds = collect("select", 1, readers)
  local to_write, write_fds = collect("select", 2, writers)
  local found, writable = {}, {}
  if timeout ~= nil and type(timeout) ~= "number" then
    object.bad_argument("select", 3, ("number expected, got %s"):format(type(timeout)))
  end
  if add_dirty(found, to_read) then timeout = 0 end
  if timeout and timeout < 0 then timeout = nil end
  local ready = core.socket_select(read_fds, write_fds, timeout)
  add_ready(found, to_read, ready, 0)
  add_ready(writable, to_write, ready, #read_fds)
  if found[1] or writable[1] then return found, writable end
  return found, writable, "timeout"
end

return M
