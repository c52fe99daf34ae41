/* SPDX-License-Identifier: MIT
 * Copies a file. The system does it by itself where it can. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/file/content.h"

/* Copies through the buffer: for file systems that cannot do it, and files that have no size, like those of /proc. */
static int copy_by_hand(struct braid_file_work *work, int from, int to) {
  char *room = braid_buffer_reserve(&work->data, BRAID_FILE_PIECE);
  if (!room) return ENOMEM;
  for (;;) {
    if (braid_file_work_is_abandoned(work)) return ECANCELED;
    ssize_t got = read(from, room, BRAID_FILE_PIECE);
    if (got == 0) return 0;
    if (got < 0 && errno != EINTR) return errno;
    for (ssize_t put = 0; put < got;) {
      ssize_t count = write(to, room + put, (size_t)(got - put));
      if (count < 0 && errno != EINTR) return errno;
      if (count > 0) put += count, work->count += count;
    }
  }
}

static bool cannot(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM;
}

static int copy_content(struct braid_file_work *work, int from, int to) {
  while (work->facts.st_size > 0) {
    if (braid_file_work_is_abandoned(work)) return ECANCELED;
    ssize_t count = copy_file_range(from, NULL, to, NULL, (size_t)16 * BRAID_FILE_PIECE, 0);
    if (count < 0 && work->count == 0 && cannot(errno)) break;
    if (count < 0 && errno != EINTR) return errno;
    if (count == 0) return 0;
    if (count > 0) work->count += count;
  }
  return copy_by_hand(work, from, to);
}

static bool is_same(const struct stat *one, const struct stat *other) {
  return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static int copy_to(struct braid_file_work *work, int from) {
  struct stat old;
  mode_t mode = work->facts.st_mode & 07777;
  if (stat(work->other, &old) == 0) {
    if (is_same(&old, &work->facts)) return EINVAL;
    if (!S_ISREG(old.st_mode)) return S_ISDIR(old.st_mode) ? EISDIR : EINVAL;
  }
  int to = open(work->other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, mode & 0777);
  if (to < 0) return errno;
  int error = copy_content(work, from, to);
  if (!error && fchmod(to, mode) != 0) error = errno;
  if (close(to) != 0 && !error && errno != EINTR) error = errno;
  return error;
}

void braid_content_copy(struct braid_file_work *work) {
  int from = open(work->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (from < 0 || fstat(from, &work->facts) != 0)
    work->error = errno;
  else if (!S_ISREG(work->facts.st_mode))
    work->error = S_ISDIR(work->facts.st_mode) ? EISDIR : EINVAL;
  else
    work->error = copy_to(work, from);
  if (from >= 0) close(from);
}
