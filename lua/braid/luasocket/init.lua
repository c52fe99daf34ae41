-- SPDX-License-Identifier: MIT
--- LuaSocket's interface over braid: unchanged libraries that use it suspend their task instead of the whole thread.

local M = {}

-- What `require` gives after install: name -> our module.
local MODULES = {
  socket = "braid.luasocket.socket",
  ["socket.core"] = "braid.luasocket.socket",
  ["socket.unix"] = "braid.luasocket.unix",
}

-- Modules of LuaSocket and LuaSec that are written in Lua. Those that were loaded before keep the old socket; so they
-- are loaded again.
local ON_TOP = {
  "socket.http", "socket.smtp", "socket.ftp", "socket.tp", "socket.headers", "ssl.https",
}

local replaced -- name -> { loaded, preload }; nil: not installed

local function replace(name, loaded, preload)
  replaced[name] = { package.loaded[name], package.preload[name] }
  package.loaded[name], package.preload[name] = loaded, preload
end

---Makes `require "socket"` and its kin give modules that behave as those of LuaSocket 3.1, and `require "ssl"` one that
---behaves as LuaSec 1.2, but they suspend the task where they would block. Libraries must be loaded after it.
---Workers of pools get the modules, too. Once installed, it does nothing more. Does not suspend.
---@return table<string, any> replaced the modules that were loaded before, by name
function M.install()
  if not replaced then
    replaced = {}
    for name, ours in pairs(MODULES) do
      replace(name, require(ours), function() return require(ours) end)
    end
    replace("ssl", nil, function() return require "braid.luasocket.ssl" end) -- it loads OpenSSL: only when it is used
    for _, name in ipairs(ON_TOP) do replace(name, nil, package.preload[name]) end
  end
  local before = {}
  for name, old in pairs(replaced) do before[name] = old[1] end
  return before
end

---Undoes install: `require` gives what it gave before. Libraries that were loaded meanwhile keep what they have.
---Does not suspend.
function M.uninstall()
  for name, old in pairs(replaced or {}) do package.loaded[name], package.preload[name] = old[1], old[2] end
  replaced = nil
end

return M
