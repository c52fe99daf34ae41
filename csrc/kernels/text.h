/* SPDX-License-Identifier: MIT
 * A text that somebody else owns: bytes, of which any may be 0. */
#ifndef BRAID_TEXT_H
#define BRAID_TEXT_H

#include "core/base/base.h"

struct braid_text {
  const char *data; /* what it says, or the name of the file that does */
  size_t size;
};

#endif
