/* SPDX-License-Identifier: MIT
 * The way from the values of a message to one inside them, for the error that says what cannot be sent:
 * "argument 2 -> .opts.logger.file". While values are walked the way is a chain of frames on the C stack; of what is
 * put off until later the way is kept as nodes. The state's own thread; nothing blocks. */
#ifndef BRAID_LPATH_H
#define BRAID_LPATH_H

#include <lua.h>

#include "core/base/buffer.h"

enum path_kind {
  PATH_ROOT,  /* number: which of the values */
  PATH_FIELD, /* at: its key */
  PATH_KEY,   /* a key itself */
  PATH_METATABLE,
  PATH_UPVALUE, /* at: the function; number */
  PATH_PACKED,  /* number: which of the values that __braid_pack returned */
  PATH_LATER    /* number: the node where it goes on */
};

struct path_step {
  enum path_kind kind;
  int at; /* a place on the Lua stack; in a node: in the list of what is kept */
  int number;
};

struct path_frame {
  struct path_frame *outer;
  struct path_step step;
  int node; /* the frame's own; 0: it has none */
};

/* Where nodes are: theirs is the buffer, and the list of what they keep, a table on the Lua stack. */
struct path_nodes {
  struct braid_buffer *buffer;
  int kept;       /* the table's place */
  int kept_count; /* of its elements */
};

/* The number of the frame's node, which is made if need be, with those of the outer frames. Raises. */
int path_keep(lua_State *L, struct path_frame *frame, struct path_nodes *nodes);

/* Pushes the way to the innermost frame. `what` the values are: "argument". */
void path_push(lua_State *L, const struct path_frame *frame, const struct path_nodes *nodes, const char *what);

#endif
