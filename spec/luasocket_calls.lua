-- SPDX-License-Identifier: MIT
-- Calls of LuaSocket, each with what it returns: for spec/luasocket_spec.lua, which compares what two modules print.
-- usage: lua spec/luasocket_calls.lua [braid]
if arg[1] == "braid" then require("braid.luasocket").install() end
local s = require "socket"

-- Numbers and names that differ from run to run.
local function plain(value)
  if type(value) == "table" and getmetatable(value) == nil then
    local words = {}
    for key, each in pairs(value) do words[#words + 1] = ("%s=%s"):format(plain(key), plain(each)) end
    table.sort(words)
    return "{" .. table.concat(words, " ") .. "}"
  end
  local text = tostring(value):gsub(": 0x%x+", "")
  text = text:gsub("^.-:%d+: ", ""):gsub("bad argument #%d+ to '[^']*'", "bad argument")
  text = text:gsub("calling '[^']*' on bad self", "bad argument")
  return (text:gsub("^%d%d%d%d%d$", "PORT"))
end

local function say(name, ...)
  local words = { name }
  for i = 1, select("#", ...) do words[#words + 1] = plain((select(i, ...))) end
  print(table.concat(words, " | "))
end

local function try(name, fn, ...) say(name, pcall(fn, ...)) end

-- ---- TCP ------------------------------------------------------------------------------------------------------------

local function masters()
  say("version", s._VERSION, s._DATAGRAMSIZE, s._SETSIZE, s._SOCKETINVALID, s.BLOCKSIZE)
  local t = s.tcp()
  say("new", t, t:getfamily(), t:getfd(), t:gettimeout())
  say("names of a new one", t:getsockname())
  say("peer of a new one", t:getpeername())
  say("listen without bind", t:listen())
  try("send on a master", function() t:send "x" end)
  try("accept on a master", function() t:accept() end)
  say("option without a socket", t:setoption("keepalive", true))
  try("unknown option", function() t:setoption "nope" end)
  try("unknown option to get", function() t:getoption "nope" end)
  say("refused", t:connect("127.0.0.1", 1))
  say("its class", t)
  say("refused again", t:connect("127.0.0.1", 1))
  say("a name that is none", s.connect("no..body", 80))
  say("no address here", s.bind("192.0.2.1", 0))
  say("families", s.tcp4():getfamily(), s.tcp6():getfamily(), s.udp4():getfamily(), s.udp6():getfamily())
  try("no host", function() s.tcp():connect() end)
  say("close", t:close(), t:close(), t:getfd())
end

local function servers()
  local t = s.tcp()
  say("timeouts", t:settimeout(0.05), t:settimeout(2, "t"), t:gettimeout())
  try("mode", function() t:settimeout(1, "q") end)
  say("bind", t:bind("127.0.0.1", 0))
  say("class", t, t:getsockname())
  say("listen", t:listen())
  say("class", t, t:getsockname())
  say("accept", t:accept())
  for _, name in ipairs { "keepalive", "reuseaddr", "tcp-nodelay", "linger", "error" } do
    say("option " .. name, t:getoption(name))
  end
  try("bad flag", function() t:setoption "keepalive" end)
  try("bad linger", function() t:setoption("linger", 1) end)
  try("empty linger", function() t:setoption("linger", {}) end)
  say("linger", t:setoption("linger", { on = true, timeout = 3 }), t:getoption "linger")
  say("nodelay", t:setoption("tcp-nodelay", true), t:getoption "tcp-nodelay")
  try("stats of a server", function() t:getstats() end)
  local _, port = t:getsockname()
  say("in use", s.tcp():bind("127.0.0.1", port))
  say("close", t:close())
  say("closed", t:accept())
  local b = s.bind("127.0.0.1", 0)
  say("socket.bind", b, b:getoption "reuseaddr")
  return b
end

local function pairs_of(server)
  local _, port = server:getsockname()
  local client = s.connect("127.0.0.1", port)
  local peer = server:accept()
  return client, peer
end

local function receives(server)
  local c, x = pairs_of(server)
  say("client", c, c:getpeername())
  say("peer", x, x:getfamily())
  try("pattern", function() c:receive "*x" end)
  try("letter", function() c:receive "l" end)
  try("negative", function() c:receive(-1) end)
  x:settimeout(0.03)
  say("send", c:send "hello\r\nwo\rrld\nend")
  say("line", x:receive())
  say("line", x:receive "*l")
  say("no line", x:receive())
  say("prefix", x:receive("*l", "pre"))
  say("parts", c:send("abc", 2), c:send("abc", 2, 2), c:send("abc", -2), c:send("abc", 5), c:send("abcdef", 0, 3))
  s.sleep(0.01)
  say("short prefix", x:receive(3, "pre"))
  say("count with prefix", x:receive(5, "pre"))
  say("dirty", x:dirty())
  say("all", x:receive "*a")
  say("nothing", x:receive(0))
  say("numbers", c:send(12), c:send(1.5))
  s.sleep(0.01)
  say("two", x:receive(2))
  say("one as text", x:receive "1")
  x:settimeout(0)
  say("at once", x:receive "*l")
  say("none at once", x:receive(1))
  x:settimeout(nil)
  say("shutdown", c:shutdown "send")
  try("bad shutdown", function() c:shutdown "boo" end)
  say("end", x:receive "*a")
  say("end", x:receive())
  say("end", x:receive(10))
  say("stats", (x:getstats()), select(2, c:getstats()), x:setstats(1, 2, 3), (x:getstats()))
  say("close", c:close())
  say("closed", c:send "x")
  say("closed", c:receive())
  x:send "x"
  s.sleep(0.05)
  say("peer has closed", x:send "x")
  say("peer has closed", x:send "x")
end

local function ends(server)
  local c, x = pairs_of(server)
  c:send "partial"
  c:close()
  say("partial line", x:receive())
  c, x = pairs_of(server)
  c:send "some"
  c:close()
  say("all of it", x:receive "*a")
  say("and the end", x:receive "*a")
  c, x = pairs_of(server)
  c:send "some"
  c:close()
  say("too few", x:receive(10))
  c, x = pairs_of(server)
  c:settimeout(0.05)
  local sent, err, at = c:send(("x"):rep(1 << 24))
  say("nobody reads", sent, err, at > 1000 and at < 1 << 24)
  c:close()
  local count = 0
  while true do
    local data, _, partial = x:receive(65536)
    count = count + #(data or partial)
    if not data then break end
  end
  say("what had come", count == at)
  local t = s.tcp()
  t:settimeout(0)
  local ok, why = t:connect("127.0.0.1", select(2, server:getsockname()))
  s.select(nil, { t }, 1)
  say("connect without waiting", ok, why, t:connect("127.0.0.1", select(2, server:getsockname())))
  server:accept():close()
end

local function selects(server)
  say("empty", s.select({}, {}, 0))
  say("nil", s.select(nil, nil, 0.01))
  try("no table", function() s.select(1) end)
  local c, x = pairs_of(server)
  local r, w, err = s.select({ c, x }, { c }, 0.02)
  say("writable", #r, #w, w[c], w[1] == c, err)
  r, w, err = s.select({ c, x }, nil, 0.02)
  say("nothing to read", #r, #w, err)
  c:send "line\nmore\n"
  r, w, err = s.select({ c, x }, nil, 1)
  say("readable", #r, r[1] == x, r[x], #w, err)
  x:receive()
  say("dirty", x:dirty(), #s.select({ x }, nil, 0))
  r = s.select({ { getfd = function() return x:getfd() end, dirty = function() return false end } }, nil, 0)
  say("an object of one's own", #r)
  local u = s.udp()
  u:setsockname("127.0.0.1", 0)
  r, w, err = s.select({ server, u }, { u }, 0)
  say("a server and udp", #r, #w, err)
  c:close()
  x:close()
  u:close()
end

-- ---- UDP, names, exceptions -----------------------------------------------------------------------------------------

local function datagrams()
  local u, v = s.udp(), s.udp()
  say("new", u, u:getfamily(), u:getfd(), u:getsockname())
  say("bind", v:setsockname("127.0.0.1", 0), v:getsockname())
  local _, port = v:getsockname()
  v:settimeout(0.03)
  say("sendto", u:sendto("one", "127.0.0.1", port), u:sendto("two", "127.0.0.1", tostring(port)))
  say("sendto a name", (u:sendto("x", "localhost", port)))
  say("receivefrom", v:receivefrom())
  say("shorter", v:receive(2))
  say("none", v:receive())
  say("none", v:receivefrom())
  try("send unconnected", function() u:send "x" end)
  say("connect", u:setpeername("127.0.0.1", port), u, u:getpeername())
  try("sendto connected", function() u:sendto("x", "127.0.0.1", 9) end)
  say("send", u:send "", u:send "three")
  say("empty", v:receive())
  say("three", v:receive())
  say("disconnect", u:setpeername "*", u)
  say("refused", u:setpeername("127.0.0.1", 1), u:send "x")
  s.sleep(0.01)
  u:settimeout(0.03)
  say("refused", u:send "x")
  say("options", u:setoption("broadcast", true), u:getoption "broadcast", u:getoption "reuseaddr")
  say("group", v:setoption("ip-add-membership", { multiaddr = "239.1.2.3", interface = "127.0.0.1" }))
  try("no group", function() v:setoption("ip-add-membership", {}) end)
  say("ttl", v:setoption("ip-multicast-ttl", 3), v:getoption "ip-multicast-loop")
  say("dirty", u:dirty(), u:close(), u:close())
  say("closed", u:getsockname())
end

local function names()
  say("host", s.dns.gethostname())
  for _, name in ipairs { "localhost", "127.0.0.1", "no..body" } do
    say("toip " .. name, s.dns.toip(name))
    say("tohostname " .. name, s.dns.tohostname(name))
    say("getaddrinfo " .. name, s.dns.getaddrinfo(name))
    say("getnameinfo " .. name, s.dns.getnameinfo(name))
  end
  say("service", s.dns.getnameinfo(nil, "80"))
  try("neither", s.dns.getnameinfo)
end

local function exceptions()
  local try_it = s.newtry(function() say "finalizer" end)
  say("protect", s.protect(function() return 1, 2 end)())
  say("try", s.protect(function() s.try(nil, "oops") end)())
  say("finalized", s.protect(function() try_it(false, "boo") end)())
  say("passed", try_it(1, nil, 3))
  try("error", s.protect(function() error("plain", 0) end))
  say("table", select(2, s.protect(function() s.try(nil, { code = 1 }) end)()))
  say("skip", s.skip(1, 1, 2, 3), s.skip(0, "a"))
  try("sleep", function() s.sleep "x" end)
  say("time", math.abs(s.gettime() - os.time()) < 2)
end

-- ---- sources and sinks ----------------------------------------------------------------------------------------------

local function filters(server)
  local c, x = pairs_of(server)
  local sink = s.sink("keep-open", c)
  say("sink", sink "some", sink "thing", sink(nil), sink:getfd() == c:getfd(), sink:dirty())
  local source = s.source("by-length", x, 6)
  say("source", source(), source(), source:getfd() == x:getfd())
  local closing = s.sink("close-when-done", c)
  say("closing", closing "last", closing(nil), c:getfd())
  local rest = s.source("until-closed", x)
  say("rest", rest(), rest(), x:getfd())
  try("unknown", function() s.sink("none", c) end)
  say("default", s.source(s.tcp()) ~= nil, s.sourcet.default == s.sourcet["until-closed"])
end

masters()
local server = servers()
receives(server)
ends(server)
selects(server)
datagrams()
names()
exceptions()
filters(server)
