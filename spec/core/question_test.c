/* SPDX-License-Identifier: MIT
 * A question and its answer, between this process and a copy of it; and who is not listened to. */
#include "core/inspect/question.h"

#include "core/inspect/answer.h"
#include "check.h"

#ifdef __linux__
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "refusal.h"

enum { LARGE = 1 << 20 };

static void collect(enum braid_question_kind kind, struct braid_buffer *text) {
  (void)kind;
  char *room = braid_buffer_reserve(text, LARGE);
  check(room != NULL);
  memset(room, 'x', LARGE);
  text->size += LARGE;
}

static void on_urgent(int number, siginfo_t *info, void *context) {
  (void)number, (void)context;
  braid_answer_note(info);
}

static int ready[2];

static void leave(int number) {
  (void)number;
  _exit(0);
}

/* A process that runs `body` and then sleeps until it is told to leave. */
static pid_t begin(void (*body)(void)) {
  check(pipe(ready) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGTERM, leave);
    body();
    (void)!write(ready[1], "", 1);
    for (;;) pause();
  }
  char byte;
  check(read(ready[0], &byte, 1) == 1);
  return pid;
}

static void end(pid_t pid) {
  kill(pid, SIGTERM);
  check(waitpid(pid, NULL, 0) == pid);
  close(ready[0]);
  close(ready[1]);
}

static void answers(void) {
  struct sigaction action = {.sa_sigaction = on_urgent, .sa_flags = SA_SIGINFO};
  sigaction(SIGURG, &action, NULL);
  braid_answer_start(collect, true);
}

static void is_deaf(void) {}

/* Signals of several questions may have become one: it is asked again. */
static int look(struct braid_question *question) {
  int error = braid_question_look(question);
  if (error == EAGAIN && question->connection < 0) braid_question_ask(question, BRAID_QUESTION_DUMP);
  return error;
}

static int await(struct braid_question *question) {
  int error;
  while ((error = look(question)) == EAGAIN) poll(NULL, 0, 1);
  return error;
}

static void an_answer_is_whole(void) {
  pid_t pid = begin(answers);
  struct braid_question questions[3];
  for (int i = 0; i < 3; i++) {
    check(braid_question_open(&questions[i], pid) == 0);
    check(braid_question_ask(&questions[i], BRAID_QUESTION_DUMP) == 0);
  }
  /* All are read in turn, for it is not said in which order they are answered. */
  int errors[3] = {EAGAIN, EAGAIN, EAGAIN};
  while (errors[0] == EAGAIN || errors[1] == EAGAIN || errors[2] == EAGAIN) {
    for (int i = 0; i < 3; i++)
      if (errors[i] == EAGAIN) errors[i] = look(&questions[i]);
    poll(NULL, 0, 1);
  }
  for (int i = 0; i < 3; i++) {
    check(errors[i] == 0);
    check(questions[i].text.size == LARGE && questions[i].text.data[LARGE - 1] == 'x');
    braid_question_close(&questions[i]);
  }
  end(pid);
}

/* Its default is to be ignored; and nobody else's answer counts. */
static void only_who_was_asked_is_heard(void) {
  pid_t pid = begin(is_deaf);
  struct braid_question question;
  check(braid_question_open(&question, pid) == 0);
  check(braid_question_ask(&question, BRAID_QUESTION_DUMP) == 0);
  struct sockaddr_un address;
  socklen_t size = sizeof address;
  check(getsockname(question.listener, (struct sockaddr *)&address, &size) == 0);
  int stranger = socket(AF_UNIX, SOCK_STREAM, 0);
  check(connect(stranger, (struct sockaddr *)&address, size) == 0);
  check(write(stranger, "\1\0\0\0\0\0\0\0!", 9) == 9);
  check(braid_question_look(&question) == EAGAIN && question.connection < 0);
  close(stranger);
  check(waitpid(pid, NULL, WNOHANG) == 0);
  kill(pid, SIGKILL);
  check(await(&question) == ESRCH);
  braid_question_close(&question);
  end(pid);
}

static void nobody_is_not_asked(void) {
  pid_t pid = begin(is_deaf);
  end(pid);
  struct braid_question question;
  check(braid_question_open(&question, pid) == ESRCH);
  braid_question_close(&question);
}

