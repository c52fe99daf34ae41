/* SPDX-License-Identifier: MIT
 * A recursive descent parser that writes steps directly: parsing a part returns the slot where its value will be.
 * Registers are allocated like a stack: a step frees the registers of its operands and takes one for its result. */
#include "kernels/expression.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/integer.h"

enum { DEEPEST = 100, COMPARISON = 3, UNARY = 6 };

struct parser {
  struct braid_expression *expression;
  struct braid_expression_error *error;
  const char *source, *at;
  unsigned registers, depth;
  jmp_buf failed;
};

typedef struct braid_slot_number slot;

static _Noreturn void fail(struct parser *this, const char *at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(this->error->message, sizeof this->error->message, format, arguments);
  va_end(arguments);
  this->error->column = (size_t)(at - this->source) + 1;
  longjmp(this->failed, 1);
}

/* ---- slots and steps --------------------------------------------------------------------------------------------- */

static bool same(const struct braid_constant *a, const struct braid_constant *b) {
  return memcmp(&a->number, &b->number, sizeof a->number) == 0 && a->integer == b->integer && a->whole == b->whole;
}

static slot constant(struct parser *this, struct braid_constant value) {
  struct braid_expression *e = this->expression;
  unsigned i = 0;
  while (i < e->constants && !same(&e->constant[i], &value)) i++;
  if (i == BRAID_EXPRESSION_CONSTANTS) fail(this, this->at, "more than %u constants", i);
  if (i == e->constants) e->constant[e->constants++] = value;
  return (slot){BRAID_IN_CONSTANT, i};
}

static slot variable(struct parser *this, const char *name, size_t size) {
  struct braid_expression *e = this->expression;
  if (size >= BRAID_EXPRESSION_NAME) fail(this, name, "a name of more than %d bytes", BRAID_EXPRESSION_NAME - 1);
  unsigned i = 0;
  while (i < e->names && (strlen(e->name[i]) != size || memcmp(e->name[i], name, size) != 0)) i++;
  if (i == BRAID_EXPRESSION_NAMES) fail(this, name, "more than %u variables", i);
  if (i == e->names) {
    memcpy(e->name[i], name, size);
    e->name[e->names++][size] = 0;
  }
  return (slot){BRAID_IN_VARIABLE, i};
}

/* Whether the operation's result depends on whether integers are signed. */
static bool is_ordered(enum braid_operation_code code) {
  return braid_integer_operations[code].of_signed != braid_integer_operations[code].of_unsigned;
}

/* Constant folding. Not if the result depends on whether the integers are signed, which is not known yet. */
static bool fold(struct parser *this, enum braid_operation_code code, const slot *from, slot *result) {
  double numbers[3] = {0};
  int64_t integers[3] = {0};
  struct braid_constant value = {.whole = braid_integer_operations[code].of_signed != NULL};
  bool negative = false;
  for (unsigned i = 0; i < braid_operations[code].operands; i++) {
    if (from[i].kind != BRAID_IN_CONSTANT) return false;
    const struct braid_constant *operand = &this->expression->constant[from[i].index];
    numbers[i] = operand->number;
    integers[i] = operand->integer;
    value.whole &= operand->whole;
    negative |= operand->integer < 0;
  }
  if (value.whole && negative && is_ordered(code)) return false;
  braid_operations[code].run(&value.number, &numbers[0], &numbers[1], &numbers[2], 1);
  if (value.whole)
    braid_integer_operations[code].of_signed(&value.integer, &integers[0], &integers[1], &integers[2], 1);
  *result = constant(this, value);
  return true;
}

