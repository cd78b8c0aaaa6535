/* Loadable functions of MySQL and MariaDB for TestLoadableFunctions. The structs
 * are those of the servers' udf_registration_types.h and mysql_com.h; neither
 * header is needed to be there. */
#include <stdlib.h>
#include <string.h>

typedef struct {
  unsigned int arg_count;
  int *arg_type;
  char **args;
  unsigned long *lengths;
  char *maybe_null;
  char **attributes;
  unsigned long *attribute_lengths;
  void *extension;
} ARGS;

typedef struct {
  char maybe_null;
  unsigned int decimals;
  unsigned long max_length;
  char *ptr;
  char const_item;
  void *extension;
} INIT;

enum { INT_RESULT = 2 };

static int one_integer(ARGS *args, char *message) {
  if (args->arg_count != 1) {
    strcpy(message, "one number is wanted");
    return 1;
  }
  args->arg_type[0] = INT_RESULT;
  return 0;
}

/* twice(n) */
char twice_init(INIT *init, ARGS *args, char *message) { return one_integer(args, message); }
long long twice(INIT *init, ARGS *args, unsigned char *is_null, unsigned char *error) {
  if (!args->args[0]) {
    *is_null = 1;
    return 0;
  }
  return *(long long *)args->args[0] * 2;
}

/* spread(n): the largest less the smallest, which no sum of parts gives. */
typedef struct { long long least, most; int any; } spread_t;
char spread_init(INIT *init, ARGS *args, char *message) {
  init->maybe_null = 1;
  init->ptr = malloc(sizeof(spread_t));
  return one_integer(args, message);
}
void spread_deinit(INIT *init) { free(init->ptr); }
void spread_clear(INIT *init, unsigned char *is_null, unsigned char *error) { memset(init->ptr, 0, sizeof(spread_t)); }
void spread_add(INIT *init, ARGS *args, unsigned char *is_null, unsigned char *error) {
  spread_t *s = (spread_t *)init->ptr;
  if (!args->args[0]) return;
  long long n = *(long long *)args->args[0];
  if (!s->any || n < s->least) s->least = n;
  if (!s->any || n > s->most) s->most = n;
  s->any = 1;
}
long long spread(INIT *init, ARGS *args, unsigned char *is_null, unsigned char *error) {
  spread_t *s = (spread_t *)init->ptr;
  if (!s->any) *is_null = 1;
  return s->most - s->least;
}
