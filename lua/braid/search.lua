-- SPDX-License-Identifier: MIT
-- Where Lua looks for modules when the program, or a worker, has gone to another folder.
local core = require "braid.core"

local M = {}

---A path for package.path or package.cpath: relative templates are tried from the present folder, as ever, and at last
---from the one in which the program was when it loaded braid.
---@param path string
---@return string
function M.lasting(path)
  for template in path:gmatch "[^;]+" do
    local last = core.start_folder and not template:find "^/" and core.start_folder .. "/" .. template
    if last and not (";" .. path .. ";"):find(";" .. last .. ";", 1, true) then path = path .. ";" .. last end
  end
  return path
end

return M
