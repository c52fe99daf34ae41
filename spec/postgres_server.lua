-- SPDX-License-Identifier: MIT
-- A PostgreSQL cluster of the spec's own, in a temporary folder; as another user where root runs this, because the
-- server refuses root. Without PostgreSQL the tests are pending.
local braid = require "braid"

local M = {
  folder = nil, ---@type string of the cluster and its socket
}

local function output(command)
  local handle <close> = assert(io.popen(command))
  return handle:read("a"):gsub("%s+$", "")
end

local bin = output("ls -d /usr/lib/postgresql/*/bin /usr/local/bin /usr/bin 2>/dev/null | while read -r d; do"
  .. " [ -x $d/initdb ] && echo $d; done | tail -1")
local user = output "id -u" == "0" and
  output "getent passwd postgres >/dev/null && echo postgres || echo nobody" or nil

--- Whether there is a server on this machine, and a client library.
function M.is_there() return bin ~= "" and (pcall(require, "braid.postgres_core")) end

local function as_user(words)
  if not user then return words end
  return ("setpriv --reuid %s --regid $(id -g %s) --clear-groups %s"):format(user, user, words)
end

local function run(words)
  local command = as_user(words)
  assert(os.execute(("cd %s && %s >>%s/log 2>&1 </dev/null"):format(M.folder, command, M.folder)), command)
end

local SETTINGS = [[
listen_addresses = '127.0.0.1'
fsync = off
shared_buffers = 16MB
max_connections = 40
autovacuum = off
password_encryption = 'scram-sha-256'
]]

local function write(file, text, mode)
  local handle <close> = assert(io.open(M.folder .. "/" .. file, mode))
  handle:write(text)
end

--- Makes the cluster and starts it. For busted's lazy_setup.
function M.start()
  M.folder = output "mktemp -d /tmp/braid_pg_XXXXXX"
  local listener = assert(braid.net.listen("127.0.0.1", 0)) -- to find a free port
  M.port = listener.port
  listener:close()
  if user then assert(os.execute(("chown %s %s"):format(user, M.folder))) end
  run(("%s/initdb -D %s/data -U braid -A trust --no-sync -E UTF8 --locale C"):format(bin, M.folder))
  write("data/postgresql.conf", SETTINGS .. ("port = %d\n"):format(M.port), "a")
  write("data/postgresql.conf", ("unix_socket_directories = '%s'\n"):format(M.folder), "a")
  write("data/pg_hba.conf", "local all all trust\nhost all guarded 127.0.0.1/32 scram-sha-256\n"
    .. "host all all 127.0.0.1/32 trust\n", "w")
  M.up()
end

--- Lets it use TLS from now on.
---@param certificate string path
---@param key string path
function M.use_tls(certificate, key)
  for name, path in pairs { ["server.crt"] = certificate, ["server.key"] = key } do
    os.execute(("cp %s %s/data/%s"):format(path, M.folder, name))
    if user then os.execute(("chown %s %s/data/%s"):format(user, M.folder, name)) end
    os.execute(("chmod 600 %s/data/%s"):format(M.folder, name))
  end
  write("data/postgresql.conf", "ssl = on\n", "a")
  run(("%s/pg_ctl -D %s/data reload"):format(bin, M.folder))
end

--- Starts a cluster that was stopped.
function M.up() run(("%s/pg_ctl -D %s/data -w -t 30 start"):format(bin, M.folder)) end

--- Stops it: "fast" or "immediate".
function M.down(mode) run(("%s/pg_ctl -D %s/data -m %s -w stop"):format(bin, M.folder, mode or "fast")) end

--- Stops it for good. For busted's lazy_teardown.
function M.stop()
  pcall(M.down, "immediate")
  os.execute("rm -rf " .. M.folder)
end

--- What to connect with.
function M.options(more)
  local options = { host = M.folder, port = M.port, user = "braid", dbname = "postgres" }
  for name, value in pairs(more or {}) do options[name] = value end
  return options
end

return M
