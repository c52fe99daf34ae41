-- SPDX-License-Identifier: MIT
-- Experiments: every model is run, measured and compared; the report says so in every form.
local helper = require "spec.helper"
local braid = require "braid"
local plot = require "braid.experiments.plot"
local statistics = require "braid.experiments.statistics"
local test = helper.test

local function waiting(x)
  braid.sleep(0.01)
  return { x, x * x }
end

local function small(opts)
  local all = { name = "a < b & c", work = waiting, items = { 1, 2, 3, 4, 5, 6 }, repeats = 2, warmup = 0,
    models = { "inline", "tasks", "threads" } }
  for name, value in pairs(opts or {}) do all[name] = value end
  return braid.experiment(all)
end

-- Whether every element that is opened is closed, in order.
local function is_balanced(xml)
  local open = {}
  for slash, name, tail in xml:gsub("<!.->", ""):gmatch "<(/?)([%w]+)([^>]*)>" do
    if slash == "/" then
      if table.remove(open) ~= name then return false end
    elseif tail:sub(-1) ~= "/" and name ~= "meta" then
      open[#open + 1] = name
    end
  end
  return #open == 0
end

describe("braid.experiment", function()
  test("measures the same work under each model", function()
    local report = small()
    assert.equal(3, #report.models)
    local inline, tasks, threads = table.unpack(report.models)
    assert.equal("threads", threads.name)
    assert.is_true(report.same)
    for _, model in ipairs(report.models) do
      assert.equal(2, #model.times)
      assert.is_true(model.low <= model.median and model.median <= model.high)
      assert.is_true(model.cpu >= 0 and model.busy < 1.5)
    end
    assert.is_true(inline.median >= 0.06, "six waits, one after the other")
    assert.is_true(tasks.speedup > 1.5, "the waits overlap: " .. tasks.speedup)
    assert.equal("tasks", small { models = { "inline", "tasks" } }.fastest.name)
    assert.equal(1, #inline.lanes)
    assert.equal(6, #inline.lanes[1])
    assert.is_true(#tasks.lanes > 1)
  end)

  test("works inside a task, and with models that say more", function()
    local report = helper.run(function()
      return small {
        models = { "inline", { kind = "tasks", name = "two tasks", workers = 2 }, { kind = "threads", workers = 3 } },
      }
    end)
    assert.equal("two tasks", report.models[2].name)
    assert.equal(3, report.models[3].workers)
  end)

  test("measures processes", function()
    local models = { "inline", { kind = "processes", workers = 2 } }
    local report = small { models = models, work = function(x) return x * x end }
    local processes = report.models[2]
    assert.is_true(report.same)
    assert.equal(2, processes.workers)
    assert.is_true(processes.start > 0)
    assert.equal(6, #processes.lanes[1] + #(processes.lanes[2] or {}))
  end)

  test("compares the results", function()
    local calls = 0
    local report = small { work = function(x) calls = calls + 1 return calls * x end, models = { "inline", "tasks" } }
    assert.is_false(report.same)
    assert.equal(1, report.models[2].differs)
    assert.truthy(tostring(report):find "tasks gave another result than inline for item 1")
    report = small { work = function() return 0 / 0 end, models = { "inline", "threads" } }
    assert.is_true(report.same)
  end)

  test("takes a native form, and stops at its limit", function()
    local start = braid.now()
    local report = small {
      models = { "inline", "kernel" }, repeats = 1000, limit = 0.3,
      kernel = function(items)
        local results = {}
        for i, x in ipairs(items) do results[i] = { x, x * x } end
        return results
      end,
    }
    assert.is_true(braid.now() - start < 3 * helper.slowness)
    assert.is_true(report.same)
    assert.equal("kernel", report.fastest.name)
    assert.is_true(#report.models[1].times < 1000)
  end)

  test("lets an error of the work out, and closes its pools", function()
    local calls = 0
    local ok, err = pcall(small, { work = function(x) calls = calls + 1 error("no " .. x, 0) end })
    assert.is_false(ok)
    assert.equal("no 1", err)
    assert.equal(1, calls, "what follows the failure was begun")
  end)

  test("refuses what it does not know", function()
    for text, opts in pairs {
      ["did you mean 'items'"] = { item = {} }, ["'models' to 'experiment'"] = { models = { "fibres" } },
      ["needs the option 'kernel'"] = { models = { "kernel" } }, ["'items' to 'experiment'"] = { items = {} },
      ["'repeats' to 'experiment'"] = { repeats = 0 }, ["'models' to 'experiment' (a list"] = { models = {} },
    } do
      local ok, err = pcall(small, opts)
      assert.is_false(ok)
      assert.truthy(err.message:find(text, 1, true), err.message)
      assert.truthy(err.message:find "experiment_spec", err.message)
    end
  end)
end)

describe("a report", function()
  local report
  setup(function() report = small() end)

  test("is a table with bars", function()
    local text = tostring(report)
    for _, piece in ipairs { "a < b & c: 6 items", "inline", "tasks", "threads", "speed-up", "█", "same results" } do
      assert.truthy(text:find(piece, 1, true), text)
    end
  end)

  test("is a picture that is sound XML", function()
    for _, which in ipairs { "times", "timeline" } do
      local svg = report:svg(nil, which)
      assert.truthy(svg:find '^<svg xmlns="http://www.w3.org/2000/svg"')
      assert.is_true(is_balanced(svg))
      assert.is_nil(svg:find "nan" or svg:find "inf[^o]")
    end
    assert.truthy(report:svg():find("a &lt; b &amp; c", 1, true))
    assert.has_error(function() report:svg(nil, "pie") end)
    for _, form in ipairs { "svg", "json", "html" } do
      local ok, err = pcall(function() return (report[form](report, 5)) end)
      assert.is_false(ok)
      assert.matches("experiment_spec.*'path' to '" .. form .. "'", tostring(err))
    end
  end)

  test("is JSON", function()
    local value = require "braid.json".decode(report:json())
    assert.equal("a < b & c", value.name)
    assert.equal(3, #value.models)
    assert.equal(2, #value.models[1].times)
    assert.is_true(value.same)
    assert.equal(braid.cpu_count(), value.machine.cores)
  end)

  test("is a page that loads nothing", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local page = assert(report:html(path))
    local file <close> = assert(io.open(path))
    assert.equal(page, file:read "a")
    assert.is_true(is_balanced(page))
    assert.is_nil(page:find "src=" or page:find "href=" or page:find "url%(" or page:find "@import")
    local _, pictures = page:gsub("<svg", "")
    assert.equal(2, pictures)
  end)

  test("says when a file cannot be written", function()
    local ok, err = report:html "/nowhere/report.html"
    assert.is_nil(ok)
    assert.equal("system", err.kind)
  end)
end)

describe("the plots", function()
  test("bear extremes", function()
    local lane = {}
    for i = 1, 5000 do lane[i] = { start = i * 1e-6, stop = (i + 1) * 1e-6, load = 1, name = "item " .. i } end
    local lanes = {}
    for i = 1, 40 do lanes[i] = { lane[i] } end
    local svg = plot.timeline { title = "t", label = "time", groups = {
      { label = "one", color = 1, lanes = { lane } }, { label = "many", color = 2, lanes = lanes },
      { label = "none", color = 3, lanes = {} },
    } }
    assert.is_true(is_balanced(svg))
    assert.is_true(#svg < 200000, "narrow spans are merged")
    assert.truthy(svg:find("and 24 more at the same time", 1, true))
    svg = plot.bars { title = "t", label = "time", rows = {
      { label = "zero", color = 1, value = 0, low = 0, high = 0, dots = {} },
    } }
    assert.is_true(is_balanced(svg))
    assert.is_nil(svg:find "nan")
  end)
end)

describe("statistics", function()
  test("know quartiles", function()
    local spread = statistics.spread { 5, 1, 3, 2, 4 }
    assert.same({ median = 3, low = 2, high = 4, least = 1, most = 5 }, spread)
    assert.equal(2.5, statistics.median { 1, 2, 3, 4 })
    assert.is_true(statistics.settled { 1, 1.001, 1, 0.999, 1 })
    assert.is_false(statistics.settled { 1, 2, 3, 4, 5 })
    assert.is_false(statistics.settled { 1, 1, 1 })
  end)

  test("a rank test tells how often chance makes such a difference", function()
    assert.is_true(math.abs(statistics.chance({ 1, 2, 3, 4, 5 }, { 6, 7, 8, 9, 10 }) - 2 / 252) < 1e-12)
    assert.equal(1, statistics.chance({ 1, 2, 3 }, { 1, 2, 3 }))
    local a, b = {}, {}
    for i = 1, 30 do a[i], b[i] = i, i + 20 end
    assert.is_true(statistics.chance(a, b) < 1e-6)
    assert.same({ 6 }, statistics.outliers { 1, 1.1, 0.9, 1, 1, 9 })
  end)

  test("names no winner where the runs show none, and has five of each model", function()
    local report = helper.run(braid.experiment, { items = { 1 }, limit = 0.01, work = function() braid.sleep(0.001) end,
      models = { "inline", { kind = "inline", name = "again" } } })
    assert.is_true(#report.models[1].times >= 5 and #report.models[2].times >= 5)
    local few = helper.run(braid.experiment, { items = { 1 }, repeats = 1, work = function() end,
      models = { "inline", { kind = "inline", name = "a name that is much longer than the others in the picture" } } })
    assert.matches("Too few runs to be sure", few:verdict())
    local svg = few:svg()
    assert.is_nil(svg:find("var(", 1, true))
    for attributes, label in svg:gmatch "<text([^>]*)>([^<]*)<" do
      local x = tonumber(attributes:match ' x="([%d.]+)"')
      if attributes:find '"end"' then assert.is_true(x - 5 * #label >= 0) end
    end
  end)
end)
