/* SPDX-License-Identifier: MIT
 * Tallies, and what is said of the jobs that are dropped: in a process of its own, for it is said once. */
#include "core/work/tally.h"

#include <sys/wait.h>

#include "check.h"

static void counts_go_up_and_down(void) {
  struct braid_tally *tally = braid_tally_open("threads", "");
  uint64_t before = braid_tally_total(tally);
  braid_tally_add(tally);
  braid_tally_add(tally);
  check(braid_tally_count(tally) == 2);
  braid_tally_remove(tally);
  check(braid_tally_count(tally) == 1);
  braid_tally_remove(tally);
  check(braid_tally_count(tally) == 0);
  check(braid_tally_total(tally) == before + 2);
  braid_tally_close(tally);
  struct braid_tally *next = braid_tally_open("processes", "next");
  check(next == tally && braid_tally_count(next) == 0); /* used again */
  struct braid_tally *other = braid_tally_open("threads", "other");
  check(other != next);
  braid_tally_close(next);
  braid_tally_close(other);
}

/* What a process that runs `body` says on stderr. */
static const char *said_by(void (*body)(void)) {
  static char text[4096];
  int ends[2];
  size_t size = 0;
  fflush(NULL);
  check(pipe(ends) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    body();
    _exit(0);
  }
  close(ends[1]);
  for (ssize_t count; (count = read(ends[0], text + size, sizeof text - 1 - size)) > 0;) size += (size_t)count;
  text[size] = '\0';
  close(ends[0]);
  check(waitpid(pid, NULL, 0) == pid);
  return text;
}

static void open_with(const char *kind, const char *name, int jobs) {
  struct braid_tally *tally = braid_tally_open(kind, name);
  for (int i = 0; i < jobs; i++) braid_tally_add(tally);
}

static void drop_jobs(void) {
  open_with("threads", "mail", 1);
  open_with("processes", "", 12);
  open_with("threads", "idle", 0);
  braid_tally_close(braid_tally_open("threads", "closed"));
  braid_tally_tell();
  braid_tally_tell(); /* not again */
}

static void names_of_all_kinds(void) {
  char name[200];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  open_with("a kind that is much too long", name, 1);
  open_with("threads", "a\nb\33[2Jc\177", 1);
  braid_tally_tell();
}

static void what_is_dropped_is_said(void) {
  const char *text = said_by(drop_jobs);
  check(strstr(text, "braid: pool 'mail' (threads): 1 job was dropped\n") != NULL);
  check(strstr(text, "braid: a pool without a name (processes): 12 jobs were dropped\n") != NULL);
  check(!strstr(text, "idle") && !strstr(text, "closed"));
  text = said_by(names_of_all_kinds);
  check(strstr(text, "braid: pool 'a?b?[2Jc?' (threads): 1 job was dropped\n") != NULL);
  check(strstr(text, "nnnn") != NULL && strchr(text, '\n') - text < 160);
}

CHECK_MAIN({"tally: counts go up and down", counts_go_up_and_down},
           {"tally: what is dropped is said", what_is_dropped_is_said})
