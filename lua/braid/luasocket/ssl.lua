-- SPDX-License-Identifier: MIT
-- The module that `require "ssl"` gives after install: LuaSec 1.2 over braid's streams.
local core = require "braid.core"
local errors = require "braid.errors"
local object = require "braid.luasocket.object"
local tcp = require "braid.luasocket.tcp"
local tls = require "braid.io.tls"

local openssl = tls.module()

local M = { _VERSION = "1.2.0", _COPYRIGHT = "LuaSec 1.2.0 over braid" }

-- ---- contexts -------------------------------------------------------------------------------------------------------

local PROTOCOLS = { -- the lowest and the highest version; 0: any
  any = { 12, 0 }, sslv23 = { 12, 0 }, tlsv1 = { 10, 10 }, tlsv1_1 = { 11, 11 }, tlsv1_2 = { 12, 12 },
  tlsv1_3 = { 13, 13 },
}
local VERIFY = { none = 0, peer = 1, fail_if_no_peer_cert = 2, client_once = 4 }
local FLAGS = { crl_check = 4, crl_check_chain = 8 }

local OPTIONS, CURVES = openssl.options(), openssl.curves()
for _, name in ipairs { "P-256", "P-384", "P-521", "X25519", "X448" } do CURVES[name] = true end

local function set_of(names)
  local set = {}
  for name in pairs(names) do set[name] = true end
  return set
end

M.config = {
  algorithms = { ec = true }, capabilities = { alpn = true, ecdh_auto = true, curves_list = true },
  curves = CURVES, options = set_of(OPTIONS),
  protocols = { tlsv1 = true, tlsv1_1 = true, tlsv1_2 = true, tlsv1_3 = true },
}

local Context = { __name = "SSL:Context" }
Context.__index = Context

function Context:__tostring() return "SSL context: " .. self._name end

local function list_of(value) return type(value) == "table" and value or { value } end

-- Adds up the numbers of the names. Returns nil and a text for an unknown one.
local function bits_of(names, known, text)
  local bits = 0
  for _, name in ipairs(list_of(names)) do
    if not known[name] then return nil, text:format(tostring(name)) end
    bits = bits | known[name]
  end
  return bits
end

local function protocols_of(cfg)
  local list = cfg.alpn
  if list == nil then return nil end
  if type(list) == "function" then return nil, "an ALPN function is not possible here: give a list" end
  if type(list) ~= "table" and type(list) ~= "string" then return nil, "invalid ALPN parameter" end
  local parts = {}
  for i, name in ipairs(list_of(list)) do
    if name == "" then return nil, "invalid ALPN name (empty string)" end
    if #name > 255 then return nil, "invalid ALPN name (length > 255)" end
    parts[i] = ("s1"):pack(name)
  end
  if not parts[1] then return nil, "invalid ALPN list (empty)" end
  return table.concat(parts)
end

-- The text of an error where the file cannot be read.
local function check_file(what, path)
  if not path then return nil end
  local file, err = io.open(path)
  if not file then return ("error loading %s (%s)"):format(what, (err:gsub("^.*: ", ""))) end
  file:close()
end

