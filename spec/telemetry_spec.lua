-- SPDX-License-Identifier: MIT
-- Spans, and how they reach a collector: a small one of the test.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local context = require "braid.telemetry.context"
local core = require "braid.core"
local telemetry = require "braid.telemetry"
local test, misused, answer = helper.test, expect.misused, scripted.answer

-- What is sent when a state closes needs objects that are made then, and Lua collects these no more.
local AT_THE_END = { stdout = "pipe", stderr = "pipe", env = { ASAN_OPTIONS = "detect_leaks=0" } }

-- A test function: fn(base, spans, log): spans by name, as the collector got them.
local function with(fn)
  return function()
    local spans, seen = {}, {}
    scripted.with(function(request)
      seen[#seen + 1] = request
      if request.target ~= "/v1/traces" then return answer(request.target == "/broken" and 500 or 200, "ok") end
      for _, resource in ipairs(braid.json.decode(request.body).resourceSpans) do
        for _, group in ipairs(resource.scopeSpans) do
          for _, span in ipairs(group.spans) do
            span.service = resource.resource.attributes[1].value.stringValue
            spans[span.name], spans[#spans + 1] = span, span
          end
        end
      end
      return answer(200, "{}", { ["Content-Type"] = "application/json" })
    end, function(base) fn(base, spans, seen) end)()
    braid.http.close()
  end
end

local function attributes(span)
  local map = {}
  for _, each in ipairs(span.attributes) do map[each.key] = select(2, next(each.value)) end
  return map
end

describe("a span", function()
  test("has a name, a time, attributes and a parent", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local a, b = braid.span("outer", { shop = "x", n = 5, f = 0.5, yes = true }, function(...)
      braid.span("inner", nil, braid.sleep, 0.02)
      return ...
    end, 1, 2)
    assert.same({ 1, 2 }, { a, b })
    assert.is_true(exporter:flush())
    local outer, inner = spans.outer, spans.inner
    assert.same({ "shop", 1, 0 }, { outer.service, outer.kind, outer.status.code })
    assert.same({ shop = "x", n = "5", f = 0.5, yes = true }, attributes(outer))
    assert.same({ outer.traceId, outer.spanId }, { inner.traceId, inner.parentSpanId })
    assert.is_nil(outer.parentSpanId)
    assert.is_truthy(outer.traceId:find("^" .. ("%x"):rep(32) .. "$"))
    assert.is_true(math.tointeger(inner.endTimeUnixNano) - math.tointeger(inner.startTimeUnixNano) >= 20000000)
    assert.is_true(math.abs(math.tointeger(outer.startTimeUnixNano) / 1e9 - os.time()) < 60)
  end))

  test("notes what fails, and raises it", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local raised = setmetatable({}, { __tostring = function() return "a reason" end })
    local ok, err = pcall(braid.span, "fails", nil, function() error(raised) end)
    assert.is_true(not ok and err == raised)
    assert.is_false((pcall(braid.span, "text", nil, error, "told", 0)))
    exporter:flush()
    assert.same({ code = 2, message = "told" }, spans.text.status)
    assert.equal(2, spans.fails.status.code)
    assert.is_true(braid.move_on_after(5, braid.span, "after", nil, function() end))
  end))

  test("goes along with tasks and requests", with(function(base, spans, log)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    braid.span("outer", nil, function()
      braid.gather {
        function() braid.span("task", nil, braid.sleep, 0) end,
        function()
          assert(braid.http.get(base .. "/page"))
          assert(braid.http.post(base .. "/broken", { headers = { traceparent = "mine" } }))
          assert(braid.http.put(base .. "/broken"))
          assert.is_nil((braid.http.delete("http://127.0.0.1:1/")))
        end,
      }
    end)
    assert(braid.http.get(base .. "/outside"))
    exporter:flush()
    assert.equal(spans.outer.spanId, spans.task.parentSpanId)
    local page, by_target = spans.GET, {}
    for _, request in ipairs(log) do
      by_target[request.method .. request.target] = request.headers.traceparent or "none"
    end
    assert.equal(("00-%s-%s-01"):format(page.traceId, page.spanId), by_target["GET/page"])
    assert.equal("mine", by_target["POST/broken"])
    assert.equal("none", by_target["GET/outside"])
    assert.is_truthy(by_target["POST/v1/traces"]:find "%-00$")
    assert.same({ spans.outer.spanId, 3 }, { page.parentSpanId, page.kind })
    assert.same({
      ["http.request.method"] = "GET", ["url.full"] = base .. "/page", ["http.response.status_code"] = "200",
    }, attributes(page))
    assert.equal(2, spans.PUT.status.code)
    assert.equal("COULDNT_CONNECT", attributes(spans.DELETE)["error.type"])
  end))

  test("continues the trace of a caller", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop", sample = 0 }
    local trace, span = ("ab"):rep(16), ("cd"):rep(8)
    local header = ("00-%s-%s-01"):format(trace, span)
    assert.equal(5, telemetry.continue(header, braid.span, "told", nil, function() return 5 end))
    telemetry.continue(header:gsub("01$", "00"), braid.span, "unsampled", nil, function() end)
    local zeros = ("00-%s-%s-01"):format(("0"):rep(32), span)
    for _, bad in ipairs { "", "x", "ff-" .. header:sub(4), header:upper(), zeros } do
      telemetry.continue(bad, braid.span, "bad", nil, function() end)
    end
    exporter:flush()
    assert.same({ trace, span }, { spans.told.traceId, spans.told.parentSpanId })
    assert.is_nil(spans.unsampled)
    assert.is_nil(spans.bad)
  end))

  test("passes tracestate on, and reads later versions of the header", with(function(base, _, log)
    local trace, span = ("ab"):rep(16), ("cd"):rep(8)
    local theirs = context.read(("cc-%s-%s-03-more"):format(trace, span), "a=1,b=2")
    assert.same({ trace = trace, span = span, sampled = true, state = "a=1,b=2" }, theirs)
    assert.is_nil(context.read(("00-%s-%s-01-more"):format(trace, span)))
    assert.is_nil(context.read(("cc-%s-%s-01more"):format(trace, span)))
    context.begin()
    context.swap(theirs)
    assert(braid.http.get(base .. "/page"))
    context.swap(nil)
    assert.equal("a=1,b=2", log[1].headers.tracestate)
    assert.is_truthy(log[1].headers.traceparent:find("^00%-" .. trace .. "%-%x+%-01$"))
  end))

  test("costs nobody anything where no collector is, or it fails", function()
    assert.equal(3, braid.span("alone", nil, function() return 3 end))
    local script = [[
      local braid = require "braid"
      braid.telemetry { endpoint = "http://127.0.0.1:1", service = "s" }
      braid.run(function() for i = 1, 3 do braid.span("a", nil, braid.sleep, 0.01) end end)
      print "done"
    ]]
    local result = assert(braid.process.run({ helper.lua, "-e", script }, AT_THE_END))
    assert.equal("done\n", result.stdout)
    assert.equal(1, select(2, result.stderr:gsub("cannot be sent", "")))
    assert.equal(0, result.code)
  end)

  test("is refused where it makes no sense", function()
    misused("endpoint", braid.telemetry, {})
    misused("service", braid.telemetry, { endpoint = "http://a" })
    misused("a URL", braid.telemetry, { endpoint = "a", service = "s" })
    misused("0 to 1", braid.telemetry, { endpoint = "http://a", service = "s", sample = 2 })
    misused("did you mean 'sample'", braid.telemetry, { endpoint = "http://a", service = "s", samples = 1 })
    misused("'name'", braid.span, nil, nil, print)
    misused("attributes", braid.span, "a", 5, print)
    misused("attributes", braid.span, "a", { b = {} }, print)
    misused("fn", braid.span, "a", nil)
  end)
