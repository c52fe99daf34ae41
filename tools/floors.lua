-- SPDX-License-Identifier: MIT
-- Proves the tower: a C file includes, and a Lua file requires, only what stands below it.
-- usage: lua tools/floors.lua      (in the root of the tree)

-- Bottom up. The C order stands in the Makefile, because the build follows it.
local LUA_FLOORS = {
  "braid.core", "braid.tls_core", "braid.websocket_core", "braid.postgres_core",
  "braid.sqlite_core", "braid.cluster_core",
  "braid.search", "braid.hints", "braid.spelling", "braid.errors", "braid.bytecode", "braid.missing",
  "braid.base64", "braid.units", "braid.progress", "braid.debug.dump", "braid.debug.deadlocks",
  "braid.tasks.scope", "braid.tasks.future", "braid.pools.registry", "braid.tasks.task", "braid.items",
  "braid.tasks.daemon", "braid.tasks.gather", "braid.tasks.every", "braid.sync.queue", "braid.sync.primitives",
  "braid.sync.view", "braid.sync.npy", "braid.sync.mapping",
  "braid.sync.array", "braid.sync.dict", "braid.sync.limiter", "braid.sync.resource_pool",
  "braid.telemetry.context",
  "braid.pools.excerpt", "braid.pools.worker", "braid.pools.outcome", "braid.pools.executor", "braid.pools.inline",
  "braid.pools.task_pool", "braid.pools.thread_pool", "braid.pools.process_pool", "braid.pools.pool",
  "braid.supervision.backoff", "braid.supervision.child", "braid.supervision.supervisor",
  "braid.io.descriptor",
  "braid.io.signals", "braid.io.stream", "braid.io.process", "braid.io.address", "braid.io.udp", "braid.io.proxy",
  "braid.io.tls", "braid.io.net",
  "braid.redis.link", "braid.redis.commands", "braid.redis.pipeline", "braid.redis.transaction",
  "braid.redis.subscription", "braid.redis.stream_reader", "braid.redis.client", "braid.redis",
  "braid.file.numeral", "braid.file.handle", "braid.file.watch", "braid.file",
  "braid.websocket.codec", "braid.websocket.extension", "braid.websocket.url", "braid.websocket.handshake",
  "braid.websocket.connection", "braid.websocket",
  "braid.postgres.settings", "braid.postgres.types", "braid.postgres.link", "braid.postgres.rows",
  "braid.postgres.copies", "braid.postgres.session", "braid.postgres.transaction", "braid.postgres.listener",
  "braid.postgres.connection", "braid.postgres.pool", "braid.postgres",
  "braid.luasocket.texts", "braid.luasocket.object", "braid.luasocket.tcp", "braid.luasocket.ssl",
  "braid.luasocket.udp",
  "braid.luasocket.dns", "braid.luasocket.select", "braid.luasocket.except", "braid.luasocket.socket",
  "braid.luasocket.unix", "braid.luasocket",
  "braid.sqlite.rows", "braid.sqlite.connection", "braid.sqlite",
  "braid.cluster.settings", "braid.cluster.link", "braid.cluster.jetstream", "braid.cluster.streams",
  "braid.cluster.cargo", "braid.cluster.pieces", "braid.cluster.wire", "braid.cluster.call", "braid.cluster.home",
  "braid.cluster.results", "braid.cluster.inspection", "braid.cluster.kv", "braid.cluster.value", "braid.cluster.dict",
  "braid.cluster.flags", "braid.cluster.lease", "braid.cluster.queue", "braid.cluster.objects", "braid.cluster.pool",
  "braid.cluster", "braid.cluster.inside", "braid.cluster.pull", "braid.cluster.courier", "braid.cluster.worker",
  "braid.kernels.numbers",
  "braid.kernels.vectors", "braid.kernels.compile.types", "braid.kernels.compile.fault",
  "braid.kernels.compile.lexer", "braid.kernels.compile.parser",
  "braid.kernels.compile.mathematics", "braid.kernels.compile.checker", "braid.kernels.compile.prelude",
  "braid.kernels.compile.folding", "braid.kernels.compile.ranges", "braid.kernels.compile.writer",
  "braid.kernels.compile.expressions", "braid.kernels.compile.statements", "braid.kernels.compile.emitter",
  "braid.kernels.compile.program",
  "braid.kernels.compile.conflicts", "braid.kernels.compile.source", "braid.kernels.compile.compiler",
  "braid.kernels.compile.interpreter", "braid.kernels.compile.kernel",
  "braid.kernels.random", "braid.kernels.selection", "braid.kernels.matrices", "braid.kernels.comparisons",
  "braid.kernels.groups", "braid.kernels.series", "braid.kernels.linear",
  "braid.document", "braid.kernels.csv",
  "braid.kernels", "braid.json", "braid.debug.trace",
  "braid.testing.trace", "braid.testing.schedule", "braid.testing.clock", "braid.testing.stand_in",
  "braid.testing.attempt", "braid.testing.search", "braid.testing.failure", "braid.testing.leaks", "braid.testing",
  "braid.http.media_types",
  "braid.http.body", "braid.http.multipart", "braid.http.date", "braid.http.retry", "braid.http.query",
  "braid.http.fields", "braid.http.request",
  "braid.http.links", "braid.http.response", "braid.http.outcome", "braid.http.redirect", "braid.http.hooks",
  "braid.http.freshness", "braid.http.cache", "braid.http.download", "braid.http.resume", "braid.http.attempt",
  "braid.http.exchange", "braid.http.event_parser", "braid.http.events", "braid.http.session", "braid.http",
  "braid.telemetry.otlp", "braid.telemetry.families", "braid.telemetry.metrics", "braid.telemetry.exporter",
  "braid.telemetry",
  "braid.web.headers", "braid.web.cookies",
  "braid.web.response", "braid.web.formats", "braid.web.schema", "braid.web.validator", "braid.web.checks",
  "braid.web.pattern", "braid.web.openapi", "braid.web.page_style", "braid.web.page_script", "braid.web.page",
  "braid.web.documents", "braid.web.compress", "braid.web.decoding", "braid.web.multipart",
  "braid.web.chain", "braid.web.limits", "braid.web.origins", "braid.web.networks",
  "braid.web.forwarded", "braid.web.websocket", "braid.web.access_log", "braid.web.request", "braid.web.router",
  "braid.web.static", "braid.web.routes", "braid.web.sessions", "braid.web.cors", "braid.web.limiter",
  "braid.web.proxies", "braid.web.meter",
  "braid.web.listeners",
  "braid.web.options", "braid.web.server", "braid.web.worker", "braid.web.supervisor",
  "braid.web.watcher", "braid.web.serve",
  "braid.web.test_client", "braid.web.app", "braid.web", "braid.experiments.statistics",
  "braid.experiments.machine", "braid.experiments.plot", "braid.experiments.report", "braid.experiments.cluster",
  "braid.experiments",
  "braid.advice.calibration", "braid.advice.profile", "braid.advice.estimate", "braid.advice.pilot",
  "braid.advice.advice", "braid.advice", "braid",
  "braid.tutorial.outline", "braid.tutorial.load", "braid.tutorial.delay_server",
  "braid.tutorial.lab",
  "braid.tutorial.concepts", "braid.tutorial.fetching", "braid.tutorial.computing", "braid.tutorial.pipeline",
  "braid.tutorial.service", "braid.tutorial.primitives",
  "braid.tutorial.cluster", "braid.tutorial.databases", "braid.tutorial.pitfalls", "braid.tutorial",
  "braid.command.options", "braid.command.serve", "braid.command.run", "braid.command.tutorial",
  "braid.profile.stacks", "braid.profile.forms", "braid.profile.page", "braid.profile.collector",
  "braid.command.advise", "braid.command.ps", "braid.command.profile", "braid.command.env",
  "braid.command.connection", "braid.command.worker", "braid.command.cluster",
  "braid.command.top.sample", "braid.command.top.views", "braid.command.top.screen", "braid.command.top.keys",
  "braid.command.top", "braid.command",
}

