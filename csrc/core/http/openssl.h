/* SPDX-License-Identifier: MIT
 * Keeps OpenSSL, which libcurl and the digests use, from freeing itself in exit handlers. Threads may still use it
 * then, because os.exit does not wait for them. */
#ifndef BRAID_OPENSSL_H
#define BRAID_OPENSSL_H

/* Tells the OpenSSL that `library` is, or depends on, to keep its state at exit. Does nothing when there is none. Must
 * be called before anybody uses OpenSSL. Any thread; does not block. */
void braid_openssl_keep(void *library);

#endif
