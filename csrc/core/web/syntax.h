/* SPDX-License-Identifier: MIT
 * The character classes of HTTP (RFC 9110, RFC 9112), and small comparisons. Any thread; nothing blocks. */
#ifndef BRAID_SYNTAX_H
#define BRAID_SYNTAX_H

#include "core/base/base.h"

enum {
  BRAID_CHAR_TOKEN = 1,  /* may stand in a token: methods, names of fields */
  BRAID_CHAR_VALUE = 2,  /* may stand in a field's value: visible, blank, tab, or 0x80 and above */
  BRAID_CHAR_TARGET = 4, /* may stand in a target: visible ASCII but '#' */
  BRAID_CHAR_HOST = 8,   /* may stand in a host's name or IPv4 address */
  BRAID_CHAR_HEX = 16
};

extern const uint8_t braid_char_classes[256];

static inline bool braid_char_is(char c, unsigned class) { return braid_char_classes[(uint8_t)c] & class; }

/* Whether every byte has the class. True for an empty text. */
bool braid_text_is(const char *text, size_t size, unsigned class);

/* The value of a hexadecimal digit. */
static inline unsigned braid_hex_value(char c) { return (unsigned)(c & 15) + (c > '9' ? 9 : 0); }

/* Whether the texts are equal, without regard to the case of letters. `word` is in lower case. */
bool braid_text_equals(const char *text, size_t size, const char *word);

/* A host and an optional port, as in the field Host: "name", "1.2.3.4:80", "[::1]:80". Not empty, without a user. */
bool braid_text_is_authority(const char *text, size_t size);

#endif
