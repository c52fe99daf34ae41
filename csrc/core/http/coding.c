/* SPDX-License-Identifier: MIT
 * The list of codings. */
#include "core/http/coding.h"

#include <string.h>
#include <strings.h>

#include "core/http/coding_libraries.h"

#define COUNT 4
static const struct braid_coding *const codings[COUNT] = {&braid_coding_gzip, &braid_coding_deflate,
                                                          &braid_coding_brotli, &braid_coding_zstd};
struct braid_coding_libraries braid_codings = {.once = PTHREAD_ONCE_INIT, .encoders_once = PTHREAD_ONCE_INIT};

static void load_all(void) {
  char *names = braid_codings.names;
  for (size_t i = 0; i < COUNT; i++) {
    if (!codings[i]->load()) continue;
    if (*names) strcat(names, ", ");
    strcat(names, codings[i]->name);
  }
}

const char *braid_coding_names(void) {
  pthread_once(&braid_codings.once, load_all);
  return braid_codings.names;
}

static bool is(const char *known, const char *name, size_t size) {
  return known && strlen(known) == size && strncasecmp(known, name, size) == 0;
}

/* Whether the library of a coding is here. */
static bool is_here(const struct braid_coding *coding) { return strstr(braid_coding_names(), coding->name); }

const struct braid_coding *braid_coding_find(const char *name, size_t size) {
  for (size_t i = 0; i < COUNT; i++)
    if (is(codings[i]->name, name, size) || is(codings[i]->other_name, name, size))
      return is_here(codings[i]) ? codings[i] : NULL;
  return NULL;
}