/* Merges a multiplication, if it was the last step, with an addition: a * b + c in one step. */
static bool fuse(struct parser *this, enum braid_operation_code code, const slot *from, slot *result) {
  struct braid_expression *e = this->expression;
  struct braid_step *last = e->steps > 0 ? &e->step[e->steps - 1] : NULL;
  if (code != BRAID_ADD || !last || last->code != BRAID_MULTIPLY) return false;
  for (unsigned i = 0; i < 2; i++) {
    if (from[i].kind != BRAID_IN_REGISTER || from[i].index != last->to) continue;
    slot other = from[1 - i];
    if (other.kind == BRAID_IN_REGISTER && other.index < last->to) { /* use this register, free the product's */
      last->to = other.index;
      this->registers = other.index + 1;
    }
    last->code = BRAID_MULTIPLY_ADD;
    last->from[2] = other;
    *result = (slot){BRAID_IN_REGISTER, last->to};
    return true;
  }
  return false;
}

static slot add_step(struct parser *this, const char *at, enum braid_operation_code code, const slot *from) {
  struct braid_expression *e = this->expression;
  if (e->steps == BRAID_EXPRESSION_STEPS) fail(this, at, "more than %d operations", BRAID_EXPRESSION_STEPS);
  unsigned to = this->registers;
  for (unsigned i = 0; i < braid_operations[code].operands; i++)
    if (from[i].kind == BRAID_IN_REGISTER && from[i].index < to) to = from[i].index;
  if (to == BRAID_EXPRESSION_REGISTERS) fail(this, at, "more than %u values at once", to);
  this->registers = to + 1;
  if (this->registers > e->registers) e->registers = this->registers;
  e->step[e->steps++] = (struct braid_step){code, to, {from[0], from[1], from[2]}};
  return (slot){BRAID_IN_REGISTER, to};
}

