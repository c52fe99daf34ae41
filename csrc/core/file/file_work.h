/* SPDX-License-Identifier: MIT
 * One call about files: its arguments, and its results once it is done. It runs on a thread of core/loop/blocking.
 * `error` is 0 or an error number; on an error `count` says how much was done before. */
#ifndef BRAID_FILE_WORK_H
#define BRAID_FILE_WORK_H

#include <sys/stat.h>

#include "core/base/buffer.h"
#include "core/file/open_file.h"
#include "core/loop/blocking.h"

enum {
  BRAID_FILE_PIECE = 1 << 20 /* bytes between two looks whether the work is abandoned */
};

struct braid_file_work {
  struct braid_blocking blocking;
  void (*act)(struct braid_file_work *work);
  struct braid_open_file *file; /* a reference, or NULL */
  char *path, *other;           /* NULL: none */
  const char *input;            /* what is to be written; the caller keeps it until the work is done */
  size_t input_size;
  struct braid_buffer data; /* what was read */
  int64_t offset, size;
  int64_t count;
  struct stat facts;
  int flags, mode;
  int error;
};

extern const struct braid_class braid_file_work_class;

/* NULL when memory is out. `path` and `other` (NULL: none) are copied. Any thread. */
struct braid_file_work *braid_file_work_new(void (*act)(struct braid_file_work *work), const char *path,
                                            const char *other);

/* Gives it to a thread. Where none can be started, `error` says so, and it is done. Any thread; does not block. */
void braid_file_work_start(struct braid_file_work *work);

static inline bool braid_file_work_is_abandoned(const struct braid_file_work *work) {
  return braid_blocking_is_abandoned(&work->blocking);
}

#endif
