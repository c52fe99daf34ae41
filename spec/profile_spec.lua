-- SPDX-License-Identifier: MIT
-- Profiles: what they find in tasks, threads and processes, their forms, and that they harm nobody.
local chromium = require "spec.chromium"
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local forms = require "braid.profile.forms"
local page = require "braid.profile.page"
local stacks = require "braid.profile.stacks"
local test, run = helper.test, helper.run

local function command(...)
  return assert(braid.process.run({ helper.lua, "bin/braid", "profile", ... }, { timeout = 60 * helper.slowness }))
end

local function with_file(text, fn)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  local ok, err = pcall(fn, name)
  os.remove(name)
  if not ok then error(err, 0) end
end

-- The ticks of all stacks in which these names stand, in this order.
local function ticks_of(folded, ...)
  local pattern, sum = table.concat({ ... }, ".*"), 0
  for line in folded:gmatch "[^\n]+" do
    if line:find(pattern) then sum = sum + tonumber(line:match " (%d+)$") end
  end
  return sum
end

local BUSY = [[
local braid = require "braid"
local function inner(ends) while braid.now() < ends do for _ = 1, 1000 do end end end
local function busy(seconds) inner(braid.now() + seconds) return true end
]]

describe("braid profile", function()
  test("sees tasks, threads and processes of a script", function()
    with_file(BUSY .. [[
      local function sorts(seconds)
        local ends = braid.now() + seconds
        while braid.now() < ends do
          local list = {}
          for i = 1, 20000 do list[i] = i * 7919 % 20011 end
          table.sort(list)
        end
      end
      braid.run(function()
        local near <close> = braid.thread_pool { workers = 1, name = "near" }
        local far <close> = braid.process_pool { workers = 1, name = "far" }
        local jobs = { near:submit(busy, 0.3), far:submit(busy, 0.3) }
        braid.spawn(function()
          braid.wrap(function() busy(0.3) end)()
          braid.sleep(0.3)
        end).name = "bee"
        for _, job in ipairs(jobs) do job:result() end
        sorts(0.3)
        local array = braid.array("f64", 3000000)
        local till = os.clock() + 0.3
        repeat braid.kernels.sort(array) until os.clock() >= till
      end)
      print(arg[0] ~= nil, ...)
      os.exit(3)
    ]], function(file)
      local result = command(file, "--", "one", "two")
      assert.equal(3, result.code, result.stderr)
      local output = result.stdout
      expect.contains(output, "true\tone\ttwo\n")
      for _, stack in ipairs {
        { "worker 1 of pool near;", "busy %(", "inner %(" },
        { "worker of pool far of process %d+;", "busy %(", "inner" },
        { "script;task bee;", "busy %(", "inner %(" },
        { "script;task main;", "sorts %(", helper.slowness == 1 and "sort %[C%]" or "" }, -- TSan delays signals
        { "task main;", "%(kernel sort%)" },
      } do
        assert.is_true(ticks_of(output, table.unpack(stack)) >= 3, table.concat(stack, " ") .. " in\n" .. output)
      end
      assert.equal(0, ticks_of(output, "sleep"))
      assert.matches("braid profile: %d+ samples at 100 Hz %(.*%) of 2 processes\n", result.stderr)
    end)
  end)

  test("looks at a running process and its workers, and lets it go on", function()
    with_file(BUSY .. [[
      io.stdout:setvbuf "line"
      local pool = braid.process_pool { workers = 1, name = "far" }
      pool:submit(busy, 0):result()
      print "ready"
      while not io.open(arg[1]) do
        local job = pool:submit(busy, 0.05)
        busy(0.05)
        job:result()
      end
      print "goes on"
      os.execute "sleep 1.2"
    ]], function(file)
      local flag, out = file .. ".flag", file .. ".folded"
      local process <close> = assert(braid.process.start({ helper.lua, file, flag }, { stderr = "inherit" }))
      assert.equal("ready", process:read "l")
      local result = command(tostring(process.pid), "--seconds", "0.8", "--rate", "200", "--out", out)
      assert.equal(0, result.code, result.stderr)
      assert.matches("of 2 processes, in ", result.stderr)
      local file_ <close> = assert(io.open(out))
      local folded = file_:read "a"
      os.remove(out)
      assert.is_true(ticks_of(folded, "script;", "busy", "inner") >= 5, folded)
      assert.is_true(ticks_of(folded, "worker of pool far of process " .. process.pid, "busy", "inner") >= 5, folded)
      assert(io.open(flag, "w")):close()
      assert.equal("goes on", process:read "l")
      os.remove(flag)
      local blocked = command(tostring(process.pid), "--seconds", "0.5")
      assert.is_true(ticks_of(blocked.stdout, "script;", "%(inside a C function%)") >= 5, blocked.stdout)
      assert.equal(0, process:wait().code)
    end)
  end)

  test("names what is wrong", function()
    local nobody = command("999999999")
    assert.equal(1, nobody.code)
    expect.contains(nobody.stderr, "there is no process 999999999")
    expect.contains(command("/nowhere.lua").stderr, "/nowhere.lua")
    expect.contains(command("x.lua", "--out", "a.svg").stderr, "ends in .html, .folded or .json")
    expect.contains(command("x.lua", "--rate", "5000").stderr, "1 to 1000")
    expect.contains(command("x.lua", "--seconds", "0").stderr, "above 0")
    assert.equal(2, command().code)
    assert.equal(2, command("1", "2").code)
    with_file("error 'on purpose'", function(file)
      local failed = command(file)
      assert.equal(1, failed.code)
      expect.contains(failed.stderr, "on purpose")
    end)
  end)

  test("of a process that ends without it does no harm", function()
    run(function()
      local listener = assert(braid.net.listen { unix = "@f00ba" }) -- takes the connection, and sends no rate
      local process = assert(braid.process.start({ helper.lua, "-e", [[
        local braid = require "braid"
        braid.sleep(0.05)
        print "well"
      ]] }, { env = { BRAID_PROFILE = "f00ba" } }))
      local _ <close> = listener:accept()
      assert.equal("well", process:read "l")
      assert.equal(0, process:wait().code)
      listener:close()
      local alone = assert(braid.process.run({ helper.lua, "-e", "require 'braid.core' print 'well'" },
        { env = { BRAID_PROFILE = "f00ba" } }))
      assert.equal("well\n", alone.stdout)
    end)
  end)
end)

