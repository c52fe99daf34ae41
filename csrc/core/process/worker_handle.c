/* SPDX-License-Identifier: MIT
 * A ticket is a serial number times the number of slots, plus the slot. So a job flag never gets the same word twice,
 * and a worker that finds another word in the flag knows that its job was recalled. */
#include "core/process/worker_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/limit.h"
#include "core/process/marshal.h"

extern char **environ;

void braid_process_plan_free(struct braid_process_plan *plan) {
  free(plan->argv);
  free(plan->settings);
  if (plan->table) braid_message_unref(plan->table);
}

bool braid_worker_handle_init(struct braid_worker_handle *worker, struct braid_process_pool *pool, unsigned index,
                              unsigned slots) {
  worker->pool = pool;
  worker->index = index;
  worker->slots = slots;
  worker->connection.fd = -1;
  pthread_mutex_init(&worker->reading, NULL);
  braid_connection_let_look(&worker->connection, &worker->reading);
  worker->free_slots = calloc(slots, sizeof *worker->free_slots);
  worker->jobs = calloc(slots, sizeof *worker->jobs);
  if (!worker->free_slots || !worker->jobs) return false;
  for (unsigned i = 0; i < slots; i++) worker->free_slots[i] = slots - 1 - i;
  return true;
}

void braid_worker_handle_term(struct braid_worker_handle *worker) {
  pthread_mutex_destroy(&worker->reading);
  free(worker->free_slots);
  free(worker->jobs);
}

/* ---- the process ---------------------------------------------------------------------------------------------- */

/* Workers do not read our standard input. */
static int open_null(void) {
  int fd;
  do fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  while (fd < 0 && braid_limit_raised());
  return fd;
}

static int make_ends(int ends[2]) {
  int error;
  do error = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) ? errno : 0;
  while (error && braid_limit_raised());
  return error;
}

/* The worker's ends of what it shares with us. */
struct ends {
  int connection, flags, pipes;
};

static int start_child(struct braid_worker_handle *worker, struct braid_io_thread *io_thread,
                       const struct braid_process_plan *plan, const struct ends *ends) {
  int null = open_null();
  if (null < 0) return errno;
  struct braid_child_plan child = {.file = plan->own ? braid_child_own_program(plan->argv[0]) : NULL,
                                   .argv = plan->argv,
                                   .environment = environ,
                                   .stdio = {null, 1, 2},
                                   .more = {ends->connection, ends->flags, ends->pipes},
                                   .more_count = 3};
  int error = braid_child_start(&io_thread->children, &child, &worker->child);
  close(null);
  if (!error) atomic_store(&worker->pid, worker->child->pid);
  return error;
}

static void forget_child(struct braid_worker_handle *worker) {
  braid_child_kill(worker->child, SIGKILL);
  braid_child_release(worker->child);
  worker->child = NULL;
  atomic_store(&worker->pid, 0);
}

/* Sent before the settings: the answer says that the worker's connection is open, before its init could freeze. */
static void ask_for_sign(struct braid_worker_handle *worker) {
  worker->asked = true;
  worker->asked_at = braid_clock_now();
  worker->silence = 0;
  braid_connection_put(&worker->connection, (struct braid_frame){.kind = BRAID_FRAME_PING}, NULL, 0);
}

static bool put_settings(struct braid_worker_handle *worker, const struct braid_process_plan *plan) {
  struct braid_frame frame = {
      .kind = BRAID_FRAME_SETTINGS, .id = worker->slots, .value = plan->settings_size, .status = worker->index};
  bool done =
      braid_connection_put_message(&worker->connection, frame, plan->settings, plan->settings_size, plan->table);
  braid_connection_flush(&worker->connection);
  return done;
}

static void free_shared(struct braid_worker_handle *worker) {
  if (worker->flags) braid_job_flags_free(worker->flags, worker->slots);
  if (worker->pipes) braid_pipes_free(worker->pipes);
  worker->flags = NULL;
  worker->pipes = NULL;
}

/* Makes the memory that the two processes share, and starts the child with its ends. */
static int start_with(struct braid_worker_handle *worker, struct braid_io_thread *io_thread,
                      const struct braid_process_plan *plan, struct ends ends) {
  worker->flags = braid_job_flags_new(worker->slots, &ends.flags);
  if (!worker->flags) return errno;
  worker->pipes = braid_pipes_new(&ends.pipes);
  if (!worker->pipes && errno == EFBIG) ends.pipes = ends.connection; /* `ulimit -f`: frames go through the socket */
  int error = ends.pipes >= 0 ? start_child(worker, io_thread, plan, &ends) : errno;
  if (worker->pipes) close(ends.pipes);
  close(ends.flags);
  return error;
}

