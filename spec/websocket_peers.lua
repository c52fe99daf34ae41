-- SPDX-License-Identifier: MIT
-- Peers for WebSockets: Python's websockets, Node's ws, and servers of our own.
local braid = require "braid"
local connection = require "braid.websocket.connection"
local handshake = require "braid.websocket.handshake"
local streams = require "braid.io.stream"

local M = {}

-- ---- programs -------------------------------------------------------------------------------------------------------

local PYTHON_SERVER = [[
import asyncio, http, json, ssl, sys, websockets
async def serve(ws, path):
    if path == "/echo":
        async for message in ws: await ws.send(message)
    elif path.startswith("/close/"):
        await ws.close(int(path[7:]), "said so")
    elif path == "/fragments":
        await ws.send(["one ", "two ", "thr\u00e9e"])
        await ws.send([b"a" * 70000, b"b"])
    elif path == "/ping":
        waiter = await ws.ping("are you there")
        await waiter
        await ws.send("answered")
    elif path == "/large":
        await ws.send("x" * 100000)
        await ws.wait_closed()
        await asyncio.sleep(0)
    elif path == "/headers":
        await ws.send(json.dumps({k.lower(): v for k, v in ws.request_headers.raw_items()}))
    elif path == "/slow":
        await asyncio.sleep(0.3)
        got = [await ws.recv() for _ in range(3)]
        await ws.send(json.dumps([len(each) for each in got]))
    elif path == "/drop":
        ws.transport.abort()
    elif path == "/drop_half":
        ws.transport.write(b"\x81\x7e\x01\x00half")
        ws.transport.abort()
    elif path == "/wait":
        try: await ws.recv()
        except websockets.ConnectionClosed as e: print("closed", e.code, e.reason, flush=True)
async def refuse(path, headers):
    if path == "/refused": return http.HTTPStatus(403), [("X-Why", "no")], b"not you"
async def main():
    options = dict(subprotocols=["chat", "news"], process_request=refuse, ping_interval=None, max_size=None)
    if sys.argv[1] == "plain": options["compression"] = None
    if len(sys.argv) > 2:
        options["ssl"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        options["ssl"].load_cert_chain(sys.argv[2], sys.argv[3])
    async with websockets.serve(serve, "127.0.0.1", 0, **options) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
]]

-- Sends, and checks what comes back; prints "well" at the end.
local PYTHON_CLIENT = [[
import asyncio, sys, os, websockets
async def main():
    options = dict(compression=None) if sys.argv[2] == "plain" else {}
    async with websockets.connect(sys.argv[1], max_size=None, subprotocols=["news"], **options) as ws:
        assert ws.subprotocol == "news", ws.subprotocol
        for size in (0, 1, 125, 126, 65535, 65536, 300000):
            for body in (os.urandom(size), "\u00e9" * size):
                await ws.send(body)
                assert await ws.recv() == body, size
        await ws.send(["frag", "men", "ts"])
        assert await ws.recv() == "fragments"
        await asyncio.wait_for(await ws.ping(), 5)
        await asyncio.gather(*(ws.send("m%d" % i) for i in range(100)))
        for i in range(100): assert await ws.recv() == "m%d" % i
        await ws.close(4001, "enough")
        print("well", ws.close_code, flush=True)
asyncio.run(main())
]]

local NODE = [==[
const WebSocket = require(process.env.WS_MODULE);
const mode = process.argv[1], terms = {
  plain: false, deflate: true,
  alone: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
  narrow: { serverMaxWindowBits: 9, clientMaxWindowBits: 10, threshold: 0 },
}[process.argv[2]];
if (mode === "server") {
  const server = new WebSocket.Server({ host: "127.0.0.1", port: 0, perMessageDeflate: terms }, () =>
    console.log(server.address().port));
  server.on("connection", (ws, request) => {
    ws.on("message", (data, binary) => ws.send(data, { binary }));
    ws.on("error", () => {});
    ws.on("close", (code, reason) => console.log("closed", code, String(reason)));
  });
} else {
  const ws = new WebSocket(process.argv[3], ["chat"], { perMessageDeflate: terms });
  const bodies = [0, 1, 125, 126, 65535, 65536, 300000].map((n) => "é".repeat(n)), got = [];
  ws.on("open", () => bodies.forEach((body) => ws.send(body)));
  ws.on("message", (data) => {
    if (String(data) !== bodies[got.length]) throw new Error("message " + got.length);
    got.push(data);
    if (got.length === bodies.length) ws.ping("p");
  });
  ws.on("pong", () => ws.close(1000, "done"));
  ws.on("close", (code) => console.log("well", code, ws.protocol));
}
]==]

local function works(argv)
  local ok, result = pcall(braid.process.run, argv, { stderr = "null" })
  return ok and result ~= nil and result.code == 0
end

local function first_that_works(list)
  for _, each in ipairs(list) do
    if works(each) then return each[1] end
  end
end

local python, node_module

--- The Python that has websockets; nil: there is none.
function M.python()
  python = python or first_that_works {
    { "python3", "-c", "import websockets" }, { "/usr/bin/python3", "-c", "import websockets" },
  }
  return python
end

--- The folder of Node's ws; nil: it is not there.
function M.node_module()
  for _, folder in ipairs { "ws", "/usr/share/nodejs/ws" } do
    node_module = node_module or works { "node", "-e", ("require(%q)"):format(folder) } and folder
  end
  return node_module
end

-- Starts a program and gives its first line.
local function start(argv, opts)
  local child = assert(braid.process.start(argv, opts))
  return child, assert(child.stdout:read("l", 20))
end

--- A server; give it to <close>. mode: "plain" or "deflate". With a certificate and its key: with TLS.
---@return braid.process.Process
---@return string url without the path
function M.python_server(mode, certificate, key)
  local child, port = start { M.python(), "-c", PYTHON_SERVER, mode, certificate, key }
  return child, (certificate and "wss://localhost:" or "ws://127.0.0.1:") .. port
end

--- As above, Node's; mode also "alone" (no takeover) and "narrow" (small windows).
function M.node_server(mode)
  local child, port = start({ "node", "-e", NODE, "server", mode }, { env = { WS_MODULE = M.node_module() } })
  return child, "ws://127.0.0.1:" .. port
end

--- Runs a client to its end; gives what it printed.
function M.python_client(url, mode)
  local result = braid.process.run({ M.python(), "-c", PYTHON_CLIENT, url, mode }, { timeout = 20 })
  return result.stdout .. result.stderr
end

function M.node_client(url, mode)
  local result = braid.process.run({ "node", "-e", NODE, "client", mode, url },
    { timeout = 20, env = { WS_MODULE = M.node_module() } })
  return result.stdout .. result.stderr
end

-- ---- our own servers ------------------------------------------------------------------------------------------------

local function header_table(head)
  local headers = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):%s*([^\r\n]*)") do headers[name] = value end
  return headers
