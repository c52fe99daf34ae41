/* SPDX-License-Identifier: MIT
 * Opens, reads and writes files. Each function is the `act` of a braid_file_work; it blocks. */
#ifndef BRAID_CONTENT_H
#define BRAID_CONTENT_H

#include "core/file/file_work.h"

/* path, flags, mode -> file, facts. Never waits for the other end of a FIFO: it opens non-blocking. */
void braid_content_open(struct braid_file_work *work);

/* path -> data: all of a regular file. Another kind of file stays open: -> file, facts. */
void braid_content_load(struct braid_file_work *work);

/* path, flags, mode, input -> count. Another kind of file stays open, and nothing is written: -> file, facts. */
void braid_content_store(struct braid_file_work *work);

/* path, mode, input -> count: a new file, which then takes the place of the old one. With `flags` 0 it is complete on
 * the disk before. */
void braid_content_replace(struct braid_file_work *work);

/* file, offset, size -> data: fewer bytes only at the end. */
void braid_content_read(struct braid_file_work *work);

/* file, offset, input -> count. The offset means nothing for a file that was opened with O_APPEND. */
void braid_content_write(struct braid_file_work *work);

void braid_content_close(struct braid_file_work *work);    /* file */
void braid_content_sync(struct braid_file_work *work);     /* file; flags: the data alone */
void braid_content_truncate(struct braid_file_work *work); /* file, size */
void braid_content_look(struct braid_file_work *work);     /* file -> facts */
void braid_content_lock(struct braid_file_work *work);     /* file, flags of flock */

/* path, other -> count: the bytes copied. */
void braid_content_copy(struct braid_file_work *work);

/* Writes work->input from `count` on. Returns 0 or an error number; ECANCELED: the work was abandoned. */
int braid_content_write_all(struct braid_file_work *work, int fd, int64_t offset);

#endif
