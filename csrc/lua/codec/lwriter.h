/* SPDX-License-Identifier: MIT
 * Writing a message: bytes, what has been written where, names, what is put off until later, refusal. What is written
 * of which value is lencode's. All may raise: the encode buffer is a userdata, so nothing is lost.
 *
 * Identity is address: what is written stays alive until the end, because it hangs on the values, or is kept. Lua code
 * can run meanwhile (__braid_pack, finalizers); if it changes the values, it is undefined what is sent.
 *
 * Lua stack: the encode buffer, the table of names (nil until it is needed), the list of what is kept (the same). The
 * state's own thread; nothing blocks. */
#ifndef BRAID_LWRITER_H
#define BRAID_LWRITER_H

#include <lua.h>
#include <string.h>

#include "lua/codec/lcodec.h"
#include "lua/codec/lencbuf.h"
#include "lua/codec/lpath.h"
#include "lua/codec/lwire.h"

enum { WRITER_MARGIN = 16 }; /* more than a tag and two sizes of small numbers, or a tag and a number, need */

struct writer {
  lua_State *L;
  struct encbuf *buffer;
  uint8_t *at, *end; /* in the encode buffer's bytes: where to write, and where the room ends */
  struct path_frame *frame;
  const void *globals;
  size_t most_bytes, values_left;
  struct path_nodes nodes;
  size_t laters_done; /* bytes of buffer->laters that were dealt with */
  int base;           /* where the stack's part begins */
  int depth, packed;
  bool updated; /* the names are up to date */
  bool stale;   /* they were not, and something may have been written that has a name: all must be written again */
  const char *what;
  lcodec_border *border; /* NULL: the message stays in this process */
};

/* Pushes what stands on the stack; begins a message. */
void writer_open(struct writer *w, lua_State *L, const char *what);

/* The message, or NULL when memory is out. The stack is as it was before writer_open. */
struct braid_message *writer_close(struct writer *w);

/* Gives up what was written. The stack is as it was before writer_open. */
void writer_discard(struct writer *w);

/* Raise: the value that is being written cannot be sent, for a reason; memory is out. */
void writer_refuse(struct writer *w, const char *format, ...);
void writer_raise_memory(struct writer *w);

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static inline uint8_t *writer_start(const struct writer *w) { return (uint8_t *)w->buffer->bytes->bytes; }

static inline size_t writer_place(const struct writer *w) { return (size_t)(w->at - writer_start(w)); }

void writer_grow(struct writer *w, size_t more);

/* Room for so many bytes. */
static inline void writer_need(struct writer *w, size_t more) {
  if ((size_t)(w->end - w->at) < more) writer_grow(w, more);
}

static inline void writer_byte(struct writer *w, int byte) {
  writer_need(w, 1);
  *w->at++ = (uint8_t)byte;
}

/* There is room. */
static inline void writer_raw(struct writer *w, const void *data, size_t size) {
  memcpy(w->at, data, size);
  w->at += size;
}

/* There is room. */
static inline void writer_size(struct writer *w, size_t size) {
  while (size > 0x7F) {
    *w->at++ = (uint8_t)(size | 0x80);
    size >>= 7;
  }
  *w->at++ = (uint8_t)size;
}

/* A tag and a size. */
static inline void writer_tag(struct writer *w, enum wire_tag tag, size_t size) {
  writer_need(w, WRITER_MARGIN);
  *w->at++ = (uint8_t)tag;
  writer_size(w, size);
}

/* The number at `index`. */
void writer_number(struct writer *w, int index);

/* ---- identity ------------------------------------------------------------------------------------------------- */

/* A flag of a place: what stands there is not made yet when the next values are. */
#define WRITER_UNFINISHED ((size_t)1 << (sizeof(size_t) * 8 - 1))

/* As encbuf_find. */
struct encbuf_place *writer_find(struct writer *w, const void *identity);

/* True when what has this identity has been written already: then it is mentioned here. If not, it will be written
 * here. */
bool writer_repeat(struct writer *w, const void *identity);

/* The string at `index`. */
void writer_string(struct writer *w, int index);

/* The object's number in the message. */
size_t writer_object(struct writer *w, struct braid_object *object);

/* ---- names ---------------------------------------------------------------------------------------------------- */

/* Writes the name of the value on the top of the stack if it has one. `likely`: of its kind many do, so when it has
 * none, it is made sure of. True also when all must be written again. */
bool writer_name(struct writer *w, bool likely);

/* Writes the metatable on the top of the stack by its name in the registry if it has one. */
bool writer_class(struct writer *w);

/* Nothing is left to try with a value of this kind. Returns when all must be written again. */
void writer_give_up(struct writer *w, const char *kind, const char *hint);

/* ---- later ---------------------------------------------------------------------------------------------------- */

/* What was announced at `place`. */
struct later {
  size_t place;
  int kept; /* where it is in the list of what is kept */
  int node; /* the way to it */
};

/* Keeps the value on the top of the stack until the end; pops it. Its number in the list. */
int writer_keep(struct writer *w);

/* The value on the top of the stack, which has been announced at `place`, will come later. */
void writer_put_off(struct writer *w, size_t place);

/* Pushes the next value that was put off; false when none is left. */
bool writer_next_later(struct writer *w, struct later *later);

#endif
