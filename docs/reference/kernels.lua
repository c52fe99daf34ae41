-- Examples of the reference: each block runs alone, behind `local braid = require "braid"`.
--@ braid.array
local a = braid.array("f64", { 1, 2, 3 })                 -- the same memory in every thread and process
assert(a[2] == 2 and #a == 3)
a:fill(0.5)
assert((a * 2)[1] == 1.0)

--@ braid.kernels.compile
local scale = braid.kernels.compile(function(i, factor, x, y) y[i] = factor * x[i] end)
local x, y = braid.array("f64", { 1, 2, 3 }), braid.array("f64", 3)
scale(#x, 10.0, x, y)                                     -- for i = 1, #x, on all cores
assert(y[3] == 30.0)

--@ braid.kernels.sum, braid.kernels.dot
local a = braid.array("f64", { 1, 2, 3 })
assert(braid.kernels.sum(a) == 6.0 and braid.kernels.dot(a, a) == 14.0)

--@ braid.kernels.sort
local a = braid.array("i64", { 3, 1, 2 })
braid.kernels.sort(a)
assert(a[1] == 1 and a[3] == 3)

--@ braid.kernels.factorize
assert(table.concat(braid.kernels.factorize(360), " ") == "2 2 2 3 3 5")

--@ braid.kernels.is_prime, braid.kernels.count_primes
assert(braid.kernels.is_prime(2147483647) and braid.kernels.count_primes(100) == 25)

--@ braid.kernels.map
local a = braid.array("f64", { 1, 4, 9 })
assert(braid.kernels.map("sqrt(a) + 1", a)[3] == 4.0)

--@ braid.kernels.matmul
local a = braid.array("f64", { values = { { 1, 2 }, { 3, 4 } } })
local product = braid.kernels.matmul(a, a)
assert(product[2][2] == 22.0)

--@ braid.kernels.group_by
local keys = braid.array("i64", { 1, 2, 1 })
local groups = braid.kernels.group_by(keys, { sum = braid.array("f64", { 10, 20, 30 }) })
assert(groups.keys[1] == 1 and groups.sum[1] == 40.0)

--@ braid.advise
local advice = braid.advise(function() braid.sleep(0.02) end, { 1, 2, 3, 4 })
assert(advice.model == "tasks")

--@ braid.testing.run
local ok, err = pcall(braid.testing.run, function()
  local balance = 0
  braid.map(function()
    local before = balance
    braid.sleep(0.001)                                    -- virtual time: takes no time
    balance = before + 1
  end, { 1, 2 })
  assert(balance == 2, "an update was lost")
end)
assert(not ok and tostring(err):find "an update was lost" and err.seed)

--@ braid.trace
local folder <close> = assert(braid.file.temporary { folder = true })
braid.trace(folder.path .. "/run.json", braid.run, function()
  local pool <close> = braid.thread_pool(2)
  pool:map(math.abs, { 1, 2, 3 })
end)
assert(braid.file.stat(folder.path .. "/run.json").size > 100)

--@ braid.metrics
local numbers = braid.metrics()
assert(type(numbers) == "table" and type(braid.metrics "prometheus") == "string")
