/* SPDX-License-Identifier: MIT
 * The sender keeps serial numbers, not segments. Before it sends a segment it looks up which of the sent ones no longer
 * exist. Their places travel in the same frame, so the other end unmaps those before it maps the new one. */
#include "core/process/shm_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLACES = 1 << 16, FIRST_PLACES = 8 };

/* After it in the body: the places of segments that no longer exist, 32 bits each. */
struct wire_segment {
  uint64_t serial, inode;
  uint64_t place;
};

/* Returns a table size that includes `place`. */
static uint32_t room_for(uint32_t place, uint32_t room) {
  if (room == 0) room = FIRST_PLACES;
  while (room <= place) room *= 2;
  return room;
}

/* ---- the sender: under the connection's mutex ----------------------------------------------------------------- */

static bool is_gone(uint64_t serial) {
  struct braid_shm *segment = braid_shm_find(serial);
  if (segment) braid_shm_unref(segment);
  return !segment;
}

/* Writes the places of segments that no longer exist to `list`, and frees them. Returns how many. */
static size_t forget_gone(struct braid_shm_table *table, uint32_t *list) {
  size_t count = 0;
  for (uint32_t place = 0; place < table->sent_room; place++) {
    if (table->sent[place] == 0 || !is_gone(table->sent[place])) continue;
    table->sent[place] = 0;
    list[count++] = place;
  }
  return count;
}

/* MOST_PLACES: memory is out, or all places are used. */
static uint32_t free_place(struct braid_shm_table *table) {
  uint32_t place = 0;
  while (place < table->sent_room && table->sent[place] != 0) place++;
  if (place < table->sent_room || place == MOST_PLACES) return place;
  uint32_t room = room_for(place, table->sent_room);
  uint64_t *sent = realloc(table->sent, room * sizeof *sent);
  if (!sent) return MOST_PLACES;
  memset(sent + table->sent_room, 0, (room - table->sent_room) * sizeof *sent);
  table->sent = sent;
  table->sent_room = room;
  return place;
}

static bool put(struct braid_shm_table *table, struct braid_connection *connection, struct braid_shm *segment) {
  struct braid_frame frame = {.kind = BRAID_FRAME_SEGMENT};
  struct wire_segment wire = {segment->serial, segment->inode, 0};
  char *body = malloc(sizeof wire + table->sent_room * sizeof(uint32_t));
  if (!body) return false;
  size_t gone = forget_gone(table, (uint32_t *)(void *)(body + sizeof wire));
  wire.place = free_place(table);
  memcpy(body, &wire, sizeof wire);
  bool done = wire.place < MOST_PLACES &&
              braid_connection_put_segment(connection, frame, body, sizeof wire + gone * sizeof(uint32_t), segment);
  if (done) table->sent[wire.place] = segment->serial;
  free(body);
  return done;
}

bool braid_shm_table_send(struct braid_shm_table *table, struct braid_connection *connection,
                          struct braid_shm *segment) {
  for (uint32_t place = 0; place < table->sent_room; place++)
    if (table->sent[place] == segment->serial) return true;
  return put(table, connection, segment);
}

void braid_shm_table_lose(struct braid_shm_table *table, struct braid_connection *connection,
                          const struct braid_frame *frame) {
  pthread_mutex_lock(&connection->mutex);
  for (uint32_t place = 0; place < table->sent_room; place++)
    if (table->sent[place] == frame->id) table->sent[place] = 0;
  pthread_mutex_unlock(&connection->mutex);
}

/* ---- the receiver: the I/O thread ----------------------------------------------------------------------------- */

static void forget(struct braid_shm_table *table, uint32_t place) {
  if (place >= table->known_room) return;
  if (table->known[place].segment) braid_shm_unref(table->known[place].segment);
  table->known[place] = (struct braid_known_shm){0};
}