static slot emit(struct parser *this, const char *at, enum braid_operation_code code, slot a, slot b, slot c) {
  slot from[3] = {a, b, c}, result;
  if (fold(this, code, from, &result) || fuse(this, code, from, &result)) return result;
  return add_step(this, at, code, from);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void skip(struct parser *this) {
  while (isspace((unsigned char)*this->at)) this->at++;
}

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Takes `word` if it comes next: an operator, or a whole word. */
static bool accept(struct parser *this, const char *word) {
  skip(this);
  size_t size = strlen(word);
  if (strncmp(this->at, word, size) != 0) return false;
  if (is_letter(*word) && is_letter(this->at[size])) return false;
  this->at += size;
  return true;
}

static _Noreturn void unexpected(struct parser *this, const char *wanted) {
  skip(this);
  const char *at = this->at;
  size_t size = 1;
  while (is_letter(*at) && size < 40 && is_letter(at[size])) size++;
  if (*at)
    fail(this, at, "%s expected, got '%.*s'", wanted, (int)size, at);
  else
    fail(this, at, "%s expected, but the expression ends here", wanted);
}

static void expect(struct parser *this, const char *sign, const char *wanted) {
  if (!accept(this, sign)) unexpected(this, wanted);
}

/* strtod expects the decimal point of the locale. */
static slot number(struct parser *this) {
  char text[64];
  size_t size = 0;
  const char *at = this->at;
  bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
  while (size < sizeof text - 1) {
    bool sign = (*at == '+' || *at == '-') && size > 0 && strchr(hex ? "pP" : "eE", at[-1]);
    if (!isalnum((unsigned char)*at) && *at != '.' && !sign) break;
    text[size++] = *at++;
  }
  text[size] = 0;
  if (size == sizeof text - 1 && (isalnum((unsigned char)*at) || *at == '.'))
    fail(this, this->at, "a number of more than %zu characters", size);
  char *point = strchr(text, '.'), *end;
  if (point) *point = *localeconv()->decimal_point;
  struct braid_constant value = {.number = strtod(text, &end)};
  if (*end) fail(this, this->at, "'%.40s' is no number", text);
  errno = 0;
  unsigned long long integer = strtoull(text, &end, hex ? 16 : 10);
  value.whole = !*end && errno == 0;
  if (value.whole) value.integer = (int64_t)integer;
  this->expression->large |= value.whole && value.integer < 0;
  this->at = at;
  return constant(this, value);
}

/* ---- grammar ----------------------------------------------------------------------------------------------------- */

static slot parse(struct parser *this, int level);

/* Finds the function of this name, beginning at `code`. BRAID_OPERATIONS: there is none. */
static enum braid_operation_code find(const char *name, size_t size, enum braid_operation_code code) {
  while (code < BRAID_OPERATIONS &&
         (strlen(braid_operations[code].name) != size || memcmp(braid_operations[code].name, name, size) != 0))
    code++;
  return code;
}

/* Finds the function of this name with `count` operands. */
static enum braid_operation_code choose(struct parser *this, const char *name, size_t size, unsigned count) {
  enum braid_operation_code first = find(name, size, BRAID_FUNCTIONS), code = first;
  while (code < BRAID_OPERATIONS && braid_operations[code].operands != count) code = find(name, size, code + 1);
  if (code < BRAID_OPERATIONS) return code;
  unsigned wanted = braid_operations[first].operands;
  const char *format = first == BRAID_MIN || first == BRAID_MAX         ? "'%.*s' takes %u arguments or more, got %u"
                       : find(name, size, first + 1) < BRAID_OPERATIONS ? "'%.*s' takes %u or 2 arguments, got %u"
                       : wanted == 1                                    ? "'%.*s' takes %u argument, got %u"
                                                                        : "'%.*s' takes %u arguments, got %u";
  fail(this, name, format, (int)size, name, wanted, count);
}

static slot call(struct parser *this, const char *name, size_t size) {
  enum braid_operation_code code = find(name, size, BRAID_FUNCTIONS);
  if (code == BRAID_OPERATIONS) fail(this, name, "there is no function '%.*s'", size > 40 ? 40 : (int)size, name);
  bool fold_more = code == BRAID_MIN || code == BRAID_MAX;
  unsigned count = 0;
  slot operands[3] = {{0}};
  if (!accept(this, ")")) {
    do {
      if (fold_more && count == 2) { /* max(a, b, c) is max(max(a, b), c) */
        operands[0] = emit(this, name, code, operands[0], operands[1], operands[2]);
        count = 1;
      }
      slot operand = parse(this, 0);
      if (count < 3) operands[count] = operand;
      count++;
    } while (accept(this, ","));
    expect(this, ")", "',' or ')'");
  }
  return emit(this, name, choose(this, name, size, count), operands[0], operands[1], operands[2]);
}

static slot name(struct parser *this) {
  static const struct {
    const char *name;
    double value;
  } constants[] = {{"pi", 3.14159265358979323846}, {"inf", INFINITY}, {"nan", NAN}};
  static const char *const words[] = {"and", "or", "not"};
  const char *start = this->at;
  while (is_letter(*this->at)) this->at++;
  size_t size = (size_t)(this->at - start);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == size && memcmp(words[i], start, size) == 0) {
      this->at = start;
      unexpected(this, "a value");
    }
  if (accept(this, "(")) return call(this, start, size);
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
    if (strlen(constants[i].name) == size && memcmp(constants[i].name, start, size) == 0)
      return constant(this, (struct braid_constant){.number = constants[i].value});
  return variable(this, start, size);
}

static slot primary(struct parser *this) {
  skip(this);
  if (accept(this, "(")) {
    slot value = parse(this, 0);
    expect(this, ")", "')'");
    return value;
  }
  char c = *this->at;
  if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)this->at[1]))) return number(this);
  if (is_letter(c)) return name(this);
  unexpected(this, "a value");
}

/* Compiles x^2 as x*x. */
static slot power(struct parser *this) {
  slot base = primary(this);
  skip(this);
  const char *at = this->at;
  if (!accept(this, "^")) return base;
  slot exponent = parse(this, UNARY);
  bool square = exponent.kind == BRAID_IN_CONSTANT && this->expression->constant[exponent.index].number == 2;
  return square ? emit(this, at, BRAID_MULTIPLY, base, base, base) : emit(this, at, BRAID_POWER, base, exponent, base);
}

