/* SPDX-License-Identifier: MIT
 * A program that runs beside us: started with posix_spawn, waited for in the loop. Each child is reaped exactly once,
 * by its own number, whether or not anybody still cares. The loop's thread only; nothing here blocks, except that a
 * start takes until the program has been loaded, and braid_child_await. */
#ifndef BRAID_CHILD_H
#define BRAID_CHILD_H

#include <sys/types.h>

#include "core/loop/loop.h"

struct braid_child_plan {
  const char *file;         /* of the program; NULL: argv[0], which is looked for in PATH when it holds no slash */
  char *const *argv;        /* NULL at the end */
  char *const *environment; /* "NAME=value"; NULL at the end */
  const char *directory;    /* where it starts; NULL: where we are */
  int stdio[3];             /* what becomes its descriptors 0, 1 and 2 */
  int more[2];              /* and 3 and 4, as many as there are; all others are closed */
  int more_count;
  bool group; /* a process group of its own, which signals reach as a whole */
  bool plain; /* as system(3): descriptors that do not close themselves, and signals that are ignored, are passed on */
};

/* A status that somebody else has taken: another part of the program that waits for all children, or the system, where
 * SIGCHLD is ignored. */
enum { BRAID_CHILD_UNKNOWN = -1 };

/* The file of the program that runs in this process, where that is `path`; or where an upgrade has replaced it, what
 * the system has of it still. For braid_child_start. Any thread; does not block. */
const char *braid_child_own_program(const char *path);

/* The children of one loop that have not ended. */
struct braid_children {
  struct braid_loop *loop;
  struct braid_list running;
};

struct braid_child {
  struct braid_list link;          /* among the running */
  struct braid_wait_queue waiters; /* who waits for its end */
  struct braid_loop *loop;
  struct braid_watch watch; /* of pidfd */
  struct braid_alarm alarm; /* where there is no pidfd: looks again and again */
  int64_t pause;            /* until the next look */
  pid_t pid;
  int pidfd;   /* -1: there is none, or it has ended */
  int status;  /* as waitpid tells, once it has ended; or BRAID_CHILD_UNKNOWN */
  bool group;  /* it has one, which may have members yet */
  bool doomed; /* what is left of its group when it ends is killed */
  bool ended;
  bool held; /* whoever started it still wants to know */
};

void braid_children_init(struct braid_children *children, struct braid_loop *loop);

/* Before the loop is closed. Those that still run go on without us. */
void braid_children_term(struct braid_children *children);

/* 0 and the child, or an error number: that of exec when the program could not be run. The caller keeps its
 * descriptors. */
int braid_child_start(struct braid_children *children, const struct braid_child_plan *plan, struct braid_child **child);

/* BRAID_OK: it has ended. BRAID_WAIT: the wait node stands in the wait queue. */
enum braid_status braid_child_wait(struct braid_child *child, struct braid_wait_node *node);

/* Blocks until it has ended. */
void braid_child_await(struct braid_child *child);

/* Sends a signal to it, or to its group; 0 or an error number, ESRCH when it has ended and nobody is left of its group.
 */
int braid_child_kill(struct braid_child *child, int signal);

/* It is to end: when it has, what is left of its group is killed. For one without a group nothing changes. */
void braid_child_doom(struct braid_child *child);

/* Nobody asks for it any more: it is still reaped, and then forgotten. */
void braid_child_release(struct braid_child *child);

#endif
