-- SPDX-License-Identifier: MIT
-- What has come of a transfer: a response, or an error with libcurl's name for it.
local errors = require "braid.errors"
local request = require "braid.http.request"
local response = require "braid.http.response"

local M = {}

-- libcurl's error codes, with the names from its manual.
local CODES = {
  [1] = "UNSUPPORTED_PROTOCOL", [3] = "URL_MALFORMAT", [4] = "NOT_BUILT_IN", [5] = "COULDNT_RESOLVE_PROXY",
  [6] = "COULDNT_RESOLVE_HOST", [7] = "COULDNT_CONNECT", [8] = "WEIRD_SERVER_REPLY", [16] = "HTTP2",
  [18] = "PARTIAL_FILE", [23] = "WRITE_ERROR", [25] = "UPLOAD_FAILED", [26] = "READ_ERROR", [27] = "OUT_OF_MEMORY",
  [28] = "OPERATION_TIMEDOUT", [35] = "SSL_CONNECT_ERROR", [42] = "ABORTED_BY_CALLBACK", [47] = "TOO_MANY_REDIRECTS",
  [52] = "GOT_NOTHING", [53] = "SSL_ENGINE_NOTFOUND", [55] = "SEND_ERROR", [56] = "RECV_ERROR",
  [58] = "SSL_CERTPROBLEM", [59] = "SSL_CIPHER", [60] = "PEER_FAILED_VERIFICATION", [61] = "BAD_CONTENT_ENCODING",
  [63] = "FILESIZE_EXCEEDED", [65] = "SEND_FAIL_REWIND", [77] = "SSL_CACERT_BADFILE",
  [90] = "SSL_PINNEDPUBKEYNOTMATCH", [91] = "SSL_INVALIDCERTSTATUS", [92] = "HTTP2_STREAM", [94] = "AUTH_ERROR",
  [97] = "PROXY",
}
local CLOSED, EXPIRED = -1, -2 -- the core's own codes
local UNSUPPORTED_PROTOCOL, URL_MALFORMAT, TIMED_OUT, TOO_LARGE = 1, 3, 28, 63

local function failure(method, url, record, code, text, asked, status)
  if (code == URL_MALFORMAT or code == UNSUPPORTED_PROTOCOL) and not asked then
    errors.misuse(1, "bad URL %q (%s)", url, text)
  end
  local kind, name = "http", CODES[code] or code
  text = text and text:gsub("//[^/%s]*@", "//") -- a proxy's password
  if code == CLOSED then
    kind, name, text = "closed", nil, "the session or the response is closed"
  elseif code == EXPIRED then
    kind, name, text = "timeout", CODES[TIMED_OUT], ("timed out after %g s"):format(record.timeout)
  elseif code == TIMED_OUT then
    kind = "timeout"
  elseif code == TOO_LARGE then
    kind, text = "limit", ("the body is larger than max_body (%d bytes)"):format(record.max_body)
  end
  return nil, errors.new(kind, ("%s %s: %s"):format(method, url, text), { url = url, code = name, status = status })
end

---Makes a response or an error from the results of a finished transfer.
---@param hop braid.http.Hop
---@return braid.http.Response?
---@return braid.Error?
function M.of(hop, status, body, head, version, times, address, port)
  if not status then return failure(hop.method, hop.url, hop.record, body, head, version, times) end
  return response.new(hop.method, hop.url, status, body, head, version, times, address, port)
end

---Performs a request whose body is wanted as a whole. Suspends.
---@param handle userdata
---@param hop braid.http.Hop
---@param timeout number
---@return braid.http.Response?
---@return braid.Error?
function M.fetch(handle, hop, timeout)
  return M.of(hop, handle:fetch(hop.url, request.ready(hop.method, hop.record), timeout))
end

return M
