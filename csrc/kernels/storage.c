/* SPDX-License-Identifier: MIT
 * See the header. The checksum reads eight bytes at a time through eight tables (slicing by 8, Kounavis and Berry). */
#include "kernels/storage.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/http/coding.h"
#include "core/http/encoder.h"

enum { PIECE = 4 << 20, LEAST_MAPPED = 1 << 20 };

static ssize_t move(const struct braid_storage *this, size_t first, size_t size) {
  off_t there = (off_t)this->offset + (off_t)first;
  if (this->from) return pwrite(this->memory, this->from + first, size, (off_t)this->place + (off_t)first);
  return this->write ? pwrite(this->fd, this->data + first, size, there)
                     : pread(this->fd, this->data + first, size, there);
}

static void move_piece(void *context, size_t first, size_t last) {
  struct braid_storage *this = context;
  while (first < last && !atomic_load(&this->error)) {
    ssize_t moved = move(this, first, last - first);
    if (moved > 0)
      first += (size_t)moved;
    else if (moved == 0 || errno != EINTR) /* EFAULT: the mapped file was truncated */
      atomic_store(&this->error, moved == 0 || errno == EFAULT ? EIO : errno);
  }
}

/* Much that is read into shared memory is written there by the system, from the mapped file: a page of shared memory
 * that is written as a whole is neither zeroed nor mapped first. This takes about two thirds of the time. */
void braid_storage_run(struct braid_team *team, void *arguments) {
  struct braid_storage *this = arguments;
  size_t before = (size_t)this->offset % (size_t)sysconf(_SC_PAGESIZE), size = this->size + before;
  char *map = MAP_FAILED;
  if (!this->write && this->memory >= 0 && this->size >= LEAST_MAPPED)
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, this->fd, (off_t)this->offset - (off_t)before);
  if (map != MAP_FAILED) this->from = map + before;
  braid_team_for(team, this->size, PIECE, move_piece, this);
  if (map != MAP_FAILED) munmap(map, size);
}

void braid_storage_sync(struct braid_team *team, void *arguments) {
  struct braid_storage *this = arguments;
  (void)team;
  size_t before = (uintptr_t)this->data % (size_t)sysconf(_SC_PAGESIZE);
  if (this->size > 0 && msync(this->data - before, this->size + before, MS_SYNC) != 0)
    atomic_store(&this->error, errno);
}

/* ---- compressed bytes -------------------------------------------------------------------------------------------- */

/* Decodes up to `size` bytes into `to`. Returns how many there were; -1: they are damaged. `ended`: no more will come.
 */
static ptrdiff_t decode(void *state, struct braid_coding_flow *flow, char *to, size_t size, bool *ended) {
  flow->out = to;
  flow->out_size = size;
  return braid_coding_deflate.run(state, flow, ended) ? (ptrdiff_t)(size - flow->out_size) : -1;
}

static bool inflate_all(struct braid_team *team, struct braid_inflation *this, void *state) {
  enum { PART = 1 << 20, WASTE = 4096 };
  char waste[WASTE];
  struct braid_coding_flow flow = {.in = this->from, .in_size = this->from_size};
  bool ended = false;
  for (size_t left = this->skip; left > 0;) {
    ptrdiff_t got = decode(state, &flow, waste, left < WASTE ? left : WASTE, &ended);
    if (got <= 0) return false;
    left -= (size_t)got;
  }
  for (size_t done = 0; done < this->size;) {
    size_t left = this->size - done;
    ptrdiff_t got = decode(state, &flow, this->to + done, left < PART ? left : PART, &ended);
    if (braid_team_stopped(team)) this->status = BRAID_CANCELLED;
    if (got <= 0 || this->status) return false;
    done += (size_t)got;
  }
  if (!this->whole || ended) return true;
  return decode(state, &flow, waste, 1, &ended) == 0 && ended;
}

void braid_storage_inflate(struct braid_team *team, void *arguments) {
  struct braid_inflation *this = arguments;
  this->result = BRAID_INFLATED_NO_ZLIB;
  if (!braid_coding_find("deflate", strlen("deflate"))) return;
  void *state = braid_coding_deflate.open();
  if (!state) {
    this->status = BRAID_NO_MEMORY;
    return;
  }
  this->result = inflate_all(team, this, state) ? BRAID_INFLATED : BRAID_INFLATED_NOT;
  braid_coding_deflate.close(state);
}

static bool deflate_all(struct braid_team *team, struct braid_deflation *this, struct braid_encoder *encoder) {
  if (!braid_encoder_run(encoder, this->head, this->head_size, BRAID_ENCODER_GO_ON, &this->out)) return false;
  for (size_t done = 0, now; done < this->size && !this->status; done += now) {
    now = this->size - done < PIECE ? this->size - done : PIECE;
    if (!braid_encoder_run(encoder, this->data + done, now, BRAID_ENCODER_GO_ON, &this->out)) return false;
    if (braid_team_stopped(team)) this->status = BRAID_CANCELLED;
  }
  return braid_encoder_run(encoder, NULL, 0, BRAID_ENCODER_FINISH, &this->out);
}

/* A stream of gzip is a header, the bytes as zip has them, and a trailer. */
void braid_storage_deflate(struct braid_team *team, void *arguments) {
  struct braid_deflation *this = arguments;
  this->missing = !strstr(braid_encoder_names(), "gzip");
  if (this->missing) return;
  struct braid_encoder *encoder = braid_encoder_open("gzip", -1);
  if (!encoder || !deflate_all(team, this, encoder)) this->status = BRAID_NO_MEMORY;
  if (encoder) braid_encoder_close(encoder);
}

/* ---- checksums --------------------------------------------------------------------------------------------------- */

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
