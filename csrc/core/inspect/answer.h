/* SPDX-License-Identifier: MIT
 * The side of the process that is asked (see question.h), and of the dump that SIGQUIT wants: a thread that sleeps
 * until a signal's handler has noted something. So an answer needs neither the loop of any state nor its Lua, and holds
 * none of them. One for the process. */
#ifndef BRAID_ANSWER_H
#define BRAID_ANSWER_H

#include <signal.h>

#include "core/base/buffer.h"

/* The name of the thread where questions reach it: who asks looks for that. */
#define BRAID_ANSWER_THREAD "braid-answer"

/* Adds what the process does to the text. Called on the thread; may take a moment. */
typedef void braid_answer_collector(struct braid_buffer *text);

/* Starts the thread; without it nothing is answered. With `asked` SIGURG has a handler that calls braid_answer_note.
 * Once. */
void braid_answer_start(braid_answer_collector *collect, bool asked);

/* From the first call on the process answers, with what its states do: to other processes unless the host has a handler
 * of its own for SIGURG. Any thread. */
void braid_answer_prepare(void);

/* In a handler: whether the signal is a question; it will be answered then. */
bool braid_answer_note(const siginfo_t *info);

/* In a handler: the answer shall go to the standard error stream. */
void braid_answer_dump(void);

#endif
