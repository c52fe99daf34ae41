-- SPDX-License-Identifier: MIT
-- The options of a cluster, checked; and the C module behind it.
local errors = require "braid.errors"

local M = {}

local loaded

---The C module. Raises one sentence when it is not there.
---@return table
function M.nats()
  if loaded then return loaded end
  local ok, module = pcall(require, "braid.cluster_core")
  if not ok then
    errors.misuse(2, "braid.cluster needs libnats: install libnats-dev, and build braid again (%s)",
      errors.text(module):match("^[^\n]*"))
  end
  loaded = module
  return module
end

local KNOWN = {
  servers = "string|table", name = "string", secret = "string", insecure = "boolean", credentials = "string|table",
  tls = "boolean|table", replicas = "integer", patience = "number",
}
local CREDENTIALS = { user = "string", password = "string", token = "string", file = "string", nkey = "string" }
local TLS = { ca_file = "string", cert = "string", key = "string", server_name = "string", verify = "boolean" }
local URL, PORT = "nats://127.0.0.1:4222", 4222
local MOST_NAME = 48

---An address without the password that may be in it.
---@param server string
---@return string
function M.shown(server) return (server:gsub("//[^/]*@", "//")) end

-- The addresses, each with its scheme.
local function servers_of(what, given)
  local list = {}
  if type(given) == "string" then
    for each in given:gmatch("[^,%s]+") do list[#list + 1] = each end
  else
    for i, each in ipairs(given) do list[i] = each end
  end
  if #list == 0 then errors.misuse(3, "bad option 'servers' to '%s' (addresses like %q expected)", what, URL) end
  for i, each in ipairs(list) do
    local scheme = type(each) == "string" and (each:match("^(%a+)://") or "nats")
    if scheme ~= "nats" and scheme ~= "tls" then
      errors.misuse(3, "bad option 'servers' to '%s' (addresses like %q expected, got %s)", what, URL,
        errors.text(each))
    end
    if not each:find("://", 1, true) then each = "nats://" .. each end
    if not each:find(":%d+$") then each = ("%s:%d"):format(each, PORT) end
    list[i] = each
  end
  return list
end

local function is_loopback(server)
  local host = server:gsub("^%a+://", ""):gsub("^[^@]*@", ""):gsub(":%d+$", "")
  return host == "localhost" or host == "[::1]" or host:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

local function secret_of(what, opts, servers)
  if opts.secret and opts.secret ~= "" then return opts.secret end
  if not opts.insecure then
    errors.misuse(3, "'%s' needs a secret: workers run only what is signed with it", what)
  end
  for _, server in ipairs(servers) do
    if not is_loopback(server) then
      errors.misuse(3, "bad option 'insecure' to '%s' (only for servers on this machine, and %s is not)", what,
        M.shown(server))
    end
  end
  return "insecure"
end

local function check_file(what, option, path)
  if not path then return end
  local file, why = io.open(path, "rb")
  if not file then errors.misuse(4, "bad option '%s' to '%s' (%s)", option, what, why) end
  file:close()
end

local function add_credentials(what, settings, given)
  if given == nil then return end
  if type(given) == "string" then given = { file = given } end
  errors.check_options(3, what .. "' credentials '", given, CREDENTIALS)
  check_file(what, "credentials", given.file)
  if given.nkey and not given.file then
    errors.misuse(3, "bad option 'credentials' to '%s' (the nkey needs a 'file' with its seed)", what)
  elseif (given.user == nil) ~= (given.password == nil) then
    errors.misuse(3, "bad option 'credentials' to '%s' (a user and a password expected)", what)
  end
  settings.credentials_file, settings.nkey, settings.user = given.file, given.nkey, given.user
  settings.password, settings.token = given.password, given.token
end

local function add_tls(what, settings, given)
  if not given then return end
  settings.tls = true
  if given == true then return end
  errors.check_options(3, what .. "' tls '", given, TLS)
  for _, option in ipairs { "ca_file", "cert", "key" } do check_file(what, option, given[option]) end
  if (given.cert == nil) ~= (given.key == nil) then
    errors.misuse(3, "bad option 'tls' to '%s' (a certificate 'cert' and its 'key' expected)", what)
  end
  settings.ca_file, settings.cert, settings.key = given.ca_file, given.cert, given.key
  settings.server_name, settings.unverified = given.server_name, given.verify == false
end

---Checks the options of braid.cluster.
---@param what string the function, for messages
---@param opts table?
---@return table settings
function M.read(what, opts)
  errors.check_options(2, what, opts, KNOWN)
  errors.check_ranges(2, what, opts, { replicas = { 1, 5 } })
  errors.check_seconds(2, what, opts, "patience")
  opts = opts or {}
  local name = opts.name or "default"
  if not name:find("^[%w_-]+$") or #name > MOST_NAME then
    errors.misuse(2, "bad option 'name' to '%s' (at most %d letters, digits, - and _ expected, got %q)", what,
      MOST_NAME, name)
  end
  local settings = {
    servers = servers_of(what, opts.servers or URL), cluster = name, replicas = opts.replicas or 1,
    patience = opts.patience or 30,
  }
  settings.secret = secret_of(what, opts, settings.servers)
  add_credentials(what, settings, opts.credentials)
  add_tls(what, settings, opts.tls)
  return settings
end

return M
