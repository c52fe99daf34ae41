-- SPDX-License-Identifier: MIT
-- A headless Chromium that is driven by its DevTools protocol, for specs.
local braid = require "braid"

local M = {}

local Browser = {}
Browser.__index = Browser

--- The program's name; nil: it is not here. Suspends.
---@return string?
function M.program()
  for _, name in ipairs { "chromium", "chromium-browser", "google-chrome" } do
    local result = braid.process.run({ name, "--version" }, { stderr = "null" })
    if result and result.code == 0 then return name end
  end
end

-- The port at which the browser listens; it writes it to a file.
local function wait_for_port(folder)
  for _ = 1, 600 do
    local text = braid.file.read(folder .. "/DevToolsActivePort")
    local port = text and text:match "^(%d+)\n"
    if port then return math.tointeger(tonumber(port)) end
    braid.sleep(0.05)
  end
  error "Chromium does not listen"
end

-- The address of the page's end of the protocol.
local function page_address(port)
  local session <close> = braid.http.session()
  for _ = 1, 200 do
    local answer = session:get(("http://127.0.0.1:%d/json"):format(port))
    for _, target in ipairs(answer and answer:json() or {}) do
      if target.type == "page" then return target.webSocketDebuggerUrl end
    end
    braid.sleep(0.05)
  end
  error "Chromium has no page"
end

--- Opens a page. Suspends. Closed by `<close>`.
---@param url string
---@param options {width: integer?, height: integer?}?
---@return table? browser nil: Chromium is not here
function M.open(url, options)
  local name = M.program()
  if not name then return nil end
  options = options or {}
  local folder = os.tmpname()
  os.remove(folder)
  local child = assert(braid.process.start({
    name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars", "--user-data-dir=" .. folder, "--remote-debugging-port=0", "--remote-allow-origins=*",
    ("--window-size=%d,%d"):format(options.width or 1280, options.height or 900), url,
  }, { stdout = "null", stderr = "null", group = true }))
  local browser = setmetatable({ _child = child, _folder = folder, _count = 0 }, Browser)
  local ok, err = pcall(function()
    browser._ws = assert(braid.websocket.connect(page_address(wait_for_port(folder)), { max_message = 1 << 26 }))
  end)
  if ok then return browser end
  browser:__close()
  error(err, 0)
end

--- Calls a method of the protocol. Suspends.
---@param method string
---@param params table?
---@return table result
function Browser:call(method, params)
  self._count = self._count + 1
  self._ws:send(braid.json.encode { id = self._count, method = method, params = params or {} })
  while true do
    local message = braid.json.decode((assert(self._ws:receive(30))))
    if message.id == self._count then
      if message.error then error(message.error.message, 0) end
      return message.result
    end
  end
end

--- The value of an expression of JavaScript; a promise is waited for. Suspends.
---@param expression string
---@return any
function Browser:value(expression)
  local result = self:call("Runtime.evaluate", { expression = expression, awaitPromise = true, returnByValue = true })
  if result.exceptionDetails then error(braid.json.encode(result.exceptionDetails), 0) end
  return result.result.value
end

--- Waits until an expression is true. Suspends.
---@param expression string
function Browser:wait(expression)
  for _ = 1, 400 do
    if self:value(("Boolean(%s)"):format(expression)) then return end
    braid.sleep(0.05)
  end
  error("it never came so far: " .. expression, 0)
end

--- Sets the size of the page.
function Browser:resize(width, height, mobile)
  self:call("Emulation.setDeviceMetricsOverride", { width = width, height = height, deviceScaleFactor = 1,
    mobile = mobile or false })
end

--- A picture of the page, as PNG. Suspends.
---@return string
function Browser:picture()
  return require("braid.base64").decode(self:call("Page.captureScreenshot", { format = "png" }).data)
end

function Browser:__close()
  if self._ws then self._ws:close(nil, nil, 0.1) end
  self._child:kill()
  self._child:wait()
  braid.process.run { "rm", "-rf", self._folder }
end

return M
