/* SPDX-License-Identifier: MIT
 * permessage-deflate (RFC 7692): compresses and inflates the payloads of messages. Memory of zlib is taken at the first
 * message that needs it. One thread; does not block. */
#ifndef BRAID_DEFLATE_H
#define BRAID_DEFLATE_H

#include "core/base/buffer.h"
#include "core/base/status.h"

struct z_stream_s;

/* What was agreed on for one direction. */
struct braid_deflate_terms {
  int window;    /* bits of the window: 8 to 15 */
  bool takeover; /* the window stays from message to message */
};

struct braid_deflate {
  struct braid_deflate_terms terms;
  struct z_stream_s *stream; /* NULL: nothing was done yet */
};

/* Whether zlib can compress with these terms: it cannot with a window of 8 bits. */
bool braid_deflate_can(const struct braid_deflate_terms *terms);

/* Appends the message in its compressed form. BRAID_OK or BRAID_NO_MEMORY; after that the object is of no use. */
enum braid_status braid_deflate_message(struct braid_deflate *deflate, const char *data, size_t size,
                                        struct braid_buffer *out);
void braid_deflate_term(struct braid_deflate *deflate);

/* Appends what a piece of a compressed message contains; `last`: the message ends with it. BRAID_OK; BRAID_FULL: `into`
 * would be longer than `most`; BRAID_BROKEN: this is no compressed message; BRAID_NO_MEMORY. */
enum braid_status braid_inflate_piece(struct braid_deflate *inflate, const char *data, size_t size, bool last,
                                      size_t most, struct braid_buffer *into);
void braid_inflate_term(struct braid_deflate *inflate);

#endif
