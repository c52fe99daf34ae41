-- SPDX-License-Identifier: MIT
-- Where Lua looks for modules when the program, or a worker, has gone to another folder.

local M = {}

-- The C module is not opened here, for that makes a loop: `braid_start` refuses a Lua that is too old, and tells the
-- folder in which the program is. Where the module is part of the program it is found in package.preload instead.
local core_file = not package.preload["braid.core"] and package.searchpath("braid.core", package.cpath) or nil
local start = core_file and package.loadlib(core_file, "braid_start")
local folder = start and start()

---A path for package.path or package.cpath: relative templates are tried from the present folder, as ever, and at last
---from the one in which the program was when it loaded braid.
---@param path string
---@return string
function M.lasting(path)
  folder = folder or require("braid.core").start_folder
  for template in path:gmatch "[^;]+" do
    local last = folder and not template:find "^/" and folder .. "/" .. template
    if last and not (";" .. path .. ";"):find(";" .. last .. ";", 1, true) then path = path .. ";" .. last end
  end
  return path
end

---braid has been found in this file. By a relative path, whose folder the program may leave before it touches the next
---part: then the paths become lasting ones.
---@param file string?
function M.keep(file)
  if (file or "/"):find "^[^/]" or (core_file or "/"):find "^[^/]" then
    package.path, package.cpath = M.lasting(package.path), M.lasting(package.cpath)
  end
end

return M
