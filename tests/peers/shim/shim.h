/*
 * A library that stands in for Xen: preloaded, it lets a xenstored run where there is
 * no hypervisor. What would go to Xen goes to the files of a directory, $XENSHIM_DIR:
 *
 *   ring-N      the page of domain N's rings; the domain exists while this file does,
 *               domain 0 always
 *   evtchn-N    if there: the only port, in decimal, that can be bound for domain N
 *   kick-N      FIFO to the domain: a byte is a notification
 *   port        FIFO to the daemon: two words of 32 bits are the event (domain, port),
 *               or (VIRQ, number) a virtual interrupt
 *   shutdown-N  if there: domain N has shut down
 *   dying-N     if there: it is dying
 *   ports       what the daemon has bound
 *   xsd_port    domain 0's port
 *
 * $XENSHIM_SOCKET is where a daemon's socket goes whose path is compiled in.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096
#define VIRQ 0xffffffffu
#define PATH_SIZE 512

/* A daemon may have functions of these names, too. */
#pragma GCC visibility push(hidden)

/* The C library's open, by which nothing is sent elsewhere. */
int real_open(const char *path, int flags, mode_t mode);

/* Write the path of a file in the directory, or of a domain's one. */
void path_of(char path[PATH_SIZE], const char *name);
void domain_path(char path[PATH_SIZE], const char *name, uint32_t domid);

/* Tell whether a domain has a file. */
int has_file(const char *name, uint32_t domid);

/* Map a domain's page; NULL with EINVAL if it has none and none is to be made. */
void *map_ring(uint32_t domid, int create);

#pragma GCC visibility pop

#endif
