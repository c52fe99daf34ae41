-- SPDX-License-Identifier: MIT
-- busted's output as tools/suite.lua reads it: a line for each test, as soon as it has ended.
local busted = require "busted"

local function detail(report)
  local message = report.message
  if type(message) ~= "string" then message = message and tostring(message) or "no message" end
  local traceback = report.isError and report.trace and report.trace.traceback
  local text = traceback and not message:find("stack traceback:", 1, true) and message .. traceback or message
  return (("\n" .. text):gsub("\n", "\n#   "))
end

return function(options)
  local handler = require "busted.outputHandlers.base"()
  local told = 0

  local function say(line)
    io.write(line, "\n")
    io.flush()
  end

  local function tell(line)
    told = told + 1
    say(line)
  end

  -- Failures of tests, and errors outside of tests (a spec that does not load), are told as they are found.
  local function tell_failures()
    for _, list in ipairs { handler.failures, handler.errors } do
      for i, report in ipairs(list) do
        tell("not ok - " .. (report.name or "?") .. detail(report))
        list[i] = nil
      end
    end
  end

  local function on_test_end(element, _, status)
    local name = handler.getFullName(element)
    if status == "success" then
      tell(("ok - %s (%.0f ms)"):format(name, (element.duration or 0) * 1000))
    elseif status == "pending" then
      local report = handler.pendings[#handler.pendings]
      tell(("ok - %s # SKIP %s"):format(name, type(report.message) == "string" and report.message or ""))
    else
      tell_failures()
    end
    return nil, true
  end

  local function on_suite_end()
    tell_failures()
    say("1.." .. told)
    return nil, true
  end

  busted.subscribe({ "test", "end" }, on_test_end, { predicate = handler.cancelOnPending })
  busted.subscribe({ "suite", "end" }, on_suite_end)
  handler.options = options
  return handler
end
