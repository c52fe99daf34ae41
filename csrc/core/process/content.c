/* SPDX-License-Identifier: MIT
 * A message on the wire is first what it refers to (bytecode, pools, shared objects), then its bytes.
 *
 * Bytecode travels once. Both ends have a table of codes with the same size. The sender chooses a code's place and
 * sends that. New code at a place replaces the old one at both ends, in the order of the frames. */
#include "core/process/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/process/protocol.h"
#include "core/work/pool.h"

/* What a message on the wire refers to; all of it comes in front of its bytes. */
enum mention { MENTION_CODE, MENTION_NEW_CODE, MENTION_POOL, MENTION_OBJECT };

struct wire_message {
  uint64_t size; /* of its bytes, which are the last part of the message */
  uint64_t mentions;
};

struct wire_mention {
  uint32_t what; /* enum mention */
  uint32_t place;
  uint32_t upvalues;
  uint32_t zero; /* in place of padding, so that no unset byte is sent */
  uint64_t size; /* of the bytecode, which follows */
};

static struct braid_bytecode *code_of(struct braid_object *object) {
  return braid_container(object, struct braid_bytecode, object);
}

/* ---- write: under the mutex ----------------------------------------------------------------------------------- */

static bool append(struct braid_connection *connection, const void *bytes, size_t size) {
  return braid_outbox_append(&connection->out, bytes, size);
}

static uint32_t place_of(const struct braid_bytecode *code) {
  return (uint32_t)((uintptr_t)code >> 4) * UINT32_C(0x9E3779B9) >> 24;
}

static bool append_code(struct braid_connection *connection, struct braid_bytecode *code) {
  uint32_t place = place_of(code);
  struct wire_mention mention = {MENTION_CODE, place, (uint32_t)code->upvalues, 0, 0};
  if (connection->sent_codes[place] == code) return append(connection, &mention, sizeof mention);
  mention.what = MENTION_NEW_CODE;
  mention.size = code->size;
  if (!append(connection, &mention, sizeof mention) || !append(connection, code->bytes, code->size)) return false;
  if (connection->sent_codes[place]) braid_object_unref(&connection->sent_codes[place]->object);
  braid_object_ref(&code->object); /* keeps the address from being used for other code */
  connection->sent_codes[place] = code;
  return true;
}

static bool append_object(struct braid_connection *connection, struct braid_object *object) {
  struct wire_mention mention = {.what = MENTION_OBJECT};
  struct braid_wire_object wire = {0};
  if (!connection->marshal || !connection->marshal->write(connection, object, &wire)) return false;
  return append(connection, &mention, sizeof mention) && append(connection, &wire, sizeof wire);
}

/* Workers cannot use the parent's pools. A closed one stands for each of them there. */
static bool append_pool(struct braid_connection *connection) {
  struct wire_mention mention = {.what = MENTION_POOL};
  return append(connection, &mention, sizeof mention);
}

static bool append_mention(struct braid_connection *connection, struct braid_object *object) {
  if (object->class == &braid_bytecode_class) return append_code(connection, code_of(object));
  if (object->class == &braid_pool_class) return append_pool(connection);
  return append_object(connection, object);
}

static bool append_mentions(struct braid_connection *connection, const struct braid_message *message) {
  struct wire_message head = {message->size, message->object_count};
  if (!append(connection, &head, sizeof head)) return false;
  for (uint32_t i = 0; i < message->object_count; i++)
    if (!append_mention(connection, message->objects[i])) return false;
  return true;
}

static bool append_whole_message(struct braid_connection *connection, struct braid_message *message) {
  return append_mentions(connection, message) && braid_outbox_append_message(&connection->out, message);
}

static bool append_item(struct braid_connection *connection, const struct braid_queue_cell *cell) {
  struct braid_wire_item wire = {cell->item.bits, cell->key, cell->item.tag};
  if (cell->item.tag == BRAID_ITEM_MESSAGE) wire.bits = 0;
  if (!append(connection, &wire, sizeof wire)) return false;
  return cell->item.tag != BRAID_ITEM_MESSAGE ||
         append_whole_message(connection, (struct braid_message *)(uintptr_t)cell->item.bits);
}

