/* SPDX-License-Identifier: MIT
 * The folder to which relative paths of modules refer. */
#ifndef BRAID_LFOLDER_H
#define BRAID_LFOLDER_H

/* The current folder of the process when the first state loaded braid; NULL if the system did not tell it. Any thread;
 * does not block. */
const char *folder_at_start(void);

#endif
