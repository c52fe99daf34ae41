-- SPDX-License-Identifier: MIT
--- Kernels of number theory, and whole workloads as kernels. Each runs on all cores and suspends only the calling task.

require "braid.sync.array" -- for the methods of the arrays that primes and mandelbrot return
local core = require "braid.core"
local errors = require "braid.errors"

---@class braid.kernels.numbers
local M = {}

---The prime factors of a number in ascending order, repeated by multiplicity; `{}` for 1. Numbers from 1 to 2^63-1.
---With `unsigned = true`, or in an array of u64, numbers to 2^64-1: those from 2^63 on are negative integers in Lua,
---with the same bits, and so are factors that large; string.format's %u prints them. Anything else, also 0, raises kind
---"misuse".
---
---Method "curves" (the default): trial division by the primes below 256; the Miller-Rabin test with seven bases; then
---the rho method (J. M. Pollard 1975, R. P. Brent 1980) below 2^40, elliptic curves (H. W. Lenstra 1987, P. L.
---Montgomery 1987) above. It takes about 10 us for a number of 64 bits, 60 us for the hardest.
---Method "trial" is the algorithm of the tutorial: it tries all divisors from 2 to the square root.
---
---A list is spread over the cores; its numbers are copied at the call. Suspends, except for a few small numbers.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {method: "curves"|"trial"|nil, unsigned: boolean?, threads: integer?}
---@return integer[]|integer[][] factors for a list or an array: a list of lists, in the same order
function M.factorize(n, opts)
  errors.check_options(1, "factorize", opts, { method = "string", unsigned = "boolean", threads = "integer" })
  opts = opts or {}
  local method = opts.method or "curves"
  if method ~= "curves" and method ~= "trial" then
    errors.misuse(1, "bad option 'method' to 'factorize' (\"curves\" or \"trial\" expected, got %q)", method)
  end
  return core.factorize(n, method == "trial", opts.threads, opts.unsigned)
end

---Whether a number is prime. The Miller-Rabin test with seven bases is exact below 2^64 (J. Sinclair 2011).
---Numbers from 0 to 2^63-1; with `unsigned = true`, or in an array of u64, to 2^64-1, as in factorize.
---A list is spread over the cores; its numbers are copied at the call. Suspends, except for short lists.
---@param n integer|integer[]|braid.Array a number, a list, or an array of i64 or u64
---@param opts? {unsigned: boolean?, threads: integer?}
---@return boolean|boolean[] answer for a list or an array: a list, in the same order
function M.is_prime(n, opts)
  errors.check_options(1, "is_prime", opts, { unsigned = "boolean", threads = "integer" })
  opts = opts or {}
  return core.is_prime(n, opts.threads, opts.unsigned)
end

---The number of primes up to a limit. It uses the sieve of Eratosthenes, in segments that fit into a core's cache (C.
---Bays and R. H. Hudson 1977), with one bit for each number that is coprime to 30 (P. Pritchard 1982). Up to 10^9 it
---takes about 80 ms on two cores, up to 10^12 some minutes. Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return integer
function M.count_primes(limit, opts)
  errors.check_options(1, "count_primes", opts, { threads = "integer" })
  return (core.count_primes(limit, opts and opts.threads))
end

---The primes up to a limit, in ascending order, in an array of i64. Each takes 8 bytes (0.4 GB for those up to 10^9).
---It uses the same sieve as count_primes. Suspends.
---@param limit integer 0 to 10^13
---@param opts? {threads: integer?}
---@return braid.Array
function M.primes(limit, opts)
  errors.check_options(1, "primes", opts, { threads = "integer" })
  local threads = opts and opts.threads
  return (core.list_primes(limit, threads, core.count_primes(limit, threads)))
end

-- ---- whole workloads -----------------------------------------------------------------------------------------------

---Estimates pi as 4 times the share of n random points of a square that lie in its inscribed circle. Point i depends
---only on the seed and i (SplitMix64: G. L. Steele, D. Lea, C. H. Flood 2014), so the result is the same for any number
---of threads. The error is about 1.6 / sqrt(n). Suspends, except for small n.
---@param n integer number of points, at least 1
---@param seed integer? default 0
---@param opts? {threads: integer?}
---@return number estimate
---@return integer inside number of points in the circle
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
---@field height integer pixels
---@field left number? the part of the plane; default -2
---@field right number? default 0.5
---@field bottom number? default -1.25
---@field top number? default 1.25
---@field iterations integer? default 1000
---@field threads integer?

---A picture of the Mandelbrot set by escape times. c is the middle of a pixel. The pixel's value is the number of the
---terms 0, c, c^2 + c, ... with an absolute value up to 2, at most `iterations`. Returns an array of u32, row by row
---from the top. Suspends, except for tiny pictures.
---@param opts braid.kernels.Mandelbrot
---@return braid.Array
function M.mandelbrot(opts)
  errors.check_options(1, "mandelbrot", opts or {}, mandelbrot_options)
  opts = opts or {}
  return core.mandelbrot(opts.width, opts.height, opts.left or -2, opts.right or 0.5, opts.bottom or -1.25,
    opts.top or 1.25, opts.iterations or 1000, opts.threads)
end

-- Reads a list of strings, or { files = names, options }. Returns the list, whether it has file names, and the options.
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

---Checksums of many strings, `hash(list)`, or of many files, `hash { files = names }`. It uses the system's OpenSSL,
---which is loaded at the first call; if it is missing the call raises kind "system". Suspends, except for a few short
---strings.
---@param list string[]|{files: string[], algorithm: string?, threads: integer?}
---@param opts? {algorithm: string?, threads: integer?} algorithm: a name that OpenSSL knows; default "sha256"
---@return string[]? digests hexadecimal, in the list's order; nil if a file could not be read
---@return braid.Error? err kind "system": the first file that could not be read, and why
function M.hash(list, opts)
  local what, files
  what, files, opts = texts("hash", list, opts, hash_options)
  return core.hash(what, opts.algorithm or "sha256", files, opts.threads)
end

local word_options = { threads = "integer", files = "table" }

---Counts how often each word occurs in many strings, `word_count(list)`, or in many files,
---`word_count { files = names }`. A word is a run of bytes other than ASCII white space, as wc counts. One thread
---counts each string or file. Suspends, except for a few short strings.
---@param list string[]|{files: string[], threads: integer?}
---@param opts? {threads: integer?}
---@return table<string, integer>? counts nil if a file could not be read
---@return {lines: integer, words: integer, bytes: integer}|braid.Error totals or the error of kind "system"
function M.word_count(list, opts)
  local what, files
  what, files, opts = texts("word_count", list, opts, word_options)
  return core.word_count(what, files, opts.threads)
end

return M
