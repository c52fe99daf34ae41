/* SPDX-License-Identifier: MIT
 * How others use the codec of csrc/core/websocket, which is in a module of its own (braid.websocket_core) that is
 * linked with wslay and zlib: through a table of functions, to which each codec has a pointer. See
 * core/websocket/websocket.h for what they do. */
#ifndef BRAID_NET_WEBSOCKET_H
#define BRAID_NET_WEBSOCKET_H

#include "core/base/base.h"
#include "core/base/status.h"

struct braid_websocket;

enum braid_websocket_kind {
  BRAID_WEBSOCKET_NOTHING, /* all that was fed is used up; or the connection is closed */
  BRAID_WEBSOCKET_TEXT,
  BRAID_WEBSOCKET_BINARY,
  BRAID_WEBSOCKET_PONG,
  BRAID_WEBSOCKET_CLOSE,  /* the peer closes: `code`, and the reason as data */
  BRAID_WEBSOCKET_FAILURE /* the peer broke the protocol or a limit: `code`, and as data what it did */
};

struct braid_websocket_event {
  enum braid_websocket_kind kind;
  const char *data; /* valid until the next call */
  size_t size;
  unsigned code;
};

struct braid_websocket_functions {
  bool (*feed)(struct braid_websocket *ws, const void *data, size_t size);
  bool (*is_fed)(const struct braid_websocket *ws);
  enum braid_status (*next)(struct braid_websocket *ws, struct braid_websocket_event *event);
  enum braid_status (*send)(struct braid_websocket *ws, enum braid_websocket_kind kind, const char *data, size_t size);
  const char *(*output)(struct braid_websocket *ws, size_t *size);
  size_t (*backlog)(const struct braid_websocket *ws);
  bool (*has_answer)(const struct braid_websocket *ws);
  bool (*is_utf8)(const char *text, size_t size);
};

/* The userdata of a codec in Lua: "braid.websocket.codec". */
struct braid_websocket_codec {
  const struct braid_websocket_functions *functions;
  struct braid_websocket *ws;
};

#define BRAID_WEBSOCKET_CODEC "braid.websocket.codec"

#endif
