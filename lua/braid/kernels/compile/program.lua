-- SPDX-License-Identifier: MIT
--- Writes the C of a whole kernel. The kernel's own function runs one iteration. `k_kernel` loops over a range of
--- iterations, in one of two copies: if all indices of the range are inside their arrays (see ranges.lua), the copy
--- without checks.

local emitter = require "braid.kernels.compile.emitter"
local prelude = require "braid.kernels.compile.prelude"

local M = {}

local scalar_c, element_c, parameter = emitter.scalar_c, emitter.element_c, emitter.parameter

-- The argument number `at` of k_kernel, unpacked into C variables.
local function unpack_argument(lines, symbol, at)
  local c, type = symbol.c, symbol.type
  local from = ("k_arguments[%d]"):format(at)
  if _G.type(type) ~= "table" then
    lines[#lines + 1] = ("  const %s %s = %s.v.%s; (void)%s;"):format(scalar_c(type), c, from,
      type == "float" and "d" or "i", c)
    return
  end
  lines[#lines + 1] = ("  %s *const %s_p = %s.v.p;"):format(element_c[type.element], c, from)
  lines[#lines + 1] = ("  const I %s_n = %s.rows, %s_m = %s.columns, %s_s = %s.row_step, "
    .. "%s_t = %s.column_step;"):format(c, from, c, from, c, from, c, from)
  lines[#lines + 1] = ("  (void)%s_p, (void)%s_n, (void)%s_m, (void)%s_s, (void)%s_t;"):format(c, c, c, c, c)
end

local function passed(symbol)
  local c = symbol.c
  if _G.type(symbol.type) ~= "table" then return c end
  local unit_row = symbol.type.rank == 1 and symbol.type.unit
  return ("%s_p, %s_n, %s_m, %s, %s"):format(c, c, c, unit_row and "1" or c .. "_s",
    symbol.type.rank == 2 and symbol.type.unit and "1" or c .. "_t")
end

local function emit_loops(lines, instance, indices, args, fast)
  local function add(format, ...) lines[#lines + 1] = format:format(...) end
  local results = {}
  for at in ipairs(instance.tree.results) do results[at] = (", &k_out%d[k_at]"):format(at) end
  local call = ("%s(k_fault, k_stop, %d, %s%s)"):format(instance.c, fast, table.concat(args, ", "),
    table.concat(results))
  local inner = indices == 2 and "j" or "i"
  if indices == 2 then
    add "    for (I k_i = i_lo, k_base = 0; k_i <= i_hi; k_i++, k_base += k_columns) {"
    add "      if (unlikely(*k_stop)) return K_STOPPED;"
  end
  add "      _Pragma(\"GCC ivdep\")"
  add("      for (I k_n = 0; k_n < %s; k_n++) {", indices == 2 and "k_columns" or "k_rows")
  add("        const I k_%s = %s_lo + k_n; %s", inner, inner,
    #results > 0 and ("const I k_at = %sk_n;"):format(indices == 2 and "k_base + " or "") or "")
  add("        const int k_code = %s;", call)
  add("        if (unlikely(k_code)) { k_fault->i = k_i; k_fault->j = %s; return k_code; }",
    indices == 2 and "k_j" or "0")
  add "      }"
  if indices == 2 then add "    }" end
end

-- `k_run` has the arguments as parameters, because C compilers believe `restrict` of parameters: with `alone` an array
-- that is written shares no element with another one.
local function emit_kernel(instance, indices, main, alone)
  local lines, unpacked = {}, {}
  local function add(format, ...) lines[#lines + 1] = format:format(...) end
  local tree, args, params, passing = instance.tree, {}, {}, {}
  local function take(symbol, at)
    unpack_argument(unpacked, symbol, at)
    params[#params + 1] = parameter(symbol, alone)
    passing[#passing + 1] = passed(symbol)
    args[#args + 1] = passed(symbol)
  end
  for at, symbol in ipairs(tree.arguments) do
    if at > indices then take(symbol, at - indices - 1) else args[at] = at == 1 and "k_i" or "k_j" end
  end
  for at, capture in ipairs(instance.captures) do take(capture, #tree.arguments - indices + at - 1) end
  table.insert(params, 1, "const I i_lo, const I i_hi, const I j_lo, const I j_hi, void *const *k_out, "
    .. "const volatile unsigned char *k_stop, struct k_fault *k_fault")
  table.insert(passing, 1, "i_lo, i_hi, j_lo, j_hi, k_out, k_stop, k_fault")
  add("static __attribute__((noinline)) int k_run(%s) {", table.concat(params, ", "))
  for at, type in ipairs(tree.results) do add("  %s *const k_out%d = k_out[%d];", scalar_c(type), at, at - 1) end
  add "  const I k_rows = i_hi - i_lo + 1, k_columns = j_hi - j_lo + 1;"
  add "  (void)k_rows, (void)k_columns, (void)k_out;"
  add "  int fast = 1;"
  for _, line in ipairs(main.ranges.lines) do lines[#lines + 1] = "  " .. line end
  add "  if (fast) {"
  emit_loops(lines, instance, indices, args, 1)
  add "  } else {"
  emit_loops(lines, instance, indices, args, 0)
  add "  }\n  return 0;\n}"
  add "int k_kernel(const struct k_argument *k_arguments, const I i_lo, const I i_hi, const I j_lo, const I j_hi,"
  add "             void *const *k_out, const volatile unsigned char *k_stop, struct k_fault *k_fault) {"
  table.move(unpacked, 1, #unpacked, #lines + 1, lines)
  add("  return k_run(%s);\n}", table.concat(passing, ", "))
  return table.concat(lines, "\n")
end

-- A loop that joins values with the function of `reduce`.
local function emit_fold(instance)
  local c = scalar_c(instance.tree.results[1])
  local passing = {}
  for _, capture in ipairs(instance.captures) do passing[#passing + 1] = ", " .. passed(capture) end
  local lines = {
    "int k_fold(const struct k_argument *k_arguments, const void *k_values, const I k_count, void *k_result,",
    "           const volatile unsigned char *k_stop, struct k_fault *k_fault) {",
    ("  const %s *const k_list = k_values; %s k_sum = k_list[0]; (void)k_arguments;"):format(c, c),
  }
  for _, capture in ipairs(instance.captures) do unpack_argument(lines, capture, capture.at) end
  lines[#lines + 1] = ([[
  for (I k_n = 1; k_n < k_count; k_n++) {
    %s k_next;
    const int k_code = %s(k_fault, k_stop, k_sum, k_list[k_n]%s, &k_next);
    if (unlikely(k_code)) return k_code;
    k_sum = k_next;
  }
  *(%s *)k_result = k_sum;
  return 0;
}]]):format(c, instance.c, table.concat(passing), c)
  return table.concat(lines, "\n")
end

local function name_arguments(unit, instance)
  for _, symbol in ipairs(instance.tree.arguments) do
    unit.names = unit.names + 1
    symbol.c = "a" .. unit.names
  end
end

---The C of a kernel.
---@param instance table { tree, name, c, captures }: the kernel's function
---@param callees table[] instances of the kernels that it calls, those that others call first
---@param indices integer 1 or 2
---@param opts { unchecked: boolean?, fold: table?, alone: boolean? } fold: the instance of the function of `reduce`;
--- alone: an array that is written shares no element with another one
---@return string source, table[] sites, boolean loops whether an iteration has loops
function M.emit(instance, callees, indices, opts)
  local unit = { sites = {}, names = 0, unchecked = opts.unchecked }
  local parts = { prelude }
  for _, callee in ipairs(callees) do
    name_arguments(unit, callee)
    parts[#parts + 1] = table.concat(emitter.emit_function(unit, callee).lines, "\n")
  end
  name_arguments(unit, instance)
  local main = {}
  for at = 1, indices do
    local letter = at == 1 and "i" or "j"
    main[instance.tree.arguments[at]] = { letter .. "_lo", letter .. "_hi" }
  end
  local emitted = emitter.emit_function(unit, instance, main)
  parts[#parts + 1] = table.concat(emitted.lines, "\n")
  parts[#parts + 1] = emit_kernel(instance, indices, emitted, opts.alone)
  if opts.fold then parts[#parts + 1] = emit_fold(opts.fold) end
  return table.concat(parts, "\n") .. "\n", unit.sites, emitter.work(instance.tree.body) > 64 or #callees > 0
end

return M