end)

-- ---- over borders ---------------------------------------------------------------------------------------------------

local function job(name)
  return braid.span(name, { where = "worker" }, function() return braid.current() ~= nil end)
end

-- Fails if the spans do not hang together: each is the child of the one before.
local function chain(spans, ...)
  local before
  for _, name in ipairs { ... } do
    local span = assert(spans[name], name .. " is missing")
    if before then assert.same({ before.traceId, before.spanId }, { span.traceId, span.parentSpanId }) end
    before = span
  end
end

describe("the context of a span", function()
  for _, kind in ipairs { "thread_pool", "process_pool", "task_pool", "inline_pool" } do
    test("goes along with jobs of a " .. kind, with(function(base, spans)
      local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
      local pool <close> = braid[kind](1)
      braid.span("outer", nil, function()
        assert.is_true(pool:submit(job, "job"):result())
        assert.is_true(pool:map(job, { "mapped" })[1])
      end)
      pool:submit(job, "alone"):result()
      assert.is_true(exporter:flush())
      chain(spans, "outer", "job")
      chain(spans, "outer", "mapped")
      assert.is_nil(spans.alone.parentSpanId)
      assert.equal("worker", attributes(spans.job).where)
    end))
  end

  test("is shown nowhere as a part of the job", with(function(base)
    local _ <close> = braid.telemetry { endpoint = base, service = "shop" }
    local pool <close> = braid.process_pool(1)
    local started, go = braid.event(), braid.event()
    local function hold(event, other)
      event:set()
      other:wait()
    end
    local future = pool:submit(hold, started, go)
    started:wait()
    local line = debug.getinfo(hold, "S").linedefined
    expect.contains(braid.dump(false), ("telemetry_spec.lua:%d, for"):format(line))
    go:set()
    future:result()
    local ok, err = pcall(pool.submit, pool, print, coroutine.create(print))
    assert.is_true(not ok and tostring(err):find("argument 2", 1, true) ~= nil)
  end))

  local function consume(queue)
    for item in queue:items() do braid.span("got " .. tostring(item), nil, braid.sleep, 0) end
  end

  local function produce(queue)
    braid.span("put", nil, function()
      queue:put "one"
      braid.select { { queue, "put", 2 } }
    end)
    queue:put "last"
    queue:close()
  end

  local function check(exporter, spans)
    assert.is_true(exporter:flush())
    chain(spans, "put", "got one")
    chain(spans, "put", "got 2")
    assert.is_nil(spans["got last"].parentSpanId)
  end

  test("goes along with the items of a queue", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local queue = braid.queue()
    braid.gather { function() consume(queue) end, function() produce(queue) end }
    check(exporter, spans)
  end))

  for _, kind in ipairs { "thread_pool", "process_pool" } do
    test("goes along with items to and from a " .. kind, with(function(base, spans)
      local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
      local pool <close> = braid[kind](1)
      local queue, back = braid.queue(), braid.queue()
      local future = pool:submit(consume, queue)
      produce(queue)
      future:result()
      check(exporter, spans)
      braid.span("ask", nil, function()
        pool:submit(function(q)
          braid.span("answer", nil, function() q:put { 1 } end)
        end, back):result()
      end)
      assert.same({ 1 }, back:get())
      braid.span("after", nil, function() end)
      exporter:flush()
      chain(spans, "ask", "answer", "after")
    end))
  end

  test("of an item is a link in a span of one's own", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local queue = braid.queue()
    braid.span("put", nil, queue.put, queue, "x")
    braid.span("mine", nil, function()
      assert.equal("x", queue:get())
      braid.span("inside", nil, function() end)
    end)
    exporter:flush()
    chain(spans, "mine", "inside")
    assert.is_nil(spans.mine.parentSpanId)
    assert.same({ { traceId = spans.put.traceId, spanId = spans.put.spanId } }, { table.unpack(spans.mine.links) })
  end))

  test("goes along to other machines without what is shared here", with(function(base)
    local _ <close> = braid.telemetry { endpoint = base, service = "shop" }
    local bytes, objects = core.freeze("argument", print, 1)
    assert.same({ print, 1 }, { core.thaw(bytes, objects) })
    braid.span("far", nil, function()
      bytes, objects = core.freeze("argument", job, 1)
      assert.is_truthy(bytes:find(context.current().span, 1, true))
    end)
    assert.equal("function", type((core.thaw(bytes, objects))))
    context.swap(nil)
  end))

  test("stays out of values: priorities, tables by reference, closed queues", with(function(base)
    local _ <close> = braid.telemetry { endpoint = base, service = "shop" }
    braid.span("put", nil, function()
      local queue, item = braid.queue(0, { order = "priority" }), { 1, "a" }
      queue:put { 2, "b" }
      queue:put(item)
      assert.equal(item, queue:get())
      local plain <const> = braid.queue(1)
      assert.is_true(plain:try_put(true))
      assert.equal("full", select(2, plain:try_put(5)).kind)
      assert.is_true(plain:get())
      plain:close()
      assert.equal("closed", select(2, plain:put(5)).kind)
      local dict = braid.dict()
      dict:set("a", { 5 })
      assert.same({ 5 }, dict:get "a")
    end)
  end))

  local function shop()
    local app = braid.web.app()
    app:get("/items/{id}", function(request)
      return braid.span("handler", nil, function() return "item " .. request.params.id end)
    end)
    app:get("/fails", function() error "on purpose" end)
    return app
  end

  test("goes along with requests, from client to server", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local app = shop()
    local server <close> = app:start { port = 0 }
    braid.span("outer", nil, function() assert(braid.http.get(server.url .. "/items/5?x=1")) end)
    assert.equal("item 6", app:test_client():get("/items/6", {
      headers = { traceparent = ("00-%s-%s-01"):format(("ab"):rep(16), ("cd"):rep(8)) },
    }).body)
    exporter:flush()
    assert.equal(("ab"):rep(16), spans.handler.traceId)
    local served = spans[3]
    assert.same({ "GET /items/{id}", 2 }, { spans[2].name, spans[2].kind })
    assert.same({ "GET", 3 }, { served.name, served.kind })
    chain({ outer = spans.outer, GET = served, server = spans[2], handler = spans[1] }, "outer", "GET", "server",
      "handler")
    local known = attributes(spans[2])
    assert.same({ "GET", "/items/5", "/items/{id}", "200", "127.0.0.1" }, {
      known["http.request.method"], known["url.path"], known["http.route"], known["http.response.status_code"],
      known["client.address"],
    })
  end))

  test("does not trace what a collector of the same program takes", function()
    local app, names = braid.web.app(), {}
    app:post("/v1/traces", function(request)
      for _, span in ipairs(request:json().resourceSpans[1].scopeSpans[1].spans) do names[#names + 1] = span.name end
    end)
    local server <close> = app:start { port = 0 }
    local exporter <close> = braid.telemetry { endpoint = server.url, service = "shop" }
    braid.span("mine", nil, function() end)
    for _ = 1, 3 do exporter:flush() end
    assert.same({ "mine" }, names)
    exporter:close()
    braid.http.close()
  end)

  test("shows failures of handlers", with(function(base, spans)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local app = shop()
    local told = expect.stderr_of(function() assert.equal(500, app:test_client():get("/fails").status) end)
    assert.is_truthy(told:find("on purpose", 1, true))
    app:test_client():get("/nowhere")
    exporter:flush()
    assert.equal(2, spans["GET /fails"].status.code)
    assert.equal("404", attributes(spans.GET)["http.response.status_code"])
    assert.equal(0, spans.GET.status.code)
  end))
end)

