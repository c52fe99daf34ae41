-- SPDX-License-Identifier: MIT
-- OpenSSL took itself apart in exit() while threads were still using it: os.exit ended with a crash now and then.
local helper = require "spec.helper"
local http_server = require "spec.http_server"

-- os.exit(3) while four threads call `step` again and again, which is given `argument`.
local function exits(step, argument)
  for _ = 1, 10 do
    local _, err, status = helper.lua_process(([[
      local braid = require "braid"
      local pool = braid.thread_pool(4)
      pool:submit(function() end):result()
      for _ = 1, 4 do
        pool:submit(function(argument)
          local braid = require "braid"
          local function step() %s end
          while true do step() end
        end, arg[1])
      end
      braid.sleep(0.1)
      os.exit(3)
    ]]):format(step), { args = { argument } })
    assert.same({ "braid: a pool without a name (threads): 4 jobs were dropped\n", 3 }, { err, status })
  end
end

describe("os.exit ends with its status while threads", function()
  helper.test("open TLS connections", function()
    http_server.start()
    finally(http_server.stop)
    exits([[
      local session <close> = braid.http.session()
      session:get(argument, { timeout = 0.05 })
    ]], (http_server.base:gsub("^http:", "https:"))) -- it speaks no TLS, which takes long enough to find out
  end, { deadline = 30 })

  helper.test("compute digests", function()
    exits([[ braid.kernels.hash({ argument, argument }, { threads = 1 }) ]], "text")
  end, { deadline = 30 })
end)
