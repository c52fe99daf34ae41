/* SPDX-License-Identifier: MIT
 * Children: their start, their signals, their end, with a pidfd and without one. */
#include "core/process/child.h"

#include <errno.h>
#include <sys/wait.h>

#include "actor.h"

extern char **environ;

#define ARGV(...) ((char *[]){__VA_ARGS__, NULL})

static struct actor actor;
static struct braid_children children;

static void begin(void) {
  actor_open(&actor, 1);
  braid_children_init(&children, &actor.loop);
}

/* Nothing is left: no child, no alarm, no watch. */
static void end(void) {
  check(braid_list_empty(&children.running));
  check(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
  check(actor.loop.alarms.count == 0 && actor.loop.watch_count == 0);
  braid_children_term(&children);
  actor_close(&actor);
}

static struct braid_child *start(struct braid_child_plan plan) {
  struct braid_child *child = NULL;
  plan.environment = environ;
  check(braid_child_start(&children, &plan, &child) == 0);
  return child;
}

static struct braid_child *start_simply(char *const *argv) {
  return start((struct braid_child_plan){.argv = argv, .stdio = {0, 1, 2}});
}

static void await(struct braid_child *child) {
  check(actor_await(&actor, braid_child_wait(child, actor_arm(&actor)), BRAID_NEVER) == BRAID_OK);
}

/* As where the system has no pidfd. */
static void forget_pidfd(struct braid_child *child) {
  braid_watch_stop(&actor.loop, &child->watch);
  if (child->pidfd >= 0) close(child->pidfd);
  child->pidfd = -1;
  check(braid_alarm_start(&actor.loop, &child->alarm, braid_clock_now() + child->pause));
}

static void an_end_is_told(void) {
  begin();
  for (int alone = 0; alone < 2; alone++) {
    struct braid_child *child = start_simply(ARGV("sh", "-c", "exit 7"));
    if (alone) forget_pidfd(child);
    await(child);
    check(WIFEXITED(child->status) && WEXITSTATUS(child->status) == 7);
    check(braid_child_wait(child, NULL) == BRAID_OK);
    check(braid_child_kill(child, SIGTERM) == ESRCH);
    braid_child_release(child);
    child = start_simply(ARGV("sleep", "100"));
    if (alone) forget_pidfd(child);
    check(braid_child_kill(child, SIGTERM) == 0);
    await(child);
    check(WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGTERM);
    braid_child_release(child);
  }
  end();
}

static void a_dropped_child_is_reaped(void) {
  begin();
  for (int alone = 0; alone < 2; alone++) {
    struct braid_child *child = start_simply(ARGV("sleep", "0.05"));
    if (alone) forget_pidfd(child);
    braid_child_release(child);
    while (!braid_list_empty(&children.running)) braid_loop_poll(&actor.loop, BRAID_NEVER);
  }
  end();
}

static void a_failed_start_leaves_nothing(void) {
  begin();
  struct braid_child *child = NULL;
  struct braid_child_plan plan = {.argv = ARGV("no-such-program"), .environment = environ, .stdio = {0, 1, 2}};
  check(braid_child_start(&children, &plan, &child) == ENOENT);
  plan.argv = ARGV("true");
  plan.directory = "/no/such/directory";
  check(braid_child_start(&children, &plan, &child) == ENOENT);
  plan.argv = ARGV("/");
  plan.directory = NULL;
  check(braid_child_start(&children, &plan, &child) == EACCES);
  check(child == NULL);
  end();
}

static void a_doomed_group_ends_whole(void) {
  begin();
  int ends[2];
  char byte;
  check(pipe(ends) == 0);
  struct braid_child *child =
      start((struct braid_child_plan){.argv = ARGV("sh", "-c", "(trap '' TERM; echo; exec sleep 100) & wait"),
                                      .stdio = {0, ends[1], 2},
                                      .group = true});
  close(ends[1]);
  check(read(ends[0], &byte, 1) == 1); /* it does not listen any more */
  braid_child_doom(child);
  check(braid_child_kill(child, SIGTERM) == 0);
  await(child);
  check(read(ends[0], &byte, 1) == 0); /* nobody holds the other end */
  close(ends[0]);
  braid_child_release(child);
  end();
}

/* Standard output and error exchanged: each is the other's source. */
static void descriptors_may_change_places(void) {
  begin();
  int ends[2], saved = dup(2);
  char text[8] = "";
  check(pipe(ends) == 0);
  dup2(ends[1], 2);
  struct braid_child *child =
      start((struct braid_child_plan){.argv = ARGV("sh", "-c", "echo out"), .stdio = {0, 2, 1}});
  dup2(saved, 2);
  close(saved);
  close(ends[1]);
  await(child);
  check(read(ends[0], text, sizeof text - 1) == 4 && strcmp(text, "out\n") == 0);
  close(ends[0]);
  braid_child_release(child);
  end();
}

static void a_lost_status_is_said(void) {
  begin();
  signal(SIGCHLD, SIG_IGN);
  struct braid_child *child = start_simply(ARGV("true"));
  await(child);
  signal(SIGCHLD, SIG_DFL);
  check(child->status == BRAID_CHILD_UNKNOWN);
  braid_child_release(child);
  end();
}

static void term_lets_go(void) {
  begin();
  struct braid_child *held = start_simply(ARGV("sleep", "0.1")), *dropped = start_simply(ARGV("sleep", "0.1"));
  braid_child_release(dropped);
  braid_children_term(&children);
  check(held->ended && held->status == BRAID_CHILD_UNKNOWN);
  braid_child_release(held);
  while (waitpid(-1, NULL, 0) > 0) {
  }
  end();
}

CHECK_MAIN({"child: its end is told", an_end_is_told}, {"child: reaped when dropped", a_dropped_child_is_reaped},
           {"child: a failed start leaves nothing", a_failed_start_leaves_nothing},
           {"child: a doomed group ends whole", a_doomed_group_ends_whole},
           {"child: descriptors may change places", descriptors_may_change_places},
           {"child: a lost status is said", a_lost_status_is_said}, {"child: term lets go", term_lets_go})
