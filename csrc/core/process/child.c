/* SPDX-License-Identifier: MIT
 * A child is in its loop's list from its start to its end. Meanwhile its loop watches it: by a pidfd, or on systems
 * without pidfds by an alarm that polls with waitpid. So no child stays a zombie, and the host's SIGCHLD handler is
 * left alone. The memory is freed when the child has ended and its starter has released it, whichever comes later.
 * Until a child is reaped, its number cannot be given to another process. So a signal reaches nobody else; see
 * kill_rest for what is left of its group. */
#include "core/process/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/limit.h"
#include "core/process/fork_start.h"

#ifdef __linux__
#include <sys/syscall.h>
#endif

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define HAVE_CLOSEFROM 1
#endif
#endif

enum { FIRST_PAUSE = 1000 * 1000, LONGEST_PAUSE = 50 * 1000 * 1000 }; /* ns */

/* ---- start ---------------------------------------------------------------------------------------------------- */

/* Which of our descriptors become the child's 0, 1, 2, ... */
struct descriptors {
  int count;
  int from[BRAID_CHILD_DESCRIPTORS];
  int spare[BRAID_CHILD_DESCRIPTORS]; /* copies that lift made; -1: none */
};

/* dup2 runs for each position in turn, so it could overwrite a descriptor that a later position needs. This function
 * copies such descriptors above all positions. It also copies one that is in its own position already, except a
 * standard one: dup2 onto itself would not clear close-on-exec. Returns 0 or an error number. */
static int lift(const struct braid_child_plan *plan, struct descriptors *all) {
  all->count = plan->terminal ? 3 : 3 + plan->more_count; /* of a terminal, 0 is opened in the child */
  for (int i = 0; i < all->count; i++) all->from[i] = 0, all->spare[i] = -1;
  if (plan->terminal) return 0;
  for (int i = 0; i < all->count; i++) {
    all->from[i] = i < 3 ? plan->stdio[i] : plan->more[i - 3];
  }
  for (int i = 0; i < all->count; i++) {
    int from = all->from[i];
    if (from >= all->count || (from == i && i < 3)) continue;
    do all->spare[i] = fcntl(from, F_DUPFD_CLOEXEC, all->count);
    while (all->spare[i] < 0 && braid_limit_raised());
    if (all->spare[i] < 0) return errno;
    all->from[i] = all->spare[i];
  }
  return 0;
}

static void close_spares(const struct descriptors *all) {
  for (int i = 0; i < all->count; i++)
    if (all->spare[i] >= 0) close(all->spare[i]);
}

