/* SPDX-License-Identifier: MIT
 * Names in folders. Each function is the `act` of a braid_file_work; it blocks. */
#ifndef BRAID_FOLDER_H
#define BRAID_FOLDER_H

#include "core/file/file_work.h"

/* path -> data: the entries, sorted by their bytes. Each is a letter for its kind, its name and a zero byte. */
void braid_folder_list(struct braid_file_work *work);

/* The letter for a kind of file: f regular, d folder, l symbolic link, p FIFO, s socket, c and b devices, ? unknown. */
char braid_folder_letter(mode_t mode);

void braid_folder_make(struct braid_file_work *work);   /* path, mode; flags: with its parents, and it may be there */
void braid_folder_remove(struct braid_file_work *work); /* path; flags: with all that is in it -> count of names */
void braid_folder_rename(struct braid_file_work *work); /* path, other */
void braid_folder_look(struct braid_file_work *work);   /* path; flags: do not follow a link -> facts */

/* path: a template that ends in XXXXXX; flags: a folder -> path; of a file also `file`, open for reading and writing.
 */
void braid_folder_temporary(struct braid_file_work *work);

/* file: of inotify, path, flags: the events -> count: the number of the watch. */
void braid_folder_watch(struct braid_file_work *work);

#endif
