-- SPDX-License-Identifier: MIT
-- Kernels that a script writes itself (kernels.compile), the same work and data as in the peers' programs.
-- usage: lua5.4 bench/userkernels.lua CASE [THREADS] [fast]      prints the best of three runs in ms

local braid = require "braid"
local kernels, array = braid.kernels, braid.array

local case, threads, fast = arg[1], tonumber(arg[2]), arg[3] == "fast"

local function compile(fn, opts)
  opts = opts or {}
  opts.fast_math = fast
  return kernels.compile(fn, opts)
end

local some = kernels.options { threads = threads }

-- splitmix64 of a counter, as a number from 0 to 1
local mix = kernels.compile(function(n)
  local z = (n + 1) * 0x9E3779B97F4A7C15
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return z ~ (z >> 31)
end)
local unit = kernels.compile(function(n)
  local z = mix(n)
  return (z >> 11) * 0x1p-53
end)

local cases = {}

function cases.group()
  local n = 10000000
  local keys, values = array("i32", n), array("f64", n)
  kernels.compile(function(i, k, v)
    local z = mix(i - 1)
    k[i] = 2 * ((z >> 1) % 500) + (z & 1) + 1 -- the remainder of the unsigned number
    v[i] = unit(i - 1 + 10000000)
  end)(n, keys, values)
  return function() return kernels.bincount(keys, { weights = values, bins = 1000, threads = threads }) end
end

function cases.kmeans()
  local n, parts = 1000000, 64
  local points = array("f64", { shape = { n, 8 } })
  kernels.compile(function(i, a) for j = 1, 8 do a[i][j] = unit((i - 1) * 8 + j - 1) end end)(n, points)
  local sums, counts = array("f64", { shape = { parts, 64 } }), array("i64", { shape = { parts, 8 } })
  local step = compile(function(p, a, c, s, count, size)
    for i = (p - 1) * size + 1, p * size do
      local best, at = 1e300, 1
      for k = 1, 8 do
        local d = 0.0
        for j = 1, 8 do
          local x = a[i][j] - c[k][j]
          d = d + x * x
        end
        if d < best then best, at = d, k end
      end
      count[p][at] = count[p][at] + 1
      for j = 1, 8 do s[p][(at - 1) * 8 + j] = s[p][(at - 1) * 8 + j] + a[i][j] end
    end
  end)
  return function()
    local centres = points:block(1, 8, 1, 8):copy()
    for _ = 1, 5 do
      sums:fill(0)
      counts:fill(0)
      step(parts, points, centres, sums, counts, n // parts, some)
      local sum, count = kernels.sum(sums, { axis = 1 }), kernels.sum(counts, { axis = 1 })
      for k = 1, 8 do
        for j = 1, 8 do centres[k][j] = count[k] > 0 and sum[(k - 1) * 8 + j] / count[k] or centres[k][j] end
      end
    end
  end
end

function cases.heat()
  local a, b = array("f64", { shape = { 1000, 1000 } }), array("f64", { shape = { 1000, 1000 } })
  a:block(401, 600, 401, 600):fill(100)
  local step = compile(function(i, j, u, v)
    v[i][j] = u[i][j] + 0.1 * (u[i - 1][j] + u[i + 1][j] + u[i][j - 1] + u[i][j + 1] - 4 * u[i][j])
  end)
  return function()
    for _ = 1, 50 do
      step({ 2, 999, 2, 999 }, a, b, some)
      a, b = b, a
    end
  end
end

function cases.option()
  local price = compile(function(i)
    local u, v = 1 - unit(2 * i - 2), unit(2 * i - 1)
    local z = math.sqrt(-2 * math.log(u)) * math.cos(6.283185307179586 * v)
    local s = 100 * math.exp(0.03 + 0.2 * z)
    return s > 105 and s - 105 or 0.0
  end, { reduce = "sum" })
  return function() return price(10000000, some) end
end

function cases.levenshtein()
  local n = 100000
  local a, b = array("u8", { shape = { n, 20 } }), array("u8", { shape = { n, 20 } })
  kernels.compile(function(i, x, y)
    for j = 1, 20 do
      local k = (i - 1) * 20 + j - 1
      x[i][j] = 97 + (mix(k) & 3)
      y[i][j] = 97 + (mix(k + 2000000) & 3)
    end
  end)(n, a, b)
  local distance = compile(function(p, x, y)
    local row = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }
    for i = 1, 20 do
      local diagonal = row[1]
      row[1] = i
      for j = 1, 20 do
        local up = row[j + 1]
        local best = diagonal + (x[p][i] ~= y[p][j] and 1 or 0)
        if up + 1 < best then best = up + 1 end
        if row[j] + 1 < best then best = row[j] + 1 end
        row[j + 1] = best
        diagonal = up
      end
    end
    return row[21]
  end, { reduce = "sum" })
  return function() return distance(n, a, b, some) end
