/* SPDX-License-Identifier: MIT
 * The bytes of arrays in files, and the checksum of zip archives. They block for the file, so they run as kernels. */
#ifndef BRAID_STORAGE_H
#define BRAID_STORAGE_H

#include "core/work/crew.h"

struct braid_storage {
  int fd;
  char *data;
  size_t size;
  int64_t offset; /* in the file */
  bool write;
  atomic_int error; /* errno; EIO where the file ends before */
};

/* The kernel: reads or writes the bytes, several pieces at the same time; `arguments` is a braid_storage. */
void braid_storage_run(struct braid_team *team, void *arguments);

/* CRC-32 (ISO 3309, as zip has it) of more bytes, after `crc` (0 at first). Any thread; does not block. */
uint32_t braid_storage_crc(uint32_t crc, const void *data, size_t size);

#endif
