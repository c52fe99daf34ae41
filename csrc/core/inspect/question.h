/* SPDX-License-Identifier: MIT
 * A process asks another one what it does: the side of the one that asks. The question is SIGURG with a value, sent
 * through a pidfd, so that it meets that process or none; by default the signal is ignored. The answer comes over a
 * socket of ours that has no name in the file system: the system gives it a number, which is the signal's value. Only
 * what the asked process itself sends is read. Nothing here blocks, and nothing is left behind when one of the two is
 * killed. One thread at a time. */
#ifndef BRAID_QUESTION_H
#define BRAID_QUESTION_H

#include <sys/types.h>

#include "core/base/buffer.h"

enum {
  BRAID_QUESTION_MARK = 0x6b700000, /* the value of the signal: this, and the number of the socket */
  BRAID_QUESTION_NUMBERS = 0xfffff
};

struct braid_question {
  pid_t pid;
  int process;     /* its pidfd; -1: none, as with the others */
  int listener;    /* where it is to answer, until it does */
  unsigned number; /* of that */
  int connection;  /* on which it does */
  struct braid_buffer text;
};

/* Finds the process. 0 or an error number: ESRCH when there is none, ENOSYS where the system cannot do this. */
int braid_question_open(struct braid_question *question, pid_t pid);

/* Sends the signal. 0 or an error number. While there is no answer to be sent again from time to time: of two questions
 * at once the system may keep one. */
int braid_question_ask(struct braid_question *question);

/* What has come of it: EAGAIN: not all yet (connection tells whether something has), 0: all of the text, ESRCH: the
 * process has ended, or another error number. */
int braid_question_look(struct braid_question *question);

void braid_question_close(struct braid_question *question);

#ifdef __linux__
#include <sys/socket.h>
#include <sys/un.h>

/* The address of the socket with this number. */
socklen_t braid_question_address(struct sockaddr_un *address, unsigned number);

/* Who is at the other end of a connection, or made the socket that it was made to: 0 or an error number. */
int braid_question_peer(int connection, struct ucred *peer);
#endif

#endif
