-- SPDX-License-Identifier: MIT
--- Kernels of number theory, and whole workloads as kernels: each runs on all cores and suspends the calling task only.

require "braid.array" -- the methods of what primes and mandelbrot give
local core = require "braid.core"
local errors = require "braid.errors"

---@class braid.kernels.numbers
local M = {}

---The prime factors of a number in ascending order, each as often as it divides; `{}` for 1. Numbers from 1 to 2^63-1,
---and with `unsigned = true`, or in an array of u64, to 2^64-1: those from 2^63 on, and factors that large, are the
---negative integers that string.format's %u prints so. Anything else, 0 among it, raises kind "misuse".
---
---Method "curves" (the default): trial division by the primes below 256; the test of Miller and Rabin to seven bases;
---the rho method (J. M. Pollard 1975, R. P. Brent 1980) below 2^40, elliptic curves (H. W. Lenstra 1987, P. L.
---Montgomery 1987) above: some 10 us for a number of 64 bits, 60 us for the hardest.
---Method "trial" is the algorithm of the tutorial: all divisors from 2 to the root.
---
---A list is spread over the cores; its numbers are copied at the call. Suspends, but for a few small numbers.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {method: "curves"|"trial"|nil, unsigned: boolean?, threads: integer?}
---@return integer[]|integer[][] factors of a list or an array: a list of lists in its order
function M.factorize(n, opts)
  errors.check_options(1, "factorize", opts, { method = "string", unsigned = "boolean", threads = "integer" })
  opts = opts or {}
  local method = opts.method or "curves"
  if method ~= "curves" and method ~= "trial" then
    errors.misuse(1, "bad option 'method' to 'factorize' (\"curves\" or \"trial\" expected, got %q)", method)
  end
  return core.factorize(n, method == "trial", opts.threads, opts.unsigned)
end

---Whether a number is prime: the test of Miller and Rabin to seven bases, which is exact below 2^64 (J. Sinclair 2011).
---Numbers from 0 to 2^63-1; with `unsigned = true`, or in an array of u64, to 2^64-1, as for factorize.
---A list is spread over the cores; its numbers are copied at the call. Suspends, but for short lists.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {unsigned: boolean?, threads: integer?}
---@return boolean|boolean[] answer of a list or an array: a list in its order
function M.is_prime(n, opts)
  errors.check_options(1, "is_prime", opts, { unsigned = "boolean", threads = "integer" })
  opts = opts or {}
  return core.is_prime(n, opts.threads, opts.unsigned)
end

---How many primes there are up to a limit: Eratosthenes' sieve, in segments that fit into a core's cache (C. Bays and
---R. H. Hudson 1977) and with a bit for each number that is coprime to 30 (P. Pritchard 1982). To 10^9 it takes some
---80 ms on two cores, to 10^12 some minutes. Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return integer
function M.count_primes(limit, opts)
  errors.check_options(1, "count_primes", opts, { threads = "integer" })
  return (core.count_primes(limit, opts and opts.threads))
end

---The primes up to a limit, in order, by the same sieve: in an array of i64, which takes 8 bytes for each (0.4 GB for
---those to 10^9). Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return braid.Array
function M.primes(limit, opts)
  errors.check_options(1, "primes", opts, { threads = "integer" })
  local threads = opts and opts.threads
  return core.list_primes(limit, threads, core.count_primes(limit, threads))
end

return M
