/* SPDX-License-Identifier: MIT
 * The table is filled once. Neither it nor the library is ever freed. */
#include "core/web/nghttp2.h"

#ifndef BRAID_HAS_NGHTTP2

const char *braid_nghttp2_load(void) { return "braid was built without it (Debian: libnghttp2-dev)"; }

#else
#include <dlfcn.h>

#ifdef __APPLE__
#define LIBRARY "libnghttp2.14.dylib"
#else
#define LIBRARY "libnghttp2.so.14"
#endif

struct braid_nghttp2 braid_nghttp2 = {.once = PTHREAD_ONCE_INIT};

static void *find(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (!function) braid_nghttp2.problem = dlerror();
  return function;
}

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (!library) {
    braid_nghttp2.problem = dlerror();
    return;
  }
#define TAKE(name) *(void **)&braid_nghttp2.name = find(library, "nghttp2_" #name);
  BRAID_NGHTTP2_FUNCTIONS(TAKE)
#undef TAKE
  *(void **)&braid_nghttp2.option_set_stream_reset_rate_limit =
      dlsym(library, "nghttp2_option_set_stream_reset_rate_limit");
  *(void **)&braid_nghttp2.option_set_max_continuations = dlsym(library, "nghttp2_option_set_max_continuations");
}

const char *braid_nghttp2_load(void) {
  pthread_once(&braid_nghttp2.once, load);
  return braid_nghttp2.problem;
}
#endif
