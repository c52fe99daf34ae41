/* SPDX-License-Identifier: MIT
 * One for the process; lives as long as it. Which jobs are here is guarded by the mutex: a job is taken out by whoever
 * delivers it. */
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

#include "core/process/worker_handle.h"
#include "core/process/proxy_queue.h"
#include "core/work/tally.h"

enum { CANNOT_START = 70, PARENT_IS_GONE = 71, LINK_FAILED = 72 }; /* exit statuses */
enum { MOST_SLOTS = 1 << 20 };

static struct {
  struct braid_link link;
  struct braid_errand opener;
  braid_worker_process_maker *maker;
  bool open; /* the link: this process is a worker */
  pthread_mutex_t mutex;
  pthread_cond_t told;
  struct braid_thread_pool *pool; /* NULL: not told yet */
  unsigned slots;
  struct braid_permit *permits;
  struct braid_job **jobs; /* by slot: the last that came for it */
} self = {.mutex = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

struct braid_link *braid_worker_process_link(void) {
  return self.open ? &self.link : NULL;
}

static _Noreturn void die(int status) {
  fflush(stdout);
  _exit(status);
}

/* Also before the link is open: the frame is the first then. */
void braid_worker_process_short(int error) {
  struct braid_frame frame = {.magic = BRAID_FRAME_MAGIC, .kind = BRAID_FRAME_FAILED, .value = (uint64_t)error};
  if (!self.open) {
    ssize_t ignored = write(BRAID_WORKER_LINK, &frame, sizeof frame);
    (void)ignored;
  } else if (braid_link_put(&self.link, frame, NULL, 0)) {
    braid_link_flush(&self.link);
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
  return braid_permit_begun(atomic_load(&job->permit), job->ticket);
}

/* Takes a job home. One that was never begun is the parent's again: it is told all the same that we take jobs. */
static void deliver(struct braid_job *job) {
  struct braid_frame frame = {.kind = BRAID_FRAME_REPLY, .id = job->ticket, .status = BRAID_JOB_RECALLED};
  if (forget(job)) {
    braid_remote_settle_all();
    fflush(stdout); /* should we die before the buffer is full */
    frame.value = (uint64_t)job->busy;
    frame.status = job->outcome;
  }
  bool sent = frame.status != BRAID_JOB_RECALLED && job->reply
                  ? braid_link_put_message(&self.link, frame, NULL, 0, job->reply)
                  : braid_link_put(&self.link, frame, NULL, 0);
  if (!sent) die(CANNOT_START);
  braid_link_flush(&self.link);
  braid_job_unref(job);
}

/* The system could not give us what the job's arguments need. If the parent has not recalled it, it fails with that. */
static void refuse(struct braid_link *link, uint64_t ticket, int error) {
  bool ours = braid_permit_take(&self.permits[ticket % self.slots], ticket, BRAID_PERMIT_BEGUN);
  struct braid_frame frame = {.kind = BRAID_FRAME_REPLY, .id = ticket, .value = (uint64_t)error};
  frame.status = ours ? BRAID_JOB_NOT_TAKEN : BRAID_JOB_RECALLED;
  if (!braid_link_put(link, frame, NULL, 0)) die(CANNOT_START);
  braid_link_flush(link);
}

/* False: the link has failed, for the settings come first. */
static bool is_told(struct braid_link *link) {
  if (!self.pool) braid_link_fail(link, "a frame came before the settings");
  return self.pool != NULL;
}

static struct braid_job *read_job(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_message *call = braid_link_message(link, frame, body, 0);
  struct braid_job *job = call ? braid_job_new(call, NULL) : NULL;
  if (!job && errno == EBADMSG)
    braid_link_fail(link, "a job is not sound");
  else if (!job)
    refuse(link, frame->id, errno);
  if (!job && call) braid_message_unref(call);
  return job;
}

static void on_job(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  struct braid_job *job = is_told(link) ? read_job(link, frame, body) : NULL;
  if (!job) return;
  unsigned slot = (unsigned)(frame->id % self.slots);
  job->ticket = frame->id;
  job->deliver = deliver;
  atomic_store(&job->permit, &self.permits[slot]);
  pthread_mutex_lock(&self.mutex);
  self.jobs[slot] = job;
  pthread_mutex_unlock(&self.mutex);
  struct braid_pool *pool = &self.pool->pool;
  if (pool->kind->submit(pool, job) == BRAID_OK) return;
  braid_job_unref(job); /* we are about to end */
  deliver(job);
}

static void on_stop(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)body;
  if (!is_told(link)) return;
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

static void on_ping(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  braid_link_put(link, (struct braid_frame){.kind = BRAID_FRAME_PONG}, NULL, 0);
  braid_link_flush(link);
}

static void on_bye(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  (void)frame, (void)body;
  if (is_told(link)) self.pool->pool.kind->close(&self.pool->pool, false);
}

/* ---- the beginning and the end -------------------------------------------------------------------------------- */

static void on_settings(struct braid_link *link, const struct braid_frame *frame, const char *body) {
  if (self.pool || frame->id == 0 || frame->id > MOST_SLOTS || frame->value > frame->size) {
    braid_link_fail(link, "the settings are not sound");
    return;
  }
  struct braid_message *table = braid_link_message(link, frame, body, (size_t)frame->value);
  if (!table) die_short(errno);
  self.slots = (unsigned)frame->id;
  self.jobs = calloc(self.slots, sizeof *self.jobs);
  self.permits = braid_permits_map(self.slots, BRAID_WORKER_PERMITS);
  if (!self.jobs || !self.permits) die_short(errno);
  close(BRAID_WORKER_PERMITS);
  struct braid_thread_pool *pool = self.maker(body, (size_t)frame->value, table, frame->status);
  if (!pool) die_short(ENOMEM);
  pthread_mutex_lock(&self.mutex);
  self.pool = pool;
  pthread_cond_signal(&self.told);
  pthread_mutex_unlock(&self.mutex);
}

static void on_parent_gone(struct braid_link *link) {
  if (!link->fault) _exit(PARENT_IS_GONE);
  fprintf(stderr, "braid: worker process %d ends, for its connection to the parent failed: %s\n", (int)getpid(),
          link->fault);
  _exit(LINK_FAILED);
}

/* A copy that a job forks has nothing to say there; nor is it to hold the connection when we end. */
static void in_copy(void) { close(self.link.fd); }

/* The broker's thread. */
static void open_link(struct braid_errand *errand) {
  struct braid_broker *broker = braid_container(errand->waiter.home, struct braid_broker, loop);
  int error = braid_link_open(&self.link, broker, BRAID_WORKER_LINK);
  if (error) die_short(error);
  self.link.ended = on_parent_gone;
  braid_link_handle(&self.link, BRAID_FRAME_SETTINGS, on_settings);
  braid_link_handle(&self.link, BRAID_FRAME_JOB, on_job);
  braid_link_handle(&self.link, BRAID_FRAME_STOP, on_stop);
  braid_link_handle(&self.link, BRAID_FRAME_BYE, on_bye);
  braid_link_handle(&self.link, BRAID_FRAME_PING, on_ping);
  self.open = true;
  pthread_atfork(NULL, NULL, in_copy);
}

static void leave_to_parent(int number) { (void)number; }

/* Our end is the parent's business: what the terminal sends to all of its group is for the parent, and its death is
 * ours. Handlers instead of SIG_IGN, because programs that jobs start would inherit that. */
static void belong_to_parent(void) {
  struct sigaction nothing = {.sa_handler = leave_to_parent, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &nothing, NULL);
  sigaction(SIGQUIT, &nothing, NULL);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  for (int fd = BRAID_WORKER_LINK; fd <= BRAID_WORKER_PERMITS; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

struct braid_thread_pool *braid_worker_process_begin(braid_worker_process_maker *maker) {
  belong_to_parent();
  self.maker = maker;
  struct braid_broker *broker = braid_broker_enter();
  if (!broker) die_short(errno);
  braid_errand_init(&self.opener, broker, open_link);
  braid_errand_send(&self.opener);
  pthread_mutex_lock(&self.mutex);
  while (!self.pool) pthread_cond_wait(&self.told, &self.mutex);
  pthread_mutex_unlock(&self.mutex);
  return self.pool;
}

void braid_worker_process_ready(void) {
  braid_link_put(&self.link, (struct braid_frame){.kind = BRAID_FRAME_READY}, NULL, 0);
  braid_link_flush(&self.link);
}

void braid_worker_process_failed(struct braid_message *failure) {
  struct braid_frame frame = {.kind = BRAID_FRAME_FAILED};
  if (failure)
    braid_link_put_message(&self.link, frame, NULL, 0, failure);
  else
    braid_link_put(&self.link, frame, NULL, 0);
  braid_link_flush(&self.link);
}

void braid_worker_process_end(int status) {
  braid_tally_tell();
  fflush(NULL);
  if (self.open) braid_link_drain(&self.link);
  _exit(status);
}
