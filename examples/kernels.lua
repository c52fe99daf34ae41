-- SPDX-License-Identifier: MIT
-- Row S47, the leaf "numpy/numba/Cython": native kernels on all cores, called from Lua, without a compiler.
--   lua5.4 examples/kernels.lua
local braid = require "braid"
local kernels = braid.kernels

-- ---- number theory -------------------------------------------------------------------------------------------------

print("2^63 - 1 = " .. table.concat(kernels.factorize(math.maxinteger), " * "))
print(kernels.count_primes(10000000) .. " primes up to 10000000")

-- ---- whole workloads -----------------------------------------------------------------------------------------------

-- The same estimate on any number of threads: each point is a function of the seed and its number.
local pi = kernels.monte_carlo_pi(100000000, 42)
assert(pi == kernels.monte_carlo_pi(100000000, 42, { threads = 1 }))
print(("pi is about %.4f"):format(pi))

print("sha256 of abc: " .. kernels.hash({ "abc" })[1])

local counts, totals = kernels.word_count { "to be or not to be", "that is the question" }
print(("%d words, %d of them are 'to'"):format(totals.words, counts.to))

-- ---- arrays --------------------------------------------------------------------------------------------------------

local x = kernels.random(1000000, { seed = 1, distribution = "normal" })
print(("mean %.3f, variance %.3f"):format(kernels.mean(x), kernels.var(x)))
print("within one deviation: " .. kernels.sum(kernels.map("abs(x) < 1", x)))

local y = kernels.map("a*x + sqrt(abs(x))", { a = 2, x = x })
local place = kernels.argmax(y)
assert(y[place] == kernels.max(y) and y[place] == 2 * x[place] + math.sqrt(math.abs(x[place])))

kernels.sort(x)
print("below zero: " .. kernels.searchsorted(x, 0) - 1)
print(table.concat(kernels.histogram(x, 6, { low = -3, high = 3 }):totable(), " "))

local turn = braid.array("f64", { 0, -1, 1, 0 })
print(table.concat(kernels.matmul(turn, braid.array("f64", { 3, 4 }), 2):totable(), " "))

-- 2^63 - 1 = 7 * 7 * 73 * 127 * 337 * 92737 * 649657
-- 664579 primes up to 10000000
-- pi is about 3.1415
-- sha256 of abc: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
-- 10 words, 2 of them are 'to'
-- mean -0.002, variance 1.000
-- within one deviation: 682758.0
-- below zero: 500822
-- 21393 136571 341473 341285 135265 21275
-- -4.0 3.0
