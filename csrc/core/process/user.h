/* SPDX-License-Identifier: MIT
 * Users of the system, and how a process becomes one. */
#ifndef BRAID_USER_H
#define BRAID_USER_H

#include <sys/types.h>

#include "core/base/base.h"

enum { BRAID_USER_GROUPS = 256 };

struct braid_user {
  uid_t uid;
  gid_t gid;
  int group_count;
  gid_t groups[BRAID_USER_GROUPS]; /* all groups of the user, also `gid` */
};

/* Looks for the user with this name; a name of digits alone is a number. Returns 0 or an error number; ENOENT: there is
 * none. Any thread; blocks while the system looks. */
int braid_user_find(const char *name, struct braid_user *user);

/* The calling thread becomes this user for good. For a child that has not run its program yet: no memory is used.
 * Returns 0 or an error number. */
int braid_user_become(const struct braid_user *user);

/* Looks for a group in the same way. */
int braid_group_find(const char *name, gid_t *gid);

/* All threads of this process become the user for good. Returns 0 or an error number. The calling thread's process
 * still ends with its parent, if `bound`: Linux forgets that otherwise. */
int braid_user_drop(const struct braid_user *user, bool bound);

#endif
