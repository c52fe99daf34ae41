/* SPDX-License-Identifier: MIT
 * What other processes, and SIGQUIT, are answered. */
#ifndef BRAID_INSPECT_H
#define BRAID_INSPECT_H

/* From the first call on other processes are answered what all states do, and SIGQUIT; and states can be poked. Any
 * thread; does not block. */
void braid_inspect_open(void);

#endif
