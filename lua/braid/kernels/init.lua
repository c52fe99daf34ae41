-- SPDX-License-Identifier: MIT
--- Native kernels on all cores: number theory and whole workloads (braid.kernels.numbers), arrays
--- (braid.kernels.vectors). Each of the two modules is loaded when one of its functions is first used.
---
--- A kernel suspends the calling task while native threads compute, and the loop goes on. A cancel stops the kernel.
--- Results do not depend on the number of threads. The option `threads = k` sets that number. The default is the
--- environment variable BRAID_THREADS, or else the number of cores that the process may use.

local numbers = {
  factorize = true, is_prime = true, primes = true, count_primes = true, monte_carlo_pi = true, mandelbrot = true,
  hash = true, word_count = true,
}

local compiling = { compile = true, options = true }

---@class braid.kernels: braid.kernels.numbers, braid.kernels.vectors
local kernels = {}

return setmetatable(kernels, {
  __index = function(self, name)
    local value
    if numbers[name] then
      value = require "braid.kernels.numbers"[name]
    elseif compiling[name] then
      value = require "braid.kernels.compile.kernel"[name]
    else
      value = require "braid.kernels.vectors"[name]
    end
    rawset(self, name, value)
    return value
  end,
})
