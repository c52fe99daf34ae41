/* SPDX-License-Identifier: MIT
 * dlopen and dlsym. */
#include "core/base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#ifdef __APPLE__
#define PATTERN "lib%s.%s.dylib"
#else
#define PATTERN "lib%s.so.%s"
#endif

bool braid_library_load(const char *name, const char *version, const struct braid_library_symbol *symbols,
                        size_t count) {
  char file[64];
  snprintf(file, sizeof file, PATTERN, name, version);
  void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
  if (!library) return false;
  for (size_t i = 0; i < count; i++) {
    void *function = dlsym(library, symbols[i].name);
    if (!function) return false;
    memcpy(symbols[i].target, &function, sizeof function);
  }
  return true;
}
