-- SPDX-License-Identifier: MIT
-- A page in Chromium that uses what the web server has: fetch, EventSource and WebSocket.
local certificates = require "spec.certificates"
local chromium = require "spec.chromium"
local helper = require "spec.helper"
local braid = require "braid"
local test, run = helper.test, helper.run

local pem = certificates.open()
teardown(certificates.close)

local PAGE = [[<!doctype html><meta charset="utf-8"><title>braid</title><pre id="out"></pre><script>
const seen = {};
function show() { document.getElementById("out").textContent = JSON.stringify(seen, null, 1); }
async function useFetch() {
  const answer = await fetch("/echo", { method: "POST", body: "größer" });
  seen.fetch = await answer.text();
  seen.protocol = performance.getEntriesByType("navigation")[0].nextHopProtocol;
}
function useEvents() {
  return new Promise((done) => {
    const events = new EventSource("/events"), got = [];
    events.addEventListener("count", (event) => {
      got.push(event.data);
      if (got.length === 3) { events.close(); seen.events = got; done(); }
    });
  });
}
function useSocket() {
  return new Promise((done) => {
    const ws = new WebSocket(location.href.replace(/^http/, "ws") + "ws", ["chat"]), got = [];
    ws.binaryType = "arraybuffer";
    ws.onopen = () => {
      seen.extensions = ws.extensions.split(";")[0];
      ws.send("hällo");
      ws.send(new Uint8Array([1, 2, 255]));
      ws.send("x".repeat(300000));
    };
    ws.onmessage = (event) => {
      got.push(typeof event.data === "string" ? event.data.slice(0, 5) + event.data.length
        : Array.from(new Uint8Array(event.data)).join());
      if (got.length === 3) ws.send("end");
    };
    ws.onclose = (event) => { seen.socket = got; seen.closed = [event.code, event.reason, event.wasClean]; done(); };
  });
}
Promise.all([useFetch(), useEvents(), useSocket()]).catch((failure) => { seen.failure = String(failure); })
  .then(() => { show(); return fetch("/result", { method: "POST", body: JSON.stringify(seen) }); });
</script>]]

-- Answers with what the page saw, and how the handler ended.
local function page_app()
  local app = braid.web.app()
  app.results = braid.queue()
  app:get("/", function()
    return braid.web.response { body = PAGE, headers = { ["Content-Type"] = "text/html; charset=utf-8" } }
  end)
  app:post("/echo", function(request) return request.body end)
  app:get("/events", function()
    return braid.web.events(function(send)
      for i = 1, 3 do send { event = "count", data = i } end
      braid.sleep(60)
    end)
  end)
  app:websocket("/ws", { protocols = { "chat" } }, function(ws)
    for data, kind in ws:messages() do
      if data == "end" then return ws:close(4000, "as agreed") end
      if kind == "text" then ws:send(data) else ws:send_binary(data) end
    end
  end)
  app:post("/result", function(request)
    app.results:put(request:json())
    return {}
  end)
  return app
end

-- Opens the page; gives what it has seen.
local function visit(options)
  local name = chromium.program()
  if not name then return nil end
  return run(function()
    local app, folder = page_app(), os.tmpname()
    os.remove(folder)
    options.port, options.access_log = 0, false
    local server <close> = assert(app:start(options))
    local child <close> = assert(braid.process.start({
      name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
      "--no-first-run", "--user-data-dir=" .. folder, "--remote-debugging-port=0", server.url .. "/",
    }, { stdout = "null", stderr = "null", group = true }))
    local seen = app.results:get(60)
    child:kill()
    child:wait()
    braid.process.run { "rm", "-rf", folder }
    return seen
  end)
end

describe("a page in Chromium", function()
  for _, kind in ipairs { "http/1.1", "h2" } do
    test("uses fetch, EventSource and WebSocket: " .. kind, function()
      local seen = visit { tls = kind == "h2" and { cert = pem "server.pem", key = pem "server.key" } or nil }
      if not seen then return pending "Chromium is not here" end
      assert.is_nil(seen.failure)
      assert.equal(kind, seen.protocol)
      assert.equal("größer", seen.fetch)
      assert.same({ "1", "2", "3" }, { table.unpack(seen.events) })
      assert.equal("permessage-deflate", seen.extensions)
      assert.same({ "hällo5", "1,2,255", "xxxxx300000" }, { table.unpack(seen.socket) })
      assert.same({ 4000, "as agreed", true }, { table.unpack(seen.closed) })
    end, { deadline = 90 })
  end
end)