-- The certificates and keys in turn, and the password of the keys.
local function identities_of(cfg)
  local identities, password = {}, nil
  local given = cfg.certificates or { { certificate = cfg.certificate, key = cfg.key, password = cfg.password } }
  for _, each in ipairs(given) do
    local secret = each.password
    if each.key and secret and type(secret) ~= "function" and type(secret) ~= "string" then
      return nil, "invalid password type"
    end
    if type(secret) == "function" then secret = secret() end
    password = password or secret
    local err = check_file("private key", each.key) or check_file("certificate", each.certificate)
    if err then return nil, err end
    if each.certificate then
      identities[#identities + 1] = each.certificate
      identities[#identities + 1] = each.key or false
    end
  end
  return identities[1] and identities, nil, password
end

-- Which part of the configuration an error is about.
local function told(cfg, err)
  local reason = (err.reason or err.message):gsub("^.*: ", "")
  if reason == "key values mismatch" then return "private key does not match public key" end
  local text = err.message
  if cfg.cafile and text:find(cfg.cafile, 1, true) or cfg.capath and text:find(cfg.capath, 1, true) then
    return ("error loading CA locations (%s)"):format(reason)
  end
  if text:find("cipher", 1, true) then return ("error setting cipher list (%s)"):format(reason) end
  local what = cfg.key and text:find(cfg.key, 1, true) and "private key" or "certificate"
  return ("error loading %s (%s)"):format(what, reason)
end

local function curves_of(cfg)
  if cfg.curveslist then return cfg.curveslist ~= "auto" and cfg.curveslist or nil end
  if cfg.curve and not CURVES[cfg.curve] then return nil, ("elliptic curve '%s' not supported"):format(cfg.curve) end
  return cfg.curve
end

local function ciphers_of(cfg)
  if not cfg.ciphersuites then return cfg.ciphers end
  return cfg.ciphers and cfg.ciphers .. ":" .. cfg.ciphersuites or cfg.ciphersuites
end

-- What is set on the finished context. nil and a text where the configuration is wrong.
local function rules_of(cfg)
  local mode, flags, options, curves, err
  mode, err = bits_of(cfg.verify or "none", VERIFY, "invalid verify option (%s)")
  if not mode then return nil, err end
  options, err = bits_of(cfg.options or {}, OPTIONS, "invalid option (%s)")
  if not options then return nil, err end
  curves, err = curves_of(cfg)
  if err then return nil, err end
  local extra = set_of {}
  for _, name in ipairs(list_of(cfg.verifyext)) do extra[name] = true end
  local rules = { mode = mode, options = options, curves = curves, depth = cfg.depth, go_on = extra.lsec_continue,
    any_purpose = extra.lsec_ignore_purpose, nobody = not (cfg.cafile or cfg.capath), dh = cfg.dhparam and true }
  extra.lsec_continue, extra.lsec_ignore_purpose = nil, nil
  local names = {}
  for name in pairs(extra) do names[#names + 1] = name end
  flags, err = bits_of(names, FLAGS, "invalid verify option (%s)")
  rules.flags = flags
  return flags and rules, err
end

local NO_DANE = "DANE is not possible here"

local function plan_of(cfg, versions, mode)
  if cfg.dane then return nil, NO_DANE end
  local identities, err, password = identities_of(cfg)
  err = err or check_file("CA locations", cfg.cafile) or check_file("CA locations", cfg.capath)
  if err then return nil, err end
  local protocols
  protocols, err = protocols_of(cfg)
  if err then return nil, err end
  return { server = cfg.mode == "server", verify = mode ~= 0 and (cfg.cafile or cfg.capath) ~= nil, any_name = true,
    close_notify_is_free = true, resume = cfg.mode == "server", least = versions[1], most = versions[2],
    ca_file = cfg.cafile, ca_path = cfg.capath, ciphers = ciphers_of(cfg), protocols = protocols,
    identities = identities or nil, password = password }
end

---Makes a context.
---@param cfg table as LuaSec documents it
---@return table? context
---@return string? err
function M.newcontext(cfg)
  local protocol = object.check_string("create", 1, cfg.protocol)
  local versions = PROTOCOLS[protocol]
  if not versions then return nil, ("invalid protocol (%s)"):format(protocol) end
  if cfg.mode ~= "client" and cfg.mode ~= "server" then return nil, ("invalid mode (%s)"):format(tostring(cfg.mode)) end
  local rules, err = rules_of(cfg)
  if not rules then return nil, err end
  local plan
  plan, err = plan_of(cfg, versions, rules.mode)
  if not plan then return nil, err end
  if plan.server and not plan.identities then return nil, "a server needs a certificate" end
  local context
  context, err = core.tls_context(openssl.functions, plan)
  if not context then return nil, told(cfg, err) end
  if not openssl.adapt(context:pointer(), rules) then
    return nil, ('unknown elliptic curve in "%s"'):format(rules.curves)
  end
  local self = { _context = context, _mode = cfg.mode, _continues = rules.go_on }
  self._name = tostring(self):match "0x%x+"
  return setmetatable(self, Context)
end

-- ---- connections ----------------------------------------------------------------------------------------------------

-- What the socket methods see of a descriptor: errors as LuaSec tells them.
local Way = {}
Way.__index = Way

local VERIFIED = 100 -- codes below this are why a certificate was refused

local function told_by(err, want)
  if err.kind == "timeout" then return { message = want } end
  if err.kind ~= "tls" then return err end
  return { message = err.code < VERIFIED and "certificate verify failed" or err.reason }
end

function Way:read(size, timeout)
  local piece, err = self._descriptor:read(size, timeout)
  if piece or not err then return piece end
  return nil, told_by(err, "wantread")
end

function Way:write(data, from, timeout)
  local count, err = self._descriptor:write(data, from, timeout)
  if count then return count end
  return nil, told_by(err, "wantwrite")
end

function Way:fd() return self._descriptor:fd() end

function Way:let_go() return self._descriptor:let_go() end

function Way:close() return self._descriptor:close() end

local methods = {}
for name, method in pairs(object.shared) do methods[name] = method end
for _, name in ipairs { "getstats", "setstats" } do methods[name] = tcp.Client.__index[name] end
methods.getfamily, methods.getsockname, methods.getpeername, methods.gettimeout = nil, nil, nil, nil

local Connection -- the class

-- The connection in OpenSSL once the handshake is done; else nil.
local function connected(self) return self._done and self._descriptor and self._descriptor._descriptor:tls_pointer() end

function methods:receive(pattern, prefix)
  if not connected(self) then return nil, "closed", prefix or "" end
  return tcp.Client.__index.receive(self, pattern, prefix)
end

function methods:send(data, first, last)
  if not connected(self) then return nil, "closed", 0.0 end
  return tcp.Client.__index.send(self, data, first, last)
end

function methods:dirty()
  local pointer = connected(self)
  return self._there > 0 or pointer ~= nil and pointer ~= false and openssl.pending(pointer)
end

-- The handshake. A second call goes on where one was cut short by its timeout.
function methods:dohandshake()
  if not self._descriptor then return false, "closed" end
  local descriptor = self._descriptor._descriptor
  if not descriptor:has_tls() then descriptor:start_tls(self._context, self._sni) end
  object.start(self)
  local done, err = descriptor:handshake(object.time_left(self))
  self._done = done
  if done then return true end
  local want = err.kind == "timeout" and "want" .. openssl.want(descriptor:tls_pointer())
  err = told_by(err, want)
  return false, err.kind == "closed" and "closed" or err.message
end

function methods:want()
  local pointer = self._descriptor and self._descriptor._descriptor:tls_pointer()
  return pointer and openssl.want(pointer) or "nothing"
end

function methods:close()
  object.shared.close(self)
  self._done = nil
end

-- The name of the server that a client asks for: before the handshake.
function methods:sni(name)
  if self._mode == "server" then
    object.bad_argument("sni", 1, "a server's names are not possible here: give newcontext its certificates")
  end
  self._sni = object.check_string("sni", 1, name)
end

-- DANE, which LuaSec has where its OpenSSL has it: `config.capabilities.dane` says that it is not here.
for _, name in ipairs { "setdane", "settlsa" } do
  methods[name] = function() object.bad_argument(name, 1, NO_DANE) end
end

local function fact(self, name)
  if not connected(self) then return nil, "closed" end
  return self._descriptor._descriptor:tls()[name]
end

function methods:getsniname() return fact(self, "server_name") end

function methods:getalpn() return fact(self, "alpn") end

function methods:getpeercertificate(n)
  local pointer = connected(self)
  if not pointer then return nil, "closed" end
  n = n == nil and 1 or object.check_number("getpeercertificate", 2, n) // 1 | 0
  if n < 1 then return nil, "invalid certificate index" end
  return openssl.certificate(pointer, n - 1)
end

function methods:getpeerchain()
  local pointer, chain = connected(self), {}
  if not pointer then return nil, "closed" end
  repeat
    local certificate = openssl.certificate(pointer, #chain)
    chain[#chain + 1] = certificate
  until not certificate
  return chain
end

function methods:getpeerverification()
  local pointer = connected(self)
  if not pointer then return false, "closed" end
  local problem = select(5, openssl.facts(pointer))
  if not problem then return true end
  return false, self._continues and { { problem } } or problem
end

function methods:getfinished()
  local pointer = connected(self)
  if not pointer then return nil, "closed" end
  return openssl.finished(pointer, false)
end

function methods:getpeerfinished()
  local pointer = connected(self)
  if not pointer then return nil, "closed" end
  return openssl.finished(pointer, true)
end

function methods:exportkeyingmaterial(label, size, context)
  local pointer = connected(self)
  if not pointer then return nil, "closed" end
  return openssl.export(pointer, label, size, context)
end

function methods:info(field)
  local pointer = connected(self)
  if not pointer then return nil, "closed" end
  if field == "compression" then return nil end
  local text, bits, algorithm, protocol = openssl.facts(pointer)
  local info = { bits = bits + 0.0, algbits = algorithm + 0.0, export = text:find("%sexport%s*$") ~= nil }
  info.cipher, info.protocol, info.key, info.authentication, info.encryption, info.mac =
    text:match "^(%S+)%s+(%S+)%s+Kx=(%S+)%s+Au=(%S+)%s+Enc=(%S+)%s+Mac=(%S+)"
  info.protocol = protocol
  if field then return info[field] end
  return info
end

Connection = {
  __name = "SSL:Connection", __index = methods, __close = methods.close,
  __tostring = function(self)
    return ("SSL connection: %s%s"):format(self._name, self._descriptor and "" or " (closed)")
  end,
  __braid_pack = function(self)
    core.rethrow(errors.new("not_sendable", ("a socket cannot be sent (%s)"):format(tostring(self))))
  end,
}

-- Takes the descriptor out of a socket.
local function taken(sock)
  local descriptor = rawget(sock, "_descriptor")
  if getmetatable(sock) == tcp.Client and descriptor then
    sock._descriptor = nil
    return descriptor
  end
  local fd = math.tointeger(sock:getfd())
  if not fd or fd < 0 then return nil end
  descriptor = core.socket_adopt(fd)
  sock:setfd(-1)
  return descriptor
end

---Begins TLS on a connected socket, which is empty then. The handshake comes with `dohandshake`.
---@param sock table a client
---@param cfg table a context, or what `newcontext` takes
---@return table? connection
---@return string? err
function M.wrap(sock, cfg)
  local context = cfg
  if getmetatable(cfg) ~= Context then
    local made, err = M.newcontext(cfg)
    if not made then return nil, err end
    context = made
  end
  local descriptor = taken(sock)
  if not descriptor then return nil, "closed" end
  return object.new(Connection, {
    _descriptor = setmetatable({ _descriptor = descriptor }, Way), _client = Connection, _context = context._context,
    _mode = context._mode, _continues = context._continues, _pieces = {}, _there = 0, _received = 0, _sent = 0,
    _born = core.now(),
  })
end

---Reads a certificate from its PEM text.
---@param text string
---@return userdata? certificate
---@return string? err
function M.loadcertificate(text) return openssl.loadcertificate(text) end

return M
