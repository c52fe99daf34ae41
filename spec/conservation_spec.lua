-- SPDX-License-Identifier: MIT
-- Some seconds of the stress of spec/conservation.lua; `make stress` runs it for longer, also under the sanitizers.
local conservation = require "spec.conservation"
local helper = require "spec.helper"

helper.test("no item is lost between tasks, threads and processes, whoever is cancelled or killed", function()
  local rounds, items = conservation.run(3, os.time())
  assert.is_true(rounds > 0 and items > 0)
end, { deadline = 60 })
