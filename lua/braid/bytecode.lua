-- SPDX-License-Identifier: MIT
-- What a line of a function does with the fields that it reads: calls them, indexes them, or something else. The
-- bytecode tells it. So it is known for a file, for a chunk from standard input, and for each line of a REPL.

local M = {}

-- What is used of Lua 5.4's instructions (lopcodes.h), and where the first function of a dump begins (ldump.c).
local GETTABUP, GETTABLE, GETI, GETFIELD, SELF, JMP, CALL, TAILCALL, EXTRAARG = 11, 12, 13, 14, 20, 56, 68, 69, 82
local INDEXES = { [GETTABLE] = true, [GETI] = true, [GETFIELD] = true, [SELF] = true }
local FIRST_FUNCTION = 33
local INTEGER, FLOAT, SHORT_STRING, LONG_STRING = 0x03, 0x13, 0x04, 0x14
local ABSOLUTE = -128 -- among the differences of lines: the line stands in the list of absolute ones

-- ---- reading a dump ------------------------------------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

function Reader:byte()
  self.at = self.at + 1
  return self.bytes:byte(self.at - 1)
end

-- Seven bits a byte, the highest first; the last byte has its top bit set.
function Reader:number()
  local value = 0
  while true do
    local byte = self:byte()
    value = value << 7 | byte & 0x7f
    if byte >= 0x80 then return value end
  end
end

function Reader:string()
  local size = self:number()
  if size == 0 then return nil end
  self.at = self.at + size - 1
  return self.bytes:sub(self.at - size + 1, self.at - 1)
end

function Reader:list(read)
  local list = {}
  for i = 1, self:number() do list[i] = read(self) end
  return list
end

function Reader:unpack(format)
  local value
  value, self.at = string.unpack(format, self.bytes, self.at)
  return value
end

local function instruction(reader) return reader:unpack "=I4" end
local function difference(reader) return reader:unpack "b" end
local function absolute(reader) return { pc = reader:number(), line = reader:number() } end

local function constant(reader)
  local kind = reader:byte()
  if kind == SHORT_STRING or kind == LONG_STRING then return reader:string() or "" end
  if kind == INTEGER or kind == FLOAT then reader.at = reader.at + 8 end
  return false
end

local function upvalue(reader)
  reader.at = reader.at + 3
  return true
end

local function variable(reader)
  return { name = reader:string() or "", from = reader:number(), to = reader:number() }
end

local function a_function(reader)
  local read = {}
  reader:string()
  read.line = reader:number()
  reader:number()
  reader.at = reader.at + 3 -- parameters, whether it is vararg, size of the stack
  read.code, read.constants = reader:list(instruction), reader:list(constant)
  reader:list(upvalue)
  reader:list(a_function)
  read.differences, read.absolute = reader:list(difference), reader:list(absolute)
  reader:list(variable)
  reader:list(reader.string)
  return read
end

-- ---- what becomes of a value ---------------------------------------------------------------------------------------

local function operation(code) return code & 0x7f end
local function a_of(code) return code >> 7 & 0xff end
local function b_of(code) return code >> 16 & 0xff end
local function c_of(code) return code >> 24 end

-- The name of the field that an instruction reads; nil for other instructions. (SELF has it in a register, too.)
local function field_of(read, code)
  local op = operation(code)
  local named = op == GETFIELD or op == GETTABUP or op == SELF and code & 0x8000 ~= 0
  return named and read.constants[c_of(code) + 1] or nil
end

-- Whether pcall was loaded into this register, before its first argument was.
local function is_pcall(read, at, register)
  for before = at - 1, math.max(1, at - 2), -1 do
    if a_of(read.code[before]) == register then
      local name = field_of(read, read.code[before])
      return name == "pcall" or name == "xpcall"
    end
  end
  return false
end

-- What the next instruction does that has the register, or that calls one below it: arguments stand behind the
-- function.
local function use_of(read, at)
  local register, following = a_of(read.code[at]), read.code[at + 1]
  if INDEXES[operation(following)] and b_of(following) == register then return "index" end
  for later = at + 1, #read.code do
    local op, a = operation(read.code[later]), a_of(read.code[later])
    local calls = op == CALL or op == TAILCALL
    if calls and a < register then return a == register - 1 and is_pcall(read, at, a) and "pcall" or "other" end
    if a == register and op ~= JMP and op ~= EXTRAARG then return calls and "call" or "other" end
  end
  return "other"
end

local function each_line(read, fn)
  local line, next_absolute = read.line, 1
  for at, difference_of in ipairs(read.differences) do
    if difference_of == ABSOLUTE then
      line, next_absolute = read.absolute[next_absolute].line, next_absolute + 1
    else
      line = line + difference_of
    end
    fn(line, at)
  end
end

---What a function does with the fields that it reads: line -> name -> "call", "index", "pcall" (it is what pcall calls)
---or "other"; "other" where one line does several things. Nil when the function was stripped.
---@param fn function
---@return table<integer, table<string, string>>?
function M.uses(fn)
  local ok, bytes = pcall(string.dump, fn)
  if not ok or not bytes:find "^\27Lua\x54\0" then return nil end
  local read = a_function(setmetatable({ bytes = bytes, at = FIRST_FUNCTION }, Reader))
  if #read.differences == 0 then return nil end
  local uses = {}
  each_line(read, function(line, at)
    local name = field_of(read, read.code[at])
    if not name then return end
    local here, use = uses[line] or {}, use_of(read, at)
    uses[line], here[name] = here, (here[name] or use) == use and use or "other"
  end)
  return uses
end

return M
