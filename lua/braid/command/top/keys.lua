-- SPDX-License-Identifier: MIT
--- Keys of a terminal: bytes become names.

local M = {}

local NAMES = {
  ["\3"] = "quit", ["\4"] = "quit", ["\t"] = "tab", ["\r"] = "enter", ["\n"] = "enter",
  ["\127"] = "back", ["\8"] = "back",
  ["\27[A"] = "up", ["\27[B"] = "down", ["\27[C"] = "right", ["\27[D"] = "left", ["\27OA"] = "up", ["\27OB"] = "down",
  ["\27[5~"] = "pageup", ["\27[6~"] = "pagedown", ["\27[H"] = "home", ["\27[F"] = "end", ["\27[1~"] = "home",
  ["\27[4~"] = "end", ["\27OH"] = "home", ["\27OF"] = "end", ["\27OP"] = "help", ["\27[11~"] = "help",
  ["\27OS"] = "filter", ["\27[14~"] = "filter", ["\27[21~"] = "quit", ["\27[Z"] = "backtab", ["\27"] = "escape",
}

-- The sequence at the beginning of the text: its size; 0 when it is not complete.
local function size_of(text)
  if text:sub(1, 1) ~= "\27" then
    local first = text:byte()
    local size = first < 0xC0 and 1 or first < 0xE0 and 2 or first < 0xF0 and 3 or 4
    return #text >= size and size or 0
  end
  if #text == 1 then return 0 end
  if text:find "^\27%[" then return select(2, text:find "^\27%[[%d;]*[%a~]") or 0 end
  if text:find "^\27O" then return #text >= 3 and 3 or 0 end
  return 1
end

---Takes the first key out of a text. With `all` nothing more follows: what is not complete stands for itself.
---@param text string
---@param all boolean
---@return string? key a name, or the character itself; nil: it is not complete
---@return string rest
function M.take(text, all)
  if text == "" then return nil, "" end
  local size = size_of(text)
  if size == 0 then
    if not all then return nil, text end
    size = text:sub(1, 1) == "\27" and 1 or #text
  end
  local key = text:sub(1, size)
  return NAMES[key] or (key:find "^\27." and "unknown") or key, text:sub(size + 1)
end

return M
