/*
 * A load generator for XenStore daemons, on their Unix sockets. One thread, nothing but
 * the C library; a request costs it one send and mostly one receive, so that the daemon
 * is what is measured. Each mode prints one line of JSON, in which "srv_cpu_us_per_op"
 * is the daemon's own time on a processor for each operation (from schedstat) and
 * "cli_cpu_us_per_op" the generator's: who had to wait for whom shows there.
 */
#ifndef XSLOAD_H
#define XSLOAD_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Types of messages. */
enum {
    X_DIRECTORY = 1, X_READ, X_GET_PERMS, X_WATCH, X_UNWATCH, X_TX_START, X_TX_END,
    X_WRITE = 11, X_RM = 13, X_SET_PERMS, X_WATCH_EVENT, X_ERROR, X_DIRECTORY_PART = 22,
};

#define PAYLOAD_MAX 4096
#define HDR 16
#define BASE "/bench"

struct hdr { uint32_t type, req, tx, len; };

/* What the command line says; see `usage`. */
extern const char *o_sock, *o_mode, *o_testbin;
extern int o_pid;
extern double o_secs, o_limit;
extern long o_n, o_clients, o_depth, o_watches, o_size, o_iters;
extern bool o_same, o_write, o_oneconn;
extern char *val; /* o_size bytes */

/* measure.c */
struct lat { uint32_t *v; size_t n, cap; uint64_t max; double sum; }; /* ns */
struct phase { uint64_t t0, t1; double s0, s1, c0, c1; }; /* clock, both sides' CPU */

void die(const char *f, ...);
uint64_t now(void); /* ns */
void *xmalloc(size_t n);
uint32_t rnd(void);
void lat_add(struct lat *l, uint64_t ns);
double lat_mean(const struct lat *l, size_t from, size_t to); /* us */
void j_key(const char *k);
void j_s(const char *k, const char *v);
void j_i(const char *k, long long v);
void j_d(const char *k, double v);
void j_end(void);
void j_lat(const char *pfx, struct lat *l);
double srv_cpu_ns(void);
long srv_status_kb(const char *field);
void ph_start(struct phase *p);
void ph_stop(struct phase *p);
double ph_secs(struct phase *p);
void ph_json(struct phase *p, long ops);

/* wire.c */
struct step;
struct conn {
    int fd, idx;
    uint8_t *rb; /* received, from rpos to rlen */
    size_t rpos, rlen, rcap, need;
    uint32_t req;
    uint64_t t0, events;
    /* of scripts.c */
    struct step *st;
    int nst, cur;
    uint32_t tx;
    uint64_t ev_base;
    long done, again;
};
typedef size_t (*gen_fn)(uint8_t *payload, long i, uint32_t *type);
extern uint32_t g_max_frame; /* the longest payload over PAYLOAD_MAX */

void c_open(struct conn *c, size_t rcap);
void c_send(struct conn *c, const void *p, size_t n);
void c_fill(struct conn *c);
uint8_t *c_next(struct conn *c, struct hdr *h);
uint8_t *c_reply(struct conn *c, struct hdr *h);
uint8_t *c_call(struct conn *c, struct hdr *h, uint32_t type, uint32_t tx,
                const void *p, size_t len);
size_t put(uint8_t *b, uint32_t type, uint32_t req, uint32_t tx, const void *p,
           size_t len);
void ok(struct hdr *h, uint8_t *p, const char *what);
void check(struct hdr *h, uint8_t *p, uint32_t type, long len, const char *what);
void x_write(struct conn *c, const char *path, const char *value, size_t n);
double x_rm(struct conn *c, const char *path);
void x_gone(struct conn *c, const char *path);
void wait_events(struct conn *c, uint64_t n);
long x_stream(struct conn *c, long n, long depth, gen_fn gen, double limit_s,
              const char *what);

/* steady.c */
enum { K_READ, K_WRITE, K_MIXED };
extern struct conn *cs; /* what open_all opened */
extern int ep;

void open_all(long n, size_t rcap);
void ep_add(struct conn *c);
void key(char *b, long i);
void make_keys(struct conn *c, long n);
void clean(struct conn *c);
void head(void);
long sync_loop(struct conn *c, int kind, double secs, struct lat *l, const char *path);

/* trees.c: what a domain has, 40 nodes with its own directory, which is the first */
#define NDOM 40
extern const struct dom_node { const char *p, *v; } dom_nodes[NDOM];

/* The modes. */
void m_sync(int kind);
void m_conc(void);
void m_pipe(void);
void m_tx(void);
void m_boot(void);
void m_tree(void);
void m_dir(void);
void m_wscale(void);
void m_fanout(void);
void m_idle(void);

#endif
