-- SPDX-License-Identifier: MIT
-- Progress bars, on stderr: around a loop, inside a pool's map, and by hand for a transfer. On a terminal they are
-- drawn in place; piped, each writes a plain line every ten seconds and at its end.
--   lua5.4 examples/progress.lua
local braid = require "braid"

for _ in braid.progress(20, { name = "loop" }) do braid.sleep(0.01) end

local function slow_square(x)
  local start = braid.now()
  repeat until braid.now() - start > 0.005
  return x * x
end

local numbers = {}
for i = 1, 100 do numbers[i] = i end
local pool <close> = braid.thread_pool()
local squares = pool:map(slow_square, numbers, { progress = { name = "threads" } })
print(#squares, squares[100])

local bar <close> = braid.progress(nil, { name = "transfer", unit = "bytes" })
for part = 1, 10 do
  braid.sleep(0.01)
  bar:update(part * 150000, 1500000)
end

-- 100	10000
