/* SPDX-License-Identifier: MIT
 * Pools of processes without Lua: this program is its own worker, an honest one or one of several that are not. */
#include "core/process/process_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/process/marshal.h"
#include "core/process/worker_process.h"
#include "jobs.h"
#include "refusal.h"

static char *program;

/* ---- the worker ------------------------------------------------------------------------------------------------ */

static void body(struct braid_worker *worker) {
  braid_worker_process_ready();
  work(worker);
}

static void fail(struct braid_worker *worker) {
  struct braid_message *failure = braid_message_new("no init", 8, NULL, 0);
  braid_worker_process_failed(failure);
  braid_worker_fail(worker, failure);
}

static void free_nothing(void *settings) { (void)settings; }

static struct braid_thread_pool *make(const char *settings, size_t size, struct braid_message *table, unsigned index) {
  bool sound = size == 5 && memcmp(settings, "told", 5) == 0 && strcmp(table->bytes, "table") == 0 && index < 8;
  bool fails = getenv("WORKER_FAILS") != NULL;
  if (index == 1 && getenv("SECOND_IS_SHORT")) {
    braid_worker_process_short(EMFILE);
    _exit(0);
  }
  braid_message_unref(table);
  return sound ? braid_thread_pool_lone(fails ? fail : body, &program, free_nothing) : NULL;
}

static int work_honestly(void) {
  signal(BRAID_POKE_SIGNAL, SIG_IGN);
  braid_thread_pool_run(braid_worker_process_begin(make));
  braid_worker_process_end(0);
}

/* Waits until it is told how to work, which it never looks at. */
static void be_told(void) {
  char bytes[4096];
  fcntl(BRAID_WORKER_CONNECTION, F_SETFL, 0);
  ssize_t size = read(BRAID_WORKER_CONNECTION, bytes, sizeof bytes);
  check(size > 0);
}

static void say(struct braid_frame frame) {
  frame.magic = BRAID_FRAME_MAGIC;
  check(write(BRAID_WORKER_CONNECTION, &frame, sizeof frame) == sizeof frame);
}

static int lie(const char *how) {
  be_told();
  if (strcmp(how, "dies") == 0) return 9;
  if (strcmp(how, "prints") == 0)
    check(write(BRAID_WORKER_CONNECTION, "hello, hello, hello, hello, hello, hello, hello", 47) == 47);
  if (strcmp(how, "is short") == 0) {
    braid_worker_process_short(EMFILE);
    return 0;
  }
  say((struct braid_frame){.kind = BRAID_FRAME_READY});
  if (strcmp(how, "replies to nothing") == 0)
    say((struct braid_frame){.kind = BRAID_FRAME_REPLY, .id = 4711, .status = BRAID_JOB_DONE});
  else if (strcmp(how, "has no outcome") == 0)
    say((struct braid_frame){.kind = BRAID_FRAME_REPLY, .id = 128, .status = BRAID_JOB_SILENT});
  else if (strcmp(how, "has no message") == 0)
    say((struct braid_frame){.kind = BRAID_FRAME_REPLY, .id = 128, .has_message = 1});
  for (;;) be_told();
}

static int be_worker(const char *how) { return strcmp(how, "honest") == 0 ? work_honestly() : lie(how); }

/* ---- the parent ------------------------------------------------------------------------------------------------ */

static struct braid_loop loop;
static struct braid_pool *pool;

static struct braid_process_plan plan_of(const char *how) {
  char **argv = calloc(3, sizeof *argv);
  argv[0] = program;
  argv[1] = (char *)(uintptr_t)how;
  return (struct braid_process_plan){.argv = argv,
                                     .settings = strdup("told"),
                                     .settings_size = 5,
                                     .table = braid_message_new("table", 6, NULL, 0),
                                     .tasks = 1};
}

static void begin(unsigned count, const char *how) {
  check(braid_loop_open(&loop) == 0);
  pool = braid_process_pool_new(count, plan_of(how));
  check(pool != NULL);
}

static void end(void) {
  pool->kind->close(pool, true);
  check(braid_pool_await(pool, BRAID_NEVER));
  while (atomic_load(&pool->object.refs) > 1) usleep(100); /* the workers' */
  braid_object_unref(&pool->object);
  braid_loop_close(&loop);
}

