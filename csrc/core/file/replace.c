/* SPDX-License-Identifier: MIT
 * A complete file or the old one, also after a crash: the new content goes to a new file in the same folder, is brought
 * to the disk, and then takes the name in one step. The folder is brought to the disk last. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/limit.h"
#include "core/file/content.h"

/* The file that the path leads to, through symbolic links; the path itself if there is none yet. NULL: error. */
static char *target_of(const struct braid_file_work *work, struct stat *facts) {
  struct stat link;
  if (stat(work->path, facts) == 0) return realpath(work->path, NULL);
  if (errno != ENOENT) return NULL;
  facts->st_mode = 0;
  if (lstat(work->path, &link) != 0 || !S_ISLNK(link.st_mode)) return strdup(work->path);
  errno = ENOENT; /* a link that leads nowhere */
  return NULL;
}

enum { TAIL = 40, TRIES = 100 };

/* Makes a new file beside the target and writes its name, for which there is room for TAIL bytes after the folder's.
 * Returns the descriptor, or a negated error number. Not mkstemp: a new file gets the permissions of the umask. */
static int open_beside(const char *target, mode_t mode, char *name) {
  const char *slash = strrchr(target, '/');
  size_t folder = slash ? (size_t)(slash - target) + 1 : 0;
  memcpy(name, target, folder);
  for (int i = 0; i < TRIES; i++) {
    snprintf(name + folder, TAIL, ".braid-%lx-%llx", (long)getpid(), (unsigned long long)braid_clock_now());
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd >= 0) return fd;
    if (errno != EEXIST && !braid_limit_raised()) return -errno;
  }
  return -EEXIST;
}

static int sync_folder(const char *target) {
  const char *slash = strrchr(target, '/');
  char *folder = slash ? strndup(target, slash == target ? 1 : (size_t)(slash - target)) : strdup(".");
  if (!folder) return ENOMEM;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = fd < 0 ? errno : 0;
  free(folder);
  if (fd < 0) return error;
  if (fsync(fd) != 0 && errno != EINVAL) error = errno; /* EINVAL: the file system has nothing to do for that */
  close(fd);
  return error;
}

/* The new file gets the permissions of the old one, and its owner where that is allowed. */
static int take_over(int fd, const struct stat *old) {
  mode_t mode = old->st_mode & 07777;
  if (fchown(fd, old->st_uid, old->st_gid) != 0) mode &= (mode_t) ~(S_ISUID | S_ISGID); /* they were the old owner's */
  return fchmod(fd, mode) != 0 ? errno : 0;
}

static int fill(struct braid_file_work *work, int fd, const struct stat *old) {
  int error = braid_content_write_all(work, fd, 0);
  if (!error && old->st_mode) error = take_over(fd, old);
  if (!error && work->flags == 0 && fsync(fd) != 0) error = errno;
  return error;
}

static int replace(struct braid_file_work *work, const char *target, const struct stat *old) {
  char *name = malloc(strlen(target) + TAIL);
  if (!name) return ENOMEM;
  int fd = open_beside(target, old->st_mode ? 0600 : (mode_t)work->mode, name);
  int error = fd < 0 ? -fd : fill(work, fd, old);
  if (fd >= 0 && close(fd) != 0 && !error) error = errno;
  if (!error && rename(name, target) != 0) error = errno;
  if (error && fd >= 0) unlink(name);
  free(name);
  return error || work->flags ? error : sync_folder(target);
}

void braid_content_replace(struct braid_file_work *work) {
  struct stat old;
  char *target = target_of(work, &old);
  if (!target)
    work->error = errno;
  else if (old.st_mode && !S_ISREG(old.st_mode))
    work->error = S_ISDIR(old.st_mode) ? EISDIR : EINVAL;
  else
    work->error = replace(work, target, &old);
  free(target);
}
