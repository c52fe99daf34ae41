/* SPDX-License-Identifier: MIT
 * Reads and writes are done piece by piece, so that abandoned work ends soon. */
#include "core/file/content.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/limit.h"

static int open_path(const struct braid_file_work *work, int flags) {
  int fd;
  do fd = open(work->path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, work->mode);
  while (fd < 0 && (errno == EINTR || braid_limit_raised()));
  return fd;
}

/* Gives the open file to the caller. */
static void keep(struct braid_file_work *work, int fd) {
  work->file = braid_open_file_new(fd);
  if (work->file) return;
  close(fd);
  work->error = ENOMEM;
}

void braid_content_open(struct braid_file_work *work) {
  int fd = open_path(work, work->flags);
  if (fd < 0 || fstat(fd, &work->facts) != 0) work->error = errno;
  if (fd >= 0) keep(work, fd);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static ssize_t read_piece(int fd, char *room, size_t size, int64_t offset) {
  ssize_t count;
  do count = pread(fd, room, size, offset);
  while (count < 0 && errno == EINTR);
  return count;
}

/* Reads up to `most` bytes from `offset` on. */
static int read_all(struct braid_file_work *work, int fd, int64_t offset, int64_t most) {
  while ((int64_t)work->data.size < most) {
    int64_t left = most - (int64_t)work->data.size;
    size_t wanted = left < BRAID_FILE_PIECE ? (size_t)left : BRAID_FILE_PIECE;
    if (braid_file_work_is_abandoned(work)) return ECANCELED;
    char *room = braid_buffer_reserve(&work->data, wanted);
    if (!room) return ENOMEM;
    ssize_t count = read_piece(fd, room, wanted, offset + (int64_t)work->data.size);
    if (count <= 0) return count < 0 ? errno : 0;
    work->data.size += (size_t)count;
  }
  return 0;
}

void braid_content_read(struct braid_file_work *work) {
  int fd = braid_open_file_use(work->file);
  work->error = fd < 0 ? EBADF : read_all(work, fd, work->offset, work->size);
  braid_open_file_release(work->file);
}

void braid_content_load(struct braid_file_work *work) {
  int fd = open_path(work, O_RDONLY);
  if (fd < 0 || fstat(fd, &work->facts) != 0) work->error = errno;
  if (fd < 0) return;
  if (!work->error && !S_ISREG(work->facts.st_mode) && !S_ISDIR(work->facts.st_mode)) {
    keep(work, fd);
    return;
  }
  /* One byte more than the size, so that the end is seen without another doubling of the buffer. */
  if (!work->error && work->facts.st_size > 0 && !braid_buffer_reserve(&work->data, (size_t)work->facts.st_size + 1))
    work->error = ENOMEM;
  if (!work->error) work->error = read_all(work, fd, 0, INT64_MAX);
  close(fd);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

int braid_content_write_all(struct braid_file_work *work, int fd, int64_t offset) {
  while (work->count < (int64_t)work->input_size) {
    size_t left = work->input_size - (size_t)work->count;
    if (braid_file_work_is_abandoned(work)) return ECANCELED;
    ssize_t count =
        pwrite(fd, work->input + work->count, left < BRAID_FILE_PIECE ? left : BRAID_FILE_PIECE, offset + work->count);
    if (count < 0 && errno != EINTR) return errno;
    if (count > 0) work->count += count;
  }
  return 0;
}

void braid_content_write(struct braid_file_work *work) {
  int fd = braid_open_file_use(work->file);
  work->error = fd < 0 ? EBADF : braid_content_write_all(work, fd, work->offset);
  braid_open_file_release(work->file);
}

void braid_content_store(struct braid_file_work *work) {
  int fd = open_path(work, work->flags);
  if (fd < 0 || fstat(fd, &work->facts) != 0) work->error = errno;
  if (fd < 0) return;
  if (!work->error && !S_ISREG(work->facts.st_mode)) {
    keep(work, fd);
    return;
  }
  if (!work->error) work->error = braid_content_write_all(work, fd, 0);
  if (close(fd) != 0 && !work->error && errno != EINTR) work->error = errno;
}

/* ---- open files ----------------------------------------------------------------------------------------------- */

void braid_content_close(struct braid_file_work *work) { work->error = braid_open_file_close(work->file); }

static void note(struct braid_file_work *work, int result) { work->error = result == 0 ? 0 : errno; }

void braid_content_sync(struct braid_file_work *work) {
  int fd = braid_open_file_use(work->file);
  do note(work, work->flags ? fdatasync(fd) : fsync(fd));
  while (work->error == EINTR);
  braid_open_file_release(work->file);
}

void braid_content_truncate(struct braid_file_work *work) {
  int fd = braid_open_file_use(work->file);
  do note(work, ftruncate(fd, work->size));
  while (work->error == EINTR);
  braid_open_file_release(work->file);
}

void braid_content_look(struct braid_file_work *work) {
  note(work, fstat(braid_open_file_use(work->file), &work->facts));
  braid_open_file_release(work->file);
}

void braid_content_lock(struct braid_file_work *work) {
  int fd = braid_open_file_use(work->file);
  do note(work, flock(fd, work->flags));
  while (work->error == EINTR);
  braid_open_file_release(work->file);
}
