/* SPDX-License-Identifier: MIT
 * The bytes of arrays in files, and the checksum of zip archives. They block for the file, so they run as kernels. */
#ifndef BRAID_STORAGE_H
#define BRAID_STORAGE_H

#include "core/base/buffer.h"
#include "core/base/status.h"
#include "core/work/crew.h"

struct braid_storage {
  int fd;
  char *data;
  size_t size;
  int64_t offset; /* in the file */
  bool write;
  int memory;       /* the descriptor of the shared memory that `data` is in; -1: it is other memory */
  int64_t place;    /* where it is there */
  const char *from; /* within: the bytes, mapped; NULL: they are read */
  atomic_int error; /* errno; EIO where the file ends before */
};

/* The kernel: reads or writes the bytes, several pieces at the same time; `arguments` is a braid_storage. */
void braid_storage_run(struct braid_team *team, void *arguments);

/* The kernel: waits until the pages of a mapped file that have these bytes are on the disk. `fd`, `offset` and `write`
 * are not used. */
void braid_storage_sync(struct braid_team *team, void *arguments);

/* Compressed bytes of a zip archive (deflate), and what of them is wanted: `size` bytes after the first `skip`. */
struct braid_inflation {
  const char *from;
  size_t from_size;
  char *to;
  size_t skip, size;
  bool whole; /* nothing may come after them */
  enum braid_inflated {
    BRAID_INFLATED,
    BRAID_INFLATED_NOT, /* the bytes are damaged, or fewer or more than expected */
    BRAID_INFLATED_NO_ZLIB,
  } result;
  enum braid_status status;
};

/* The kernel; `arguments` is a braid_inflation. */
void braid_storage_inflate(struct braid_team *team, void *arguments);

/* Bytes to be compressed for a zip archive: a head, and more. */
struct braid_deflation {
  const char *head, *data;
  size_t head_size, size;
  struct braid_buffer out; /* as gzip's: its header, what belongs into the archive, and its trailer. Owned */
  bool missing;            /* there is no zlib */
  enum braid_status status;
};
enum { BRAID_GZIP_HEADER = 10, BRAID_GZIP_TRAILER = 8 };

/* The kernel; `arguments` is a braid_deflation. */
void braid_storage_deflate(struct braid_team *team, void *arguments);

/* CRC-32 (ISO 3309, as zip has it) of more bytes, after `crc` (0 at first). Any thread; does not block. */
uint32_t braid_storage_crc(uint32_t crc, const void *data, size_t size);

#endif
