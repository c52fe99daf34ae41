/* SPDX-License-Identifier: MIT
 * The state of the worker process; it lives as long as the process. The mutex protects `jobs`: whoever delivers a job
 * takes it out. */
#include "core/process/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "core/process/marshal.h"
#include "core/process/worker_handle.h"
#include "core/process/proxy_queue.h"
#include "core/work/tally.h"

enum { CANNOT_START = 70, PARENT_IS_GONE = 71, CONNECTION_FAILED = 72 }; /* exit statuses */
enum { MOST_SLOTS = 1 << 20 };

static struct {
  struct braid_connection connection;
  pthread_mutex_t reading;
  struct braid_lookout lookout;
  struct braid_errand opener;
  braid_worker_process_maker *maker;
  bool open; /* the connection is open: this process is a worker */
  pthread_mutex_t mutex;
  pthread_cond_t told;
  struct braid_thread_pool *pool; /* NULL until the settings come */
  unsigned slots;
  struct braid_job_flag *flags;
  struct braid_job **jobs; /* by slot: the last job that came for it */
} self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER, .reading = PTHREAD_MUTEX_INITIALIZER};

static _Noreturn void die(int status) {
  fflush(stdout);
  _exit(status);
}

/* Also works before the connection is open; then this frame is the first. */
void braid_worker_process_short(int error) {
  struct braid_frame frame = {.magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_FAILED, .value = (uint64_t)error};
  if (!self.open) {
    ssize_t ignored = write(BRAID_WORKER_CONNECTION, &frame, sizeof frame);
    (void)ignored;
  } else {
    braid_connection_send(&self.connection, frame, NULL);
  }
}

static _Noreturn void die_short(int error) {
  braid_worker_process_short(error);
  die(CANNOT_START);
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static bool forget(struct braid_job *job) {
  struct braid_job **place = &self.jobs[job->ticket % self.slots];
  pthread_mutex_lock(&self.mutex);
  if (*place == job) *place = NULL;
  pthread_mutex_unlock(&self.mutex);
  return braid_job_flag_begun(atomic_load(&job->flag), job->ticket);
}

/* Sends the reply of a job. A job that was not begun was recalled by the parent. The parent gets a frame for it all the
 * same, because that shows that this worker takes jobs. */
static void deliver(struct braid_job *job) {
  struct braid_frame frame = {.kind = BRAID_FRAME_REPLY, .id = job->ticket, .status = BRAID_JOB_RECALLED};
  struct braid_wire_item result = {job->result.bits, 0, job->result.tag};
  bool begun = forget(job);
  if (begun) {
    braid_proxy_settle_all();
    fflush(stdout); /* in case this process dies before the buffer is full */
    frame.value = (uint64_t)job->busy;
    frame.status = job->outcome;
  }
  bool sent = begun && result.tag ? braid_connection_send_body(&self.connection, frame, &result, sizeof result)
                                  : braid_connection_send(&self.connection, frame, begun ? job->reply : NULL);
  if (!sent) die(CANNOT_START);
  braid_job_unref(job);
}

/* There was no memory or descriptor for the job's arguments. If the parent has not recalled the job, it fails with this
 * error. */
static void refuse(struct braid_connection *connection, uint64_t ticket, int error) {
  bool ours = braid_job_flag_take(&self.flags[ticket % self.slots], ticket, BRAID_JOB_FLAG_BEGUN);
  struct braid_frame frame = {.kind = BRAID_FRAME_REPLY, .id = ticket, .value = (uint64_t)error};
  frame.status = ours ? BRAID_JOB_NOT_TAKEN : BRAID_JOB_RECALLED;
  if (!braid_connection_send(connection, frame, NULL)) die(CANNOT_START);
}

/* False: the connection has failed, because the settings must come first. */
static bool is_told(struct braid_connection *connection) {
  if (!self.pool) braid_connection_fail(connection, "a frame came before the settings");
  return self.pool != NULL;
}

static struct braid_job *read_job(struct braid_connection *connection, const struct braid_frame *frame,
                                  const char *body) {
  struct braid_message *call = braid_connection_message(connection, frame, body, 0);
  struct braid_job *job = call ? braid_job_new(call, NULL) : NULL;
  if (!job && errno == EBADMSG)
    braid_connection_fail(connection, "a job is not sound");
  else if (!job)
    refuse(connection, frame->id, errno);
  if (!job && call) braid_message_unref(call);
  return job;
}

static void on_job(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  struct braid_job *job = is_told(connection) ? read_job(connection, frame, body) : NULL;
  if (!job) return;
  unsigned slot = (unsigned)(frame->id % self.slots);
  job->ticket = frame->id;
  job->deliver = deliver;
  atomic_store(&job->flag, &self.flags[slot]);
  pthread_mutex_lock(&self.mutex);
  self.jobs[slot] = job;
  pthread_mutex_unlock(&self.mutex);
  struct braid_pool *pool = &self.pool->pool;
  if (pool->kind->submit(pool, job) == BRAID_OK) return;
  braid_job_unref(job); /* this process is about to end */
  deliver(job);
}

static void on_stop(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)body;
  if (!is_told(connection)) return;
  struct braid_pool *pool = &self.pool->pool;
  pthread_mutex_lock(&self.mutex);
  struct braid_job *job = self.jobs[frame->id % self.slots];
  if (job && job->ticket != frame->id) job = NULL;
  if (job) braid_job_ref(job);
  pthread_mutex_unlock(&self.mutex);
  if (!job) return;
  pool->kind->cancel(pool, job);
  braid_job_unref(job);
}

static void on_ping(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  braid_connection_send(connection, (struct braid_frame){.kind = BRAID_FRAME_PONG}, NULL);
}

static void on_bye(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  if (is_told(connection)) self.pool->pool.kind->close(&self.pool->pool, false);
}

