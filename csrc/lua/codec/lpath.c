/* SPDX-License-Identifier: MIT
 * A node is a copy of a frame. A list keeps its key or function alive, which will leave the Lua stack. */
#include "lua/codec/lpath.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "lua/base/lerror.h"

struct node {
  struct path_step step;
  int outer;
};

enum { SHOWN = 20 }; /* steps that are shown at each end of a path */

int path_keep(lua_State *L, struct path_frame *frame, struct path_nodes *nodes) {
  if (frame->node) return frame->node;
  if (frame->step.kind == PATH_LATER) return frame->node = frame->step.number;
  struct node node = {.step = frame->step, .outer = frame->outer ? path_keep(L, frame->outer, nodes) : 0};
  if (node.step.kind == PATH_FIELD || node.step.kind == PATH_UPVALUE) {
    lua_pushvalue(L, node.step.at);
    lua_rawseti(L, nodes->kept, ++nodes->kept_count);
    node.step.at = nodes->kept_count;
  }
  if (!braid_buffer_append(nodes->buffer, &node, sizeof node)) lerror_memory(L);
  return frame->node = (int)(nodes->buffer->size / sizeof node);
}

/* ---- as text --------------------------------------------------------------------------------------------------- */

static bool is_identifier(const char *text, size_t size) {
  if (size == 0 || isdigit((unsigned char)*text)) return false;
  for (size_t i = 0; i < size; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  return true;
}

/* Replaces the key on the top of the stack by its text, as it is written after a table. */
static void write_key(lua_State *L) {
  size_t size;
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, -1, &size);
    lua_pushfstring(L, is_identifier(text, size) ? ".%s" : "[\"%s\"]", text);
  } else if (lua_type(L, -1) == LUA_TNUMBER || lua_type(L, -1) == LUA_TBOOLEAN) {
    lua_pushfstring(L, "[%s]", luaL_tolstring(L, -1, NULL));
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "[%s]", luaL_typename(L, -1));
  }
  lua_remove(L, -2);
}

/* Pushes the text of one step. `kept`: the stack index of the list of kept values; 0: the step is a frame's. */
static void write_step(lua_State *L, const struct path_step *step, int kept) {
  if (step->kind == PATH_FIELD || step->kind == PATH_UPVALUE) {
    if (kept)
      lua_rawgeti(L, kept, step->at);
    else
      lua_pushvalue(L, step->at);
  }
  switch (step->kind) {
    case PATH_FIELD: write_key(L); return;
    case PATH_UPVALUE: {
      const char *name = lua_getupvalue(L, -1, step->number);
      lua_pushfstring(L, " (upvalue %s)", name ? name : "?");
      lua_replace(L, -3);
      lua_pop(L, 1);
      return;
    }
    case PATH_KEY: lua_pushliteral(L, " (key)"); return;
    case PATH_METATABLE: lua_pushliteral(L, " (metatable)"); return;
    case PATH_PACKED: lua_pushfstring(L, " (packed %d)", step->number); return;
    default: lua_pushliteral(L, ""); return;
  }
}

/* Walks over all steps but the root, from the innermost outwards. */
struct walk {
  const struct path_frame *frame;
  int node;
};

static const struct path_step *next_step(struct walk *walk, const struct path_nodes *nodes, bool *kept) {
  if (walk->frame && walk->frame->step.kind == PATH_LATER) {
    walk->node = walk->frame->step.number;
    walk->frame = NULL;
  }
  *kept = !walk->frame;
  if (walk->frame) {
    const struct path_step *step = &walk->frame->step;
    walk->frame = walk->frame->outer;
    return step;
  }
  const struct node *node = (const struct node *)(void *)nodes->buffer->data + (walk->node - 1);
  walk->node = node->outer;
  return &node->step;
}

/* Leaves out the steps in the middle of a long path. */
void path_push(lua_State *L, const struct path_frame *frame, const struct path_nodes *nodes, const char *what) {
  struct walk walk = {.frame = frame};
  const struct path_step *step;
  bool kept;
  int count = 0;
  luaL_checkstack(L, 10, NULL);
  while ((step = next_step(&walk, nodes, &kept))->kind != PATH_ROOT) count++;
  if (strcmp(what, "item") == 0)
    lua_pushstring(L, what);
  else
    lua_pushfstring(L, "%s %d", what, step->number);
  if (count == 0) return;
  lua_pushliteral(L, "");
  walk = (struct walk){.frame = frame};
  for (int i = 0; i < count; i++) {
    step = next_step(&walk, nodes, &kept);
    if (i >= SHOWN && i < count - SHOWN) {
      if (i > SHOWN) continue;
      lua_pushfstring(L, " ... %d more ... ", count - 2 * SHOWN);
    } else {
      write_step(L, step, kept ? nodes->kept : 0);
    }
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  const char *text = lua_tostring(L, -1);
  lua_pushfstring(L, " -> %s", text + strspn(text, " "));
  lua_remove(L, -2);
  lua_concat(L, 2);
}
