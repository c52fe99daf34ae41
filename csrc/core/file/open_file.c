/* SPDX-License-Identifier: MIT
 * The descriptor is never closed while somebody uses it: its number could mean another file by then. */
#include "core/file/open_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void destroy(struct braid_object *object) {
  struct braid_open_file *file = braid_container(object, struct braid_open_file, object);
  if (file->fd >= 0) close(file->fd);
  pthread_rwlock_destroy(&file->lock);
  free(file);
}

const struct braid_class braid_open_file_class = {"braid.open_file", destroy};

struct braid_open_file *braid_open_file_new(int fd) {
  struct braid_open_file *file = calloc(1, sizeof *file);
  if (!file) return NULL;
  braid_object_init(&file->object, &braid_open_file_class);
  braid_object_share(&file->object);
  pthread_rwlock_init(&file->lock, NULL);
  file->fd = fd;
  return file;
}

int braid_open_file_use(struct braid_open_file *file) {
  pthread_rwlock_rdlock(&file->lock);
  return file->fd;
}

void braid_open_file_release(struct braid_open_file *file) { pthread_rwlock_unlock(&file->lock); }

int braid_open_file_detach(struct braid_open_file *file) {
  pthread_rwlock_wrlock(&file->lock);
  int fd = file->fd;
  file->fd = -1;
  pthread_rwlock_unlock(&file->lock);
  return fd;
}

int braid_open_file_close(struct braid_open_file *file) {
  int fd = braid_open_file_detach(file);
  if (fd < 0) return EBADF;
  return close(fd) != 0 && errno != EINTR ? errno : 0;
}