static bool append_content(struct braid_connection *connection, const struct braid_content *content) {
  if (!append(connection, content->body, content->size)) return false;
  if (content->message && !append_whole_message(connection, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (!append_item(connection, &content->cells[i])) return false;
  return true;
}

/* The head contains the size, so it is written last. Its place is reserved first. */
static bool write(struct braid_connection *connection, struct braid_frame *frame, const struct braid_content *content) {
  char *head = braid_outbox_reserve(&connection->out, sizeof *frame);
  size_t before = connection->out.size;
  if (!head || !append_content(connection, content)) return false;
  frame->magic = BRAID_FRAME_MAGIC;
  frame->size = connection->out.size - before;
  frame->has_message = content->message != NULL;
  memcpy(head, frame, sizeof *frame);
  connection->last_put = frame->kind == BRAID_FRAME_PUT ? head : NULL;
  return true;
}

enum { MOST_JOINED = 16 * 1024 }; /* bytes of a frame to which items are added, for its receiver needs all of it */

/* Whether the items can go into the last frame. Then `last` is a copy of its head. */
static bool joins(const struct braid_connection *connection, const struct braid_frame *frame,
                  struct braid_frame *last) {
  if (frame->kind != BRAID_FRAME_PUT || !connection->last_put) return false;
  memcpy(last, connection->last_put, sizeof *last);
  return last->value == frame->value && last->channel == frame->channel && last->size < MOST_JOINED &&
         last->id + frame->id <= BRAID_QUEUE_AHEAD;
}

/* A PUT that follows another one makes that larger. So the home enters the queue once for many items. */
static bool join(struct braid_connection *connection, const struct braid_frame *frame, struct braid_frame *last,
                 const struct braid_content *content) {
  size_t before = connection->out.size;
  if (!append_content(connection, content)) return false;
  last->size += connection->out.size - before;
  last->id += frame->id;
  memcpy(connection->last_put, last, sizeof *last);
  return true;
}

/* Puts frames that must come first: those with the segments of the message's arrays. */
static bool prepare(struct braid_connection *connection, const struct braid_message *message) {
  for (uint32_t i = 0; message && i < message->object_count; i++) {
    struct braid_object *object = message->objects[i];
    if (object->class == &braid_bytecode_class || object->class == &braid_pool_class) continue;
    if (!connection->marshal || !connection->marshal->prepare(connection, object)) return false;
  }
  return true;
}

static bool prepare_all(struct braid_connection *connection, const struct braid_content *content) {
  if (!prepare(connection, content->message)) return false;
  for (size_t i = 0; i < content->count; i++)
    if (content->cells[i].item.tag == BRAID_ITEM_MESSAGE &&
        !prepare(connection, (const struct braid_message *)(uintptr_t)content->cells[i].item.bits))
      return false;
  return true;
}

bool braid_content_put(struct braid_connection *connection, struct braid_frame *frame,
                       const struct braid_content *content) {
  struct braid_frame last;
  if (!prepare_all(connection, content)) return false;
  return joins(connection, frame, &last) ? join(connection, frame, &last, content) : write(connection, frame, content);
}

bool braid_connection_put_segment(struct braid_connection *connection, struct braid_frame frame, const void *body,
                                  size_t size, struct braid_shm *segment) {
  frame.descriptors = 1;
  return braid_outbox_attach(&connection->out, segment) &&
         write(connection, &frame, &(struct braid_content){.body = body, .size = size});
}

/* ---- read: who holds `reading` -------------------------------------------------------------------------------------
 */

struct reader {
  struct braid_connection *connection;
  const char *at, *end;
};

static bool take(struct reader *reader, void *bytes, size_t size) {
  if ((size_t)(reader->end - reader->at) < size) return false;
  memcpy(bytes, reader->at, size);
  reader->at += size;
  return true;
}

/* When memory is out the place stays empty, so wrong code is never run. */
static bool learn_code(struct reader *reader, const struct wire_mention *mention, struct braid_bytecode **known) {
  if ((size_t)(reader->end - reader->at) < mention->size) return false;
  if (*known) braid_object_unref(&(*known)->object);
  *known = braid_bytecode_new(reader->at, mention->size, (int)mention->upvalues);
  if (*known) braid_object_share(&(*known)->object);
  reader->at += mention->size;
  return *known != NULL;
}

static struct braid_object *read_code(struct reader *reader, const struct wire_mention *mention) {
  if (mention->place >= BRAID_CONNECTION_CODES || mention->what > MENTION_NEW_CODE) return NULL;
  struct braid_bytecode **known = &reader->connection->known_codes[mention->place];
  if (mention->what == MENTION_NEW_CODE && !learn_code(reader, mention, known)) return NULL;
  if (!*known) return NULL;
  braid_object_ref(&(*known)->object);
  return &(*known)->object;
}

static struct braid_object *read_pool(void) {
  struct braid_pool *pool = braid_pool_elsewhere();
  errno = ENOMEM;
  return pool ? &pool->object : NULL;
}

/* Returns a new reference. NULL: errno says why. */
static struct braid_object *read_mention(struct reader *reader) {
  struct wire_mention mention;
  struct braid_wire_object wire;
  errno = EBADMSG;
  if (!take(reader, &mention, sizeof mention)) return NULL;
  if (mention.what == MENTION_POOL) return read_pool();
  if (mention.what != MENTION_OBJECT) return read_code(reader, &mention);
  const struct braid_marshal *marshal = reader->connection->marshal;
  if (!take(reader, &wire, sizeof wire) || !marshal) return NULL;
  return marshal->read(reader->connection, &wire);
}

/* Reads all mentions even after an error of the system, so that both ends still agree about codes and objects. Returns
 * how many objects it got; *error says why some are missing. */
static uint32_t read_mentions(struct reader *reader, uint64_t mentions, struct braid_object **objects, int *error) {
  uint32_t count = 0;
  for (uint64_t i = 0; i < mentions && *error != EBADMSG; i++) {
    struct braid_object *object = read_mention(reader);
    if (object && objects)
      objects[count++] = object;
    else if (object)
      braid_object_unref(object);
    else
      *error = errno;
  }
  return count;
}

enum { FEW = 8 }; /* mentions of a message for which no memory is allocated */

/* NULL: errno says why; EBADMSG: the message is malformed. */
static struct braid_message *read_message(struct reader *reader) {
  struct wire_message head;
  struct braid_message *message = NULL;
  errno = EBADMSG;
  if (!take(reader, &head, sizeof head)) return NULL;
  if (head.mentions > (size_t)(reader->end - reader->at) / sizeof(struct wire_mention)) return NULL;
  struct braid_object *few[FEW], **objects = few;
  if (head.mentions > FEW) objects = calloc((size_t)head.mentions, sizeof *objects);
  int error = objects ? 0 : ENOMEM;
  uint32_t count = read_mentions(reader, head.mentions, objects, &error);
  if (error != EBADMSG && head.size > (size_t)(reader->end - reader->at)) error = EBADMSG;
  if (!error) {
    message = braid_message_take(reader->at, (size_t)head.size, objects, count);
    error = ENOMEM;
  }
  if (error != EBADMSG) reader->at += head.size;
  for (uint32_t i = 0; i < count && !message; i++) braid_object_unref(objects[i]);
  if (objects != few) free(objects);
  errno = error;
  return message;
}

static bool skip(struct reader *reader, uint64_t size) {
  if (size > (size_t)(reader->end - reader->at)) return false;
  reader->at += size;
  return true;
}

/* Passes over a message. False: it is not light. */
static bool pass_light(struct reader *reader) {
  struct wire_message head;
  struct wire_mention mention;
  if (!take(reader, &head, sizeof head)) return false;
  for (uint64_t i = 0; i < head.mentions; i++) {
    if (!take(reader, &mention, sizeof mention) || mention.what == MENTION_OBJECT) return false;
    if (mention.what == MENTION_NEW_CODE && !skip(reader, mention.size)) return false;
  }
  return skip(reader, head.size);
}

bool braid_content_is_light(const char *bytes, size_t size) {
  return pass_light(&(struct reader){.at = bytes, .end = bytes + size});
}

bool braid_content_items_are_light(const char *bytes, size_t size) {
  struct reader reader = {.at = bytes, .end = bytes + size};
  struct braid_wire_item wire;
  while (reader.at < reader.end)
    if (!take(&reader, &wire, sizeof wire) || (wire.tag == BRAID_ITEM_MESSAGE && !pass_light(&reader))) return false;
  return true;
}

struct braid_message *braid_connection_message(struct braid_connection *connection, const struct braid_frame *frame,
                                               const char *body, size_t skip) {
  errno = EBADMSG;
  if (skip > frame->size) return NULL;
  struct reader reader = {connection, body + skip, body + frame->size};
  struct braid_message *message = read_message(&reader);
  if (!message || reader.at == reader.end) return message;
  braid_message_unref(message);
  errno = EBADMSG;
  return NULL;
}

/* False: it is malformed. */
static bool read_item(struct reader *reader, struct braid_queue_cell *cell) {
  struct braid_wire_item wire;
  if (!take(reader, &wire, sizeof wire)) return false;
  if (wire.tag > BRAID_ITEM_MESSAGE || wire.tag == BRAID_ITEM_REFERENCE) return false;
  *cell = (struct braid_queue_cell){.item = {wire.bits, (uint8_t)wire.tag}, .key = wire.key};
  if (wire.tag != BRAID_ITEM_MESSAGE) return true;
  struct braid_message *message = read_message(reader);
  cell->item.bits = (uint64_t)(uintptr_t)message;
  if (message) return true;
  cell->item = (struct braid_item){(uint64_t)errno, BRAID_ITEM_NONE};
  return errno != EBADMSG;
}

bool braid_connection_items(struct braid_connection *connection, const struct braid_frame *frame, const char *body,
                            size_t skip, struct braid_queue_cell *cells, size_t count) {
  struct reader reader = {connection, body + skip, body + frame->size};
  size_t read = 0;
  if (skip > frame->size) reader.at = reader.end;
  while (read < count && read_item(&reader, &cells[read])) read++;
  if (read == count && reader.at == reader.end) return true;
  while (read > 0) braid_item_drop(cells[--read].item);
  braid_connection_fail(connection, "an item is not sound");
  return false;
}

/* ---- open and close ------------------------------------------------------------------------------------------- */

bool braid_content_begin(struct braid_connection *connection) {
  memset(connection->sent_codes, 0, sizeof connection->sent_codes);
  memset(connection->known_codes, 0, sizeof connection->known_codes);
  connection->objects = NULL;
  return !connection->marshal || connection->marshal->begin(connection);
}

void braid_content_end(struct braid_connection *connection) {
  if (connection->marshal) connection->marshal->end(connection);
}

static void drop_codes(struct braid_bytecode **codes) {
  for (int i = 0; i < BRAID_CONNECTION_CODES; i++)
    if (codes[i]) braid_object_unref(&codes[i]->object);
}

void braid_content_forget(struct braid_connection *connection) {
  drop_codes(connection->sent_codes);
  drop_codes(connection->known_codes);
}
