/* SPDX-License-Identifier: MIT
 * See the header. The checksum reads eight bytes at a time through eight tables (slicing by 8, Kounavis and Berry). */
#include "kernels/storage.h"

#include <errno.h>
#include <unistd.h>

enum { PIECE = 4 << 20 };

static void move_piece(void *context, size_t first, size_t last) {
  struct braid_storage *this = context;
  while (first < last && !atomic_load(&this->error)) {
    char *data = this->data + first;
    off_t place = (off_t)this->offset + (off_t)first;
    ssize_t moved =
        this->write ? pwrite(this->fd, data, last - first, place) : pread(this->fd, data, last - first, place);
    if (moved > 0)
      first += (size_t)moved;
    else if (moved == 0 || errno != EINTR)
      atomic_store(&this->error, moved == 0 ? EIO : errno);
  }
}

void braid_storage_run(struct braid_team *team, void *arguments) {
  struct braid_storage *this = arguments;
  braid_team_for(team, this->size, PIECE, move_piece, this);
}

struct crc_tables {
  uint32_t of[8][256];
};

static void fill_tables(struct crc_tables *tables) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    tables->of[0][i] = crc;
  }
  for (int slice = 1; slice < 8; slice++)
    for (uint32_t i = 0; i < 256; i++)
      tables->of[slice][i] = tables->of[slice - 1][i] >> 8 ^ tables->of[0][tables->of[slice - 1][i] & 255];
}

uint32_t braid_storage_crc(uint32_t crc, const void *data, size_t size) {
  struct crc_tables tables; /* 8 KiB, filled in some microseconds: a shared one would need a lock */
  fill_tables(&tables);
  const unsigned char *at = data;
  crc = ~crc;
  for (; size >= 8; at += 8, size -= 8) {
    uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
    crc = tables.of[7][low & 255] ^ tables.of[6][low >> 8 & 255] ^ tables.of[5][low >> 16 & 255] ^
          tables.of[4][low >> 24] ^ tables.of[3][at[4]] ^ tables.of[2][at[5]] ^ tables.of[1][at[6]] ^
          tables.of[0][at[7]];
  }
  for (; size > 0; at++, size--) crc = tables.of[0][(crc ^ *at) & 255] ^ crc >> 8;
  return ~crc;
}
