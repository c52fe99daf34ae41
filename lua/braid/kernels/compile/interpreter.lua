-- SPDX-License-Identifier: MIT
--- Kernels where there is no C compiler: the same function, as Lua, on slices of the range in a thread pool. Slower,
--- with the same results: the values of a reduction are joined by the same tree.

local make_array = require "braid.sync.array".array
local vectors = require "braid.kernels.vectors"

local M = {}

-- A function in a thread: makes the kernel's function from its text, and runs rows `first` to `last`. For a reduction
-- it writes the results into `out`.
local function run_slice(text, names, values, first, last, columns, out, at, ...)
  local list = {}
  for n, name in ipairs(names) do list[n] = name end
  local head = #list > 0 and ("local %s = ...; "):format(table.concat(list, ", ")) or ""
  local fn = assert(load(head .. "return " .. text, "=kernel"))(table.unpack(values, 1, #names))
  for i = first, last do
    for j = columns[1], columns[2] do
      local results
      if columns.two then results = table.pack(fn(i, j, ...)) else results = table.pack(fn(i, ...)) end
      for n, array in ipairs(out) do array[at] = results[n] end
      at = at + 1
    end
  end
end

local pool

local function slices(call, out)
  local pools = require "braid.pools.thread_pool"
  local cpus = require("braid.pools.pool").cpu_count and require("braid.pools.pool").cpu_count() or 2
  pool = pool or pools.thread_pool { workers = cpus, name = "kernels" }
  local futures, rows = {}, call.range[2] - call.range[1] + 1
  local width = call.range[4] - call.range[3] + 1
  local size = math.max(1, (rows + 4 * cpus - 1) // (4 * cpus))
  local columns = { call.range[3], call.range[4], two = call.two }
  for first = call.range[1], call.range[2], size do
    local last = math.min(first + size - 1, call.range[2])
    futures[#futures + 1] = pool:submit(run_slice, call.text, call.names, call.values, first, last, columns, out,
      (first - call.range[1]) * width + 1, table.unpack(call.arguments, 1, call.arguments.n))
  end
  for _, future in ipairs(futures) do future:result() end
end

local reducers = {
  sum = vectors.sum,
  min = vectors.min,
  max = vectors.max,
  product = function(array)
    local product = array:type() == "f64" and 1.0 or 1
    local blocks = product
    for at = 1, #array do
      product = product * array[at]
      if at % 1024 == 0 then product, blocks = array:type() == "f64" and 1.0 or 1, blocks * product end
    end
    return blocks * product
  end,
}

local function fold(array, fn)
  local blocks = {}
  for at = 1, #array do
    local block = (at - 1) // 1024 + 1
    if blocks[block] == nil then blocks[block] = array[at] else blocks[block] = fn(blocks[block], array[at]) end
  end
  local sum = blocks[1]
  for at = 2, #blocks do sum = fn(sum, blocks[at]) end
  return sum
end

---Runs a kernel as Lua.
---@param call table { text, names, values, range, two, arguments, results, reduce, fn }
---@return any ... the results of a reduction
function M.run(call)
  local count = (call.range[2] - call.range[1] + 1) * (call.range[4] - call.range[3] + 1)
  local out, results = {}, {}
  if call.reduce then
    for n, type in ipairs(call.results) do out[n] = make_array(type == "float" and "f64" or "i64", count) end
  end
  slices(call, out)
  for n, array in ipairs(out) do
    if call.reduce == "fold" then results[n] = fold(array, call.fn) else results[n] = reducers[call.reduce](array) end
  end
  return table.unpack(results, 1, #out)
end

return M
