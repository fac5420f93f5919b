/* How long requests take, what the daemon uses meanwhile, and the line of JSON. */
#include "xsload.h"

void die(const char *f, ...)
{
    va_list ap;

    va_start(ap, f);
    fprintf(stderr, "xsload %s: ", o_mode ? o_mode : "");
    vfprintf(stderr, f, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(2);
}

uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        die("out of memory");
    return p;
}

static uint64_t rng = 88172645463325252ull;
uint32_t rnd(void)
{
    rng ^= rng << 13; rng ^= rng >> 7; rng ^= rng << 17;
    return rng >> 16;
}

/* Latency samples. */

void lat_add(struct lat *l, uint64_t ns)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 1 << 18;
        l->v = realloc(l->v, l->cap * sizeof(*l->v));
        if (!l->v)
            die("out of memory");
    }
    l->v[l->n++] = ns > UINT32_MAX ? UINT32_MAX : ns;
    l->sum += ns;
    if (ns > l->max)
        l->max = ns;
}

static int cmp32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

double lat_mean(const struct lat *l, size_t from, size_t to)
{
    double s = 0;

    for (size_t i = from; i < to; i++)
        s += l->v[i];
    return to > from ? s / (to - from) / 1e3 : 0;
}

/* The line of JSON. */
static int j_any;
void j_key(const char *k) { printf("%s\"%s\":", j_any++ ? "," : "{", k); }
void j_s(const char *k, const char *v) { j_key(k); printf("\"%s\"", v); }
void j_i(const char *k, long long v) { j_key(k); printf("%lld", v); }
void j_d(const char *k, double v) { j_key(k); printf("%.3f", v); }
void j_end(void) { printf("}\n"); fflush(stdout); }

void j_lat(const char *pfx, struct lat *l)
{
    char k[64];

    if (!l->n)
        return;
    qsort(l->v, l->n, sizeof(*l->v), cmp32);
#define P(name, val) snprintf(k, sizeof(k), "%s" name, pfx); j_d(k, val)
    P("mean_us", l->sum / l->n / 1e3);
    P("p50_us", l->v[l->n / 2] / 1e3);
    P("p99_us", l->v[(size_t)(l->n * 0.99)] / 1e3);
    P("max_us", l->max / 1e3);
#undef P
}

/* The daemon's own figures. */
double srv_cpu_ns(void)
{
    char p[300];
    double sum = 0;
    DIR *d;
    struct dirent *e;

    if (!o_pid)
        return 0;
    snprintf(p, sizeof(p), "/proc/%d/task", o_pid);
    d = opendir(p);
    if (!d)
        return 0;
    while ((e = readdir(d))) {
        FILE *f;
        double v;

        if (e->d_name[0] == '.')
            continue;
        snprintf(p, sizeof(p), "/proc/%d/task/%s/schedstat", o_pid,
             e->d_name);
        f = fopen(p, "r");
        if (f) {
            if (fscanf(f, "%lf", &v) == 1)
                sum += v;
            fclose(f);
        }
    }
    closedir(d);
    if (sum == 0) {		/* no schedstat: fall back to clock ticks */
        FILE *f;
        unsigned long u, s;

        snprintf(p, sizeof(p), "/proc/%d/stat", o_pid);
        f = fopen(p, "r");
        if (f) {
            if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d "
                   "%*u %*u %*u %*u %*u %lu %lu", &u, &s) == 2)
                sum = (u + s) * 1e9 / sysconf(_SC_CLK_TCK);
            fclose(f);
        }
    }
    return sum;
}

long srv_status_kb(const char *field)
{
    char p[64], line[256];
    long v = 0;
    FILE *f;

    if (!o_pid)
        return 0;
    snprintf(p, sizeof(p), "/proc/%d/status", o_pid);
    f = fopen(p, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f))
        if (!strncmp(line, field, strlen(field)))
            v = atol(line + strlen(field) + 1);
    fclose(f);
    return v;
}

static double cli_cpu_ns(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e9 +
           (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e3;
}

void ph_start(struct phase *p)
{
    p->s0 = srv_cpu_ns();
    p->c0 = cli_cpu_ns();
    p->t0 = p->t1 = now();
}
void ph_stop(struct phase *p)
{
    p->t1 = now();
    p->s1 = srv_cpu_ns();
    p->c1 = cli_cpu_ns();
}
double ph_secs(struct phase *p) { return (p->t1 - p->t0) / 1e9; }
void ph_json(struct phase *p, long ops)
{
    j_i("ops", ops);
    j_d("seconds", ph_secs(p));
    j_d("ops_per_s", ops / ph_secs(p));
    if (ops) {
        if (o_pid)
            j_d("srv_cpu_us_per_op", (p->s1 - p->s0) / ops / 1e3);
        j_d("cli_cpu_us_per_op", (p->c1 - p->c0) / ops / 1e3);
    }
}
