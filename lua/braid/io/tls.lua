-- SPDX-License-Identifier: MIT
-- TLS for streams: what its options mean, and which of OpenSSL's contexts a connection gets. The module that is linked
-- with OpenSSL is loaded when TLS is first needed.
local core = require "braid.core"
local errors = require "braid.errors"

local M = {}

local MOST = 64 -- contexts of clients that are kept
local LOOK = 1 -- seconds until a listener looks at its files again

local CLIENT_OPTIONS = {
  verify = "boolean", ca_file = "string", ca_path = "string", server_name = "string", cert = "string", key = "string",
  alpn = "table", min_version = "string", ciphers = "string", resume = "boolean", close_notify = "string",
}
local SERVER_OPTIONS = {
  cert = "string", key = "string", client_ca = "string", alpn = "table", min_version = "string", ciphers = "string",
  resume = "boolean", close_notify = "string", reload = "boolean",
}
local FILES = { "cert", "key", "ca_file", "ca_path", "client_ca" }
local VERSIONS = { ["1.2"] = 12, ["1.3"] = 13 }

-- ---- options --------------------------------------------------------------------------------------------------------

local function bad(what, name, format, ...)
  errors.misuse(2, "bad option 'tls.%s' to '%s' (%s)", name, what, format:format(...))
end

-- The names in the form of the protocol: each after a byte with its size.
local function protocols_of(what, list)
  if not list then return nil end
  local parts = {}
  for i, name in ipairs(list) do
    if type(name) ~= "string" or name == "" or #name > 255 then
      bad(what, "alpn", "names of 1 to 255 bytes expected, got %s", errors.described(name))
    end
    parts[i] = ("s1"):pack(name)
  end
  for name in pairs(list) do
    if math.type(name) ~= "integer" or not parts[name] then bad(what, "alpn", "a list of names expected") end
  end
  if not parts[1] then bad(what, "alpn", "at least one name expected") end
  return table.concat(parts)
end

local function check(what, options, known)
  errors.check_options(2, what, options, known)
  for _, name in ipairs(FILES) do
    local path = options[name]
    if path and (path == "" or path:find("\0", 1, true)) then bad(what, name, "a path expected") end
  end
  if options.key and not options.cert then bad(what, "key", "it needs 'cert'") end
  local version, ending = options.min_version, options.close_notify
  if version and not VERSIONS[version] then bad(what, "min_version", '"1.2" or "1.3" expected, got %q', version) end
  if ending and ending ~= "required" and ending ~= "optional" then
    bad(what, "close_notify", '"required" or "optional" expected, got %q', ending)
  end
end

-- What the core is told.
local function plan_of(what, options)
  return {
    resume = options.resume ~= false, least = VERSIONS[options.min_version or "1.2"], ciphers = options.ciphers,
    close_notify_is_free = options.close_notify == "optional", protocols = protocols_of(what, options.alpn),
    identities = options.cert and { options.cert, options.key or false } or nil,
  }
end

-- The name that the certificate must have: without the dot at its end, and without the zone of an address.
local function name_of(what, options, host)
  local name = options.server_name or host
  if not name then
    if options.verify == false then return nil end
    bad(what, "server_name", "a name to verify is needed here, or verify = false")
  end
  name = name:gsub("^([%x:.]+)%%.*$", "%1"):gsub("(.)%.$", "%1")
  if name == "" or #name > 253 or name:find("%z") then bad(what, "server_name", "a name of a host expected") end
  return name
end

---Checks the options of a client.
---@param what string the function, for the message
---@param options true|table
---@param host string? what the certificate must name where the options do not say so
---@return table settings
function M.client(what, options, host)
  if options == true then options = {} end
  check(what, options, CLIENT_OPTIONS)
  local plan = plan_of(what, options)
  plan.verify, plan.ca_file, plan.ca_path = options.verify ~= false, options.ca_file, options.ca_path
  return { plan = plan, name = name_of(what, options, host) }
end

