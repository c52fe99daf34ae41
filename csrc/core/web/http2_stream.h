/* SPDX-License-Identifier: MIT
 * A stream of HTTP/2: the head of its request, as HTTP/1.1 would have it, and the answer that still has to go. The
 * server's thread only; nothing blocks. */
#ifndef BRAID_HTTP2_STREAM_H
#define BRAID_HTTP2_STREAM_H

#include <sys/types.h>

#include "core/base/buffer.h"
#include "core/base/list.h"
#include "core/web/exchange.h"

struct braid_http2;

/* The pseudo-fields of a request. */
enum braid_http2_pseudo { BRAID_HTTP2_METHOD, BRAID_HTTP2_PATH, BRAID_HTTP2_AUTHORITY, BRAID_HTTP2_PSEUDOS };

struct braid_http2_stream {
  struct braid_http2 *http2;
  struct braid_exchange *exchange; /* NULL: its head is not complete, or it is over */
  bool over;                       /* the answer has gone */
  struct braid_list link;          /* in the connection's list of open ones, or of spare ones */
  int32_t id;
  unsigned refusal; /* the status, if its head is refused */

  struct braid_buffer text;   /* the head */
  struct braid_buffer pseudo; /* the values of the pseudo-fields, one after the other */
  struct braid_part parts[BRAID_HTTP2_PSEUDOS];
  bool has_line; /* the request line is in `text` */

  bool admitted;    /* the owner has decided about the body */
  bool input_ended; /* the client has sent all of its body */
  uint64_t dropped; /* bytes that came although they were of no use any more */
  size_t held;      /* bytes of the body that still count against the stream's window */

  struct braid_buffer out; /* of the answer: from `taken` on */
  size_t taken;
  int file; /* then this file; -1: none */
  uint64_t file_offset, file_left;
  bool out_ended; /* nothing will be added to `out` */
  bool paused;    /* nghttp2 asks no more until it is told that there is something */
  bool owing;     /* the client has to take something */
};

/* Prepares it for a request. */
void braid_http2_stream_begin(struct braid_http2_stream *stream, struct braid_http2 *http2, int32_t id);

/* Forgets the request; keeps small buffers. Closes the file. */
void braid_http2_stream_clear(struct braid_http2_stream *stream);
void braid_http2_stream_free(struct braid_http2_stream *stream);

/* Adds a field of the head, in their order. Sets `refusal` if it cannot be. `most`: bytes of a head. */
void braid_http2_stream_add(struct braid_http2_stream *stream, const char *name, size_t name_size, const char *value,
                            size_t value_size, size_t most);

/* The head is complete: parses it into *head. Returns 0, or the status of the refusal. */
unsigned braid_http2_stream_parse(struct braid_http2_stream *stream, struct braid_head *head, size_t most);

/* Bytes of the answer that are there. */
static inline uint64_t braid_http2_stream_backlog(const struct braid_http2_stream *stream) {
  return stream->out.size - stream->taken + stream->file_left;
}

/* Takes up to `room` bytes of the answer. Negative: the file cannot be read. */
ssize_t braid_http2_stream_take(struct braid_http2_stream *stream, uint8_t *into, size_t room);

#endif
