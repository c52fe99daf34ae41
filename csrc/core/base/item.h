/* SPDX-License-Identifier: MIT
 * An item of a queue: a small value, an owned reference to a message, or a number by which one Lua state knows one of
 * its own values. */
#ifndef BRAID_ITEM_H
#define BRAID_ITEM_H

#include "core/base/base.h"

enum braid_item_tag {
  BRAID_ITEM_NONE,
  BRAID_ITEM_FALSE,
  BRAID_ITEM_TRUE,
  BRAID_ITEM_NULL,
  BRAID_ITEM_INTEGER,
  BRAID_ITEM_NUMBER,
  BRAID_ITEM_REFERENCE,
  BRAID_ITEM_MESSAGE,
  BRAID_ITEM_PLACE /* in wait queues, for another process: a put that reserves a place, or a get that leases an item */
};

struct braid_item {
  uint64_t bits;
  uint8_t tag; /* enum braid_item_tag */
};

#endif
