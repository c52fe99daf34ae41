/* SPDX-License-Identifier: MIT */
#include "core/process/user.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

enum { FIRST_ROOM = 1024, MOST_ROOM = 1 << 20 };

static bool is_number(const char *name, unsigned long *number) {
  char *end;
  *number = strtoul(name, &end, 10);
  return *name >= '0' && *name <= '9' && *end == '\0' && *number < UINT_MAX;
}

static int look(const char *name, struct passwd *entry, char *room, size_t size, struct passwd **found) {
  unsigned long number;
  if (is_number(name, &number)) return getpwuid_r((uid_t)number, entry, room, size, found);
  return getpwnam_r(name, entry, room, size, found);
}

static int take(struct braid_user *user, const struct passwd *entry) {
  user->uid = entry->pw_uid;
  user->gid = entry->pw_gid;
  user->group_count = BRAID_USER_GROUPS;
#ifdef __APPLE__
  return ENOSYS;
#else
  return getgrouplist(entry->pw_name, entry->pw_gid, user->groups, &user->group_count) < 0 ? E2BIG : 0;
#endif
}

int braid_user_find(const char *name, struct braid_user *user) {
  struct passwd entry, *found = NULL;
  int error = ERANGE;
  for (size_t size = FIRST_ROOM; error == ERANGE && size <= MOST_ROOM; size *= 2) {
    char *room = malloc(size);
    if (!room) return ENOMEM;
    error = look(name, &entry, room, size, &found);
    if (!error) error = found ? take(user, found) : ENOENT;
    free(room);
  }
  return error;
}

int braid_group_find(const char *name, gid_t *gid) {
  struct group entry, *found = NULL;
  unsigned long number;
  if (is_number(name, &number)) {
    *gid = (gid_t)number;
    return 0;
  }
  int error = ERANGE;
  for (size_t size = FIRST_ROOM; error == ERANGE && size <= MOST_ROOM; size *= 2) {
    char *room = malloc(size);
    if (!room) return ENOMEM;
    error = getgrnam_r(name, &entry, room, size, &found);
    if (found) *gid = found->gr_gid;
    free(room);
  }
  return error || found ? error : ENOENT;
}

/* The C library's functions would change all threads, and the copy of a process has only one. */
#ifdef __linux__
static int set_groups(int count, const gid_t *groups) { return (int)syscall(SYS_setgroups, count, groups); }
static int set_group(gid_t gid) { return (int)syscall(SYS_setresgid, gid, gid, gid); }
static int set_user(uid_t uid) { return (int)syscall(SYS_setresuid, uid, uid, uid); }
#else
static int set_groups(int count, const gid_t *groups) { return setgroups(count, groups); }
static int set_group(gid_t gid) { return setgid(gid); }
static int set_user(uid_t uid) { return setuid(uid); }
#endif

int braid_user_become(const struct braid_user *user) {
  bool is_one = getuid() == user->uid && geteuid() == user->uid && getgid() == user->gid && getegid() == user->gid;
  if (is_one && geteuid() != 0) return 0;
  if (set_groups(user->group_count, user->groups) != 0) return errno;
  return set_group(user->gid) != 0 || set_user(user->uid) != 0 ? errno : 0;
}

int braid_user_drop(const struct braid_user *user, bool bound) {
  bool root = geteuid() == 0;
  if (!root && user->uid == geteuid() && user->gid == getegid()) return 0;
  if (setgroups((size_t)user->group_count, user->groups) != 0) return errno;
  if (setgid(user->gid) != 0 || setuid(user->uid) != 0) return errno;
#ifdef __linux__
  if (bound) prctl(PR_SET_PDEATHSIG, SIGKILL);
#else
  (void)bound;
#endif
  return 0;
}
