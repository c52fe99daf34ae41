/* SPDX-License-Identifier: MIT
 * Numbers of a table in text (RFC 4180): records are lines, fields are separated by one byte, and a field in quotes may
 * contain separators, line ends and doubled quotes. The text is cut into pieces at line ends, which are read at the
 * same time. */
#ifndef BRAID_CSV_H
#define BRAID_CSV_H

#include "core/work/crew.h"

enum braid_csv_kind {
  BRAID_CSV_INTEGER, /* every field is an integer of 64 bits */
  BRAID_CSV_FLOAT,   /* every field is a number, or missing (NaN) */
  BRAID_CSV_TEXT
};

struct braid_csv_column {
  double *numbers;   /* one for each record; NULL: the column is not wanted */
  int64_t *integers; /* the same, if the column is INTEGER */
  enum braid_csv_kind kind;
};

struct braid_csv {
  const char *text; /* it may change meanwhile: what is read then is undefined, and nothing else breaks */
  size_t size;
  char separator;
  size_t columns;
  struct braid_csv_column *column;
  size_t records; /* known after braid_csv_count */
  /* the outcome */
  bool uneven; /* a record has not as many fields as there are columns: the first such one, and how many it has */
  size_t bad_record, bad_fields, bad_at; /* bad_at: where it begins in the text */
  enum braid_status status;
  /* within */
  size_t *starts; /* where each piece begins, and at last the size; owned */
  size_t *firsts; /* the number of each piece's first record; owned */
  size_t pieces;
  atomic_bool quotes; /* a line end in quotes ends no record */
};

/* A kernel (`arguments` is a braid_csv): counts the records. An empty line is none. */
void braid_csv_count(struct braid_team *team, void *arguments);

/* A kernel, after braid_csv_count: reads the fields of the wanted columns, and finds their kinds. */
void braid_csv_read(struct braid_team *team, void *arguments);

/* A field of a column that is no number, or (`whole`) no integer: sets its record, from 0, its bytes, and where its
 * record begins. False: there is none. Any thread; reads the text from its beginning. */
bool braid_csv_find(const struct braid_csv *csv, size_t column, bool whole, size_t *record, size_t *at,
                    const char **from, const char **to);

/* Frees what the count has allocated. */
void braid_csv_term(struct braid_csv *csv);

/* Reads one field at `at`, before `end`. Sets the field's bytes, without the quotes around them, and whether quotes in
 * it are doubled. Returns the place after it: of the separator, the line end, or `end`. Any thread. */
const char *braid_csv_field(const char *at, const char *end, char separator, const char **from, const char **to,
                            bool *quoted);

#endif
