/* SPDX-License-Identifier: MIT
 * SHA-1, which the handshake of a WebSocket prescribes. It protects nothing there. Any thread; does not block. */
#ifndef BRAID_SHA1_H
#define BRAID_SHA1_H

#include "core/base/base.h"

enum { BRAID_SHA1_SIZE = 20 };

void braid_sha1(const void *data, size_t size, unsigned char digest[BRAID_SHA1_SIZE]);

#endif
