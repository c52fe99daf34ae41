/* SPDX-License-Identifier: MIT
 * Files for clients: only regular files below a folder. */
#ifndef BRAID_STATIC_FILE_H
#define BRAID_STATIC_FILE_H

#include "core/base/base.h"

struct braid_static_file {
  int fd; /* the caller closes it */
  uint64_t size;
  int64_t seconds, nanoseconds; /* of the last change */
};

/* Opens root/path. Returns 0 or an error number. ENOENT: it does not exist, it leaves the root (by ".." or a link), or
 * it is no regular file. EISDIR: it is a folder. Any thread; blocks as file systems do. */
int braid_static_file_open(const char *root, const char *path, struct braid_static_file *file);

#endif