static int open_connection(struct braid_worker_handle *worker, struct braid_io_thread *io_thread, int end) {
  int error = braid_connection_open(&worker->connection, io_thread, end, &braid_marshal);
  if (!error && worker->pipes)
    braid_connection_use_pipes(&worker->connection, &worker->pipes->down, &worker->pipes->up);
  return error;
}

int braid_worker_handle_start(struct braid_worker_handle *worker, struct braid_io_thread *io_thread,
                              const struct braid_process_plan *plan) {
  int ends[2];
  int error = make_ends(ends);
  if (error) return error;
  error = start_with(worker, io_thread, plan, (struct ends){.connection = ends[1], .pipes = -1});
  close(ends[1]);
  if (!error) {
    error = open_connection(worker, io_thread, ends[0]);
    if (error) forget_child(worker);
  }
  if (!error) ask_for_sign(worker);
  if (!error && put_settings(worker, plan)) return 0;
  if (!error) { /* memory is out */
    forget_child(worker);
    braid_connection_close(&worker->connection);
    error = ENOMEM;
  } else {
    close(ends[0]);
  }
  free_shared(worker);
  return error;
}

void braid_worker_handle_close(struct braid_worker_handle *worker) {
  atomic_store(&worker->pid, 0);
  if (worker->connection.fd >= 0) braid_connection_close(&worker->connection);
  free_shared(worker);
  if (worker->child) braid_child_release(worker->child);
  worker->child = NULL;
}

/* ---- its jobs: under the pool's mutex ------------------------------------------------------------------------- */

/* Gives the job to the worker. Returns the frame for it. */
static struct braid_frame take(struct braid_worker_handle *worker, struct braid_job *job) {
  unsigned slot = worker->free_slots[worker->slots - ++worker->in_flight];
  struct braid_frame frame = {.kind = BRAID_FRAME_JOB, .id = ++worker->next_ticket * worker->slots + slot};
  worker->jobs[slot] = job;
  job->worker_handle = worker;
  job->ticket = frame.id;
  braid_job_flag_issue(&worker->flags[slot], frame.id);
  atomic_store(&job->flag, &worker->flags[slot]);
  return frame;
}

/* When memory is out the connection ends, and so does the worker. */
void braid_worker_handle_assign(struct braid_worker_handle *worker, struct braid_job *job) {
  braid_connection_put_message(&worker->connection, take(worker, job), NULL, 0, job->call);
}

void braid_worker_handle_send(struct braid_worker_handle *worker, struct braid_job *job) {
  braid_connection_send(&worker->connection, take(worker, job), job->call);
}

struct braid_job *braid_worker_handle_release(struct braid_worker_handle *worker, uint64_t ticket) {
  unsigned slot = (unsigned)(ticket % worker->slots);
  struct braid_job *job = worker->jobs[slot];
  if (!job || job->ticket != ticket) return NULL;
  worker->jobs[slot] = NULL;
  worker->free_slots[worker->slots - worker->in_flight--] = slot;
  atomic_store(&job->flag, NULL);
  job->worker_handle = NULL;
  return job;
}

uint64_t braid_worker_handle_waiting(const struct braid_worker_handle *worker) {
  uint64_t first = 0;
  for (unsigned i = 0, left = worker->in_flight; left > 0; i++) {
    const struct braid_job *job = worker->jobs[i];
    if (!job) continue;
    left--;
    if (first && first < job->ticket) continue;
    if (!braid_job_flag_begun(&worker->flags[i], job->ticket)) first = job->ticket;
  }
  return first;
}

struct braid_job *braid_worker_handle_recall(struct braid_worker_handle *worker) {
  for (;;) {
    struct braid_job *last = NULL;
    for (unsigned i = 0; i < worker->slots; i++) {
      struct braid_job *job = worker->jobs[i];
      if (!job || (last && last->ticket > job->ticket)) continue;
      if (!braid_job_flag_begun(&worker->flags[i], job->ticket)) last = job;
    }
    if (!last) return NULL;
    struct braid_job_flag *flag = &worker->flags[last->ticket % worker->slots];
    if (braid_job_flag_take(flag, last->ticket, BRAID_JOB_FLAG_NONE))
      return braid_worker_handle_release(worker, last->ticket);
  }
}

unsigned braid_worker_handle_begun(const struct braid_worker_handle *worker) {
  unsigned count = 0;
  for (unsigned i = 0, left = worker->in_flight; left > 0; i++) {
    if (!worker->jobs[i]) continue;
    left--;
    if (braid_job_flag_begun(&worker->flags[i], worker->jobs[i]->ticket)) count++;
  }
  return count;
}

unsigned braid_worker_handle_list_begun(const struct braid_worker_handle *worker, struct braid_begun *list,
                                        unsigned room) {
  unsigned count = 0;
  for (unsigned i = 0; i < worker->slots && worker->in_flight > 0 && count < room; i++) {
    struct braid_job *job = worker->jobs[i];
    if (!job || !braid_job_flag_begun(&worker->flags[i], job->ticket)) continue;
    braid_job_ref(job);
    list[count++] = (struct braid_begun){job, atomic_load(&worker->pid), atomic_load(&worker->flags[i].began)};
  }
  return count;
}

