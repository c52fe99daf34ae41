/* SPDX-License-Identifier: MIT
 * The path of a request's target, in the one form that everything behind it sees: escapes are decoded once, empty and
 * dot segments are resolved. Any thread; nothing blocks. */
#ifndef BRAID_TARGET_H
#define BRAID_TARGET_H

#include "core/base/base.h"

enum braid_path {
  BRAID_PATH_PLAIN,   /* it is in that form already; nothing was written */
  BRAID_PATH_WRITTEN, /* `out` has it */
  BRAID_PATH_ESCAPED, /* the same, but escapes of '/' and NUL are still in it: %2F and %00, in upper case */
  BRAID_PATH_BAD      /* an escape is none, or ".." follows an escaped '/' */
};

/* `path` begins with '/'. `out` has room for `size` bytes; *out_size is set when something was written. With `raw` no
 * escape is decoded, except that those of dots count as dots. */
enum braid_path braid_path_normalise(const char *path, size_t size, bool raw, char *out, size_t *out_size);

#endif