describe("an exporter", function()
  -- Answers with these statuses, one after the other; then with 200.
  local function collector(statuses, fn, headers)
    return function()
      local batches = {}
      scripted.with(function(request)
        batches[#batches + 1] = braid.json.decode(request.body).resourceSpans[1].scopeSpans[1].spans
        return answer(table.remove(statuses, 1) or 200, "{}", headers)
      end, function(base) fn(base, batches) end)()
      braid.http.close()
    end
  end

  test("tries again what may pass", collector({ 503, 429 }, function(base, batches)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    braid.span("a", nil, function() end)
    assert.is_true(exporter:flush(20))
    assert.equal(3, #batches)
    assert.equal(0, exporter:lost())
  end, { ["Retry-After"] = "0" }))

  test("drops what is refused for good, and says so once", collector({ 400, 400 }, function(base, batches)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    local told = expect.stderr_of(function()
      for _ = 1, 3 do
        braid.span("a", nil, function() end)
        exporter:flush()
      end
    end)
    assert.equal(1, select(2, told:gsub("status 400", "")))
    assert.same({ 3, 2 }, { #batches, exporter:lost() })
  end))

  test("sends batches, and keeps a bounded number of spans", collector({}, function(base, batches)
    local exporter <close> = braid.telemetry { endpoint = base, service = "shop" }
    for i = 1, 5000 do braid.span("span " .. i, nil, function() end) end -- the task that sends has no turn meanwhile
    assert.is_true(exporter:flush(30))
    local count = 0
    for _, batch in ipairs(batches) do
      count = count + #batch
      assert.is_true(#batch <= 512)
    end
    assert.equal(5000, count + exporter:lost())
    assert.is_true(count >= 4096)
  end))

  test("delays nobody: a span does not wait for a collector that hangs", function()
    local listener = assert(braid.net.listen("127.0.0.1", 0)) -- takes connections, and never answers
    local exporter = braid.telemetry { endpoint = "http://127.0.0.1:" .. listener.port, service = "s" }
    braid.scope(function()
      for _ = 1, 2000 do braid.span("a", nil, braid.sleep, 0) end
    end)
    assert.is_false(exporter:flush(0.05))
    listener:close()
    local told = expect.stderr_of(function() exporter:close() end)
    assert.is_true(told == "" or told:find("cannot be sent", 1, true) ~= nil)
  end)

  test("sends what is left at the end of a script and of a run, also of workers", collector({}, function(base, batches)
    local script = ([[
      local braid = require "braid"
      braid.telemetry { endpoint = %q, service = "s" }
      local pool = braid.process_pool(1)
      local function main()
        braid.span("run", nil, function()
          pool:submit(function() return require "braid".span("job", nil, function() end) end)
        end)
      end
      if arg[1] == "run" then braid.run(main) else main() end
    ]]):format(base)
    for _, how in ipairs { "run", "script" } do
      local path = os.tmpname()
      local file <close> = assert(io.open(path, "w"))
      file:write(script)
      file:close()
      local result = assert(braid.process.run({ helper.lua, path, how }, AT_THE_END))
      os.remove(path)
      assert.same({ 0, "" }, { result.code, result.stderr })
      local names = {}
      for _, batch in ipairs(batches) do
        for _, span in ipairs(batch) do names[#names + 1] = span.name end
      end
      table.sort(names)
      assert.same({ "job", "run" }, names)
      for i = #batches, 1, -1 do batches[i] = nil end
    end
  end))
end)
