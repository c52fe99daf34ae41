-- SPDX-License-Identifier: MIT
-- Kernels of number theory and whole workloads, against plain Lua: for all thread counts the same answers.
local expect = require "spec.expect"
local helper = require "spec.helper"
local braid = require "braid"
local describe, assert = describe, assert
local test, run = helper.test, helper.run
local misused = expect.misused
local _ENV = _G -- luacheck: ignore 211/_ENV (not busted's: a job's globals are those of its worker)

local kernels = braid.kernels
local THREADS = { 1, 2, 3, 7 }

-- Calls fn with each number of threads: the answers must be the same; gives them.
local function on_all_threads(fn)
  local first
  for _, threads in ipairs(THREADS) do
    local answer = fn(threads)
    if first == nil then first = answer else assert.same(first, answer) end
  end
  return first
end

-- The tutorial's algorithm.
local function factorize(n)
  local factors, d = {}, 2
  while d * d <= n do
    while n % d == 0 do
      factors[#factors + 1] = d
      n = n // d
    end
    d = d + 1
  end
  if n > 1 then factors[#factors + 1] = n end
  return factors
end

local function product(factors)
  local n = 1
  for _, factor in ipairs(factors) do n = n * factor end
  return n
end

-- A ticker must go on while fn runs, and a cancel must end fn soon.
local function holds_no_loop(fn)
  run(function()
    local longest, last = 0, braid.now()
    local ticker = braid.spawn(function()
      while true do
        braid.sleep(0.005)
        longest, last = math.max(longest, braid.now() - last), braid.now()
      end
    end)
    local start = braid.now()
    assert.is_false((braid.move_on_after(0.1, fn)))
    local took = braid.now() - start
    ticker:cancel()
    assert.is_true(took < 0.1 + 0.4 * helper.slowness, ("cancelled after %.3f s"):format(took))
    assert.is_true(longest < 0.1 * helper.slowness, ("the loop stood still for %.3f s"):format(longest))
  end)
end

describe("factorize", function()
  test("agrees with the tutorial's algorithm, by both methods", function()
    local numbers, expected = {}, {}
    for n = 1, 3000 do numbers[n] = n end
    for i = 1, 60 do numbers[#numbers + 1] = math.random(1, 1 << i % 32) end
    for i, n in ipairs(numbers) do expected[i] = factorize(n) end
    for _, method in ipairs { "curves", "trial" } do
      assert.same(expected, on_all_threads(function(threads)
        return kernels.factorize(numbers, { method = method, threads = threads })
      end))
    end
    assert.same({ 2, 2, 2, 3, 3, 5 }, kernels.factorize(360))
    assert.same({}, kernels.factorize(1))
    assert.same({}, kernels.factorize({}))
  end)

  test("finds primes whose product is the number, for all sizes", function()
    local numbers = {}
    for bits = 1, 63 do
      for _ = 1, 100 do numbers[#numbers + 1] = math.random(1 << bits - 1, (1 << bits - 1) - 1 + (1 << bits - 1)) end
    end
    for i, factors in ipairs(kernels.factorize(numbers)) do
      assert.equal(numbers[i], product(factors))
      for j, factor in ipairs(factors) do
        assert.is_true(kernels.is_prime(factor))
        assert.is_true(j == 1 or factors[j - 1] <= factor)
      end
    end
  end)

  test("finds what is hard: powers of primes, two primes alike, the largest numbers", function()
    local primes = { 257, 263, 65521, 65537, 1048573, 1048583, 2147483647, 3037000453, 3037000493 }
    for i, p in ipairs(primes) do
      assert.same({ p }, kernels.factorize(p))
      for j = i, #primes do
        if math.ult(p, math.maxinteger // primes[j] + 1) then
          assert.same({ p, primes[j] }, kernels.factorize(p * primes[j]))
        end
      end
    end
    for _, p in ipairs { 2, 3, 251, 257, 641, 65537 } do
      local power, expected = p, { p }
      while power <= math.maxinteger // p do
        power = power * p
        expected[#expected + 1] = p
        assert.same(expected, kernels.factorize(power))
      end
    end
    assert.same({ 7, 7, 73, 127, 337, 92737, 649657 }, kernels.factorize(math.maxinteger))
    assert.same({ 9223372036854775783 }, kernels.factorize(9223372036854775783))
  end)

  test("takes unsigned numbers", function()
    assert.same({ 3, 5, 17, 257, 641, 65537, 6700417 }, kernels.factorize(-1, { unsigned = true }))
    assert.same({ -59 }, kernels.factorize(-59, { unsigned = true }))
    local square = braid.array("u64", string.pack("=i8", 4294967291 * 4294967291))
    assert.same({ { 4294967291, 4294967291 } }, kernels.factorize(square))
    assert.is_true(kernels.is_prime(-59, { unsigned = true }))
    assert.is_false(kernels.is_prime(-1, { unsigned = true }))
  end)

  test("takes arrays", function()
    assert.same({ { 2, 2, 3 }, {}, { 97 } }, kernels.factorize(braid.array("i64", { 12, 1, 97 })))
    assert.same({ false, true }, kernels.is_prime(braid.array("u64", { 12, 97 })))
    assert.same({}, kernels.factorize(braid.array("i64", 0)))
  end)

  test("refuses what it cannot take", function()
    for _, n in ipairs { 0, -1, 2.5, math.mininteger } do
      misused("bad argument 'n' to 'factorize' %(integers from 1 expected, got ", kernels.factorize, n)
      misused("got .* at 2%)", kernels.factorize, { 7, n })
    end
    misused("got nil", kernels.factorize)
    misused("got string at 1", kernels.factorize, { "7" })
    misused("an array of i64 or u64 expected", kernels.factorize, braid.array("f64", 1))
    misused("integers from 1 expected, got %-7 at 1", kernels.factorize, braid.array("i64", { -7 }))
    misused("unsigned integers from 1 expected, got 0 at 1", kernels.factorize, braid.array("u64", { 0 }))
    misused("did you mean 'method'", kernels.factorize, 7, { metod = "trial" })
    misused("\"curves\" or \"trial\" expected", kernels.factorize, 7, { method = "rho" })
    for _, threads in ipairs { 0, -1, 257 } do
      misused("bad argument 'threads'", kernels.factorize, 7, { threads = threads })
    end
    misused("integers from 0 expected, got %-1", kernels.is_prime, -1)
  end)

  test("lets the loop go on and can be cancelled", function()
    holds_no_loop(function() kernels.factorize({ 9223372036854775783 }, { method = "trial" }) end)
    holds_no_loop(function()
      local numbers = {}
      for i = 1, 1000 do numbers[i] = 9007199254740881 end
      kernels.factorize(numbers, { method = "trial", threads = 7 })
    end)
  end)

  test("runs in several tasks and in workers at once", function()
    run(function()
      local pool <close> = braid.thread_pool(3)
      local processes <close> = braid.process_pool(1)
      local numbers, expected = { 112272535095293, 360, 9007199254740881 }, {}
      for i, n in ipairs(numbers) do expected[i] = { n } end
      expected[2] = { 2, 2, 2, 3, 3, 5 }
      local function job(method) return require "braid".kernels.factorize(numbers, { method = method }) end
      local futures = {}
      for i = 1, 6 do
        futures[2 * i] = pool:submit(job, i % 2 == 0 and "trial" or nil)
        futures[2 * i - 1] = braid.spawn(job)
      end
      futures[#futures + 1] = processes:submit(job, "trial")
      for _, future in ipairs(futures) do assert.same(expected, future:result()) end
    end)
  end)

  test("runs on as many threads as BRAID_THREADS says", function()
    local stdout = helper.lua_process([[
      local braid = require "braid"
      braid.kernels.monte_carlo_pi(1000000)
      local function count()
        local threads = 0
        for thread in require "lfs".dir "/proc/self/task" do
          local file <close> = io.open("/proc/self/task/" .. thread .. "/comm")
          if file and file:read() == "braid-kernels" then threads = threads + 1 end
        end
        return threads
      end
      local patience = braid.now() + 5
      while count() < 3 and braid.now() < patience do braid.sleep(0.01) end -- each names itself when it begins
      print(count())
    ]], { env = { BRAID_THREADS = "3" } })
    assert.equal("3\n", stdout)
  end)

  test("ends with the state it was called in", function()
    local _, stderr, code = helper.lua_process [[
      local braid = require "braid"
      braid.spawn(function() braid.kernels.factorize({ 9223372036854775783 }, { method = "trial" }) end)
      braid.sleep(0.05)
      os.exit(3, true)
    ]]
    assert.equal(3, code)
    assert.equal("", stderr)
  end)
end)

describe("is_prime", function()
  test("agrees with the factors", function()
    local numbers, expected = {}, {}
    for n = 0, 5000 do
      numbers[#numbers + 1] = n
      expected[#numbers] = n > 1 and factorize(n)[1] == n
    end
    assert.same(expected, on_all_threads(function(threads)
      return kernels.is_prime(numbers, { threads = threads })
    end))
    for n = 0, 100 do assert.equal(expected[n + 1], kernels.is_prime(n)) end
  end)

  test("is not deceived by numbers that pass for some bases", function()
    for _, n in ipairs { 2047, 1373653, 25326001, 3215031751, 2152302898747, 3474749660383, 341550071728321,
      3825123056546413051, 561, 1105, 1729, 41041, 825265 } do
      assert.is_false(kernels.is_prime(n))
    end
    for _, n in ipairs { 2305843009213693951, 9223372036854775783, 18014398509481951, 67280421310721 } do
      assert.is_true(kernels.is_prime(n))
    end
  end)
end)

describe("primes", function()
  local limit = 100000
  local primes, count = {}, {}
  for n = 0, limit do
    if n > 1 and kernels.is_prime(n) then primes[#primes + 1] = n end
    count[n] = #primes
  end

  test("are listed and counted up to any limit", function()
    assert.same(primes, on_all_threads(function(threads)
      return kernels.primes(limit, { threads = threads }):totable()
    end))
    for n = 0, 500 do
      local list = kernels.primes(n)
      assert.equal(count[n], #list)
      assert.equal(count[n], kernels.count_primes(n))
      if #list > 0 then assert.equal(primes[#list], list[#list]) end
    end
    for n = 501, limit, 997 do assert.equal(count[n], kernels.count_primes(n)) end
  end)

  test("are as many as is known", function()
    for exponent, known in ipairs { 4, 25, 168, 1229, 9592, 78498, 664579 } do
      assert.equal(known, on_all_threads(function(threads)
        return kernels.count_primes(10 ^ exponent // 1 | 0, { threads = threads })
      end))
    end
    local segment = 30 * 32 * 1024 -- numbers: the sieve's borders, and its chunks'
    for _, n in ipairs { segment, 2 * segment, 5 * segment, 64 * segment, 128 * segment } do
      local around = n < 10 * segment and 30 or 3
      local before = kernels.count_primes(n - around - 1)
      for m = n - around, n + around do
        before = before + (kernels.is_prime(m) and 1 or 0)
        assert.equal(before, kernels.count_primes(m, { threads = m % 3 + 1 }))
      end
    end
  end, { deadline = 60 })

  test("are counted beyond 2^32", function() -- some seconds under the sanitizers
    assert.equal(5761455, kernels.count_primes(100000000))
    assert.equal(208013454, kernels.count_primes(4400000000))
  end, { deadline = 60 })

  test("refuse other limits", function()
    for _, n in ipairs { -1, 2.5, 10 ^ 13 // 1 + 1 | 0 } do
      misused("bad argument 'limit' to '", kernels.primes, n)
      misused("bad argument 'limit' to 'count_primes'", kernels.count_primes, n)
    end
    misused("unknown option 'method'", kernels.primes, 10, { method = "x" })
  end)

  test("let the loop go on and can be cancelled", function()
    holds_no_loop(function() kernels.count_primes(1000000000000) end)
    holds_no_loop(function() kernels.count_primes(1000000000000, { threads = 1 }) end)
  end)
end)

describe("monte_carlo_pi", function()
  -- SplitMix64 in plain Lua.
  local function inside(n, seed)
    local count = 0
    for i = 0, n - 1 do
      local z = seed + (i + 1) * 0x9e3779b97f4a7c15
      z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
      z = (z ~ z >> 27) * 0x94d049bb133111eb
      z = z ~ z >> 31
      local x, y = z >> 33, z & 0x7fffffff
      if x * x + y * y < 1 << 62 then count = count + 1 end
    end
    return count
  end

  test("throws the same points on any number of threads", function()
    for _, n in ipairs { 1, 2, 1000, 300001 } do
      for _, seed in ipairs { 0, 1, -7 } do
        local count = on_all_threads(function(threads)
          local pi, hits = kernels.monte_carlo_pi(n, seed, { threads = threads })
          assert.equal(4 * hits / n, pi)
          return hits
        end)
        assert.equal(inside(n, seed), count)
      end
    end
    assert.is_true(math.abs(kernels.monte_carlo_pi(10000000) - math.pi) < 0.003)
  end)

  test("lets the loop go on and can be cancelled", function()
    holds_no_loop(function() kernels.monte_carlo_pi(1 << 50) end)
  end)

  test("refuses what it cannot take", function()
    misused("bad argument 'n' to 'monte_carlo_pi' %(an integer from 1 expected, got 0%)", kernels.monte_carlo_pi, 0)
    misused("bad argument 'seed'", kernels.monte_carlo_pi, 1, 2.5)
  end)
end)

describe("mandelbrot", function()
  local function escape(cx, cy, iterations)
    local x, y, count = 0.0, 0.0, 0
    while count < iterations and x * x + y * y <= 4 do
      x, y, count = x * x - y * y + cx, 2.0 * x * y + cy, count + 1
    end
    return count
  end

  local function plain(width, height, left, right, bottom, top, iterations)
    local counts, dx, dy = {}, (right - left) / width, (top - bottom) / height
    for row = 0, height - 1 do
      for column = 0, width - 1 do
        counts[#counts + 1] = escape(left + (column + 0.5) * dx, top - (row + 0.5) * dy, iterations)
      end
    end
    return counts
  end

  test("draws what plain Lua draws", function()
    for _, width in ipairs { 0, 1, 7, 8, 9, 40 } do
      for _, height in ipairs { 0, 1, 13 } do
        for _, iterations in ipairs { 0, 1, 15, 16, 17, 100 } do
          local picture = on_all_threads(function(threads)
            local array = kernels.mandelbrot { width = width, height = height, iterations = iterations,
              threads = threads }
            assert.equal("u32", array:type())
            return array:totable()
          end)
          assert.same(plain(width, height, -2, 0.5, -1.25, 1.25, iterations), picture)
        end
      end
    end
    local part = { width = 64, height = 48, left = -0.75, right = -0.74, bottom = 0.1, top = 0.11, iterations = 500 }
    assert.same(plain(64, 48, -0.75, -0.74, 0.1, 0.11, 500), kernels.mandelbrot(part):totable())
  end)

  test("lets the loop go on and can be cancelled", function()
    holds_no_loop(function() kernels.mandelbrot { width = 20000, height = 20, iterations = 1000000 } end)
  end)

  test("refuses what it cannot take", function()
    misused("bad argument 'width'", kernels.mandelbrot, {})
    misused("bad argument 'height'", kernels.mandelbrot, { width = 1 })
    misused("bad argument 'height'", kernels.mandelbrot, { width = 1, height = -1 })
    misused("did you mean 'width'", kernels.mandelbrot, { widthh = 1 })
    misused("bad argument 'iterations'", kernels.mandelbrot, { width = 1, height = 1, iterations = -1 })
  end)
end)

-- Gives the names of files with these texts to fn.
local function with_files(contents, fn)
  local names = {}
  for i, text in ipairs(contents) do
    names[i] = os.tmpname()
    local file <close> = assert(io.open(names[i], "wb"))
    file:write(text)
  end
  local ok, err = pcall(fn, names)
  for _, name in ipairs(names) do os.remove(name) end
  if not ok then error(err, 0) end
end

describe("hash", function()
  local empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  local abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  test("gives the digests that the standards give", function()
    assert.same({ empty, abc }, kernels.hash { "", "abc" })
    assert.same({ "a9993e364706816aba3e25717850c26c9cd0d89d" }, kernels.hash({ "abc" }, { algorithm = "sha1" }))
    assert.equal(128, #kernels.hash({ "abc" }, { algorithm = "sha512" })[1])
    assert.same({}, kernels.hash {})
  end)

  test("of strings and of files, in order, on any number of threads", function()
    local texts = {}
    for i = 1, 200 do texts[i] = (string.char(i) .. "\0"):rep(i * i) end
    local digests = on_all_threads(function(threads) return kernels.hash(texts, { threads = threads }) end)
    for i = 1, #texts, 13 do assert.same({ digests[i] }, kernels.hash { texts[i] }) end
    with_files(texts, function(names)
      assert.same(digests, on_all_threads(function(threads)
        return kernels.hash { files = names, threads = threads }
      end))
    end)
  end)

  test("says which file could not be read", function()
    local digests, err = kernels.hash { files = { "Makefile", "/nonexistent/file", "/nonexistent/too" } }
    assert.is_nil(digests)
    assert.is_true(braid.is_error(err, "system"))
    assert.matches("/nonexistent/file: No such file", err.message)
  end)

  test("refuses what it cannot take", function()
    misused("bad argument 'list' to 'hash' %(a list of strings expected, got nil", kernels.hash)
    misused("strings expected, got number at 2", kernels.hash, { "a", 2 })
    misused("bad argument 'algorithm'", kernels.hash, { "a" }, { algorithm = "sha0" })
    misused("unknown option 'algoritm'", kernels.hash, { files = {}, algoritm = "md5" })
    misused("they stand beside 'files'", kernels.hash, { files = {} }, { threads = 1 })
    misused("no zeroes", kernels.hash, { files = { "a\0b" } })
  end)

  test("lets the loop go on and can be cancelled", function()
    local text, texts = ("x"):rep(100000000), {}
    for i = 1, 20 do texts[i] = text end
    holds_no_loop(function() kernels.hash(texts) end)
  end, { deadline = 30 })
end)

describe("word_count", function()
  local function plain(texts)
    local counts, totals = {}, { lines = 0, words = 0, bytes = 0 }
    for _, text in ipairs(texts) do
      for word in text:gmatch "[^ \t-\r]+" do
        counts[word] = (counts[word] or 0) + 1
        totals.words = totals.words + 1
      end
      totals.lines = totals.lines + select(2, text:gsub("\n", ""))
      totals.bytes = totals.bytes + #text
    end
    return counts, totals
  end

  local function random_text(size)
    local bytes = {}
    for i = 1, size do bytes[i] = string.char(("abc\xe4\0 \n\t"):byte(math.random(8))) end
    return table.concat(bytes)
  end

  test("agrees with plain Lua, of strings and of files", function()
    local texts = { "", " ", "a", " a b\na ", "\n\n", ("x"):rep(3000000) .. " y", ("word "):rep(200000) }
    for i = 8, 60 do texts[i] = random_text(i * i) end
    local counts, totals = plain(texts)
    local function check(list, opts)
      local got, sums = kernels.word_count(list, opts)
      assert.same(totals, sums)
      assert.same(counts, got)
    end
    for _, threads in ipairs(THREADS) do check(texts, { threads = threads }) end
    with_files(texts, function(names)
      for _, threads in ipairs(THREADS) do check({ files = names, threads = threads }) end
    end)
    assert.same({ {}, { lines = 0, words = 0, bytes = 0 } }, { kernels.word_count {} })
  end)

  test("says which file could not be read", function()
    local counts, err = kernels.word_count { files = { "Makefile", "/nonexistent/file" } }
    assert.is_nil(counts)
    assert.is_true(braid.is_error(err, "system"))
    assert.matches("word_count: /nonexistent/file: No such file", err.message)
    counts, err = kernels.word_count { files = { "spec" } }
    assert.is_nil(counts)
    assert.matches("Is a directory", err.message)
  end)

  test("lets the loop go on and can be cancelled", function()
    local text, texts = ("some words\n"):rep(10000000), {}
    for i = 1, 20 do texts[i] = text end
    holds_no_loop(function() kernels.word_count(texts) end)
  end, { deadline = 30 })
end)
