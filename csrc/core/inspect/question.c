/* SPDX-License-Identifier: MIT
 * An answer is its size in eight bytes, and then the text. */
#include "core/inspect/question.h"

#include <errno.h>

#ifdef __linux__
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEAD = sizeof(uint64_t), LARGEST = 64 << 20 };

socklen_t braid_question_address(struct sockaddr_un *address, unsigned number) {
  enum { DIGITS = 5 }; /* unix(7): autobind makes such names; they begin with a zero byte */
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  snprintf(address->sun_path + 1, DIGITS + 1, "%05x", number & BRAID_QUESTION_NUMBERS);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + DIGITS);
}

int braid_question_peer(int connection, struct ucred *peer) {
  socklen_t size = sizeof *peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, peer, &size) ? errno : 0;
}

/* The kernel chooses a free number (autobind), so no other process can have taken it. */
static int listen_somewhere(struct braid_question *question) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t size = sizeof address;
  question->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (question->listener < 0) return errno;
  if (bind(question->listener, (struct sockaddr *)&address, sizeof(sa_family_t)) ||
      listen(question->listener, SOMAXCONN) || getsockname(question->listener, (struct sockaddr *)&address, &size))
    return errno;
  char digits[sizeof address.sun_path] = "";
  memcpy(digits, address.sun_path + 1, size - offsetof(struct sockaddr_un, sun_path) - 1);
  question->number = (unsigned)strtoul(digits, NULL, 16);
  return question->number > BRAID_QUESTION_NUMBERS ? EOVERFLOW : 0;
}

int braid_question_open(struct braid_question *question, pid_t pid) {
  *question = (struct braid_question){.pid = pid, .listener = -1, .connection = -1};
  braid_buffer_init(&question->text);
  question->process = (int)syscall(SYS_pidfd_open, pid, 0);
  return question->process < 0 ? errno : 0;
}

static int send_signal(const struct braid_question *question, enum braid_question_kind kind, unsigned number) {
  siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_int = (BRAID_QUESTION_MARK + (int)kind * BRAID_QUESTION_KIND) | (int)number;
  return syscall(SYS_pidfd_send_signal, question->process, SIGURG, &info, 0) ? errno : 0;
}

int braid_question_ask(struct braid_question *question, enum braid_question_kind kind) {
  int error = question->listener < 0 ? listen_somewhere(question) : 0;
  return error ? error : send_signal(question, kind, question->number);
}

int braid_question_profile(struct braid_question *question, unsigned number) {
  return send_signal(question, BRAID_QUESTION_PROFILE, number & BRAID_QUESTION_NUMBERS);
}

/* ESRCH when the process has ended: its pidfd is readable then. Else EAGAIN. */
static int unless_ended(const struct braid_question *question) {
  struct pollfd process = {.fd = question->process, .events = POLLIN};
  return poll(&process, 1, 0) > 0 ? ESRCH : EAGAIN;
}

static void close_one(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Any process may connect. Connections from any but the asked process are closed. */
static int await_connection(struct braid_question *question) {
  struct ucred peer;
  for (int connection; (connection = accept4(question->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;
       close(connection)) {
    if (braid_question_peer(connection, &peer) || peer.pid != question->pid) continue;
    question->connection = connection;
    close_one(&question->listener);
    return 0;
  }
  return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? unless_ended(question) : errno;
}

/* 0 when the text is complete; removes the size from its beginning. */
static int finish(struct braid_buffer *text) {
  uint64_t size;
  if (text->size < HEAD) return EAGAIN;
  memcpy(&size, text->data, HEAD);
  if (size > LARGEST || text->size > HEAD + size) return EMSGSIZE;
  if (text->size < HEAD + size) return EAGAIN;
  memmove(text->data, text->data + HEAD, size);
  text->size = size;
  return 0;
}

int braid_question_look(struct braid_question *question) {
  enum { PART = 1 << 16 };
  int error = question->connection < 0 ? await_connection(question) : 0;
  while (!error) {
    char *room = braid_buffer_reserve(&question->text, PART);
    if (!room) return ENOMEM;
    ssize_t count = recv(question->connection, room, PART, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? EAGAIN : errno;
    if (count == 0) return ESRCH;
    question->text.size += (size_t)count;
    int state = finish(&question->text);
    if (state != EAGAIN) return state;
  }
  return error;
}

void braid_question_close(struct braid_question *question) {
  close_one(&question->process);
  close_one(&question->listener);
  close_one(&question->connection);
  braid_buffer_term(&question->text);
}

#else

int braid_question_open(struct braid_question *question, pid_t pid) {
  *question = (struct braid_question){.pid = pid, .process = -1, .listener = -1, .connection = -1};
  return ENOSYS;
}

int braid_question_ask(struct braid_question *question, enum braid_question_kind kind) {
  (void)question, (void)kind;
  return ENOSYS;
}

int braid_question_profile(struct braid_question *question, unsigned number) {
  (void)question, (void)number;
  return ENOSYS;
}

int braid_question_look(struct braid_question *question) {
  (void)question;
  return ENOSYS;
}

void braid_question_close(struct braid_question *question) { (void)question; }

#endif
