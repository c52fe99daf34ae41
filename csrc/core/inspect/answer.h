/* SPDX-License-Identifier: MIT
 * Answers the questions of other processes (see question.h), and writes the dump that SIGQUIT asks for. One thread of
 * the process does both. It sleeps until a signal handler has noted something. So an answer needs no state's loop and
 * no Lua, and it stops no state. */
#ifndef BRAID_ANSWER_H
#define BRAID_ANSWER_H

#include <signal.h>

#include "core/base/buffer.h"
#include "core/inspect/question.h"

/* The thread's name when questions can reach it; askers look for this name. */
#define BRAID_ANSWER_THREAD "braid-answer"

/* Appends the answer to a question of this kind. The thread calls it; it may take a moment. */
typedef void braid_answer_collector(enum braid_question_kind kind, struct braid_buffer *text);

/* Starts the thread; if that fails, nothing is answered. `asked`: SIGURG has a handler that calls braid_answer_note.
 * Call it once. */
void braid_answer_start(braid_answer_collector *collect, bool asked);

/* The same, and takes SIGURG, for questions and pokes, unless the host has a handler of its own for it: then nobody
 * else is answered than SIGQUIT. This library stays mapped. Once. */
void braid_answer_open(braid_answer_collector *collect);

/* Has the thread pass connections of processes that want a profile to this function, which takes them over and does not
 * block. */
void braid_answer_profiles(void (*begin)(int connection));

/* Connects to the socket with this number (see question.h) of a process of our own user or of root. -1: that cannot be.
 * Blocks for a moment. */
int braid_answer_reach(unsigned number);

/* Whether SIGURG has our handler. Any thread. */
bool braid_answer_is_asked(void);

/* In a signal handler: true when the signal is a question, which will then be answered. */
bool braid_answer_note(const siginfo_t *info);

/* In a signal handler: requests a dump to stderr. */
void braid_answer_dump(void);

#endif
