/* SPDX-License-Identifier: MIT
 * Child processes: started with posix_spawn (as another user by fork), waited for in a loop. Each child is reaped
 * exactly once, by its own number, even when nobody waits for it any more. The loop's thread only. Nothing blocks,
 * except braid_child_start, which takes until the program is loaded, and braid_child_await. */
#ifndef BRAID_CHILD_H
#define BRAID_CHILD_H

#include <sys/types.h>

#include "core/loop/loop.h"
#include "core/process/user.h"

enum { BRAID_CHILD_DESCRIPTORS = 6 };

struct braid_child_plan {
  const char *file;                      /* of the program; NULL: argv[0], searched in PATH when it has no slash */
  char *const *argv;                     /* ends with NULL */
  char *const *environment;              /* "NAME=value"; ends with NULL */
  const char *directory;                 /* its working directory; NULL: ours */
  int stdio[3];                          /* our descriptors that become its 0, 1 and 2 */
  int more[BRAID_CHILD_DESCRIPTORS - 3]; /* the same for 3, 4 and 5; all others but `passed` are closed */
  int more_count;
  const int *passed; /* descriptors from 3 on that keep their numbers; not together with `more` */
  int passed_count;
  const char *terminal; /* path of the terminal that becomes its 0, 1 and 2, and its controlling one; NULL: none */
  const struct braid_user *user; /* as whom it runs; NULL: as this process */
  bool group;                    /* gets a process group, which signals reach as a whole */
  bool plain; /* as system(3): inherits descriptors that are not close-on-exec, and ignored signals */
};

/* The status is not known, because it was taken elsewhere: by another part of the program that waits for all children,
 * or by the system when SIGCHLD is ignored. */
enum { BRAID_CHILD_UNKNOWN = -1 };

/* Returns a file name for braid_child_start that runs this process's program again. That is `path`, or /proc/self/exe
 * when an upgrade has removed the file at `path`. Any thread; does not block. */
const char *braid_child_own_program(const char *path);

/* Looks for a program in the folders of a PATH, and writes its file into `file`. Returns 0 or an error number: ENOENT,
 * or EACCES where it is found but may not be run. Any thread; asks the file system. */
int braid_child_find(const char *name, const char *path, char *file, size_t size);

/* The children of one loop that have not ended. */
struct braid_children {
  struct braid_loop *loop;
  struct braid_list running;
};

struct braid_child {
  struct braid_list link;          /* in children->running */
  struct braid_wait_queue waiters; /* who waits for its end */
  struct braid_loop *loop;
  struct braid_watch watch; /* on pidfd */
  struct braid_alarm alarm; /* without a pidfd: the next poll */
  int64_t pause;            /* ns until the poll after the next */
  pid_t pid;
  int pidfd;   /* -1: none, or the child has ended */
  int status;  /* after the end: from waitpid, or BRAID_CHILD_UNKNOWN */
  bool group;  /* it has a group, which may still have members */
  bool doomed; /* when it ends, what is left of its group is killed */
  bool ended;
  bool held; /* its starter has not released it */
};

void braid_children_init(struct braid_children *children, struct braid_loop *loop);

/* To be called before the loop is closed. Children that still run are left alone. */
void braid_children_term(struct braid_children *children);

/* Starts a program. Returns 0 and the child, or an error number; that is exec's when the program could not be run. The
 * caller keeps its descriptors. Blocks until the program is loaded. */
int braid_child_start(struct braid_children *children, const struct braid_child_plan *plan, struct braid_child **child);

/* BRAID_OK: it has ended. BRAID_WAIT: the wait node is in the wait queue. */
enum braid_status braid_child_wait(struct braid_child *child, struct braid_wait_node *node);

/* Blocks until it has ended. */
void braid_child_await(struct braid_child *child);

/* Sends a signal to the child, or to its whole group. Returns 0 or an error number; ESRCH: it has ended, and its group
 * has no members. */
int braid_child_kill(struct braid_child *child, int signal);

/* When the child ends, what is left of its group will be killed. No effect for a child without a group. */
void braid_child_doom(struct braid_child *child);

/* The caller needs the child no more. It is still reaped, then freed. */
void braid_child_release(struct braid_child *child);

#endif