describe("the forms of a profile", function()
  local function sample()
    local seen = stacks.new(100)
    local function frame(name, file, defined, line) return ("%s\31%s\31%d\31%d"):format(name, file, defined, line) end
    local main, work = frame("main chunk", "@a.lua", 0, 9), frame("work", "./a.lua", 3, 5)
    seen:add_line("3\tscript\t\t" .. frame("rep", "[C]", -1, -1) .. "\t" .. work .. "\t" .. main, "")
    seen:add_line("2\tscript\t\t" .. work .. "\t" .. main .. "\t" .. frame("", "[C]", -1, -1), "")
    seen:add_line("1\tscript\tbee; </script>\t" .. frame("", "./a.lua", 3, 6) .. "\t" .. main, " of process 7")
    seen:add_line("4\tworker 1 of pool x\t\t(event loop)", "")
    for _, bad in ipairs { "", "x\ty\tz", "0\ta\tb", "5" } do seen:add_line(bad, "") end
    return seen
  end

  test("are folded stacks", function()
    assert.equal(table.concat({
      "script of process 7;task bee, </script>;main chunk (@a.lua:0);work (a.lua:3) 1",
      "script;main chunk (@a.lua:0);work (a.lua:3) 2", "script;main chunk (@a.lua:0);work (a.lua:3);rep [C] 3",
      "worker 1 of pool x;(event loop) 4", "",
    }, "\n"), forms.folded(sample()))
  end)

  test("are JSON for speedscope", function()
    local decoded = braid.json.decode(forms.speedscope(sample(), "a"))
    assert.equal("https://www.speedscope.app/file-format-schema.json", decoded["$schema"])
    assert.equal(3, #decoded.profiles)
    for _, profile in ipairs(decoded.profiles) do
      assert.equal(#profile.samples, #profile.weights)
      for _, numbers in ipairs(profile.samples) do
        for _, number in ipairs(numbers) do assert.is_truthy(decoded.shared.frames[number + 1].name) end
      end
    end
    local script = decoded.profiles[2]
    assert.same({ "script", "sampled", "seconds" }, { script.name, script.type, script.unit })
    assert.is_true(math.abs(script.endValue - 0.05) < 1e-9)
  end)

  test("are a page", function()
    local text = page.page(sample(), "a <b>")
    expect.contains(text, "<title>a &lt;b&gt;</title>")
    assert.is_nil(text:find("bee, </script>", 1, true)) -- hostile names stay data
    assert.is_nil(text:find("https?://[^w]")) -- it needs nothing else
    local data = braid.json.decode(text:match "const profile = (.-);\n")
    assert.same({ -1, 10 }, { data.tree[1], data.tree[2] })
    for _, frame in ipairs(data.frames) do
      if frame.name == "work (a.lua:3)" then assert.same({ { 5, 2 }, { 6, 1 } }, braid.json.decode(
        braid.json.encode(frame.lines))) end
    end
    assert.is_string(page.page(stacks.new(100), "nothing"))
  end)

  test("are a page that can be searched and zoomed, also on a narrow screen", function()
    run(function()
      local app = braid.web.app()
      app:get("/", function()
        local headers = { ["Content-Type"] = "text/html; charset=utf-8" }
        return braid.web.response { body = page.page(sample(), "a"), headers = headers }
      end)
      local server <close> = assert(app:start { port = 0, access_log = false })
      local browser <close> = chromium.open(server.url, { width = 900, height = 700 })
      if not browser then return pending "Chromium is not here" end
      local function type_in(words)
        return browser:value(([[ (() => {
          const find = document.getElementById("find");
          find.value = %q;
          find.dispatchEvent(new Event("input"));
          return document.getElementById("about").textContent;
        })() ]]):format(words))
      end
      local function rows() return browser:value "document.getElementById('list').tBodies[0].rows.length" end
      browser:wait "document.querySelectorAll('#graph g').length > 3"
      local all = rows()
      assert.equal("found in 60.0 % of what is shown", type_in "work (")
      assert.equal("found in 30.0 % of what is shown", type_in "/rep|nothing/")
      assert.equal(1, rows())
      type_in ""
      browser:value [[ [...document.querySelectorAll("#graph g")].find(g => g.textContent.startsWith("worker 1"))
        .dispatchEvent(new MouseEvent("click", { bubbles: true })) ]]
      assert.equal(1, rows()) -- of the event loop
      assert.is_false(browser:value "document.getElementById('out').disabled")
      browser:value [[ document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })) ]]
      assert.equal(all, rows())
      browser:resize(390, 700, true)
      browser:wait "innerWidth === 390"
      assert.equal(390, browser:value "document.documentElement.scrollWidth")
    end)
  end, { deadline = 60 })
end)