/* Closes descriptors from `first` on. braid's own are close-on-exec; this is for those of other code in the process. */
#ifdef HAVE_CLOSEFROM
static int add_closes(posix_spawn_file_actions_t *actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
#elif defined(__linux__) /* musl, old glibc: closes those that are open now */
static int add_closes(posix_spawn_file_actions_t *actions, int first) {
  DIR *folder;
  do folder = opendir("/proc/self/fd");
  while (!folder && braid_limit_raised());
  if (!folder) return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? errno : 0; /* else no /proc */
  const struct dirent *entry;
  int error = 0;
  while (!error && (entry = readdir(folder))) {
    int fd = atoi(entry->d_name);
    if (fd >= first && !(fcntl(fd, F_GETFD) & FD_CLOEXEC)) error = posix_spawn_file_actions_addclose(actions, fd);
  }
  closedir(folder);
  return error;
}
#else                    /* see set_attributes; else the child inherits them */
static int add_closes(posix_spawn_file_actions_t *actions, int first) {
  (void)actions, (void)first;
  return 0;
}
#endif

static bool is_passed(const struct braid_child_plan *plan, int fd) {
  for (int i = 0; i < plan->passed_count; i++)
    if (plan->passed[i] == fd) return true;
  return false;
}

/* Keeps those that are passed, and closes all others from `first` on. A dup2 to itself ends FD_CLOEXEC. */
static int add_passed(posix_spawn_file_actions_t *actions, const struct braid_child_plan *plan, int first) {
  int error = 0, last = first - 1;
  for (int i = 0; i < plan->passed_count && !error; i++) {
    error = posix_spawn_file_actions_adddup2(actions, plan->passed[i], plan->passed[i]);
    if (plan->passed[i] > last) last = plan->passed[i];
  }
  for (int fd = first; fd < last && !error; fd++) {
    int flags = is_passed(plan, fd) ? -1 : fcntl(fd, F_GETFD);
    if (flags >= 0 && !(flags & FD_CLOEXEC)) error = posix_spawn_file_actions_addclose(actions, fd);
  }
  return error ? error : add_closes(actions, last + 1);
}

static int add_descriptors(posix_spawn_file_actions_t *actions, const struct braid_child_plan *plan,
                           const struct descriptors *all) {
  int error = plan->terminal ? posix_spawn_file_actions_addopen(actions, 0, plan->terminal, O_RDWR, 0) : 0;
  for (int i = 0; i < all->count && !error; i++)
    if (all->from[i] != i) error = posix_spawn_file_actions_adddup2(actions, all->from[i], i);
  return error || plan->plain ? error : add_passed(actions, plan, all->count);
}

/* The child begins with no signal blocked and no signal ignored, as after a login. */
static int set_attributes(posix_spawnattr_t *attributes, const struct braid_child_plan *plan) {
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(attributes, &signals);
  sigfillset(&signals);
  sigdelset(&signals, SIGKILL);
  sigdelset(&signals, SIGSTOP);
  posix_spawnattr_setsigdefault(attributes, &signals);
  posix_spawnattr_setpgroup(attributes, 0);
  int flags = POSIX_SPAWN_SETSIGMASK;
  if (plan->terminal)
    flags |= POSIX_SPAWN_SETSID; /* has a group, too */
  else if (plan->group)
    flags |= POSIX_SPAWN_SETPGROUP;
  if (!plan->plain) flags |= POSIX_SPAWN_SETSIGDEF;
#ifdef POSIX_SPAWN_CLOEXEC_DEFAULT
  if (!plan->plain) flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
  return posix_spawnattr_setflags(attributes, (short)flags);
}

/* posix_spawnp may need descriptors: the kernel for the program, musl for a pipe. So a raised limit is worth another
 * try. */
static int start(const struct braid_child_plan *plan, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, pid_t *pid) {
  const char *file = plan->file ? plan->file : plan->argv[0];
  int error;
  do errno = error = posix_spawnp(pid, file, actions, attributes, plan->argv, plan->environment);
  while (error && braid_limit_raised());
  return error;
}

static int start_as_user(const struct braid_child_plan *plan, const struct descriptors *all, pid_t *pid) {
  char file[PATH_MAX];
  const char *path = getenv("PATH");
  struct braid_fork_plan by_fork = {.file = plan->file ? plan->file : plan->argv[0],
                                    .argv = plan->argv,
                                    .environment = plan->environment,
                                    .directory = plan->directory,
                                    .terminal = plan->terminal,
                                    .user = plan->user,
                                    .from = all->from,
                                    .from_count = all->count,
                                    .passed = plan->passed,
                                    .passed_count = plan->passed_count,
                                    .group = plan->group};
  if (!strchr(by_fork.file, '/')) {
    int error = braid_child_find(by_fork.file, path ? path : "/bin:/usr/bin", file, sizeof file);
    if (error) return error;
    by_fork.file = file;
  }
  int error;
  do errno = error = braid_fork_start(&by_fork, pid);
  while (error && braid_limit_raised());
  return error;
}

static int spawn(const struct braid_child_plan *plan, const struct descriptors *all, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (plan->user) return start_as_user(plan, all, pid);
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (!error) {
    error = add_descriptors(&actions, plan, all);
    if (!error && plan->directory) error = posix_spawn_file_actions_addchdir_np(&actions, plan->directory);
    if (!error) error = set_attributes(&attributes, plan);
    if (!error) error = start(plan, &actions, &attributes, pid);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int braid_child_find(const char *name, const char *path, char *file, size_t size) {
  int error = ENOENT;
  while (true) {
    size_t length = strcspn(path, ":");
    int written = snprintf(file, size, "%.*s%s%s", (int)length, path, length ? "/" : "./", name);
    struct stat facts;
    if ((size_t)written < size && stat(file, &facts) == 0 && S_ISREG(facts.st_mode)) {
      if (access(file, X_OK) == 0) return 0;
      error = EACCES;
    }
    if (!path[length]) return error;
    path += length + 1;
  }
}

/* ---- its end -------------------------------------------------------------------------------------------------- */

static void forget(struct braid_child *child) {
  braid_watch_stop(child->loop, &child->watch);
  braid_alarm_stop(child->loop, &child->alarm);
  if (child->pidfd >= 0) close(child->pidfd);
  child->pidfd = -1;
  braid_list_remove(&child->link);
}

/* Signals what is left of its group after it was reaped. Returns 0 or an error number; ESRCH: nobody is left. The
 * system gives the number to no other process while the group has members. So if a process has this number now, the
 * group is not ours. */
static int kill_rest(struct braid_child *child, int signal) {
  if (!child->group) return ESRCH;
  bool taken = kill(child->pid, 0) == 0 || errno != ESRCH;
  int error = taken ? ESRCH : kill(-child->pid, signal) ? errno : 0;
  if (error == ESRCH) child->group = false; /* for good */
  return error;
}

/* Uses the pidfd if there is one. When SIGCHLD is ignored, the number can belong to another process as soon as the
 * child has ended. */
static int kill_one(const struct braid_child *child, int signal) {
#ifdef SYS_pidfd_send_signal
  if (child->pidfd >= 0 && syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0) == 0) return 0;
  if (child->pidfd >= 0 && errno == ESRCH) return ESRCH;
#endif
  return kill(child->pid, signal) ? errno : 0;
}

/* Reaps the child if it has ended, and wakes all waiters. True: it has ended, and its memory may be freed. */
static bool reap(struct braid_child *child) {
  pid_t found;
  do found = waitpid(child->pid, &child->status, WNOHANG);
  while (found < 0 && errno == EINTR);
  if (found == 0) return false;
  child->ended = true;
  if (found < 0) child->status = BRAID_CHILD_UNKNOWN;
  forget(child);
  if (child->doomed) kill_rest(child, SIGKILL);
  struct braid_wake_list woken = {0};
  braid_wait_queue_claim_all(&child->waiters, BRAID_OK, &woken);
  braid_loop_post_all(&woken);
  if (!child->held) free(child);
  return true;
}

static void on_event(struct braid_watch *watch, int events) {
  (void)events;
  reap(braid_container(watch, struct braid_child, watch));
}

static void on_alarm(struct braid_alarm *alarm) {
  struct braid_child *child = braid_container(alarm, struct braid_child, alarm);
  if (reap(child)) return;
  child->pause = child->pause * 2 < LONGEST_PAUSE ? child->pause * 2 : LONGEST_PAUSE;
  /* Cannot fail: the heap has just freed this alarm's entry. */
  braid_alarm_start(child->loop, &child->alarm, braid_time_now() + child->pause);
}

/* Every child starts with the alarm. This replaces the alarm by a watch of a pidfd, if it can. */
static void watch_pidfd(struct braid_child *child) {
#ifdef SYS_pidfd_open
  do child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0); /* it is close-on-exec */
  while (child->pidfd < 0 && braid_limit_raised());
  if (child->pidfd < 0) return;
  if (braid_watch_start(child->loop, &child->watch, child->pidfd, BRAID_READ) == 0)
    braid_alarm_stop(child->loop, &child->alarm);
#else
  (void)child;
#endif
}

/* ---- public functions ----------------------------------------------------------------------------------------- */

void braid_children_init(struct braid_children *children, struct braid_loop *loop) {
  children->loop = loop;
  braid_list_init(&children->running);
}

void braid_children_term(struct braid_children *children) {
  if (braid_loop_is_fork) return; /* they are the parent's children */
  while (!braid_list_empty(&children->running)) {
    struct braid_child *child = braid_container(children->running.next, struct braid_child, link);
    if (reap(child)) continue;
    forget(child);
    braid_wait_queue_dissolve(&child->waiters);
    child->ended = true;
    child->status = BRAID_CHILD_UNKNOWN;
    if (!child->held) free(child);
  }
}

const char *braid_child_own_program(const char *path) { return access(path, X_OK) == 0 ? path : "/proc/self/exe"; }

static struct braid_child *new_child(struct braid_children *children, bool group) {
  struct braid_child *child = calloc(1, sizeof *child);
  if (!child) return NULL;
  child->loop = children->loop;
  child->watch.fire = on_event;
  child->alarm.fire = on_alarm;
  child->pause = FIRST_PAUSE;
  child->pidfd = -1;
  child->group = group;
  child->held = true;
  braid_list_init(&child->link);
  braid_wait_queue_init(&child->waiters, NULL);
  return child;
}

int braid_child_start(struct braid_children *children, const struct braid_child_plan *plan,
                      struct braid_child **started) {
  struct braid_child *child = new_child(children, plan->group);
  if (!child) return ENOMEM;
  struct descriptors all;
  int error = lift(plan, &all);
  /* The alarm comes first: once the program runs, nothing that is needed to reap it may fail. */
  if (!error && !braid_alarm_start(child->loop, &child->alarm, braid_time_now() + child->pause)) error = ENOMEM;
  if (!error) error = spawn(plan, &all, &child->pid);
  close_spares(&all);
  if (error) {
    braid_alarm_stop(child->loop, &child->alarm);
    free(child);
    return error;
  }
  braid_list_push(&children->running, &child->link);
  watch_pidfd(child);
  *started = child;
  return 0;
}

enum braid_status braid_child_wait(struct braid_child *child, struct braid_wait_node *node) {
  if (child->ended) return BRAID_OK;
  braid_wait_node_join(node, &child->waiters);
  return BRAID_WAIT;
}

void braid_child_await(struct braid_child *child) {
  siginfo_t info;
  if (child->ended) return;
  while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  reap(child);
}

int braid_child_kill(struct braid_child *child, int signal) {
  if (child->ended) return kill_rest(child, signal);
  if (child->group) return kill(-child->pid, signal) ? errno : 0;
  return kill_one(child, signal);
}

void braid_child_doom(struct braid_child *child) { child->doomed = true; }

void braid_child_release(struct braid_child *child) {
  child->held = false;
  if (child->ended) free(child);
}