/* Signals of others are no questions, whoever sends them, and however. */
static void other_signals_are_no_questions(void) {
  siginfo_t poke = {.si_signo = SIGURG, .si_code = SI_TKILL}, other = {.si_signo = SIGURG, .si_code = SI_QUEUE};
  other.si_value.sival_int = BRAID_QUESTION_MARK ^ (1 << 20);
  poke.si_value.sival_int = BRAID_QUESTION_MARK;
  check(!braid_answer_note(&poke));
  check(!braid_answer_note(&other));
}

/* A made-up one costs nothing: nobody can be reached, or somebody else than who has asked. */
static void made_up_questions_are_not_answered(void) {
  pid_t pid = begin(answers);
  struct braid_question question;
  check(braid_question_open(&question, pid) == 0);
  for (int i = 0; i < 3; i++) {
    sigqueue(pid, SIGURG, (union sigval){.sival_int = BRAID_QUESTION_MARK | i});
    poll(NULL, 0, 2);
  }
  check(braid_question_ask(&question, BRAID_QUESTION_DUMP) == 0 && await(&question) == 0);
  braid_question_close(&question);
  end(pid);
}

static void the_first_of_many_are_noted(void) {
  siginfo_t info = {.si_signo = SIGURG, .si_code = SI_QUEUE};
  for (int i = 0; i < 40; i++) { /* more than there is room for; each twice */
    info.si_value.sival_int = BRAID_QUESTION_MARK | (i / 2 + 1);
    check(braid_answer_note(&info));
  }
}

/* This process asks itself, and answers as it likes. */
static int answered_by(const char *bytes, size_t size, bool closes) {
  struct braid_question question;
  struct sockaddr_un address;
  socklen_t length = sizeof address;
  signal(SIGURG, SIG_IGN);
  check(braid_question_open(&question, getpid()) == 0 && braid_question_ask(&question, BRAID_QUESTION_DUMP) == 0);
  check(getsockname(question.listener, (struct sockaddr *)&address, &length) == 0);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  check(connect(fd, (struct sockaddr *)&address, length) == 0);
  check(write(fd, bytes, 4) == 4 && braid_question_look(&question) == EAGAIN);
  check(write(fd, bytes + 4, size - 4) == (ssize_t)(size - 4));
  if (closes) close(fd);
  int error = braid_question_look(&question);
  check(error || (question.text.size == 1 && question.text.data[0] == '!'));
  braid_question_close(&question);
  if (!closes) close(fd);
  return error;
}

static void answers_are_not_believed(void) {
  check(answered_by("\1\0\0\0\0\0\0\0!", 9, true) == 0);
  check(answered_by("\2\0\0\0\0\0\0\0!", 9, false) == EAGAIN);
  check(answered_by("\2\0\0\0\0\0\0\0!", 9, true) == ESRCH);     /* it ended meanwhile */
  check(answered_by("\0\0\0\0\0\0\0\0!", 9, false) == EMSGSIZE); /* more than it says */
  check(answered_by("\0\0\0\0\0\0\0\x7f!", 9, false) == EMSGSIZE);
}

static int ask_of(int *looked) {
  struct braid_question question;
  int error = braid_question_open(&question, getpid());
  if (!error) error = braid_question_ask(&question, BRAID_QUESTION_DUMP);
  if (looked) *looked = braid_question_look(&question);
  braid_question_close(&question);
  return error;
}

static void without_files(void) { check(ask_of(NULL) == EMFILE); }
static void without_permission(void) { check(ask_of(NULL) == EPERM); }

static void cannot_accept(void) {
  int looked;
  check(ask_of(&looked) == 0 && looked == EMFILE);
}

static void refusals_are_told(void) {
  signal(SIGURG, SIG_IGN);
  refuse_call(SYS_pidfd_open, EMFILE, without_files);
  refuse_call(SYS_socket, EMFILE, without_files);
  refuse_call(SYS_listen, EPERM, without_permission);
  refuse_call(SYS_pidfd_send_signal, EPERM, without_permission);
  refuse_call(SYS_accept4, EMFILE, cannot_accept);
}

CHECK_MAIN({"question: its answer is whole", an_answer_is_whole},
           {"question: only who was asked is heard", only_who_was_asked_is_heard},
           {"question: nobody is not asked", nobody_is_not_asked},
           {"question: other signals are none", other_signals_are_no_questions},
           {"question: made-up ones are not answered", made_up_questions_are_not_answered},
           {"question: the first of many are noted", the_first_of_many_are_noted},
           {"question: answers are not believed", answers_are_not_believed},
           {"question: refusals are told", refusals_are_told})
#else
int main(void) {
  puts("1..0");
  return 0;
}
#endif
