-- SPDX-License-Identifier: MIT
-- busted under the interpreter that runs this file: lua5.4 spec/run.lua [busted's arguments]
-- BRAID_GC=incremental or generational: collects garbage as often as that mode can.
local mode = os.getenv "BRAID_GC"
if mode == "incremental" then collectgarbage("incremental", 1, 1000, 1) end
if mode == "generational" then collectgarbage("generational", 1, 1) end

local elsewhere = require "spec.elsewhere"
for _, word in ipairs(arg) do
  if elsewhere[word] then
    print(("ok - %s # SKIP %s\n1..1"):format(word, elsewhere[word]))
    os.exit(true)
  end
end

require "busted.runner" { standalone = false, output = "spec/report.lua" }
