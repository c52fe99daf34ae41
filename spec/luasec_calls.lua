-- SPDX-License-Identifier: MIT
-- Calls of LuaSec, each with what it returns: for spec/luasec_spec.lua, which compares what two modules print.
-- usage: lua spec/luasec_calls.lua PORT CA FOREIGN CLIENT KEY [braid]
local port, ca, foreign, client, key = math.tointeger(arg[1]), arg[2], arg[3], arg[4], arg[5]
if arg[6] == "braid" then require("braid.luasocket").install() end
local socket, ssl = require "socket", require "ssl"

local function plain(value)
  if type(value) == "table" and getmetatable(value) == nil then
    local words = {}
    for name, each in pairs(value) do words[#words + 1] = ("%s=%s"):format(plain(name), plain(each)) end
    table.sort(words)
    return "{" .. table.concat(words, " ") .. "}"
  end
  return (tostring(value):gsub(": 0x%x+", ""))
end

local function say(name, ...)
  local words = { name }
  for i = 1, select("#", ...) do words[#words + 1] = plain((select(i, ...))) end
  print(table.concat(words, " | "))
end

local function wrapped(cfg)
  cfg.mode, cfg.protocol = cfg.mode or "client", cfg.protocol or "any"
  local plain_socket = assert(socket.connect("127.0.0.1", port))
  return assert(ssl.wrap(plain_socket, cfg)), plain_socket
end

-- ---- contexts -------------------------------------------------------------------------------------------------------

for _, cfg in ipairs {
  { protocol = "nope" }, { verify = "nope" }, { verify = { "peer", "nope" } }, { options = "nope" }, { alpn = {} },
  { alpn = { "" } }, { alpn = 1 }, { curve = "nope" }, { curveslist = "nope" }, { options = { "all", "no_sslv3" } },
  { curve = "prime256v1" }, { curveslist = "X25519:P-256" }, { certificate = client, key = ca:gsub("pem$", "key") },
  { certificate = client, key = key, verify = { "peer", "client_once" }, cafile = ca, depth = 3 }, {},
} do
  cfg.mode, cfg.protocol = "client", cfg.protocol or "any"
  say("context", ssl.newcontext(cfg))
end
say("names", ssl._VERSION, ssl.config.capabilities.alpn, ssl.config.algorithms, ssl.config.protocols)

-- ---- a connection ---------------------------------------------------------------------------------------------------

local s, before = wrapped { verify = "peer", cafile = ca, options = "all", alpn = { "x", "h2" } }
say("objects", s, before, before:getfd())
say("before", s:want(), s:dirty())
say("receive", s:receive "*l")
say("receive with a prefix", s:receive("*l", "some"))
say("send", s:send "x")
say("info", s:info())
say("certificate", s:getpeercertificate())
s:settimeout(0)
local done, want = s:dohandshake()
say("at once", done or want == "wantread") -- it depends on who was faster
s:settimeout(10)
say("handshake", s:dohandshake())
say("again", s:dohandshake(), s:want(), s:dirty())
say("info", s:info())
say("fields", s:info "protocol", s:info "bits", s:info "compression", s:info "nope")
say("agreed", s:getalpn(), s:getsniname(), s:getpeerverification())
say("finished", #s:getfinished(), #s:getpeerfinished(), #s:exportkeyingmaterial("label", 10))
say("chain", #s:getpeerchain(), s:getpeercertificate(2))
say("send", s:send "hello\n")
say("receive", s:receive "*l")
say("parts", s:send("some bytes\n", 1, 4), s:send("some bytes\n", 5))
say("receive", s:receive(4), s:receive(5), s:receive "*l")
s:settimeout(0.02)
say("nothing", s:receive "*l")
say("nothing", s:receive(5, "pre"))
s:settimeout(0)
say("nothing", s:receive "*l")
say("stats", (s:getstats()))
say("close", (s:close()))
say("closed", s, s:receive "*l")
say("closed", s:send "x")

-- ---- a certificate --------------------------------------------------------------------------------------------------

s = wrapped { verify = "none" }
s:sni "localhost"
say("handshake", s:dohandshake())
say("asked for", s:getsniname())
local x = s:getpeercertificate()
say("certificate", x, x:serial(), x:digest(), x:digest "sha256", x:digest "nope")
say("times", x:notbefore(), x:notafter(), x:validat(os.time()), x:validat(0), x:validat(os.time() + 1e8))
say("key", x:pubkey())
say("text", x:pem())
say("names", x:subject(), x:issuer())
say("extensions", x:extensions())
say("others", x:getsignaturename(), x:setencode "utf8", x:setencode "nope")
local file = assert(io.open(ca))
local authority = ssl.loadcertificate(file:read "a")
file:close()
say("issued", x:issued(authority))
say("not issued", authority:issued(x))
say("text of nothing", (ssl.loadcertificate "nothing"))
s:close()

-- ---- refusals -------------------------------------------------------------------------------------------------------

s = wrapped { verify = "peer", cafile = foreign }
say("of another authority", s:dohandshake())
s:close()
s = wrapped { verify = "peer" }
say("without an authority", s:dohandshake())
s:close()
s = wrapped { verify = "peer", verifyext = "lsec_continue" }
say("goes on", s:dohandshake())
s:close()
s = wrapped { verify = "none", protocol = "tlsv1_2" }
say("older", s:dohandshake())
say("older", s:info "protocol", s:info "cipher")
say("end", s:send "end\n")
say("end", s:receive "*a")
say("end", s:receive "*a")
s:close()