static void submit(struct task *task, const char *order) { check(task_submit(task, &loop, pool, order) == BRAID_OK); }

/* False: the pool was given up before it could take the job. */
static bool is_taken(struct task *task) {
  enum braid_status status = task_submit(task, &loop, pool, "do");
  check(status == BRAID_OK || (status == BRAID_CLOSED && (pool->dead || pool->failure)));
  if (status == BRAID_OK) tasks_await(&loop, 1);
  return status == BRAID_OK;
}

static void await_begun(struct task *task) {
  struct braid_begun begun[8];
  for (bool found = false; !found; usleep(200)) {
    unsigned count = pool->kind->begun(pool, begun, 8);
    for (unsigned i = 0; i < count; i++) {
      found = found || begun[i].job == task->job;
      check(begun[i].pid > 0);
      braid_job_unref(begun[i].job);
    }
  }
}

static void jobs_are_done(void) {
  enum { COUNT = 300 };
  static struct task tasks[COUNT];
  int numbers[4];
  begin(2, "honest");
  for (int i = 0; i < COUNT; i++) submit(&tasks[i], i % 5 ? "do" : "fail");
  tasks_await(&loop, COUNT);
  check(pool->kind->pids(pool, numbers, 1) == 1 && pool->kind->pids(pool, numbers, 4) == 2);
  for (int i = 0; i < COUNT; i++) {
    check(task_outcome(&tasks[i]) == (i % 5 ? BRAID_JOB_DONE : BRAID_JOB_FAILED));
    check(strcmp(tasks[i].job->reply->bytes, i % 5 ? "do" : "fail") == 0);
    check(tasks[i].job->pid == numbers[0] || tasks[i].job->pid == numbers[1]);
    task_forget(&tasks[i]);
  }
  check(pool->stats.done == COUNT * 4 / 5 && pool->stats.failed == COUNT / 5 && pool->stats.busy == COUNT * 1000);
  check(pool->kind->queued(pool) == 0);
  end();
}

static void jobs_are_cancelled(void) {
  struct task running, queued, after;
  begin(1, "honest");
  submit(&running, "until stopped");
  await_begun(&running);
  check(pool->kind->running(pool) == 1);
  submit(&queued, "do");
  submit(&after, "do");
  check(pool->kind->cancel(pool, queued.job) && task_outcome(&queued) == BRAID_JOB_CANCELLED);
  check(!pool->kind->cancel(pool, queued.job));
  check(pool->kind->cancel(pool, running.job));
  pool->kind->cancel(pool, running.job); /* again: it may have ended */
  tasks_await(&loop, 3);
  check(task_outcome(&running) == BRAID_JOB_CANCELLED && task_outcome(&after) == BRAID_JOB_DONE);
  task_forget(&running);
  task_forget(&queued);
  task_forget(&after);
  end();
}

static void a_closed_pool_ends_its_jobs(void) {
  struct task running, queued[5], refused;
  begin(1, "honest");
  submit(&running, "until stopped");
  await_begun(&running);
  for (int i = 0; i < 5; i++) submit(&queued[i], "do");
  pool->kind->close(pool, true);
  check(task_submit(&refused, &loop, pool, "do") == BRAID_CLOSED);
  task_forget(&refused);
  pool->kind->stop(pool);
  tasks_await(&loop, 6);
  for (int i = 0; i < 5; i++) {
    check(task_outcome(&queued[i]) == BRAID_JOB_CANCELLED);
    task_forget(&queued[i]);
  }
  check(task_outcome(&running) == BRAID_JOB_CANCELLED);
  task_forget(&running);
  end();
}

/* ---- workers that die ------------------------------------------------------------------------------------------ */

static void only_its_own_job_dies_with_a_worker(void) {
  struct task dies, others[20];
  begin(2, "honest");
  submit(&dies, "die");
  for (int i = 0; i < 20; i++) submit(&others[i], "do");
  tasks_await(&loop, 21);
  check(task_outcome(&dies) == BRAID_JOB_DIED && dies.job->pid > 0);
  check(WIFEXITED(dies.job->death) && WEXITSTATUS(dies.job->death) == 3);
  for (int i = 0; i < 20; i++) {
    check(task_outcome(&others[i]) == BRAID_JOB_DONE);
    task_forget(&others[i]);
  }
  task_forget(&dies);
  end();
}

