-- SPDX-License-Identifier: MIT
--- The options of a command line that say which cluster is meant.

local errors = require "braid.errors"
local options = require "braid.command.options"
local settings = require "braid.cluster.settings"

local M = {}

---What `options.read` must know.
M.KNOWN = {
  cluster = "string", name = "string", secret_file = "string", insecure = "flag", credentials = "string",
  nkey = "string", tls = "flag", ca_file = "string", cert = "string", key = "string", replicas = "integer",
  patience = "number",
}

M.USAGE = [[
  --cluster URL        the servers, nats://host:4222,... (default nats://127.0.0.1:4222)
  --name NAME          the cluster's name (default "default")
  --secret-file FILE   the secret; the end of its last line does not belong to it
  --insecure           no secret; only for servers on this machine
  --credentials FILE   credentials of NATS; with --nkey the seed of that key
  --nkey KEY           the public key of the user, "U..."
  --tls                TLS
  --ca-file FILE       the authorities to trust, instead of the system's
  --cert FILE          our certificate, for servers that require one
  --key FILE           its private key
  --replicas N         on how many servers jobs are kept (default 1)
  --patience SECONDS   how long to wait for servers (default 30)
]]

local function secret_in(path)
  local file, why = io.open(path, "rb")
  if not file then options.refuse("--secret-file: %s", why) end
  local text = file:read("a")
  file:close()
  return (text:gsub("\r?\n$", ""))
end

local function credentials_of(given)
  return given.nkey and { nkey = given.nkey, file = given.credentials } or given.credentials
end

local function tls_of(given)
  if not (given.ca_file or given.cert or given.key) then return given.tls end
  return { ca_file = given.ca_file, cert = given.cert, key = given.key }
end

---The settings of the cluster. Refuses a wrong command line.
---@param given table from options.read
---@return table
function M.settings(given)
  local ok, read = pcall(settings.read, "braid", {
    servers = given.cluster, name = given.name, insecure = given.insecure, credentials = credentials_of(given),
    secret = given.secret_file and secret_in(given.secret_file) or nil, tls = tls_of(given), replicas = given.replicas,
    patience = given.patience,
  })
  if not ok and errors.is_error(read, "misuse") then options.refuse("%s", read.message) end
  if not ok then error(read, 0) end
  return read
end

---Tells options from words: "--tag" may come several times.
---@param words string[]
---@param name string with its dashes
---@return string[] values
---@return string[] rest the other words
function M.gather(words, name)
  local values, rest, i = {}, {}, 1
  while i <= #words do
    local value = words[i]:match("^" .. name:gsub("%-", "%%-") .. "=(.*)$")
    if words[i] == name then
      i = i + 1
      value = words[i] or ""
    end
    if value then values[#values + 1] = value else rest[#rest + 1] = words[i] end
    i = i + 1
  end
  return values, rest
end

return M
