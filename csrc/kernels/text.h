/* SPDX-License-Identifier: MIT
 * A text or a file's name. Another object owns the bytes; any of them may be 0. */
#ifndef BRAID_TEXT_H
#define BRAID_TEXT_H

#include "core/base/base.h"

struct braid_text {
  const char *data; /* the text, or the name of a file */
  size_t size;
};

#endif