---Checks the options of a server.
---@param what string the function, for the message
---@param options table
---@return table settings
function M.server(what, options)
  check(what, options, SERVER_OPTIONS)
  if not options.cert then bad(what, "cert", "the path of a certificate expected, got nil") end
  local plan = plan_of(what, options)
  plan.server, plan.ca_file = true, options.client_ca
  plan.verify, plan.demand = options.client_ca ~= nil, true
  return { plan = plan, reload = options.reload ~= false }
end

-- ---- contexts -------------------------------------------------------------------------------------------------------

local module, functions -- the one that is linked with OpenSSL; what the core calls

local function load_functions()
  if functions then return functions end
  local ok, loaded = pcall(require, "braid.tls_core")
  if not ok then
    local found = package.searchpath("braid.tls_core", package.cpath)
    core.rethrow(errors.new("system", "TLS needs OpenSSL 3: " .. (found and errors.text(loaded)
      or "build braid again when it is installed (Debian: libssl-dev)")))
  end
  module, functions = loaded, loaded.functions
  return functions
end

---The module that is linked with OpenSSL. Raises where it is not there.
---@return table
function M.module()
  load_functions()
  return module
end

-- A text that changes when one of the files does.
local function state_of(plan)
  local state, identities = {}, plan.identities or {}
  for _, path in ipairs { identities[1] or "", identities[2] or "", plan.ca_file or "", plan.ca_path or "" } do
    state[#state + 1] = path ~= "" and core.file_state(path) or "-"
  end
  return table.concat(state, "\0")
end

local FIELDS = { "verify", "resume", "least", "ciphers", "close_notify_is_free", "protocols", "ca_file", "ca_path" }

-- A text that is the same for plans that mean the same.
local function key_of(plan)
  local parts, identities = {}, plan.identities or {}
  for i, name in ipairs(FIELDS) do parts[i] = ("s4"):pack(tostring(plan[name])) end
  for i = 1, 2 do parts[#parts + 1] = ("s4"):pack(tostring(identities[i])) end
  return table.concat(parts) .. state_of(plan)
end

local contexts, count = {}, 0 -- of clients, by their keys

local function client_context(plan)
  local key = key_of(plan)
  if contexts[key] then return contexts[key] end
  local context, err = core.tls_context(load_functions(), plan)
  if not context then return nil, err end
  if count >= MOST then contexts, count = {}, 0 end
  contexts[key], count = context, count + 1
  return context
end

local function report(settings, err)
  io.stderr:write(("braid: the listener keeps its certificate: %s\n"):format(err.message))
  settings.reported = true
end

-- Makes the context again if a file has changed. If that fails, the old one stays; the next change is tried again. The
-- files may be changed one after the other, so it is reported when they stay as they are.
local function look_again(settings)
  settings.looked = core.now()
  local state = state_of(settings.plan)
  if state == settings.state then
    if settings.problem and not settings.reported then report(settings, settings.problem) end
    return
  end
  settings.state, settings.reported = state, false
  local context, err = core.tls_context(functions, settings.plan)
  settings.context, settings.problem = context or settings.context, err
end

local function server_context(settings)
  if not settings.context then
    settings.state, settings.looked = state_of(settings.plan), core.now()
    local context, err = core.tls_context(load_functions(), settings.plan)
    settings.context = context
    return context, err
  end
  if settings.reload and core.now() - settings.looked >= LOOK then look_again(settings) end
  return settings.context
end

---The context of a connection: it is made before anybody connects, so that bad files are found first.
---@param settings table from `client` or `server`
---@return userdata? context
---@return braid.Error? err
function M.context(settings)
  if settings.plan.server then return server_context(settings) end
  return client_context(settings.plan)
end

---Begins TLS on a descriptor and does the handshake. Suspends.
---@param descriptor userdata
---@param context userdata from `context`
---@param settings table
---@param place string where it leads: sessions are resumed with the same place
---@param timeout number?
---@return true? done
---@return braid.Error? err kinds: tls, timeout, closed, system
function M.start(descriptor, context, settings, place, timeout)
  descriptor:start_tls(context, settings.name, place)
  return descriptor:handshake(timeout)
end

return M
