/* SPDX-License-Identifier: MIT
 * Writes a message: its bytes, places of values, names, values that are written later, and errors. lencode.c decides
 * what is written for each value. All functions may raise; nothing leaks, because the encode buffer is a userdata.
 *
 * A value is identified by its address. Every value that is written stays alive until the end: the sent values refer to
 * it, or it is kept. Lua code may run meanwhile (__braid_pack, finalizers). If it changes the values, the content of
 * the message is undefined.
 *
 * On the Lua stack: the encode buffer, the table of names (nil until it is needed), the list of kept values (likewise).
 * The state's own thread; nothing blocks. */
#ifndef BRAID_LWRITER_H
#define BRAID_LWRITER_H

#include <lua.h>
#include <string.h>

#include "lua/codec/lcodec.h"
#include "lua/codec/lencbuf.h"
#include "lua/codec/lpath.h"
#include "lua/codec/lwire.h"

enum { WRITER_MARGIN = 16 }; /* enough for a tag and two sizes of small numbers, or for a tag and a number */

struct writer {
  lua_State *L;
  struct encbuf *buffer;
  uint8_t *at, *end; /* in the encode buffer: where to write, and the end of the room */
  struct path_frame *frame;
  const void *globals;
  size_t values_left;
  struct path_nodes nodes;
  size_t laters_done; /* bytes of buffer->laters that are processed */
  int base;           /* the stack index of the encode buffer */
  int depth, packed;
  bool updated; /* the table of names is up to date */
  bool stale;   /* it was not, and a value with a name may have been written without it: encode again */
  const char *what;
  lcodec_border *border; /* NULL: the message stays in this process */
};

/* Begins a message. Pushes the three values above. */
void writer_open(struct writer *w, lua_State *L, const char *what);

/* Returns the message, or NULL when memory is out. Restores the stack's top. */
struct braid_message *writer_close(struct writer *w);

/* Drops the message. Restores the stack's top. */
void writer_discard(struct writer *w);

/* They raise: the current value cannot be sent, for this reason; memory is out. */
void writer_refuse(struct writer *w, const char *format, ...);
void writer_raise_memory(struct writer *w);

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

static inline uint8_t *writer_start(const struct writer *w) { return (uint8_t *)w->buffer->bytes->bytes; }

static inline size_t writer_place(const struct writer *w) { return (size_t)(w->at - writer_start(w)); }

void writer_grow(struct writer *w, size_t more);

/* Makes room for `more` bytes. */
static inline void writer_need(struct writer *w, size_t more) {
  if ((size_t)(w->end - w->at) < more) writer_grow(w, more);
}

static inline void writer_byte(struct writer *w, int byte) {
  writer_need(w, 1);
  *w->at++ = (uint8_t)byte;
}

/* The caller has made room. */
static inline void writer_raw(struct writer *w, const void *data, size_t size) {
  memcpy(w->at, data, size);
  w->at += size;
}

/* The caller has made room. */
static inline void writer_size(struct writer *w, size_t size) {
  while (size > 0x7F) {
    *w->at++ = (uint8_t)(size | 0x80);
    size >>= 7;
  }
  *w->at++ = (uint8_t)size;
}

/* Writes a tag and a size. */
static inline void writer_tag(struct writer *w, enum wire_tag tag, size_t size) {
  writer_need(w, WRITER_MARGIN);
  *w->at++ = (uint8_t)tag;
  writer_size(w, size);
}

/* Writes the number at `index`. */
void writer_number(struct writer *w, int index);

/* ---- identity ------------------------------------------------------------------------------------------------- */

/* A flag of a place: the value there is still being made. */
#define WRITER_UNFINISHED ((size_t)1 << (sizeof(size_t) * 8 - 1))

/* Like encbuf_find, but raises when memory is out. */
struct encbuf_place *writer_find(struct writer *w, const void *identity);

/* True if the value with this identity is written already: it then writes a reference. Else the value gets the current
 * place, and the caller writes it. */
bool writer_repeat(struct writer *w, const void *identity);

/* Writes the string at `index`. */
void writer_string(struct writer *w, int index);

/* The object's index in the message. */
size_t writer_object(struct writer *w, struct braid_object *object);

/* ---- names ---------------------------------------------------------------------------------------------------- */

/* If the value on the top of the stack has a name, writes it and returns true. `likely`: many values of this type have
 * one, so it first updates the table of names. Also true if all must be encoded again. */
bool writer_name(struct writer *w, bool likely);

/* If the metatable on the top of the stack is registered under a name, writes that and returns true. */
bool writer_class(struct writer *w);

/* Raises that values of this kind cannot be sent. Returns only if all must be encoded again. */
void writer_give_up(struct writer *w, const char *kind, const char *hint);

/* ---- values that are written later ----------------------------------------------------------------------------- */

/* A value whose placeholder is at `place`. */
struct later {
  size_t place;
  int kept; /* its index in the list of kept values */
  int node; /* the path to it */
};

/* Pops the value on the top of the stack and keeps it alive until the end. Returns its index in the list. */
int writer_keep(struct writer *w);

/* The value on the top of the stack, whose placeholder is at `place`, will be written later. */
void writer_put_off(struct writer *w, size_t place);

/* Pushes the next value that is to be written; false when none is left. */
bool writer_next_later(struct writer *w, struct later *later);

#endif
