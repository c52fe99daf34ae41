/* SPDX-License-Identifier: MIT
 * The structure and its bytes are one allocation. */
#include "core/base/bytecode.h"

#include <stdlib.h>
#include <string.h>

static void destroy(struct braid_object *object) { free(braid_container(object, struct braid_bytecode, object)); }

const struct braid_class braid_bytecode_class = {"braid.code", destroy};

struct braid_bytecode *braid_bytecode_new(const void *bytes, size_t size, int upvalues) {
  struct braid_bytecode *code = malloc(sizeof *code + size);
  if (!code) return NULL;
  braid_object_init(&code->object, &braid_bytecode_class);
  code->size = size;
  code->upvalues = upvalues;
  memcpy(code->bytes, bytes, size);
  return code;
}
