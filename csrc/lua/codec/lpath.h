/* SPDX-License-Identifier: MIT
 * The path from the values of a message to one inside them, for the error that says which value cannot be sent:
 * "argument 2 -> .opts.logger.file". While values are walked, the path is a chain of frames on the C stack. For a value
 * that is written later the path is kept as nodes. The state's own thread; nothing blocks. */
#ifndef BRAID_LPATH_H
#define BRAID_LPATH_H

#include <lua.h>

#include "core/base/buffer.h"

enum path_kind {
  PATH_ROOT,  /* number: the index of the value */
  PATH_FIELD, /* at: the key */
  PATH_KEY,   /* the key itself is the value */
  PATH_METATABLE,
  PATH_UPVALUE, /* at: the function; number: the upvalue's */
  PATH_PACKED,  /* number: the index among the values that __braid_pack returned */
  PATH_LATER    /* number: the node where the path goes on */
};

struct path_step {
  enum path_kind kind;
  int at; /* a stack index; in a node: an index in the list of kept values */
  int number;
};

struct path_frame {
  struct path_frame *outer;
  struct path_step step;
  int node; /* the frame's own node; 0: none */
};

/* The storage of nodes: the buffer, and a table on the Lua stack with the values that they keep alive. */
struct path_nodes {
  struct braid_buffer *buffer;
  int kept;       /* the table's stack index */
  int kept_count; /* elements of the table */
};

/* Returns the number of the frame's node; makes it, and those of the outer frames, if necessary. Raises when memory is
 * out. */
int path_keep(lua_State *L, struct path_frame *frame, struct path_nodes *nodes);

/* Pushes the text of the path to the innermost frame. `what` names the values: "argument". */
void path_push(lua_State *L, const struct path_frame *frame, const struct path_nodes *nodes, const char *what);

#endif
