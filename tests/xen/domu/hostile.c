/*
 * A guest's whole kernel, for PV, that does to its XenStore ring what Linux would not.
 *
 * What it does is the command line's first letter; see `attack`. First it behaves, and
 * writes that letter to data/attack; then it goes on for ever. It takes no interrupts:
 * whether there is something in the ring it sees by looking.
 */
#include <stdint.h>

#define RING 1024u
#define WATCH 4u
#define WRITE 11u
#define EVENT_CHANNEL_OP 32
#define EVTCHNOP_SEND 4

/* start_info of public/xen.h, as far as it is of use here. */
struct start_info {
    char magic[32];
    uint64_t pages, shared_info;
    uint32_t flags;
    uint64_t store_mfn;
    uint32_t store_port;
    uint64_t console_mfn;
    uint32_t console_port;
    uint64_t page_table, page_table_frames;
    uint64_t *mfns;
    uint64_t module, module_size;
    char command_line[1024];
};

/* xenstore_domain_interface of public/io/xs_wire.h. */
struct page {
    volatile uint8_t requests[RING], responses[RING];
    volatile uint32_t req_cons, req_prod, rsp_cons, rsp_prod;
    volatile uint32_t features, connection, error, port;
};

long hypercall2(long number, long command, void *argument);

static struct page *page;
static uint32_t port;
static uint32_t state = 1;

static void notify(void)
{
    __sync_synchronize();
    hypercall2(EVENT_CHANNEL_OP, EVTCHNOP_SEND, &port);
}

/* Take what the daemon has written, whatever it is. */
static void discard(void)
{
    if (page->rsp_cons != page->rsp_prod) {
        page->rsp_cons = page->rsp_prod;
        notify();
    }
}

/* Put a byte into the ring as soon as there is room; with `reads` unset it may never. */
static void put(uint8_t byte, int reads)
{
    while (page->req_prod - page->req_cons >= RING) {
        notify();
        if (reads)
            discard();
    }
    page->requests[page->req_prod % RING] = byte;
    __sync_synchronize();
    page->req_prod++;
}

static void put_word(uint32_t word, int reads)
{
    for (int i = 0; i < 4; i++)
        put(word >> 8 * i, reads);
}

static void send(uint32_t type, const char *payload, uint32_t size, int reads)
{
    put_word(type, reads);
    put_word(7, reads);
    put_word(0, reads);
    put_word(size, reads);
    for (uint32_t i = 0; i < size; i++)
        put(payload[i], reads);
    notify();
}

static uint32_t random(void)
{
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static void attack(char letter)
{
    static char value[2000] = "data/flood";

    switch (letter) {
    case 'f': /* floods: requests as fast as they are answered */
        for (;;)
            send(WRITE, value, sizeof value, 1);
    case 'n': /* never reads replies and events, and goes on asking */
        send(WATCH, "data\0token", 11, 0);
        for (;;)
            send(WRITE, value, 200, 0);
    case 'i': /* impossible indexes, of both rings, and ever others */
        for (;;) {
            page->req_prod = random() << 8;
            page->rsp_cons = random() << 8;
            notify();
        }
    case 'o': /* a frame that announces more than there may be */
        put_word(WRITE, 1);
        put_word(0, 1);
        put_word(0, 1);
        put_word(0xffffffff, 1);
        for (;;) {
            put('x', 1);
            notify();
        }
    case 'c': /* asks for a new connection all the time */
        for (;;) {
            page->connection = 1;
            put(random(), 1);
            notify();
        }
    default: /* frames of chance: any type, any content */
        for (;;) {
            uint32_t size = random() % 64;
            put_word(random() % 32, 1);
            put_word(random(), 1);
            put_word(random() % 4, 1);
            put_word(size, 1);
            while (size--)
                put(random() % 128, 1);
            discard();
            notify();
        }
    }
}

void start(struct start_info *info)
{
    char told[] = "data/attack\0x";
    uint64_t frame = 0;

    /* The page is one of the first, which the domain's builder has mapped from 0 on. */
    while (info->mfns[frame] != info->store_mfn)
        frame++;
    page = (struct page *)(frame << 12);
    port = info->store_port;
    told[12] = info->command_line[0];
    send(WRITE, told, 13, 1);
    while (page->rsp_prod - page->rsp_cons < 16 + 3)
        notify();
    discard();
    attack(told[12]);
}
