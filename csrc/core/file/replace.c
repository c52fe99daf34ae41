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

/* The new file. On Linux it has no name until it is complete, so a program that is killed leaves nothing. */
struct fresh {
  char *folder; /* of the target */
  char *name;   /* beside the target; the file has it if `named` */
  int fd;
  bool named;
};

static void free_fresh(struct fresh *fresh) {
  if (fresh->fd >= 0) close(fresh->fd);
  if (fresh->named) unlink(fresh->name);
  free(fresh->folder);
  free(fresh->name);
}

static bool set_places(struct fresh *fresh, const char *target) {
  const char *slash = strrchr(target, '/');
  size_t size = slash ? (size_t)(slash - target) + 1 : 0;
  fresh->folder = size ? strndup(target, size) : strdup(".");
  fresh->name = malloc(size + TAIL);
  if (!fresh->folder || !fresh->name) return false;
  memcpy(fresh->name, target, size);
  fresh->name[size] = '\0';
  return true;
}

/* Tries names until `make` has used one. Returns its result, or -1 and errno. */
static int try_names(struct fresh *fresh, int (*make)(struct fresh *fresh, mode_t mode), mode_t mode) {
  size_t size = strlen(fresh->name);
  for (int i = 0; i < TRIES; i++) {
    snprintf(fresh->name + size, TAIL, ".braid-%lx-%llx", (long)getpid(), (unsigned long long)braid_clock_now());
    int result = make(fresh, mode);
    if (result >= 0) fresh->named = true;
    if (result >= 0 || (errno != EEXIST && !braid_limit_raised())) return result;
  }
  errno = EEXIST;
  return -1;
}

/* Not mkstemp: a new file gets the permissions of the umask. */
static int make_named(struct fresh *fresh, mode_t mode) {
  return open(fresh->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
}

static int give_name(struct fresh *fresh, mode_t mode) {
  char path[40];
  (void)mode;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fresh->fd);
  return linkat(AT_FDCWD, path, AT_FDCWD, fresh->name, AT_SYMLINK_FOLLOW);
}

static int open_nameless(const struct fresh *fresh, mode_t mode) {
#ifdef O_TMPFILE
  int fd;
  if (access("/proc/self/fd", X_OK) != 0) return -1; /* it could not get a name */
  do fd = open(fresh->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  while (fd < 0 && braid_limit_raised());
  return fd;
#else
  (void)fresh, (void)mode;
  return -1;
#endif
}

/* Returns 0 or an error number. */
static int open_fresh(struct fresh *fresh, mode_t mode) {
  fresh->fd = open_nameless(fresh, mode);
  if (fresh->fd < 0) fresh->fd = try_names(fresh, make_named, mode); /* a file system without such files */
  return fresh->fd < 0 ? errno : 0;
}

static int sync_folder(const char *folder) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = fsync(fd) != 0 && errno != EINVAL ? errno : 0; /* EINVAL: the file system has nothing to do for that */
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

/* The file takes the target's name, in one step. */
static int move_in(struct fresh *fresh, const char *target) {
  if (!fresh->named && try_names(fresh, give_name, 0) < 0) return errno;
  int fd = fresh->fd;
  fresh->fd = -1;
  if (close(fd) != 0 && errno != EINTR) return errno;
  if (rename(fresh->name, target) != 0) return errno;
  fresh->named = false;
  return 0;
}

static int replace(struct braid_file_work *work, const char *target, const struct stat *old) {
  struct fresh fresh = {.fd = -1};
  int error = set_places(&fresh, target) ? open_fresh(&fresh, old->st_mode ? 0600 : (mode_t)work->mode) : ENOMEM;
  if (!error) error = fill(work, fresh.fd, old);
  if (!error) error = move_in(&fresh, target);
  if (!error && work->flags == 0) error = sync_folder(fresh.folder);
  free_fresh(&fresh);
  return error;
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
