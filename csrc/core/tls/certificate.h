/* SPDX-License-Identifier: MIT
 * What a certificate says, in our terms. Any thread; nothing blocks. */
#ifndef BRAID_TLS_CERTIFICATE_H
#define BRAID_TLS_CERTIFICATE_H

#include <openssl/x509.h>

#include "core/net/tls.h"

/* False when memory is out; then there is nothing to free. */
bool braid_tls_certificate_read(struct braid_tls_certificate *certificate, X509 *from);

void braid_tls_certificate_term(struct braid_tls_certificate *certificate);

#endif
