/* SPDX-License-Identifier: MIT
 * Pseudoterminals, for programs that want a terminal. Any thread; nothing blocks. */
#ifndef BRAID_TERMINAL_H
#define BRAID_TERMINAL_H

enum {
  BRAID_TERMINAL_PATH = 128 /* size of a path */
};

/* Opens a pseudoterminal of that size. Returns our side, close-on-exec, or a negated error number. `path`: the side of
 * the program. */
int braid_terminal_open(int rows, int columns, char path[BRAID_TERMINAL_PATH]);

#endif
