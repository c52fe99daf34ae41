/* SPDX-License-Identifier: MIT
 * OpenSSL's headers are not needed: this uses one function, found by its name. */
#include "core/http/openssl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

void braid_openssl_keep(void *library) {
  enum { NO_ATEXIT = 0x80000 };
  int (*begin)(uint64_t options, const void *settings);
  *(void **)&begin = dlsym(library, "OPENSSL_init_crypto");
  if (begin) begin(NO_ATEXIT, NULL);
}
