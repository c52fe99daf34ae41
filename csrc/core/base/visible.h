/* SPDX-License-Identifier: MIT
 * Makes untrusted text safe to print on a terminal. Any thread. When memory is out, text is left out. */
#ifndef BRAID_VISIBLE_H
#define BRAID_VISIBLE_H

#include "core/base/buffer.h"

/* Appends the text. Bytes that are no visible UTF-8 character become \xNN. With `lines`, newlines stay. */
void braid_visible_append(struct braid_buffer *to, const char *text, size_t size, bool lines);

/* Appends like printf, at most 511 bytes. A newline at the end of `format` stays. Newlines inside the arguments do not,
 * so no argument can forge a line of its own. */
void braid_visible_format(struct braid_buffer *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