end

--- The server's part of the handshake. Returns the WebSocket and the request's head; or nil after a refusal.
function M.accept(stream, opts)
  local head = assert(stream:read_until("\r\n\r\n"))
  local agreement, status, text = handshake.answer(head:match("^%u+"), header_table(head), opts or {})
  if not agreement then
    stream:write(("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n"):format(status, text))
    return nil
  end
  local lines = { "HTTP/1.1 101 Switching Protocols" }
  for i = 1, #agreement.headers, 2 do lines[#lines + 1] = agreement.headers[i] .. ": " .. agreement.headers[i + 1] end
  assert(stream:write(table.concat(lines, "\r\n") .. "\r\n\r\n"))
  local descriptor, rest = streams.release(stream)
  local ws = connection.new(descriptor, rest, true, agreement.terms, opts or {})
  ws.protocol = agreement.protocol
  return ws, head
end

--- A listener whose connections are given to serve(stream), each in a task; and its URL. fn gets the URL.
function M.with_server(serve, fn, tls)
  local listener <close> = assert(braid.net.listen("127.0.0.1", 0, { tls = tls }))
  braid.scope(function(tasks)
    tasks:spawn(function()
      for stream in listener do
        tasks:spawn(function()
          local _ <close> = stream
          serve(stream)
        end)
      end
    end)
    fn((tls and "wss" or "ws") .. "://127.0.0.1:" .. listener.port)
    tasks:cancel()
  end)
end

return M
