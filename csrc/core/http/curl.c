/* SPDX-License-Identifier: MIT
 * The table is filled once. Neither it nor the library is ever freed. */
#include "core/http/curl.h"

#include <dlfcn.h>
#include <stddef.h>

#include "core/http/openssl.h"

#ifdef __APPLE__
#define LIBRARY "libcurl.4.dylib"
#else
#define LIBRARY "libcurl.so.4"
#endif

struct braid_curl braid_curl = {.once = PTHREAD_ONCE_INIT};

static void *find(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (!function) braid_curl.problem = dlerror();
  return function;
}

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (!library) {
    braid_curl.problem = dlerror();
    return;
  }
#define TAKE(name) *(void **)&braid_curl.name = find(library, "curl_" #name);
  BRAID_CURL_FUNCTIONS(TAKE)
#undef TAKE
  braid_openssl_keep(library);
  *(void **)&braid_curl.ascii_of_host = dlsym(library, "idn2_lookup_u8");
  if (!braid_curl.problem && curl_global_init(CURL_GLOBAL_DEFAULT)) braid_curl.problem = "it could not be initialized";
}

const char *braid_curl_load(void) {
  pthread_once(&braid_curl.once, load);
  return braid_curl.problem;
}
