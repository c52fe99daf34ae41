/* SPDX-License-Identifier: MIT
 * Asks another process what it does; this is the asker's side. The question is SIGURG with a value. It is sent through
 * a pidfd, so it cannot reach a different process that got the same id. By default processes ignore this signal. The
 * answer comes through an abstract Unix socket of ours. The kernel gives it a number, which is the signal's value. We
 * read only what the asked process sends. Nothing here blocks, and nothing remains when either process is killed. One
 * thread at a time. */
#ifndef BRAID_QUESTION_H
#define BRAID_QUESTION_H

#include <sys/types.h>

#include "core/base/buffer.h"

/* What is asked for. */
enum braid_question_kind {
  BRAID_QUESTION_DUMP,    /* a text for people */
  BRAID_QUESTION_WAITS,   /* what the tasks wait for: records (wait_record.h) */
  BRAID_QUESTION_COUNTS,  /* numbers, for `braid top`: lines of text */
  BRAID_QUESTION_PROFILE, /* a profile, as long as the connection is open: see sampler.h */
  BRAID_QUESTION_KINDS
};

enum {
  BRAID_QUESTION_MARK = 0x6b700000, /* the signal's value is this, plus the kind, plus the socket's number */
  BRAID_QUESTION_KIND = 0x100000,   /* times the kind */
  BRAID_QUESTION_NUMBERS = 0xfffff
};

struct braid_question {
  pid_t pid;
  int process;     /* its pidfd; here and below -1: none */
  int listener;    /* the socket at which we wait for the answer's connection */
  unsigned number; /* of the listener */
  int connection;  /* the answer's connection */
  struct braid_buffer text;
};

/* Opens the process. 0 or an error number; ESRCH: there is no such process, ENOSYS: the system cannot do this. */
int braid_question_open(struct braid_question *question, pid_t pid);

/* Sends the signal. 0 or an error number. Repeat it while no answer has come: of two pending questions the system may
 * keep only one. */
int braid_question_ask(struct braid_question *question, enum braid_question_kind kind);

/* Sends the signal that asks for a profile, which goes to the socket with this number of ours. 0 or an error number. */
int braid_question_profile(struct braid_question *question, unsigned number);

/* Reads what has come of the answer. 0: all of the text; EAGAIN: not all yet (`connection` tells whether it has begun);
 * ESRCH: the process has ended; or another error number. */
int braid_question_look(struct braid_question *question);

void braid_question_close(struct braid_question *question);

#ifdef __linux__
#include <sys/socket.h>
#include <sys/un.h>

/* The address of the socket with this number. Returns its size. */
socklen_t braid_question_address(struct sockaddr_un *address, unsigned number);

/* The credentials of the process at the other end of a connection. 0 or an error number. */
int braid_question_peer(int connection, struct ucred *peer);
#endif

#endif
