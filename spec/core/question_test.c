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

enum { LARGE = 1 << 20 };

static void collect(struct braid_buffer *text) {
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

/* A process that runs `body` and then sleeps until it is killed. */
static pid_t begin(void (*body)(void)) {
  check(pipe(ready) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    body();
    (void)!write(ready[1], "", 1);
    for (;;) pause();
  }
  char byte;
  check(read(ready[0], &byte, 1) == 1);
  return pid;
}

static void end(pid_t pid) {
  kill(pid, SIGKILL);
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
  if (error == EAGAIN && question->connection < 0) braid_question_ask(question);
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
    check(braid_question_ask(&questions[i]) == 0);
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
  check(braid_question_ask(&question) == 0);
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

CHECK_MAIN({"question: its answer is whole", an_answer_is_whole},
           {"question: only who was asked is heard", only_who_was_asked_is_heard},
           {"question: nobody is not asked", nobody_is_not_asked},
           {"question: other signals are none", other_signals_are_no_questions})
#else
int main(void) {
  puts("1..0");
  return 0;
}
#endif
