/* SPDX-License-Identifier: MIT
 * openat2 keeps a path below its root. Where it is missing, both paths are resolved and compared. */
#include "core/web/static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__) && __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#include <sys/syscall.h>
#define HAVE_OPENAT2 1
#endif

enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK }; /* O_NONBLOCK: a pipe without a writer must not block */

/* Returns -1 and errno when it fails. */
static int open_compared(int folder, const char *root, const char *path) {
  char *top = realpath(root, NULL), *target = NULL;
  int fd = -1;
  char *joined = malloc(strlen(root) + strlen(path) + 2);
  if (joined) {
    strcat(strcat(strcpy(joined, root), "/"), path);
    target = realpath(joined, NULL);
  }
  if (top && target) {
    size_t size = strlen(top);
    bool below = strncmp(top, target, size) == 0 && /* 0: the root itself */
                 (target[size] == '/' || target[size] == 0 || top[size - 1] == '/');
    if (below)
      fd = openat(folder, target, FLAGS | O_NOFOLLOW);
    else
      errno = ENOENT;
  }
  free(joined);
  free(target);
  free(top);
  return fd;
}

static int open_below(int folder, const char *root, const char *path) {
#ifdef HAVE_OPENAT2
  struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
#endif
  return open_compared(folder, root, path);
}

int braid_static_file_open(const char *root, const char *path, struct braid_static_file *file) {
  int folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return errno;
  int fd = open_below(folder, root, path), error = fd < 0 ? errno : 0;
  close(folder);
  if (error) return error == EXDEV || error == ELOOP || error == ENOTDIR ? ENOENT : error;
  struct stat state = {0};
  if (fstat(fd, &state) || !S_ISREG(state.st_mode)) {
    error = S_ISDIR(state.st_mode) ? EISDIR : ENOENT;
    close(fd);
    return error;
  }
  *file = (struct braid_static_file){.fd = fd, .size = (uint64_t)state.st_size, .seconds = state.st_mtime};
#ifdef __linux__
  file->nanoseconds = state.st_mtim.tv_nsec;
#endif
  return 0;
}
