/* SPDX-License-Identifier: MIT
 * What libmicrohttpd lets through and we do not: headers of which two readers might think differently, which is how
 * requests are smuggled past a proxy. */
#ifndef BRAID_HEADER_CHECK_H
#define BRAID_HEADER_CHECK_H

#include <microhttpd.h>

#include "core/base/base.h"

enum braid_header_check { BRAID_HEADER_CHECK_FINE, BRAID_HEADER_CHECK_BAD, BRAID_HEADER_CHECK_UNKNOWN_CODING };

/* `has_body`: a body is announced; `length` its size, or 0 when it comes in chunks. The server's thread; does not
 * block. */
enum braid_header_check braid_header_check(struct MHD_Connection *connection, const char *method, const char *version,
                                           bool *has_body, uint64_t *length);

/* What follows the method holds no control characters. */
bool braid_header_check_target(const char *target, size_t size);

#endif