static void workers_are_killed(void) {
  struct task hangs;
  begin(1, "honest");
  submit(&hangs, "hang");
  await_begun(&hangs);
  pool->kind->close(pool, false);
  pool->kind->kill(pool);
  tasks_await(&loop, 1);
  check(task_outcome(&hangs) == BRAID_JOB_DIED && WTERMSIG(hangs.job->death) == SIGKILL);
  task_forget(&hangs);
  end();
}

static void an_init_fails(void) {
  struct task task;
  setenv("WORKER_FAILS", "1", 1);
  begin(2, "honest");
  if (is_taken(&task)) check(task_outcome(&task) == BRAID_JOB_FAILED && strcmp(task.job->reply->bytes, "no init") == 0);
  check(pool->failure && !pool->dead);
  task_forget(&task);
  end();
  unsetenv("WORKER_FAILS");
}

static void gives_up(const char *how, bool by_exit) {
  struct task task;
  begin(1, how);
  if (is_taken(&task)) check(task_outcome(&task) == BRAID_JOB_DIED && task.job->pid == 0 && pool->dead);
  if (by_exit) check(WIFEXITED(pool->death) && WEXITSTATUS(pool->death) == 9);
  task_forget(&task);
  end();
}

/* Before they are ready, again and again. */
static void workers_that_always_die_break_the_pool(void) {
  gives_up("dies", true);
  gives_up("prints", false); /* killed: it spoke no protocol */
}

static void a_missing_program_breaks_the_pool(void) {
  struct task task;
  char *before = program;
  program = (char *)(uintptr_t) "/no/such/program";
  begin(2, "honest");
  if (is_taken(&task)) check(task_outcome(&task) == BRAID_JOB_DIED && pool->dead && pool->error == ENOENT);
  task_forget(&task);
  end();
  program = before;
}

/* Where another one works it is tried again, until nobody needs it. */
static void a_worker_may_be_short_of_something(void) {
  struct task task;
  begin(1, "is short");
  if (is_taken(&task)) check(task_outcome(&task) == BRAID_JOB_DIED && pool->dead && pool->error == EMFILE);
  task_forget(&task);
  end();
  setenv("SECOND_IS_SHORT", "1", 1);
  begin(2, "honest");
  for (int i = 0; i < 2; i++) {
    submit(&task, "do");
    tasks_await(&loop, 1);
    check(task_outcome(&task) == BRAID_JOB_DONE && !pool->dead);
    task_forget(&task);
    usleep(i ? 0 : 150000);
  }
  end();
  unsetenv("SECOND_IS_SHORT");
}

/* ---- workers that lie ------------------------------------------------------------------------------------------ */

static void a_reply_to_nothing_is_nothing(void) {
  begin(1, "replies to nothing");
  int pid = 0;
  while (pool->kind->pids(pool, &pid, 1) == 0) usleep(200);
  pool->kind->close(pool, false);
  pool->kind->kill(pool);
  end();
}

/* What it has not begun goes to the next one, which lies as well, and at last is given up. */
static void lies_end_the_worker(void) {
  static const char *const lies[] = {"has no outcome", "has no message"};
  for (int i = 0; i < 2; i++) {
    struct task task;
    begin(1, lies[i]);
    submit(&task, "do");
    tasks_await(&loop, 1);
    check(task_outcome(&task) == BRAID_JOB_DIED && task.job->fault != NULL && WTERMSIG(task.job->death) == SIGKILL);
    task_forget(&task);
    end();
  }
}

/* ---- parents that lie ------------------------------------------------------------------------------------------- */

enum { PARENT_IS_GONE = 71, CONNECTION_FAILED = 72 }; /* see worker_process.c */