local failures = 0

local function complain(file, line, format, ...)
  failures = failures + 1
  print(("%s:%d: %s"):format(file, line, format:format(...)))
end

local function read(file)
  local handle <close> = assert(io.open(file))
  return handle:read("a")
end

local function find(command)
  local files = {}
  local output <close> = assert(io.popen(command))
  for file in output:lines() do files[#files + 1] = file end
  return files
end

-- ---- C --------------------------------------------------------------------------------------------------------------

-- height["csrc/core/loop/loop.h"]: the place of a file. A name stands for its header and its source; one that ends in
-- .h for the header alone, and the source then stands where the bare name does.
local height, top = {}, 0

-- The rooms in the order of the Makefile's lists, which is that of the tower.
local function stack(room, list)
  local folder = "csrc/" .. room .. "/"
  for name in list:gmatch("%S+") do
    top = top + 1
    if name:find("%.h$") then
      height[folder .. name] = top
    else
      height[folder .. name .. ".h"] = height[folder .. name .. ".h"] or top
      height[folder .. name .. ".c"] = top
    end
  end
end

-- Locks live in the core; what Lua sees only calls it.
local LOCKS = { "pthread_mutex_%a", "pthread_cond_%a", "pthread_rwlock_%a", "pthread_spin_%a", "braid_guard_%a" }

local function check_locks(file, number, line)
  for _, lock in ipairs(LOCKS) do
    local used = line:match(lock .. "+")
    if used then complain(file, number, "uses %s: locks live in csrc/core", used) end
  end
end

local LUA_HEADERS = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true, ["luaconf.h"] = true }

