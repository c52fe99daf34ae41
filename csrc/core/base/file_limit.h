/* SPDX-License-Identifier: MIT
 * The limit for the size of files (RLIMIT_FSIZE, ulimit -f). */
#ifndef BRAID_FILE_LIMIT_H
#define BRAID_FILE_LIMIT_H

/* From here on what goes beyond the limit is an error for who does it, EFBIG, and not the end of the process: that is
 * what SIGXFSZ does by default. Who has set another handler, or ignores the signal, keeps that; programs that are
 * started have the default. Any thread; may be called again. */
void braid_file_limit_prepare(void);

#endif
