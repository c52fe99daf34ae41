/* SPDX-License-Identifier: MIT
 * HTTP/2 of the web server, by nghttp2: for clients that choose it by ALPN, or begin with its preface. The server's
 * thread only; nothing blocks. */
#ifndef BRAID_HTTP2_H
#define BRAID_HTTP2_H

#include "core/web/web_connection.h"

/* The server speaks it from now on. NULL, or why it cannot. The first call may block while it loads the library. */
const char *braid_http2_enable(struct braid_web_server *server);

/* For braid_web_security: the protocol that ALPN has chosen. NULL: HTTP/1.1. */
const struct braid_protocol *braid_http2_protocol(const char *name, size_t size);

#endif
