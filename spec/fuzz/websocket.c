/* SPDX-License-Identifier: MIT
 * For libFuzzer: any bytes are read by the codec of WebSockets, on both sides, with and without compression; whole, and
 * in pieces, with the same events. A message keeps the limit, and a text is UTF-8. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/websocket/text_check.h"
#include "core/websocket/websocket.h"

enum { MOST = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sum over the events. */
struct seen {
  uint64_t sum;
  bool over;
};

static void add(struct seen *seen, const void *data, size_t size) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < size; i++) seen->sum = (seen->sum ^ bytes[i]) * 1099511628211u;
}

static void check(const struct braid_websocket_event *event, struct seen *seen, bool deflate) {
  size_t checked = 0;
  if (seen->over) abort(); /* nothing comes after the end */
  if (event->kind == BRAID_WEBSOCKET_TEXT || event->kind == BRAID_WEBSOCKET_BINARY)
    if (event->size > MOST) abort();
  if (event->kind == BRAID_WEBSOCKET_TEXT)
    if (!braid_text_check(event->data, event->size, &checked) || checked != event->size) abort();
  if (event->kind == BRAID_WEBSOCKET_CLOSE && event->code != BRAID_CLOSE_NO_CODE)
    if (!braid_websocket_code_is_valid(event->code)) abort();
  seen->over = event->kind == BRAID_WEBSOCKET_CLOSE || event->kind == BRAID_WEBSOCKET_FAILURE;
  add(seen, &event->kind, sizeof event->kind);
  if (event->kind == BRAID_WEBSOCKET_FAILURE && deflate)
    return; /* of two faults in a piece, either may be found first */
  add(seen, &event->code, sizeof event->code);
  add(seen, event->data, event->size);
}

static uint64_t read_in_pieces(const struct braid_websocket_options *options, const uint8_t *data, size_t size,
                               size_t piece) {
  struct braid_websocket *ws = braid_websocket_new(options);
  struct seen seen = {0};
  for (size_t at = 0; at < size; at += piece) {
    struct braid_websocket_event event;
    if (!braid_websocket_feed(ws, data + at, size - at < piece ? size - at : piece)) abort();
    do {
      if (braid_websocket_next(ws, &event) != BRAID_OK) abort();
      if (event.kind != BRAID_WEBSOCKET_NOTHING) check(&event, &seen, options->deflate);
    } while (event.kind != BRAID_WEBSOCKET_NOTHING);
  }
  if (braid_websocket_has_answer(ws)) {
    size_t sent;
    if (braid_websocket_answer(ws) != BRAID_OK) abort();
    braid_websocket_output(ws, &sent);
    if (sent == 0) abort();
  }
  braid_websocket_free(ws);
  return seen.sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  struct braid_websocket_options options = {
      .role = data[0] & 1 ? BRAID_WEBSOCKET_SERVER : BRAID_WEBSOCKET_CLIENT,
      .max_message = MOST,
      .deflate = data[0] & 2,
      .out = {15, true},
      .in = {15, data[0] & 4},
  };
  uint64_t whole = read_in_pieces(&options, data + 1, size - 1, size);
  if (read_in_pieces(&options, data + 1, size - 1, 1) != whole) abort();
  if (read_in_pieces(&options, data + 1, size - 1, 1 + data[0] / 8) != whole) abort();
  return 0;
}