static void become_worker(int end, int flags, int pipes) {
  char *argv[] = {program, (char *)(uintptr_t) "honest", NULL};
  int parent = fcntl(end, F_DUPFD, 10), memory = fcntl(flags, F_DUPFD, 10), more = fcntl(pipes, F_DUPFD, 10);
  dup2(parent, BRAID_WORKER_CONNECTION);
  dup2(memory, BRAID_WORKER_JOB_FLAGS);
  dup2(more, BRAID_WORKER_PIPES);
  dup2(open("/dev/null", O_WRONLY), 2); /* where it says what is wrong */
  fcntl(BRAID_WORKER_CONNECTION, F_SETFL, O_NONBLOCK);
  execv(program, argv);
  _exit(99);
}

/* An honest worker whose parent says this and no more; the status with which it ends. NULL: it says nothing, and goes.
 */
static int end_by(const struct braid_frame *said, const char *body, size_t size) {
  int ends[2], flags, pipes, status;
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  struct braid_job_flag *ours = braid_job_flags_new(4, &flags);
  struct braid_pipes *memory = braid_pipes_new(&pipes);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) become_worker(ends[1], flags, pipes);
  close(ends[1]);
  close(flags);
  close(pipes);
  if (said) {
    struct braid_frame frame = *said;
    frame.magic = BRAID_FRAME_MAGIC;
    frame.size = size;
    check(write(ends[0], &frame, sizeof frame) == sizeof frame && write(ends[0], body, size) == (ssize_t)size);
  } else {
    shutdown(ends[0], SHUT_RDWR);
  }
  check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
  close(ends[0]);
  braid_job_flags_free(ours, 4);
  braid_pipes_free(memory);
  return WEXITSTATUS(status);
}

static void a_worker_believes_no_parent(void) {
  static const uint8_t early[] = {BRAID_FRAME_JOB, BRAID_FRAME_STOP, BRAID_FRAME_BYE, BRAID_FRAME_REPLY};
  check(end_by(NULL, NULL, 0) == PARENT_IS_GONE);
  for (size_t i = 0; i < sizeof early; i++) /* before the settings; of the last kind it is never sent any */
    check(end_by(&(struct braid_frame){.kind = early[i]}, "", 0) == CONNECTION_FAILED);
  static const uint64_t settings[][2] = {{0, 5}, {UINT64_MAX, 5}, {4, 6}}; /* slots; more bytes than there are */
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    struct braid_frame frame = {
        .kind = BRAID_FRAME_SETTINGS, .has_message = 1, .id = settings[i][0], .value = settings[i][1]};
    check(end_by(&frame, "told", 5) == CONNECTION_FAILED);
  }
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

#ifdef __linux__
static void without_threads(void) {
  errno = 0;
  check(braid_process_pool_new(2, plan_of("honest")) == NULL && errno == EAGAIN);
}

static void without_descriptors(void) {
  errno = 0;
  check(braid_process_pool_new(2, plan_of("honest")) == NULL && errno == EMFILE);
}

static void refusals_are_told(void) {
  refuse_threads(EAGAIN, without_threads);
  refuse_call(SYS_epoll_create1, EMFILE, without_descriptors); /* in the I/O thread */
}
#else
static void refusals_are_told(void) {}
#endif

int main(int argc, char **argv) {
  static const struct check_test tests[] = {
      {"process pool: jobs are done", jobs_are_done},
      {"process pool: jobs are cancelled", jobs_are_cancelled},
      {"process pool: a closed one ends its jobs", a_closed_pool_ends_its_jobs},
      {"process pool: only its own job dies with a worker", only_its_own_job_dies_with_a_worker},
      {"process pool: workers are killed", workers_are_killed},
      {"process pool: an init fails", an_init_fails},
      {"process pool: workers that always die break it", workers_that_always_die_break_the_pool},
      {"process pool: a missing program breaks it", a_missing_program_breaks_the_pool},
      {"process pool: a worker may be short of something", a_worker_may_be_short_of_something},
      {"process pool: a reply to nothing is nothing", a_reply_to_nothing_is_nothing},
      {"process pool: lies end the worker", lies_end_the_worker},
      {"worker process: it believes no parent", a_worker_believes_no_parent},
      {"process pool: refusals are told", refusals_are_told},
  };
  program = argv[0];
  return argc > 1 ? be_worker(argv[1]) : check_run(tests, (int)(sizeof tests / sizeof *tests));
}
