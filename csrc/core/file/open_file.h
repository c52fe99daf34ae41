/* SPDX-License-Identifier: MIT
 * An open file, a counted object: the handle of a Lua state and each piece of work that uses it hold references. */
#ifndef BRAID_OPEN_FILE_H
#define BRAID_OPEN_FILE_H

#include "core/base/object.h"

struct braid_open_file {
  struct braid_object object;
  pthread_rwlock_t lock; /* who uses `fd` holds it shared; who closes it holds it alone */
  int fd;                /* -1: closed */
};

extern const struct braid_class braid_open_file_class;

/* The file owns `fd`. NULL when memory is out; then the caller still owns `fd`. Any thread. */
struct braid_open_file *braid_open_file_new(int fd);

/* Returns the descriptor for use until braid_open_file_release; -1: it is closed. Blocks while it is being closed. */
int braid_open_file_use(struct braid_open_file *file);
void braid_open_file_release(struct braid_open_file *file);

/* Closes it when nobody uses it any more. Returns 0 or an error number: what was written may be lost. Blocks. */
int braid_open_file_close(struct braid_open_file *file);

/* Takes the descriptor away: the caller owns it. -1: it is closed. Blocks while it is in use. */
int braid_open_file_detach(struct braid_open_file *file);

#endif
