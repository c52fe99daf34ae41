/* SPDX-License-Identifier: MIT
 * The WebSocket protocol (RFC 6455) after its handshake, for either side: bytes that came in become messages, messages
 * become bytes to be sent. It knows no sockets. Its owner feeds what was read, takes the events, and sends what
 * `braid_websocket_output` gives. Pings and closes are answered by itself: their answers go out with the next output.
 * One thread at a time; nothing blocks. */
#ifndef BRAID_WEBSOCKET_H
#define BRAID_WEBSOCKET_H

#include "core/net/websocket.h"
#include "core/websocket/deflate.h"

enum braid_websocket_role { BRAID_WEBSOCKET_CLIENT, BRAID_WEBSOCKET_SERVER };

/* Codes of a close that the core itself uses; 1005 and 1006 are never sent. */
enum {
  BRAID_CLOSE_PROTOCOL = 1002,
  BRAID_CLOSE_NO_CODE = 1005,
  BRAID_CLOSE_ABNORMAL = 1006,
  BRAID_CLOSE_BAD_DATA = 1007,
  BRAID_CLOSE_TOO_LONG = 1009,
  BRAID_CLOSE_INTERNAL = 1011,
};

enum { BRAID_WEBSOCKET_MOST_CONTROL = 125, BRAID_WEBSOCKET_MOST_REASON = 123 }; /* bytes */

struct braid_websocket_options {
  enum braid_websocket_role role;
  size_t max_message; /* bytes of a message that comes in, inflated */
  bool deflate;       /* permessage-deflate was agreed on, with these terms */
  struct braid_deflate_terms out, in;
};

/* NULL when memory is out. */
struct braid_websocket *braid_websocket_new(const struct braid_websocket_options *options);
void braid_websocket_free(struct braid_websocket *ws);

/* Adds bytes that came in. False when memory is out. */
bool braid_websocket_feed(struct braid_websocket *ws, const void *data, size_t size);

/* Whether there are bytes of which braid_websocket_next has given no event yet. */
bool braid_websocket_is_fed(const struct braid_websocket *ws);

/* The next thing that the bytes say. BRAID_OK or BRAID_NO_MEMORY. After a close or a failure there is nothing more. */
enum braid_status braid_websocket_next(struct braid_websocket *ws, struct braid_websocket_event *event);

/* What may be sent: BRAID_WEBSOCKET_TEXT, _BINARY; a ping is BRAID_WEBSOCKET_PONG's counterpart. Adds the message to
 * the output. BRAID_OK; BRAID_CLOSED after a close; BRAID_NO_MEMORY. */
enum braid_status braid_websocket_send(struct braid_websocket *ws, enum braid_websocket_kind kind, const char *data,
                                       size_t size);

/* Adds a ping with up to BRAID_WEBSOCKET_MOST_CONTROL bytes. As above. */
enum braid_status braid_websocket_ping(struct braid_websocket *ws, const char *data, size_t size);

/* Adds a close frame if none was sent. BRAID_CLOSE_NO_CODE: without a code and a reason. The reason is UTF-8 with up to
 * BRAID_WEBSOCKET_MOST_REASON bytes. Nothing can be sent after it. */
void braid_websocket_close(struct braid_websocket *ws, unsigned code, const char *reason, size_t size);

/* Whether a close was sent, or is to be sent. */
bool braid_websocket_is_closing(const struct braid_websocket *ws);

/* Whether an answer to a ping or a close waits to be sent. */
bool braid_websocket_has_answer(const struct braid_websocket *ws);

/* Adds the answers that wait. BRAID_OK or BRAID_NO_MEMORY. */
enum braid_status braid_websocket_answer(struct braid_websocket *ws);

/* Takes the bytes to send. They are valid until the next call. */
const char *braid_websocket_output(struct braid_websocket *ws, size_t *size);

/* How many bytes wait to be taken. */
size_t braid_websocket_backlog(const struct braid_websocket *ws);

/* All of these, for those who are not linked with them. */
extern const struct braid_websocket_functions braid_websocket_functions;

/* Whether a peer may give this code in a close. Any thread. */
bool braid_websocket_code_is_valid(unsigned code);

#endif
