/* SPDX-License-Identifier: MIT
 * The limit for the size of files (RLIMIT_FSIZE, ulimit -f). */
#ifndef BRAID_FILE_LIMIT_H
#define BRAID_FILE_LIMIT_H

/* After this a write beyond the limit fails with EFBIG. Without it SIGXFSZ ends the process, which is the default. A
 * host that has its own handler, or ignores the signal, keeps that. Started programs get the default again. Any thread;
 * may be called again. */
void braid_file_limit_prepare(void);

#endif