static slot unary(struct parser *this) {
  skip(this);
  const char *at = this->at;
  bool negate = accept(this, "-");
  if (!negate && !accept(this, "not")) return power(this);
  slot operand = parse(this, UNARY);
  return emit(this, at, negate ? BRAID_NEGATE : BRAID_NOT, operand, operand, operand);
}

struct binary {
  const char *sign;
  int level;
  enum braid_operation_code code;
  bool swapped; /* the operands are swapped: a > b is b < a */
};

/* An operator comes before those that are its prefix. */
static const struct binary *binary(struct parser *this, int level) {
  static const struct binary operators[] = {
      {"or", 1, BRAID_OR, false},           {"and", 2, BRAID_AND, false},    {"<=", 3, BRAID_LESS_EQUAL, false},
      {">=", 3, BRAID_LESS_EQUAL, true},    {"<", 3, BRAID_LESS, false},     {">", 3, BRAID_LESS, true},
      {"==", 3, BRAID_EQUAL, false},        {"~=", 3, BRAID_UNEQUAL, false}, {"!=", 3, BRAID_UNEQUAL, false},
      {"+", 4, BRAID_ADD, false},           {"-", 4, BRAID_SUBTRACT, false}, {"*", 5, BRAID_MULTIPLY, false},
      {"//", 5, BRAID_FLOOR_DIVIDE, false}, {"/", 5, BRAID_DIVIDE, false},   {"%", 5, BRAID_MODULO, false}};
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
    if (operators[i].level > level && accept(this, operators[i].sign)) return &operators[i];
  return NULL;
}

/* Parses operators of a higher precedence than `level`. */
static slot parse(struct parser *this, int level) {
  if (++this->depth > DEEPEST) fail(this, this->at, "nested more than %d deep", DEEPEST);
  slot left = unary(this);
  bool compared = false;
  const struct binary *operator;
  skip(this);
  for (const char *at = this->at; (operator= binary(this, level)); at = this->at) {
    if (compared && operator->level == COMPARISON)
      fail(this, at, "comparisons have no chains: write a < b and b < c, or (a < b) < c");
    compared = operator->level == COMPARISON;
    slot right = parse(this, operator->level);
    left = operator->swapped ? emit(this, at, operator->code, right, left, left)
                             : emit(this, at, operator->code, left, right, left);
    skip(this);
  }
  this->depth--;
  return left;
}

/* Finds out whether integers stay integers, and how signs matter. */
static void look_at_steps(struct braid_expression *e) {
  e->whole = true;
  for (unsigned i = 0; i < e->steps; i++) {
    const struct braid_step *step = &e->step[i];
    e->whole &= braid_integer_operations[step->code].of_signed != NULL;
    e->ordered |= is_ordered(step->code);
    for (unsigned k = 0; k < braid_operations[step->code].operands; k++) {
      if (step->from[k].kind != BRAID_IN_CONSTANT) continue;
      const struct braid_constant *constant = &e->constant[step->from[k].index];
      e->whole &= constant->whole;
      e->negative |= constant->number < 0;
    }
  }
}

bool braid_expression_parse(struct braid_expression *expression, const char *source,
                            struct braid_expression_error *error) {
  struct parser this = {.expression = expression, .error = error, .source = source, .at = source};
  expression->names = expression->constants = expression->steps = expression->registers = 0;
  expression->whole = expression->ordered = expression->negative = expression->large = false;
  if (setjmp(this.failed)) return false;
  slot result = parse(&this, 0);
  skip(&this);
  if (*this.at) unexpected(&this, "an operator");
  if (result.kind != BRAID_IN_REGISTER) add_step(&this, source, BRAID_COPY, (slot[]){result, result, result});
  look_at_steps(expression);
  return true;
}
