/* SPDX-License-Identifier: MIT
 * Undoes the codings of a body: Content-Encoding may name several. Input that does not fit into the room for the output
 * is kept. Its owner's thread only; nothing blocks. */
#ifndef BRAID_DECODER_H
#define BRAID_DECODER_H

#include "core/base/buffer.h"

struct braid_decoder;

/* Makes a decoder for the codings, as Content-Encoding lists them: "gzip, br". NULL with `problem` NULL: there is
 * nothing to undo; else why it cannot be. To be freed by the next. */
struct braid_decoder *braid_decoder_open(const char *codings, size_t size, const char **problem);
void braid_decoder_close(struct braid_decoder *decoder);

/* Adds input, which is copied. False: memory is out. */
bool braid_decoder_feed(struct braid_decoder *decoder, const char *data, size_t size);

/* Decodes until `out` has at least so many bytes, or all the input is used. Returns NULL, or what is wrong. */
const char *braid_decoder_pull(struct braid_decoder *decoder, struct braid_buffer *out, size_t until);

/* Whether input is left that has not been decoded. */
bool braid_decoder_pending(const struct braid_decoder *decoder);

/* Whether all that was fed is decoded and ends where it says it does. Of an empty body: true. */
bool braid_decoder_complete(const struct braid_decoder *decoder);

#endif