void braid_worker_process_visit(const struct braid_thread_pool *pool,
                                void (*visit)(const struct braid_message *call, void *context), void *context) {
  pthread_mutex_lock(&self.mutex);
  for (unsigned i = 0; pool == self.pool && i < self.slots; i++)
    if (self.jobs[i]) visit(self.jobs[i]->call, context);
  pthread_mutex_unlock(&self.mutex);
}

/* ---- start and end -------------------------------------------------------------------------------------------- */

static void on_settings(struct braid_connection *connection, const struct braid_frame *frame, const char *body) {
  if (self.pool || frame->id == 0 || frame->id > MOST_SLOTS || frame->value > frame->size) {
    braid_connection_fail(connection, "the settings are not sound");
    return;
  }
  struct braid_message *table = braid_connection_message(connection, frame, body, (size_t)frame->value);
  if (!table) die_short(errno);
  self.slots = (unsigned)frame->id;
  self.jobs = calloc(self.slots, sizeof *self.jobs);
  self.flags = braid_job_flags_map(self.slots, BRAID_WORKER_JOB_FLAGS);
  if (!self.jobs || !self.flags) die_short(errno);
  close(BRAID_WORKER_JOB_FLAGS);
  struct braid_thread_pool *pool = self.maker(body, (size_t)frame->value, table, frame->status);
  if (!pool) die_short(ENOMEM);
  pthread_mutex_lock(&self.mutex);
  self.pool = pool;
  pthread_cond_signal(&self.told);
  pthread_mutex_unlock(&self.mutex);
}

static void on_parent_gone(struct braid_connection *connection) {
  if (!connection->fault) _exit(PARENT_IS_GONE);
  fprintf(stderr, "braid: worker process %d ends, for its connection to the parent failed: %s\n", (int)getpid(),
          connection->fault);
  _exit(CONNECTION_FAILED);
}

/* A process that a job forks closes its copy of the connection. Else the parent would not see the end of this
 * process. */
static void in_copy(void) { close(self.connection.fd); }

/* Runs on the I/O thread. */
static void open_connection(struct braid_errand *errand) {
  struct braid_io_thread *io_thread = braid_container(errand->waiter.home, struct braid_io_thread, loop);
  struct braid_pipes *pipes = braid_pipes_map(BRAID_WORKER_PIPES);
  if (!pipes && errno != ENODEV) die_short(errno); /* a socket: the parent has no pipes */
  close(BRAID_WORKER_PIPES);
  braid_connection_let_look(&self.connection, &self.reading);
  int error = braid_connection_open(&self.connection, io_thread, BRAID_WORKER_CONNECTION, &braid_marshal);
  if (error) die_short(error);
  if (pipes) braid_connection_use_pipes(&self.connection, &pipes->up, &pipes->down);
  struct braid_object_table *table = self.connection.objects;
  if (table) atomic_store(&table->process, BRAID_OBJECT_TABLE_PARENT);
  self.connection.ended = on_parent_gone;
  braid_connection_handle(&self.connection, BRAID_FRAME_SETTINGS, on_settings);
  braid_connection_handle(&self.connection, BRAID_FRAME_JOB, on_job);
  braid_connection_handle(&self.connection, BRAID_FRAME_STOP, on_stop);
  braid_connection_handle(&self.connection, BRAID_FRAME_BYE, on_bye);
  braid_connection_handle(&self.connection, BRAID_FRAME_PING, on_ping);
  self.open = true;
  pthread_atfork(NULL, NULL, in_copy);
}

static void leave_to_parent(int number) { (void)number; }

/* Only the parent ends this process. The terminal's signals go to the whole process group, and are left to the parent.
 * When the parent dies, this process gets SIGKILL. The signals have handlers, because programs that jobs start would
 * inherit SIG_IGN. */
static void belong_to_parent(void) {
  struct sigaction nothing = {.sa_handler = leave_to_parent, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &nothing, NULL);
  sigaction(SIGQUIT, &nothing, NULL);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  for (int fd = BRAID_WORKER_CONNECTION; fd <= BRAID_WORKER_PIPES; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

struct braid_thread_pool *braid_worker_process_begin(braid_worker_process_maker *maker) {
  belong_to_parent();
  self.maker = maker;
  struct braid_io_thread *io_thread = braid_io_thread_enter();
  if (!io_thread) die_short(errno);
  braid_errand_init(&self.opener, io_thread, open_connection);
  braid_errand_send(&self.opener);
  pthread_mutex_lock(&self.mutex);
  while (!self.pool) pthread_cond_wait(&self.told, &self.mutex);
  pthread_mutex_unlock(&self.mutex);
  return self.pool;
}

static bool look(struct braid_lookout *lookout, enum braid_look how) {
  (void)lookout;
  return braid_connection_look(&self.connection, how);
}

void braid_worker_process_look_from(struct braid_loop *loop) {
  self.lookout.look = look;
  braid_lookout_start(loop, &self.lookout);
}

void braid_worker_process_ready(void) {
  braid_connection_send(&self.connection, (struct braid_frame){.kind = BRAID_FRAME_READY}, NULL);
}

void braid_worker_process_failed(struct braid_message *failure) {
  struct braid_frame frame = {.kind = BRAID_FRAME_FAILED};
  braid_connection_send(&self.connection, frame, failure);
}

bool braid_worker_process_suspect(bool ask) {
  if (self.open && ask)
    braid_connection_send(&self.connection, (struct braid_frame){.kind = BRAID_FRAME_SUSPECT}, NULL);
  return self.open;
}

void braid_worker_process_end(int status) {
  braid_tally_tell();
  fflush(NULL);
  if (self.open) braid_connection_drain(&self.connection);
  _exit(status);
}
