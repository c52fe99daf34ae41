-- SPDX-License-Identifier: MIT
-- Numbers of what a state does.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local families = require "braid.telemetry.families"
local sources = require "braid.telemetry.metrics"
local test, answer = helper.test, scripted.answer

-- The pool of this name in the metrics.
local function pool_named(metrics, name)
  for _, pool in ipairs(metrics.pools) do
    if pool.name == name then return pool end
  end
end

describe("metrics", function()
  test("count tasks, jobs and requests", scripted.with(function() return answer(200, "ok") end, function(base)
    local before = braid.metrics()
    local session <close> = braid.http.session()
    for _ = 1, 3 do assert(session:get(base)) end
    local pool <close> = braid.thread_pool { workers = 2, name = "crew" }
    assert.equal(5, pool:submit(function() return 5 end):result())
    local failed = pool:submit(function() error("on purpose", 0) end)
    failed:wait()
    assert.equal("on purpose", failed:error())
    local running = braid.metrics().tasks.running
    local task = braid.spawn(braid.sleep, 60)
    braid.sleep(0)
    local now = braid.metrics()
    assert.equal(running + 1, now.tasks.running)
    assert.equal(before.http.requests + 3, now.http.requests)
    assert.equal(before.http.reused + 2, now.http.reused)
    assert.equal(before.http.sessions + 1, now.http.sessions)
    local crew = pool_named(now, "crew")
    assert.same({ "thread_pool", 2, 1, 1, 0 }, { crew.kind, crew.workers, crew.done, crew.failed, crew.running })
    assert.is_true(now.process.cpu > 0 and now.process.lua_memory > 0 and now.loop.idle >= 0)
    task:cancel()
  end))

  test("know queues, the loop's lag, servers and the process", function()
    braid.metrics()
    local queue = braid.queue()
    local before = braid.metrics()
    queue:put "a"
    queue:put(2)
    local deadline = braid.now() + 0.02
    while braid.now() < deadline do end
    braid.sleep(0.001)
    local now = braid.metrics()
    assert.same({ before.queues.open, before.queues.items + 2 }, { now.queues.open, now.queues.items })
    assert.is_true(now.loop.lag >= 0.02 and now.loop.lag < 20)
    assert.is_true(braid.metrics().loop.lag < now.loop.lag)
    queue:close()
    assert.equal(before.queues.open - 1, braid.metrics().queues.open)
    assert.is_true(now.process.seconds > 0 and now.process.descriptors > 2 and now.process.memory > 100000)
    local app = braid.web.app()
    app:get("/", function() return "here" end)
    local server <close> = app:start { port = 0 }
    assert(braid.http.get(server.url))
    local web = braid.metrics().web
    assert.is_true(web.servers >= 1 and web.accepted >= 1 and web.connections >= 1)
    assert.equal(0, web.requests)
    braid.http.close()
  end)

  test("of a closed session still count", scripted.with(function() return answer(200, "ok") end, function(base)
    local before = braid.metrics().http
    local session = braid.http.session()
    assert(session:get(base))
    session:close()
    session:close()
    assert.equal(before.requests + 1, braid.metrics().http.requests)
  end))

  test("have Prometheus's form", function()
    local pool <close> = braid.inline_pool { name = 'a "b"\\\n' }
    pool:submit(function() end)
    local text = braid.metrics("prometheus")
    local seen
    for line in text:gmatch("([^\n]*)\n") do
      local kind = line:match("^# TYPE [%a_]+ (%a+)$")
      assert.is_true(kind == "gauge" or kind == "counter" or line:find("^# HELP [%a_]+ .+%.$") ~= nil or
        line:find("^[%a_]+ %-?[%d.e+-]+$") ~= nil or line:find('^[%a_]+{%a+=".*"} [%d.e+-]+$') ~= nil, line)
      seen = seen or line:find('outcome="done"', 1, true) and line:find('pool="a \\"b\\"\\\\\\n"', 1, true)
    end
    assert.is_truthy(seen, text)
    expect.misused("form", braid.metrics, "json")
  end)

  local function numbers(scale)
    return {
      { name = "a.jobs", kind = "counter", help = "Jobs.", points = {
        { labels = { kind = "x" }, value = scale }, { labels = { kind = "y" .. scale }, value = 1 },
      } },
      { name = "a.lag", kind = "gauge", unit = "s", greatest = true, help = "Lag.",
        points = { { labels = {}, value = 0.5 * scale } } },
      { name = "a.time", kind = "histogram", unit = "s", bounds = { 0.1, 1 }, help = "Time.",
        points = { { labels = { route = "/" }, counts = { 1, scale, 0 }, sum = 0.25 * scale, count = 1 + scale } } },
    }
  end

  test("of several processes are added up", function()
    local one, two = numbers(1), numbers(2)
    local sum = families.sum { one, two }
    assert.equal([[
# HELP a_jobs_total Jobs.
# TYPE a_jobs_total counter
a_jobs_total{kind="x"} 3
a_jobs_total{kind="y1"} 1
a_jobs_total{kind="y2"} 1
# HELP a_lag_seconds Lag.
# TYPE a_lag_seconds gauge
a_lag_seconds 1
# HELP a_time_seconds Time.
# TYPE a_time_seconds histogram
a_time_seconds_bucket{route="/",le="0.1"} 2
a_time_seconds_bucket{route="/",le="1"} 5
a_time_seconds_bucket{route="/",le="+Inf"} 5
a_time_seconds_sum{route="/"} 0.75
a_time_seconds_count{route="/"} 5
]], families.prometheus(sum))
    assert.same(numbers(1), one) -- they stay as they were
  end)

  test("can be sent, and have sources of other parts", function()
    local pool <close> = braid.thread_pool(1)
    local theirs = pool:submit(function() return require "braid.telemetry.metrics".families() end):result()
    local function mine() return numbers(1) end
    sources.add_source(mine)
    local sum = families.sum { theirs, sources.families() }
    sources.remove_source(mine)
    assert.is_truthy(families.prometheus(sum):find("\nprocess_cpu_seconds_total [%d.e-]+\n"))
    assert.is_truthy(families.prometheus(sum):find("a_lag_seconds 0.5", 1, true))
  end)

  test("have OpenTelemetry's form", function()
    local sent = braid.json.decode(families.opentelemetry(numbers(1), "shop", 12.5))
    local resource = sent.resourceMetrics[1]
    assert.equal("shop", resource.resource.attributes[1].value.stringValue)
    local jobs, lag, time = table.unpack(resource.scopeMetrics[1].metrics)
    assert.same({ "a.jobs", "1", true, 2 },
      { jobs.name, jobs.unit, jobs.sum.isMonotonic, jobs.sum.aggregationTemporality })
    assert.same({ "1", "12500000000" }, { jobs.sum.dataPoints[1].asInt, jobs.sum.dataPoints[1].startTimeUnixNano })
    assert.same({ "s", 0.5 }, { lag.unit, lag.gauge.dataPoints[1].asDouble })
    local point = time.histogram.dataPoints[1]
    assert.same({ "2", 0.25, "1", "1", 0.1 },
      { point.count, point.sum, point.bucketCounts[1], point.bucketCounts[2], point.explicitBounds[1] })
    local own = braid.json.decode(braid.metrics "opentelemetry").resourceMetrics[1].scopeMetrics[1].metrics
    assert.is_true(#own > 10)
  end)
end)
