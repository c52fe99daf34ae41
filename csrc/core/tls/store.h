/* SPDX-License-Identifier: MIT
 * Whom to trust: certificates of authorities. They are read once for the whole process, because to read those of a
 * system takes 20 to 50 ms. Any thread; reads files. */
#ifndef BRAID_TLS_STORE_H
#define BRAID_TLS_STORE_H

#include <openssl/x509_vfy.h>

#include "core/net/tls.h"

/* Those of a file, of a folder (by the hashes of their names), or of both; the system's when both are NULL. A file that
 * has changed is read again. Returns a reference; NULL and the failure when they cannot be read. */
X509_STORE *braid_tls_store_get(const char *file, const char *folder, struct braid_tls_failure *failure);

#endif