local function check_c(file)
  local knows_lua, number = file:find("^csrc/lua/") ~= nil, 0
  if not height[file] then complain(file, 1, "stands in no list of the Makefile") return end
  for line in io.lines(file) do
    number = number + 1
    if knows_lua then check_locks(file, number, line) end
    local own, foreign = line:match('^%s*#%s*include%s*"([^"]+)"'), line:match("^%s*#%s*include%s*<([^>]+)>")
    local target = own and "csrc/" .. own
    if target and not height[target] then
      complain(file, number, "includes %s, which stands in no list of the Makefile", target)
    elseif target and height[target] > height[file] then
      complain(file, number, "includes %s, which stands above it", target)
    elseif target and not knows_lua and target:find("^csrc/lua/") then
      complain(file, number, "knows Lua: only csrc/lua may")
    elseif foreign and not knows_lua and LUA_HEADERS[foreign] then
      complain(file, number, "knows Lua: only csrc/lua may")
    end
  end
end

local makefile = read("Makefile"):gsub("%s*\\\n%s*", " ")
for room, list in ("\n" .. makefile):gmatch("\n([clk][%l/]*) :=([^\n]*)") do
  if find("test -d csrc/" .. room .. " && echo it is a room")[1] then stack(room, list) end
end
local c_files = find("find csrc -name '*.[ch]' | sort")
for _, file in ipairs(c_files) do check_c(file) end

-- ---- Lua ------------------------------------------------------------------------------------------------------------

local storey = {}
for i, name in ipairs(LUA_FLOORS) do storey[name] = i end

local function check_lua(file)
  local module = file:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
  local number = 0
  if not storey[module] then complain(file, 1, "stands in no list of tools/floors.lua") return end
  for line in io.lines(file) do
    number = number + 1
    for name in line:gsub("%-%-.*", ""):gmatch("require%s*%(?%s*[\"'](braid[%w_.]*)[\"']") do
      local is_part = module == "braid" and name == "braid." -- the face loads each part when it is first touched
      if not storey[name] and not is_part then
        complain(file, number, "requires %s, which stands in no list of tools/floors.lua", name)
      elseif not is_part and storey[name] >= storey[module] then
        complain(file, number, "requires %s, which stands above it", name)
      end
    end
  end
end

local lua_files = find("find lua -name '*.lua' | sort")
for _, file in ipairs(lua_files) do check_lua(file) end

-- ---------------------------------------------------------------------------------------------------------------------

print(("floors: %d C files, %d Lua files, %d out of place"):format(#c_files, #lua_files, failures))
os.exit(failures == 0)
