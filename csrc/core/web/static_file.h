/* SPDX-License-Identifier: MIT
 * Files that are given to whoever asks: regular ones below a folder, and nothing else. */
#ifndef BRAID_STATIC_FILE_H
#define BRAID_STATIC_FILE_H

#include "core/base/base.h"

struct braid_static_file {
  int fd; /* the caller's to close */
  uint64_t size;
  int64_t seconds, nanoseconds; /* of its last change */
};

/* Opens root/path; 0 or an error number: ENOENT also for what leaves the root, by ".." or by a link, and for what is
 * no regular file. Any thread; waits for the disk. */
int braid_static_file_open(const char *root, const char *path, struct braid_static_file *file);

#endif
