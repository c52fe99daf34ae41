/* SPDX-License-Identifier: MIT
 * SIGPIPE while libcurl works. TLS libraries write without MSG_NOSIGNAL, and libcurl, told to leave signals alone as it
 * must be where there are threads, lets them. The signal comes to the thread that wrote. Nothing blocks. */
#ifndef BRAID_BROKEN_PIPE_H
#define BRAID_BROKEN_PIPE_H

#include "core/base/thread.h"

/* From now on the signal means nothing between the two calls below, and elsewhere what it did before. A handler that is
 * there stays. Once. */
void braid_broken_pipe_prepare(void);

/* The calling thread lets libcurl work; it has worked. One pair may stand inside another. */
void braid_broken_pipe_ignore(void);
void braid_broken_pipe_heed(void);

#endif
