-- SPDX-License-Identifier: MIT
--- What a kernel knows of Lua's `math`: types and C. The C calls the same functions of the C library as Lua does, so
--- the results have the same bits.

local fault = require "braid.kernels.compile.fault"

local M = {}

---The constants by name.
M.constants = { pi = math.pi, huge = math.huge, maxinteger = math.maxinteger, mininteger = math.mininteger }

local function float(node, name, types, count)
  if #types ~= count then fault.raise(node, "math.%s takes %d number%s", name, count, count > 1 and "s" or "") end
  return { "float" }
end

local function one_float(node, name, types) return float(node, name, types, 1) end

local function whole(node, name, types)
  float(node, name, types, 1)
  return { "integer" }
end

local function alike(node, name, types)
  if #types == 0 then fault.raise(node, "math.%s takes at least one number", name) end
  for _, type in ipairs(types) do
    if type ~= types[1] then
      fault.raise(node, "math.%s of integers and floats returns one or the other: write all alike, as 0.0", name)
    end
  end
  return { types[1] }
end

-- For each function: the check of its arguments, which returns the types of its results.
local functions = {
  sqrt = one_float, sin = one_float, cos = one_float, tan = one_float, asin = one_float, acos = one_float,
  exp = one_float, deg = one_float, rad = one_float, floor = whole, ceil = whole, max = alike, min = alike,
  abs = function(node, name, types)
    float(node, name, types, 1)
    return { types[1] }
  end,
  atan = function(node, name, types) return float(node, name, types, #types == 2 and 2 or 1) end,
  log = function(node, name, types) return float(node, name, types, #types == 2 and 2 or 1) end,
  fmod = function(node, name, types)
    float(node, name, types, 2)
    return { types[1] == "integer" and types[2] == "integer" and "integer" or "float" }
  end,
  ult = function(node, name, types)
    float(node, name, types, 2)
    if types[1] ~= "integer" or types[2] ~= "integer" then fault.raise(node, "math.ult takes two integers") end
    return { "boolean" }
  end,
  modf = function(node, name, types)
    float(node, name, types, 1)
    return { types[1], "float" }
  end,
}
M.functions = functions

---The types of the results of a call.
---@return string[]
function M.check(node, name, types) return functions[name](node, name, types) end

local names = {}
for name in pairs(functions) do names[math[name]] = name end

---The name of a function of math, if the value is one that kernels know.
---@return string?
function M.name_of(value) return value ~= nil and names[value] or nil end

---Why a field of math cannot be used.
---@return string
function M.refusal(name)
  if math[name] == nil then return ("math has no '%s'"):format(name) end
  if name == "random" or name == "randomseed" then
    return "math.random cannot be used in a kernel: its results would depend on threads. Fill an array with "
      .. "kernels.random before, or compute a hash of the index"
  end
  if name == "tointeger" then return "math.tointeger may return nil: use math.floor" end
  return ("math.%s cannot be used in a kernel"):format(name)
end

local function as_float(arg, type) return type == "float" and arg or ("(D)(%s)"):format(arg) end

local function chain(name, args)
  local text = args[1]
  for at = 2, #args do text = ("%s(%s, %s)"):format(name, text, args[at]) end
  return text
end

---The C of a call with one result. `args` are C expressions, `types` their types, `site` the number for faults.
---@return string
function M.emit(name, args, types, site)
  if name == "max" or name == "min" then return chain(("k_%s_%s"):format(name, types[1] == "float" and "d" or "i"),
    args) end
  if name == "floor" or name == "ceil" then
    return types[1] == "integer" and args[1] or ("K_WHOLE(%s(%s), %d)"):format(name, args[1], site)
  end
  if name == "abs" then return ("%s(%s)"):format(types[1] == "integer" and "k_abs" or "fabs", args[1]) end
  if name == "ult" then return ("((U)(%s) < (U)(%s))"):format(args[1], args[2]) end
  if name == "fmod" and types[1] == "integer" and types[2] == "integer" then
    return ("K_REMAINDER(%s, %s, %d)"):format(args[1], args[2], site)
  end
  local floats = {}
  for at, arg in ipairs(args) do floats[at] = as_float(arg, types[at]) end
  if name == "deg" then return ("((%s) * (180.0 / 0x1.921fb54442d18p+1))"):format(floats[1]) end
  if name == "rad" then return ("((%s) * (0x1.921fb54442d18p+1 / 180.0))"):format(floats[1]) end
  if name == "atan" then return ("atan2(%s, %s)"):format(floats[1], floats[2] or "1.0") end
  if name == "log" and floats[2] then return ("k_log(%s, %s)"):format(floats[1], floats[2]) end
  return ("%s(%s)"):format(name, table.concat(floats, ", "))
end

return M
