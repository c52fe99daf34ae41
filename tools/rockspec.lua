-- SPDX-License-Identifier: MIT
-- Proves that the rockspec names every file, and only files that are there.
-- usage: lua tools/rockspec.lua      (in the root of the tree)

local FILE = "rockspec/braid-scm-1.rockspec"

local rockspec = {}
assert(loadfile(FILE, "t", rockspec))()

local named = {}
for module, part in pairs(rockspec.build.modules) do
  if type(part) == "string" then
    named[part] = module
  else
    for _, source in ipairs(part.sources) do named[source] = module end
  end
end
for _, part in pairs(rockspec.build.platforms.macosx.modules) do
  for _, source in ipairs(part.sources) do named[source] = "macosx" end
end

local failures = 0
local files <close> = assert(io.popen("find csrc -name '*.c'; find lua -name '*.lua'"))
for file in files:lines() do
  local module = file:match("^lua/(.*)%.lua$")
  module = module and module:gsub("/init$", ""):gsub("/", ".")
  if not named[file] or module and named[file] ~= module then
    failures = failures + 1
    print(("%s: %s is not in it%s"):format(FILE, file, module and " as " .. module or ""))
  end
  named[file] = nil
end
for file in pairs(named) do
  failures = failures + 1
  print(("%s: %s is not there"):format(FILE, file))
end
os.exit(failures == 0)
