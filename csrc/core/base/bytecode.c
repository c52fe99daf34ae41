/* SPDX-License-Identifier: MIT
 * One allocation. */
#include "core/base/bytecode.h"

#include <stdlib.h>
#include <string.h>

static void destroy(struct braid_object *object) { free(braid_container(object, struct braid_code, object)); }

const struct braid_class braid_code_class = {"braid.code", destroy};

struct braid_code *braid_code_new(const void *bytes, size_t size, int upvalues) {
  struct braid_code *code = malloc(sizeof *code + size);
  if (!code) return NULL;
  braid_object_init(&code->object, &braid_code_class);
  code->size = size;
  code->upvalues = upvalues;
  memcpy(code->bytes, bytes, size);
  return code;
}
