/* SPDX-License-Identifier: MIT
 * Libraries that are loaded when they are first needed. They are never unloaded. */
#ifndef BRAID_LIBRARY_H
#define BRAID_LIBRARY_H

#include "core/base/base.h"

/* A function to find, and the pointer to it that is set. */
struct braid_library_symbol {
  const char *name;
  void *target; /* of the type of a pointer to a pointer to a function */
};

/* Loads a library (of "z", "1": libz.so.1) and finds its functions. False: it is not here, or lacks one. Any thread;
 * blocks while it loads. */
bool braid_library_load(const char *name, const char *version, const struct braid_library_symbol *symbols,
                        size_t count);

#endif
