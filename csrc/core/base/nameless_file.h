/* SPDX-License-Identifier: MIT
 * A file without a name, for memory that processes share. */
#ifndef BRAID_NAMELESS_FILE_H
#define BRAID_NAMELESS_FILE_H

#include "core/base/base.h"

/* An empty one, to be read and written, which programs that are started do not get; -1 and errno. Any thread; does
 * not block. */
int braid_nameless_file_open(void);

#ifdef __linux__
/* Whether it is a memfd, and so can be sealed. Any thread; does not block. */
bool braid_nameless_file_is_memfd(void);
#endif

#endif