/* ---- stopping jobs and workers -------------------------------------------------------------------------------- */

#define GRACE (3 * BRAID_SECOND)      /* from the request to SIGTERM */
#define LAST_GRACE (1 * BRAID_SECOND) /* from SIGTERM to SIGKILL */

void braid_worker_handle_stop(struct braid_job *job) {
  struct braid_frame frame = {.kind = BRAID_FRAME_STOP, .id = job->ticket};
  atomic_store(&job->stop, true);
  job->stopped = braid_clock_now();
  braid_connection_send(&job->worker_handle->connection, frame, NULL);
}

void braid_worker_handle_stop_all(struct braid_worker_handle *worker) {
  for (unsigned i = 0; worker->in_flight > 0 && i < worker->slots; i++)
    if (worker->jobs[i] && !atomic_load(&worker->jobs[i]->stop)) braid_worker_handle_stop(worker->jobs[i]);
}

int64_t braid_worker_handle_deadline(const struct braid_worker_handle *worker, int64_t time_limit) {
  int64_t first = 0;
  for (unsigned i = 0, left = worker->in_flight; left > 0; i++) {
    const struct braid_job *job = worker->jobs[i];
    if (!job) continue;
    left--;
    if (!braid_job_flag_begun(&worker->flags[i], job->ticket)) continue;
    int64_t began = atomic_load(&worker->flags[i].began), deadline = 0;
    if (time_limit && began) deadline = began + time_limit;
    if (job->stopped && (!deadline || job->stopped < deadline)) deadline = job->stopped;
    if (deadline && (!first || deadline < first)) first = deadline;
  }
  return first;
}

/* The time is summed up from ticks, not read from the clock: the clock also goes on while this process is stopped. */
void braid_worker_handle_press(struct braid_worker_handle *worker, int64_t deadline, int64_t now, int64_t elapsed) {
  if (!worker->child || !deadline || now < deadline) {
    worker->overdue = 0;
    return;
  }
  worker->overdue += elapsed;
  if (worker->overdue > now - deadline)
    worker->overdue = now - deadline; /* the rest was for another job, which has ended */
  if (worker->killed == 0 && worker->overdue > GRACE) {
    worker->killed = 1;
    braid_child_kill(worker->child, SIGTERM);
  } else if (worker->killed == 1 && worker->overdue > GRACE + LAST_GRACE) {
    worker->killed = 2;
    braid_child_kill(worker->child, SIGKILL);
  }
}

/* ---- signs of life -------------------------------------------------------------------------------------------- */

#define SILENCE (2 * BRAID_SECOND)        /* then what it has not begun goes to other workers */
#define LONG_SILENCE (4 * BRAID_SECOND)   /* then it is killed with what it has begun */
#define FIRST_SILENCE (30 * BRAID_SECOND) /* for a new worker, until its first answer */
#define ASK_AGAIN (100 * 1000 * 1000)     /* ns after the last question */

bool braid_worker_handle_is_silent(struct braid_worker_handle *worker, bool suspect, int64_t now, int64_t elapsed) {
  if (!worker->child) return false;
  uint64_t signs = atomic_load(&worker->connection.signs);
  if (!suspect || signs != worker->signs)
    worker->silence = 0;
  else if (worker->asked)
    worker->silence += elapsed;
  worker->signs = signs;
  if (suspect && !worker->asked && now - worker->asked_at > ASK_AGAIN) {
    ask_for_sign(worker);
    braid_connection_flush(&worker->connection);
  }
  return worker->silence > (worker->heard ? SILENCE : FIRST_SILENCE);
}

void braid_worker_handle_kill_silent(struct braid_worker_handle *worker, bool has_begun) {
  if (worker->silent || (has_begun && worker->silence <= LONG_SILENCE)) return;
  worker->silent = true;
  worker->killed = 2;
  braid_child_kill(worker->child, SIGKILL); /* a stopped process receives no other signal */
}

/* When we have killed the worker, the reason for that decides. */
enum braid_job_outcome braid_worker_handle_fate(const struct braid_worker_handle *worker, const struct braid_job *job,
                                                int64_t time_limit) {
  int64_t began = atomic_load(&worker->flags[job->ticket % worker->slots].began);
  if (!worker->killed) return BRAID_JOB_DIED;
  if (job->stopped) return BRAID_JOB_CANCELLED;
  if (worker->silent) return BRAID_JOB_SILENT;
  return time_limit && began && braid_clock_now() > began + time_limit ? BRAID_JOB_OVERDUE : BRAID_JOB_DIED;
}
