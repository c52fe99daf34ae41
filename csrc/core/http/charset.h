/* SPDX-License-Identifier: MIT
 * Text in any charset that the C library knows, as UTF-8. Any thread; blocks while the C library loads a charset. */
#ifndef BRAID_CHARSET_H
#define BRAID_CHARSET_H

#include "core/base/buffer.h"

enum braid_charset_result { BRAID_CHARSET_DONE, BRAID_CHARSET_UNKNOWN, BRAID_CHARSET_NO_MEMORY };

/* Appends the text as UTF-8. Each byte, or unit, that is no part of a character becomes U+FFFD. A byte order mark at
 * the start is left out. */
enum braid_charset_result braid_charset_decode(const char *charset, const char *text, size_t size,
                                               struct braid_buffer *out);

#endif
