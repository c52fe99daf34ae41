/* SPDX-License-Identifier: MIT
 * HTTP/1.1 (RFC 9112) on a connection: one exchange after the other, in order. The server's thread only; nothing
 * blocks. */
#ifndef BRAID_HTTP1_H
#define BRAID_HTTP1_H

#include "core/web/web_connection.h"

extern const struct braid_protocol braid_http1;

#endif
