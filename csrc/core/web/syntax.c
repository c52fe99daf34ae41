/* SPDX-License-Identifier: MIT
 * One table of 256 bytes holds all classes. */
#include "core/web/syntax.h"

#include <arpa/inet.h>
#include <string.h>

enum {
  T = BRAID_CHAR_TOKEN,
  V = BRAID_CHAR_VALUE,
  R = BRAID_CHAR_TARGET,
  H = BRAID_CHAR_HOST,
  X = BRAID_CHAR_HEX,
  VR = V | R,           /* visible, but in no token */
  TVR = T | V | R,      /* in a token, but in no host */
  TVRH = T | V | R | H, /* in both */
  VRH = V | R | H,      /* sub-delimiters that are in no token */
  DIGIT = T | V | R | H | X,
  LETTER = DIGIT & ~X
};

/* clang-format off */
const uint8_t braid_char_classes[256] = {
    ['\t'] = V, [' '] = V,
    ['!'] = TVRH, ['"'] = VR, ['#'] = T | V, ['$'] = TVRH, ['%'] = TVRH, ['&'] = TVRH, ['\''] = TVRH, ['('] = VRH,
    [')'] = VRH, ['*'] = TVRH, ['+'] = TVRH, [','] = VRH, ['-'] = TVRH, ['.'] = TVRH, ['/'] = VR,
    ['0' ... '9'] = DIGIT, [':'] = VR, [';'] = VRH, ['<'] = VR, ['='] = VRH, ['>'] = VR, ['?'] = VR, ['@'] = VR,
    ['A' ... 'F'] = DIGIT, ['G' ... 'Z'] = LETTER, ['['] = VR, ['\\'] = VR, [']'] = VR, ['^'] = TVR, ['_'] = TVRH,
    ['`'] = TVR, ['a' ... 'f'] = DIGIT, ['g' ... 'z'] = LETTER, ['{'] = VR, ['|'] = TVR, ['}'] = VR, ['~'] = TVRH,
    [0x80 ... 0xFF] = V,
};
/* clang-format on */

bool braid_text_is(const char *text, size_t size, unsigned class) {
  for (size_t i = 0; i < size; i++)
    if (!braid_char_is(text[i], class)) return false;
  return true;
}

bool braid_text_equals(const char *text, size_t size, const char *word) {
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = (char)(c | 32);
    if (c != word[i]) return false; /* also at the end of `word` */
  }
  return word[size] == '\0';
}

static bool is_port(const char *text, size_t size) {
  unsigned port = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    port = port * 10 + (unsigned)(text[i] - '0');
    if (port > 65535) return false;
  }
  return true;
}

/* "[...]": an IPv6 address. */
static bool is_literal(const char *text, size_t size) {
  char address[INET6_ADDRSTRLEN];
  struct in6_addr parsed;
  if (size < 3 || size - 2 >= sizeof address) return false;
  memcpy(address, text + 1, size - 2);
  address[size - 2] = '\0';
  return strlen(address) == size - 2 && inet_pton(AF_INET6, address, &parsed) == 1;
}

static bool is_name(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (!braid_char_is(text[i], BRAID_CHAR_HOST)) return false;
    if (text[i] != '%') continue;
    if (i + 2 >= size || !braid_char_is(text[i + 1], BRAID_CHAR_HEX) || !braid_char_is(text[i + 2], BRAID_CHAR_HEX))
      return false;
  }
  return size > 0;
}

bool braid_text_is_authority(const char *text, size_t size) {
  if (size > 0 && *text == '[') {
    const char *end = memchr(text, ']', size);
    if (!end || !is_literal(text, (size_t)(end - text) + 1)) return false;
    size_t rest = size - (size_t)(end - text) - 1;
    return rest == 0 || (end[1] == ':' && is_port(end + 2, rest - 1));
  }
  const char *colon = memchr(text, ':', size);
  if (!colon) return is_name(text, size);
  return is_name(text, (size_t)(colon - text)) && is_port(colon + 1, size - (size_t)(colon - text) - 1);
}
