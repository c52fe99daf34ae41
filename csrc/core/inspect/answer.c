/* SPDX-License-Identifier: MIT
 * The signal handlers use only atomics and a semaphore, which are safe there. A handler notes a question as the asker's
 * process id and the signal's value. Any process that may signal us can forge both. So an answer goes only to a socket
 * that was made by the process with that id, and only if it runs as root or as our own user. */
#include "core/inspect/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/base/thread.h"
#include "core/inspect/poke.h"
#include "core/inspect/question.h"

enum { MOST = 16 }; /* questions at a time; further ones are ignored */

static struct {
  _Atomic(sem_t *) wakeup; /* NULL: it is not there yet */
  sem_t own;               /* which that is, where a semaphore needs no name */
  braid_answer_collector *collect;
  void (*_Atomic begin_profile)(int connection); /* NULL: nobody can */
  atomic_bool asked;
  atomic_bool dump;
  _Atomic uint64_t questions[MOST]; /* 0: none */
} self;

/* ---- in handlers ---------------------------------------------------------------------------------------------- */

static void ring(void) {
  int saved = errno;
  sem_t *wakeup = atomic_load(&self.wakeup);
  if (wakeup) sem_post(wakeup);
  errno = saved;
}

bool braid_answer_note(const siginfo_t *info) {
  if (info->si_code != SI_QUEUE) return false;
  uint32_t value = (uint32_t)info->si_value.sival_int;
  if (value - BRAID_QUESTION_MARK >= BRAID_QUESTION_KINDS * BRAID_QUESTION_KIND) return false;
  uint64_t question = (uint64_t)(uint32_t)info->si_pid << 32 | value;
  for (int i = 0; i < MOST; i++) {
    uint64_t there = 0;
    if (!atomic_compare_exchange_strong(&self.questions[i], &there, question) && there != question) continue;
    ring();
    break;
  }
  return true;
}

void braid_answer_dump(void) {
  atomic_store(&self.dump, true);
  ring();
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

static void put(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t count = write(fd, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes += count;
    size -= (size_t)count;
  }
}

#ifdef __linux__

/* Connects to the asker; pid 0: to whichever process. -1 when it is gone, or is not allowed to ask. */
static int reach(uint32_t pid, unsigned number) {
  struct sockaddr_un address;
  struct ucred peer;
  socklen_t size = braid_question_address(&address, number);
  struct timeval patience = {.tv_sec = 1};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* an asker that does not read delays others */
  if (connect(fd, (struct sockaddr *)&address, size) == 0 && braid_question_peer(fd, &peer) == 0 &&
      (pid == 0 || (uint32_t)peer.pid == pid) && (peer.uid == 0 || peer.uid == geteuid()))
    return fd;
  close(fd);
  return -1;
}

/* When the asker is gone, write fails with EPIPE: this thread blocks SIGPIPE. */
static void send_answer(int fd, const struct braid_buffer *text) {
  uint64_t size = text->size;
  put(fd, (const char *)&size, sizeof size);
  put(fd, text->data, text->size);
  close(fd);
}

#else

static int reach(uint32_t pid, unsigned number) {
  (void)pid, (void)number;
  return -1;
}

static void send_answer(int fd, const struct braid_buffer *text) { (void)fd, (void)text; }

#endif

int braid_answer_reach(unsigned number) { return reach(0, number); }

static void begin_profile(int connection) {
  void (*begin)(int) = atomic_load(&self.begin_profile);
  if (begin)
    begin(connection);
  else
    close(connection);
}

/* Connects before the answers are collected: so the asker knows at once that an answer will come. */
static int take_questions(int connections[MOST], enum braid_question_kind kinds[MOST]) {
  int count = 0;
  for (int i = 0; i < MOST; i++) {
    uint64_t question = atomic_exchange(&self.questions[i], 0);
    int connection = question ? reach((uint32_t)(question >> 32), (unsigned)question) : -1;
    if (connection < 0) continue;
    enum braid_question_kind kind = ((uint32_t)question - BRAID_QUESTION_MARK) / BRAID_QUESTION_KIND;
    if (kind == BRAID_QUESTION_PROFILE) {
      begin_profile(connection);
      continue;
    }
    kinds[count] = kind;
    connections[count++] = connection;
  }
  return count;
}

static void answer(void) {
  int connections[MOST];
  enum braid_question_kind kinds[MOST];
  int count = take_questions(connections, kinds);
  for (int kind = 0; kind < BRAID_QUESTION_KINDS; kind++) {
    bool dump = kind == BRAID_QUESTION_DUMP && atomic_exchange(&self.dump, false), asked = dump;
    for (int i = 0; i < count; i++) asked = asked || (int)kinds[i] == kind;
    if (!asked) continue;
    struct braid_buffer text;
    braid_buffer_init(&text);
    self.collect((enum braid_question_kind)kind, &text);
    if (dump) put(STDERR_FILENO, text.data, text.size);
    for (int i = 0; i < count; i++)
      if ((int)kinds[i] == kind) send_answer(connections[i], &text);
    braid_buffer_term(&text);
  }
}

/* ---- the thread ----------------------------------------------------------------------------------------------- */

static void *run(void *ignored) {
  (void)ignored;
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGURG); /* in case the host blocks it in all its threads */
  if (atomic_load(&self.asked)) pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  for (;;) {
    while (sem_wait(atomic_load(&self.wakeup)) && errno == EINTR) {
    }
    answer();
  }
  return NULL;
}

static sem_t *make_wakeup(void) {
#ifdef __APPLE__ /* it has only named semaphores */
  char name[32];
  snprintf(name, sizeof name, "/braid-%d", (int)getpid());
  sem_t *named = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  if (named == SEM_FAILED) return NULL;
  sem_unlink(name);
  return named;
#else
  return sem_init(&self.own, 0, 0) ? NULL : &self.own;
#endif
}

void braid_answer_start(braid_answer_collector *collect, bool asked) {
  self.collect = collect;
  atomic_store(&self.asked, asked);
  atomic_store(&self.wakeup, make_wakeup());
  pthread_t thread;
  if (!atomic_load(&self.wakeup) || braid_thread_start(&thread, run, NULL)) return;
#ifdef __linux__ /* set here, so that an asker finds the thread as soon as this function returns */
  pthread_setname_np(thread, asked ? BRAID_ANSWER_THREAD : "braid-dump");
#endif
  pthread_detach(thread);
}

/* ---- SIGURG --------------------------------------------------------------------------------------------------- */

static void on_signal(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  int saved = errno;
  if (!braid_answer_note(info)) braid_poke_take(info);
  errno = saved;
}

/* Unless the host has a handler of its own. */
static bool take_signal(void) {
  struct sigaction now, ours = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(BRAID_POKE_SIGNAL, NULL, &now);
  bool host = (now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN);
  return !host && sigaction(BRAID_POKE_SIGNAL, &ours, NULL) == 0;
}

void braid_answer_open(braid_answer_collector *collect) {
  braid_thread_pin();
  braid_answer_start(collect, take_signal());
}

void braid_answer_profiles(void (*begin)(int connection)) { atomic_store(&self.begin_profile, begin); }

bool braid_answer_is_asked(void) { return atomic_load(&self.asked); }
