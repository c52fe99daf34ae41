/* SPDX-License-Identifier: MIT
 * The table is filled once, and stays; so does the library. */
#include "core/http/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "core/http/openssl.h"

#ifdef __APPLE__
#define LIBRARY "libcurl.4.dylib"
#else
#define LIBRARY "libcurl.so.4"
#endif

struct braid_curl braid_curl;

static const char *problem; /* NULL: it is loaded */

static void *find(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (!function) problem = dlerror();
  return function;
}

static void load(void) {
  void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
  if (!library) {
    problem = dlerror();
    return;
  }
#define TAKE(name) *(void **)&braid_curl.name = find(library, "curl_" #name);
  BRAID_CURL_FUNCTIONS(TAKE)
#undef TAKE
  braid_openssl_keep(library);
}

const char *braid_curl_load(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return problem;
}
