/* SPDX-License-Identifier: MIT
 * The child is a copy of one thread of ours: until it runs its program, it only calls what is safe in signal handlers.
 * It reports an error through a pipe that the program's start closes. */
#include "core/process/fork_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

enum { MOST_SIGNALS = 65, MOST_DESCRIPTORS = 65536 };

/* Without the handlers of pthread_atfork, which would prepare for a life as a copy. */
static pid_t make_copy(void) {
#ifdef __linux__
  return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
#else
  return fork();
#endif
}

/* ---- the child ------------------------------------------------------------------------------------------------ */

static void reset_signals(void) {
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int signal = 1; signal < MOST_SIGNALS; signal++) sigaction(signal, &usual, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From `first` on, the program inherits only what is passed. */
static void shut_out(int first, const struct braid_fork_plan *plan) {
#if defined(SYS_close_range) && defined(CLOSE_RANGE_CLOEXEC)
  bool done = syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
#else
  bool done = false;
#endif
  for (int fd = first; !done && fd < MOST_DESCRIPTORS; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  for (int i = 0; i < plan->passed_count; i++) fcntl(plan->passed[i], F_SETFD, 0);
}

static int arrange_descriptors(const struct braid_fork_plan *plan) {
  int terminal = plan->terminal ? open(plan->terminal, O_RDWR) : -1;
  if (plan->terminal && terminal < 0) return errno;
  for (int i = 0; i < plan->from_count; i++) {
    int from = terminal >= 0 ? terminal : plan->from[i];
    if ((from == i ? fcntl(i, F_SETFD, 0) : dup2(from, i)) < 0) return errno;
  }
  shut_out(plan->from_count, plan);
  return 0;
}

static int prepare(const struct braid_fork_plan *plan) {
  if (plan->terminal)
    setsid();
  else if (plan->group)
    setpgid(0, 0);
  int error = arrange_descriptors(plan);
  if (error) return error;
  if (plan->directory && chdir(plan->directory) != 0) return errno;
  return braid_user_become(plan->user);
}

static _Noreturn void run(const struct braid_fork_plan *plan, int report) {
  int error = prepare(plan);
  if (!error) {
    reset_signals();
    execve(plan->file, plan->argv, plan->environment);
    error = errno;
  }
  while (write(report, &error, sizeof error) < 0 && errno == EINTR) {
  }
  _exit(127);
}

/* ---- the parent ----------------------------------------------------------------------------------------------- */

/* The error that the child reports; 0: its program runs. */
static int outcome(int report) {
  int error = 0;
  ssize_t count;
  do count = read(report, &error, sizeof error);
  while (count < 0 && errno == EINTR);
  return count == sizeof error ? error : 0;
}

static int open_report(int ends[2], int above) {
  if (pipe(ends) != 0) return errno;
  for (int i = 0; i < 2; i++) { /* out of the way of the child's own descriptors */
    int fd = fcntl(ends[i], F_DUPFD_CLOEXEC, above);
    int error = errno;
    close(ends[i]);
    ends[i] = fd;
    if (fd >= 0) continue;
    close(ends[1 - i]);
    return error;
  }
  return 0;
}

/* No handler of ours may run in the child: all signals are blocked until it has reset them. */
int braid_fork_start(const struct braid_fork_plan *plan, pid_t *pid) {
  int ends[2], error = open_report(ends, plan->from_count);
  if (error) return error;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  *pid = make_copy();
  if (*pid == 0) run(plan, ends[1]);
  error = *pid < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(ends[1]);
  if (!error) error = outcome(ends[0]);
  close(ends[0]);
  if (error && *pid > 0) waitpid(*pid, NULL, 0);
  return error;
}
