-- SPDX-License-Identifier: MIT
--- Native kernels on all cores: number theory and whole workloads (braid.kernels.numbers), arrays
--- (braid.kernels.vectors). Each part is loaded when one of its functions is first touched.
---
--- A kernel suspends the calling task while native threads compute, and the loop goes on; a cancel stops it. Results do
--- not depend on the number of threads. `threads = k` in the options sets that number; it is the environment's
--- BRAID_THREADS, or the cores that the process may use, otherwise.

local numbers = {
  factorize = true, is_prime = true, primes = true, count_primes = true, monte_carlo_pi = true, mandelbrot = true,
  hash = true, word_count = true,
}

---@class braid.kernels: braid.kernels.numbers, braid.kernels.vectors
local kernels = {}

return setmetatable(kernels, {
  __index = function(self, name)
    local value
    if numbers[name] then
      value = require "braid.kernels.numbers"[name]
    else
      value = require "braid.kernels.vectors"[name]
    end
    rawset(self, name, value)
    return value
  end,
})
