/* SPDX-License-Identifier: MIT
 * The chunked transfer coding of requests (RFC 9112, 7.1). The decoder is incremental, copies nothing, and is strict.
 * Trailers are checked and dropped. Any thread; nothing blocks. */
#ifndef BRAID_CHUNKS_H
#define BRAID_CHUNKS_H

#include "core/base/base.h"

struct braid_chunks {
  uint64_t left;     /* of the current chunk's data */
  uint32_t overhead; /* bytes of extensions and trailers so far */
  uint16_t trailers;
  uint8_t digits, state;
};

enum braid_chunks_result {
  BRAID_CHUNKS_MORE,  /* all bytes are used; more are needed */
  BRAID_CHUNKS_PIECE, /* a piece of the data; call it again with the rest */
  BRAID_CHUNKS_END,   /* the body has ended */
  BRAID_CHUNKS_BAD
};

/* Decodes up to the next piece. *used: how many bytes it has used. *piece is in `data`. `most`: bytes that extensions
 * and trailers may have. Begin with a structure of zeros. */
enum braid_chunks_result braid_chunks_next(struct braid_chunks *chunks, const char *data, size_t size, uint32_t most,
                                           size_t *used, const char **piece, size_t *piece_size);

#endif
