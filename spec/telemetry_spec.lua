-- SPDX-License-Identifier: MIT
-- Spans, and how they reach a collector: a small one of the test.
local expect = require "spec.expect"
local helper = require "spec.helper"
local scripted = require "spec.scripted_server"
local braid = require "braid"
local telemetry = require "braid.telemetry"
local test, misused, answer = helper.test, expect.misused, scripted.answer

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
            spans[span.name] = span
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
    assert.equal("none", by_target["POST/v1/traces"])
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

  test("costs nobody anything where no collector is, or it fails", function()
    assert.equal(3, braid.span("alone", nil, function() return 3 end))
    local script = [[
      local braid = require "braid"
      braid.telemetry { endpoint = "http://127.0.0.1:1", service = "s" }
      braid.run(function() for i = 1, 3 do braid.span("a", nil, braid.sleep, 0.01) end end)
      print "done"
    ]]
    local result = assert(braid.process.run({ helper.lua, "-e", script }, { stdout = "pipe", stderr = "pipe" }))
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
