/* SPDX-License-Identifier: MIT
 * Bytes that grow, and refusals that change nothing. */
#include "core/base/buffer.h"

#include "check.h"

static void keeps_what_is_appended(void) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  for (int i = 0; i < 100000; i++) {
    char byte = (char)i;
    check(braid_buffer_append(&buffer, &byte, 1));
  }
  check(buffer.size == 100000);
  for (int i = 0; i < 100000; i++) check(buffer.data[i] == (char)i);
  braid_buffer_term(&buffer);
  check(buffer.data == NULL && buffer.size == 0);
}

static void takes_nothing(void) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  check(braid_buffer_append(&buffer, NULL, 0));
  check(buffer.size == 0);
  braid_buffer_term(&buffer);
}

static void reserves_without_growing(void) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  check(braid_buffer_append(&buffer, "head", 4));
  char *room = braid_buffer_reserve(&buffer, 1 << 20);
  check(room == buffer.data + 4 && buffer.size == 4 && buffer.capacity >= (1 << 20) + 4);
  memset(room, 'x', 1 << 20);
  check(memcmp(buffer.data, "head", 4) == 0);
  braid_buffer_term(&buffer);
}

static void refuses_the_impossible(void) {
  struct braid_buffer buffer;
  braid_buffer_init(&buffer);
  check(braid_buffer_append(&buffer, "head", 4));
  check(braid_buffer_reserve(&buffer, SIZE_MAX) == NULL);
  check(braid_buffer_reserve(&buffer, SIZE_MAX - 4) == NULL);
  check(!braid_buffer_append(&buffer, "", SIZE_MAX / 2));
  check(buffer.size == 4 && memcmp(buffer.data, "head", 4) == 0);
  braid_buffer_term(&buffer);
}

CHECK_MAIN({"buffer: keeps what is appended", keeps_what_is_appended}, {"buffer: takes nothing", takes_nothing},
           {"buffer: reserves without growing", reserves_without_growing},
           {"buffer: refuses the impossible", refuses_the_impossible})
