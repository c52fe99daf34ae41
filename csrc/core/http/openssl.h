/* SPDX-License-Identifier: MIT
 * OpenSSL, which libcurl and the digests bring along. It would take itself apart when the process ends, while threads
 * may still use it: os.exit does not wait for them. */
#ifndef BRAID_OPENSSL_H
#define BRAID_OPENSSL_H

/* Tells the OpenSSL that this library is, or depends on, to stay; nothing happens if it is none. Before anybody uses
 * it: then it is too late. Any thread; does not block. */
void braid_openssl_keep(void *library);

#endif
