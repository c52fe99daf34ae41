/* SPDX-License-Identifier: MIT
 * How shared objects cross from process to process: as stubs, and arrays as the memory that they are. */
#ifndef BRAID_PASSPORT_H
#define BRAID_PASSPORT_H

/* Before the first link is opened. Any thread; may be called again. */
void braid_passport_use(void);

#endif
