-- SPDX-License-Identifier: MIT
--- A PostgreSQL cluster for a row of the tutorial, in a temporary folder and without a port.

local braid = require "braid"

local M = {}

local function output(command)
  local result = braid.process.run({ "sh", "-c", command })
  return result and result.code == 0 and result.stdout:gsub("%s+$", "") or ""
end

-- The folder of the server's programs; nil if it is not installed.
local function programs()
  local bin = output "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1"
  if bin == "" then bin = output "dirname $(command -v initdb)" end
  return bin ~= "" and bin or nil
end

-- The server refuses root: then it runs as the user of its package, or as nobody.
local function as_user(folder)
  if output "id -u" ~= "0" then return "" end
  local user = output "getent passwd postgres" ~= "" and "postgres" or "nobody"
  output(("chown %s %s"):format(user, folder))
  return ("setpriv --reuid %s --regid $(id -g %s) --clear-groups "):format(user, user)
end

---Runs fn with a conninfo of a new server. Returns false and the reason if there is none on this machine.
---@param fn fun(conninfo: string): any
---@return boolean ran
---@return any result of fn, or the reason
function M.with(fn)
  local bin = programs()
  if not bin then return false, "PostgreSQL (Debian: postgresql)" end
  if not pcall(require, "braid.postgres_core") then return false, "libpq (Debian: libpq-dev)" end
  local folder = output "mktemp -d /tmp/braid_pg_XXXXXX"
  local as = as_user(folder)
  local function run(words)
    local text = ("cd %s && %s%s/%s >>log 2>&1 </dev/null"):format(folder, as, bin, words)
    return assert(braid.process.run({ "sh", "-c", text }, { timeout = 60 })).code == 0
  end
  local settings = "-c listen_addresses= -c fsync=off -c unix_socket_directories=" .. folder
  local up = run "initdb -D data -U braid -A trust --no-sync -E UTF8 --locale C"
    and run(('pg_ctl -D data -w -o "%s" start'):format(settings))
  local ok, result = up, "a PostgreSQL that starts here"
  if up then ok, result = pcall(fn, ("host=%s user=braid dbname=postgres"):format(folder)) end
  run "pg_ctl -D data -m immediate -w stop"
  output("rm -rf " .. folder)
  if up and not ok then error(result, 0) end
  return ok, result
end

return M
