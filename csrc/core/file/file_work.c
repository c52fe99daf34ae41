/* SPDX-License-Identifier: MIT */
#include "core/file/file_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void destroy(struct braid_object *object) {
  struct braid_file_work *work = braid_container(object, struct braid_file_work, blocking.object);
  braid_blocking_term(&work->blocking);
  if (work->file) braid_object_unref(&work->file->object);
  braid_buffer_term(&work->data);
  free(work->path);
  free(work->other);
  free(work);
}

const struct braid_class braid_file_work_class = {"braid.file_work", destroy};

static void run(struct braid_blocking *blocking) {
  struct braid_file_work *work = braid_container(blocking, struct braid_file_work, blocking);
  work->act(work);
}

struct braid_file_work *braid_file_work_new(void (*act)(struct braid_file_work *work), const char *path,
                                            const char *other) {
  struct braid_file_work *work = calloc(1, sizeof *work);
  if (!work) return NULL;
  braid_blocking_init(&work->blocking, &braid_file_work_class, run);
  work->act = act;
  if (path) work->path = strdup(path);
  if (other) work->other = strdup(other);
  if ((!path || work->path) && (!other || work->other)) return work;
  braid_object_unref(&work->blocking.object);
  return NULL;
}

void braid_file_work_start(struct braid_file_work *work) {
  if (braid_blocking_submit(&work->blocking, BRAID_BLOCKING_FILE)) return;
  work->error = EAGAIN;
  work->blocking.done = true;
}
