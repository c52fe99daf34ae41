-- SPDX-License-Identifier: MIT
-- An HTTP server in this process that answers as a test says: for what spec/raw_server.c cannot know beforehand.
local braid = require "braid"

local M = {}

-- A request whose head and body have been read; nil when the connection has ended.
local function read_request(stream)
  local line = stream:read("l")
  if not line then return nil end
  local method, target = line:match("^(%S+) (%S+)")
  local request = { method = method, target = target, line = line:gsub("\r$", ""), headers = {}, body = "" }
  for header in stream:lines() do
    local name, value = header:match("^([^:]+):%s*(.-)\r?$")
    if not name then break end
    request.headers[name:lower()] = value
  end
  local size = tonumber(request.headers["content-length"]) or 0
  if size > 0 then request.body = assert(stream:read(size)) end
  return request
end

--- An answer with a length. For handlers: stream:write(answer(200, "text", { ["X-A"] = "b" })).
function M.answer(status, body, headers)
  local lines = { ("HTTP/1.1 %d Said"):format(status), "Content-Length: " .. #(body or "") }
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- A test function: fn(base, log, listener) in braid.run, while handle(request, stream, number) answers each request;
--- the log is the list of requests so far. A handler that returns a string has it written; false ends the connection.
function M.with(handle, fn, place)
  return function()
    braid.run(function()
      local log = {}
      local listener <close> = assert(braid.net.listen(place or { host = "127.0.0.1", port = 0 }))
      braid.scope(function(tasks)
        tasks:spawn(function()
          for stream in listener do
            tasks:spawn(function()
              local connection <close> = stream
              for request in read_request, connection do
                log[#log + 1] = request
                local reply = handle(request, connection, #log)
                if reply == false or reply and not connection:write(reply) then break end
              end
            end)
          end
        end)
        fn("http://127.0.0.1:" .. (listener.port or 80), log, listener)
        tasks:cancel()
      end)
    end)
  end
end

return M
