/* SPDX-License-Identifier: MIT
 * Suppresses SIGPIPE while libcurl runs. TLS libraries write without MSG_NOSIGNAL. libcurl must not touch signals in a
 * program with threads, so it does not prevent that. The signal goes to the thread that wrote. Nothing blocks. */
#ifndef BRAID_BROKEN_PIPE_H
#define BRAID_BROKEN_PIPE_H

#include "core/base/thread.h"

/* Sets a handler for SIGPIPE, unless the program has one: it ignores the signal between the two calls below; elsewhere
 * the signal has its default effect. To be called once. Any thread. */
void braid_broken_pipe_prepare(void);

/* To be called before and after a call into libcurl. Pairs may be nested. Any thread; both affect that thread only. */
void braid_broken_pipe_ignore(void);
void braid_broken_pipe_heed(void);

#endif
