/* SPDX-License-Identifier: MIT
 * The folder from which relative paths of modules are meant. */
#ifndef BRAID_LFOLDER_H
#define BRAID_LFOLDER_H

/* The one in which this process was when the first state loaded braid; NULL when the system did not tell. Any thread;
 * does not block. */
const char *folder_at_start(void);

#endif
