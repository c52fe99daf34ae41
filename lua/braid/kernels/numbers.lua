-- SPDX-License-Identifier: MIT
--- Kernels of number theory, and whole workloads as kernels: each runs on all cores and suspends the calling task only.

require "braid.sync.array" -- the methods of what primes and mandelbrot give
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
  return (core.list_primes(limit, threads, core.count_primes(limit, threads)))
end

-- ---- whole workloads -----------------------------------------------------------------------------------------------

---Estimates pi: 4 times the share of n random points of a square that lie in its inscribed circle. The i-th point is a
---function of the seed and i (SplitMix64: G. L. Steele, D. Lea, C. H. Flood 2014), so the result is the same on any
---number of threads. The error is about 1.6 / sqrt(n). Suspends, but for small n.
---@param n integer points, 1 and more
---@param seed integer? 0
---@param opts? {threads: integer?}
---@return number estimate
---@return integer inside how many points lie in the circle
function M.monte_carlo_pi(n, seed, opts)
  errors.check_options(1, "monte_carlo_pi", opts, { threads = "integer" })
  return core.monte_carlo_pi(n, seed or 0, opts and opts.threads)
end

local mandelbrot_options = {
  width = "integer", height = "integer", left = "number", right = "number", bottom = "number", top = "number",
  iterations = "integer", threads = "integer",
}

---@class braid.kernels.Mandelbrot
---@field width integer pixels
---@field height integer
---@field left number? the part of the plane: -2
---@field right number? 0.5
---@field bottom number? -1.25
---@field top number? 1.25
---@field iterations integer? 1000
---@field threads integer?

---A picture of the Mandelbrot set by escape times: for the middle of each pixel as c, how many of 0, c, c^2 + c, ...
---have an absolute value up to 2, `iterations` at most. In an array of u32, row after row from the top. Suspends, but
---for tiny pictures.
---@param opts braid.kernels.Mandelbrot
---@return braid.Array
function M.mandelbrot(opts)
  errors.check_options(1, "mandelbrot", opts or {}, mandelbrot_options)
  opts = opts or {}
  return core.mandelbrot(opts.width, opts.height, opts.left or -2, opts.right or 0.5, opts.bottom or -1.25,
    opts.top or 1.25, opts.iterations or 1000, opts.threads)
end

-- A list of strings, or { files = names } with options beside it: the list, and whether it has files.
local function texts(what, list, opts, known)
  local files = type(list) == "table" and list.files
  if files then
    if opts ~= nil then errors.misuse(2, "bad argument 'opts' to '%s' (they stand beside 'files')", what) end
    opts = list
  end
  errors.check_options(2, what, opts, known)
  return files or list, files and true or false, opts or {}
end

local hash_options = { algorithm = "string", threads = "integer", files = "table" }

---Checksums of many strings, or of many files: `hash(list)`, `hash { files = names }`. By the system's OpenSSL, which
---is loaded at the first call; where it is missing the call raises kind "system". Suspends, but for a few short
---strings.
---@param list string[]|{files: string[], algorithm: string?, threads: integer?}
---@param opts? {algorithm: string?, threads: integer?} algorithm: a name that OpenSSL knows; "sha256"
---@return string[]? digests in hexadecimal, in the list's order; nil when a file could not be read
---@return braid.Error? err kind "system": the first file that could not be read, and why
function M.hash(list, opts)
  local what, files
  what, files, opts = texts("hash", list, opts, hash_options)
  return core.hash(what, opts.algorithm or "sha256", files, opts.threads)
end

local word_options = { threads = "integer", files = "table" }

---How often each word occurs in many strings, or in many files: `word_count(list)`, `word_count { files = names }`. A
---word is a run of bytes other than ASCII's white space, as wc has it. Each string or file is counted by one thread.
---Suspends, but for a few short strings.
---@param list string[]|{files: string[], threads: integer?}
---@param opts? {threads: integer?}
---@return table<string, integer>? counts nil when a file could not be read
---@return {lines: integer, words: integer, bytes: integer}|braid.Error totals or the error, kind "system"
function M.word_count(list, opts)
  local what, files
  what, files, opts = texts("word_count", list, opts, word_options)
  return core.word_count(what, files, opts.threads)
end

return M
