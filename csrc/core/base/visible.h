/* SPDX-License-Identifier: MIT
 * Text that may have come from anywhere, made fit for a terminal. Any thread; what memory does not allow is left out.
 */
#ifndef BRAID_VISIBLE_H
#define BRAID_VISIBLE_H

#include "core/base/buffer.h"

/* Adds the text: what is not a visible character of UTF-8 is written as \xNN; with `lines` ends of lines stay. */
void braid_visible_append(struct braid_buffer *to, const char *text, size_t size, bool lines);

/* Adds a line, or a part of one, as printf would write it, at most 511 bytes. An end of line that the format itself has
 * at its end stays; those in the arguments do not, so that none of them can write a line of its own. */
void braid_visible_format(struct braid_buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
