-- SPDX-License-Identifier: MIT
-- Primes by native kernels on all cores: counted, listed, tested. The loop goes on meanwhile, as the ticks show.
--   lua5.4 examples/primes.lua [LIMIT]
local braid = require "braid"
local kernels = braid.kernels

local limit = tonumber(arg[1]) or 100000000

braid.run(function()
  local ticks = 0
  braid.spawn(function()
    while true do
      braid.sleep(0.001)
      ticks = ticks + 1
    end
  end):daemon()

  local start = braid.now()
  print(("%d primes up to %d"):format(kernels.count_primes(limit), limit))
  local took = braid.now() - start
  io.stderr:write(("%.3f s, the loop ticked %d times\n"):format(took, ticks))
end)

-- The list is an array of 64-bit integers, which threads share without a copy.
local primes = kernels.primes(limit)
local widest, before = 0, 2
for i = 2, #primes do
  if primes[i] - before > widest then widest = primes[i] - before end
  before = primes[i]
end
print(("the last one is %d, the widest gap between two is %d"):format(primes[#primes], widest))

-- Mersenne's numbers 2^p - 1 that are prime.
local exponents, numbers = {}, {}
for p = 2, 62 do numbers[#numbers + 1] = (1 << p) - 1 end
for i, is_prime in ipairs(kernels.is_prime(numbers)) do
  if is_prime then exponents[#exponents + 1] = i + 1 end
end
print("2^p - 1 is prime for p = " .. table.concat(exponents, ", "))

-- 5761455 primes up to 100000000
-- the last one is 99999989, the widest gap between two is 220
-- 2^p - 1 is prime for p = 2, 3, 5, 7, 13, 17, 19, 31, 61
