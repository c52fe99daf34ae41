/* SPDX-License-Identifier: MIT
 * Bodies in chunks: whole, and byte by byte. */
#include "core/web/chunks.h"

#include "check.h"

enum { MOST = 64 };

/* Decodes in pieces of `step` bytes. Returns the data's size, or -1: malformed, or -2: more is needed. */
static int decode(const char *text, size_t size, size_t step, char *out) {
  struct braid_chunks chunks = {0};
  int count = 0;
  for (size_t from = 0; from < size; from += step) {
    size_t left = size - from < step ? size - from : step;
    const char *at = text + from;
    while (left > 0) {
      size_t used, piece_size;
      const char *piece;
      enum braid_chunks_result result = braid_chunks_next(&chunks, at, left, MOST, &used, &piece, &piece_size);
      if (result == BRAID_CHUNKS_BAD) return -1;
      at += used;
      left -= used;
      if (result == BRAID_CHUNKS_END) return count;
      if (result != BRAID_CHUNKS_PIECE) continue;
      memcpy(out + count, piece, piece_size);
      count += (int)piece_size;
    }
  }
  return -2;
}

static void decodes(void) {
  static const char text[] = "5\r\nhello\r\n01;a=b;c=\"d e\"\r\n!\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n";
  for (size_t step = 1; step < sizeof text; step++) {
    char out[64] = "";
    check(decode(text, sizeof text - 1, step, out) == 16);
    check(strcmp(out, "hello!0123456789") == 0);
  }
}

static void refuses(void) {
  static const char *const bad[] = {
      "\r\n",
      ";a\r\n",
      "-1\r\n",
      "+1\r\n",
      "0x1\r\n",
      " 1\r\n",
      "1 \r\n",
      "1\n",
      "1\r\r\n",
      "g\r\n",
      "1000000000000000\r\n",
      "1\r\nab\r\n",
      "1\r\na\n",
      "1\r\na\rb",
      "1;a\nb\r\n",
      "1;\x01\r\n",
      "0\r\n\n",
      "0\r\nX\r\n",
      "0\r\n: y\r\n",
      "0\r\nX : y\r\n",
      "0\r\nX: y\n",
      "0\r\n X: y\r\n",
      "0\r\n\rX",
      "0\r\nX: a\rb\r\n",
      "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
      "0\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char out[64];
    check(decode(bad[i], strlen(bad[i]), strlen(bad[i]), out) == -1);
    check(decode(bad[i], strlen(bad[i]), 1, out) == -1);
  }
}

CHECK_MAIN({"chunks: chunks are decoded in any pieces", decodes}, {"chunks: malformed chunks are refused", refuses})
