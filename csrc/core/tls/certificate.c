/* SPDX-License-Identifier: MIT
 * A certificate comes from the peer: its texts may hold any bytes, so they are escaped, and those with a zero inside
 * are left out of the names. */
#include "core/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STYLE                                                                                                          \
  ((XN_FLAG_RFC2253 & ~(unsigned long)(XN_FLAG_SEP_MASK | XN_FLAG_DN_REV | ASN1_STRFLGS_ESC_MSB)) |                    \
   XN_FLAG_SEP_CPLUS_SPC)

/* "CN=example.org, O=Example" */
static char *text_of(const X509_NAME *name) {
  BIO *bio = BIO_new(BIO_s_mem());
  char *data, *text = NULL;
  if (bio && X509_NAME_print_ex(bio, name, 0, STYLE) >= 0) {
    long size = BIO_get_mem_data(bio, &data);
    text = strndup(size > 0 ? data : "", size > 0 ? (size_t)size : 0);
  }
  BIO_free(bio);
  return text;
}

static int64_t seconds_of(const ASN1_TIME *time) {
  struct tm parts;
  return ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : 0;
}

/* NULL when it is neither, or not a text. */
static char *name_of(const GENERAL_NAME *name) {
  char text[INET6_ADDRSTRLEN];
  int type;
  const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
  if (type != GEN_DNS && type != GEN_IPADD) return NULL;
  const unsigned char *data = ASN1_STRING_get0_data(value);
  size_t size = (size_t)ASN1_STRING_length(value);
  if (type == GEN_DNS) return memchr(data, 0, size) ? NULL : strndup((const char *)data, size);
  if (size != 4 && size != 16) return NULL;
  return inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text) ? strdup(text) : NULL;
}

static bool read_names(struct braid_tls_certificate *certificate, X509 *from) {
  GENERAL_NAMES *list = X509_get_ext_d2i(from, NID_subject_alt_name, NULL, NULL);
  int count = list ? sk_GENERAL_NAME_num(list) : 0;
  certificate->names = calloc((size_t)count + 1, sizeof *certificate->names);
  for (int i = 0; i < count && certificate->names; i++) {
    char *name = name_of(sk_GENERAL_NAME_value(list, i));
    if (name) certificate->names[certificate->name_count++] = name;
  }
  GENERAL_NAMES_free(list);
  return certificate->names != NULL;
}

static bool read_digest(struct braid_tls_certificate *certificate, const X509 *from) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size;
  if (!X509_digest(from, EVP_sha256(), digest, &size)) return false;
  for (unsigned i = 0; i < size && 2 * i + 2 < sizeof certificate->sha256; i++)
    snprintf(certificate->sha256 + 2 * i, 3, "%02x", digest[i]);
  return true;
}

bool braid_tls_certificate_read(struct braid_tls_certificate *certificate, X509 *from) {
  *certificate = (struct braid_tls_certificate){.subject = text_of(X509_get_subject_name(from)),
                                                .issuer = text_of(X509_get_issuer_name(from)),
                                                .not_before = seconds_of(X509_get0_notBefore(from)),
                                                .not_after = seconds_of(X509_get0_notAfter(from))};
  bool all = read_names(certificate, from) && read_digest(certificate, from);
  if (all && certificate->subject && certificate->issuer) return true;
  braid_tls_certificate_term(certificate);
  return false;
}

void braid_tls_certificate_term(struct braid_tls_certificate *certificate) {
  for (unsigned i = 0; i < certificate->name_count; i++) free(certificate->names[i]);
  free(certificate->names);
  free(certificate->subject);
  free(certificate->issuer);
  *certificate = (struct braid_tls_certificate){0};
}