static void forget_list(struct braid_shm_table *table, const char *list, size_t size) {
  uint32_t place;
  for (; size >= sizeof place; size -= sizeof place, list += sizeof place) {
    memcpy(&place, list, sizeof place);
    forget(table, place);
  }
}

static bool make_room(struct braid_shm_table *table, uint32_t place) {
  if (place < table->known_room) return true;
  uint32_t room = room_for(place, table->known_room);
  struct braid_known_shm *known = realloc(table->known, room * sizeof *known);
  if (!known) return false;
  memset(known + table->known_room, 0, (room - table->known_room) * sizeof *known);
  table->known = known;
  table->known_room = room;
  return true;
}

/* If the sender could not send the descriptor, the status says why. */
static void adopt(struct braid_known_shm *known, const struct braid_frame *frame, const struct wire_segment *wire,
                  int descriptor) {
  known->serial = wire->serial;
  known->segment = braid_shm_adopt(descriptor, wire->serial, wire->inode);
  if (!known->segment) known->error = descriptor >= 0 ? errno : frame->status ? (int)frame->status : EMFILE;
}

bool braid_shm_table_receive(struct braid_shm_table *table, struct braid_connection *connection,
                             const struct braid_frame *frame, const char *body) {
  struct wire_segment wire;
  if (frame->size < sizeof wire) return false;
  memcpy(&wire, body, sizeof wire);
  if (wire.place >= MOST_PLACES || wire.serial == 0) return false;
  forget_list(table, body + sizeof wire, (size_t)frame->size - sizeof wire);
  forget(table, (uint32_t)wire.place);
  if (!make_room(table, (uint32_t)wire.place)) return false;
  struct braid_known_shm *known = &table->known[wire.place];
  adopt(known, frame, &wire, braid_connection_descriptor(connection));
  if (known->segment) return true;
  if (known->error == EBADMSG) return false;
  struct braid_frame lost = {.kind = BRAID_FRAME_SEGMENT_LOST, .id = wire.serial};
  braid_connection_send(connection, lost, NULL);
  return true;
}

struct braid_shm *braid_shm_table_find(struct braid_shm_table *table, uint64_t serial) {
  const struct braid_known_shm *known = NULL;
  for (uint32_t place = 0; serial && place < table->known_room && !known; place++)
    if (table->known[place].serial == serial) known = &table->known[place];
  if (known && known->segment)
    braid_shm_ref(known->segment);
  else
    errno = known ? known->error : EBADMSG;
  return known ? known->segment : NULL;
}

static int compare(const void *one, const void *other) {
  const struct braid_span *a = one, *b = other;
  if (a->segment != b->segment) return (uintptr_t)a->segment < (uintptr_t)b->segment ? -1 : 1;
  return a->begin < b->begin ? -1 : a->begin > b->begin;
}

/* Gives the whole pages of a part back to the system. */
static void give_back(struct braid_shm *segment, size_t begin, size_t end) {
  size_t page = braid_shm_whole_pages(1);
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin < end) braid_shm_clear(segment, begin, end - begin);
}

static void trim(struct braid_shm *segment, const struct braid_span *spans, size_t count) {
  size_t begin = 0;
  for (size_t i = 0; i < count; i++) {
    if (spans[i].segment != segment) continue;
    if (spans[i].begin > begin) give_back(segment, begin, spans[i].begin);
    if (spans[i].end > begin) begin = spans[i].end;
  }
  give_back(segment, begin, segment->size);
}

void braid_shm_table_trim(struct braid_shm_table *table, struct braid_span *spans, size_t count) {
  if (count > 0) qsort(spans, count, sizeof *spans, compare);
  for (uint32_t place = 0; place < table->known_room; place++) {
    struct braid_shm *segment = table->known[place].segment;
    if (segment && segment->foreign) trim(segment, spans, count);
    forget(table, place);
  }
}

void braid_shm_table_clear(struct braid_shm_table *table) {
  for (uint32_t place = 0; place < table->known_room; place++) forget(table, place);
  free(table->known);
  free(table->sent);
}
