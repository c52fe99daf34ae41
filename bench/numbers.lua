-- SPDX-License-Identifier: MIT
-- Kernels of number theory, in the form that the peers' runner expects:
--   numbers.lua CASE [THREADS] [FILE]
-- sieve:  the primes to 10^9, milliseconds              trial:  the tutorial's eight numbers by trial division, seconds
-- factor: the numbers of a file, one in a line, read and factorized; numbers/s. Without a file, 100,000 random ones
-- Prints BENCH_NAME, BENCH_IMPL, metric and value, separated by tabs; the best of three, as the peers do, but for a
-- file. Without arguments: all of them, on one thread and on all.
local braid = require "braid"
local kernels = braid.kernels

local function report(case, metric, value)
  local name = os.getenv "BENCH_NAME" or "numbers_" .. case
  print(("%s\t%s\t%s\t%.6g"):format(name, os.getenv "BENCH_IMPL" or "braid", metric, value))
end

-- Seconds of the best of three calls.
local function best(fn)
  local least = math.huge
  for _ = 1, 3 do
    local start = braid.now()
    fn()
    least = math.min(least, braid.now() - start)
  end
  return least
end

local cases = {}

function cases.sieve(case, threads)
  report(case, "ms", 1000 * best(function()
    assert(kernels.count_primes(1000000000, { threads = threads }) == 50847534)
  end))
end

function cases.trial(case, threads)
  local numbers = {}
  for i = 1, 8 do numbers[i] = 112272535095293 end
  report(case, "wall_s", best(function()
    for _, factors in ipairs(kernels.factorize(numbers, { method = "trial", threads = threads })) do
      assert(factors[1] == 112272535095293)
    end
  end))
end

-- Decimal numbers up to 2^64-1 as the integers with the same bits.
local function read(file)
  local numbers = {}
  for line in io.lines(file) do
    local high, low = tonumber(line:sub(1, -10)) or 0, tonumber(line:sub(-9))
    numbers[#numbers + 1] = high * 1000000000 + low
  end
  return numbers
end

local function random_numbers()
  local numbers = {}
  for i = 1, 100000 do numbers[i] = math.random(0) | 1 << 63 end
  return numbers
end

function cases.factor(case, threads, file)
  local random = not file and random_numbers()
  local start = braid.now()
  local numbers = random or read(file)
  for i, factors in ipairs(kernels.factorize(numbers, { unsigned = true, threads = threads })) do
    local product = 1
    for _, factor in ipairs(factors) do product = product * factor end
    assert(product == numbers[i])
  end
  report(case, "numbers_per_s", #numbers / (braid.now() - start))
end

if arg[1] then
  local case = cases[arg[1]] or error("no case " .. arg[1])
  case(arg[1], tonumber(arg[2]), arg[3])
else
  for _, case in ipairs { "sieve", "trial", "factor" } do
    cases[case](case .. "_1", 1)
    cases[case](case)
  end
end
