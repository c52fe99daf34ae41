/* SPDX-License-Identifier: MIT
 * Checks headers that libmicrohttpd accepts but that two programs may read differently. Such headers let attackers
 * smuggle requests past a proxy. Any thread; nothing blocks. */
#ifndef BRAID_HEADER_CHECK_H
#define BRAID_HEADER_CHECK_H

#include <microhttpd.h>

#include "core/base/base.h"

enum braid_header_check { BRAID_HEADER_CHECK_FINE, BRAID_HEADER_CHECK_BAD, BRAID_HEADER_CHECK_UNKNOWN_CODING };

/* *has_body: a body will come. *length: its size, or 0 when it is chunked. The server's thread. */
enum braid_header_check braid_header_check(struct MHD_Connection *connection, const char *method, const char *version,
                                           bool *has_body, uint64_t *length);

/* Whether the target is free of control characters. */
bool braid_header_check_target(const char *target, size_t size);

#endif