end

function cases.life()
  local n = 2000
  local a, b = array("u8", { shape = { n, n } }), array("u8", { shape = { n, n } })
  kernels.compile(function(i, j, x) x[i][j] = (mix((i - 1) * 2000 + j - 1) >> 1) % 100 < 30 and 1 or 0 end)(
    { 1, n, 1, n }, a)
  local step = compile(function(i, x, y, size)
    local up, down = (i + size - 2) % size + 1, i % size + 1
    for j = 2, size - 1 do
      local s = (x[up][j - 1] + x[up][j] + x[up][j + 1] + x[i][j - 1] + x[i][j + 1] + x[down][j - 1] + x[down][j]
        + x[down][j + 1]) & 255 -- a byte is enough: so the C program has it, too
      y[i][j] = (s == 3 or s == 2 and x[i][j] == 1) and 1 or 0
    end
    for side = 0, 1 do
      local j = side * (size - 1) + 1
      local left, right = (j + size - 2) % size + 1, j % size + 1
      local s = x[up][left] + x[up][j] + x[up][right] + x[i][left] + x[i][right] + x[down][left] + x[down][j]
        + x[down][right]
      y[i][j] = (s == 3 or s == 2 and x[i][j] == 1) and 1 or 0
    end
  end)
  return function()
    for _ = 1, 100 do
      step(n, a, b, n, some)
      a, b = b, a
    end
  end
end

function cases.nbody()
  local bodies = array("f64", { values = {
    { 0, 0, 0, 0, 0, 0, 39.47841760435743 },
    { 4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.606326392995832, 2.81198684491626,
      -0.0252183616598876, 0.0376936749096657 },
    { 8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -1.01077434617879, 1.82566237123041,
      0.00841576137658415, 0.0112863261319688 },
    { 12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 1.08279100644154, 0.868713018169608,
      -0.0108326374013636, 0.00172372405705971 },
    { 15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.979090732243898, 0.594698998647676,
      -0.034755955550404, 0.00203368686992463 },
  } })
  local run = compile(function(_, b, steps)
    for _ = 1, steps do
      for i = 1, 5 do
        for j = i + 1, 5 do
          local x, y, z = b[i][1] - b[j][1], b[i][2] - b[j][2], b[i][3] - b[j][3]
          local d = x * x + y * y + z * z
          local m = 0.01 / (d * math.sqrt(d))
          local mi, mj = b[i][7] * m, b[j][7] * m
          b[i][4], b[i][5], b[i][6] = b[i][4] - x * mj, b[i][5] - y * mj, b[i][6] - z * mj
          b[j][4], b[j][5], b[j][6] = b[j][4] + x * mi, b[j][5] + y * mi, b[j][6] + z * mi
        end
      end
      for i = 1, 5 do
        for j = 1, 3 do b[i][j] = b[i][j] + 0.01 * b[i][j + 3] end
      end
    end
  end)
  return function() run(1, bodies, 5000000) end
end

local run = (cases[case] or error("no case " .. tostring(case)))()
local best = math.huge
run() -- compiles
for _ = 1, 3 do
  local began = braid.now()
  run()
  best = math.min(best, braid.now() - began)
end
print(("%s\tbraid\tms\t%.1f"):format(os.getenv "BENCH_NAME" or case, best * 1000))
