-- SPDX-License-Identifier: MIT
-- 4294967297 workers were one: what C keeps in less than Lua does was cut to 32 bits.
local helper = require "spec.helper"
local braid = require "braid"

local BIG = (1 << 32) + 1

local calls = {
  { "workers", braid.thread_pool, BIG }, { "workers", braid.process_pool, BIG },
  { "workers", braid.thread_pool, { workers = 65537 } }, { "workers", braid.process_pool, { workers = 4097 } },
  { "tasks_per_worker", braid.thread_pool, { tasks_per_worker = BIG } },
  { "tasks_per_worker", braid.process_pool, { tasks_per_worker = BIG } },
  { "memory_limit", braid.thread_pool, { memory_limit = 0.5 } },
  { "memory_limit", braid.thread_pool, { memory_limit = 0 / 0 } },
  { "backlog", braid.net.listen, "127.0.0.1", 0, { backlog = BIG } }, { "port", braid.net.listen, "127.0.0.1", BIG },
  { "port", braid.net.connect, "127.0.0.1", BIG }, { "follow", braid.http.session, { follow = BIG } },
  { "max_per_host", braid.http.session, { max_per_host = BIG } },
  { "max_connections", braid.http.session, { max_connections = BIG } },
  { "idle_timeout", braid.http.session, { idle_timeout = BIG } },
  { "threads", braid.kernels.primes, 100, { threads = BIG } }, { "fd", braid.wait_fd, BIG, "r" },
}

describe("a number that is too large", function()
  for i, call in ipairs(calls) do
    if call[2] then
      helper.test(("is refused by its name: %s, %d"):format(call[1], i), function()
        local ok, err = pcall(table.unpack(call, 2))
        assert.is_false(ok)
        assert.is_true(braid.is_error(err, "misuse"))
        assert.matches("number_spec.lua", tostring(err), 1, true)
        assert.matches("'" .. call[1] .. "'", tostring(err), 1, true)
      end)
    end
  end

  helper.test("is no limit where it stands for one", function()
    for _, kind in ipairs { "threads", "processes" } do
      for _, number in ipairs { math.huge, 1e300 } do
        local pool <close> = braid.pool(kind, { workers = 1, time_limit = number, memory_limit = number })
        assert.equal(5, pool:submit(math.max, 5, 3):result(10))
      end
    end
  end)
end)
