/* Connections to a daemon: frames, requests and their replies. */
#include "xsload.h"

void c_open(struct conn *c, size_t rcap)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    memset(c, 0, sizeof(*c));
    if (strlen(o_sock) >= sizeof(a.sun_path))
        die("socket path too long");
    strcpy(a.sun_path, o_sock);
    for (int try = 0;; try++) {
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
            die("socket: %s", strerror(errno));
        if (!connect(c->fd, (struct sockaddr *)&a, sizeof(a)))
            break;
        if (errno != EAGAIN && errno != EINTR)
            die("connect %s: %s", o_sock, strerror(errno));
        close(c->fd);
        if (try > 10000)
            die("connect: server does not accept");
        usleep(500);
    }
    c->rcap = rcap;
    c->rb = rcap ? xmalloc(rcap) : NULL;
    if (!o_pid) {
        struct ucred u;
        socklen_t l = sizeof(u);

        if (!getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &u, &l))
            o_pid = u.pid;
    }
}

void c_send(struct conn *c, const void *p, size_t n)
{
    const uint8_t *b = p;

    while (n) {
        ssize_t r = send(c->fd, b, n, MSG_NOSIGNAL);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            die("send: %s", strerror(errno));
        b += r;
        n -= r;
    }
}

size_t put(uint8_t *b, uint32_t type, uint32_t req, uint32_t tx,
          const void *p, size_t len)
{
    struct hdr h = { type, req, tx, len };

    memcpy(b, &h, HDR);
    if (len)
        memcpy(b + HDR, p, len);
    return HDR + len;
}

/* read once; make room first */
void c_fill(struct conn *c)
{
    ssize_t r;

    if (c->rpos == c->rlen)
        c->rpos = c->rlen = 0;
    if (c->rcap - c->rlen < HDR + PAYLOAD_MAX && c->rpos) {
        memmove(c->rb, c->rb + c->rpos, c->rlen - c->rpos);
        c->rlen -= c->rpos;
        c->rpos = 0;
    }
    if (c->need > c->rcap) {
        c->rcap = c->need + HDR + PAYLOAD_MAX;
        c->rb = realloc(c->rb, c->rcap);
        if (!c->rb)
            die("out of memory");
    }
    c->need = 0;
    do
        r = recv(c->fd, c->rb + c->rlen, c->rcap - c->rlen, 0);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        die("server closed the connection");
    if (r < 0)
        die("recv: %s", strerror(errno));
    c->rlen += r;
}

uint32_t g_max_frame;

/* next whole frame in the buffer, or NULL */
uint8_t *c_next(struct conn *c, struct hdr *h)
{
    uint8_t *p;

    if (c->rlen - c->rpos < HDR)
        return NULL;
    memcpy(h, c->rb + c->rpos, HDR);
    if (h->len > PAYLOAD_MAX) {
        /* against the protocol, but oxenstored sends such */
        if (h->len > 64 << 20)
            die("frame too long (%u)", h->len);
        if (h->len > g_max_frame)
            g_max_frame = h->len;
    }
    if (c->rlen - c->rpos < HDR + h->len) {
        c->need = HDR + h->len;
        return NULL;
    }
    p = c->rb + c->rpos + HDR;
    c->rpos += HDR + h->len;
    return p;
}

/* next reply (watch events are counted and skipped), blocking */
uint8_t *c_reply(struct conn *c, struct hdr *h)
{
    for (;;) {
        uint8_t *p = c_next(c, h);

        if (!p)
            c_fill(c);
        else if (h->type == X_WATCH_EVENT)
            c->events++;
        else
            return p;
    }
}

uint8_t *c_call(struct conn *c, struct hdr *h, uint32_t type,
               uint32_t tx, const void *p, size_t len)
{
    uint8_t b[HDR + PAYLOAD_MAX];

    c_send(c, b, put(b, type, ++c->req, tx, p, len));
    return c_reply(c, h);
}

void ok(struct hdr *h, uint8_t *p, const char *what)
{
    if (h->type == X_ERROR)
        die("%s: %.*s", what, (int)h->len, p);
}

/* a daemon that answers wrongly must not look fast */
void check(struct hdr *h, uint8_t *p, uint32_t type, long len,
          const char *what)
{
    ok(h, p, what);
    if (h->type != type || (len >= 0 && h->len != len))
        die("%s: wrong reply, type %u length %u", what, h->type, h->len);
}

void x_write(struct conn *c, const char *path, const char *value, size_t n)
{
    uint8_t b[PAYLOAD_MAX];
    size_t l = strlen(path) + 1;
    struct hdr h;
    uint8_t *p;

    memcpy(b, path, l);
    memcpy(b + l, value, n);
    p = c_call(c, &h, X_WRITE, 0, b, l + n);
    ok(&h, p, path);
}

double x_rm(struct conn *c, const char *path)
{
    struct hdr h;
    uint64_t t = now();

    c_call(c, &h, X_RM, 0, path, strlen(path) + 1);
    return (now() - t) / 1e9;
}

void x_gone(struct conn *c, const char *path)
{
    struct hdr h;
    uint8_t *p = c_call(c, &h, X_READ, 0, path, strlen(path) + 1);

    if (h.type != X_ERROR || strcmp((char *)p, "ENOENT"))
        die("%s: still there after RM", path);
}

void wait_events(struct conn *c, uint64_t n)
{
    struct hdr h;

    while (c->events < n) {
        if (!c_next(c, &h))
            c_fill(c);
        else if (h.type == X_WATCH_EVENT)
            c->events++;
    }
}

/* pipelined stream of requests made by gen(); replies counted, `depth' out */
long x_stream(struct conn *c, long n, long depth, gen_fn gen,
             double limit_s, const char *what)
{
    static uint8_t *b;
    uint8_t pl[PAYLOAD_MAX];
    long sent = 0, got = 0;
    uint64_t end = now() + (uint64_t)(limit_s * 1e9);
    struct hdr h;
    uint8_t *p;

    if (!b)
        b = xmalloc(64 * 1024);
    while (got < n) {
        size_t l = 0;

        while (sent < n && sent - got < depth && l < 56 * 1024) {
            uint32_t type;
            size_t k = gen(pl, sent, &type);

            l += put(b + l, type, sent, 0, pl, k);
            sent++;
        }
        if (l)
            c_send(c, b, l);
        p = c_reply(c, &h);
        ok(&h, p, what);
        got++;
        while (got < sent && (p = c_next(c, &h))) {
            if (h.type == X_WATCH_EVENT) {
                c->events++;
                continue;
            }
            ok(&h, p, what);
            got++;
        }
        if (now() > end)
            n = sent;
    }
    return got;
}
