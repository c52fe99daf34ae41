/* SPDX-License-Identifier: MIT
 * Files without a name, for memory that processes share. */
#ifndef BRAID_NAMELESS_FILE_H
#define BRAID_NAMELESS_FILE_H

#include "core/base/base.h"

/* Opens an empty file for reading and writing, close-on-exec. Returns -1 and sets errno if that fails. Any thread; does
 * not block. */
int braid_nameless_file_open(void);

#ifdef __linux__
/* Whether such files are memfds, which can be sealed. Any thread; does not block. */
bool braid_nameless_file_is_memfd(void);
#endif

#endif
