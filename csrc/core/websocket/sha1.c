/* SPDX-License-Identifier: MIT
 * FIPS 180-4, section 6.1. */
#include "core/websocket/sha1.h"

#include <string.h>

enum { BLOCK = 64 };

static inline uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void add_block(uint32_t state[5], const unsigned char *block) {
  static const uint32_t constants[] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
  uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int t = 0; t < 16; t++, block += 4)
    w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
  for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  for (int t = 0; t < 80; t++) {
    uint32_t mixed = t < 20 ? (b & c) | (~b & d) : t >= 40 && t < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    uint32_t next = rotate(a, 5) + mixed + e + constants[t / 20] + w[t];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void braid_sha1(const void *data, size_t size, unsigned char digest[BRAID_SHA1_SIZE]) {
  uint32_t state[] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  unsigned char last[2 * BLOCK] = {0};
  const unsigned char *at = data;
  size_t left = size;
  for (; left >= BLOCK; left -= BLOCK, at += BLOCK) add_block(state, at);
  if (left > 0) memcpy(last, at, left);
  last[left] = 0x80;
  size_t end = left + 9 <= BLOCK ? BLOCK : 2 * BLOCK; /* the length is at the end of the last block */
  for (size_t i = 0; i < 8; i++) last[end - 1 - i] = (unsigned char)((uint64_t)size << 3 >> 8 * i);
  for (size_t i = 0; i < end; i += BLOCK) add_block(state, last + i);
  for (int i = 0; i < BRAID_SHA1_SIZE; i++) digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}
